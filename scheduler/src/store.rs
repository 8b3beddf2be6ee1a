//! The durable memory: projects, how they stand, and their runs.
//!
//! One fjall database, one writer thread. Whoever wants something stored hands over a batch and waits; the thread
//! takes whatever has gathered meanwhile, commits all of it with one fsync, and then answers each. Readers go
//! straight to the database: a read is microseconds, and never waits for a writer.
//!
//! Beside the database stands a small file with the number of the newest commit, the *high-water mark*. A database
//! that opens with an older number has silently lost commits (fjall opens a journal whose tail was cut off), and is
//! refused with a way out instead of being served as the truth.

mod keys;
mod mark;
mod writer;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use crate::core::Write;
use crate::project::{Project, ProjectId, Standing};
use crate::record::{self, RecordError};
use crate::run::{Run, RunId};
use mark::Mark;
use writer::Writer;

/// The layout of the keys that this program writes; another one is refused.
const SCHEMA: u64 = 1;
/// Memory for blocks that were read: the working set of a master with thousands of projects.
const CACHE_BYTES: u64 = 32 << 20;
/// Memory for what was written last, per keyspace.
const MEMTABLE_BYTES: u64 = 8 << 20;

/// A handle to the store; clones share it.
#[derive(Clone)]
pub struct Store {
    tables: Arc<Tables>,
    writer: Writer,
}

/// The database and its keyspaces.
struct Tables {
    path: PathBuf,
    database: Database,
    meta: Keyspace,
    projects: Keyspace,
    standings: Keyspace,
    runs: Keyspace,
    /// Runs by project, for the newest of one project.
    by_project: Keyspace,
    /// The runs that have not ended, for recovery.
    live: Keyspace,
}

/// Everything that a start needs to know.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The projects, with how they stand.
    pub projects: Vec<(Project, Standing)>,
    /// The runs that have not ended, oldest first.
    pub live: Vec<Run>,
    /// The newest run there is.
    pub newest: Option<RunId>,
}

/// What went wrong with the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("{0} is in use by another heliostat: stop that one, or give this one another `data_dir`")]
    Locked(PathBuf),
    /// It was written by a newer program.
    #[error("{path} has layout {found} and this program knows layout {SCHEMA}: use the heliostat that wrote it")]
    Schema {
        /// Where.
        path: PathBuf,
        /// Which layout it has.
        found: u64,
    },
    /// It has lost commits that were acknowledged.
    #[error(
        "{path} has lost data: its newest commit is {found}, but {expected} were acknowledged. The disk or a copy has \
         damaged it. Put a backup in its place, or, to go on with what is left, remove {mark}"
    )]
    Lost {
        /// Where.
        path: PathBuf,
        /// The newest commit that is there.
        found: u64,
        /// The newest commit that was acknowledged.
        expected: u64,
        /// The file that remembers.
        mark: PathBuf,
    },
    /// The database could not be opened, read or written.
    #[error("the store at {path} failed while {doing}: {why}")]
    Failed {
        /// Where.
        path: PathBuf,
        /// What it was doing.
        doing: &'static str,
        /// What the database said.
        why: String,
    },
    /// One record could not be read.
    #[error("the store holds {what} that cannot be read: {why}")]
    Record {
        /// Which record.
        what: String,
        /// Why not.
        why: Arc<RecordError>,
    },
    /// The writer has ended.
    #[error("the store is closed")]
    Closed,
}

impl Store {
    /// Opens the store in `folder`, and makes it where there is none.
    ///
    /// # Errors
    /// When another process has it, when it was written by a newer program, when it has lost commits, or when the
    /// system refuses.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let tables = Tables::open(folder)?;
        let stored = tables.number(keys::SCHEMA)?;
        match stored {
            None | Some(SCHEMA) => {}
            Some(found) => return Err(StoreError::Schema { path: folder.to_owned(), found }),
        }
        let commit = tables.number(keys::COMMIT)?.unwrap_or(0);
        let mark = Mark::open(folder).map_err(|error| tables.failed("reading its high-water mark", &error))?;
        if mark.value() > commit {
            return Err(StoreError::Lost {
                path: folder.to_owned(),
                found: commit,
                expected: mark.value(),
                mark: mark.path().to_owned(),
            });
        }
        let tables = Arc::new(tables);
        let writer = Writer::start(Arc::clone(&tables), mark, commit)?;
        Ok(Self { tables, writer })
    }

    /// Makes `writes` durable, all or none of them.
    ///
    /// # Errors
    /// When they are not durable; none of them is then visible.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.writer.commit(keys::entries(&writes)).await
    }

    /// Forgets runs that have ended.
    ///
    /// # Errors
    /// When that could not be made durable.
    pub async fn forget_runs(&self, runs: &[(ProjectId, RunId)]) -> Result<(), StoreError> {
        self.writer.commit(runs.iter().flat_map(|(project, run)| keys::forget_run(project, *run)).collect()).await
    }

    /// Reads everything that a start needs to know.
    ///
    /// # Errors
    /// When the database or a record cannot be read.
    pub fn load(&self) -> Result<Loaded, StoreError> {
        let mut standings: BTreeMap<Vec<u8>, Standing> = BTreeMap::new();
        for (key, value) in self.tables.all(&self.tables.standings)? {
            let standing = readable(record::decode_standing(&value), || format!("the standing of {}", text(&key)))?;
            standings.insert(key, standing);
        }
        let mut loaded = Loaded::default();
        for (key, value) in self.tables.all(&self.tables.projects)? {
            let project = readable(record::decode_project(&value), || format!("project {}", text(&key)))?;
            loaded.projects.push((project, standings.remove(&key).unwrap_or_default()));
        }
        for (key, _) in self.tables.all(&self.tables.live)? {
            loaded.live.extend(keys::run_id(&key).map(|id| self.run(id)).transpose()?.flatten());
        }
        loaded.newest = match self.tables.runs.last_key_value() {
            Some(last) => {
                let key = last.key().map_err(|error| self.tables.failed("reading", &error))?;
                keys::run_id(&key)
            }
            None => None,
        };
        Ok(loaded)
    }

    /// One run.
    ///
    /// # Errors
    /// When the database or the record cannot be read.
    pub fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        let bytes = self.tables.runs.get(id.to_bytes()).map_err(|error| self.tables.failed("reading", &error))?;
        bytes.map(|bytes| readable(record::decode_run(&bytes), || format!("run {id}"))).transpose()
    }

    /// Runs, newest first: of one project or of all, older than `before`, at most `limit`.
    ///
    /// # Errors
    /// When the database or a record cannot be read.
    pub fn runs(
        &self,
        project: Option<&ProjectId>,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<Run>, StoreError> {
        let ids = self.run_ids(project, before, limit)?;
        let runs = ids.into_iter().map(|id| self.run(id)).collect::<Result<Vec<_>, _>>()?;
        Ok(runs.into_iter().flatten().collect())
    }

    /// The names of runs, as [`Store::runs`] would give them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn run_ids(
        &self,
        project: Option<&ProjectId>,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<RunId>, StoreError> {
        let (table, range) = match project {
            Some(project) => (&self.tables.by_project, keys::runs_of(project, before)),
            None => (&self.tables.runs, keys::runs_before(before)),
        };
        let mut ids = Vec::new();
        for item in table.range(range).rev().take(limit) {
            let key = item.key().map_err(|error| self.tables.failed("reading", &error))?;
            ids.extend(keys::run_id(&key));
        }
        Ok(ids)
    }

    /// The projects that have runs, those that are no more included.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn projects_with_runs(&self) -> Result<Vec<ProjectId>, StoreError> {
        let mut projects = Vec::new();
        let mut from = Vec::new();
        while let Some(item) = self.tables.by_project.range(from..).next() {
            let key = item.key().map_err(|error| self.tables.failed("reading", &error))?;
            let Some((name, after)) = keys::project_of(&key) else { break };
            projects.extend(name);
            from = after;
        }
        Ok(projects)
    }

    /// Writes everything out, so that the next start is fast, and closes. Blocks.
    pub fn close(&self) {
        self.writer.stop();
        for table in self.tables.keyspaces() {
            // The journal has everything already; this only saves the next start from reading it again.
            let _ = table.rotate_memtable_and_wait();
        }
    }
}

impl Tables {
    fn open(folder: &Path) -> Result<Self, StoreError> {
        let failed = |error: &dyn std::error::Error| StoreError::Failed {
            path: folder.to_owned(),
            doing: "opening",
            why: error.to_string(),
        };
        let database = Database::builder(folder)
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .max_cached_files(Some(64))
            .open()
            .map_err(|error| match error {
                fjall::Error::Locked => StoreError::Locked(folder.to_owned()),
                other => failed(&other),
            })?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let open = |name| database.keyspace(name, options).map_err(|error| failed(&error));
        Ok(Self {
            meta: open("meta")?,
            projects: open("projects")?,
            standings: open("standings")?,
            runs: open("runs")?,
            by_project: open("runs_by_project")?,
            live: open("live_runs")?,
            path: folder.to_owned(),
            database,
        })
    }

    fn keyspaces(&self) -> [&Keyspace; 6] {
        let Self { path: _, database: _, meta, projects, standings, runs, by_project, live } = self;
        [meta, projects, standings, runs, by_project, live]
    }

    fn number(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let bytes = self.meta.get(key).map_err(|error| self.failed("opening", &error))?;
        Ok(bytes.and_then(|bytes| bytes.as_ref().try_into().ok().map(u64::from_be_bytes)))
    }

    fn all(&self, table: &Keyspace) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        let pair = |item: fjall::Guard| item.into_inner().map(|(key, value)| (key.to_vec(), value.to_vec()));
        table.iter().map(pair).collect::<Result<_, _>>().map_err(|error| self.failed("reading", &error))
    }

    fn failed(&self, doing: &'static str, error: &dyn std::error::Error) -> StoreError {
        StoreError::Failed { path: self.path.clone(), doing, why: error.to_string() }
    }
}

/// Makes a folder that only the service can read.
pub(crate) fn private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

fn readable<T>(decoded: Result<T, RecordError>, what: impl FnOnce() -> String) -> Result<T, StoreError> {
    decoded.map_err(|why| StoreError::Record { what: what(), why: Arc::new(why) })
}

fn text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
