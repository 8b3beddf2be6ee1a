//! The context of a try, as somebody writes it: every key may be left out, and none may be misspelt.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use scheduler::hooks::{ProjectFacts, RunContext, RunOutcome, Status};
use scheduler::{Counts, ProjectId, RunId, Trigger};
use serde::{Deserialize, Deserializer};

use crate::policy::status;

/// One run of one project.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Context {
    attempt: usize,
    #[serde(deserialize_with = "trigger")]
    trigger: Trigger,
    now: DateTime<Utc>,
    utc_offset_minutes: i32,
    queued: Option<DateTime<Utc>>,
    scheduled: Option<DateTime<Utc>>,
    last_success: Option<DateTime<Utc>>,
    consecutive_failures: u32,
    delays: u32,
    upstream_marker: Option<DateTime<Utc>>,
    local_marker: Option<DateTime<Utc>>,
    project: Project,
    rsync_args: Vec<String>,
    outcome: Outcome,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Project {
    #[serde(deserialize_with = "id")]
    id: Option<ProjectId>,
    name: Option<String>,
    source: String,
    host: String,
    dest: PathBuf,
    labels: BTreeMap<String, String>,
    generation: u64,
    size_bytes: u64,
    files: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Outcome {
    #[serde(with = "status")]
    status: Status,
    class: String,
    reason: String,
    started: Option<DateTime<Utc>>,
    finished: Option<DateTime<Utc>>,
    created: u64,
    updated: u64,
    deleted: u64,
    stderr_tail: Vec<String>,
    will_retry: bool,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            attempt: 1,
            trigger: Trigger::Manual,
            now: Utc::now(),
            utc_offset_minutes: 0,
            queued: None,
            scheduled: None,
            last_success: None,
            consecutive_failures: 0,
            delays: 0,
            upstream_marker: None,
            local_marker: None,
            project: Project::default(),
            rsync_args: Vec::new(),
            outcome: Outcome::default(),
        }
    }
}

impl Default for Project {
    fn default() -> Self {
        Self {
            id: None,
            name: None,
            source: "rsync://upstream.example/example".to_owned(),
            host: "upstream.example".to_owned(),
            dest: PathBuf::from("/nonexistent/example"),
            labels: BTreeMap::new(),
            generation: 1,
            size_bytes: 0,
            files: 0,
        }
    }
}

impl Default for Outcome {
    fn default() -> Self {
        Self {
            status: Status::Succeeded,
            class: "done".to_owned(),
            reason: "done".to_owned(),
            started: None,
            finished: None,
            created: 0,
            updated: 0,
            deleted: 0,
            stderr_tail: Vec::new(),
            will_retry: false,
        }
    }
}

impl Context {
    pub(crate) fn run(&self) -> RunContext {
        let Project { id, name, source, host, dest, labels, generation, size_bytes, files } = &self.project;
        let id = id.clone().unwrap_or_else(example);
        let project = ProjectFacts {
            name: name.clone().unwrap_or_else(|| id.to_string()),
            id,
            source: source.clone(),
            host: host.clone(),
            // As projects have it: without a link on the way.
            dest: dest.canonicalize().unwrap_or_else(|_| dest.clone()),
            labels: labels.clone(),
            hooks: Vec::new(),
            generation: *generation,
            size_bytes: *size_bytes,
            files: *files,
        };
        RunContext {
            run: RunId::after(None, self.now, 0),
            attempt: self.attempt,
            trigger: self.trigger,
            now: self.now,
            utc_offset_minutes: self.utc_offset_minutes,
            queued: self.queued.unwrap_or(self.now),
            scheduled: self.scheduled,
            last_success: self.last_success,
            failures: self.consecutive_failures,
            delays: self.delays,
            upstream_marker: self.upstream_marker,
            local_marker: self.local_marker,
            project,
            rsync_args: self.rsync_args.clone(),
            recent: Vec::new(),
        }
    }

    pub(crate) fn outcome(&self) -> RunOutcome {
        let outcome = &self.outcome;
        RunOutcome {
            status: outcome.status.clone(),
            class: outcome.class.clone(),
            reason: outcome.reason.clone(),
            started: outcome.started.unwrap_or(self.now - Duration::from_mins(1)),
            finished: outcome.finished.unwrap_or(self.now),
            stats: None,
            changes: Counts { created: outcome.created, updated: outcome.updated, deleted: outcome.deleted },
            stderr_tail: outcome.stderr_tail.clone(),
            will_retry: outcome.will_retry,
            previous: None,
        }
    }
}

#[expect(clippy::expect_used, reason = "it is a name: the test below reads a context without one")]
fn example() -> ProjectId {
    "example".parse().expect("a name")
}

fn trigger<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Trigger, D::Error> {
    let text = String::deserialize(deserializer)?;
    let found = Trigger::ALL.into_iter().find(|trigger| trigger.as_str() == text);
    let known = Trigger::ALL.map(Trigger::as_str).join(", ");
    found.ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no trigger: use one of {known}")))
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ProjectId>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_needs_nothing_and_forgives_no_misspelt_key() {
        let empty: Context = serde_json::from_str("{}").unwrap();
        assert_eq!(empty.run().project.id.as_str(), "example");
        let json = r#"{"trigger": "schedule", "project": {"id": "debian", "dest": "/srv/debian"},
            "outcome": {"status": "failed 12", "stderr_tail": ["no"]}}"#;
        let context: Context = serde_json::from_str(json).unwrap();
        assert_eq!(context.run().project.name, "debian");
        assert_eq!(context.outcome().status, Status::Failed(12));
        for wrong in [r#"{"projekt": {}}"#, r#"{"trigger": "push-it"}"#, r#"{"project": {"id": "a b"}}"#] {
            assert!(serde_json::from_str::<Context>(wrong).is_err(), "{wrong} was taken");
        }
    }
}
