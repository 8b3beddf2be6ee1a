//! The one thread that writes: it gathers what many ask for, and commits it with one fsync.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use fjall::PersistMode;
use tokio::sync::{mpsc, oneshot};

use super::keys::{self, Entry, Table};
use super::mark::Mark;
use super::{SCHEMA, StoreError, Tables};

/// How many askers may wait before the next one has to.
const WAITING: usize = 1024;
/// How many askers one commit serves at most.
const TOGETHER: usize = 256;

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
    pub(super) fn start(tables: Arc<Tables>, mark: Mark, commit: u64) -> Result<Self, StoreError> {
        let (jobs, inbox) = mpsc::channel(WAITING);
        let path = tables.path.clone();
        let work = Work { tables, mark, commit };
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || work.run(inbox))
            .map_err(|error| StoreError::Failed { path, doing: "starting its thread", why: error.to_string() })?;
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
    tables: Arc<Tables>,
    mark: Mark,
    commit: u64,
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
            let result = if entries.is_empty() { Ok(()) } else { self.write(entries) };
            for answer in answers {
                // Whoever asked may have gone; the write stands all the same.
                let _ = answer.send(result.clone());
            }
            if stop {
                return;
            }
        }
    }

    fn write(&mut self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let tables = &self.tables;
        let next = self.commit + 1;
        let mut batch = tables.database.batch().durability(Some(PersistMode::SyncAll));
        for (table, key, value) in entries {
            let keyspace = match table {
                Table::Projects => &tables.projects,
                Table::Standings => &tables.standings,
                Table::Runs => &tables.runs,
                Table::ByProject => &tables.by_project,
                Table::Live => &tables.live,
            };
            match value {
                Some(value) => batch.insert(keyspace, key, value),
                None => batch.remove(keyspace, key),
            }
        }
        batch.insert(&tables.meta, keys::COMMIT, next.to_be_bytes());
        batch.insert(&tables.meta, keys::SCHEMA, SCHEMA.to_be_bytes());
        batch.commit().map_err(|error| tables.failed("writing", &error))?;
        self.commit = next;
        self.mark.raise(next).map_err(|error| tables.failed("raising its high-water mark", &error))
    }
}
