//! A run, its attempts, its changes, and its place in the queue.

use engine::{ChangeKind, EntryKind, Progress, Stats};
use scheduler::journal::ChangeItem;
use scheduler::run::{AttemptExit, AttemptRecord, HookDecision};
use scheduler::{Board, Counts, Run, RunPhase, RunState};
use serde::Serialize;

use super::hold::HoldView;
use super::time;

/// A run as clients see it.
#[derive(Debug, Serialize)]
pub struct RunView {
    id: String,
    project: String,
    state: &'static str,
    trigger: &'static str,
    requested_by: Option<String>,
    scheduled: Option<String>,
    queued: String,
    started: Option<String>,
    ended: Option<String>,
    retry_at: Option<String>,
    reason: Option<String>,
    attempts: Vec<AttemptView>,
    progress: Option<ProgressView>,
    stats: Option<StatsView>,
    changes: CountsView,
    generation: Option<u64>,
    log_bytes: u64,
    hooks: Vec<HookView>,
    hold: Option<HoldView>,
}

/// What one hook said.
#[derive(Debug, Serialize)]
struct HookView {
    plugin: String,
    hook: &'static str,
    attempt: usize,
    time: String,
    decision: String,
    reason: Option<String>,
    duration: f64,
}

/// What is known of a going run beside its record.
#[derive(Debug, Clone, Copy, Default)]
pub struct Live {
    phase: RunPhase,
    progress: Option<Progress>,
}

impl Live {
    /// What the board says.
    #[must_use]
    pub fn of(board: &Board, run: &Run) -> Self {
        Self { phase: board.phase(run.id), progress: board.progress(run.id) }
    }

    /// A run's state with the phase of one that is going.
    #[must_use]
    pub fn state(self, run: &Run) -> &'static str {
        match &run.state {
            RunState::Running => self.phase.as_str(),
            other => other.as_str(),
        }
    }
}

#[derive(Debug, Serialize)]
struct AttemptView {
    number: usize,
    started: String,
    ended: Option<String>,
    duration: Option<f64>,
    exit: Option<ExitView>,
    class: Option<String>,
    verdict: Option<&'static str>,
    reason: Option<String>,
    command: String,
    upstream: Option<String>,
    stats: Option<StatsView>,
    changes: CountsView,
    stderr: Vec<String>,
    stage: Option<u8>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum ExitView {
    Code(i32),
    Signal(i32),
    Other(String),
}

/// How far an attempt is, as clients see it.
#[derive(Debug, Serialize)]
pub(super) struct ProgressView {
    bytes: u64,
    percent: u8,
    rate: f64,
    files: u64,
    checked: u64,
    total: u64,
    total_known: bool,
}

#[derive(Debug, Serialize)]
struct StatsView {
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

/// Paths created, updated and deleted.
#[derive(Debug, Serialize)]
pub(super) struct CountsView {
    created: u64,
    updated: u64,
    deleted: u64,
}

impl RunView {
    /// Why it is where it is, when it is tried again, and which generation it made.
    pub(super) fn outcome(self) -> (Option<String>, Option<String>, Option<u64>) {
        (self.reason, self.retry_at, self.generation)
    }
}

/// A run; what is live and `log_bytes` are not part of its record.
#[must_use]
pub fn run(run: &Run, live: Live, log_bytes: u64) -> RunView {
    let (ended, retry_at, reason, generation) = match &run.state {
        RunState::Queued | RunState::Running => (None, None, None, None),
        RunState::Held => (None, None, run.hold.as_ref().map(|hold| hold.plan.reason.clone()), None),
        RunState::BackingOff { until, reason } => (None, Some(time(*until)), Some(reason.clone()), None),
        RunState::Ended { at, reason, generation, .. } => {
            (Some(time(*at)), None, reason.clone(), *generation)
        }
    };
    RunView {
        id: run.id.to_string(),
        project: run.project.to_string(),
        state: live.state(run),
        trigger: run.trigger.as_str(),
        requested_by: run.requested_by.clone(),
        scheduled: run.scheduled.map(time),
        queued: time(run.queued),
        started: run.started().map(time),
        ended,
        retry_at,
        reason,
        attempts: run.attempts.iter().enumerate().map(|(index, one)| attempt(index + 1, one)).collect(),
        progress: live.progress.as_ref().map(ProgressView::from),
        stats: run.stats().map(stats),
        changes: counts(run.changes()),
        generation,
        log_bytes,
        hooks: run.decisions.iter().map(hook).collect(),
        hold: run.hold.as_ref().map(HoldView::from),
    }
}

fn hook(said: &HookDecision) -> HookView {
    HookView {
        plugin: said.plugin.clone(),
        hook: said.when.as_str(),
        attempt: said.attempt,
        time: time(said.at),
        decision: said.decision.clone(),
        reason: said.reason.clone(),
        duration: said.took.as_secs_f64(),
    }
}

fn attempt(number: usize, attempt: &AttemptRecord) -> AttemptView {
    let end = attempt.end.as_ref();
    let ended = end.and_then(|end| Some(attempt.started + chrono::Duration::from_std(end.duration).ok()?));
    AttemptView {
        number,
        started: time(attempt.started),
        ended: ended.map(time),
        duration: end.map(|end| end.duration.as_secs_f64()),
        exit: end.map(|end| match end.exit.clone() {
            AttemptExit::Code(code) => ExitView::Code(code),
            AttemptExit::Signal(signal) => ExitView::Signal(signal),
            AttemptExit::Other(what) => ExitView::Other(what),
        }),
        class: end.map(|end| end.class.clone()),
        verdict: end.map(|end| end.verdict.as_str()),
        reason: end.map(|end| end.reason.clone()),
        command: attempt.command.clone(),
        upstream: Some(attempt.upstream.clone()).filter(|upstream| !upstream.is_empty()),
        stats: end.and_then(|end| end.stats.as_ref()).map(stats),
        changes: counts(end.map(|end| end.changes).unwrap_or_default()),
        stderr: end.map(|end| end.stderr.clone()).unwrap_or_default(),
        stage: end.and_then(|end| end.stage),
    }
}

impl From<&Progress> for ProgressView {
    fn from(progress: &Progress) -> Self {
        Self {
            bytes: progress.bytes,
            percent: progress.percent,
            rate: progress.rate,
            files: progress.files,
            checked: progress.checked,
            total: progress.total,
            total_known: progress.total_known,
        }
    }
}

fn stats(stats: &Stats) -> StatsView {
    StatsView {
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

pub(super) fn counts(counts: Counts) -> CountsView {
    CountsView { created: counts.created, updated: counts.updated, deleted: counts.deleted }
}

/// One changed path as clients see it.
#[derive(Debug, Serialize)]
pub struct ChangeView {
    op: &'static str,
    #[serde(rename = "type")]
    entry: &'static str,
    path: String,
    size: u64,
    content: bool,
}

/// One changed path.
#[must_use]
pub fn change(item: ChangeItem) -> ChangeView {
    ChangeView {
        op: match item.kind {
            ChangeKind::Created => "created",
            ChangeKind::Updated => "updated",
            ChangeKind::Deleted => "deleted",
        },
        entry: match item.entry {
            EntryKind::File => "file",
            EntryKind::Directory => "directory",
            EntryKind::Symlink => "symlink",
            EntryKind::Device => "device",
            EntryKind::Special => "special",
            EntryKind::Unknown => "unknown",
        },
        path: item.path,
        size: item.size,
        content: item.content,
    }
}
