//! What decides beside the clockwork which run starts next, and when a project is due again.
//!
//! A policy is asked with plain facts and answers with an order or a wait. The clockwork ([`crate::core`]) neither waits
//! for it nor depends on it: an answer is an input like any other, and where none comes, the built-in order and the
//! project's own schedule hold. Whatever it says, no bound is left and nothing waits for ever.

pub mod status;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::hooks::{Answering, PastRun, Status};
use crate::project::Project;
use crate::run::Run;

/// Who is asked.
pub trait Policy: Send + Sync + fmt::Debug {
    /// The names of those that are asked, whether they could be loaded or not.
    fn names(&self) -> Vec<String>;

    /// Whether anybody is asked which run starts next.
    fn picks(&self) -> bool;

    /// Whether anybody is asked when this project is due again.
    fn concerns(&self, project: &Project) -> bool;

    /// Which of the candidates start next, as indices that are there, each once; none: the built-in order. `projects` are
    /// those of the candidates, in their order.
    fn pick<'a>(
        &'a self,
        view: &'a View,
        projects: &'a [std::sync::Arc<Project>],
    ) -> Answering<'a, Option<Vec<usize>>>;

    /// How long a project waits after this run; none: its own schedule decides.
    fn next_delay<'a>(&'a self, project: &'a Project, run: &'a Finished)
    -> Answering<'a, Option<Suggestion>>;
}

/// When a project is due again, as a policy has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// Which policy.
    pub by: String,
    /// So long after the end of the run.
    pub delay: Duration,
}

impl Suggestion {
    /// The shortest and the longest wait that a policy can ask for.
    pub const DELAY: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(7 * 24));
}

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

/// Milliseconds since 1970.
pub(crate) fn millis(time: chrono::DateTime<chrono::Utc>) -> u64 {
    u64::try_from(time.timestamp_millis()).unwrap_or_default()
}

impl Finished {
    /// The most runs that are told, and the most news.
    pub const MAX: (usize, usize) = (50, 100);

    /// Fills in the past from a project's runs, newest first.
    #[must_use]
    pub fn with_past(mut self, runs: &[Run]) -> Self {
        let past: Vec<PastRun> = runs.iter().filter_map(PastRun::of).collect();
        let (most, most_news) = Self::MAX;
        self.recent = past.iter().take(most).map(Past::from).collect();
        let good = |run: &&PastRun| matches!(run.status, Status::Succeeded | Status::Unchanged);
        let news = past.iter().enumerate().filter(|(_, run)| run.found_new).map(|(at, run)| {
            let before = past.iter().skip(at + 1).find(good);
            let found = millis(run.started);
            News {
                unseen_ms: before.map_or(found, |run| millis(run.started)),
                found_ms: found,
                changes: run.changes,
            }
        });
        self.news = news.take(most_news).collect();
        self.last_new_ms = self.news.first().map(|news| news.found_ms);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_to_what_can_be_used() {
        let candidate = Candidate {
            project: "p".to_owned(),
            host: "h".to_owned(),
            labels: BTreeMap::new(),
            trigger: "schedule".to_owned(),
            queued_at_ms: 0,
            due_at_ms: 0,
            last_duration_ms: None,
            last_success_ms: None,
            consecutive_failures: 0,
            priority: 0,
            utc_offset_minutes: 0,
        };
        let queue = vec![candidate; 3];
        let view = View { now_ms: 0, free_slots: 1, running: Vec::new(), queue };
        assert_eq!(view.usable(&[2, 9, 2, 0, u32::MAX]), [2, 0]);
    }
}
