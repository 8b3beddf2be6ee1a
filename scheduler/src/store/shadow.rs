//! A store opened for reading alone, where its own folder must not be written or cannot be.
//!
//! The database writes whenever it is opened: it cuts off journals, removes what it does not need, starts to compact.
//! So it is given a folder of its own elsewhere, with copies of the journals and manifests and with links to the tables.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::inspection::{TABLES, entries};

/// Unit in which files are copied, in bytes.
const BLOCK: usize = 1 << 16;

/// The folder, which goes when it is dropped.
#[derive(Debug)]
pub(super) struct ShadowFolder(PathBuf);

impl ShadowFolder {
    /// Makes one for a store that no other process has open.
    ///
    /// # Errors
    /// When the store cannot be read, or no file system takes the copies.
    pub(super) fn of(store: &Path) -> Result<Self, StoreError> {
        let failed = |why: String| StoreError::Failed {
            path: store.to_owned(),
            doing: "being copied for reading",
            why,
        };
        let meta = fs::metadata(store).map_err(|error| failed(error.to_string()))?;
        // One name for each store: what a killed process left is found again.
        let name = format!("heliostat-store-{:x}-{:x}", meta.dev(), meta.ino());
        let mut refusals = Vec::new();
        for base in [std::env::temp_dir(), PathBuf::from("/dev/shm"), PathBuf::from("/run")] {
            let shadow = Self(base.join(&name));
            let copied = shadow.clear().and_then(|()| copy(store, &shadow.0, false));
            match copied {
                Ok(()) => return Ok(shadow),
                Err(error) => refusals.push(format!("{}: {error}", base.display())),
            }
        }
        Err(failed(refusals.join("; ")))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

impl Drop for ShadowFolder {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            tracing::warn!("{} is not needed any more and cannot be removed: {error}", self.0.display());
        }
    }
}

/// Copies a folder; tables are never changed in place, so a link to them will do.
fn copy(from: &Path, to: &Path, tables: bool) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for path in entries(from)?.unwrap_or_default() {
        let name = path.file_name().unwrap_or_default();
        let target = to.join(name);
        if path.is_dir() {
            copy(&path, &target, name == TABLES)?;
        } else if tables {
            symlink(&path, &target)?;
        } else {
            copy_file(&path, &target)?;
        }
    }
    Ok(())
}

/// Copies a file; blocks of zeros, of which a new journal consists, take no room.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let (mut from, mut to) = (File::open(from)?, File::create_new(to)?);
    let mut block = vec![0; BLOCK];
    let mut length = 0;
    loop {
        let read = from.read(&mut block)?;
        if read == 0 {
            return to.set_len(length);
        }
        length += read as u64;
        if block[..read].iter().all(|byte| *byte == 0) {
            to.seek(SeekFrom::Start(length))?;
        } else {
            to.write_all(&block[..read])?;
        }
    }
}
