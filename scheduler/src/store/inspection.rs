//! The files of a store, looked at before the database touches any of them.
//!
//! fjall takes what it misses for something that was never made: without a journal it starts to count anew and hides
//! everything that the tables hold; a keyspace without its manifest is removed with all its tables; without the
//! folder of keyspaces it begins an empty database. So what is missing is found here, and named.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::mark;

/// Lock file of fjall, inside the database.
pub(super) const INNER_LOCK: &str = "lock";
/// Folder of one keyspace that holds its tables.
pub(super) const TABLES: &str = "tables";
/// Marker file of fjall, written when a database has been made.
const VERSION: &str = "version";
/// First bytes of the marker; the number of the format follows.
const MAGIC: &[u8] = b"FJL";
/// Folder of fjall that holds one folder for each keyspace.
pub(super) const KEYSPACES: &str = "keyspaces";
/// File of one keyspace that names its newest manifest.
const CURRENT: &str = "current";
/// Extension of fjall's journals.
pub(super) const JOURNAL: &str = "jnl";

/// What stands in the place of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StoreState {
    /// Nothing, or an empty folder.
    Absent,
    /// A store whose making was cut off, without data.
    HalfMade,
    /// A store with all files that an opening relies on.
    Made,
    /// Something that could hold data and lacks a file.
    Damaged {
        /// The file.
        file: PathBuf,
        /// The fault.
        fault: &'static str,
    },
}

/// Looks at the files of a store. Nothing is changed.
///
/// # Errors
/// When they cannot be read.
pub(super) fn inspect(folder: &Path) -> io::Result<StoreState> {
    let entries = entries(folder)?.unwrap_or_default();
    if entries.is_empty() {
        return Ok(StoreState::Absent);
    }
    let Some((file, fault)) = find_fault(folder, &entries)? else { return Ok(StoreState::Made) };
    for entry in entries {
        if !holds_nothing(&entry)? {
            return Ok(StoreState::Damaged { file, fault });
        }
    }
    Ok(StoreState::HalfMade)
}

/// The first file that is missing or wrong.
fn find_fault(folder: &Path, entries: &[PathBuf]) -> io::Result<Option<(PathBuf, &'static str)>> {
    if !is_made(folder) {
        let version = folder.join(VERSION);
        return Ok(Some((version, "the file is missing or cut off, and files beside it hold data")));
    }
    if let Some(fault) = find_journal_fault(folder, entries) {
        return Ok(Some(fault));
    }
    if let Some(fault) = find_keyspace_fault(&folder.join(KEYSPACES))? {
        return Ok(Some(fault));
    }
    if !mark::fits(folder)? {
        let fault = "the high-water mark has a length that none has. Remove it to go on without that check";
        return Ok(Some((folder.join(mark::FILE), fault)));
    }
    Ok(None)
}

/// Returns whether the making of a database came to its end.
pub(super) fn is_made(folder: &Path) -> bool {
    let version = fs::read(folder.join(VERSION));
    version.is_ok_and(|bytes| bytes.len() > MAGIC.len() && bytes.starts_with(MAGIC))
}

/// Journals are numbered without gaps: the oldest goes first, once the tables have all of it.
fn find_journal_fault(folder: &Path, entries: &[PathBuf]) -> Option<(PathBuf, &'static str)> {
    let journals = journals(entries);
    let (Some((first, _)), Some((last, _))) = (journals.first_key_value(), journals.last_key_value()) else {
        let fault = "there is no journal, and there are tables: the newest commits are gone";
        return Some((folder.join(format!("*.{JOURNAL}")), fault));
    };
    let missing = (*first..*last).find(|number| !journals.contains_key(number))?;
    let fault = "this journal is missing between others: commits are gone";
    Some((folder.join(format!("{missing}.{JOURNAL}")), fault))
}

/// The journals among the files of a store, by their numbers.
pub(super) fn journals(entries: &[PathBuf]) -> BTreeMap<u64, PathBuf> {
    let number = |path: &PathBuf| path.file_stem()?.to_str()?.parse().ok();
    let journals = entries.iter().filter(|path| is_journal(path));
    journals.filter_map(|path| Some((number(path)?, path.clone()))).collect()
}

/// Each keyspace with tables has a manifest, and so has the one with the names of the others.
fn find_keyspace_fault(folder: &Path) -> io::Result<Option<(PathBuf, &'static str)>> {
    let names = folder.join("0");
    let keyspaces = entries(folder)?.unwrap_or_default();
    for keyspace in std::iter::once(&names).chain(keyspaces.iter().filter(|path| path.is_dir())) {
        let current = keyspace.join(CURRENT);
        let number = match fs::read(&current) {
            Ok(bytes) => bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let Some(number) = number else {
            if *keyspace != names && !has_tables(keyspace)? {
                continue;
            }
            return Ok(Some((current, "the file is missing or cut off, and tables or a journal are there")));
        };
        let manifest = keyspace.join(format!("v{number}"));
        if !fs::exists(&manifest)? {
            return Ok(Some((manifest, "the file is missing, and it names the tables of a keyspace")));
        }
    }
    Ok(None)
}

/// Returns whether a file or folder at the top of a half-made store is one that its making leaves, without data.
fn holds_nothing(path: &Path) -> io::Result<bool> {
    let name = path.file_name().unwrap_or_default();
    if name == VERSION || name == INNER_LOCK {
        return Ok(path.is_file());
    }
    if name == mark::FILE || is_journal(path) {
        return is_blank(path);
    }
    if name != KEYSPACES {
        return Ok(false);
    }
    // The tables hold the data; the rest of a keyspace is made before there is any.
    for keyspace in entries(path)?.unwrap_or_default() {
        if has_tables(&keyspace)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn has_tables(keyspace: &Path) -> io::Result<bool> {
    Ok(entries(&keyspace.join(TABLES))?.is_some_and(|tables| !tables.is_empty()))
}

/// Returns whether a path is one of fjall's journals, by its name.
pub(super) fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == JOURNAL)
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
pub(super) fn entries(folder: &Path) -> io::Result<Option<Vec<PathBuf>>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>().map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
