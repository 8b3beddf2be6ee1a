//! The lock on a destination: at most one rsync writes there, across crashes, restarts and aliases.
//!
//! Two locks are taken. One is a file of ours, named by the destination's device and inode, so that a symlink or a bind
//! mount is the same place; whoever holds it was started by us, which is how leftovers are found again. The other is on
//! the destination directory itself, so that a second server with another data folder sees it too; file systems that
//! cannot lock a directory (some network ones) go without it.
//!
//! Both are `flock(2)` locks: they belong to the open file, are inherited by rsync, and end with the last process that
//! has it open.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, FdFlags, fcntl_setfd};

use crate::place::{DestinationFolder, FolderIdentity};

/// A destination that is ours for as long as these files are open, here or in a child.
#[derive(Debug)]
pub(crate) struct DestinationLock {
    _file: File,
    _directory: OwnedFd,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another rsync, or another server, holds it.
    #[error("another rsync holds {0}")]
    Held(PathBuf),
    /// The system refused.
    #[error("cannot lock {path}: {source}")]
    Failed {
        /// What was to be locked.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DestinationLock {
    /// Locks an open destination without waiting. The files are inherited by children that are started
    /// while the lock is held, so take it only in a process that starts nothing else.
    ///
    /// # Errors
    /// When somebody else holds it, or the system refuses.
    pub(crate) fn take(locks: &Path, dest: &Path, folder: DestinationFolder) -> Result<Self, LockError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| LockError::Failed { path, source }
        };
        let place = folder.identity().map(|identity| lock_path(locks, identity)).map_err(failed(dest))?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&place)
            .map_err(failed(&place))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Err(LockError::Held(dest.to_owned())),
            other => other.map_err(io::Error::from).map_err(failed(&place))?,
        }
        // A file system that cannot lock a directory says so; the file of ours holds all the same.
        let directory = OwnedFd::from(folder);
        if flock(&directory, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Err(LockError::Held(dest.to_owned()));
        }
        for open in [file.as_fd(), directory.as_fd()] {
            fcntl_setfd(open, FdFlags::empty()).map_err(io::Error::from).map_err(failed(dest))?;
        }
        Ok(Self { _file: file, _directory: directory })
    }
}

/// The file that stands for a directory: its name is the directory's identity, whatever path led there.
pub(crate) fn lock_path(locks: &Path, FolderIdentity { device, inode }: FolderIdentity) -> PathBuf {
    locks.join(format!("{device:x}-{inode:x}.lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_on_one_place_is_refused_also_by_another_path() {
        let folder = tempfile::tempdir().unwrap();
        let (locks, dest) = (folder.path().join("locks"), folder.path().join("dest"));
        std::fs::create_dir(&locks).unwrap();
        std::fs::create_dir(&dest).unwrap();
        let take = |locks: &Path, dest: &Path| {
            let folder = DestinationFolder::open(&dest.canonicalize().unwrap()).unwrap();
            DestinationLock::take(locks, dest, folder)
        };
        std::os::unix::fs::symlink(&dest, folder.path().join("alias")).unwrap();
        let held = take(&locks, &dest).unwrap();
        for place in [&dest, &folder.path().join("alias")] {
            assert!(matches!(take(&locks, place), Err(LockError::Held(_))));
        }
        // Another server, with another folder for its locks.
        let others = folder.path().join("others");
        std::fs::create_dir(&others).unwrap();
        assert!(matches!(take(&others, &dest), Err(LockError::Held(_))));
        drop(held);
        take(&locks, &dest).unwrap();
    }
}
