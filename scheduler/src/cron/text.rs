//! Cron texts: five fields, six with seconds first, or a name such as `@daily`.
//!
//! croner reads the grammar (`L`, `W`, `#`, `?`, `+`, names). It is asked once for what each field contains; time is
//! then walked by the same calendar as for the other kind of rule. Where croner is lenient in a way that hides a
//! mistake (a weekday's name as an hour, an empty item), the text is refused before it gets there.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use croner::time::Weekday;

use super::ScheduleError;
use super::calendar::{ANY, Calendar, Days, LAST_YEAR, MonthShape, Years, mask};
use super::spread::{self, Spread};

/// A cron text that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronText {
    text: String,
    /// Second to weekday, with `H` and names of whole texts replaced; what the calendar was made of.
    pub(super) fields: [String; 6],
    calendar: Calendar,
}

/// A field of a cron text.
struct Slot {
    name: &'static str,
    low: u32,
    high: u32,
    /// The range of a plain `H`.
    spread: (u32, u32),
    /// Words that croner takes anywhere but that mean something only here.
    words: &'static [&'static str],
    example: &'static str,
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 15] = [
    "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "L", "SUNL", "MONL", "TUEL", "WEDL", "THUL", "FRIL",
    "SATL",
];

static SLOTS: [Slot; 6] = [
    Slot { name: "second", low: 0, high: 59, spread: (0, 59), words: &[], example: "" },
    Slot { name: "minute", low: 0, high: 59, spread: (0, 59), words: &[], example: "" },
    Slot { name: "hour", low: 0, high: 23, spread: (0, 23), words: &[], example: "" },
    Slot {
        name: "day",
        low: 1,
        high: 31,
        spread: (1, 28),
        words: &["L", "LW", "W"],
        example: ", `L` for the last day, `15W` for the weekday nearest to the 15th",
    },
    Slot { name: "month", low: 1, high: 12, spread: (1, 12), words: &MONTHS, example: ", or `JAN` to `DEC`" },
    Slot {
        name: "day_of_week",
        low: 0,
        high: 7,
        spread: (0, 6),
        words: &WEEKDAYS,
        example: " from Sunday to Sunday, or `SUN` to `SAT`, `FRI#2`, `FRI#L`",
    },
];

impl CronText {
    /// Reads a cron text. `seed` is what `H` takes its value from: the same seed always gives the same times.
    ///
    /// # Errors
    ///
    /// The first field that cannot be read, or a calendar without a single date up to the year 2199.
    pub fn parse(text: &str, seed: &str) -> Result<Self, ScheduleError> {
        let fields = split(text)?;
        let mut resolved = fields.clone();
        for (slot, field) in SLOTS.iter().zip(&mut resolved) {
            *field = resolve(slot, field, seed).map_err(|message| ScheduleError::new(slot.name, message))?;
        }
        let cron = read(&resolved.join(" ")).map_err(|message| blame(&resolved, &message))?;
        let calendar = calendar(&cron);
        if !calendar.is_possible() {
            return Err(ScheduleError::new(
                "",
                format!(
                    "`{}` never fires: up to the year {LAST_YEAR} no date has day `{}` in month `{}`",
                    text.trim(),
                    resolved[3],
                    resolved[4],
                ),
            ));
        }
        Ok(Self { text: text.trim().to_owned(), fields: resolved, calendar })
    }

    /// The text as it was given, without the space around it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn calendar(&self) -> &Calendar {
        &self.calendar
    }
}

/// The six fields of a text in capitals, seconds first.
fn split(text: &str) -> Result<[String; 6], ScheduleError> {
    let whole = |message: String| ScheduleError::new("", message);
    let upper = text.trim().to_uppercase();
    if upper.starts_with('@') {
        let fields = match upper.as_str() {
            "@YEARLY" | "@ANNUALLY" => ["0", "0", "0", "1", "1", "*"],
            "@MONTHLY" => ["0", "0", "0", "1", "*", "*"],
            "@WEEKLY" => ["0", "0", "0", "*", "*", "0"],
            "@DAILY" | "@MIDNIGHT" => ["0", "0", "0", "*", "*", "*"],
            "@HOURLY" => ["0", "0", "*", "*", "*", "*"],
            _ => {
                return Err(whole(format!(
                    "`{}` is not known; the names are @yearly, @monthly, @weekly, @daily and @hourly",
                    text.trim()
                )));
            }
        };
        return Ok(fields.map(str::to_owned));
    }
    let mut parts: Vec<_> = upper.split_whitespace().map(str::to_owned).collect();
    let count = parts.len();
    if count == 5 {
        parts.insert(0, "0".to_owned());
    }
    parts.try_into().map_err(|_| {
        whole(format!(
            "`{}` has {count} fields; write five (minute, hour, day, month, weekday) or six with the second first",
            text.trim()
        ))
    })
}

/// Puts values in the place of each `H`, and refuses what croner would misread.
fn resolve(slot: &Slot, field: &str, seed: &str) -> Result<String, String> {
    let items = field.split(',').map(|item| {
        let spread = spread::read(item, slot.spread, (slot.low, slot.high), &[seed, slot.name]);
        match spread.transpose()? {
            Some(Spread { first, step: None, .. }) => Ok(first.to_string()),
            Some(Spread { first, last, step: Some(step) }) => Ok(format!("{first}-{last}/{step}")),
            None if item.is_empty() => Err(format!("`{field}` has an empty item between its commas")),
            None => {
                let words = item.split(|it: char| !it.is_alphabetic()).filter(|word| !word.is_empty());
                match words.into_iter().find(|word| !slot.words.contains(word)) {
                    Some(word) => {
                        Err(format!("`{word}` in `{field}` means nothing here; {}", slot.accepts()))
                    }
                    None => Ok(item.to_owned()),
                }
            }
        }
    });
    Ok(items.collect::<Result<Vec<_>, String>>()?.join(","))
}

impl Slot {
    fn accepts(&self) -> String {
        let Self { name, low, high, example, .. } = self;
        format!("the {name} is `*`, `*/2`, `a`, `a-b` or `a-b/2` with values of {low} to {high}{example}")
    }
}

/// A text of six fields, as croner sees it; or its reason why not.
fn read(text: &str) -> Result<Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).build();
    parser.parse(text).map_err(|error| error.to_string())
}

/// croner says what is wrong, but not where: the field is the one that is refused among five free ones.
fn blame(fields: &[String; 6], reason: &str) -> ScheduleError {
    for (index, (slot, field)) in SLOTS.iter().zip(fields).enumerate() {
        let mut alone = ["*"; 6];
        alone[index] = field;
        if read(&alone.join(" ")).is_err() {
            return ScheduleError::new(slot.name, format!("`{field}` cannot be read; {}", slot.accepts()));
        }
    }
    ScheduleError::new("", format!("`{}` cannot be read: {reason}", fields.join(" ")))
}

/// Everything that the pattern matches. Its year is `*`, and a value out of bounds matches nothing.
fn calendar(cron: &Cron) -> Calendar {
    let pattern = &cron.pattern;
    let every_day = pattern.is_dom_wildcard() && pattern.is_dow_wildcard();
    Calendar {
        years: Years::ANY,
        months: mask(1, 12, |month| pattern.month_match(month).unwrap_or(false)),
        days: Days::which(|shape, day| every_day || matches_day(cron, shape, day)),
        weeks: ANY,
        hours: mask(0, 23, |hour| pattern.hour_match(hour).unwrap_or(false)),
        minutes: mask(0, 59, |minute| pattern.minute_match(minute).unwrap_or(false)),
        seconds: mask(0, 59, |second| pattern.second_match(second).unwrap_or(false)),
    }
}

/// The year and the month tell croner how long the month is, and nothing else: it goes by the weekday it is given.
fn matches_day(cron: &Cron, shape: MonthShape, day: u32) -> bool {
    let (year, month) = match shape.length {
        28 => (2001, 2),
        29 => (2000, 2),
        30 => (2000, 4),
        _ => (2000, 1),
    };
    let weekday = Weekday::from_days_from_sunday(shape.weekday(day) + 1);
    cron.pattern.day_match(year, month, day, weekday).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> String {
        CronText::parse(text, "p").unwrap_err().to_string()
    }

    #[test]
    fn the_wrong_field_is_named_with_its_expression_and_what_it_takes() {
        assert!(
            refused("61 * * * *").starts_with("`schedule.cron.minute`: `61` cannot be read; the minute is")
        );
        for (text, field) in [
            ("0 MON * * *", "hour"),
            ("0 0 1 TUE *", "month"),
            ("0 0 MONDAY * *", "day"),
            ("0 0 L-3 * *", "day"),
            ("0 0 * * fri-mon", "day_of_week"),
            ("0 22-4 * * *", "hour"),
            ("3/15 * * * *", "minute"),
            ("1,,2 * * * *", "minute"),
            ("0 0 * * FRI#6", "day_of_week"),
            ("60 * * * * *", "second"),
            ("0 H(0-24) * * *", "hour"),
        ] {
            assert!(
                refused(text).starts_with(&format!("`schedule.cron.{field}`: ")),
                "{text}: {}",
                refused(text)
            );
        }
    }

    #[test]
    fn the_number_of_fields_and_the_names_of_whole_texts_are_checked() {
        assert!(refused("* * * *").contains("has 4 fields"));
        assert!(refused("0 0 0 1 1 * 2030").contains("has 7 fields"));
        assert!(refused("").contains("has 0 fields"));
        assert!(refused("@reboot").contains("the names are"));
        let midnight = CronText::parse(" @midnight ", "p").unwrap();
        assert_eq!(midnight.text(), "@midnight");
        assert_eq!(midnight.calendar(), CronText::parse("0 0 * * *", "p").unwrap().calendar());
    }

    #[test]
    fn a_date_that_never_comes_is_refused_with_the_reason() {
        assert!(
            refused("0 0 31 2 *")
                .contains("never fires: up to the year 2199 no date has day `31` in month `2`")
        );
        assert!(CronText::parse("0 0 29 2 *", "p").is_ok());
    }

    #[test]
    fn h_is_a_value_that_depends_on_the_seed_and_th_in_a_name_is_no_h() {
        let one = CronText::parse("H H(0-5) * * THU", "debian").unwrap();
        assert_eq!(one, CronText::parse("H H(0-5) * * THU", "debian").unwrap());
        assert_ne!(one.fields, CronText::parse("H H(0-5) * * THU", "ubuntu").unwrap().fields);
        assert_eq!(one.text(), "H H(0-5) * * THU");
        let steps = CronText::parse("H/15 * * * *", "debian").unwrap();
        assert!(steps.fields[1].ends_with("-59/15"), "{:?}", steps.fields);
    }

    fn time_field() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("*".to_owned()),
            (0u32..24).prop_map(|value| value.to_string()),
            (0u32..12, 12u32..24, 1u32..9).prop_map(|(a, b, step)| format!("{a}-{b}/{step}")),
            (1u32..24).prop_map(|step| format!("*/{step}")),
        ]
    }

    fn day() -> impl Strategy<Value = String> {
        prop_oneof![
            3 => Just("*".to_owned()),
            2 => (1u32..32).prop_map(|day| day.to_string()),
            1 => (1u32..32).prop_map(|day| format!("{day}W")),
            1 => Just("L".to_owned()),
            1 => Just("LW".to_owned()),
            1 => (1u32..15).prop_map(|day| format!("{day},L")),
            1 => (1u32..15, 15u32..32).prop_map(|(a, b)| format!("{a}-{b}/3")),
        ]
    }

    fn weekday() -> impl Strategy<Value = String> {
        prop_oneof![
            3 => Just("*".to_owned()),
            2 => (0u32..8).prop_map(|day| day.to_string()),
            1 => Just("MON-FRI".to_owned()),
            1 => (0u32..7, 1u32..6).prop_map(|(day, nth)| format!("{day}#{nth}")),
            1 => (0u32..7).prop_map(|day| format!("{day}#L")),
            1 => (0u32..7).prop_map(|day| format!("+{day}")),
            1 => Just("TUE#1,FRI#L".to_owned()),
        ]
    }

    fn month() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("*".to_owned()),
            (1u32..13).prop_map(|month| month.to_string()),
            Just("FEB,JUN-SEP".to_owned()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]
        #[test]
        fn the_calendar_fires_when_croner_itself_would(
            (second, minute, hour) in (time_field(), time_field(), time_field()),
            (day, month, weekday) in (day(), month(), weekday()),
            start in 946_684_800_i64..4_000_000_000,
        ) {
            let text = format!("{second} {minute} {hour} {day} {month} {weekday}");
            let from: NaiveDateTime = chrono::DateTime::from_timestamp(start, 0).unwrap().naive_utc();
            let limit = chrono::NaiveDate::from_ymd_opt(LAST_YEAR + 1, 1, 1).unwrap().and_time(chrono::NaiveTime::MIN);
            let cron = read(&text).unwrap();
            let Ok(read) = CronText::parse(&text, "p") else {
                // Refused as impossible: then croner must not find anything in that time either.
                let found = cron.find_next_occurrence(&from, true);
                prop_assert!(found.is_err() || found.unwrap() >= limit, "{}", text);
                return Ok(());
            };
            let next = cron.find_next_occurrence(&from, true).ok().filter(|found| *found < limit);
            prop_assert_eq!(read.calendar().first_at_or_after(from), next, "{}", text);
            let first = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap().and_time(chrono::NaiveTime::MIN);
            let previous = cron.find_previous_occurrence(&from, true).ok().filter(|found| *found >= first);
            prop_assert_eq!(read.calendar().last_at_or_before(from), previous, "{}", text);
        }
    }
}
