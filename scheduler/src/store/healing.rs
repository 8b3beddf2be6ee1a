//! A store that takes no more writes, copied whole to where they are taken.
//!
//! After a write or an fsync that failed, the kernel calls pages clean that never reached the disk: whatever is
//! appended behind them is lost with the next power cut, although its own fsync succeeds. So nothing is ever appended
//! to such a store. What the open database holds (all that was acknowledged, and nothing that was refused) is written
//! into new files, which take the place of the old ones.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::StoreError;
use super::folder::StorePaths;
use super::inspection::entries;
use super::keys::{Entry, Table};
use super::mark::Mark;
use super::tables::Tables;

/// Room that the disk must have beside that for the copy, in bytes: a journal, and what comes meanwhile.
const SPARE: u64 = 64 << 20;
/// Bytes in a block, as file systems count them.
const BLOCK: u64 = 512;
/// Most records in one commit of the copy.
const MOST_RECORDS: usize = 1000;
/// Bytes after which a commit of the copy is written.
const MOST_BYTES: usize = 1 << 20;

/// Returns an error if the disk has no room for a copy of the whole store.
pub(super) fn look_for_room(paths: &StorePaths) -> Result<(), StoreError> {
    let failed = |error: io::Error| failed(paths, error.to_string());
    let needed = size(&paths.folder).map_err(failed)? + SPARE;
    let disk = rustix::fs::statvfs(paths.parent()).map_err(|errno| failed(errno.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    // Some file systems in user space and on the network do not say how large they are.
    let is_known = disk.f_blocks > 0;
    if is_known && free < needed {
        let why = format!(
            "No space left on device for a copy of the whole store: {} MiB are needed and {} MiB are free",
            needed.div_ceil(1 << 20),
            free >> 20
        );
        return Err(StoreError::NoRoom { path: paths.folder.clone(), doing: "healing", why });
    }
    Ok(())
}

/// Copies every key into a new store, reads that again, and declares it whole.
pub(super) fn copy(from: &Tables, paths: &StorePaths, commit: u64) -> Result<(), StoreError> {
    paths.begin()?;
    let written = fill(from, &paths.making, commit)?;
    let mark = Mark::read(&paths.making).and_then(|mut mark| mark.raise(commit).and_then(|()| mark.sync()));
    mark.map_err(|error| failed(paths, error.to_string()))?;

    // Opened anew, so that it is read as the next start would read it.
    let read = count(&Tables::open(&paths.making)?)?;
    if read != written {
        return Err(failed(
            paths,
            format!("the copy has other records than were written: {read:?}, {written:?}"),
        ));
    }
    paths.finish()
}

fn fill(from: &Tables, to: &Path, commit: u64) -> Result<Vec<usize>, StoreError> {
    let to = Tables::make(to)?;
    let still = from.still();
    to.write_numbers(still.numbers()?)?;
    let mut waiting: Vec<Entry> = Vec::new();
    let mut bytes = 0;
    let mut counts = Vec::with_capacity(Table::ALL.len());
    for table in Table::ALL {
        let mut records = 0;
        for pair in still.all(table) {
            let (key, value) = pair?;
            bytes += key.len() + value.len();
            waiting.push((table, key, Some(value)));
            records += 1;
            if waiting.len() == MOST_RECORDS || bytes > MOST_BYTES {
                to.write(commit, &waiting)?;
                waiting.clear();
                bytes = 0;
            }
        }
        counts.push(records);
    }
    to.write(commit, &waiting)?;
    Ok(counts)
}

/// The number of records in each table.
fn count(tables: &Tables) -> Result<Vec<usize>, StoreError> {
    let still = tables.still();
    let records = |table| still.all(table).try_fold(0, |records, pair| pair.map(|_| records + 1));
    Table::ALL.into_iter().map(records).collect()
}

/// Bytes that a folder takes on its disk.
fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for path in entries(folder)?.unwrap_or_default() {
        let meta = match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            meta => meta?,
        };
        bytes += if meta.is_dir() { size(&path)? } else { meta.blocks() * BLOCK };
    }
    Ok(bytes)
}

fn failed(paths: &StorePaths, why: String) -> StoreError {
    StoreError::Failed { path: paths.folder.clone(), doing: "healing", why }
}
