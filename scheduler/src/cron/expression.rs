//! One expression of one cron field: its grammar, what it matches, and how it is written out again.
//!
//! The grammar and its bounds are `APScheduler`'s, with `H` added. Two things are stricter: text behind a complete
//! expression (`mon-fri/2`, `last friday night`) is refused instead of being dropped without a word.

use std::fmt;

use super::calendar::MonthShape;
use super::spread::{self, number};
use super::unit::Unit;

/// What is between two commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// `*` and `*/a`: counted from the smallest value of the unit.
    All { step: Option<u32> },
    /// `a`, `a-b`, `a-b/c` and `a/c`, counted from `a`; without `b` up to the largest value.
    Range { first: u32, last: Option<u32>, step: Option<u32> },
    /// `mon`, `jan-mar`: like a range of numbers, written with names.
    Named { first: u32, last: u32, unit: Unit },
    /// `2nd fri`: the position counts from 0. Days only.
    Nth { position: u32, weekday: u32 },
    /// `last fri`. Days only.
    LastWeekday { weekday: u32 },
    /// `last`: the last day of the month. Days only.
    LastDay,
}

const POSITIONS: [&str; 5] = ["1st", "2nd", "3rd", "4th", "5th"];

impl Expression {
    /// Reads one expression. `seed` decides what an `H` stands for.
    pub(super) fn parse(text: &str, unit: Unit, seed: &str) -> Result<Self, String> {
        let (low, high) = unit.bounds();
        if let Some(rest) = text.strip_prefix('*') {
            return Self::all(text, rest, unit);
        }
        let spread_over = unit.spread().unwrap_or_default();
        if let Some(spread) = spread::read(text, spread_over, (low, high), &[seed, unit.name()]) {
            if unit.spread().is_none() {
                return Err("`H` cannot choose a year; write the year".to_owned());
            }
            let spread::Spread { first, last, step } = spread?;
            return Ok(Self::Range { first, last: Some(last), step });
        }
        match text.as_bytes().first() {
            Some(first) if first.is_ascii_digit() && text.bytes().all(|it| b"0123456789-/".contains(&it)) => {
                Self::range(text, unit)
            }
            Some(_) if unit == Unit::Day => Self::day(text),
            Some(first) if first.is_ascii_alphabetic() && !unit.names().is_empty() => Self::names(text, unit),
            _ => Err(unknown(text, unit)),
        }
    }

    /// Whether the value of any unit but the day is matched.
    pub(super) fn matches(&self, value: u32, unit: Unit) -> bool {
        match *self {
            Self::All { step } => (value - unit.bounds().0).is_multiple_of(step.unwrap_or(1)),
            Self::Range { first, last, step } => {
                first <= value
                    && last.is_none_or(|last| value <= last)
                    && (value - first).is_multiple_of(step.unwrap_or(1))
            }
            Self::Named { first, last, .. } => (first..=last).contains(&value),
            Self::Nth { .. } | Self::LastWeekday { .. } | Self::LastDay => false,
        }
    }

    /// Whether a day of a month of this shape is matched.
    pub(super) fn matches_day(&self, day: u32, shape: MonthShape) -> bool {
        match *self {
            Self::Nth { position, weekday } => shape.weekday(day) == weekday && (day - 1) / 7 == position,
            Self::LastWeekday { weekday } => shape.weekday(day) == weekday && day + 7 > shape.length,
            Self::LastDay => day == shape.length,
            _ => self.matches(day, Unit::Day),
        }
    }

    fn all(text: &str, rest: &str, unit: Unit) -> Result<Self, String> {
        if rest.is_empty() {
            return Ok(Self::All { step: None });
        }
        let step = rest.strip_prefix('/').and_then(number).ok_or_else(|| unknown(text, unit))?;
        let (low, high) = unit.bounds();
        check_step(text, step, high - low)?;
        Ok(Self::All { step: Some(step) })
    }

    fn range(text: &str, unit: Unit) -> Result<Self, String> {
        let unknown = || unknown(text, unit);
        let (low, high) = unit.bounds();
        let (range, step) = match text.split_once('/') {
            None => (text, None),
            Some((range, step)) => (range, Some(number(step).ok_or_else(unknown)?)),
        };
        let (first, last) = match range.split_once('-') {
            None => (number(range).ok_or_else(unknown)?, None),
            Some((first, last)) => {
                (number(first).ok_or_else(unknown)?, Some(number(last).ok_or_else(unknown)?))
            }
        };
        for value in [Some(first), last].into_iter().flatten() {
            if value < low || value > high {
                return Err(format!("`{value}` is outside of {low} to {high}"));
            }
        }
        if last.is_some_and(|last| last < first) {
            return Err(format!("`{range}` runs backwards; write the smaller value first, or two ranges"));
        }
        if let Some(step) = step {
            // A last value of 0 counts as none here, as it always did: `0-0/5` is accepted.
            check_step(text, step, last.filter(|last| *last != 0).unwrap_or(high) - first)?;
        }
        let last = if step.is_none() { last.or(Some(first)) } else { last };
        Ok(Self::Range { first, last, step })
    }

    fn names(text: &str, unit: Unit) -> Result<Self, String> {
        let named = |name: &str| {
            let known = unit.names().join(", ");
            unit.named(name).ok_or_else(|| format!("`{name}` is not one of {known}"))
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (named(first)?, named(last)?);
        if last < first {
            return Err(format!("`{text}` runs backwards; write two ranges, such as `sat-sun,mon`"));
        }
        Ok(Self::Named { first, last, unit })
    }

    fn day(text: &str) -> Result<Self, String> {
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        let (Some(position), weekday, None) = (words.next(), words.next(), words.next()) else {
            return Err(unknown(text, Unit::Day));
        };
        let Some(weekday) = weekday else {
            return if position.eq_ignore_ascii_case("last") {
                Ok(Self::LastDay)
            } else {
                Err(unknown(text, Unit::Day))
            };
        };
        let weekday = Unit::DayOfWeek.named(weekday).ok_or_else(|| {
            format!("`{weekday}` in `{text}` is not one of {}", Unit::DayOfWeek.names().join(", "))
        })?;
        if position.eq_ignore_ascii_case("last") {
            return Ok(Self::LastWeekday { weekday });
        }
        let position = POSITIONS.iter().position(|known| known.eq_ignore_ascii_case(position));
        let position = position.and_then(|position| u32::try_from(position).ok());
        position.map(|position| Self::Nth { position, weekday }).ok_or_else(|| unknown(text, Unit::Day))
    }
}

fn check_step(text: &str, step: u32, widest: u32) -> Result<(), String> {
    match step {
        0 => Err(format!("the step of `{text}` must be at least 1")),
        step if step > widest => {
            Err(format!("the step of `{text}` is larger than its range, which allows {widest} at most"))
        }
        _ => Ok(()),
    }
}

fn unknown(text: &str, unit: Unit) -> String {
    let (low, high) = unit.bounds();
    let more = match unit {
        Unit::Day => ", `last`, `2nd fri` or `last fri`",
        Unit::Month => ", or names such as `jan` or `jan-mar`",
        Unit::DayOfWeek => " from Monday, or names such as `mon` or `mon-fri`",
        _ => "",
    };
    format!(
        "`{text}` cannot be read: write `*`, `*/2`, `a`, `a-b` or `a-b/2` with values of {low} to {high}{more}"
    )
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weekday =
            |weekday: u32| Unit::DayOfWeek.names().get(weekday as usize).copied().unwrap_or_default();
        match *self {
            Self::All { step: None } => f.write_str("*"),
            Self::All { step: Some(step) } => write!(f, "*/{step}"),
            Self::Range { first, last, step } => {
                write!(f, "{first}")?;
                if let Some(last) = last.filter(|last| *last != first) {
                    write!(f, "-{last}")?;
                }
                step.map_or(Ok(()), |step| write!(f, "/{step}"))
            }
            Self::Named { first, last, unit } => {
                let name =
                    |value| unit.names().get((value - unit.bounds().0) as usize).copied().unwrap_or_default();
                f.write_str(name(first))?;
                if last == first { Ok(()) } else { write!(f, "-{}", name(last)) }
            }
            Self::Nth { position, weekday: day } => {
                let position = POSITIONS.get(position as usize).copied().unwrap_or_default();
                write!(f, "{position} {}", weekday(day))
            }
            Self::LastWeekday { weekday: day } => write!(f, "last {}", weekday(day)),
            Self::LastDay => f.write_str("last"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_out_in_one_form() {
        for (unit, text, written) in [
            (Unit::Minute, "*", "*"),
            (Unit::Minute, "*/5", "*/5"),
            (Unit::Minute, "07", "7"),
            (Unit::Minute, "5-5", "5"),
            (Unit::Minute, "5/20", "5/20"),
            (Unit::Minute, "5-50/20", "5-50/20"),
            (Unit::Minute, "0-0/5", "0/5"),
            (Unit::Month, "JAN-Mar", "jan-mar"),
            (Unit::DayOfWeek, "sun", "sun"),
            (Unit::Day, "2ND  Fri", "2nd fri"),
            (Unit::Day, "Last sun", "last sun"),
            (Unit::Day, "LAST", "last"),
        ] {
            assert_eq!(Expression::parse(text, unit, "p").unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (unit, texts) in [
            (
                Unit::Minute,
                &["", "60", "5-4", "*/0", "*/60", "50-59/10", "a", "-1", "1-", "+1", "*5", "1/2/3", "1.0"][..],
            ),
            (Unit::Hour, &["24", "*/24", "mon", "99999999999"]),
            (Unit::Month, &["0", "13", "january", "dec-jan", "jan/2", "mon"]),
            (Unit::DayOfWeek, &["7", "sat-mon", "mon-fri/2", "*/7", "1-fri"]),
            (
                Unit::Day,
                &["0", "32", "6th fri", "2nd", "last friday", "2nd\tfri", "2nd 4", "last fri x", "fri"],
            ),
            (Unit::Year, &["14", "1969", "H", "10000"]),
            (Unit::Week, &["54", "0"]),
        ] {
            for text in texts {
                assert!(Expression::parse(text, unit, "p").is_err(), "{} {text}", unit.name());
            }
        }
    }
}
