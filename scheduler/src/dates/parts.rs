//! From a text to the parts of a date: a word is a weekday, a month, a day, a year, a date, a time or a zone.

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Weekday};

use super::Problem;
use super::zone::{self, Zone};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// What a text says of a date.
#[derive(Debug, Default)]
pub(super) struct Parts {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    weekday: Option<Weekday>,
    time: Option<Time>,
    /// Whether it is the afternoon, if the text says AM or PM.
    afternoon: Option<bool>,
    pub(super) zone: Option<Zone>,
}

/// A time as it was written; AM and PM come after it.
#[derive(Debug)]
struct Time {
    text: String,
    hour: u32,
    minute: u32,
    second: u32,
    nanosecond: u32,
}

impl Parts {
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        let mut parts = Self::default();
        for word in without_comment(text).split(|it: char| it.is_whitespace() || it == ',') {
            parts.word(word)?;
        }
        if text.trim().is_empty() { Err(Problem::Empty) } else { Ok(parts) }
    }

    /// The wall time of these parts.
    pub(super) fn wall(&self) -> Result<NaiveDateTime, Problem> {
        let year = self.year.ok_or(Problem::Missing("year"))?;
        let month = self.month.ok_or(Problem::Missing("month"))?;
        let day = self.day.ok_or(Problem::Missing("day"))?;
        let date = NaiveDate::from_ymd_opt(year, month, day)
            .ok_or_else(|| Problem::NoSuchDay(format!("{year:04}-{month:02}-{day:02}")))?;
        if let Some(said) = self.weekday.filter(|said| *said != date.weekday()) {
            let [said, truth] = [said, date.weekday()].map(name);
            return Err(Problem::Weekday { said, date: date.to_string(), truth });
        }
        match (&self.time, self.afternoon) {
            (Some(time), afternoon) => {
                time.on(date, afternoon).ok_or_else(|| Problem::NoSuchTime(time.text.clone()))
            }
            (None, None) => Ok(date.and_time(NaiveTime::MIN)),
            (None, Some(_)) => Err(Problem::Missing("time")),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Problem> {
        // Spaces lie next to commas, and people write "15th of August 2014 at 18:00".
        if word.is_empty() || ["of", "at"].iter().any(|filler| filler.eq_ignore_ascii_case(word)) {
            return Ok(());
        }
        if word.starts_with(|it: char| it.is_ascii_digit()) {
            return self.number(word);
        }
        if let Some(index) = named(&WEEKDAYS, word) {
            return set(&mut self.weekday, Weekday::try_from(index).ok(), "weekday");
        }
        if let Some(index) = named(&MONTHS, word) {
            return set(&mut self.month, Some(u32::from(index) + 1), "month");
        }
        match word.to_ascii_uppercase().as_str() {
            "AM" => set(&mut self.afternoon, Some(false), "AM or PM"),
            "PM" => set(&mut self.afternoon, Some(true), "AM or PM"),
            _ => set(&mut self.zone, Some(zone::read(word)?), "time zone"),
        }
    }

    /// A word that begins with a digit.
    fn number(&mut self, word: &str) -> Result<(), Problem> {
        let unknown = || Problem::Unknown(word.to_owned());
        let (digits, rest) = split_digits(word);
        match rest.chars().next() {
            None if digits.len() == 4 => set(&mut self.year, digits.parse().ok(), "year"),
            None if digits.len() > 2 => Err(unknown()),
            // A second bare number can only be the year: "15 Aug 14".
            None if self.day.is_some() && self.year.is_none() => Err(Problem::ShortYear(word.to_owned())),
            None => set(&mut self.day, digits.parse().ok(), "day"),
            Some(':') => self.time(word),
            Some('-' | '/' | '.') => self.date(word),
            Some(_) => {
                let is_ordinal = ["st", "nd", "rd", "th"].iter().any(|it| it.eq_ignore_ascii_case(rest));
                if !is_ordinal || digits.len() > 2 {
                    return Err(unknown());
                }
                set(&mut self.day, digits.parse().ok(), "day")
            }
        }
    }

    /// `2014-05-7` and `2014/05/07`, with the time behind a `T` if there is one.
    fn date(&mut self, word: &str) -> Result<(), Problem> {
        let unknown = || Problem::Unknown(word.to_owned());
        let (date, time) = match word.split_once(['T', 't']) {
            Some((date, time)) => (date, Some(time)),
            None => (word, None),
        };
        let mut numbers = date.split(['-', '/', '.']);
        let (Some(year), Some(month), Some(day), None) =
            (numbers.next(), numbers.next(), numbers.next(), numbers.next())
        else {
            return Err(unknown());
        };
        let separators: Vec<_> = date.chars().filter(|it| !it.is_ascii_digit()).collect();
        let is_short = |text: &str| (1..=2).contains(&text.len());
        if !matches!(separators[..], ['-', '-'] | ['/', '/'] | ['.', '.']) || !is_short(month) {
            // "15-Aug-2014" is plain, but so rare that its example will do.
            return Err(unknown());
        }
        if is_short(year) {
            return Err(Problem::Order(date.to_owned()));
        }
        if year.len() != 4 || !is_short(day) || separators.contains(&'.') {
            return Err(unknown());
        }
        set(&mut self.year, year.parse().ok(), "year")?;
        set(&mut self.month, month.parse().ok(), "month")?;
        set(&mut self.day, day.parse().ok(), "day")?;
        match time {
            None => Ok(()),
            Some("") => Err(Problem::Missing("time")),
            Some(time) => self.time(time),
        }
    }

    /// `18:00`, `18:00:05`, `18:00:05.25`, with a zone right behind it if there is one.
    fn time(&mut self, word: &str) -> Result<(), Problem> {
        let end = word.find(|it: char| !matches!(it, '0'..='9' | ':' | '.')).unwrap_or(word.len());
        let (clock, zone) = word.split_at(end);
        let time = Time::read(clock).ok_or_else(|| Problem::NoSuchTime(clock.to_owned()))?;
        set(&mut self.time, Some(time), "time")?;
        if zone.is_empty() { Ok(()) } else { set(&mut self.zone, Some(zone::read(zone)?), "time zone") }
    }
}

impl Time {
    fn read(text: &str) -> Option<Self> {
        let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let mut numbers = clock.split(':');
        let (hour, minute) = (numbers.next()?, numbers.next()?);
        let second = numbers.next();
        if numbers.next().is_some() || fraction.is_empty() || (second.is_none() && text.contains('.')) {
            return None;
        }
        let second = second.map_or(Some(0), |second| two_digits(second, 2));
        // Digits behind the ninth are less than a nanosecond.
        let fraction = fraction.chars().all(|it| it.is_ascii_digit()).then(|| format!("{fraction:0<9.9}"))?;
        Some(Self {
            text: text.to_owned(),
            hour: two_digits(hour, 1)?,
            minute: two_digits(minute, 2)?,
            second: second?,
            nanosecond: fraction.parse().ok()?,
        })
    }

    fn on(&self, date: NaiveDate, afternoon: Option<bool>) -> Option<NaiveDateTime> {
        let hour = match afternoon {
            None => self.hour,
            Some(_) if !(1..=12).contains(&self.hour) => return None,
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
        };
        // Both RFCs allow a leap second. Clocks here do not have it: it is the second after it.
        let leap = u32::from(self.second == 60);
        let wall = date.and_hms_nano_opt(hour, self.minute, self.second - leap, self.nanosecond)?;
        wall.checked_add_signed(TimeDelta::seconds(leap.into()))
    }
}

fn set<T>(part: &mut Option<T>, value: Option<T>, what: &'static str) -> Result<(), Problem> {
    if part.is_some() {
        return Err(Problem::Twice(what));
    }
    *part = value;
    Ok(())
}

/// RFC 2822 allows a comment, and mail programs put the name of the zone there: "+0530 (IST)".
fn without_comment(text: &str) -> &str {
    let text = text.trim();
    text.strip_suffix(')').and_then(|text| text.rsplit_once('(')).map_or(text, |(before, _)| before)
}

/// The index of a name that is given in full or by at least its first three letters, with a full stop or without.
fn named(names: &[&str], word: &str) -> Option<u8> {
    let word = word.strip_suffix('.').unwrap_or(word).to_ascii_lowercase();
    let index = names.iter().position(|name| word.len() >= 3 && name.starts_with(&word))?;
    u8::try_from(index).ok()
}

fn name(weekday: Weekday) -> String {
    let lower = WEEKDAYS.get(weekday.num_days_from_monday() as usize).copied().unwrap_or_default();
    lower.get(..1).unwrap_or_default().to_ascii_uppercase() + lower.get(1..).unwrap_or_default()
}

fn split_digits(word: &str) -> (&str, &str) {
    word.split_at(word.find(|it: char| !it.is_ascii_digit()).unwrap_or(word.len()))
}

/// A number of `least` to two digits.
fn two_digits(text: &str, least: usize) -> Option<u32> {
    let (digits, rest) = split_digits(text);
    (rest.is_empty() && (least..=2).contains(&digits.len())).then(|| digits.parse().ok()).flatten()
}
