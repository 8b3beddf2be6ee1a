//! The stored form of a hold.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{RecordError, parse};
use crate::guard::Amount;
use crate::run::{Hold, Plan, Release};

#[derive(Serialize, Deserialize)]
pub(super) struct HoldStored {
    since: DateTime<Utc>,
    plan: PlanStored,
    released: Option<ReleaseStored>,
}

#[derive(Serialize, Deserialize)]
struct ReleaseStored {
    at: DateTime<Utc>,
    by: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct PlanStored {
    digest: String,
    at: DateTime<Utc>,
    deletions: AmountStored,
    tree: AmountStored,
    created: u64,
    updated: u64,
    reason: String,
    listed_by: String,
}

#[derive(Serialize, Deserialize)]
struct AmountStored {
    entries: u64,
    bytes: u64,
}

impl From<&Hold> for HoldStored {
    fn from(hold: &Hold) -> Self {
        let plan = &hold.plan;
        let amount = |amount: Amount| AmountStored { entries: amount.entries, bytes: amount.bytes };
        Self {
            since: hold.since,
            plan: PlanStored {
                digest: plan.digest.clone(),
                at: plan.at,
                deletions: amount(plan.deletions),
                tree: amount(plan.tree),
                created: plan.created,
                updated: plan.updated,
                reason: plan.reason.clone(),
                listed_by: plan.listed_by.to_string(),
            },
            released: hold
                .released
                .as_ref()
                .map(|release| ReleaseStored { at: release.at, by: release.by.clone() }),
        }
    }
}

impl TryFrom<HoldStored> for Hold {
    type Error = RecordError;

    fn try_from(stored: HoldStored) -> Result<Self, RecordError> {
        let HoldStored { since, plan, released } = stored;
        let amount = |amount: AmountStored| Amount { entries: amount.entries, bytes: amount.bytes };
        Ok(Self {
            since,
            plan: Plan {
                listed_by: parse("hold.plan.listed_by", &plan.listed_by)?,
                digest: plan.digest,
                at: plan.at,
                deletions: amount(plan.deletions),
                tree: amount(plan.tree),
                created: plan.created,
                updated: plan.updated,
                reason: plan.reason,
            },
            released: released.map(|ReleaseStored { at, by }| Release { at, by }),
        })
    }
}
