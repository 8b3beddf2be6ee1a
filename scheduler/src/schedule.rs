//! When a project is due: a rule, a time zone, and the time from which and until which it holds.
//!
//! Everything here is a function of its arguments: there is no clock, and the same question has the same answer after a
//! restart. Each wall time of a rule fires once. One that the clock skips fires at the instant right after the gap,
//! together with all others of that gap; one that comes twice fires the first time only. This holds for every rule,
//! so "every 5 minutes" pauses while an hour is repeated; zones without such changes, as UTC, know no exception.

mod catch_up;
mod wall;

use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

pub(crate) use catch_up::ON_TIME;
pub(crate) use wall::instant;

pub use crate::cron::ScheduleError;
use crate::cron::{Calendar, CronFields, CronText, FIRST_YEAR, LAST_YEAR, hash};
pub use catch_up::{CatchUp, CatchUpError};

/// When a project is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// What makes it due.
    pub rule: Rule,
    /// Where the wall clock hangs that the rule goes by.
    pub timezone: Tz,
    /// Nothing fires before this instant.
    pub start: Option<DateTime<Utc>>,
    /// Nothing fires after this instant.
    pub end: Option<DateTime<Utc>>,
    /// How much later than its time a run may begin, so that not all begin at once.
    pub jitter: Duration,
    /// What becomes of times that passed while nobody was there.
    pub catch_up: CatchUp,
}

/// What makes a project due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The fields of `APScheduler`.
    Fields(CronFields),
    /// A cron text.
    Cron(CronText),
    /// So long after the end of the last run.
    Every(Duration),
    /// Nothing but a person or another program.
    Manual,
}

impl Schedule {
    /// The first time strictly after `after` at which it fires; none if that never happens, or if the rule has no
    /// times of its own.
    #[must_use]
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let calendar = self.rule.calendar()?;
        let after = match self.start {
            Some(start) if start > after => clamp(start)? - TimeDelta::nanoseconds(1),
            _ => clamp(after)?,
        };
        let wall = calendar.first_at_or_after(wall::reached(self.timezone, after) + TimeDelta::seconds(1))?;
        let next = wall::instant(self.timezone, wall)?;
        self.end.is_none_or(|end| next <= end).then_some(next)
    }

    /// The last time at or before `until`, but not before `not_before`, at which it fires. The effort does not depend
    /// on how long ago that is.
    #[must_use]
    pub fn latest_at_or_before(
        &self,
        until: DateTime<Utc>,
        not_before: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let calendar = self.rule.calendar()?;
        let until = clamp(self.end.map_or(until, |end| end.min(until)))?;
        let wall = calendar.last_at_or_before(wall::reached(self.timezone, until))?;
        let latest = wall::instant(self.timezone, wall)?;
        (latest >= not_before && self.start.is_none_or(|start| latest >= start)).then_some(latest)
    }

    /// The next `n` times after `after`, or as many as there are.
    #[must_use]
    pub fn upcoming(&self, after: DateTime<Utc>, n: usize) -> Vec<DateTime<Utc>> {
        std::iter::successors(self.next_after(after), |last| self.next_after(*last)).take(n).collect()
    }

    /// When a run due at `at` begins: later by less than the jitter, always the same for the same seed and time.
    #[must_use]
    pub fn jittered(&self, at: DateTime<Utc>, seed: &str) -> DateTime<Utc> {
        let width = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        let hash = hash(&[seed.as_bytes(), b"jitter", &at.timestamp().to_le_bytes()]);
        let delay = hash.checked_rem(width).and_then(|delay| i64::try_from(delay).ok());
        delay
            .and_then(TimeDelta::try_milliseconds)
            .and_then(|delay| at.checked_add_signed(delay))
            .unwrap_or(at)
    }

    /// The schedule in words, such as "03:00 on the last Friday of each month, Europe/Berlin".
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = match &self.rule {
            Rule::Fields(fields) => fields.describe(),
            Rule::Cron(cron) => cron.describe(),
            Rule::Every(pause) => format!("{} after the end of the last run", in_words(*pause)),
            Rule::Manual => return "only by hand".to_owned(),
        };
        if self.rule.calendar().is_some() {
            if self.timezone != Tz::UTC {
                text += &format!(", {}", self.timezone.name());
            }
            if !self.jitter.is_zero() {
                text += &format!(", up to {} later", in_words(self.jitter));
            }
        }
        match self.catch_up {
            CatchUp::Once => {}
            CatchUp::None => text += ", missed times are left out",
            CatchUp::Within(most) => {
                text += &format!(", missed times are made up for within {}", in_words(most));
            }
        }
        for (word, bound) in [("from", self.start), ("until", self.end)] {
            text +=
                &bound.map(|at| format!(", {word} {} UTC", at.format("%Y-%m-%d %H:%M"))).unwrap_or_default();
        }
        text
    }
}

impl Rule {
    fn calendar(&self) -> Option<&Calendar> {
        match self {
            Self::Fields(fields) => Some(fields.calendar()),
            Self::Cron(cron) => Some(cron.calendar()),
            Self::Every(_) | Self::Manual => None,
        }
    }
}

/// Keeps a time to the years in which anything can fire, with a margin that no time zone exceeds: outside of them,
/// wall times may not even be representable.
fn clamp(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let low = NaiveDate::from_ymd_opt(FIRST_YEAR - 1, 12, 28)?.and_hms_opt(0, 0, 0)?.and_utc();
    let high = NaiveDate::from_ymd_opt(LAST_YEAR + 1, 1, 4)?.and_hms_opt(0, 0, 0)?.and_utc();
    Some(at.clamp(low, high))
}

/// A duration in days, hours, minutes and seconds; less than a second in milliseconds.
fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 86_400, "day"),
        (seconds / 3_600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
        (duration.subsec_millis().into(), "millisecond"),
    ];
    let words: Vec<_> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if words.is_empty() { "0 seconds".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests;
