//! What needs a person, and the ways to people, as clients see them.

use serde::Serialize;

use super::time;
use crate::alerts::{Alert, Shown};

/// Something that needs a person.
#[derive(Debug, Serialize)]
pub struct AlertView {
    kind: &'static str,
    subject: String,
    says: &'static str,
    reason: String,
    since: String,
    project: Option<String>,
    run: Option<String>,
    group: serde_json::Value,
    told: bool,
    over: bool,
    times: usize,
}

/// An alert.
#[must_use]
pub fn alert(alert: &Alert) -> AlertView {
    AlertView {
        kind: alert.key.kind.as_str(),
        subject: alert.key.subject.clone(),
        says: alert.key.kind.says(),
        reason: alert.reason.clone(),
        since: time(alert.since),
        project: alert.project.clone(),
        run: alert.run.clone(),
        group: serde_json::to_value(&alert.group).unwrap_or_default(),
        told: alert.told,
        over: !alert.active,
        times: alert.times(),
    }
}

/// A way to people.
#[derive(Debug, Serialize)]
pub struct ChannelView {
    name: String,
    kind: &'static str,
    waiting: usize,
    lost: u64,
    delivered: Option<String>,
    error: Option<String>,
}

/// A channel.
#[must_use]
pub(crate) fn channel(shown: Shown<'_>) -> ChannelView {
    let Shown { name, kind, queue } = shown;
    let queue = queue.unwrap_or_default();
    ChannelView {
        name: name.to_owned(),
        kind,
        waiting: queue.waiting(),
        lost: queue.lost(),
        delivered: queue.delivered().map(time),
        error: queue.error().map(str::to_owned),
    }
}
