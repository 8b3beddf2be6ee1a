//! What one upstream host is to be spared: connections, starts in a row, bandwidth, and hours of the day.
//!
//! These are a person's wishes and functions of them; what a host is like right now is in `hosts`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Days, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;

use crate::schedule::instant;

/// What may be taken of one upstream host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostBudget {
    /// The most runs at once; none: as many as from any host.
    pub connections: Option<usize>,
    /// The least time between two starts.
    pub gap: Duration,
    /// KiB per second that the attempts going at once share.
    pub bwlimit_kib: Option<u64>,
    /// Hours of the day in which nothing starts.
    pub quiet: Vec<QuietHours>,
    /// The time zone of those hours.
    pub timezone: Tz,
}

impl Default for HostBudget {
    fn default() -> Self {
        Self {
            connections: None,
            gap: Duration::ZERO,
            bwlimit_kib: None,
            quiet: Vec::new(),
            timezone: Tz::UTC,
        }
    }
}

/// How long a host in trouble is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// At most this after the first failure; it doubles with each further one.
    pub base: Duration,
    /// No wait is longer.
    pub cap: Duration,
}

impl Default for Patience {
    /// Half a minute, growing to half an hour.
    fn default() -> Self {
        Self { base: Duration::from_secs(30), cap: Duration::from_mins(30) }
    }
}

impl Patience {
    /// The wait after `failures`, which count from 1. `jitter` is between 0 and 1: all but a quarter of the doubled
    /// time is left to chance, so that mirrors of one upstream do not come back together.
    pub(super) fn wait(self, failures: u32, jitter: f64) -> TimeDelta {
        let doublings = failures.saturating_sub(1).min(20);
        let full = self.base.saturating_mul(1 << doublings).min(self.cap);
        let wait = full.mul_f64(FLOOR + (1.0 - FLOOR) * jitter.clamp(0.0, 1.0));
        TimeDelta::from_std(wait).unwrap_or(TimeDelta::days(1))
    }
}

/// The part of a wait that chance cannot take away.
const FLOOR: f64 = 0.25;

/// Hours of every day, from a wall time up to another, over midnight where the end comes before the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    from: NaiveTime,
    to: NaiveTime,
}

impl QuietHours {
    fn covers(self, time: NaiveTime) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&time)
        } else {
            time >= self.from || time < self.to
        }
    }

    /// The wall time at which the hours that cover `wall` are over.
    fn end(self, wall: NaiveDateTime) -> NaiveDateTime {
        let later = u64::from(self.to <= wall.time());
        (wall.date() + Days::new(later)).and_time(self.to)
    }
}

/// When the quiet hours that cover `now` are over, all those that follow at once included; none: nothing covers it.
pub(super) fn quiet_until(budget: &HostBudget, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut until = None;
    // Each of them can be entered once; what would go on for ever is refused where it is read.
    for _ in 0..=budget.quiet.len() {
        let wall = until.unwrap_or(now).with_timezone(&budget.timezone).naive_local();
        let Some(hours) = budget.quiet.iter().find(|hours| hours.covers(wall.time())) else { break };
        let end = instant(budget.timezone, hours.end(wall));
        // A wall time that comes twice in autumn ends them for the first time before it began here.
        until = end.map(|end| end.max(until.unwrap_or(now) + TimeDelta::minutes(1))).or(until);
    }
    until
}

/// Whether these hours leave any minute of the day.
#[must_use]
pub fn leave_time(hours: &[QuietHours]) -> bool {
    let minutes = (0..24 * 60).filter_map(|minute| NaiveTime::from_hms_opt(minute / 60, minute % 60, 0));
    minutes.into_iter().any(|minute| !hours.iter().any(|hours| hours.covers(minute)))
}

impl FromStr for QuietHours {
    type Err = QuietError;

    fn from_str(text: &str) -> Result<Self, QuietError> {
        let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").map_err(|_| QuietError);
        let (from, to) = text.split_once('-').ok_or(QuietError)?;
        let hours = Self { from: time(from)?, to: time(to)? };
        if hours.from == hours.to { Err(QuietError) } else { Ok(hours) }
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from.hour(), from.minute(), to.hour(), to.minute())
    }
}

/// A text that is no part of a day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected two times of the day such as \"22:00-06:00\"")]
pub struct QuietError;

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(hours: &[&str], zone: &str) -> HostBudget {
        let quiet = hours.iter().map(|hours| hours.parse().unwrap()).collect();
        HostBudget { quiet, timezone: zone.parse().unwrap(), ..HostBudget::default() }
    }

    fn until(budget: &HostBudget, now: &str) -> Option<String> {
        quiet_until(budget, now.parse().unwrap()).map(|end| end.format("%dT%H:%M").to_string())
    }

    #[test]
    fn quiet_hours_pass_over_midnight_and_into_one_another() {
        let night = quiet(&["22:00-06:00", "06:00-07:30"], "UTC");
        assert_eq!(until(&night, "2026-03-02T21:59:59Z"), None);
        assert_eq!(until(&night, "2026-03-02T22:00:00Z").unwrap(), "03T07:30");
        assert_eq!(until(&night, "2026-03-02T00:00:00Z").unwrap(), "02T07:30");
        assert_eq!(until(&night, "2026-03-02T07:30:00Z"), None);
    }

    #[test]
    fn quiet_hours_follow_the_clocks_of_their_zone() {
        let night = quiet(&["22:00-06:00"], "Europe/Berlin");
        assert_eq!(until(&night, "2026-01-02T21:30:00Z").unwrap(), "03T05:00");
        // The clock goes forward that night, and back in the other one.
        assert_eq!(until(&night, "2026-03-28T22:00:00Z").unwrap(), "29T04:00");
        assert_eq!(until(&night, "2026-10-24T21:00:00Z").unwrap(), "25T05:00");
        let second = quiet(&["01:00-02:30"], "Europe/Berlin");
        assert_eq!(until(&second, "2026-10-24T23:30:00Z").unwrap(), "25T00:30");
        assert!(until(&second, "2026-10-25T01:10:00Z").is_some(), "half past two comes twice");
    }

    #[test]
    fn only_two_different_times_are_quiet_hours() {
        assert_eq!("9:05 - 17:00".parse::<QuietHours>().unwrap().to_string(), "09:05-17:00");
        for bad in ["", "22:00", "22:00-22:00", "24:00-06:00", "22-06", "a-b"] {
            assert_eq!(bad.parse::<QuietHours>(), Err(QuietError), "{bad}");
        }
    }

    #[test]
    fn hours_that_cover_the_whole_day_leave_none() {
        assert!(leave_time(&quiet(&["00:00-12:00", "12:01-00:00"], "UTC").quiet));
        assert!(!leave_time(&quiet(&["00:00-12:00", "11:00-00:00"], "UTC").quiet));
    }

    #[test]
    fn waits_grow_to_the_cap_and_chance_leaves_a_quarter() {
        let patience = Patience { base: Duration::from_secs(40), cap: Duration::from_secs(100) };
        let waits = |jitter| [1, 2, 3, 99].map(|failures| patience.wait(failures, jitter).num_seconds());
        assert_eq!(waits(1.0), [40, 80, 100, 100]);
        assert_eq!(waits(0.0), [10, 20, 25, 25]);
    }
}
