//! The one thread that writes: it gathers what many ask for, and commits it with one fsync.
//!
//! A commit that failed, on a full disk above all, leaves a database that takes no more writes. The thread remembers
//! what the batch would have changed, and with the next write it looks whether the disk takes bytes again. If so, it
//! opens the database anew, takes back the failed batch where it had reached the journal after all, and goes on. So
//! whoever was told that nothing was changed was told the truth.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::keys::Entry;
use super::mark::Mark;
use super::tables::Tables;
use super::{Open, StoreError};

/// How many askers may wait before the next one has to.
const WAITING: usize = 1024;
/// How many askers one commit serves at most.
const TOGETHER: usize = 256;
/// How much must fit on the disk before a broken store is opened anew, in bytes.
const ROOM: usize = 1 << 20;

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
    pub(super) fn start(
        open: Arc<Open>,
        folder: PathBuf,
        mark: Mark,
        commit: u64,
    ) -> Result<Self, StoreError> {
        let (jobs, inbox) = mpsc::channel(WAITING);
        let path = folder.clone();
        let work = Work { open, folder, mark, commit, broken: None };
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
    folder: PathBuf,
    mark: Mark,
    commit: u64,
    /// After a commit that failed: what takes it back.
    broken: Option<Vec<Entry>>,
}

impl Work {
    fn run(mut self, mut inbox: mpsc::Receiver<Job>) {
        let mut gathered = Vec::with_capacity(TOGETHER);
        loop {
            if inbox.blocking_recv_many(&mut gathered, TOGETHER) == 0 {
                return;
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

    fn write(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.heal()?;
        let next = self.commit + 1;
        let written = self.open.read(|tables| {
            let taking_back = before(tables, entries)?;
            Ok(tables.write(next, entries).map_err(|error| (error, taking_back)))
        })?;
        if let Err((error, taking_back)) = written {
            self.broken = Some(taking_back);
            self.open.set_writable(false);
            return Err(error);
        }
        self.raise(next)
    }

    /// Notes that a commit is durable.
    fn raise(&mut self, commit: u64) -> Result<(), StoreError> {
        self.commit = commit;
        self.mark.raise(commit).map_err(|error| self.failed("raising its high-water mark", &error))
    }

    /// Makes a broken store a good one again, if the disk lets it.
    fn heal(&mut self) -> Result<(), StoreError> {
        let Some(taking_back) = self.broken.take() else { return Ok(()) };
        let healed = self.probe().and_then(|()| self.reopen(&taking_back));
        match healed {
            Ok(()) => {
                self.open.set_writable(true);
                tracing::info!("the store can be written again");
            }
            Err(_) => self.broken = Some(taking_back),
        }
        healed
    }

    /// Whether the disk takes bytes. Opening a database on a full disk could leave us with none at all.
    fn probe(&self) -> Result<(), StoreError> {
        let path = self.folder.join("probe");
        let written = std::fs::File::create(&path).and_then(|mut file| {
            std::io::Write::write_all(&mut file, &vec![0; ROOM])?;
            file.sync_all()
        });
        // It is ours alone, and nobody misses it.
        let _ = std::fs::remove_file(&path);
        written.map_err(|error| self.failed("writing", &error))
    }

    fn reopen(&mut self, taking_back: &[Entry]) -> Result<(), StoreError> {
        let found = self.open.again(|| Tables::open(&self.folder))?;
        if found > self.commit {
            // The failed batch had reached the journal: it was refused, so it is taken back.
            self.open.read(|tables| tables.write(found + 1, taking_back))?;
            self.raise(found + 1)?;
        }
        Ok(())
    }

    fn failed(&self, doing: &'static str, error: &std::io::Error) -> StoreError {
        StoreError::Failed { path: self.folder.clone(), doing, why: error.to_string() }
    }
}

/// What stands now where `entries` would write.
fn before(tables: &Tables, entries: &[Entry]) -> Result<Vec<Entry>, StoreError> {
    entries.iter().map(|(table, key, _)| Ok((*table, key.clone(), tables.get(*table, key)?))).collect()
}
