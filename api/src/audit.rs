//! Lines of the audit trail: who did what to what, from where, without secrets.

use std::net::IpAddr;

use chrono::Utc;
use scheduler::account::AuditEntry;
use serde_json::Value;
use ulid::Ulid;

use crate::auth::Actor;

/// A line for something that this actor does now. `before` and `after` are documents that hold no secrets.
#[must_use]
pub fn line(
    actor: &Actor,
    action: &str,
    target: &str,
    before: Option<Value>,
    after: Option<Value>,
) -> AuditEntry {
    line_by(&actor.name, actor.from, action, target, before, after)
}

/// A line for something that somebody does now who has no login yet.
pub(crate) fn line_by(
    name: &str,
    from: Option<IpAddr>,
    action: &str,
    target: &str,
    before: Option<Value>,
    after: Option<Value>,
) -> AuditEntry {
    AuditEntry {
        // In the order of time, and unique.
        id: u128::from(Ulid::generate()),
        at: Utc::now(),
        by: name.to_owned(),
        from: from.map(|from| from.to_string()),
        action: action.to_owned(),
        target: target.to_owned(),
        before,
        after,
    }
}
