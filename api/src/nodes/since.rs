//! How long ago something was, by a clock that may have been set since.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// Whether less than this time has passed. What was noted so long in the future, a clock noted that was wrong: it has passed,
/// or who waits for it would wait until the clock is there again. A clock that was put back a little ends no wait.
pub(crate) fn is_within(time: Duration, noted: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (now - noted).abs().to_std().is_ok_and(|apart| apart < time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_wrong_keeps_nobody_waiting() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (day, now) = (Duration::from_hours(24), at("2026-11-23T12:00:00Z"));
        for (noted, within) in [
            ("2026-11-23T11:59:59Z", true),
            ("2026-11-23T12:00:02Z", true),
            ("2026-11-22T12:00:01Z", true),
            ("2026-11-22T12:00:00Z", false),
            ("2031-01-01T00:00:00Z", false),
            ("1970-01-01T00:00:00Z", false),
        ] {
            assert_eq!(is_within(day, at(noted), now), within, "{noted}");
        }
    }
}
