//! Who watches an attempt: the one trait through which the engine tells what happens.
//!
//! A run log on disk, the live progress on a screen, the event stream and the metrics are all monitors. Every method
//! is called from the task that reads rsync's pipes, so an implementation must return at once and never block on a
//! slow reader; what it cannot take it drops or spools.

use crate::rsync::output::{Change, Progress};

/// Where in its life an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The guardian holds the destination's lock and rsync has been started, as this process.
    Started {
        /// The process id of rsync's main process, leader of its group.
        pid: u32,
    },
    /// rsync was asked to end (TERM); the reason follows in the report.
    Stopping,
    /// rsync did not end in its grace period and the whole group was killed.
    Killed,
}

/// Receives what one attempt does, while it does it.
pub trait Monitor: Send + Sync {
    /// The attempt entered a new phase.
    fn phase(&self, phase: Phase);

    /// How far rsync is. Called at most four times a second, and once at the end.
    fn progress(&self, progress: &Progress);

    /// One path was created, updated or deleted. `raw` is the journal line as rsync printed it, without its end,
    /// which [`Change::parse`] reads again.
    fn change(&self, change: &Change<'_>, raw: &[u8]);

    /// One line that rsync printed for people, on its standard output.
    fn stdout(&self, line: &[u8]);

    /// One line that rsync printed on its standard error.
    fn stderr(&self, line: &[u8]);
}
