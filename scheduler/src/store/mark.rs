//! The high-water mark: the number of the newest commit that anyone was told of, in a file of its own.
//!
//! It is written after each commit and before anyone is told. It is not fsynced each time: after a power loss it may
//! be older than the database, which is harmless, and never newer.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Name of the file, in the folder of the store.
pub(super) const FILE: &str = "high-water";

/// The file, open for as long as the store is.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    path: PathBuf,
    value: u64,
}

impl Mark {
    /// Opens the mark beside the database in `folder`; a missing one stands at zero.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        let mut bytes = [0; 8];
        let value = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => u64::from_be_bytes(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(error),
        };
        Ok(Self { file, path, value })
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
        self.file.write_all_at(&value.to_be_bytes(), 0)?;
        self.value = value;
        Ok(())
    }

    /// Waits until the disk has it.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
