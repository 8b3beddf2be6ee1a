//! The one thread that writes: it gathers what many ask for, and commits it with one fsync.
//!
//! After a commit that failed, on a full disk above all, nothing is appended to that database any more. Reads go on
//! from it. Once the disk has room, all that it holds is copied into a new store, which takes its place. A batch that
//! was refused is not in it: so whoever was told that nothing was changed was told the truth.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::folder::StorePaths;
use super::keys::Entry;
use super::mark::Mark;
use super::{Open, StoreError, healing};

/// How many askers may wait before the next one has to.
const WAITING: usize = 1024;
/// How many askers one commit serves at most.
const TOGETHER: usize = 256;
/// Pause between two looks into the inbox while something waits to be mended.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Pause between two attempts to mend; it doubles with each copy that fails.
const MEND_EVERY: Duration = Duration::from_secs(1);
/// Longest pause between two attempts to copy a store.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Time for which writes are taken while the mark cannot be raised.
const MARK_PATIENCE: Duration = Duration::from_mins(1);

/// A handle to the thread.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

enum Job {
    Commit(Vec<Entry>, oneshot::Sender<Result<(), StoreError>>),
    Stop,
}

impl Writer {
    /// Starts the thread. With a refusal it writes nothing until the store has been copied.
    pub(super) fn start(
        open: Arc<Open>,
        paths: StorePaths,
        mark: Mark,
        commit: u64,
        refusal: Option<StoreError>,
    ) -> Result<Self, StoreError> {
        let (jobs, inbox) = mpsc::channel(WAITING);
        let path = paths.folder.clone();
        let mut work = Work { open, paths, mark, commit, broken: None, behind: None };
        if let Some(refusal) = refusal {
            work.break_off(refusal);
        }
        let thread =
            std::thread::Builder::new().name("store".to_owned()).spawn(move || work.run(inbox)).map_err(
                |error| StoreError::Failed { path, doing: "starting its thread", why: error.to_string() },
            )?;
        Ok(Self { jobs, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    pub(super) async fn commit(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let (answer, result) = oneshot::channel();
        self.jobs.send(Job::Commit(entries, answer)).await.map_err(|_| StoreError::Closed)?;
        result.await.map_err(|_| StoreError::Closed)?
    }

    /// Ends the thread after what it was asked already. Blocks.
    pub(super) fn stop(&self) {
        // A full queue empties by itself; a closed one has no thread any more.
        let mut job = Job::Stop;
        while let Err(mpsc::error::TrySendError::Full(back)) = self.jobs.try_send(job) {
            job = back;
            std::thread::yield_now();
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

struct Work {
    open: Arc<Open>,
    paths: StorePaths,
    mark: Mark,
    /// The number of the newest commit.
    commit: u64,
    /// Set after a commit that failed.
    broken: Option<BrokenStore>,
    /// The time since when the mark could not be raised.
    behind: Option<Instant>,
}

/// A database that takes no more writes.
struct BrokenStore {
    /// The first failure.
    cause: StoreError,
    /// Whether the copy is whole, and only has to be put in its place.
    is_copied: bool,
    /// The pause after the next copy that fails.
    pause: Duration,
    /// The time of the next attempt to copy.
    next: Instant,
}

impl Work {
    fn run(mut self, mut inbox: mpsc::Receiver<Job>) {
        let mut gathered = Vec::with_capacity(TOGETHER);
        let mut mended = Instant::now();
        loop {
            if !self.gather(&mut inbox, &mut gathered) {
                return;
            }
            if gathered.is_empty() && mended.elapsed() >= MEND_EVERY {
                // Nobody has to write for the store to heal.
                let _ = self.mend();
                mended = Instant::now();
            }
            let mut entries = Vec::new();
            let mut answers = Vec::new();
            let mut stop = false;
            for job in gathered.drain(..) {
                match job {
                    Job::Commit(more, answer) => {
                        entries.extend(more);
                        answers.push(answer);
                    }
                    Job::Stop => stop = true,
                }
            }
            let result = if entries.is_empty() { Ok(()) } else { self.write(&entries) };
            for answer in answers {
                // Whoever asked may have gone; the write stands all the same.
                let _ = answer.send(result.clone());
            }
            if stop {
                return;
            }
        }
    }

    /// Waits for jobs; returns whether there will be more. While something is to be mended it does not wait for long.
    fn gather(&self, inbox: &mut mpsc::Receiver<Job>, gathered: &mut Vec<Job>) -> bool {
        if self.broken.is_none() && self.behind.is_none() {
            return inbox.blocking_recv_many(gathered, TOGETHER) > 0;
        }
        while gathered.len() < TOGETHER {
            match inbox.try_recv() {
                Ok(job) => gathered.push(job),
                Err(TryRecvError::Disconnected) => return !gathered.is_empty(),
                Err(TryRecvError::Empty) => break,
            }
        }
        if gathered.is_empty() {
            std::thread::park_timeout(LOOK_EVERY);
        }
        true
    }

    fn write(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.mend()?;
        let next = self.commit + 1;
        if let Err(error) = self.open.read(|tables| tables.write(next, entries)) {
            tracing::error!("{error}; writes are refused until the store has been copied whole");
            self.break_off(error.clone());
            return Err(error);
        }
        self.commit = next;
        self.raise();
        Ok(())
    }

    /// Makes the store one that takes writes, if the disk lets it.
    fn mend(&mut self) -> Result<(), StoreError> {
        self.heal()?;
        if self.behind.is_some() {
            self.raise();
        }
        self.check_mark()
    }

    /// Notes that a commit is durable. The commit stands even if its number cannot be written down.
    fn raise(&mut self) {
        match self.mark.raise(self.commit) {
            Ok(()) => {
                if self.behind.take().is_some() {
                    self.open.health.set_mark(None);
                    if self.broken.is_none() {
                        self.open.health.set_refusal(None);
                    }
                    tracing::info!("the high-water mark of the store is written again");
                }
            }
            Err(error) => {
                let reason = format!("{} cannot be written: {error}", self.mark.path().display());
                if self.behind.is_none() {
                    tracing::error!("{reason}; in a minute, writes will be refused");
                    self.behind = Some(Instant::now());
                }
                self.open.health.set_mark(Some(reason));
            }
        }
    }

    /// Refuses writes once the mark has been behind for too long: a loss of them could not be noticed.
    fn check_mark(&self) -> Result<(), StoreError> {
        let is_late = self.behind.is_some_and(|since| since.elapsed() >= MARK_PATIENCE);
        let Some(reason) = self.open.health.shown().mark.filter(|_| is_late) else { return Ok(()) };
        self.open.health.set_refusal(Some(reason.clone()));
        let path = self.paths.folder.clone();
        Err(StoreError::Failed { path, doing: "raising its high-water mark", why: reason })
    }

    /// Refuses writes from now on, until the store has been copied.
    fn break_off(&mut self, cause: StoreError) {
        self.open.health.set_refusal(Some(cause.to_string()));
        self.broken = Some(BrokenStore { cause, is_copied: false, pause: MEND_EVERY, next: Instant::now() });
    }

    /// Copies a broken store and puts the copy in its place, if the disk has room for that.
    fn heal(&mut self) -> Result<(), StoreError> {
        let Some(mut broken) = self.broken.take() else { return Ok(()) };
        let healed = self.replace(&mut broken);
        match &healed {
            Ok(()) => {
                self.open.health.set_refusal(None);
                tracing::info!("the store has been copied whole and can be written again");
            }
            Err(error) => {
                self.open.health.set_refusal(Some(error.to_string()));
                self.broken = Some(broken);
            }
        }
        healed
    }

    fn replace(&mut self, broken: &mut BrokenStore) -> Result<(), StoreError> {
        if Instant::now() < broken.next {
            return Err(broken.cause.clone());
        }
        if !broken.is_copied {
            healing::look_for_room(&self.paths)?;
            let copied = self.open.read(|tables| healing::copy(tables, &self.paths, self.commit));
            if let Err(error) = copied {
                tracing::error!("{error}");
                broken.next = Instant::now() + broken.pause;
                broken.pause = (broken.pause * 2).min(LONGEST_PAUSE);
                broken.cause = error.clone();
                return Err(error);
            }
            broken.is_copied = true;
        }

        let mut exchanged = Ok(());
        self.open.replace(|| {
            let (tables, outcome) = self.paths.open_exchanged()?;
            exchanged = outcome;
            Ok(tables)
        })?;
        exchanged?;
        self.mark = Mark::read(&self.paths.folder).map_err(|error| StoreError::Failed {
            path: self.paths.folder.clone(),
            doing: "reading its high-water mark",
            why: error.to_string(),
        })?;
        self.behind = None;
        self.open.health.set_mark(None);
        self.paths.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::health::HealthBoard;
    use super::super::tables::Tables;
    use super::*;

    #[test]
    fn writes_are_refused_once_the_mark_has_been_behind_for_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let paths = StorePaths::new(&folder.path().join("store"));
        let lock = paths.lock().unwrap();
        paths.prepare().unwrap();
        let tables = Tables::open(&paths.folder).unwrap();
        let mark = Mark::read(&paths.folder).unwrap();
        // No file can be made where a folder stands.
        std::fs::create_dir(paths.folder.join("high-water")).unwrap();
        let open = Arc::new(Open {
            tables: std::sync::RwLock::new(Some(tables)),
            health: HealthBoard::default(),
            _lock: lock,
        });
        let mut work = Work { open: Arc::clone(&open), paths, mark, commit: 0, broken: None, behind: None };

        let entry = || [(super::super::keys::Table::Notes, b"key".to_vec(), Some(b"value".to_vec()))];
        work.write(&entry()).unwrap();
        work.write(&entry()).unwrap();
        assert_eq!(work.commit, 2);
        assert!(open.health.shown().mark.unwrap().contains("high-water"));
        assert_eq!(open.health.shown().refusal, None);

        work.behind = Instant::now().checked_sub(MARK_PATIENCE);
        work.write(&entry()).unwrap_err();
        assert_eq!(work.commit, 2);
        assert!(open.health.shown().refusal.is_some());

        std::fs::remove_dir(work.paths.folder.join("high-water")).unwrap();
        work.write(&entry()).unwrap();
        assert_eq!(open.health.shown(), super::super::StoreHealth::default());
        assert_eq!(Mark::read(&work.paths.folder).unwrap().value(), 3);
    }
}
