//! The `schedule` of a project: cron fields, a cron text, a pause, or by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use scheduler::cron::{CronFields, CronText};
use scheduler::schedule::CatchUpError;
use scheduler::{CatchUp, Rule, Schedule, dates};
use serde_json::Value;

use super::fields::{Fields, duration, kind};

/// The shortest pause between two runs.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Reads the schedule; a project without one runs by hand. `seed` is the project's id, from which `H` takes its value.
pub(super) fn read(fields: &mut Fields<'_>, seed: &str) -> Option<Schedule> {
    match fields.take("schedule") {
        None | Some(Value::Null) => Some(plain(Rule::Manual)),
        Some(Value::String(text)) if text == "manual" => Some(plain(Rule::Manual)),
        Some(Value::String(text)) => match CronText::parse(text, seed) {
            Ok(cron) => alive(fields, plain(Rule::Cron(cron))),
            Err(error) => {
                fields.error("schedule", error.message);
                None
            }
        },
        Some(value) => {
            let mut parts = fields.inside("schedule", value);
            let rule = rule(&mut parts, seed);
            let timezone = timezone(&mut parts);
            let start = date(&mut parts, "start_date", timezone);
            let end = date(&mut parts, "end_date", timezone);
            if let (Some(start), Some(end)) = (start, end)
                && end < start
            {
                parts.error("end_date", "is before `start_date`");
            }
            let jitter = parts.take("jitter").filter(|value| !value.is_null()).map(duration);
            if jitter == Some(None) {
                parts.error("jitter", "must be seconds or a text such as \"5m\"");
            }
            let catch_up = catch_up(&mut parts);
            let schedule = rule.map(|rule| Schedule {
                rule,
                timezone: timezone.unwrap_or(Tz::UTC),
                start,
                end,
                jitter: jitter.flatten().unwrap_or_default(),
                catch_up: catch_up.unwrap_or_default(),
            });
            fields.leave(parts);
            schedule.and_then(|schedule| alive(fields, schedule))
        }
    }
}

fn plain(rule: Rule) -> Schedule {
    let (start, end) = (None, None);
    Schedule { rule, timezone: Tz::UTC, start, end, jitter: Duration::ZERO, catch_up: CatchUp::default() }
}

/// A calendar that never fires again is a mistake that nobody would notice.
fn alive(fields: &mut Fields<'_>, schedule: Schedule) -> Option<Schedule> {
    let calendar = matches!(schedule.rule, Rule::Fields(_) | Rule::Cron(_));
    if calendar && schedule.next_after(Utc::now()).is_none() {
        fields.error("schedule", "never fires: no time that is still to come meets all its conditions");
        return None;
    }
    Some(schedule)
}

fn rule(parts: &mut Fields<'_>, seed: &str) -> Option<Rule> {
    let cron = parts.take("cron").filter(|value| !value.is_null());
    let every = parts.take("every").filter(|value| !value.is_null());
    let manual = parts.bool("manual").unwrap_or(false);
    match (cron, every, manual) {
        (Some(Value::Object(given)), None, false) => {
            let mut texts = BTreeMap::new();
            for (key, value) in given {
                match value {
                    Value::String(text) => texts.insert(key.clone(), text.clone()),
                    Value::Number(number) => texts.insert(key.clone(), number.to_string()),
                    Value::Null => None,
                    other => {
                        parts.error(
                            &format!("cron.{key}"),
                            format!("must be a text or a number, not {}", kind(other)),
                        );
                        None
                    }
                };
            }
            let read = CronFields::parse(&texts, seed);
            read.map(Rule::Fields)
                .map_err(|errors| {
                    for error in errors {
                        let field = error.field.strip_prefix("schedule.").unwrap_or(&error.field).to_owned();
                        parts.error(&field, error.message);
                    }
                })
                .ok()
        }
        (Some(Value::String(text)), None, false) => CronText::parse(text, seed)
            .map(Rule::Cron)
            .map_err(|error| parts.error("cron", error.message))
            .ok(),
        (Some(_), None, false) => {
            parts.error(
                "cron",
                "must be an object such as {\"minute\": \"*/5\"}, or a text such as \"*/5 * * * *\"",
            );
            None
        }
        (None, Some(every), false) => {
            let pause = duration(every).filter(|pause| *pause >= SHORTEST_PAUSE);
            if pause.is_none() {
                parts.error("every", "must be a pause of at least a second with its unit, such as \"30m\"");
            }
            pause.map(Rule::Every)
        }
        (None, None, _) => Some(Rule::Manual),
        _ => {
            parts.error("cron", "gives two schedules at once: keep one of `cron`, `every` and `manual`");
            None
        }
    }
}

/// `"once"`, `"none"`, `{"within": "6h"}`, or `"within 6h"`; without one, the default holds.
fn catch_up(parts: &mut Fields<'_>) -> Option<CatchUp> {
    match parts.take("catch_up").filter(|value| !value.is_null())? {
        Value::String(text) => {
            text.parse().map_err(|error: CatchUpError| parts.error("catch_up", error.to_string())).ok()
        }
        value @ Value::Object(_) => {
            let mut inner = parts.inside("catch_up", value);
            let given = inner.take("within").is_some_and(|within| !within.is_null());
            let most = inner.duration("within");
            if !given {
                inner.error("within", "is missing: give the longest delay, such as \"6h\"");
            }
            parts.leave(inner);
            most.map(CatchUp::Within)
        }
        _ => {
            parts.error("catch_up", CatchUpError.to_string());
            None
        }
    }
}

fn timezone(parts: &mut Fields<'_>) -> Option<Tz> {
    let text = parts.text("timezone", 64)?;
    let zone = text.parse().ok();
    if zone.is_none() {
        parts.error("timezone", format!("`{text}` is not an IANA time zone such as Europe/Berlin"));
    }
    zone
}

fn date(parts: &mut Fields<'_>, key: &str, zone: Option<Tz>) -> Option<DateTime<Utc>> {
    let text = parts.text(key, 100)?;
    dates::parse(&text, zone.unwrap_or(Tz::UTC)).map_err(|error| parts.error(key, error.to_string())).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is read, or the fields that are wrong.
    fn given(catch_up: &Value) -> Result<CatchUp, Vec<String>> {
        let document = json!({ "schedule": { "cron": "0 3 * * *", "catch_up": catch_up } });
        let mut fields = Fields::root(&document);
        let schedule = read(&mut fields, "p");
        let errors: Vec<_> = fields.finish().into_iter().map(|error| error.field).collect();
        match schedule {
            Some(schedule) if errors.is_empty() => Ok(schedule.catch_up),
            _ => Err(errors),
        }
    }

    #[test]
    fn every_way_of_catching_up_is_read() {
        let within = CatchUp::Within(Duration::from_hours(6));
        for (value, expected) in [
            (json!(null), CatchUp::Once),
            (json!("once"), CatchUp::Once),
            (json!("none"), CatchUp::None),
            (json!("within 6h"), within),
            (json!({ "within": "6h" }), within),
            (json!({ "within": 21_600 }), within),
        ] {
            assert_eq!(given(&value), Ok(expected), "{value}");
        }
    }

    #[test]
    fn a_wrong_way_of_catching_up_is_refused_by_its_field() {
        for (value, field) in [
            (json!("twice"), "schedule.catch_up"),
            (json!(6), "schedule.catch_up"),
            (json!(true), "schedule.catch_up"),
            (json!({}), "schedule.catch_up.within"),
            (json!({ "within": null }), "schedule.catch_up.within"),
            (json!({ "within": "soon" }), "schedule.catch_up.within"),
            (json!({ "within": 0 }), "schedule.catch_up.within"),
            (json!({ "within": "6h", "without": 1 }), "schedule.catch_up.without"),
        ] {
            assert_eq!(given(&value), Err(vec![field.to_owned()]), "{value}");
        }
    }
}
