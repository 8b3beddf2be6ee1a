//! The stored form of a run.

use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::{Stats, Verdict};
use serde::{Deserialize, Serialize};

use super::hold::HoldStored;
use super::{RecordError, parse};
use crate::run::{AttemptEnd, AttemptExit, AttemptRecord, Counts, Hold, HookDecision, Run, RunState};

#[derive(Serialize, Deserialize)]
pub(super) struct RunRecord {
    id: String,
    project: String,
    trigger: String,
    requested_by: Option<String>,
    scheduled: Option<DateTime<Utc>>,
    queued: DateTime<Utc>,
    state: StateRecord,
    #[serde(default)]
    cancelled_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<DateTime<Utc>>,
    attempts: Vec<AttemptStored>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    decisions: Vec<DecisionStored>,
    #[serde(default)]
    delays: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold: Option<HoldStored>,
}

#[derive(Serialize, Deserialize)]
struct DecisionStored {
    plugin: String,
    when: String,
    attempt: usize,
    at: DateTime<Utc>,
    decision: String,
    reason: Option<String>,
    seconds: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StateRecord {
    Queued,
    Running,
    BackingOff { until: DateTime<Utc>, reason: String },
    Held,
    Ended { at: DateTime<Utc>, outcome: String, reason: Option<String>, generation: Option<u64> },
}

#[derive(Serialize, Deserialize)]
struct AttemptStored {
    started: DateTime<Utc>,
    command: String,
    #[serde(default)]
    upstream: String,
    end: Option<EndStored>,
}

#[derive(Serialize, Deserialize)]
struct EndStored {
    seconds: f64,
    exit: ExitStored,
    class: String,
    verdict: String,
    reason: String,
    stats: Option<StatsStored>,
    changes: CountsStored,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    all_told: bool,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    whole: bool,
    stderr: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stage: Option<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ExitStored {
    Code(i32),
    Signal(i32),
    Other(String),
}

#[derive(Serialize, Deserialize)]
struct CountsStored {
    created: u64,
    updated: u64,
    deleted: u64,
}

#[derive(Serialize, Deserialize)]
struct StatsStored {
    files: u64,
    created: u64,
    deleted: u64,
    transferred: u64,
    total_size: u64,
    transferred_size: u64,
    literal: u64,
    matched: u64,
    sent: u64,
    received: u64,
    speedup: f64,
}

impl From<&Run> for RunRecord {
    fn from(run: &Run) -> Self {
        let state = match run.state.clone() {
            RunState::Queued => StateRecord::Queued,
            RunState::Running => StateRecord::Running,
            RunState::BackingOff { until, reason } => StateRecord::BackingOff { until, reason },
            RunState::Held => StateRecord::Held,
            RunState::Ended { at, outcome, reason, generation } => {
                StateRecord::Ended { at, outcome: outcome.as_str().to_owned(), reason, generation }
            }
        };
        Self {
            id: run.id.to_string(),
            project: run.project.to_string(),
            trigger: run.trigger.as_str().to_owned(),
            requested_by: run.requested_by.clone(),
            scheduled: run.scheduled,
            queued: run.queued,
            state,
            cancelled_by: run.cancelled_by.clone(),
            began: run.began,
            attempts: run.attempts.iter().map(AttemptStored::from).collect(),
            decisions: run.decisions.iter().map(DecisionStored::from).collect(),
            delays: run.delays,
            hold: run.hold.as_ref().map(HoldStored::from),
        }
    }
}

impl TryFrom<RunRecord> for Run {
    type Error = RecordError;

    fn try_from(record: RunRecord) -> Result<Self, RecordError> {
        let state = match record.state {
            StateRecord::Queued => RunState::Queued,
            StateRecord::Running => RunState::Running,
            StateRecord::BackingOff { until, reason } => RunState::BackingOff { until, reason },
            StateRecord::Held => RunState::Held,
            StateRecord::Ended { at, outcome, reason, generation } => {
                RunState::Ended { at, outcome: parse("outcome", &outcome)?, reason, generation }
            }
        };
        Ok(Self {
            id: parse("id", &record.id)?,
            project: parse("project", &record.project)?,
            trigger: parse("trigger", &record.trigger)?,
            requested_by: record.requested_by,
            scheduled: record.scheduled,
            queued: record.queued,
            state,
            cancelled_by: record.cancelled_by,
            began: record.began,
            attempts: record.attempts.into_iter().map(AttemptRecord::try_from).collect::<Result<_, _>>()?,
            decisions: record.decisions.into_iter().map(HookDecision::try_from).collect::<Result<_, _>>()?,
            delays: record.delays,
            hold: record.hold.map(Hold::try_from).transpose()?,
        })
    }
}

impl From<&HookDecision> for DecisionStored {
    fn from(said: &HookDecision) -> Self {
        Self {
            plugin: said.plugin.clone(),
            when: said.when.as_str().to_owned(),
            attempt: said.attempt,
            at: said.at,
            decision: said.decision.clone(),
            reason: said.reason.clone(),
            seconds: said.took.as_secs_f64(),
        }
    }
}

impl TryFrom<DecisionStored> for HookDecision {
    type Error = RecordError;

    fn try_from(stored: DecisionStored) -> Result<Self, RecordError> {
        Ok(Self {
            when: parse("decisions.when", &stored.when)?,
            plugin: stored.plugin,
            attempt: stored.attempt,
            at: stored.at,
            decision: stored.decision,
            reason: stored.reason,
            took: Duration::try_from_secs_f64(stored.seconds).unwrap_or_default(),
        })
    }
}

impl From<&AttemptRecord> for AttemptStored {
    fn from(attempt: &AttemptRecord) -> Self {
        Self {
            started: attempt.started,
            command: attempt.command.clone(),
            upstream: attempt.upstream.clone(),
            end: attempt.end.as_ref().map(EndStored::from),
        }
    }
}

impl TryFrom<AttemptStored> for AttemptRecord {
    type Error = RecordError;

    fn try_from(stored: AttemptStored) -> Result<Self, RecordError> {
        let end = stored.end.map(AttemptEnd::try_from).transpose()?;
        Ok(Self { started: stored.started, command: stored.command, upstream: stored.upstream, end })
    }
}

impl From<&AttemptEnd> for EndStored {
    fn from(end: &AttemptEnd) -> Self {
        Self {
            seconds: end.duration.as_secs_f64(),
            exit: match end.exit.clone() {
                AttemptExit::Code(code) => ExitStored::Code(code),
                AttemptExit::Signal(signal) => ExitStored::Signal(signal),
                AttemptExit::Other(what) => ExitStored::Other(what),
            },
            class: end.class.clone(),
            verdict: end.verdict.as_str().to_owned(),
            reason: end.reason.clone(),
            stats: end.stats.as_ref().map(StatsStored::from),
            changes: CountsStored {
                created: end.changes.created,
                updated: end.changes.updated,
                deleted: end.changes.deleted,
            },
            all_told: end.all_told,
            whole: end.whole,
            stderr: end.stderr.clone(),
            stage: end.stage,
        }
    }
}

/// What older records do not say.
fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

impl TryFrom<EndStored> for AttemptEnd {
    type Error = RecordError;

    fn try_from(stored: EndStored) -> Result<Self, RecordError> {
        Ok(Self {
            duration: Duration::try_from_secs_f64(stored.seconds).unwrap_or_default(),
            exit: match stored.exit {
                ExitStored::Code(code) => AttemptExit::Code(code),
                ExitStored::Signal(signal) => AttemptExit::Signal(signal),
                ExitStored::Other(what) => AttemptExit::Other(what),
            },
            class: stored.class,
            verdict: parse::<Verdict>("verdict", &stored.verdict)?,
            reason: stored.reason,
            stats: stored.stats.map(Stats::from),
            changes: Counts {
                created: stored.changes.created,
                updated: stored.changes.updated,
                deleted: stored.changes.deleted,
            },
            all_told: stored.all_told,
            whole: stored.whole,
            stderr: stored.stderr,
            stage: stored.stage,
        })
    }
}

impl From<&Stats> for StatsStored {
    fn from(stats: &Stats) -> Self {
        Self {
            files: stats.files,
            created: stats.created,
            deleted: stats.deleted,
            transferred: stats.transferred,
            total_size: stats.total_size,
            transferred_size: stats.transferred_size,
            literal: stats.literal,
            matched: stats.matched,
            sent: stats.sent,
            received: stats.received,
            speedup: stats.speedup,
        }
    }
}

impl From<StatsStored> for Stats {
    fn from(stored: StatsStored) -> Self {
        Self {
            files: stored.files,
            created: stored.created,
            deleted: stored.deleted,
            transferred: stored.transferred,
            total_size: stored.total_size,
            transferred_size: stored.transferred_size,
            literal: stored.literal,
            matched: stored.matched,
            sent: stored.sent,
            received: stored.received,
            speedup: stored.speedup,
            ..Self::default()
        }
    }
}
