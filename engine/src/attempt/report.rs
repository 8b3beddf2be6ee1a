//! What is told of an attempt once it has ended.

use std::time::Duration;

use crate::rsync::exit::{Exit, Judgement, Verdict, judge};
use crate::rsync::messages::Findings;
use crate::rsync::stats::Stats;

/// What became of an attempt.
#[derive(Debug, Clone)]
pub struct AttemptReport {
    /// How rsync ended.
    pub exit: Exit,
    /// What that means.
    pub judgement: Judgement,
    /// rsync's final statistics, when it came so far.
    pub stats: Option<Stats>,
    /// How many paths it changed.
    pub changes: Changes,
    /// Whether these are all: a command does not say what it changes, and rsync's own count can be another.
    pub all_told: bool,
    /// How long it took.
    pub duration: Duration,
    /// The last lines of its standard error, safe to print.
    pub stderr_tail: Vec<String>,
    /// Whether it can have left no unfinished file behind.
    pub clean: bool,
    /// The stage in which it ended, from 1; none: it had one only.
    pub stage: Option<u8>,
}

/// Lines of standard error that say that no connection came about.
const NOT_CONNECTED: [&str; 3] = ["failed to connect", "getaddrinfo", "name resolution"];

impl AttemptReport {
    /// Returns true if the upstream said that it does not take `--dry-run`.
    #[must_use]
    pub fn is_rehearsal_refused(&self) -> bool {
        self.stderr_tail.iter().any(|line| line.contains("refuse") && line.contains("dry-run"))
    }

    /// Returns true if a connection came about and broke off, or fell silent, before rsync was done.
    #[must_use]
    pub fn is_broken_off(&self) -> bool {
        let never = |line: &String| NOT_CONNECTED.iter().any(|said| line.contains(said));
        let cut = matches!(self.exit, Exit::Code(10 | 12 | 30) | Exit::Stalled);
        cut && self.judgement.verdict == Verdict::RetrySoon && !self.stderr_tail.iter().any(never)
    }

    pub(super) fn unknown_command(name: &str) -> Self {
        let why = format!(
            "the configuration has no command `{name}` any more: name it there under `commands`, or give the project \
             another `source`"
        );
        let exit = Exit::NotStarted(why);
        Self {
            judgement: judge(&exit, None, &Findings::default()),
            exit,
            stats: None,
            changes: Changes::default(),
            all_told: true,
            duration: Duration::ZERO,
            stderr_tail: Vec::new(),
            clean: true,
            stage: None,
        }
    }
}

/// Numbers of changed paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Paths that were not there before.
    pub created: u64,
    /// Paths whose content or attributes changed.
    pub updated: u64,
    /// Paths that are there no more.
    pub deleted: u64,
}

impl Changes {
    /// Whether rsync counted no other deletions than it named.
    pub(super) fn are_all(&self, stats: Option<&Stats>) -> bool {
        stats.is_none_or(|stats| stats.deleted == self.deleted)
    }
}
