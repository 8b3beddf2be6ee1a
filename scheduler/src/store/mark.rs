//! The high-water mark: the number of the newest commit that anyone was told of, in a file of its own.
//!
//! It is written after each commit and before anyone is told. It is not fsynced each time: after a power loss it may
//! be older than the database, which is harmless, and never newer.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Name of the file, in the folder of the store.
pub(super) const FILE: &str = "high-water";

/// The mark of an open store. Its file is opened when it is first raised, and again after a failure.
#[derive(Debug)]
pub(super) struct Mark {
    file: Option<File>,
    path: PathBuf,
    value: u64,
}

impl Mark {
    /// Reads the mark beside the database in `folder`; a missing or empty one stands at zero.
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        let value = match fs::read(&path) {
            Ok(bytes) => bytes.try_into().map_or(0, u64::from_be_bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(Self { file: None, path, value })
    }

    /// The number that it stands at.
    pub(super) fn value(&self) -> u64 {
        self.value
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Raises it. Eight bytes at the start of a file are written whole or not at all.
    pub(super) fn raise(&mut self, value: u64) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path)?
            }
        };
        file.write_all_at(&value.to_be_bytes(), 0)?;
        self.file = Some(file);
        self.value = value;
        Ok(())
    }

    /// Waits until the disk has it.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_all)
    }
}

/// Returns whether a file of this length can be a mark: one that is missing or empty was never raised.
pub(super) fn fits(folder: &Path) -> io::Result<bool> {
    match fs::metadata(folder.join(FILE)) {
        Ok(meta) => Ok(matches!(meta.len(), 0 | 8)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}
