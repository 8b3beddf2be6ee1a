//! The list of what a rehearsal would delete, on disk from the first path on: neither memory nor the store grows with it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::rsync::output::escape;
use engine::{Change, ChangeKind, EntryKind, Monitor, Phase, Progress, durable};
use sha2::{Digest, Sha256};

use super::named::Named;
use crate::core::Start;
use crate::guard::Amount;
use crate::journal::{Journal, Journals};

/// The deletions of one rehearsal.
pub(super) struct Draft {
    /// Where they are written as they come.
    fresh: PathBuf,
    /// Where the list of a held run is.
    kept: PathBuf,
    /// Which destination it is about, as the list's first line has it.
    place: String,
    inner: Mutex<Inner>,
}

struct Inner {
    file: Option<BufWriter<File>>,
    digest: Sha256,
    count: u64,
}

impl Draft {
    pub(super) fn new(journals: &Journals, start: &Start) -> Self {
        let kept = journals.plan(start.run);
        let mut digest = Sha256::new();
        // The same paths in another place are another plan.
        let place = start.project.place.as_os_str().as_bytes();
        digest.update(place);
        digest.update([0]);
        let place = URL_SAFE_NO_PAD.encode(place);
        let inner = Mutex::new(Inner { file: None, digest, count: 0 });
        Self { fresh: kept.with_extension("plan-new"), kept, place, inner }
    }

    /// A monitor that takes the deletions here, all that is named there, and everything else to the journal.
    pub(super) fn watched_by<'a>(&'a self, named: &'a Named, journal: &'a Journal) -> Watch<'a> {
        Watch { draft: self, named, journal }
    }

    /// Takes a path below the destination that would be deleted.
    pub(super) fn add_path(&self, path: &[u8], is_folder: bool) {
        let name = escape(path);
        self.add(&Change {
            kind: ChangeKind::Deleted,
            entry: if is_folder { EntryKind::Directory } else { EntryKind::Unknown },
            content: false,
            size: 0,
            transferred: 0,
            name: &name,
            link: None,
        });
    }

    /// The number of deletions.
    pub(super) fn count(&self) -> u64 {
        self.inner().count
    }

    /// A digest of all deletions.
    pub(super) fn digest(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.inner().digest.clone().finalize())
    }

    /// Counts the deletions and the bytes in their files, and writes the sizes into the list.
    pub(super) fn weigh(&self, dest: &Path) -> Amount {
        let mut amount = Amount { entries: self.count(), bytes: 0 };
        let weighed = self.fresh.with_extension("plan-weighed");
        let written = self.each(&weighed, |change| {
            let path = dest.join(OsStr::from_bytes(&change.path()));
            let size =
                fs::symlink_metadata(path).map_or(0, |meta| if meta.is_file() { meta.len() } else { 0 });
            amount.bytes += size;
            size
        });
        if let Err(error) = written.and_then(|()| fs::rename(&weighed, &self.fresh)) {
            tracing::warn!("the list of planned deletions cannot be completed: {error}");
            let _ = fs::remove_file(&weighed);
        }
        amount
    }

    /// Leaves the list for people, and for the attempt after an approval.
    pub(super) fn keep(&self) -> io::Result<()> {
        self.flush()?;
        File::open(&self.fresh)?.sync_all()?;
        durable::rename(&self.fresh, &self.kept)
    }

    /// Whether every deletion is in this list of an earlier plan.
    pub(super) fn is_part_of(&self, approved: &Path) -> bool {
        let Ok(file) = File::open(approved) else { return false };
        let mut first = String::new();
        let mut file = BufReader::new(file);
        if file.read_line(&mut first).is_err() || first.trim_end() != self.place {
            return false;
        }
        let mut known = HashSet::new();
        let read = lines(file, |change| {
            known.insert(fingerprint(&change));
        });
        let (mut all, mut listed) = (true, 0);
        let fresh = self.flush().and_then(|()| File::open(&self.fresh));
        let compared = fresh.and_then(|fresh| {
            lines(fresh, |change| {
                listed += 1;
                all &= known.contains(&fingerprint(&change));
            })
        });
        // A list that a full disk has shortened proves nothing.
        read.is_ok() && compared.is_ok() && all && listed == self.inner().count
    }

    /// Writes the list anew with a size for each path.
    fn each(&self, to: &Path, mut size: impl FnMut(&Change<'_>) -> u64) -> io::Result<()> {
        self.flush()?;
        let mut out = self.begin(to)?;
        let mut written = Ok(());
        lines(File::open(&self.fresh)?, |change| {
            if written.is_ok() {
                written = write_line(&mut out, &change, size(&change));
            }
        })?;
        written?;
        out.flush()
    }

    fn add(&self, change: &Change<'_>) {
        let mut inner = self.inner();
        inner.count += 1;
        inner.digest.update(change.name);
        inner.digest.update([0]);
        if inner.file.is_none() {
            inner.file = self.begin(&self.fresh).ok();
        }
        if let Some(file) = &mut inner.file {
            // A full disk shortens the list; the count and the digest stay right, and nothing goes without them.
            let _ = write_line(file, change, 0);
        }
    }

    /// A list whose first line says where its paths are.
    fn begin(&self, path: &Path) -> io::Result<BufWriter<File>> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let mut out = BufWriter::new(file);
        writeln!(out, "{}", self.place)?;
        Ok(out)
    }

    fn flush(&self) -> io::Result<()> {
        self.inner().file.as_mut().map_or(Ok(()), BufWriter::flush)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // There is none where nothing would be deleted, or where it was kept.
        let _ = fs::remove_file(&self.fresh);
    }
}

/// A line as rsync prints them, so that a plan is read as a change list is.
fn write_line(out: &mut impl Write, change: &Change<'_>, size: u64) -> io::Result<()> {
    let slash = if change.entry == EntryKind::Directory { "/" } else { "" };
    write!(out, "@F|*deleting  |{size}|0|")?;
    out.write_all(change.name)?;
    writeln!(out, "{slash}")
}

fn lines(file: impl Read, mut take: impl FnMut(Change<'_>)) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if let Some(change) = Change::parse(line.strip_suffix(b"\n").unwrap_or(&line)) {
            take(change);
        }
    }
}

/// Half of a path's digest: nobody finds two paths with the same one.
fn fingerprint(change: &Change<'_>) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(change.name).into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// Who watches a rehearsal.
pub(super) struct Watch<'a> {
    draft: &'a Draft,
    named: &'a Named,
    journal: &'a Journal,
}

impl Monitor for Watch<'_> {
    fn phase(&self, phase: Phase) {
        self.journal.phase(phase);
    }

    fn progress(&self, progress: &Progress) {
        self.journal.progress(progress);
    }

    fn change(&self, change: &Change<'_>, _: &[u8]) {
        self.named.note(change);
        if change.kind == ChangeKind::Deleted {
            self.draft.add(change);
        }
    }

    fn stdout(&self, line: &[u8]) {
        self.journal.stdout(line);
    }

    fn stderr(&self, line: &[u8]) {
        self.journal.stderr(line);
    }
}
