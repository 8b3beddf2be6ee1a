//! What happened, for whoever watches: numbered, kept for a while, and never in anyone's way.
//!
//! Numbers begin at the start time in milliseconds times a thousand, so that they grow across restarts and stay below
//! 2^53, the largest number that a browser reads exactly. A watcher who comes back with a number that is no longer
//! kept is told so, and reads the state afresh.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use engine::Progress;
use tokio::sync::broadcast;

use crate::core::ClockStep;
use crate::disk::{DiskId, Stopped};
use crate::freshness::Course;
use crate::member::MemberName;
use crate::project::ProjectId;
use crate::run::{Run, RunId, RunPhase};

/// How many events are kept for those who come back.
const KEPT: usize = 4096;
/// How far a watcher may fall behind before it is told that it missed some.
const BEHIND: usize = 1024;

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// Grows with every event, across restarts too.
    pub id: u64,
    /// When.
    pub time: DateTime<Utc>,
    /// Whose; none: the whole site's.
    pub project: Option<ProjectId>,
    /// What.
    pub kind: EventKind,
    /// The text for watchers, once one of them has asked for it.
    text: OnceLock<Box<str>>,
}

impl Event {
    /// Returns the text for watchers. `write` makes it for the first of them, and all others are given the same.
    pub fn text(&self, write: impl FnOnce(&Self) -> String) -> &str {
        self.text.get_or_init(|| write(self).into_boxed_str())
    }
}

/// What happened to a project.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// It was created.
    ProjectCreated,
    /// A person changed it.
    ProjectUpdated,
    /// It was removed.
    ProjectDeleted,
    /// A schedule time, and all before it, was passed over.
    ScheduleSkipped {
        /// The schedule time.
        scheduled: DateTime<Utc>,
        /// Why.
        reason: SkipReason,
    },
    /// A run was accepted.
    RunQueued(Arc<Run>),
    /// An attempt of a run started.
    RunStarted(Arc<Run>),
    /// Other work is done for a run that is going.
    RunPhase(RunId, RunPhase),
    /// How far a run is.
    RunProgress(RunId, Progress),
    /// An attempt failed and another follows.
    RunRetry(Arc<Run>),
    /// The guard holds a run, by a plan that nobody was told of before.
    RunHeld(Arc<Run>),
    /// A held run goes on: somebody approved it, or it has become harmless.
    RunReleased(Arc<Run>),
    /// A run is over.
    RunEnded(Arc<Run>),
    /// A slave is too far behind with it.
    NodeLagging(Arc<NodeLag>),
    /// That is over.
    NodeCaughtUp(Arc<NodeLag>),
    /// Slaves publish it together, and the others go on without this one.
    NodeLeftBehind(Arc<NodeLag>),
    /// What a slave held of it was not what it had pulled, and was synced whole.
    NodeDrifted {
        /// Which slave.
        node: MemberName,
        /// The first place that differed, in words.
        what: String,
    },
    /// Its upstream stands still, has gone back, or moves again, as its marker says; why in a sentence.
    UpstreamCourse(Course, String),
    /// Nothing starts on a file system any more.
    DiskFull(DiskId, Stopped),
    /// It has room again.
    DiskFree(DiskId),
    /// The clock went back.
    ClockBack(ClockStep),
}

/// How far a slave is behind with a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLag {
    /// Which slave.
    pub node: MemberName,
    /// The generation that it holds; none: nothing yet.
    pub holds: Option<u64>,
    /// The generation that the master has.
    pub generation: u64,
    /// How many it misses.
    pub generations: u64,
    /// Since when the first of them is there.
    pub time: Duration,
}

/// Why a schedule time was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// A run was still going or waiting.
    Busy,
    /// It came so long ago that the project does not catch it up.
    Late(TimeDelta),
}

impl std::fmt::Display for SkipReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy => f.write_str("the run before had not ended"),
            Self::Late(late) => {
                let late = Duration::from_secs(late.num_seconds().unsigned_abs());
                write!(
                    f,
                    "it is {} late, and `catch_up` does not reach so far back",
                    humantime::format_duration(late)
                )
            }
        }
    }
}

impl EventKind {
    /// The type as the API spells it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ProjectCreated => "project.created",
            Self::ProjectUpdated => "project.updated",
            Self::ProjectDeleted => "project.deleted",
            Self::ScheduleSkipped { .. } => "schedule.skipped",
            Self::RunQueued(_) => "run.queued",
            Self::RunStarted(_) => "run.started",
            Self::RunPhase(..) => "run.phase",
            Self::RunProgress(..) => "run.progress",
            Self::RunRetry(_) => "run.retry",
            Self::RunHeld(_) => "run.held",
            Self::RunReleased(_) => "run.released",
            Self::RunEnded(_) => "run.ended",
            Self::NodeLagging(_) => "node.lagging",
            Self::NodeCaughtUp(_) => "node.caught-up",
            Self::NodeLeftBehind(_) => "node.left-behind",
            Self::NodeDrifted { .. } => "node.drifted",
            Self::UpstreamCourse(Course::Moving, _) => "upstream.moving",
            Self::UpstreamCourse(Course::Frozen, _) => "upstream.frozen",
            Self::UpstreamCourse(Course::RolledBack, _) => "upstream.rolled-back",
            Self::DiskFull(..) => "disk.full",
            Self::DiskFree(_) => "disk.free",
            Self::ClockBack(_) => "clock.back",
        }
    }

    /// Every type, for documentation and for checking a filter.
    pub const TYPES: [&'static str; 22] = [
        "project.created",
        "project.updated",
        "project.deleted",
        "schedule.skipped",
        "run.queued",
        "run.started",
        "run.phase",
        "run.progress",
        "run.retry",
        "run.held",
        "run.released",
        "run.ended",
        "node.lagging",
        "node.caught-up",
        "node.left-behind",
        "node.drifted",
        "upstream.moving",
        "upstream.frozen",
        "upstream.rolled-back",
        "disk.full",
        "disk.free",
        "clock.back",
    ];
}

/// Where events go in and watchers listen.
#[derive(Debug)]
pub struct EventBus {
    kept: Mutex<Kept>,
    live: broadcast::Sender<Arc<Event>>,
}

#[derive(Debug)]
struct Kept {
    next: u64,
    events: VecDeque<Arc<Event>>,
}

/// A watcher's start: what it missed, and what comes from now on.
#[derive(Debug)]
pub struct Subscription {
    /// The events after the number it came with, oldest first.
    pub missed: Vec<Arc<Event>>,
    /// Whether some of those are no longer kept.
    pub gap: bool,
    /// Number of the newest event before those that come from now on.
    pub newest: u64,
    /// What comes from now on; lags when the watcher is too slow.
    pub live: broadcast::Receiver<Arc<Event>>,
}

impl EventBus {
    /// A bus whose numbers begin at `now`.
    #[must_use]
    pub fn new(now: DateTime<Utc>) -> Self {
        let next = u64::try_from(now.timestamp_millis()).unwrap_or(1).saturating_mul(1000);
        let kept = Kept { next, events: VecDeque::with_capacity(KEPT) };
        Self { kept: Mutex::new(kept), live: broadcast::channel(BEHIND).0 }
    }

    /// Tells every watcher what happened to a project. Never waits.
    pub fn publish(&self, project: ProjectId, kind: EventKind) {
        self.tell(Some(project), kind);
    }

    /// Tells every watcher what happened to the site. Never waits.
    pub fn announce(&self, kind: EventKind) {
        self.tell(None, kind);
    }

    fn tell(&self, project: Option<ProjectId>, kind: EventKind) {
        let mut kept = self.kept();
        let event = Arc::new(Event { id: kept.next, time: Utc::now(), project, kind, text: OnceLock::new() });
        kept.next += 1;
        if kept.events.len() == KEPT {
            kept.events.pop_front();
        }
        kept.events.push_back(Arc::clone(&event));
        // No watcher is listening: that is fine.
        let _ = self.live.send(event);
    }

    /// Starts watching; `last` is the number of the last event that the watcher saw, if it comes back.
    #[must_use]
    pub fn subscribe(&self, last: Option<u64>) -> Subscription {
        let kept = self.kept();
        let live = self.live.subscribe();
        let newest = kept.next.saturating_sub(1);
        let Some(last) = last else { return Subscription { missed: Vec::new(), gap: false, newest, live } };
        let oldest = kept.events.front().map_or(kept.next, |event| event.id);
        let missed = kept.events.iter().filter(|event| event.id > last).cloned().collect();
        Subscription { missed, gap: last.saturating_add(1) < oldest || last >= kept.next, newest, live }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_once_for_all_watchers() {
        let bus = EventBus::new(Utc::now());
        let mut watchers: Vec<_> = (0..200).map(|_| bus.subscribe(None).live).collect();
        bus.publish("p".parse().unwrap(), EventKind::ProjectUpdated);
        let mut written = 0;
        for watcher in &mut watchers {
            let event = watcher.try_recv().unwrap();
            let text = event.text(|event| {
                written += 1;
                format!("{} {}", event.id, event.kind.as_str())
            });
            assert!(text.ends_with(" project.updated"), "{text}");
        }
        assert_eq!(written, 1);
    }

    #[test]
    fn a_watcher_who_comes_back_gets_what_it_missed_or_is_told_of_the_gap() {
        let bus = EventBus::new(Utc::now());
        let id: ProjectId = "p".parse().unwrap();
        let mut first = bus.subscribe(None);
        for _ in 0..=KEPT {
            bus.publish(id.clone(), EventKind::ProjectUpdated);
        }
        assert!(first.live.try_recv().is_err(), "a slow watcher must be told that it lagged");
        let seen = bus.kept().next - 3;
        let back = bus.subscribe(Some(seen));
        assert_eq!(back.missed.len(), 2);
        assert!(!back.gap);
        assert!(bus.subscribe(Some(seen - 2 * KEPT as u64)).gap);
        assert!(bus.subscribe(Some(seen + 1000)).gap, "a number from the future is not ours");
    }
}
