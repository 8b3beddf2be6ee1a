//! What becomes of the times that passed while nobody was there to start a run.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::TimeDelta;

/// A run that begins at most this late is on time: the dispatcher looks at the clock twice a minute, and a restart
/// takes seconds.
pub(crate) const ON_TIME: TimeDelta = TimeDelta::minutes(1);

/// What becomes of the times that pass while the server is down, or while its machine sleeps. However many they are,
/// they are decided together, by the newest of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// One run makes up for all of them.
    #[default]
    Once,
    /// Nothing: the next time to come is the next run.
    None,
    /// One run, unless the newest of them is longer ago than this.
    Within(Duration),
}

impl CatchUp {
    /// Whether a run starts that should have begun so long ago.
    #[must_use]
    pub fn lets(self, late: TimeDelta) -> bool {
        let most = match self {
            Self::Once => return true,
            Self::None => TimeDelta::zero(),
            Self::Within(most) => TimeDelta::from_std(most).unwrap_or(TimeDelta::MAX),
        };
        late <= most.max(ON_TIME)
    }
}

impl fmt::Display for CatchUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once => f.write_str("once"),
            Self::None => f.write_str("none"),
            Self::Within(most) => write!(f, "within {}", humantime::format_duration(*most)),
        }
    }
}

impl FromStr for CatchUp {
    type Err = CatchUpError;

    fn from_str(text: &str) -> Result<Self, CatchUpError> {
        match text.trim() {
            "once" => Ok(Self::Once),
            "none" => Ok(Self::None),
            other => other
                .strip_prefix("within ")
                .and_then(|most| humantime::parse_duration(most.trim()).ok())
                .map(Self::Within)
                .ok_or(CatchUpError),
        }
    }
}

/// The text names no way of catching up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be \"once\", \"none\", or {{\"within\": \"6h\"}}")]
pub struct CatchUpError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_catching_up_is_read_as_it_is_written() {
        for way in [CatchUp::Once, CatchUp::None, CatchUp::Within(Duration::from_hours(6))] {
            assert_eq!(way.to_string().parse(), Ok(way));
        }
        assert_eq!("within 90m".parse(), Ok(CatchUp::Within(Duration::from_mins(90))));
        for bad in ["", "twice", "within", "within soon", "6h", "ONCE"] {
            assert_eq!(bad.parse::<CatchUp>(), Err(CatchUpError), "{bad}");
        }
    }

    #[test]
    fn a_minute_is_on_time_and_the_limit_is_included() {
        let hours = |hours| TimeDelta::hours(hours);
        assert!(CatchUp::Once.lets(hours(9000)));
        assert!(CatchUp::None.lets(ON_TIME) && !CatchUp::None.lets(ON_TIME + TimeDelta::nanoseconds(1)));
        let within = CatchUp::Within(Duration::from_hours(6));
        assert!(within.lets(hours(6)) && !within.lets(hours(6) + TimeDelta::nanoseconds(1)));
        assert!(CatchUp::Within(Duration::ZERO).lets(ON_TIME));
        assert!(CatchUp::Within(Duration::MAX).lets(hours(9000)));
    }
}
