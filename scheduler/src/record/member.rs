//! The stored forms of slaves and of what they hold.

use chrono::{DateTime, Utc};
use engine::Secret;
use serde::{Deserialize, Serialize};

use super::{RecordError, parse};
use crate::member::{Holding, Member};

#[derive(Serialize, Deserialize)]
pub(super) struct MemberRecord {
    name: String,
    password: String,
    token: String,
    joined: DateTime<Utc>,
    wish: u64,
    #[serde(default = "follows")]
    follows: bool,
    #[serde(default)]
    late: Vec<String>,
}

/// Slaves that were stored before some did not.
const fn follows() -> bool {
    true
}

impl From<&Member> for MemberRecord {
    fn from(member: &Member) -> Self {
        let Member { name, password, token, joined, wish, follows, late } = member.clone();
        let late = late.iter().map(ToString::to_string).collect();
        let (name, password) = (name.to_string(), password.expose().to_owned());
        Self { name, password, token, joined, wish, follows, late }
    }
}

impl TryFrom<MemberRecord> for Member {
    type Error = RecordError;

    fn try_from(record: MemberRecord) -> Result<Self, RecordError> {
        let MemberRecord { name, password, token, joined, wish, follows, late } = record;
        let late = late.iter().map(|project| parse("late", project)).collect::<Result<_, _>>()?;
        let (name, password) = (parse("name", &name)?, Secret::new(password));
        Ok(Self { name, password, token, joined, wish, follows, late })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct HoldingRecord {
    member: String,
    project: String,
    created: DateTime<Utc>,
    generation: Option<u64>,
    #[serde(default)]
    told: Option<u64>,
    run: String,
    state: String,
    reason: Option<String>,
    ended: DateTime<Utc>,
    took_ms: u64,
    received: u64,
    heard: DateTime<Utc>,
}

impl From<&Holding> for HoldingRecord {
    fn from(holding: &Holding) -> Self {
        let Holding {
            member,
            project,
            created,
            generation,
            told,
            run,
            state,
            reason,
            ended,
            took_ms,
            received,
            heard,
        } = holding.clone();
        Self {
            member: member.to_string(),
            project: project.to_string(),
            created,
            generation,
            told,
            run: run.to_string(),
            state,
            reason,
            ended,
            took_ms,
            received,
            heard,
        }
    }
}

impl TryFrom<HoldingRecord> for Holding {
    type Error = RecordError;

    fn try_from(record: HoldingRecord) -> Result<Self, RecordError> {
        let HoldingRecord {
            member,
            project,
            created,
            generation,
            told,
            run,
            state,
            reason,
            ended,
            took_ms,
            received,
            heard,
        } = record;
        Ok(Self {
            member: parse("member", &member)?,
            project: parse("project", &project)?,
            created,
            generation,
            told,
            run: parse("run", &run)?,
            state,
            reason,
            ended,
            took_ms,
            received,
            heard,
        })
    }
}
