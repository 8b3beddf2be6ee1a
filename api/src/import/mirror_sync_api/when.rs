//! A `CronTrigger` of APScheduler as a schedule: its fields, its zone, its first and last date.

use std::fmt::Write;

use chrono_tz::Tz;

use super::super::pickle::Value;
use super::super::project::Schedule;
use super::job::JobNote;

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const POSITIONS: [&str; 6] = ["1st", "2nd", "3rd", "4th", "5th", "last"];
/// The most expressions of one field.
const MAX_EXPRESSIONS: usize = 100;

/// Reads the trigger. The error says why it is no calendar.
pub(super) fn schedule(trigger: Value<'_>, notes: &mut Vec<JobNote>) -> Result<Schedule, String> {
    match trigger.class() {
        Some((module, "CronTrigger")) if module.starts_with("apscheduler.") => {}
        Some((module, name)) => {
            return Err(format!("its trigger is a {module}.{name}, and not a CronTrigger"));
        }
        None => return Err("its trigger is none of APScheduler's".to_owned()),
    }
    let list = part(trigger, "fields").and_then(Value::items).ok_or("its trigger has no fields")?;
    let mut fields = Vec::new();
    for field in list.take(8) {
        let name =
            field.attribute("name").and_then(Value::text).ok_or("a field of its trigger has no name")?;
        if field.attribute("is_default").and_then(Value::boolean) != Some(true) {
            let expressions = field.attribute("expressions").and_then(Value::items);
            let expressions =
                expressions.ok_or_else(|| format!("the field {name} of its trigger is empty"))?;
            let texts: Option<Vec<_>> = expressions.take(MAX_EXPRESSIONS).map(expression).collect();
            let texts = texts.ok_or_else(|| {
                format!("the field {name} of its trigger has an expression that is not known")
            })?;
            fields.push((name.to_owned(), texts.join(",")));
        }
    }
    if fields.is_empty() {
        // Without any field APScheduler fires every second.
        fields.push(("second".to_owned(), "*".to_owned()));
    }
    let timezone = part(trigger, "timezone").and_then(|zone| zone_name(zone, notes));
    let date = |key: &str| part(trigger, key).filter(|date| !date.is_nothing()).and_then(date);
    Ok(Schedule::Cron { fields, timezone, start: date("start_date"), end: date("end_date") })
}

/// An attribute: 3.0 keeps the object's own, later versions a dictionary of the same names.
fn part<'a>(trigger: Value<'a>, name: &str) -> Option<Value<'a>> {
    trigger.attribute(name).or_else(|| trigger.get(name))
}

/// An expression as APScheduler itself would write it.
fn expression(value: Value<'_>) -> Option<String> {
    let number = |key: &str| value.attribute(key).and_then(Value::integer);
    let named = |key: &str, names: &'static [&str]| names.get(usize::try_from(number(key)?).ok()?).copied();
    let (_, class) = value.class()?;
    let mut text = match class {
        "AllExpression" => "*".to_owned(),
        "RangeExpression" => match (number("first")?, number("last")) {
            (first, Some(last)) if last != first => format!("{first}-{last}"),
            (first, _) => first.to_string(),
        },
        "WeekdayRangeExpression" => match (named("first", &WEEKDAYS)?, named("last", &WEEKDAYS)) {
            (first, Some(last)) if last != first => format!("{first}-{last}"),
            (first, _) => first.to_owned(),
        },
        "WeekdayPositionExpression" => {
            format!("{} {}", named("option_num", &POSITIONS)?, named("weekday", &WEEKDAYS)?)
        }
        "LastDayOfMonthExpression" => "last".to_owned(),
        _ => return None,
    };
    if let Some(step) = number("step").filter(|step| *step > 0) {
        let _ = write!(text, "/{step}");
    }
    Some(text)
}

/// The IANA name of a time zone of pytz, or of dateutil's UTC.
fn zone_name(zone: Value<'_>, notes: &mut Vec<JobNote>) -> Option<String> {
    let name = match zone.class() {
        Some(("pytz", "_UTC") | (_, "tzutc")) => return Some("UTC".to_owned()),
        Some(("pytz", "_p")) => zone.argument(0).and_then(Value::text),
        _ => None,
    };
    match name.filter(|name| name.parse::<Tz>().is_ok()) {
        Some(name) => Some(name.to_owned()),
        None => {
            notes.push(JobNote {
                option: "timezone".to_owned(),
                value: name.map(|name| name.chars().take(100).collect()),
                advice: "the old server's own zone has no name in the store, so the times count as UTC: set `timezone`, \
                         such as America/Los_Angeles"
                    .to_owned(),
                harmless: false,
            });
            None
        }
    }
}

/// A date as RFC 3339, or without an offset where none is known.
fn date(value: Value<'_>) -> Option<String> {
    if value.class() != Some(("datetime", "datetime")) {
        return None;
    }
    let bytes = value.argument(0)?.bytes()?;
    let [high, low, month, day, hour, minute, second, ..] = *bytes.as_slice() else { return None };
    let year = u16::from(high) * 256 + u16::from(low);
    // The first bit of the month says which of two equal times in autumn is meant.
    let mut text = format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}", month & 0x7f);
    let zone = value.argument(1);
    match zone.and_then(Value::class) {
        Some(("pytz", "_UTC") | (_, "tzutc")) => text.push('Z'),
        Some(("pytz", "_p")) => {
            if let Some(seconds) = zone.and_then(|zone| zone.argument(1)).and_then(Value::integer) {
                // Zones of the nineteenth century have seconds too, which RFC 3339 cannot say.
                let minutes = seconds / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                let _ = write!(text, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
            }
        }
        _ => {}
    }
    Some(text)
}
