//! Time: the host's clock, and the hour that people at the project read on theirs.

use std::time::Duration;

use crate::host::clock;

/// Milliseconds since 1970, now. Hooks are told in [`RunContext::now_ms`](crate::RunContext::now_ms) as well; policies
/// have only what they are told.
#[must_use]
pub fn now_ms() -> u64 {
    clock::now_ms()
}

/// A clock that never goes back, for measuring.
#[must_use]
pub fn monotonic() -> Duration {
    Duration::from_nanos(clock::monotonic_ns())
}

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// A moment as a clock on the wall shows it.
///
/// ```
/// use heliostat_plugin::time::LocalTime;
///
/// // 2026-11-25 19:16:44 UTC, a Wednesday, seen from New York.
/// let time = LocalTime::new(1_795_634_204_000, -300);
/// assert_eq!((time.weekday(), time.hour(), time.minute()), (2, 14, 16));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// Milliseconds since 1970 in local time.
    ms: i64,
}

impl LocalTime {
    /// The moment `ms` (since 1970, in UTC) in a place whose clocks are `offset_minutes` ahead of UTC.
    #[must_use]
    pub fn new(ms: u64, offset_minutes: i32) -> Self {
        let ms = i64::try_from(ms).unwrap_or(i64::MAX);
        Self { ms: ms.saturating_add(i64::from(offset_minutes) * MINUTE_MS) }
    }

    /// 0 for Monday to 6 for Sunday. (1970 began on a Thursday.)
    #[must_use]
    pub fn weekday(self) -> u32 {
        u32::try_from((self.ms.div_euclid(DAY_MS) + 3).rem_euclid(7)).unwrap_or_default()
    }

    /// 0 to 1439.
    #[must_use]
    pub fn minute_of_day(self) -> u32 {
        u32::try_from(self.ms.rem_euclid(DAY_MS) / MINUTE_MS).unwrap_or_default()
    }

    /// 0 to 23.
    #[must_use]
    pub fn hour(self) -> u32 {
        self.minute_of_day() / 60
    }

    /// 0 to 59.
    #[must_use]
    pub fn minute(self) -> u32 {
        self.minute_of_day() % 60
    }
}

/// A length of time as people write it: `1h 30m`, `2days`. Nothing below a second.
#[must_use]
pub fn in_words(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_turn_where_the_project_is() {
        let midnight = 1_795_651_200_000; // 2026-11-26 00:00 UTC, a Thursday
        assert_eq!(LocalTime::new(midnight, 0).weekday(), 3);
        assert_eq!(LocalTime::new(midnight, -1).weekday(), 2);
        assert_eq!(LocalTime::new(midnight - 1, 0).minute_of_day(), 1439);
        assert_eq!(LocalTime::new(midnight, 330).minute_of_day(), 330);
        assert_eq!(LocalTime::new(0, -60).hour(), 23);
    }
}
