//! Dates as people and programs write them: `2014-05-7 18:00`, `15th August 2014`, the output of `date`, RFC 3339 and
//! RFC 2822.
//!
//! The parts of a date are known by their shape and may stand in any order, each once. Nothing is guessed: where a text
//! can mean two dates (`1/2/2014`, `CST`), or says something that is not so (a wrong weekday), it is refused with the
//! reason. Words that depend on the day they are read (`tomorrow`, `in 2 hours`) are not understood.

mod parts;
mod zone;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use parts::Parts;
use zone::Zone;

/// Why a text was refused as a date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` {problem}; write for example `2014-05-07 18:00`, `7 May 2014 18:00 Europe/Berlin` or \
         `2014-05-07T18:00:00+02:00`"
)]
pub struct DateError {
    /// The text as it was given.
    pub text: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a text that should be a date. The words follow the text: "`31 Feb 2014` is no date: …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// A word or number that is no part of a date.
    #[error("has `{0}`, which is no part of a date that is known here")]
    Unknown(String),
    /// Two of something that a date has once.
    #[error("has more than one {0}")]
    Twice(&'static str),
    /// A date without one of its parts.
    #[error("does not say the {0}")]
    Missing(&'static str),
    /// `1/2/2014`: the order of its numbers is another one in every country.
    #[error(
        "has `{0}`, of which nobody knows whether the day or the month comes first: put the year first, then the \
             month"
    )]
    Order(String),
    /// `14` for a year.
    #[error("has `{0}` as a year, which needs four digits")]
    ShortYear(String),
    /// A day that its month does not have, or a month that no year has.
    #[error("has no such day in the calendar: there is no {0}")]
    NoSuchDay(String),
    /// An hour, minute or second that no clock shows.
    #[error("has `{0}` as its time, which no clock shows: hours are 0 to 23, or 1 to 12 with AM or PM")]
    NoSuchTime(String),
    /// A weekday that is not that of the date.
    #[error("says {said}, but {date} is a {truth}")]
    Weekday {
        /// The weekday in the text.
        said: String,
        /// The date in the text.
        date: String,
        /// The weekday of that date.
        truth: String,
    },
    /// An abbreviation that stands for more than one offset.
    #[error("has the time zone `{name}`, which can mean {meanings}")]
    Ambiguous {
        /// The abbreviation as it was given.
        name: String,
        /// What it can stand for, and how each is written plainly.
        meanings: &'static str,
    },
    /// An offset from UTC that no place on earth has.
    #[error("has the offset `{0}`, which no place has")]
    Offset(String),
    /// A date that cannot be counted with.
    #[error("is too far away")]
    Range,
}

/// Reads a date. One without a time is its midnight; one without a zone is of `default_zone`. A wall time that the
/// clock skips is the end of the gap, and of one that it shows twice it is the first, as in a schedule.
///
/// # Errors
///
/// Any text of which the meaning is not certain; see [`Problem`].
pub fn parse(text: &str, default_zone: Tz) -> Result<DateTime<Utc>, DateError> {
    Parts::read(text)
        .and_then(|parts| {
            let wall = parts.wall()?;
            let zone = parts.zone.unwrap_or(Zone::Named(default_zone));
            zone.instant(wall).ok_or(Problem::Range)
        })
        .map_err(|problem| DateError { text: text.to_owned(), problem })
}

#[cfg(test)]
mod tests;
