//! The folder of the store: made beside its place and renamed into it, so that it is whole or not there.
//!
//! A store is written in `store.making`. Once all of it is on the disk it is renamed to `store.new`, and then to
//! `store`. So `store.new` is always whole, and a start that finds it without a `store` finishes the exchange.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::StoreError;
use super::mark::{self, Mark};
use super::tables::Tables;

/// Marker file of fjall, written when a database has been made.
const VERSION: &str = "version";
/// First bytes of the marker; the number of the format follows.
const MAGIC: &[u8] = b"FJL";
/// Lock file of fjall, inside the database.
const INNER_LOCK: &str = "lock";
/// Folder of fjall that holds one folder for each keyspace.
const KEYSPACES: &str = "keyspaces";
/// Extension of fjall's journals.
const JOURNAL: &str = "jnl";
/// Attempts to lock. A server that is being killed keeps its locks for a moment.
const LOCK_ATTEMPTS: usize = 3;
/// Pause between two attempts to lock.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// The paths of a store and of what stands beside it while it is made or exchanged.
#[derive(Debug, Clone)]
pub(super) struct StorePaths {
    /// The store itself.
    pub(super) folder: PathBuf,
    /// A store that is being written.
    pub(super) making: PathBuf,
    /// A whole store that has not been put in its place yet.
    ready: PathBuf,
    /// The store that the new one replaced.
    replaced: PathBuf,
    /// File whose lock is held for as long as a process works with any of these.
    lock: PathBuf,
}

/// The lock on the paths of one store, held until it is dropped.
#[derive(Debug)]
pub(super) struct StoreLock {
    _file: Option<File>,
}

impl StorePaths {
    pub(super) fn new(folder: &Path) -> Self {
        // A symlink stays where it is: what is made anew is made beside its target.
        let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let beside = |extension| folder.with_extension(extension);
        Self {
            making: beside("making"),
            ready: beside("new"),
            replaced: beside("old"),
            lock: beside("lock"),
            folder,
        }
    }

    /// Keeps every other process away from these paths.
    ///
    /// # Errors
    /// When another process has the store, or the system refuses.
    pub(super) fn lock(&self) -> Result<StoreLock, StoreError> {
        let mut open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.lock);
        if open.is_err() {
            // A disk that takes no new file may have the old one; without any, the lock inside the store has to do.
            open = File::open(&self.lock);
        }
        let file = open.ok();
        if let Some(file) = &file {
            self.wait_for(file, &self.lock)?;
        }

        // A server of an earlier version knows the inner lock only.
        let inner_path = self.folder.join(INNER_LOCK);
        if let Ok(inner) = File::open(&inner_path) {
            self.wait_for(&inner, &inner_path)?;
        }
        Ok(StoreLock { _file: file })
    }

    fn wait_for(&self, file: &File, path: &Path) -> Result<(), StoreError> {
        for attempt in 1..=LOCK_ATTEMPTS {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(self.failed("locking", path, &error)),
                Err(TryLockError::WouldBlock) if attempt < LOCK_ATTEMPTS => {
                    std::thread::park_timeout(LOCK_PAUSE);
                }
                Err(TryLockError::WouldBlock) => {}
            }
        }
        Err(StoreError::Locked(self.folder.clone()))
    }

    /// Makes a store where there is none. One whose making was cut off, and which holds nothing, counts as none.
    ///
    /// # Errors
    /// When there is half a store that could hold data, or the system refuses.
    pub(super) fn prepare(&self) -> Result<(), StoreError> {
        self.finish_exchange().map_err(|error| self.failed("finishing its exchange", &self.ready, &error))?;
        let inspected = self.inspect().map_err(|error| self.failed("opening", &self.folder, &error))?;
        match inspected {
            StoreState::Made => return Ok(()),
            StoreState::Absent => {}
            StoreState::HalfMade => tracing::warn!(
                "the making of {} was cut off before anything was stored in it; it is made anew",
                self.folder.display()
            ),
            StoreState::Damaged => {
                return Err(StoreError::Damaged {
                    file: self.folder.join(VERSION),
                    fault: "the file is missing or cut off, and the store beside it holds data".to_owned(),
                });
            }
        }

        self.begin()?;
        drop(Tables::open(&self.making)?);
        Mark::open(&self.making).map_err(|error| self.failed("making", &self.making, &error))?;
        self.finish()?;
        self.exchange(&self.replaced)
    }

    /// Puts a whole store in its place where a rename was all that was missing.
    pub(super) fn finish_exchange(&self) -> io::Result<()> {
        if fs::exists(&self.folder)? {
            return Ok(());
        }
        for whole in [&self.ready, &self.replaced] {
            if fs::exists(whole)? {
                tracing::warn!("{} is put in the place of the missing store", whole.display());
                fs::rename(whole, &self.folder)?;
                return sync_parent(&self.folder);
            }
        }
        Ok(())
    }

    /// Makes an empty folder for a new store; what an earlier attempt left is removed.
    pub(super) fn begin(&self) -> Result<(), StoreError> {
        let made = remove(&self.making)
            .and_then(|()| remove(&self.ready))
            .and_then(|()| super::private_folder(&self.making));
        made.map_err(|error| self.failed("making", &self.making, &error))
    }

    /// Declares the new store whole. Its files must be on the disk.
    pub(super) fn finish(&self) -> Result<(), StoreError> {
        let synced = sync_folder(&self.making)
            .and_then(|()| fs::rename(&self.making, &self.ready))
            .and_then(|()| sync_parent(&self.ready));
        synced.map_err(|error| self.failed("making", &self.making, &error))
    }

    /// Puts the new store in its place; one that was there is kept as `aside`. Nobody may have either open.
    pub(super) fn exchange(&self, aside: &Path) -> Result<(), StoreError> {
        let exchanged = || {
            if fs::exists(&self.folder)? {
                if aside == self.replaced {
                    remove(aside)?;
                }
                fs::rename(&self.folder, aside)?;
            }
            fs::rename(&self.ready, &self.folder)?;
            sync_parent(&self.folder)
        };
        exchanged().map_err(|error| self.failed("renaming", &self.ready, &error))
    }

    /// Removes what is not needed beside a store that has been opened.
    pub(super) fn clear(&self) {
        for path in [&self.making, &self.ready, &self.replaced] {
            if let Err(error) = remove(path) {
                tracing::warn!("{} is not needed any more and cannot be removed: {error}", path.display());
            }
        }
    }

    fn inspect(&self) -> io::Result<StoreState> {
        let Some(entries) = entries(&self.folder)? else { return Ok(StoreState::Absent) };
        if entries.is_empty() {
            return Ok(StoreState::Absent);
        }
        let version = fs::read(self.folder.join(VERSION));
        if version.is_ok_and(|bytes| bytes.len() > MAGIC.len() && bytes.starts_with(MAGIC)) {
            return Ok(StoreState::Made);
        }
        for entry in entries {
            if !holds_nothing(&entry)? {
                return Ok(StoreState::Damaged);
            }
        }
        Ok(StoreState::HalfMade)
    }

    fn failed(&self, doing: &'static str, path: &Path, error: &io::Error) -> StoreError {
        StoreError::Failed { path: self.folder.clone(), doing, why: format!("{}: {error}", path.display()) }
    }
}

/// What stands in the place of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StoreState {
    /// Nothing, or an empty folder.
    Absent,
    /// A store whose making was cut off, without data.
    HalfMade,
    /// A store that was made to its end.
    Made,
    /// Something that could hold data and is no whole store.
    Damaged,
}

/// Returns whether a file or folder at the top of a half-made store is one that its making leaves, without data.
fn holds_nothing(path: &Path) -> io::Result<bool> {
    let name = path.file_name().unwrap_or_default();
    if name == VERSION || name == INNER_LOCK {
        return Ok(path.is_file());
    }
    if name == mark::FILE || path.extension().is_some_and(|extension| extension == JOURNAL) {
        return is_blank(path);
    }
    if name != KEYSPACES {
        return Ok(false);
    }
    // The tables hold the data; the rest of a keyspace is made before there is any.
    for keyspace in entries(path)?.unwrap_or_default() {
        if entries(&keyspace.join("tables"))?.is_some_and(|tables| !tables.is_empty()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns whether a file holds nothing but zeros. A journal begins as 64 MiB of them.
fn is_blank(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut block = vec![0; 1 << 16];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(true),
            read if block[..read].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

/// The paths in a folder; none where there is no such folder.
fn entries(folder: &Path) -> io::Result<Option<Vec<PathBuf>>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>().map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a folder and all that is in it, if it is there.
fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes a path's name durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_folder)
}
