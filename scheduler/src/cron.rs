//! When a calendar says that a project is due: the eight fields of `APScheduler`, and cron texts.
//!
//! Two ways of writing lead to one [`Calendar`](calendar::Calendar) of bitsets, which alone walks through time, so both
//! treat months, leap years and changes of the clock alike. The grammar of the fields is our own, because no cron text
//! can say ISO weeks or "the second Friday, if it is also in week 20". The grammar of cron texts is croner's: it is
//! asked once, when a text is read, which days each kind of month has.
//!
//! Nothing here knows time zones, a clock, or how often a project really ran; see [`crate::schedule`].

mod calendar;
mod expression;
mod fields;
mod spread;
mod text;
mod unit;
mod words;

pub use fields::CronFields;
pub use text::CronText;

pub(crate) use calendar::{Calendar, FIRST_YEAR, LAST_YEAR};
pub(crate) use spread::hash;

/// Why a schedule was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {message}")]
pub struct ScheduleError {
    /// The place in a project's settings, such as `schedule.cron.minute`.
    pub field: String,
    /// What is wrong with which expression, and what would be right.
    pub message: String,
}

impl ScheduleError {
    /// An error of one cron field, or of the whole when `part` is empty.
    pub(crate) fn new(part: &str, message: impl Into<String>) -> Self {
        let field = if part.is_empty() { "schedule.cron".into() } else { format!("schedule.cron.{part}") };
        Self { field, message: message.into() }
    }
}
