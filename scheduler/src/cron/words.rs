//! A calendar in words, for people: "03:00 on the last Friday of each month".

use super::calendar::{ANY, Calendar, has, mask, values};
use super::expression::Expression;
use super::unit::Unit;
use super::{CronFields, CronText};

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const POSITIONS: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];
/// So many times of a day are listed; more are told by their rule.
const LISTED_TIMES: u32 = 6;

/// The days of a rule, in the words of whichever grammar it was written in.
#[derive(Default)]
struct DayWords {
    /// "the 1st", "the last Friday"; empty if any day will do.
    of_month: Vec<String>,
    /// The weekdays, Monday first; 0 if any will do.
    weekdays: u64,
    /// One of both conditions is enough.
    either: bool,
}

impl CronFields {
    /// The fields in words.
    pub(crate) fn describe(&self) -> String {
        let weekdays = mask(0, 6, |day| {
            self.expressions(Unit::DayOfWeek).iter().any(|it| it.matches(day, Unit::DayOfWeek))
        });
        let days = self.expressions(Unit::Day);
        let days = DayWords {
            of_month: if days.contains(&Expression::All { step: None }) {
                Vec::new()
            } else {
                days.iter().map(day_of_month).collect()
            },
            weekdays: if weekdays == 0x7f { 0 } else { weekdays },
            either: false,
        };
        let [(_, year), ..] = self.filled();
        let year = if year == "*" { String::new() } else { format!(" in the year {year}") };
        sentence(self.calendar(), &days) + &year
    }
}

impl CronText {
    /// The text in words.
    pub(crate) fn describe(&self) -> String {
        let [_, _, _, day, _, weekday] = &self.fields;
        let mut words = DayWords { either: !weekday.starts_with('+'), ..DayWords::default() };
        if !matches!(day.as_str(), "*" | "?") {
            words.of_month = day.split(',').map(day_item).collect();
        }
        for item in weekday.trim_start_matches('+').split(',').filter(|item| !matches!(*item, "*" | "?")) {
            match weekday_item(item) {
                WeekdayItem::OfMonth(text) => words.of_month.push(text),
                WeekdayItem::Each(days) => words.weekdays |= days,
            }
        }
        sentence(self.calendar(), &words)
    }
}

enum WeekdayItem {
    OfMonth(String),
    Each(u64),
}

fn sentence(calendar: &Calendar, days: &DayWords) -> String {
    let (clock, is_list) = clock(calendar);
    let months = mask(1, 12, |month| has(calendar.months, month));
    let all_months = months == 0x1ffe;
    let of_month = join(&days.of_month);
    let weekdays = ranges(days.weekdays, |day| name(&WEEKDAYS, day));
    let month_names = ranges(months, |month| name(&MONTHS, month - 1));
    let mut text = clock;
    if !of_month.is_empty() {
        text += &format!(" on {of_month} of {}", if all_months { "each month" } else { &month_names });
    }
    text += &match (weekdays.is_empty(), of_month.is_empty(), days.either) {
        (true, ..) => String::new(),
        (_, true, _) => format!(" on {weekdays}"),
        (.., true) => format!(" or on {weekdays}"),
        (.., false) => format!(" if it is {weekdays}"),
    };
    if of_month.is_empty() && !all_months {
        text += &format!(" in {month_names}");
    }
    if calendar.weeks != ANY {
        text += &format!(" in ISO week {}", ranges(calendar.weeks, |week| week.to_string()));
    }
    if is_list && of_month.is_empty() && weekdays.is_empty() && all_months && calendar.weeks == ANY {
        text += " every day";
    }
    text
}

/// How the values of a unit lie.
#[derive(Clone, Copy)]
enum Rhythm {
    One(u32),
    /// From the first value on in equal steps around the clock; 1 is every value.
    Steps(u32, u32),
    Other,
}

fn rhythm(mask: u64, size: u32) -> Rhythm {
    let count = mask.count_ones();
    let first = mask.trailing_zeros();
    if count == 1 {
        return Rhythm::One(first);
    }
    let step = size.checked_div(count).unwrap_or(size);
    let even =
        size.is_multiple_of(step) && (first..size).step_by(step as usize).all(|value| has(mask, value));
    if even && first < step && step * count == size { Rhythm::Steps(first, step) } else { Rhythm::Other }
}

/// The times of a day, and whether they are told as a list of times.
fn clock(calendar: &Calendar) -> (String, bool) {
    let (hours, minutes, seconds) = (calendar.hours, calendar.minutes, calendar.seconds);
    let text = match (rhythm(hours, 24), rhythm(minutes, 60), rhythm(seconds, 60)) {
        (Rhythm::Steps(_, 1), Rhythm::Steps(_, 1), Rhythm::Steps(from, step)) => {
            every(step, "second", from, "second")
        }
        (Rhythm::Steps(_, 1), Rhythm::Steps(from, step), Rhythm::One(second)) => {
            every(step, "minute", from, "minute") + &at(second, " at second")
        }
        (Rhythm::Steps(_, 1), Rhythm::One(minute), Rhythm::One(0)) => {
            "every hour".to_owned() + &at(minute, " at minute")
        }
        // Two times of a day are plainer as times: "03:30 and 15:30", not "every 12 hours from 03:30".
        (Rhythm::Steps(from, step), Rhythm::One(minute), Rhythm::One(0)) if hours.count_ones() > 2 => {
            let start =
                if from + minute == 0 { String::new() } else { format!(" from {from:02}:{minute:02}") };
            format!("every {step} hours{start}")
        }
        _ if hours.count_ones() * minutes.count_ones() * seconds.count_ones() <= LISTED_TIMES => {
            return (times(hours, minutes, seconds), true);
        }
        (_, minute, second) => {
            let minutes = match minute {
                Rhythm::Steps(from, step) => every(step, "minute", from, "minute"),
                _ => format!("at minute {}", ranges(minutes, |minute| minute.to_string())),
            };
            let seconds = match second {
                Rhythm::One(0) => String::new(),
                Rhythm::Steps(from, step) => format!(", {}", every(step, "second", from, "second")),
                _ => format!(", at second {}", ranges(seconds, |second| second.to_string())),
            };
            let whole_day = hours.count_ones() == 24;
            let hours = ranges(hours, |hour| hour.to_string());
            format!(
                "{minutes}{seconds}{}",
                if whole_day { String::new() } else { format!(" in the hours {hours}") }
            )
        }
    };
    (text, false)
}

fn every(step: u32, unit: &str, from: u32, from_unit: &str) -> String {
    if step == 1 {
        format!("every {unit}")
    } else {
        format!("every {step} {unit}s") + &at(from, &format!(" from {from_unit}"))
    }
}

fn at(value: u32, lead: &str) -> String {
    if value == 0 { String::new() } else { format!("{lead} {value}") }
}

fn times(hours: u64, minutes: u64, seconds: u64) -> String {
    let mut times = Vec::new();
    for hour in values(hours) {
        for minute in values(minutes) {
            for second in values(seconds) {
                let second = if seconds == 1 { String::new() } else { format!(":{second:02}") };
                times.push(format!("{hour:02}:{minute:02}{second}"));
            }
        }
    }
    join(&times)
}

fn day_of_month(expression: &Expression) -> String {
    match *expression {
        Expression::Nth { position, weekday } => nth_weekday(&name(&POSITIONS, position), weekday),
        Expression::LastWeekday { weekday } => nth_weekday("last", weekday),
        Expression::LastDay => "the last day".to_owned(),
        _ => day_item(&expression.to_string()),
    }
}

/// A day of the month in the grammar that both kinds of rules share, or in croner's.
fn day_item(item: &str) -> String {
    let (range, step) = item.split_once('/').unwrap_or((item, "1"));
    let days = match range {
        "*" => "the 1st".to_owned(),
        "L" => "the last day".to_owned(),
        "LW" => "the last working day".to_owned(),
        range => match range.strip_suffix('W') {
            Some(day) => format!("the working day nearest to the {}", ordinal(day)),
            None => range.split_once('-').map_or_else(
                || format!("the {}", ordinal(range)),
                |(first, last)| format!("the {} to the {}", ordinal(first), ordinal(last)),
            ),
        },
    };
    if item.contains('/') { format!("every {} day from {days}", ordinal(step)) } else { days }
}

fn weekday_item(item: &str) -> WeekdayItem {
    if let Some((day, position)) =
        item.split_once('#').or_else(|| item.strip_suffix('L').map(|day| (day, "L")))
    {
        let position =
            position.parse().map_or_else(|_| "last".into(), |position: u32| name(&POSITIONS, position - 1));
        return WeekdayItem::OfMonth(nth_weekday(&position, weekday(day).unwrap_or(0)));
    }
    let (range, step) = item.split_once('/').unwrap_or((item, "1"));
    let (first, last) =
        if range == "*" { ("0", "6") } else { range.split_once('-').unwrap_or((range, range)) };
    // Counted as croner counts, from Sunday; a week that ends on Sunday ends with 7.
    let sunday_first = |text: &str| {
        WEEKDAYS
            .iter()
            .position(|name| name[..3].eq_ignore_ascii_case(text))
            .map_or_else(|| text.parse().unwrap_or(0), |index| (index + 1) % 7)
    };
    let first_day: usize = sunday_first(first);
    let last_day = match sunday_first(last) {
        0 if first_day > 0 => 7,
        other => other,
    };
    let days = (first_day..=last_day).step_by(step.parse().unwrap_or(1).max(1));
    WeekdayItem::Each(days.fold(0, |mask, day| mask | (1 << ((day + 6) % 7))))
}

fn weekday(text: &str) -> Option<u32> {
    Unit::DayOfWeek.named(text).or_else(|| text.parse().ok().map(|day: u32| (day + 6) % 7))
}

fn nth_weekday(position: &str, weekday: u32) -> String {
    format!("the {position} {}", name(&WEEKDAYS, weekday))
}

fn name(names: &[&str], index: u32) -> String {
    names.get(index as usize).copied().unwrap_or_default().to_owned()
}

fn ordinal(number: &str) -> String {
    let suffix = match number.as_bytes() {
        [b'1', _] => "th",
        [.., b'1'] => "st",
        [.., b'2'] => "nd",
        [.., b'3'] => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

/// Values with neighbours drawn together: "Monday to Friday and Sunday".
fn ranges(mask: u64, name: impl Fn(u32) -> String) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for value in values(mask) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == value => *last = value,
            _ => runs.push((value, value)),
        }
    }
    let texts: Vec<_> = runs
        .into_iter()
        .map(
            |(first, last)| {
                if first == last { name(first) } else { format!("{} to {}", name(first), name(last)) }
            },
        )
        .collect();
    join(&texts)
}

fn join(texts: &[String]) -> String {
    match texts {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&str, &str)]) -> String {
        let given = fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        CronFields::parse(&given, "p").unwrap().describe()
    }

    #[test]
    fn fields_read_as_a_person_would_say_them() {
        for (given, words) in [
            (&[("minute", "*/5")][..], "every 5 minutes"),
            (&[("minute", "2/5")], "every 5 minutes from minute 2"),
            (&[("minute", "*/7")], "at minute 0, 7, 14, 21, 28, 35, 42, 49 and 56"),
            (&[("second", "*")], "every second"),
            (&[("minute", "*")], "every minute"),
            (&[("minute", "7")], "every hour at minute 7"),
            (&[("hour", "*")], "every hour"),
            (&[("hour", "*/6")], "every 6 hours"),
            (&[("hour", "*/12")], "00:00 and 12:00 every day"),
            (&[("hour", "1,9,17"), ("minute", "30")], "every 8 hours from 01:30"),
            (&[("hour", "3")], "03:00 every day"),
            (&[("hour", "3,15"), ("minute", "30")], "03:30 and 15:30 every day"),
            (&[("hour", "3"), ("day", "last fri")], "03:00 on the last Friday of each month"),
            (&[("day", "1,15,last")], "00:00 on the 1st, the 15th and the last day of each month"),
            (
                &[("day", "*/2"), ("month", "jan,mar-may")],
                "00:00 on every 2nd day from the 1st of January and March to May",
            ),
            (&[("day_of_week", "mon-fri"), ("hour", "9")], "09:00 on Monday to Friday"),
            (&[("day", "13"), ("day_of_week", "fri")], "00:00 on the 13th of each month if it is Friday"),
            (&[("week", "1-3"), ("hour", "4")], "04:00 in ISO week 1 to 3"),
            (&[("month", "6"), ("hour", "4"), ("day", "*")], "04:00 in June"),
            (&[("year", "2030")], "00:00 on the 1st of January in the year 2030"),
            (&[("minute", "*/10"), ("hour", "9-17")], "every 10 minutes in the hours 9 to 17"),
            (&[("second", "30"), ("hour", "3"), ("minute", "0")], "03:00:30 every day"),
        ] {
            assert_eq!(fields(given), words, "{given:?}");
        }
    }

    #[test]
    fn cron_texts_read_as_a_person_would_say_them() {
        for (text, words) in [
            ("*/5 * * * *", "every 5 minutes"),
            ("@daily", "00:00 every day"),
            ("@weekly", "00:00 on Sunday"),
            ("0 3 * * FRI#L", "03:00 on the last Friday of each month"),
            ("0 3 * * 1#2", "03:00 on the second Monday of each month"),
            ("0 3 * * 5L", "03:00 on the last Friday of each month"),
            ("0 3 L * *", "03:00 on the last day of each month"),
            ("0 3 LW 2 *", "03:00 on the last working day of February"),
            ("0 3 15W * ?", "03:00 on the working day nearest to the 15th of each month"),
            ("0 3 13 * 5", "03:00 on the 13th of each month or on Friday"),
            ("0 3 13 * +FRI", "03:00 on the 13th of each month if it is Friday"),
            ("0 3 * * MON-FRI", "03:00 on Monday to Friday"),
            ("0 3 * * 5-7", "03:00 on Friday to Sunday"),
            ("30 0 3 1-5 * *", "03:00:30 on the 1st to the 5th of each month"),
        ] {
            assert_eq!(CronText::parse(text, "p").unwrap().describe(), words, "{text}");
        }
    }
}
