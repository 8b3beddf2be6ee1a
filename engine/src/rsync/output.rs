//! rsync's standard output as records: changes, progress, and text for people.
//!
//! Bytes come in whatever pieces the pipe gives, and go out as one record per line, ended by `\n` or `\r`. Nothing here
//! can fail: what is not known is text, what is too long is cut. A line that lies within one piece is not copied.

use std::fmt::Debug;

use memchr::{memchr2, memmem};

use super::args::JOURNAL_MARK;

/// The longest line that is kept, in bytes; what goes beyond it is dropped. rsync's own longest path is 4096 bytes,
/// of which each may be escaped with five.
pub const MAX_LINE: usize = 64 << 10;

/// One line of rsync's standard output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Record<'a> {
    /// A path was created, updated or deleted; with the line as it came.
    Change(Change<'a>, &'a [u8]),
    /// How far it is; read it with [`Progress::parse`] when somebody wants to know.
    Progress(&'a [u8]),
    /// Something for people.
    Text(&'a [u8]),
}

/// Cuts a stream of bytes into records.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
}

impl Splitter {
    /// Takes the next piece.
    pub fn feed(&mut self, mut piece: &[u8], mut each: impl FnMut(Record<'_>)) {
        while let Some(end) = memchr2(b'\n', b'\r', piece) {
            let (line, rest) = piece.split_at(end);
            if self.partial.is_empty() {
                emit(line.get(..MAX_LINE).unwrap_or(line), &mut each);
            } else {
                self.keep(line);
                emit(&self.partial, &mut each);
                self.partial.clear();
            }
            piece = rest.get(1..).unwrap_or_default();
        }
        self.keep(piece);
    }

    /// Gives out what has no end.
    pub fn finish(&mut self, mut each: impl FnMut(Record<'_>)) {
        emit(&self.partial, &mut each);
        self.partial.clear();
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = MAX_LINE - self.partial.len();
        self.partial.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }
}

fn emit(line: &[u8], each: &mut impl FnMut(Record<'_>)) {
    if line.is_empty() {
        return;
    }
    if let Some(change) = Change::parse(line) {
        each(Record::Change(change, line));
    } else if line.first() == Some(&b' ') && line.contains(&b'%') {
        // What is deleted after the transfers is told behind the last progress, without an end of line between.
        let (progress, change) =
            line.split_at(memmem::find(line, JOURNAL_MARK.as_bytes()).unwrap_or(line.len()));
        each(Record::Progress(progress));
        if let Some(parsed) = Change::parse(change) {
            each(Record::Change(parsed, change));
        }
    } else {
        each(Record::Text(line));
    }
}

/// How far an rsync is (`--info=progress2`).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// Bytes of file data so far.
    pub bytes: u64,
    /// The share of the tree's size; it may go back while the file list grows.
    pub percent: u8,
    /// Bytes per second.
    pub rate: f64,
    /// Files transferred so far.
    pub files: u64,
    /// Entries looked at so far.
    pub checked: u64,
    /// Entries in the tree, as far as it is known.
    pub total: u64,
    /// Whether `total` is final.
    pub total_known: bool,
}

impl Progress {
    /// Reads a record: `  15000  25%   14.31MB/s    0:00:00 (xfr#1, to-chk=22/26)`. One in the middle of a file lacks
    /// the part in parentheses; it keeps the counts of `before`.
    #[must_use]
    pub fn parse(record: &[u8], before: &Self) -> Option<Self> {
        let text = std::str::from_utf8(record).ok()?;
        let mut words = text.split_ascii_whitespace();
        let bytes = digits(words.next()?)?;
        let percent = words.next()?.strip_suffix('%')?.parse().ok().filter(|percent| *percent <= 100)?;
        let rate = rate(words.next()?)?;
        words.next()?;
        let mut progress = Self { bytes, percent, rate, ..*before };
        if let Some(files) = words.next() {
            progress.files = digits(files.strip_prefix("(xfr#")?.strip_suffix(',')?)?;
            let (kind, counts) = words.next()?.strip_suffix(')')?.split_once('=')?;
            let (left, total) = counts.split_once('/')?;
            progress.total = digits(total)?;
            progress.checked = progress.total.saturating_sub(digits(left)?);
            progress.total_known = kind == "to-chk";
        }
        Some(progress)
    }
}

fn digits(text: &str) -> Option<u64> {
    if text.contains(',') { text.replace(',', "").parse().ok() } else { text.parse().ok() }
}

/// `14.31MB/s`, in units of 1024.
fn rate(text: &str) -> Option<f64> {
    let text = text.strip_suffix("B/s")?;
    let unit = match text.chars().last()? {
        'k' => 1024.0,
        'M' => 1024.0 * 1024.0,
        'G' => 1024.0 * 1024.0 * 1024.0,
        'T' => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    // What is no number, or an endless one, could not be told any further.
    let rate = text.get(..text.len() - 1)?.parse::<f64>().ok()? * unit;
    (rate.is_finite() && rate >= 0.0).then_some(rate)
}

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It was not there before.
    Created,
    /// Its content or its attributes are new.
    Updated,
    /// It is there no more.
    Deleted,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device.
    Device,
    /// A socket or a named pipe.
    Special,
    /// Something that rsync did not say: a deleted entry that is no directory.
    Unknown,
}

/// One line of the journal that we have rsync print: `@F|%i|%l|%b|%n%L` (rsync(1), `--out-format`, and rsyncd.conf(5),
/// `log format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// What happened.
    pub kind: ChangeKind,
    /// What stands there.
    pub entry: EntryKind,
    /// Whether data came, and not only attributes.
    pub content: bool,
    /// Its size in bytes.
    pub size: u64,
    /// Bytes of it that went over the line.
    pub transferred: u64,
    /// Its name below the destination as rsync escapes it, without a slash at the end.
    pub name: &'a [u8],
    /// Where a link leads, or what a hard link is linked to, as rsync escapes it.
    pub link: Option<&'a [u8]>,
}

impl<'a> Change<'a> {
    /// Reads a line; none when it is not one of the journal.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(JOURNAL_MARK.as_bytes())?;
        let mut parts = rest.splitn(4, |byte| *byte == b'|');
        let (item, size, transferred, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let number = |text: &[u8]| std::str::from_utf8(text).ok()?.trim().parse().ok();
        let (size, transferred) = (number(size)?, number(transferred)?);
        if item.starts_with(b"*deleting") {
            let entry = if name.ends_with(b"/") { EntryKind::Directory } else { EntryKind::Unknown };
            let name = name.strip_suffix(b"/").unwrap_or(name);
            let kind = ChangeKind::Deleted;
            return Some(Self { kind, entry, content: false, size, transferred, name, link: None });
        }
        let (update, kind, attributes) = (item.first()?, item.get(1)?, item.get(2..)?);
        let entry = match kind {
            b'f' => EntryKind::File,
            b'd' => EntryKind::Directory,
            b'L' => EntryKind::Symlink,
            b'D' => EntryKind::Device,
            b'S' => EntryKind::Special,
            _ => EntryKind::Unknown,
        };
        let created = attributes.first() == Some(&b'+');
        // Looked at, and nothing was new.
        if *update == b'.' && attributes.iter().all(|byte| matches!(byte, b'.' | b' ')) {
            return None;
        }
        // A name may hold an arrow of its own, so one is looked for only where rsync prints one.
        let (name, link) = match (update, entry) {
            (b'h', _) => split_at(name, b" => "),
            (_, EntryKind::Symlink) => split_at(name, b" -> "),
            _ => (name, None),
        };
        Some(Self {
            kind: if created { ChangeKind::Created } else { ChangeKind::Updated },
            entry,
            content: matches!(update, b'>' | b'<' | b'c') && entry != EntryKind::Directory,
            size,
            transferred,
            name: name.strip_suffix(b"/").unwrap_or(name),
            link,
        })
    }

    /// What a link leads to or is linked to, its own bytes; none when it is no link, or when the line can be read in two
    /// ways because a name holds the arrow too.
    #[must_use]
    pub fn linked(&self) -> Option<Vec<u8>> {
        let arrow: &[u8] = if self.entry == EntryKind::Symlink { b" -> " } else { b" => " };
        self.link.filter(|_| memchr::memmem::find(self.name, arrow).is_none()).map(unescape)
    }

    /// The name's own bytes.
    #[must_use]
    pub fn path(&self) -> Vec<u8> {
        unescape(self.name)
    }
}

/// A name as rsync escapes it in its output, for [`Change::name`].
#[must_use]
pub fn escape(name: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(name.len());

    for (at, byte) in name.iter().enumerate() {
        // A backslash is escaped only where it would be read as the beginning of an escape.
        let looks_escaped = *byte == b'\\' && name.get(at..at + 5).and_then(octal).is_some();
        if byte.is_ascii_graphic() && !looks_escaped || matches!(byte, b' ' | b'\t') {
            text.push(*byte);
        } else {
            text.extend_from_slice(format!("\\#{byte:03o}").as_bytes());
        }
    }
    text
}

/// Cuts a link's name from what it leads to. A name that holds the arrow itself is cut at the last one.
fn split_at<'a>(name: &'a [u8], arrow: &[u8]) -> (&'a [u8], Option<&'a [u8]>) {
    match memchr::memmem::rfind(name, arrow) {
        Some(at) => (name.get(..at).unwrap_or(name), name.get(at + arrow.len()..)),
        None => (name, None),
    }
}

/// Undoes rsync's `\#ooo`.
fn unescape(name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (before, from) = rest.split_at(at);
        bytes.extend_from_slice(before);
        match from.get(..5).and_then(octal) {
            Some(byte) => {
                bytes.push(byte);
                rest = from.get(5..).unwrap_or_default();
            }
            None => {
                bytes.push(b'\\');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    bytes.extend_from_slice(rest);
    bytes
}

fn octal(escape: &[u8]) -> Option<u8> {
    let digits = escape.strip_prefix(b"\\#")?;
    let digit = |byte: &u8| matches!(byte, b'0'..=b'7').then(|| u16::from(byte - b'0'));
    let value = digits.iter().try_fold(0, |sum, byte| Some(sum * 8 + digit(byte)?))?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests;
