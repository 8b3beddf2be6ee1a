//! The stored forms of slaves and of what they hold.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use engine::Secret;
use serde::{Deserialize, Serialize};

use super::{RecordError, parse};
use crate::member::{ApprovedPlan, Holding, Member};
use crate::project::ProjectId;

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
    #[serde(default)]
    left: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    approved: BTreeMap<String, ApprovedRecord>,
}

#[derive(Serialize, Deserialize)]
struct ApprovedRecord {
    plan: String,
    by: String,
}

/// Slaves that were stored before some did not.
const fn follows() -> bool {
    true
}

impl From<&Member> for MemberRecord {
    fn from(member: &Member) -> Self {
        let Member { name, password, token, joined, wish, follows, late, left, approved } = member.clone();
        let texts = |ids: BTreeSet<ProjectId>| ids.iter().map(ToString::to_string).collect();
        let (late, left) = (texts(late), texts(left));
        let (name, password) = (name.to_string(), password.expose().to_owned());
        let record =
            |(id, ApprovedPlan { plan, by }): (ProjectId, _)| (id.to_string(), ApprovedRecord { plan, by });
        let approved = approved.into_iter().map(record).collect();
        Self { name, password, token, joined, wish, follows, late, left, approved }
    }
}

impl TryFrom<MemberRecord> for Member {
    type Error = RecordError;

    fn try_from(record: MemberRecord) -> Result<Self, RecordError> {
        let MemberRecord { name, password, token, joined, wish, follows, late, left, approved } = record;
        let (late, left) = (ids(&late)?, ids(&left)?);
        let (name, password) = (parse("name", &name)?, Secret::new(password));
        let plan = |(id, ApprovedRecord { plan, by }): (String, _)| {
            Ok((parse("project", &id)?, ApprovedPlan { plan, by }))
        };
        let approved = approved.into_iter().map(plan).collect::<Result<_, RecordError>>()?;
        Ok(Self { name, password, token, joined, wish, follows, late, left, approved })
    }
}

fn ids(texts: &[String]) -> Result<BTreeSet<ProjectId>, RecordError> {
    texts.iter().map(|text| parse("project", text)).collect()
}

#[derive(Serialize, Deserialize)]
pub(super) struct HoldingRecord {
    member: String,
    project: String,
    created: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    history: Option<String>,
    generation: Option<u64>,
    #[serde(default)]
    staged: Option<u64>,
    #[serde(default)]
    told: Option<u64>,
    run: String,
    state: String,
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
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
            history,
            generation,
            staged,
            told,
            run,
            state,
            reason,
            plan,
            ended,
            took_ms,
            received,
            heard,
        } = holding.clone();
        Self {
            member: member.to_string(),
            project: project.to_string(),
            created,
            history,
            generation,
            staged,
            told,
            run: run.to_string(),
            state,
            reason,
            plan,
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
            history,
            generation,
            staged,
            told,
            run,
            state,
            reason,
            plan,
            ended,
            took_ms,
            received,
            heard,
        } = record;
        Ok(Self {
            member: parse("member", &member)?,
            project: parse("project", &project)?,
            created,
            history,
            generation,
            staged,
            told,
            run: parse("run", &run)?,
            state,
            reason,
            plan,
            ended,
            took_ms,
            received,
            heard,
        })
    }
}
