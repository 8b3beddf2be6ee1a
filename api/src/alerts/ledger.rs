//! What people have been told, and what of that is no longer so: a function from what is to what is to be said.
//!
//! Conditions are looked at, not heard of: what is wrong now is compared with what was told. So a restart, a message
//! that was lost, or an event that nobody heard changes nothing, and a thing is told once when it begins and once when
//! it is over. A change is told when it has lasted for the settling time; everything of its group that has changed by
//! then goes into the same message. What comes and goes is believed to be over only after a growing time.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::condition::{Condition, Group, Key};
use super::message::{Line, Message};

/// How long beginnings are remembered, to know what comes and goes.
const REMEMBERED: TimeDelta = TimeDelta::days(1);
/// How often something begins within that time before its end is doubted.
const STEADY: usize = 2;
/// The longest time that something must be over before that is said.
const LONGEST_DOUBT: TimeDelta = TimeDelta::hours(6);

/// Everything that is remembered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Ledger {
    alerts: Vec<Alert>,
}

/// One thing that needs a person, or of which they were not told yet that it no longer does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// What it is.
    pub key: Key,
    /// What it is told with.
    pub group: Group,
    /// The project that it is about, if one.
    pub project: Option<String>,
    /// The run that it is about, if one.
    pub run: Option<String>,
    /// Why, in a sentence.
    pub reason: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Whether it is so now.
    pub active: bool,
    /// When that changed.
    changed: DateTime<Utc>,
    /// Whether people were told that it is so.
    pub told: bool,
    /// When it began, in the time that is remembered.
    begun: Vec<DateTime<Utc>>,
}

impl Alert {
    fn new(condition: &Condition, now: DateTime<Utc>) -> Self {
        Self {
            key: condition.key.clone(),
            group: condition.group.clone(),
            project: condition.project.clone(),
            run: condition.run.clone(),
            reason: condition.reason.clone(),
            since: condition.since.unwrap_or(now),
            active: true,
            changed: condition.lasting_since.unwrap_or(now),
            told: false,
            begun: vec![now],
        }
    }

    /// Whether it needs a person: it is so, or it was said to be and may come back.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.active || self.told
    }

    /// How often it has come and gone lately.
    #[must_use]
    pub fn times(&self) -> usize {
        self.begun.len()
    }

    /// When its change is worth telling; none: nothing has changed.
    fn due(&self, settle: TimeDelta) -> Option<DateTime<Utc>> {
        (self.active != self.told).then(|| self.changed + self.patience(settle))
    }

    fn patience(&self, settle: TimeDelta) -> TimeDelta {
        let doubt = self.begun.len().saturating_sub(STEADY);
        if self.active || doubt == 0 {
            return settle;
        }
        let factor = 1 << doubt.min(20);
        settle.checked_mul(factor).unwrap_or(LONGEST_DOUBT).clamp(settle, LONGEST_DOUBT.max(settle))
    }

    fn observe(&mut self, condition: &Condition, now: DateTime<Utc>) {
        self.group = condition.group.clone();
        self.run.clone_from(&condition.run);
        self.reason.clone_from(&condition.reason);
        if !self.active {
            self.active = true;
            self.changed = condition.lasting_since.unwrap_or(now);
            self.begun.push(now);
            // One that was told and has not been over for long goes on as it was.
            if !self.told {
                self.since = condition.since.unwrap_or(now);
            }
        }
    }

    fn line(&self) -> Line {
        Line {
            kind: self.key.kind,
            subject: self.key.subject.clone(),
            project: self.project.clone(),
            run: self.run.clone(),
            reason: self.reason.clone(),
            since: self.since,
            times: self.begun.len(),
        }
    }
}

impl Ledger {
    /// Takes what is wrong now, and gives what is to be told.
    pub(super) fn update(
        &mut self,
        now: DateTime<Utc>,
        settle: Duration,
        conditions: &[Condition],
    ) -> Vec<Message> {
        let settle = TimeDelta::from_std(settle).unwrap_or(TimeDelta::MAX);
        self.note(now, conditions);
        let mut groups: BTreeMap<Group, Vec<&mut Alert>> = BTreeMap::new();
        for alert in &mut self.alerts {
            groups.entry(alert.group.clone()).or_default().push(alert);
        }
        let mut messages = Vec::new();
        for (group, alerts) in groups {
            if alerts.iter().any(|alert| alert.due(settle).is_some_and(|due| due <= now)) {
                messages.extend(tell(now, settle, group, alerts));
            }
        }
        // What is over is kept for a day, to know whether it comes and goes.
        self.alerts.retain(|alert| alert.is_open() || !alert.begun.is_empty());
        messages
    }

    /// Forgets what nobody cares about any more, without a word.
    pub(super) fn forget(&mut self, gone: impl Fn(&Alert) -> bool) {
        self.alerts.retain(|alert| !gone(alert));
    }

    /// Takes over something that people were told outside of this ledger, so that they hear when it is over.
    pub(super) fn was_told(&mut self, condition: &Condition, now: DateTime<Utc>) {
        if self.alerts.iter().all(|alert| alert.key != condition.key) {
            self.alerts.push(Alert { told: true, ..Alert::new(condition, now) });
        }
    }

    /// When [`Ledger::update`] has something to tell, if nothing else changes.
    #[must_use]
    pub(super) fn next(&self, settle: Duration) -> Option<DateTime<Utc>> {
        let settle = TimeDelta::from_std(settle).unwrap_or(TimeDelta::MAX);
        self.alerts.iter().filter_map(|alert| alert.due(settle)).min()
    }

    /// What needs a person, the most urgent first.
    #[must_use]
    pub(super) fn open(&self) -> Vec<&Alert> {
        let rank =
            |alert: &Alert| super::condition::Kind::ALL.iter().position(|kind| *kind == alert.key.kind);
        let mut open: Vec<_> = self.alerts.iter().filter(|alert| alert.is_open()).collect();
        open.sort_by_key(|alert| (rank(alert), alert.since));
        open
    }

    fn note(&mut self, now: DateTime<Utc>, conditions: &[Condition]) {
        let mut current: BTreeMap<&Key, &Condition> =
            conditions.iter().map(|condition| (&condition.key, condition)).collect();
        for alert in &mut self.alerts {
            // A clock that went back must not hold anything up.
            alert.changed = alert.changed.min(now);
            alert.begun.retain(|begun| now - *begun < REMEMBERED);
            match current.remove(&alert.key) {
                Some(condition) => alert.observe(condition, now),
                None if alert.active => {
                    alert.active = false;
                    alert.changed = now;
                }
                None => {}
            }
        }
        self.alerts.extend(current.into_values().map(|condition| Alert::new(condition, now)));
    }
}

/// One message of everything in a group that has changed; what comes and goes is said to be over in its own time.
fn tell(now: DateTime<Utc>, settle: TimeDelta, group: Group, alerts: Vec<&mut Alert>) -> Option<Message> {
    let (mut opened, mut over) = (Vec::new(), Vec::new());
    let mut still = 0;
    for alert in alerts {
        let steady = alert.begun.len() <= STEADY;
        match alert.due(settle) {
            Some(_) if alert.active => {
                alert.told = true;
                opened.push(alert.line());
            }
            Some(due) if steady || due <= now => {
                alert.told = false;
                over.push(alert.line());
            }
            _ => still += usize::from(alert.is_open()),
        }
    }
    let id = Ulid::generate().to_string();
    (!opened.is_empty() || !over.is_empty()).then(|| Message::of_changes(id, now, group, opened, over, still))
}

#[cfg(test)]
mod tests;
