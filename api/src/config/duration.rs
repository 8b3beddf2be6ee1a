//! Durations and sizes as people write them: `"30s"`, `"24h"`, `"64MiB"`.
//!
//! Parsing and printing are each other's inverse. Both refuse what would be read in two ways: a duration without a
//! unit, a size with a fraction.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Longest duration that a configuration may name: ten years.
pub(super) const LONGEST: Duration = Duration::from_hours(24 * 3660);

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const DECIMAL_UNITS: [(&str, u64); 4] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000)];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim();
        let factor = if unit.is_empty() || unit.eq_ignore_ascii_case("b") {
            Some(1)
        } else {
            UNITS
                .iter()
                .find(|(name, _)| {
                    name.eq_ignore_ascii_case(unit)
                        || name.get(..1).is_some_and(|short| short.eq_ignore_ascii_case(unit))
                })
                .or_else(|| DECIMAL_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)))
                .map(|(_, factor)| *factor)
        };
        let expected = "expected a size such as \"64MiB\"";
        let factor =
            factor.ok_or_else(|| format!("{expected}, with one of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB"))?;
        let number: u64 = number.parse().map_err(|_| format!("{expected}: a whole number and a unit"))?;
        number.checked_mul(factor).map(Self).ok_or_else(|| format!("{expected}; this one is too large"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// Reads `"1h 30m"` and the like.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| {
        format!("expected a duration such as \"30s\", \"15m\", \"24h\" or \"30d\": {error}")
    })?;
    if duration > LONGEST {
        return Err("a duration of more than ten years is refused".to_owned());
    }
    Ok(duration)
}

/// Writes a duration in the largest unit that holds it exactly.
pub(super) fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_nanos() != 0 {
        return humantime::format_duration(duration).to_string();
    }
    [(86_400, 'd'), (3_600, 'h'), (60, 'm')]
        .into_iter()
        .find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit))
        .map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::{Size, parse, shown};
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use std::time::Duration;

    #[test]
    fn sizes_are_read_with_binary_and_decimal_units() {
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("64 mib", 64 << 20),
            ("2G", 2 << 30),
            ("5kB", 5000),
            ("7", 7),
            ("7B", 7),
            ("0", 0),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "MiB", "1.5MiB", "-1", "1 potato", "99999999999TiB", "1é"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn durations_need_a_unit_and_an_end() {
        assert_eq!(parse("1h 30m"), Ok(Duration::from_mins(90)));
        for text in ["", "30", "-3s", "11years", "soon"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(shown(Duration::from_hours(24)), "1d");
        assert_eq!(shown(Duration::from_mins(90)), "90m");
        assert_eq!(shown(Duration::ZERO), "0s");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes in any::<u64>(), seconds in 0_u64..300_000_000, nanos in 0_u32..3) {
            prop_assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(parse(&shown(duration)), Ok(duration));
        }
    }
}
