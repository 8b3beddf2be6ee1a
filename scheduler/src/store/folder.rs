//! The folder of the store: made beside its place and renamed into it, so that it is whole or not there.
//!
//! A store is written in `store.making`. Once all of it is on the disk it is renamed to `store.new`, and then to
//! `store`. So `store.new` is always whole, and a start that finds it without a `store` finishes the exchange.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::durable::{self, sync_parent};

use super::StoreError;
use super::inspection::{INNER_LOCK, StoreState, inspect};
use super::tables::Tables;

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
    _outer: Option<File>,
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
        let outer = open.ok();
        if let Some(file) = &outer {
            self.wait_for(file, &self.lock)?;
        }
        // A server of an earlier version knows the inner lock only.
        drop(self.lock_inside()?);
        Ok(StoreLock { _outer: outer })
    }

    /// Takes the lock that the database takes itself when it is opened in its place.
    ///
    /// # Errors
    /// When another process has it, or the system refuses.
    pub(super) fn lock_inside(&self) -> Result<Option<File>, StoreError> {
        let path = self.folder.join(INNER_LOCK);
        let Ok(file) = File::open(&path) else { return Ok(None) };
        self.wait_for(&file, &path)?;
        Ok(Some(file))
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
        let state = inspect(&self.folder).map_err(|error| self.failed("opening", &self.folder, &error))?;
        match state {
            StoreState::Made => return Ok(()),
            StoreState::Absent => {}
            StoreState::HalfMade => tracing::warn!(
                "the making of {} was cut off before anything was stored in it; it is made anew",
                self.folder.display()
            ),
            StoreState::Damaged { file, fault } => {
                return Err(StoreError::Damaged { file, fault: fault.to_owned() });
            }
        }

        self.begin()?;
        drop(Tables::make(&self.making)?);
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
                return durable::rename(whole, &self.folder);
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

    /// Declares the new store whole. What is in its files must be on the disk.
    pub(super) fn finish(&self) -> Result<(), StoreError> {
        let synced =
            durable::sync_folder(&self.making).and_then(|()| durable::rename(&self.making, &self.ready));
        synced.map_err(|error| self.failed("making", &self.making, &error))
    }

    /// Opens the store that stands where the new one belongs, or the new one where it could not be put there.
    ///
    /// # Errors
    /// When the exchange failed; the tables are then those of the new store, in the place where it was made.
    pub(super) fn open_exchanged(&self) -> Result<(Tables, Result<(), StoreError>), StoreError> {
        match self.exchange(&self.replaced) {
            Ok(()) => Ok((Tables::open(&self.folder)?, Ok(()))),
            Err(error) => {
                // The new one may stand in its place already, where only the folder could not be synced.
                let place = if self.ready.exists() { &self.ready } else { &self.folder };
                Ok((Tables::open(place)?, Err(error)))
            }
        }
    }

    /// The folder that holds the store and all that stands beside it.
    pub(super) fn parent(&self) -> &Path {
        self.folder.parent().unwrap_or(&self.folder)
    }

    /// Puts the new store in its place; one that was there is kept as `aside`. Nobody may have either open.
    pub(super) fn exchange(&self, aside: &Path) -> Result<(), StoreError> {
        let exchanged = || {
            // An earlier attempt may have failed after any of these.
            if fs::exists(&self.ready)? {
                if fs::exists(&self.folder)? {
                    if aside == self.replaced {
                        remove(aside)?;
                    }
                    fs::rename(&self.folder, aside)?;
                }
                fs::rename(&self.ready, &self.folder)?;
            }
            sync_parent(&self.folder)
        };
        exchanged().map_err(|error| self.failed("renaming", &self.ready, &error))
    }

    /// Takes back a store that could not be put in its place, and puts the one that was there back.
    pub(super) fn give_up(&self, aside: &Path) {
        let is_missing = matches!(fs::exists(&self.folder), Ok(false));
        if is_missing && let Err(error) = durable::rename(aside, &self.folder) {
            tracing::warn!("{} cannot be put back: {error}", aside.display());
        }
        self.clear();
    }

    /// Removes what is not needed beside a store that has been opened.
    pub(super) fn clear(&self) {
        for path in [&self.making, &self.ready, &self.replaced] {
            if let Err(error) = remove(path) {
                tracing::warn!("{} is not needed any more and cannot be removed: {error}", path.display());
            }
        }
    }

    fn failed(&self, doing: &'static str, path: &Path, error: &io::Error) -> StoreError {
        StoreError::Failed { path: self.folder.clone(), doing, why: format!("{}: {error}", path.display()) }
    }
}

/// Removes a folder and all that is in it, if it is there.
fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
