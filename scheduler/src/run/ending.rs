//! How an attempt ended, as its task tells it: rsync's end, or the reason why there was none.

use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::Verdict;

use super::{AttemptEnd, AttemptExit, Counts, Plan};
use crate::freshness::Seen;
use crate::hooks::When;
use crate::refusal::RehearsalNews;
use crate::tree::SeenTree;

/// What the task of an attempt reports.
#[derive(Debug, Clone)]
pub struct Told {
    /// How it ended.
    pub ending: Ending,
    /// What hooks said on the way.
    pub decisions: Vec<HookDecision>,
    /// Whether it can have left nothing behind in the destination.
    pub clean: bool,
    /// What was seen of the upstream's marker before rsync began.
    pub seen: Option<Seen>,
    /// What the upstream showed of its marker; none: it was not asked, or did not answer.
    pub sighted: Option<Seen>,
    /// News of the upstream's willingness to rehearse.
    pub rehearsal: Option<RehearsalNews>,
    /// Reason for a run without deletions of a project that deletes.
    pub withheld: Option<String>,
    /// The command that failed, where it was not the attempt's own.
    pub command: Option<String>,
    /// Place of the tree; none: it was not looked at, or a person is asked about it.
    pub tree: Option<SeenTree>,
}

impl Told {
    /// An end of which nothing else is known, and which left nothing behind.
    #[must_use]
    pub fn new(ending: Ending) -> Self {
        Self {
            ending,
            decisions: Vec::new(),
            clean: true,
            seen: None,
            sighted: None,
            rehearsal: None,
            withheld: None,
            command: None,
            tree: None,
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub enum Ending {
    /// rsync ended, or could not be started.
    Ran {
        /// How.
        end: Box<AttemptEnd>,
        /// The wait before another attempt, when a hook wants one.
        again_after: Option<Duration>,
    },
    /// No rsync was needed: the upstream is what it was.
    Unchanged {
        /// How that is known, in one sentence.
        reason: String,
    },
    /// An upstream that had failed answers, and is to be used instead.
    Returns {
        /// Its address.
        upstream: String,
    },
    /// A hook said that the run is not to be.
    Skipped {
        /// Why.
        reason: String,
    },
    /// A hook forbade the run: it ends as `failed`, and nothing is tried again.
    Vetoed {
        /// Why.
        reason: String,
    },
    /// A hook wants the run to wait, which uses up no attempt.
    Delayed {
        /// How long.
        wait: Duration,
        /// Why.
        reason: String,
    },
    /// The guard asks a person; nothing was changed.
    Held(Box<Plan>),
}

impl Ending {
    /// rsync's end.
    #[must_use]
    pub fn ran(end: AttemptEnd) -> Self {
        Self::Ran { end: Box::new(end), again_after: None }
    }

    /// The end of an attempt without an rsync: see [`AttemptEnd::without_rsync`].
    #[must_use]
    pub fn not_started(class: &str, verdict: Verdict, reason: String) -> Self {
        Self::ran(AttemptEnd::without_rsync(class, verdict, reason))
    }

    /// The kind of end in a word, and why, in a sentence.
    #[must_use]
    pub fn in_words(&self) -> (&str, &str) {
        match self {
            Self::Ran { end, .. } => (&end.class, &end.reason),
            Self::Unchanged { reason } => ("unchanged", reason),
            Self::Returns { upstream } => ("returns", upstream),
            Self::Skipped { reason } => ("skipped", reason),
            Self::Vetoed { reason } => ("vetoed", reason),
            Self::Delayed { reason, .. } => ("delayed", reason),
            Self::Held(plan) => ("held", &plan.reason),
        }
    }
}

impl AttemptEnd {
    /// No rsync, for a reason of ours: `class` says what kind, `verdict` what follows.
    #[must_use]
    pub fn without_rsync(class: &str, verdict: Verdict, reason: String) -> Self {
        let word = if verdict == Verdict::Cancelled { "cancelled" } else { "not-started" };
        Self {
            duration: Duration::ZERO,
            exit: AttemptExit::Other(word.to_owned()),
            class: class.to_owned(),
            verdict,
            reason,
            stats: None,
            changes: Counts::default(),
            all_told: true,
            whole: true,
            stderr: Vec::new(),
            stage: None,
        }
    }
}

/// What one hook said about a run.
#[derive(Debug, Clone, PartialEq)]
pub struct HookDecision {
    /// Which plugin.
    pub plugin: String,
    /// When it was asked.
    pub when: When,
    /// About which attempt; counts from 1.
    pub attempt: usize,
    /// At what time it had answered.
    pub at: DateTime<Utc>,
    /// Its word, as the API spells it.
    pub decision: String,
    /// Why.
    pub reason: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// What work is done for a run that is going. Only readers see it; a record says that the run is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RunPhase {
    /// Hooks are asked, the upstream is looked at, deletions are counted.
    #[default]
    Preparing,
    /// An rsync works.
    Running,
    /// Hooks judge.
    Finishing,
}

impl RunPhase {
    /// Every phase.
    pub const ALL: [Self; 3] = [Self::Preparing, Self::Running, Self::Finishing];

    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Running => "running",
            Self::Finishing => "finishing",
        }
    }
}
