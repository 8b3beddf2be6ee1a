//! A commit that a power cut tore at the end of the newest journal: nobody was told of it, and it is cut off.
//!
//! A commit larger than a page reaches the disk page by page, in any order. If the power fails before its fsync has
//! ended, its beginning and end can be there and a page between them missing. fjall then finds a wrong checksum and
//! refuses the whole database, as it must where that is damage; it cannot know that nothing follows and that nothing
//! of it was acknowledged. Both can be known here: no whole commit stands behind it, and the high-water mark is not
//! above what stands before it.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::inspection::{entries, is_journal};

/// Unit in which zeros are looked for, in bytes.
const BLOCK: usize = 4096;
const ZEROS: [u8; BLOCK] = [0; BLOCK];
/// Tags of the entries of a journal, as fjall 3 writes them.
const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
/// Last bytes of a commit.
const TRAILER: &[u8] = b"FJL\x03";
/// Bytes of an entry that begins a commit: its tag, the number of items, the sequence number.
const START_BYTES: usize = 1 + 4 + 8;
/// Bytes of an item before its key: tag, type, compression, keyspace, and the three lengths.
const ITEM_BYTES: usize = 3 + 8 + 2 + 4 + 4;
/// Bytes of an entry that empties a keyspace.
const CLEAR_BYTES: usize = 1 + 8;

/// The end of a journal that is no whole commit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TornTail {
    /// The journal.
    pub(super) journal: PathBuf,
    /// The byte behind its last whole commit.
    pub(super) end: u64,
}

impl TornTail {
    /// Finds one in the newest journal of a database that nobody has open.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) fn find(database: &Path) -> io::Result<Option<Self>> {
        let number = |path: &PathBuf| path.file_stem()?.to_str()?.parse::<u64>().ok();
        let journals = entries(database)?.unwrap_or_default().into_iter().filter(|path| is_journal(path));
        let Some(journal) = journals.max_by_key(number) else { return Ok(None) };
        let bytes = fs::read(&journal)?;
        Ok(find_end(&bytes).map(|end| Self { journal, end: end as u64 }))
    }

    /// Cuts it off, for good.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn cut(&self) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.journal)?;
        file.set_len(self.end)?;
        file.sync_all()
    }
}

/// The end of the last whole commit, if something torn follows it and no whole commit.
fn find_end(bytes: &[u8]) -> Option<usize> {
    // A journal begins as 64 MiB of zeros.
    let blank = bytes.rchunks(BLOCK).take_while(|block| **block == ZEROS[..block.len()]).count();
    let bytes = &bytes[..bytes.len().saturating_sub(blank * BLOCK)];

    let mut end = 0;
    while let Some(length) = commit_length(&bytes[end..]) {
        end += length;
    }
    let tail = &bytes[end..];
    if tail.iter().all(|byte| *byte == 0) {
        return None;
    }
    let is_followed = (1..tail.len()).any(|start| commit_length(&tail[start..]).is_some());
    (!is_followed).then_some(end)
}

/// The length of the whole commit that bytes begin with; none, if they begin with something else.
fn commit_length(bytes: &[u8]) -> Option<usize> {
    if *bytes.first()? != START {
        return None;
    }
    let items = number(bytes, 1, 4)?;
    let mut at = START_BYTES;
    for _ in 0..items {
        at += match *bytes.get(at)? {
            ITEM => ITEM_BYTES + number(bytes, at + 11, 2)? + number(bytes, at + 17, 4)?,
            CLEAR => CLEAR_BYTES,
            _ => return None,
        };
    }

    if *bytes.get(at)? != END || bytes.get(at + 9..at + 13)? != TRAILER {
        return None;
    }
    let checksum = bytes.get(at + 1..at + 9)?.try_into().ok().map(u64::from_le_bytes)?;
    (xxh3_64(&bytes[START_BYTES..at]) == checksum).then_some(at + 13)
}

/// A number of so many bytes, the lowest first.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| (number << 8) | usize::from(*byte)))
}
