//! The stored form of a schedule.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::project::{refused, seconds};
use super::{RecordError, parse};
use crate::cron::{CronFields, CronText};
use crate::schedule::{CatchUp, Rule, Schedule};

#[derive(Serialize, Deserialize)]
pub(super) struct ScheduleRecord {
    rule: RuleRecord,
    timezone: String,
    start: Option<DateTime<Utc>>,
    end: Option<DateTime<Utc>>,
    jitter_seconds: f64,
    #[serde(default)]
    catch_up: CatchUpRecord,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RuleRecord {
    Fields(BTreeMap<String, String>),
    Cron(String),
    EverySeconds(f64),
    Manual,
}

/// Records from before it could be chosen have none, and mean `once`.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CatchUpRecord {
    #[default]
    Once,
    None,
    WithinSeconds(f64),
}

impl From<&Schedule> for ScheduleRecord {
    fn from(schedule: &Schedule) -> Self {
        Self {
            rule: match &schedule.rule {
                Rule::Fields(fields) => RuleRecord::Fields(fields.given().clone()),
                Rule::Cron(cron) => RuleRecord::Cron(cron.text().to_owned()),
                Rule::Every(pause) => RuleRecord::EverySeconds(pause.as_secs_f64()),
                Rule::Manual => RuleRecord::Manual,
            },
            timezone: schedule.timezone.name().to_owned(),
            start: schedule.start,
            end: schedule.end,
            jitter_seconds: schedule.jitter.as_secs_f64(),
            catch_up: match schedule.catch_up {
                CatchUp::Once => CatchUpRecord::Once,
                CatchUp::None => CatchUpRecord::None,
                CatchUp::Within(most) => CatchUpRecord::WithinSeconds(most.as_secs_f64()),
            },
        }
    }
}

impl ScheduleRecord {
    /// `seed` is the project's id, from which `H` takes its value.
    pub(super) fn schedule(self, seed: &str) -> Result<Schedule, RecordError> {
        let rule = match self.rule {
            RuleRecord::Fields(given) => {
                Rule::Fields(CronFields::parse(&given, seed).map_err(|errors| refused("schedule", &errors))?)
            }
            RuleRecord::Cron(text) => {
                Rule::Cron(CronText::parse(&text, seed).map_err(|error| refused("schedule", &[error]))?)
            }
            RuleRecord::EverySeconds(pause) => Rule::Every(seconds(pause)),
            RuleRecord::Manual => Rule::Manual,
        };
        Ok(Schedule {
            rule,
            timezone: parse("schedule.timezone", &self.timezone)?,
            start: self.start,
            end: self.end,
            jitter: seconds(self.jitter_seconds),
            catch_up: match self.catch_up {
                CatchUpRecord::Once => CatchUp::Once,
                CatchUpRecord::None => CatchUp::None,
                CatchUpRecord::WithinSeconds(most) => CatchUp::Within(seconds(most)),
            },
        })
    }
}
