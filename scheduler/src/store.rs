//! The durable memory: projects, how they stand, and their runs.
//!
//! One fjall database, one writer thread. Whoever wants something stored hands over a batch and waits; the thread
//! takes whatever has gathered meanwhile, commits all of it with one fsync, and then answers each. Readers go
//! straight to the database: a read is microseconds, and never waits for a writer.
//!
//! Beside the database stands a small file with the number of the newest commit, the *high-water mark*. A database
//! that opens with an older number has lost commits (fjall opens a journal whose tail is cut off): it is refused.

mod accounts;
mod backup;
mod check;
mod folder;
mod healing;
mod health;
mod inspection;
mod keys;
mod mark;
mod notes;
mod rekey;
mod renewal;
mod shadow;
mod tables;
#[cfg(test)]
mod tests;
mod torn;
mod values;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

pub use backup::{Backup, BackupError, Restored, restore};
pub use check::{Checked, check};
pub use health::{StoreHealth, UnreadableTable};

use engine::durable;

use crate::core::Write;
use crate::project::{Project, ProjectId, Standing};
use crate::record::{self, RecordError};
use crate::run::{Run, RunId};
use folder::{StoreLock, StorePaths};
use health::HealthBoard;
use keys::Table;
use mark::Mark;
use tables::Tables;
use writer::Writer;

/// The layout of the keys that this program writes; another one is refused.
const SCHEMA: u64 = 1;
/// A handle to the store; clones share it.
#[derive(Clone)]
pub struct Store {
    open: Arc<Open>,
    writer: Writer,
    /// Held for writing while runs change their project or go: each is decided on what the other left. Held for reading while
    /// a plugin's value is kept, so that its project does not go meanwhile.
    rekeying: Arc<tokio::sync::RwLock<()>>,
    /// The id of the history that it tells.
    history: Option<Arc<str>>,
}

/// The open database. It is replaced when a broken one heals, and missing while that could not be done.
struct Open {
    tables: RwLock<Option<Tables>>,
    health: HealthBoard,
    /// Dropped after the tables.
    _lock: StoreLock,
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
    #[error(
        "{path} has layout {found} and this program knows layout {SCHEMA}: use the heliostat that wrote it"
    )]
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
    /// A file of it is missing or wrong.
    #[error(
        "the store is damaged: {file}: {fault}. Nothing was changed. Put that file back, or put a backup in the place of \
         the store with `heliostat store restore`"
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The fault.
        fault: String,
    },
    /// Its disk takes no write.
    #[error("the store at {path} failed while {doing}: {why}")]
    NoRoom {
        /// Where.
        path: PathBuf,
        /// What it was doing.
        doing: &'static str,
        /// What the system said.
        why: String,
    },
    /// One of its tables cannot be read.
    #[error(
        "the store's table of {table} cannot be read: {why}, in {folder}. Run `heliostat store check`; with the server \
         stopped, `heliostat store restore` puts a backup in its place"
    )]
    Unreadable {
        /// The table.
        table: &'static str,
        /// The folder that holds its files.
        folder: PathBuf,
        /// What the database said.
        why: String,
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
    /// Something was to be kept for a project that is gone.
    #[error("there is no project {0} any more: nothing is kept for it")]
    NoProject(ProjectId),
    /// One record could not be read.
    #[error("the store holds {what} that cannot be read: {why}")]
    Record {
        /// Which record.
        what: String,
        /// Why not.
        why: Arc<RecordError>,
    },
    /// The writer has ended, or the database is missing after a failure.
    #[error("the store is closed, or could not be opened again after a failure")]
    Closed,
}

impl Store {
    /// Opens the store in `folder`, and makes it where there is none.
    ///
    /// # Errors
    /// When another process has it, when it was written by a newer program, when it has lost commits, or when the
    /// system refuses.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let paths = StorePaths::new(folder);
        let lock = paths.lock()?;
        paths.prepare()?;
        let (tables, refusal) = match Tables::open(&paths.folder) {
            // Reads go on where the disk takes no write.
            Err(refusal @ StoreError::NoRoom { .. }) => {
                tracing::error!(
                    "{refusal}; a copy of the store is opened for reading, and writes are refused"
                );
                (Tables::open_shadow(&paths.folder)?, Some(refusal))
            }
            opened => (opened?, None),
        };
        let commit = tables.newest_commit()?;
        let mut mark = compare_with_mark(&paths.folder, commit)?;
        if refusal.is_none() {
            paths.clear();
        }

        // Without its mark it may lack commits that slaves know of, and numbers come again for other contents.
        if mark.value() == 0 && commit > 0 && refusal.is_none() {
            tables.begin_history()?;
            // Where it cannot be raised, the next start begins another one: that costs slaves a look, and nothing else.
            let _ = mark.raise(commit);
        }
        let history = tables.history()?.map(Arc::from);

        let open =
            Arc::new(Open { tables: RwLock::new(Some(tables)), health: HealthBoard::default(), _lock: lock });
        let writer = Writer::start(Arc::clone(&open), paths, mark, commit, refusal)?;
        Ok(Self { open, writer, rekeying: Arc::default(), history })
    }

    /// The id of the history that this store tells; none for the first one. A store that was restored, or whose mark was
    /// given up, tells another history: the same generation of a project is another tree there.
    #[must_use]
    pub fn history(&self) -> Option<&str> {
        self.history.as_deref()
    }

    /// Whether writes are taken. After one that failed they are refused until the store has been copied whole.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.health().refusal.is_none()
    }

    /// What is wrong with the store, as far as it is known.
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        self.open.health.shown()
    }

    /// Makes `writes` durable, all or none of them.
    ///
    /// # Errors
    /// When they are not durable; none of them is then visible.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        if writes.iter().any(|write| matches!(write, Write::RenameRuns { .. } | Write::ForgetProject(_))) {
            let _turn = self.rekeying.write().await;
            let mut entries = self.entries(&writes)?;
            entries.extend(self.moved_values(&writes)?);
            return self.writer.commit(entries).await;
        }
        self.writer.commit(keys::entries(&writes)).await
    }

    /// Forgets runs that have ended, and gives those that it forgot: one that is another project's by now stays.
    ///
    /// # Errors
    /// When that could not be made durable.
    pub async fn forget_runs(&self, runs: &[(ProjectId, RunId)]) -> Result<Vec<RunId>, StoreError> {
        let _turn = self.rekeying.write().await;
        let mut entries = Vec::new();
        let mut forgotten = Vec::with_capacity(runs.len());
        for (project, id) in runs {
            // One that cannot be read is forgotten like any other.
            let elsewhere = matches!(self.run(*id), Ok(Some(run)) if run.project != *project);
            if !elsewhere {
                entries.extend(keys::forget_run(project, *id));
                forgotten.push(*id);
            }
        }
        self.writer.commit(entries).await?;
        Ok(forgotten)
    }

    /// Whether there is such a project.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn has_project(&self, id: &ProjectId) -> Result<bool, StoreError> {
        self.open.read(|tables| Ok(tables.get(Table::Projects, id.as_str().as_bytes())?.is_some()))
    }

    /// Reads everything that a start needs to know.
    ///
    /// # Errors
    /// When the database or a record cannot be read.
    pub fn load(&self) -> Result<Loaded, StoreError> {
        self.open.read(|tables| {
            let mut standings: BTreeMap<Vec<u8>, Standing> = BTreeMap::new();
            for (key, value) in tables.all(Table::Standings)? {
                let standing =
                    readable(record::decode_standing(&value), || format!("the standing of {}", text(&key)))?;
                standings.insert(key, standing);
            }
            let mut loaded = Loaded::default();
            for (key, value) in tables.all(Table::Projects)? {
                let project = readable(record::decode_project(&value), || format!("project {}", text(&key)))?;
                loaded.projects.push((project, standings.remove(&key).unwrap_or_default()));
            }
            for (key, _) in tables.all(Table::Live)? {
                loaded.live.extend(keys::run_id(&key).map(|id| run(tables, id)).transpose()?.flatten());
            }
            loaded.newest = tables.last_key(Table::Runs)?.and_then(|key| keys::run_id(&key));
            Ok(loaded)
        })
    }

    /// One run.
    ///
    /// # Errors
    /// When the database or the record cannot be read.
    pub fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        self.open.read(|tables| run(tables, id))
    }

    /// Returns whether there is such a run, readable or not.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn has_run(&self, id: RunId) -> Result<bool, StoreError> {
        self.open.read(|tables| Ok(tables.get(Table::Runs, &id.to_bytes())?.is_some()))
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
            Some(project) => (Table::ByProject, keys::runs_of(project, before)),
            None => (Table::Runs, keys::runs_before(before)),
        };
        let keys = self.open.read(|tables| tables.newest_keys(table, range, limit))?;
        Ok(keys.iter().filter_map(|key| keys::run_id(key)).collect())
    }

    /// The projects that have runs, those that are no more included.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn projects_with_runs(&self) -> Result<Vec<ProjectId>, StoreError> {
        self.open.read(|tables| {
            let mut projects = Vec::new();
            let mut from = Vec::new();
            while let Some(key) = tables.key_from(Table::ByProject, from)? {
                let Some((name, after)) = keys::project_of(&key) else { break };
                projects.extend(name);
                from = after;
            }
            Ok(projects)
        })
    }

    /// Writes everything out, so that the next start is fast, and closes: nothing can be read any more. Blocks.
    pub fn close(&self) {
        self.writer.stop();
        let is_writable = self.is_writable();
        let tables = self.open.tables.write().unwrap_or_else(PoisonError::into_inner).take();

        // A store that is missing has nothing to write out, and the journal of a broken one is left as it is.
        let Some(folder) = tables.and_then(Tables::close).filter(|_| is_writable) else { return };
        if let Err(error) = renewal::renew_journal(&folder) {
            tracing::warn!("the next start reads the journal of the store again: {error}");
        }
    }
}

impl Open {
    /// Reads. The database stays open for as long as this takes.
    fn read<T>(&self, read: impl FnOnce(&Tables) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let result = match &*self.tables.read().unwrap_or_else(PoisonError::into_inner) {
            Some(tables) => read(tables),
            None => Err(StoreError::Closed),
        };
        if let Err(error) = &result {
            self.health.note_error(error);
        }
        result
    }

    /// Closes the database and puts another one in its place. Nobody reads meanwhile.
    fn replace(&self, open: impl FnOnce() -> Result<Tables, StoreError>) -> Result<(), StoreError> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        // It holds the lock on the folder, so it goes first.
        drop(tables.take());
        *tables = Some(open()?);
        Ok(())
    }
}

/// Reads the mark beside a store, and refuses a store that is older.
fn compare_with_mark(folder: &Path, commit: u64) -> Result<Mark, StoreError> {
    let mark = Mark::read(folder).map_err(|error| StoreError::Failed {
        path: folder.to_owned(),
        doing: "reading its high-water mark",
        why: error.to_string(),
    })?;
    if mark.value() > commit {
        return Err(StoreError::Lost {
            path: folder.to_owned(),
            found: commit,
            expected: mark.value(),
            mark: mark.path().to_owned(),
        });
    }
    Ok(mark)
}

fn run(tables: &Tables, id: RunId) -> Result<Option<Run>, StoreError> {
    let bytes = tables.get(Table::Runs, &id.to_bytes())?;
    bytes.map(|bytes| readable(record::decode_run(&bytes), || format!("run {id}"))).transpose()
}

/// Makes a folder that only the service can read.
pub(crate) fn private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    durable::make_private_folder(path)?;
    // A folder that is right already may be on a disk that takes no write.
    if std::fs::metadata(path)?.permissions().mode() & 0o7777 == 0o700 {
        return Ok(());
    }
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
