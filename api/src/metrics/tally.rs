//! What runs have come to since the start, counted from the events as they happen.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use scheduler::{EventKind, Run, Scheduler};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::text::Text;

/// The counts.
#[derive(Debug, Default)]
pub struct Tally {
    /// By result and by class.
    runs: Mutex<BTreeMap<(&'static str, String), u64>>,
    retries: AtomicU64,
    skipped: AtomicU64,
    received: AtomicU64,
}

impl Tally {
    /// Counts until `stop`.
    pub async fn listen(&self, scheduler: &Scheduler, stop: &CancellationToken) {
        let mut live = scheduler.events().subscribe(None).live;
        loop {
            match stop.run_until_cancelled(live.recv()).await {
                Some(Ok(event)) => self.note(&event.kind),
                // Counting is far quicker than what it counts; if it ever is not, the log says that some are missing.
                Some(Err(RecvError::Lagged(missed))) => {
                    tracing::warn!(missed, "some events are not in the metrics");
                }
                Some(Err(RecvError::Closed)) | None => return,
            }
        }
    }

    fn note(&self, kind: &EventKind) {
        match kind {
            EventKind::RunEnded(run) => self.ended(run),
            EventKind::RunRetry(_) => {
                self.retries.fetch_add(1, Ordering::Relaxed);
            }
            EventKind::ScheduleSkipped { .. } => {
                self.skipped.fetch_add(1, Ordering::Relaxed);
            }
            EventKind::ProjectCreated
            | EventKind::ProjectUpdated
            | EventKind::ProjectDeleted
            | EventKind::RunQueued(_)
            | EventKind::RunStarted(_)
            | EventKind::RunPhase(..)
            | EventKind::RunHeld(_)
            | EventKind::RunReleased(_)
            | EventKind::NodeLagging(_)
            | EventKind::NodeCaughtUp(_)
            | EventKind::NodeLeftBehind(_)
            | EventKind::NodeDrifted { .. }
            | EventKind::RunProgress(..) => {}
        }
    }

    fn ended(&self, run: &Run) {
        let ends = || run.attempts.iter().filter_map(|attempt| attempt.end.as_ref());
        let class = ends().next_back().map_or_else(|| "none".to_owned(), |end| end.class.clone());
        let received = ends().filter_map(|end| end.stats.as_ref()).map(|stats| stats.received).sum();
        self.received.fetch_add(received, Ordering::Relaxed);
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        *runs.entry((run.state.as_str(), class)).or_default() += 1;
    }

    /// Writes the counts.
    pub(super) fn write(&self, text: &mut Text) {
        text.family("heliostat_runs_total");
        for ((result, class), number) in self.runs.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            text.sample(&[("result", result), ("class", class)], number);
        }
        text.family("heliostat_run_retries_total").sample(&[], self.retries.load(Ordering::Relaxed));
        text.family("heliostat_schedule_skipped_total").sample(&[], self.skipped.load(Ordering::Relaxed));
        text.family("heliostat_received_bytes_total").sample(&[], self.received.load(Ordering::Relaxed));
    }
}
