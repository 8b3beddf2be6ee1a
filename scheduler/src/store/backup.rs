//! A backup: the whole store as it is at one moment, in one file that says itself whether it is whole.
//!
//! The file is text: a line that says what it is, one line per record (keyspace, key and value, the last two in
//! base64), and a last line with their number and the SHA-256 of all that stands before it. It holds the passwords of
//! upstreams as they are, so nobody else can read it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use chrono::{DateTime, SecondsFormat, Utc};
use engine::durable;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::folder::StorePaths;
use super::keys::{Entry, Table};
use super::mark::Mark;
use super::tables::Tables;
use super::{SCHEMA, Store, StoreError};

/// How the name of a backup ends.
const EXTENSION: &str = "backup";
/// How the name of a backup ends while it is written. The file is locked for that time.
const UNFINISHED: &str = "unfinished";
/// How many records one commit restores.
const TOGETHER: usize = 1000;

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The file.
    pub path: PathBuf,
    /// How many records it holds.
    pub records: u64,
    /// The number of the newest commit that is in it.
    pub commit: u64,
}

/// A backup that was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The backup.
    pub from: PathBuf,
    /// When it was made.
    pub made: DateTime<Utc>,
    /// How many records it held.
    pub records: u64,
    /// Where the store went that was there before.
    pub set_aside: Option<PathBuf>,
}

/// Why a backup could not be made or put back. The store that was there is untouched.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store cannot be read or made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not a backup, or it was damaged or cut off.
    #[error("{path} is not a whole backup: {why}. Take another one; nothing was changed")]
    NotWhole {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// There is none.
    #[error("there is no file *.{EXTENSION} in {0}")]
    None(PathBuf),
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    heliostat_backup: u32,
    schema: u64,
    commit: u64,
    made: DateTime<Utc>,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
struct Tail {
    records: u64,
    sha256: String,
}

impl Store {
    /// Writes a backup into `folder`, which is made if it is not there. The store goes on meanwhile.
    ///
    /// # Errors
    /// When the store cannot be read, or the file not written; no half backup is left then.
    pub fn backup(&self, folder: &Path, now: DateTime<Utc>) -> Result<Backup, BackupError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| BackupError::File { path, source }
        };
        if !folder.exists() {
            super::private_folder(folder).map_err(failed(folder))?;
        }
        let name =
            format!("heliostat-{}", now.to_rfc3339_opts(SecondsFormat::Millis, true).replace(':', "-"));
        let path = folder.join(format!("{name}.{EXTENSION}"));
        let unfinished = folder.join(format!("{name}.{UNFINISHED}"));
        let file = begin(folder, &unfinished).map_err(failed(&unfinished))?;
        let written = self.write_backup(&file, &unfinished, now).and_then(|(records, commit)| {
            durable::rename(&unfinished, &path).map_err(failed(&path))?;
            Ok(Backup { path: path.clone(), records, commit })
        });
        if written.is_err() {
            // It may have been renamed already; then it is whole.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn write_backup(&self, file: &File, path: &Path, now: DateTime<Utc>) -> Result<(u64, u64), BackupError> {
        let mut out = Summed { file: BufWriter::new(file), sum: Sha256::new() };
        let counted = self.open.read(|tables| {
            let still = tables.still();
            let head =
                Head { heliostat_backup: 1, schema: SCHEMA, commit: still.newest_commit()?, made: now };
            let mut records = 0;
            let mut wrote = out.line(&head);
            for table in Table::ALL {
                for pair in still.all(table) {
                    let (key, value) = pair?;
                    wrote = wrote
                        .and_then(|()| out.line(&(table.name(), BASE64.encode(key), BASE64.encode(value))));
                    records += 1;
                }
            }
            Ok(wrote.map(|()| (records, head.commit)))
        })?;
        let finish = |(records, commit)| {
            let tail = Tail { records, sha256: hex(out.sum.clone()) };
            out.line(&tail)?;
            out.file.flush()?;
            out.file.get_ref().sync_all()?;
            Ok((records, commit))
        };
        counted.and_then(finish).map_err(|source| BackupError::File { path: path.to_owned(), source })
    }
}

/// Makes the file of a backup and locks it; removes those that were cut off, which nobody has locked.
fn begin(folder: &Path, unfinished: &Path) -> io::Result<File> {
    // One after the other, so that none is removed between its making and its lock.
    let turn = File::open(folder)?;
    turn.lock()?;
    for entry in fs::read_dir(folder)?.flatten() {
        let path = entry.path();
        let is_ours = entry.file_name().to_string_lossy().starts_with("heliostat-");
        if !is_ours || path.extension().is_none_or(|extension| extension != UNFINISHED) {
            continue;
        }
        let is_left = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if is_left && let Err(error) = fs::remove_file(&path) {
            tracing::warn!("{} was cut off and cannot be removed: {error}", path.display());
        }
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(unfinished)?;
    file.lock()?;
    Ok(file)
}

/// Puts a backup in the place of the store in `folder`. `backup` is the file, or a folder of which the newest is taken.
/// The store that was there is set aside beside it, whatever state it is in.
///
/// # Errors
/// When a server has the store open, or the backup is not whole; nothing was changed then.
pub fn restore(backup: &Path, folder: &Path, now: DateTime<Utc>) -> Result<Restored, BackupError> {
    let from = if backup.is_dir() { newest_in(backup)? } else { backup.to_owned() };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::File { path, source }
    };
    // Read to its end before anything is touched.
    let (head, records) = read(&from, |_| Ok(()))?;
    let paths = StorePaths::new(folder);
    let _lock = paths.lock()?;
    paths.finish_exchange().map_err(failed(folder))?;

    let stamp = now.to_rfc3339_opts(SecondsFormat::Millis, true).replace(':', "-");
    let aside = paths.folder.with_extension(format!("before-{stamp}"));
    let put_back = paths
        .begin()
        .map_err(BackupError::from)
        .and_then(|()| fill(&paths.making, &from, head.commit))
        .and_then(|()| Ok(paths.finish()?))
        .and_then(|()| Ok(paths.exchange(&aside)?));
    if let Err(error) = put_back {
        paths.give_up(&aside);
        return Err(error);
    }
    let set_aside = aside.exists().then_some(aside);
    Ok(Restored { from, made: head.made, records, set_aside })
}

/// Makes a store of a backup.
fn fill(folder: &Path, backup: &Path, commit: u64) -> Result<(), BackupError> {
    let tables = Tables::make(folder)?;
    let mut waiting: Vec<Entry> = Vec::with_capacity(TOGETHER);
    read(backup, |entry| {
        waiting.push(entry);
        if waiting.len() == TOGETHER {
            tables.write(commit, &waiting)?;
            waiting.clear();
        }
        Ok(())
    })?;
    tables.write(commit, &waiting)?;
    // What comes after this backup happens anew, and not as it did.
    tables.begin_history()?;
    // The journal has it all the same.
    let _ = tables.flush();
    let mark = Mark::read(folder).and_then(|mut mark| mark.raise(commit).and_then(|()| mark.sync()));
    mark.map_err(|source| BackupError::File { path: folder.to_owned(), source })
}

/// Reads a backup record by record, and says at its end whether it was whole.
fn read(
    path: &Path,
    mut each: impl FnMut(Entry) -> Result<(), BackupError>,
) -> Result<(Head, u64), BackupError> {
    let failed = |source| BackupError::File { path: path.to_owned(), source };
    let damaged = |why: String| BackupError::NotWhole { path: path.to_owned(), why };
    let mut lines = BufReader::new(File::open(path).map_err(failed)?);
    let mut sum = Sha256::new();
    let mut line = String::new();
    lines.read_line(&mut line).map_err(failed)?;
    let head: Head =
        serde_json::from_str(&line).map_err(|_| damaged("its first line is not one of ours".to_owned()))?;
    if head.heliostat_backup != 1 || head.schema != SCHEMA {
        return Err(damaged(format!("it has layout {}, and this program knows {SCHEMA}", head.schema)));
    }
    sum.update(&line);
    let mut records = 0_u64;
    loop {
        line.clear();
        if lines.read_line(&mut line).map_err(failed)? == 0 {
            return Err(damaged("its end is missing".to_owned()));
        }
        if let Ok(tail) = serde_json::from_str::<Tail>(&line) {
            let whole = tail.records == records && tail.sha256 == hex(sum);
            return if whole {
                Ok((head, records))
            } else {
                Err(damaged("its checksum is wrong".to_owned()))
            };
        }
        records += 1;
        sum.update(&line);
        let entry = entry(&line).ok_or_else(|| damaged(format!("line {} cannot be read", records + 1)))?;
        each(entry)?;
    }
}

fn entry(line: &str) -> Option<Entry> {
    let (table, key, value): (String, String, String) = serde_json::from_str(line).ok()?;
    let table = Table::ALL.into_iter().find(|known| known.name() == table)?;
    Some((table, BASE64.decode(key).ok()?, Some(BASE64.decode(value).ok()?)))
}

/// The newest backup in a folder: their names are in the order of time.
fn newest_in(folder: &Path) -> Result<PathBuf, BackupError> {
    let entries =
        fs::read_dir(folder).map_err(|source| BackupError::File { path: folder.to_owned(), source })?;
    let backups = entries.flatten().map(|entry| entry.path());
    let backups = backups.filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
    backups.max().ok_or_else(|| BackupError::None(folder.to_owned()))
}

/// A file, and the sum of what went into it.
struct Summed<'a> {
    file: BufWriter<&'a File>,
    sum: Sha256,
}

impl Summed<'_> {
    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.sum.update(&bytes);
        self.file.write_all(&bytes)
    }
}

fn hex(sum: Sha256) -> String {
    sum.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
