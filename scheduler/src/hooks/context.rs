//! What hooks are told: plain facts about a run, its project and how it went, never a secret.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use engine::Stats;

use crate::project::{Project, ProjectHook, ProjectId, Standing};
use crate::run::{AttemptEnd, AttemptExit, Counts, Outcome, Run, RunId, RunState, Trigger};

/// What a vote before an attempt is based on.
#[derive(Debug, Clone)]
pub struct RunContext {
    /// Which run.
    pub run: RunId,
    /// Counts from 1.
    pub attempt: usize,
    /// Why the run exists.
    pub trigger: Trigger,
    /// The time.
    pub now: DateTime<Utc>,
    /// Minutes east of UTC, now, in the project's time zone.
    pub utc_offset_minutes: i32,
    /// When the run was accepted.
    pub queued: DateTime<Utc>,
    /// The schedule time that it answers.
    pub scheduled: Option<DateTime<Utc>>,
    /// When the newest good run ended.
    pub last_success: Option<DateTime<Utc>>,
    /// Runs that failed since then.
    pub failures: u32,
    /// How often hooks have delayed this run so far.
    pub delays: u32,
    /// The time in the upstream's freshness marker, as it was last seen.
    pub upstream_marker: Option<DateTime<Utc>>,
    /// The time in our copy of it.
    pub local_marker: Option<DateTime<Utc>>,
    /// The project.
    pub project: ProjectFacts,
    /// The arguments that rsync would get.
    pub rsync_args: Vec<String>,
    /// The project's newest runs before this one, newest first.
    pub recent: Vec<PastRun>,
}

/// A project as hooks see it.
#[derive(Debug, Clone)]
pub struct ProjectFacts {
    /// Its id.
    pub id: ProjectId,
    /// The name that people see.
    pub name: String,
    /// The upstream's address, without a password.
    pub source: String,
    /// The upstream's host.
    pub host: String,
    /// Destination, every symlink resolved.
    pub dest: PathBuf,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The plugins that it names itself.
    pub hooks: Vec<ProjectHook>,
    /// Its generation.
    pub generation: u64,
    /// Bytes in the tree, by the newest statistics.
    pub size_bytes: u64,
    /// Entries in the tree, by the newest statistics.
    pub files: u64,
}

/// A run of the past.
#[derive(Debug, Clone, PartialEq)]
pub struct PastRun {
    /// When it started; when it ended, if it never did.
    pub started: DateTime<Utc>,
    /// When it ended.
    pub ended: DateTime<Utc>,
    /// Why it existed.
    pub trigger: Trigger,
    /// How it ended.
    pub status: Status,
    /// Whether the upstream had anything that we had not.
    pub found_new: bool,
    /// Paths created, updated and deleted.
    pub changes: u64,
    /// Bytes that came over the line.
    pub bytes_received: u64,
}

/// What a judgement after an attempt is based on, beside the context of before.
#[derive(Debug, Clone)]
pub struct RunOutcome {
    /// How it ended.
    pub status: Status,
    /// The kind of end in a word, as the API spells it.
    pub class: String,
    /// What happened and what to do, in one sentence.
    pub reason: String,
    /// When it started.
    pub started: DateTime<Utc>,
    /// When it ended.
    pub finished: DateTime<Utc>,
    /// rsync's final statistics, when it came so far.
    pub stats: Option<Stats>,
    /// Paths created, updated and deleted.
    pub changes: Counts,
    /// The last lines of standard error.
    pub stderr_tail: Vec<String>,
    /// Whether another attempt follows unless a hook says otherwise.
    pub will_retry: bool,
    /// How the project's run before this one ended.
    pub previous: Option<Status>,
}

/// How a run, or one attempt of it, ended. Numbers are rsync's codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The destination is what the upstream was, and something was new.
    Succeeded,
    /// The destination is what the upstream was, and nothing was new.
    Unchanged,
    /// Most of it came.
    Partial(i32),
    /// It did not come.
    Failed(i32),
    /// A signal that was not ours ended rsync.
    Signalled(i32),
    /// It took too long.
    TimedOut,
    /// Nothing moved for too long.
    Stalled,
    /// A person stopped it.
    Cancelled,
    /// The server ended while it was going.
    Interrupted,
    /// The guard waits for a person.
    Held,
    /// A hook said that it is not to be.
    Skipped,
    /// It ended for a reason of ours, in a word.
    Other(String),
}

impl ProjectFacts {
    /// The facts of a project.
    #[must_use]
    pub fn new(project: &Project, standing: &Standing) -> Self {
        Self {
            id: project.id.clone(),
            name: project.name.clone(),
            source: project.source.to_string(),
            host: project.source.host().to_owned(),
            dest: project.place.clone(),
            labels: project.labels.clone(),
            hooks: project.hooks.clone(),
            generation: standing.generation,
            size_bytes: standing.size_bytes,
            files: standing.files,
        }
    }
}

impl Status {
    /// How an rsync ended.
    #[must_use]
    pub fn of_attempt(end: &AttemptEnd) -> Self {
        match (&end.exit, end.verdict) {
            (_, engine::Verdict::Done) if end.changes.total() > 0 => Self::Succeeded,
            (_, engine::Verdict::Done) => Self::Unchanged,
            (AttemptExit::Code(code), engine::Verdict::Partial) => Self::Partial(*code),
            (AttemptExit::Code(code), _) => Self::Failed(*code),
            (AttemptExit::Signal(signal), _) => Self::Signalled(*signal),
            (AttemptExit::Other(word), _) => match word.as_str() {
                "timed-out" => Self::TimedOut,
                "stalled" => Self::Stalled,
                "cancelled" => Self::Cancelled,
                word => Self::Other(word.to_owned()),
            },
        }
    }

    /// How a run ended; none: it has not.
    #[must_use]
    pub fn of_run(run: &Run) -> Option<Self> {
        let RunState::Ended { outcome, .. } = &run.state else { return None };
        let last = run.attempts.iter().rev().find_map(|attempt| attempt.end.as_ref());
        Some(match outcome {
            Outcome::Succeeded => Self::Succeeded,
            Outcome::Unchanged => Self::Unchanged,
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Interrupted => Self::Interrupted,
            Outcome::Skipped => Self::Skipped,
            Outcome::Partial | Outcome::Failed => {
                last.map_or_else(|| Self::Other("not-started".to_owned()), Self::of_attempt)
            }
        })
    }
}

impl PastRun {
    /// The short story of a run that has ended.
    #[must_use]
    pub fn of(run: &Run) -> Option<Self> {
        let RunState::Ended { at, generation, .. } = &run.state else { return None };
        Some(Self {
            started: run.started().unwrap_or(*at),
            ended: *at,
            trigger: run.trigger,
            status: Status::of_run(run)?,
            found_new: generation.is_some(),
            changes: run.changes().total(),
            bytes_received: run.stats().map_or(0, |stats| stats.received),
        })
    }
}
