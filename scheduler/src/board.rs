//! What readers see: the projects and live runs as of the last commit, and how far each attempt is.
//!
//! The dispatcher writes here after each commit, a monitor writes progress; everyone else only looks. Readers take a
//! read lock for the time of a clone, so that no listing ever waits for a disk. The queue is the one thing that is made
//! on reading ([`crate::Scheduler::refresh_queue`]): its reasons change with every run that starts or ends.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use engine::Progress;

use crate::core::{ClockStep, Core, Entry};
use crate::destination::mounted::MountTable;
use crate::disk::Ground;
use crate::project::ProjectId;
use crate::queue::QueueItem;
use crate::run::{Run, RunId, RunPhase, RunState};

/// How many waiting runs the board shows, with their reasons.
const QUEUE_SHOWN: usize = 1000;

/// The picture that readers look at.
#[derive(Debug, Default)]
pub struct Board {
    picture: RwLock<Picture>,
    progress: RwLock<HashMap<RunId, Progress>>,
    phases: RwLock<HashMap<RunId, RunPhase>>,
    ground: RwLock<Arc<Ground>>,
    clock_step: RwLock<Option<ClockStep>>,
    version: AtomicU64,
    /// The queue has changed since it was made.
    queue_is_old: AtomicBool,
}

#[derive(Debug, Default)]
struct Picture {
    projects: BTreeMap<ProjectId, Arc<Entry>>,
    runs: HashMap<RunId, Arc<Run>>,
    queue: Arc<Vec<QueueItem>>,
}

impl Board {
    /// Grows whenever a project or its standing changes; the basis of the list's `ETag`.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// One project.
    #[must_use]
    pub fn project(&self, id: &ProjectId) -> Option<Arc<Entry>> {
        self.picture().projects.get(id).cloned()
    }

    /// Every project, by name.
    #[must_use]
    pub fn projects(&self) -> Vec<Arc<Entry>> {
        self.picture().projects.values().cloned().collect()
    }

    /// The project whose tree is partly the same as another one's at `place`, by a mount.
    pub(crate) fn overlap_by_mount(
        &self,
        table: &MountTable,
        place: &Path,
        id: &ProjectId,
    ) -> Option<ProjectId> {
        if table.is_plain(place) {
            return None;
        }
        let projects = self.projects();
        table.find_overlap(place, id, projects.iter().map(|entry| &*entry.project))
    }

    /// A live run.
    #[must_use]
    pub fn run(&self, id: RunId) -> Option<Arc<Run>> {
        self.picture().runs.get(&id).cloned()
    }

    /// Every live run, oldest first.
    #[must_use]
    pub fn runs(&self) -> Vec<Arc<Run>> {
        let mut runs: Vec<_> = self.picture().runs.values().cloned().collect();
        runs.sort_by_key(|run| run.id);
        runs
    }

    /// The first waiting runs in their order, with their reasons, as of the last [`crate::Scheduler::refresh_queue`].
    #[must_use]
    pub fn queue(&self) -> Arc<Vec<QueueItem>> {
        Arc::clone(&self.picture().queue)
    }

    /// Whether the queue is to be made again before somebody reads it.
    pub(crate) fn is_queue_old(&self) -> bool {
        self.queue_is_old.load(Ordering::Acquire)
    }

    /// Makes the queue again, if it has changed.
    pub(crate) fn make_queue(&self, core: &Core) {
        if self.queue_is_old.swap(false, Ordering::AcqRel) {
            let queue = Arc::new(core.queue(QUEUE_SHOWN));
            self.picture_mut().queue = queue;
        }
    }

    /// The file systems below projects, as somebody looked last.
    #[must_use]
    pub fn ground(&self) -> Arc<Ground> {
        Arc::clone(&self.ground.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes how full the file systems are.
    pub(crate) fn set_ground(&self, ground: Ground) {
        *self.ground.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ground);
    }

    /// The newest step of the clock into the past.
    #[must_use]
    pub fn clock_step(&self) -> Option<ClockStep> {
        *self.clock_step.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a step of the clock into the past.
    pub(crate) fn set_clock_step(&self, clock_step: ClockStep) {
        *self.clock_step.write().unwrap_or_else(PoisonError::into_inner) = Some(clock_step);
    }

    /// How far a going run is.
    #[must_use]
    pub fn progress(&self, run: RunId) -> Option<Progress> {
        self.progress.read().unwrap_or_else(PoisonError::into_inner).get(&run).copied()
    }

    /// Notes how far a run is.
    pub(crate) fn set_progress(&self, run: RunId, progress: Option<Progress>) {
        let mut all = self.progress.write().unwrap_or_else(PoisonError::into_inner);
        match progress {
            Some(progress) => all.insert(run, progress),
            None => all.remove(&run),
        };
    }

    /// What work is done for a run that is going.
    #[must_use]
    pub fn phase(&self, run: RunId) -> RunPhase {
        self.phases.read().unwrap_or_else(PoisonError::into_inner).get(&run).copied().unwrap_or_default()
    }

    /// A run's state as the API spells it: that of its record, with the phase of one that is going.
    #[must_use]
    pub fn state(&self, run: &Run) -> &'static str {
        match &run.state {
            RunState::Running => self.phase(run.id).as_str(),
            other => other.as_str(),
        }
    }

    /// Notes what work is done for a run; none: it goes no more.
    pub(crate) fn set_phase(&self, run: RunId, phase: Option<RunPhase>) {
        let mut all = self.phases.write().unwrap_or_else(PoisonError::into_inner);
        match phase {
            Some(phase) => all.insert(run, phase),
            None => all.remove(&run),
        };
    }

    /// Copies what a step touched out of the clockwork; the queue is left to whoever reads it.
    pub(crate) fn refresh<'a>(&self, core: &Core, touched: impl Iterator<Item = &'a ProjectId>) {
        let mut picture = self.picture_mut();
        for id in touched {
            if let Some(old) = picture.projects.remove(id) {
                for run in old.active.into_iter().chain(old.waiting) {
                    picture.runs.remove(&run);
                }
            }
            let Some(entry) = core.entry(id) else { continue };
            for run in entry.active.into_iter().chain(entry.waiting).filter_map(|run| core.run(run)) {
                picture.runs.insert(run.id, Arc::new(run.clone()));
            }
            picture.projects.insert(id.clone(), Arc::new(entry.clone()));
        }
        drop(picture);
        self.queue_is_old.store(true, Ordering::Release);
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    fn picture(&self) -> RwLockReadGuard<'_, Picture> {
        self.picture.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn picture_mut(&self) -> RwLockWriteGuard<'_, Picture> {
        self.picture.write().unwrap_or_else(PoisonError::into_inner)
    }
}
