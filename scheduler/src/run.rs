//! A run: one time that a project is brought up to date, from its trigger to its verdict.

mod ending;
mod hold;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use engine::{Stats, Verdict};
use ulid::Ulid;

pub use ending::{Ending, HookDecision, RunPhase, Told};
pub use hold::{Hold, Plan, Release};

use crate::project::ProjectId;

/// One run, with everything that is known of it.
#[derive(Debug, Clone)]
pub struct Run {
    /// Unique, and in the order of creation.
    pub id: RunId,
    /// Whose run it is.
    pub project: ProjectId,
    /// Why it exists.
    pub trigger: Trigger,
    /// The user who asked for it, when a person did.
    pub requested_by: Option<String>,
    /// The schedule time that it answers, when the schedule did.
    pub scheduled: Option<DateTime<Utc>>,
    /// When it was accepted.
    pub queued: DateTime<Utc>,
    /// Where in its life it is.
    pub state: RunState,
    /// Who asked to stop it, if anyone did: kept, so that not even a crash forgets the wish.
    pub cancelled_by: Option<String>,
    /// When work for it began.
    pub began: Option<DateTime<Utc>>,
    /// The rsync processes that it started, oldest first.
    pub attempts: Vec<AttemptRecord>,
    /// What hooks said about it, oldest first; at most [`Run::MAX_DECISIONS`].
    pub decisions: Vec<HookDecision>,
    /// How often hooks have delayed it.
    pub delays: u32,
    /// That the guard holds it, or did.
    pub hold: Option<Hold>,
}

impl Run {
    /// How many of the newest decisions of hooks are kept.
    pub const MAX_DECISIONS: usize = 200;

    /// When work for it began. Records of old know only when its first attempt did.
    #[must_use]
    pub fn started(&self) -> Option<DateTime<Utc>> {
        self.began.or_else(|| self.attempts.first().map(|attempt| attempt.started))
    }

    /// The hold that waits for a person, whatever is done for the run meanwhile.
    #[must_use]
    pub fn open_hold(&self) -> Option<&Hold> {
        self.hold.as_ref().filter(|hold| hold.is_open())
    }

    /// Notes what hooks said.
    pub fn note(&mut self, decisions: Vec<HookDecision>) {
        self.decisions.extend(decisions);
        let surplus = self.decisions.len().saturating_sub(Self::MAX_DECISIONS);
        self.decisions.drain(..surplus);
    }

    /// Whether what its attempts told of changes is all that they changed.
    #[must_use]
    pub fn all_told(&self) -> bool {
        self.attempts.iter().filter_map(AttemptRecord::ended).all(|end| end.all_told)
    }

    /// What it has created, updated and deleted in all its attempts.
    #[must_use]
    pub fn changes(&self) -> Counts {
        self.attempts
            .iter()
            .filter_map(AttemptRecord::ended)
            .fold(Counts::default(), |sum, end| sum + end.changes)
    }

    /// The statistics of its newest attempt that had any.
    #[must_use]
    pub fn stats(&self) -> Option<&Stats> {
        self.attempts.iter().rev().filter_map(AttemptRecord::ended).find_map(|end| end.stats.as_ref())
    }

    /// The same, if they are those of the whole tree.
    #[must_use]
    pub fn stats_of_tree(&self) -> Option<&Stats> {
        let newest =
            self.attempts.iter().rev().filter_map(AttemptRecord::ended).find(|end| end.stats.is_some());
        newest.filter(|end| end.whole)?.stats.as_ref()
    }

    /// How many attempts have failed.
    #[must_use]
    pub fn failed_attempts(&self) -> u32 {
        u32::try_from(self.attempts.iter().filter(|attempt| attempt.end.is_some()).count())
            .unwrap_or(u32::MAX)
    }
}

/// Where in its life a run is. Each variant holds what only that state knows.
#[derive(Debug, Clone, PartialEq)]
pub enum RunState {
    /// It waits for its turn, or behind the run that is going.
    Queued,
    /// An rsync works for it.
    Running,
    /// Its newest attempt failed; the next starts at this time.
    BackingOff {
        /// When it is queued again.
        until: DateTime<Utc>,
        /// Why the attempt failed, in one sentence.
        reason: String,
    },
    /// The guard holds it: its hold says why. It goes on when a person approves, or when a later look is harmless.
    Held,
    /// It is over.
    Ended {
        /// When.
        at: DateTime<Utc>,
        /// How.
        outcome: Outcome,
        /// Why, in one sentence; none when there is nothing to say.
        reason: Option<String>,
        /// The generation that it made, when it changed something.
        generation: Option<u64>,
    },
}

impl RunState {
    /// The state as the API spells it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::BackingOff { .. } => "backing-off",
            Self::Held => "held",
            Self::Ended { outcome, .. } => outcome.as_str(),
        }
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The destination is what the upstream was, and something was new.
    Succeeded,
    /// The destination is what the upstream was, and nothing was new.
    Unchanged,
    /// Most of it came; what did not is in the reason.
    Partial,
    /// It did not come, and there is no attempt left.
    Failed,
    /// A person stopped it.
    Cancelled,
    /// A hook said that it is not to be.
    Skipped,
    /// The server ended while it was going.
    Interrupted,
}

impl Outcome {
    /// Every outcome, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Succeeded,
        Self::Unchanged,
        Self::Partial,
        Self::Failed,
        Self::Cancelled,
        Self::Skipped,
        Self::Interrupted,
    ];

    /// The outcome as the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Unchanged => "unchanged",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether the destination holds what the upstream had.
    #[must_use]
    pub fn is_good(self) -> bool {
        matches!(self, Self::Succeeded | Self::Unchanged)
    }
}

impl FromStr for Outcome {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or(())
    }
}

/// Why a run exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// Its schedule fired.
    Schedule,
    /// A person asked for it.
    Manual,
    /// Schedule times passed while the server was down.
    CatchUp,
    /// The server ended in the middle of the run before.
    Recovery,
}

impl Trigger {
    /// Every trigger.
    pub const ALL: [Self; 4] = [Self::Schedule, Self::Manual, Self::CatchUp, Self::Recovery];

    /// The trigger as the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Manual => "manual",
            Self::CatchUp => "catch-up",
            Self::Recovery => "recovery",
        }
    }
}

impl FromStr for Trigger {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|trigger| trigger.as_str() == text).ok_or(())
    }
}

/// One rsync process within a run.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRecord {
    /// When it started.
    pub started: DateTime<Utc>,
    /// The command line, as a person would type it; without secrets, which are never in it.
    pub command: String,
    /// The upstream that it asks; empty in records of old.
    pub upstream: String,
    /// How it ended; none: it has not.
    pub end: Option<AttemptEnd>,
}

impl AttemptRecord {
    fn ended(&self) -> Option<&AttemptEnd> {
        self.end.as_ref()
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptEnd {
    /// How long it took.
    pub duration: Duration,
    /// rsync's exit as the API spells it: `code 23`, `signal 9`, `stalled`…
    pub exit: AttemptExit,
    /// What kind of end that is, in `engine::Class`'s spelling.
    pub class: String,
    /// What follows from it.
    pub verdict: Verdict,
    /// What happened and what to do, in one sentence.
    pub reason: String,
    /// rsync's final statistics, when it came so far.
    pub stats: Option<Stats>,
    /// What it created, updated and deleted.
    pub changes: Counts,
    /// Whether that is all: a command does not say what it changes, and rsync can count more deletions than it names.
    pub all_told: bool,
    /// Whether it looked at the whole tree, and not only at some paths of it.
    pub whole: bool,
    /// The last lines of its standard error.
    pub stderr: Vec<String>,
    /// The stage in which it ended, from 1; none: it had one only.
    pub stage: Option<u8>,
}

/// The way in which the rsync process of an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptExit {
    /// It exited with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// It was ended, or never began, for a reason of ours, named in kebab-case (`stalled`, `timed-out`…).
    Other(String),
}

/// Paths created, updated and deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Paths that were not there before.
    pub created: u64,
    /// Paths whose content or attributes changed.
    pub updated: u64,
    /// Paths that are there no more.
    pub deleted: u64,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub fn total(self) -> u64 {
        self.created + self.updated + self.deleted
    }
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            created: self.created + other.created,
            updated: self.updated + other.updated,
            deleted: self.deleted + other.deleted,
        }
    }
}

/// The name of a run: a ULID, so that names sort by time (<https://github.com/ulid/spec>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Ulid);

impl RunId {
    /// The smallest name that is larger than `newest` and carries `now`; `salt` fills what time leaves open.
    #[must_use]
    pub fn after(newest: Option<Self>, now: DateTime<Utc>, salt: u128) -> Self {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        let fresh = Self(Ulid::from_parts(millis, salt));
        match newest {
            Some(newest) if newest >= fresh => Self(Ulid(newest.0.0.saturating_add(1))),
            _ => fresh,
        }
    }

    /// The name as 16 big-endian bytes, which sort as the names do.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_bytes()
    }

    /// The name from its 16 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Ulid::from_bytes(bytes))
    }

    /// The time that the name carries, in milliseconds; 1970 when it carries none that a calendar knows.
    #[must_use]
    pub fn time(self) -> DateTime<Utc> {
        let millis = i64::try_from(self.0.timestamp_ms()).unwrap_or_default();
        Utc.timestamp_millis_opt(millis).single().unwrap_or_default()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RunId {
    type Err = ulid::DecodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ulid::from_string(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_grow_even_when_the_clock_stands_still_or_goes_back() {
        let now = Utc::now();
        let first = RunId::after(None, now, u128::MAX);
        let second = RunId::after(Some(first), now, 0);
        let third = RunId::after(Some(second), now - chrono::Duration::days(1), 7);
        assert!(first < second && second < third);
        assert_eq!(third.to_string().parse::<RunId>().unwrap(), third);
        assert_eq!(RunId::from_bytes(first.to_bytes()), first);
    }

    #[test]
    fn every_outcome_and_trigger_is_read_as_it_is_written() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(outcome));
        }
        for trigger in Trigger::ALL {
            assert_eq!(trigger.as_str().parse(), Ok(trigger));
        }
    }
}
