//! A hold: what a run would delete, why a person is asked, and who let it go on.

use scheduler::run::Hold;
use serde::Serialize;

use super::time;

/// A hold as clients see it.
#[derive(Debug, Serialize)]
pub(super) struct HoldView {
    since: String,
    reason: String,
    /// Names exactly this plan, for an approval.
    plan: String,
    planned: String,
    deletions: u64,
    deleted_bytes: u64,
    of_entries: u64,
    of_bytes: u64,
    created: u64,
    updated: u64,
    released: Option<String>,
    approved_by: Option<String>,
}

impl From<&Hold> for HoldView {
    fn from(hold: &Hold) -> Self {
        let plan = &hold.plan;
        Self {
            since: time(hold.since),
            reason: plan.reason.clone(),
            plan: plan.digest.clone(),
            planned: time(plan.at),
            deletions: plan.deletions.entries,
            deleted_bytes: plan.deletions.bytes,
            of_entries: plan.tree.entries,
            of_bytes: plan.tree.bytes,
            created: plan.created,
            updated: plan.updated,
            released: hold.released.as_ref().map(|release| time(release.at)),
            approved_by: hold.approved_by().map(str::to_owned),
        }
    }
}
