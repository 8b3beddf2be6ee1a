//! What a run leaves on disk beside its record: its log, and the list of what it changed.
//!
//! Both are files of their own, so that neither memory nor the store grows with the tree. Both are written as the run
//! goes, by one [`Journal`] per run, which is a [`Monitor`] of its attempts. The change list is made of the journal
//! lines exactly as rsync printed them; whoever reads it parses it.
//!
//! A full disk never stops a run: what cannot be written is counted and said at the end of the log, if that works.

mod changes;
mod log;

pub use changes::{ChangeItem, changes};
pub use log::{Follow, tail};

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{SecondsFormat, Utc};
use engine::text::escaped;
use engine::{Change, Monitor, Phase, Progress, durable};

use crate::run::RunId;

/// Where the files of runs are.
#[derive(Debug, Clone)]
pub struct Journals {
    folder: PathBuf,
    /// The largest log of one run, in bytes; what comes after is dropped, and said.
    max_log: Arc<AtomicU64>,
}

impl Journals {
    /// Uses, and makes, `folder`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new(folder: &Path, max_log: u64) -> io::Result<Self> {
        durable::make_private_folder(folder)?;
        Ok(Self { folder: folder.to_owned(), max_log: Arc::new(AtomicU64::new(max_log)) })
    }

    /// Lets logs that begin from now on grow to so many bytes.
    pub fn set_max_log(&self, max_log: u64) {
        self.max_log.store(max_log, Ordering::Relaxed);
    }

    /// Where a run's log is.
    #[must_use]
    pub fn log(&self, run: RunId) -> PathBuf {
        self.folder.join(format!("{run}.log"))
    }

    /// Where a run's change list is.
    #[must_use]
    pub fn changes(&self, run: RunId) -> PathBuf {
        self.folder.join(format!("{run}.changes"))
    }

    /// Where the list of what a held run would delete is.
    #[must_use]
    pub fn plan(&self, run: RunId) -> PathBuf {
        self.folder.join(format!("{run}.plan"))
    }

    /// How large a run's log is; nothing, when there is none.
    #[must_use]
    pub fn log_bytes(&self, run: RunId) -> u64 {
        std::fs::metadata(self.log(run)).map_or(0, |meta| meta.len())
    }

    /// Removes the files of a run.
    pub fn remove(&self, run: RunId) {
        for path in [self.log(run), self.changes(run), self.plan(run)] {
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(run = %run, "cannot remove {}: {error}", path.display());
            }
        }
    }

    /// The runs that have a file here, each with the bytes of its log and its change list.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn sizes(&self) -> io::Result<BTreeMap<RunId, u64>> {
        let mut sizes: BTreeMap<RunId, u64> = BTreeMap::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            let Some(run) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()) else { continue };
            let is_counted = path.extension().is_some_and(|kind| kind == "log" || kind == "changes");
            let size = if is_counted { entry.metadata().map_or(0, |meta| meta.len()) } else { 0 };
            *sizes.entry(run).or_default() += size;
        }
        Ok(sizes)
    }
}

/// The open files of one run, for the time of one attempt.
pub struct Journal {
    inner: Mutex<Inner>,
}

struct Inner {
    log: Option<BufWriter<File>>,
    changes: Option<BufWriter<File>>,
    changes_path: PathBuf,
    room: u64,
    dropped: u64,
}

impl Journal {
    /// Opens the files of `run` for one more attempt.
    #[must_use]
    pub fn open(journals: &Journals, run: RunId) -> Self {
        let log = append(&journals.log(run))
            .map_err(|error| tracing::warn!(run = %run, "no run log: {error}"))
            .ok();
        let written = log.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len());
        let inner = Inner {
            log: log.map(BufWriter::new),
            changes: None,
            changes_path: journals.changes(run),
            room: journals.max_log.load(Ordering::Relaxed).saturating_sub(written),
            dropped: 0,
        };
        Self { inner: Mutex::new(inner) }
    }

    /// Writes a line of our own, with the time in front.
    pub fn say(&self, line: &str) {
        let mut inner = self.inner();
        let line = format!("{} {line}", Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true));
        inner.line(line.as_bytes());
        inner.flush();
    }

    /// Writes everything out, and says what was dropped.
    pub fn close(&self) {
        let mut inner = self.inner();
        if inner.dropped > 0 {
            let note =
                format!("({} bytes of output were dropped here: the log is at its bound)\n", inner.dropped);
            inner.room = note.len() as u64;
            inner.line(note.trim_end().as_bytes());
        }
        inner.flush();
        if let Some(Ok(file)) = inner.changes.take().map(BufWriter::into_inner) {
            // The change list must be as durable as the record that counts it.
            if let Err(error) = file.sync_data() {
                tracing::warn!("cannot sync {}: {error}", inner.changes_path.display());
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Writes a line, whoever says it, as it can be shown.
    fn line(&mut self, line: &[u8]) {
        let line = escaped(line);
        let length = line.len() as u64 + 1;
        if length > self.room {
            self.dropped += length;
            return;
        }
        self.room -= length;
        if let Some(log) = &mut self.log
            && log.write_all(line.as_bytes()).and_then(|()| log.write_all(b"\n")).is_err()
        {
            self.dropped += length;
        }
    }

    fn flush(&mut self) {
        for file in self.log.iter_mut().chain(self.changes.iter_mut()) {
            // A full disk: the next line tries again.
            let _ = file.flush();
        }
    }
}

impl Monitor for Journal {
    fn phase(&self, phase: Phase) {
        match phase {
            Phase::Started { pid } => self.say(&format!("rsync started as process {pid}")),
            Phase::Stopping => self.say("asking rsync to end"),
            Phase::Killed => self.say("rsync did not end in time: its process group was killed"),
        }
    }

    fn progress(&self, _: &Progress) {
        self.inner().flush();
    }

    fn change(&self, _: &Change<'_>, raw: &[u8]) {
        let mut inner = self.inner();
        if inner.changes.is_none() {
            inner.changes =
                append(&inner.changes_path).map(|file| BufWriter::with_capacity(1 << 16, file)).ok();
        }
        if let Some(file) = &mut inner.changes {
            // A full disk shortens the list, never the sync; the counts stay right.
            let _ = file.write_all(raw).and_then(|()| file.write_all(b"\n"));
        }
        inner.line(raw);
    }

    fn stdout(&self, line: &[u8]) {
        self.inner().line(line);
    }

    fn stderr(&self, line: &[u8]) {
        let mut inner = self.inner();
        inner.line(&[b"! ", line].concat());
        inner.flush();
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}
