//! What a policy is asked, and how it is kept from harm: its failures open a breaker, and who asked decides alone.

mod breaker;
mod recording;
pub(crate) mod status;

use std::collections::BTreeMap;

use scheduler::hooks::{PastRun, Status};
use serde::{Deserialize, Serialize};

pub(crate) use breaker::Breaker;
pub(crate) use recording::Recorder;
pub use recording::{Answer, Entry, Question, ReplayError, read_recording};

/// What could start next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The time, in milliseconds since 1970.
    pub now_ms: u64,
    /// How many could start.
    pub free_slots: u32,
    /// The projects that are going.
    pub running: Vec<String>,
    /// In the order in which they would start; at most [`View::MAX`].
    pub queue: Vec<Candidate>,
}

/// A run that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The project's id.
    pub project: String,
    /// The upstream's host.
    pub host: String,
    /// The project's labels.
    pub labels: BTreeMap<String, String>,
    /// Why the run exists, as the API spells it.
    pub trigger: String,
    /// When it was accepted.
    pub queued_at_ms: u64,
    /// When it was due.
    pub due_at_ms: u64,
    /// How long the project's last run took.
    pub last_duration_ms: Option<u64>,
    /// When its last good run ended.
    pub last_success_ms: Option<u64>,
    /// Runs that failed since then.
    pub consecutive_failures: u32,
    /// Its priority.
    pub priority: i32,
    /// Minutes east of UTC, now, in the project's time zone.
    pub utc_offset_minutes: i32,
}

/// A run that has ended, and what is known of its project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// The project's id.
    pub project: String,
    /// The time.
    pub now_ms: u64,
    /// Minutes east of UTC, now, in the project's time zone.
    pub utc_offset_minutes: i32,
    /// How it ended.
    #[serde(with = "status")]
    pub status: Status,
    /// How long it took.
    pub duration_ms: u64,
    /// Runs that failed in a row.
    pub consecutive_failures: u32,
    /// What the project's own schedule says.
    pub default_delay_ms: u64,
    /// The shortest wait that is taken.
    pub min_delay_ms: u64,
    /// The longest.
    pub max_delay_ms: u64,
    /// When something new was found last.
    pub last_new_ms: Option<u64>,
    /// The newest runs, newest first, this one included; at most 50.
    pub recent: Vec<Past>,
    /// The runs that found something new, newest first; at most 100.
    pub news: Vec<News>,
}

/// A run of the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// When it started.
    pub started_at_ms: u64,
    /// When it ended.
    pub ended_at_ms: u64,
    /// Why it existed, as the API spells it.
    pub trigger: String,
    /// How it ended.
    #[serde(with = "status")]
    pub status: Status,
    /// Whether the upstream had anything that we had not.
    pub found_new: bool,
    /// Paths created, updated and deleted.
    pub changes: u64,
    /// Bytes that came over the line.
    pub bytes_received: u64,
}

/// When an upstream had something new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// When a run had found nothing more before.
    pub unseen_ms: u64,
    /// When it was found.
    pub found_ms: u64,
    /// How many paths it was.
    pub changes: u64,
}

impl View {
    /// The most candidates that a policy is told of.
    pub const MAX: usize = 256;

    /// The answer as it can be used: indices that are there, each once, in the order of the answer.
    #[must_use]
    pub fn usable(&self, picks: &[u32]) -> Vec<usize> {
        let mut seen = vec![false; self.queue.len()];
        let picks = picks.iter().filter_map(|pick| usize::try_from(*pick).ok());
        picks.filter(|pick| seen.get_mut(*pick).is_some_and(|seen| !std::mem::replace(seen, true))).collect()
    }
}

impl Finished {
    /// The answer as it can be used.
    #[must_use]
    pub fn usable(&self, delay_ms: u64) -> u64 {
        delay_ms.clamp(self.min_delay_ms, self.max_delay_ms.max(self.min_delay_ms))
    }
}

impl From<&PastRun> for Past {
    fn from(run: &PastRun) -> Self {
        let millis =
            |time: chrono::DateTime<chrono::Utc>| u64::try_from(time.timestamp_millis()).unwrap_or_default();
        Self {
            started_at_ms: millis(run.started),
            ended_at_ms: millis(run.ended),
            trigger: run.trigger.as_str().to_owned(),
            status: run.status.clone(),
            found_new: run.found_new,
            changes: run.changes,
            bytes_received: run.bytes_received,
        }
    }
}
