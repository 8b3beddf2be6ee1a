//! Times of the week, as an operator writes them: `mon-fri 08:00-18:00, 22:30-06:00`.

use std::str::FromStr;
use std::time::Duration;

use heliostat_plugin::{Error, Result, time::LocalTime};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: u32 = 24 * 60;
const WEEK: u32 = 7 * DAY;

/// Some times of the week.
#[derive(Debug, PartialEq, Eq)]
pub struct Hours {
    /// From and to, in minutes since Monday 00:00. One that goes past the end of the week is longer than it.
    spans: Vec<(u32, u32)>,
}

impl Hours {
    /// How long they still last, when they last now. Spans that touch are one; a whole week ends after a week.
    pub fn rest(&self, time: LocalTime) -> Option<Duration> {
        // Of the second week, so that what began at the end of the first is seen.
        let now = WEEK + time.weekday() * DAY + time.minute_of_day();
        let mut end = now;
        while let Some(later) = self.spans.iter().filter_map(|span| end_at(*span, end)).max() {
            end = later;
            if end >= now + WEEK {
                break;
            }
        }
        (end > now).then(|| Duration::from_secs(u64::from((end - now).min(WEEK)) * 60))
    }
}

/// The end of a span that holds `minute`, which may lie in the next week.
fn end_at((from, to): (u32, u32), minute: u32) -> Option<u32> {
    let weeks = minute / WEEK;
    let candidates = [weeks.checked_sub(1), Some(weeks), Some(weeks + 1)].into_iter().flatten();
    candidates
        .map(|week| (from + week * WEEK, to + week * WEEK))
        .find(|(from, to)| (*from..*to).contains(&minute))
        .map(|(_, to)| to)
}

impl FromStr for Hours {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut spans = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let parsed = parse(part).ok_or_else(|| {
                Error::new(format_args!(
                    "the setting `quiet` has `{part}`: write times such as `22:00-06:00` or `mon-fri 08:00-18:00`"
                ))
            })?;
            spans.extend(parsed);
        }
        if spans.is_empty() {
            return Err(Error::new("the setting `quiet` holds no time; write one such as `22:00-06:00`"));
        }
        Ok(Self { spans })
    }
}

/// The spans of one part: a time of the day, on the days in front of it or on all.
fn parse(part: &str) -> Option<Vec<(u32, u32)>> {
    let (days, times) = match part.rsplit_once(' ') {
        None => ((0..7).collect(), part),
        Some((days, times)) => (parse_days(days.trim())?, times),
    };
    let (from, to) = times.split_once('-')?;
    let (from, to) = (parse_minute(from)?, parse_minute(to)?);
    // Until an hour that is not later means until then on the next day.
    let length = if to > from { to - from } else { to + DAY - from };
    Some(days.into_iter().map(|day| (day * DAY + from, day * DAY + from + length)).collect())
}

fn parse_days(text: &str) -> Option<Vec<u32>> {
    let day =
        |name: &str| (0..).zip(DAYS).find(|(_, day)| name.eq_ignore_ascii_case(day)).map(|(index, _)| index);
    match text.split_once('-') {
        None => Some(vec![day(text)?]),
        Some((first, last)) => {
            let (first, last): (u32, u32) = (day(first)?, day(last)?);
            let length = (last + 7 - first) % 7;
            Some((first..=first + length).map(|day| day % 7).collect())
        }
    }
}

fn parse_minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (u32, u32) = (hour.trim().parse().ok()?, minute.trim().parse().ok()?);
    (hour < 24 && minute < 60 || (hour, minute) == (24, 0)).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use heliostat_plugin::testing::NOW_MS;

    use super::*;

    /// Minutes that `hours` still last so many minutes after Wednesday 00:00.
    fn rest(hours: &str, minute: u64) -> Option<u64> {
        let midnight = NOW_MS - NOW_MS % 86_400_000;
        let hours: Hours = hours.parse().unwrap();
        hours.rest(LocalTime::new(midnight + minute * 60_000, 0)).map(|rest| rest.as_secs() / 60)
    }

    #[test]
    fn a_time_of_the_day_begins_with_its_first_minute_and_ends_before_its_last() {
        assert_eq!(rest("08:00-18:00", 479), None);
        assert_eq!(rest("08:00-18:00", 480), Some(600));
        assert_eq!(rest("08:00-18:00", 1079), Some(1));
        assert_eq!(rest("08:00-18:00", 1080), None);
    }

    #[test]
    fn nights_go_over_midnight_and_weeks_over_their_end() {
        assert_eq!(rest("22:00-06:00", 23 * 60), Some(420));
        assert_eq!(rest("22:00-06:00", 60), Some(300));
        assert_eq!(rest("tue 22:00-06:00", 60), Some(300));
        assert_eq!(rest("wed 22:00-06:00", 60), None);
        // Monday at one in the morning, after the night that began on Sunday.
        assert_eq!(rest("sun 22:00-06:00", 5 * 1440 + 60), Some(300));
    }

    #[test]
    fn days_go_round_the_week_and_spans_that_touch_are_one() {
        assert_eq!(rest("mon-fri 08:00-18:00", 600), Some(480));
        assert_eq!(rest("fri-mon 08:00-18:00", 600), None);
        assert_eq!(rest("08:00-12:00, 12:00-13:00", 600), Some(180));
        assert_eq!(rest("00:00-24:00", 600), Some(7 * 1440));
    }

    #[test]
    fn what_is_no_time_is_refused_by_name() {
        for text in ["8-18", "08:00", "mo 08:00-18:00", "25:00-26:00", "08:61-09:00"] {
            let error = text.parse::<Hours>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("the setting `quiet` has `{text}`")), "{error}");
        }
        assert!(" , ".parse::<Hours>().is_err());
    }
}
