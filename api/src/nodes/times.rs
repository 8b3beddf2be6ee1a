//! When generations were made: read from the store once for each that somebody asks for.
//!
//! Every look at who is behind asks for the first generation that each slave misses, of every project; the runs that made
//! them are in the past and do not change.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use scheduler::core::Entry;
use scheduler::{ProjectId, RunState, Store};

use super::lag::Lag;

/// How many runs are looked through for the one that made a generation.
const RUNS: usize = 200;
/// Most generations of one project of which the times are remembered.
const REMEMBERED: usize = 16;

/// Times at which generations were made, as far as the history reaches.
pub(crate) struct GenerationTimes {
    store: Store,
    known: Mutex<HashMap<ProjectId, KnownTimes>>,
}

/// When generations of one project were made.
struct KnownTimes {
    /// When the project was created: another one of the same name is another project.
    created: DateTime<Utc>,
    /// By generation: the time, or the newest generation that there was when the history did not reach so far.
    times: BTreeMap<u64, Result<DateTime<Utc>, u64>>,
}

impl GenerationTimes {
    /// Nothing is read yet.
    pub(super) fn new(store: Store) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// How far somebody who holds this is behind. May read the store.
    pub(crate) fn lag(&self, entry: &Entry, held: Option<u64>) -> Lag {
        let generations = entry.standing.generation.saturating_sub(held.unwrap_or(0));
        let missed = (generations > 0).then(|| self.at(entry, held.unwrap_or(0) + 1)).flatten();
        let time = missed.map(|at| (Utc::now() - at).to_std().unwrap_or_default());
        Lag { generations, time: time.unwrap_or_default() }
    }

    /// When this generation was made; where that is forgotten, the oldest that is known since. May read the store.
    pub(crate) fn at(&self, entry: &Entry, generation: u64) -> Option<DateTime<Utc>> {
        let newest = entry.standing.generation;
        match self.recall(entry, generation) {
            Some(Ok(at)) => return Some(at),
            // Only a newer generation can be the oldest that is known since.
            Some(Err(then)) if then == newest => return None,
            _ => {}
        }

        let at = self.read(&entry.project.id, generation);
        let mut known = self.known();
        let own = known.entry(entry.project.id.clone()).or_insert_with(|| KnownTimes::new(entry));
        if own.created != entry.project.created {
            *own = KnownTimes::new(entry);
        }
        own.times.insert(generation, at.ok_or(newest));
        if own.times.len() > REMEMBERED {
            // Slaves go on to newer generations.
            own.times.pop_first();
        }
        at
    }

    fn recall(&self, entry: &Entry, generation: u64) -> Option<Result<DateTime<Utc>, u64>> {
        let known = self.known();
        let own = known.get(&entry.project.id).filter(|own| own.created == entry.project.created)?;
        own.times.get(&generation).copied()
    }

    fn read(&self, project: &ProjectId, generation: u64) -> Option<DateTime<Utc>> {
        // A store that cannot be read knows no times.
        let runs = self.store.runs(Some(project), None, RUNS).unwrap_or_default();
        let made = runs.iter().filter_map(|run| match run.state {
            RunState::Ended { at, generation: Some(made), .. } if made >= generation => Some(at),
            _ => None,
        });
        made.min()
    }

    /// Forgets the projects that are not among these.
    pub(super) fn keep(&self, entries: &[Arc<Entry>]) {
        let mut known = self.known();
        if known.len() > entries.len() {
            let ids: HashSet<&ProjectId> = entries.iter().map(|entry| &entry.project.id).collect();
            known.retain(|id, _| ids.contains(id));
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ProjectId, KnownTimes>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownTimes {
    fn new(entry: &Entry) -> Self {
        Self { created: entry.project.created, times: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use scheduler::core::Write;
    use scheduler::{Outcome, Project, Run, RunId, Standing, Trigger};

    use super::*;

    /// A project whose runs made so many generations, one a second.
    async fn made(store: &Store, generations: u64) -> Entry {
        let input = serde_json::json!({ "id": "p", "source": "rsync://h/m", "dest": "/d" });
        let (defaults, landing) =
            (crate::draft::tests::defaults(), scheduler::destination::Landing::default());
        let project = crate::draft::project(&input, None, "root", &defaults, &landing).unwrap();
        for generation in 1..=generations {
            let at = time(generation);
            let state = RunState::Ended {
                at,
                outcome: Outcome::Succeeded,
                reason: None,
                generation: Some(generation),
            };
            let run = Run {
                id: RunId::after(None, at, generation.into()),
                project: project.id.clone(),
                trigger: Trigger::Manual,
                requested_by: None,
                scheduled: None,
                queued: at,
                state,
                cancelled_by: None,
                began: None,
                attempts: Vec::new(),
                decisions: Vec::new(),
                delays: 0,
                hold: None,
            };
            store.commit(vec![Write::Run(Arc::new(run))]).await.unwrap();
        }
        let standing = Standing { generation: generations, ..Standing::default() };
        Entry { project: Arc::new(project), standing, active: None, waiting: None, next: None }
    }

    fn time(generation: u64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(generation.cast_signed())
    }

    #[tokio::test]
    async fn a_time_is_read_from_the_store_once_and_looked_for_again_only_with_a_new_generation() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut entry = made(&store, 4).await;
        let times = GenerationTimes::new(store.clone());
        assert_eq!(times.at(&entry, 3), Some(time(3)));
        assert_eq!(times.at(&entry, 5), None);
        assert_eq!(times.lag(&entry, Some(2)).generations, 2);

        // What is read from now on is not there any more.
        let runs = store.run_ids(None, None, usize::MAX).unwrap();
        let gone: Vec<_> = runs.into_iter().map(|run| (entry.project.id.clone(), run)).collect();
        store.forget_runs(&gone).await.unwrap();
        assert_eq!(times.at(&entry, 3), Some(time(3)), "it was read again");
        assert_eq!(times.at(&entry, 2), None);

        entry.standing = made(&store, 5).await.standing;
        assert_eq!((times.at(&entry, 5), times.at(&entry, 2)), (Some(time(5)), Some(time(2))));

        // Another project of the same name is read anew, and one that is gone is forgotten.
        let other = made(&store, 5).await;
        let project = Project { created: time(99), ..Project::clone(&other.project) };
        let other = Entry { project: Arc::new(project), ..other };
        assert_eq!(times.at(&other, 1), Some(time(1)));
        assert_eq!(times.known().values().map(|own| own.times.len()).sum::<usize>(), 1);
        times.keep(&[]);
        assert!(times.known().is_empty());
    }
}
