//! rsync's standard output as records: changes, progress, and text for people.
//!
//! Bytes come in whatever pieces the pipe gives, and go out as one record per line, ended by `\n` or `\r`. Nothing here
//! can fail: what is not known is text, what is too long is cut. A line that lies within one piece is not copied.

use std::fmt::Debug;

use memchr::memchr2;

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
        each(Record::Progress(line));
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
        let percent = words.next()?.strip_suffix('%')?.parse().ok()?;
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
    Some(text.get(..text.len() - 1)?.parse::<f64>().ok()? * unit)
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
        // A hard link to an unchanged file prints an `h` line without news when nothing is new.
        if *update == b'.' && attributes.iter().all(|byte| matches!(byte, b'.' | b' ')) {
            return None;
        }
        let arrow: &[u8] = if entry == EntryKind::Symlink { b" -> " } else { b" => " };
        let (name, link) = match entry {
            EntryKind::Symlink | EntryKind::File => split_at(name, arrow),
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

    /// The name's own bytes.
    #[must_use]
    pub fn path(&self) -> Vec<u8> {
        unescape(self.name)
    }
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(pieces: &[&[u8]]) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut found = Vec::new();
        for piece in pieces {
            splitter.feed(piece, |record| found.push(format!("{record:?}")));
        }
        splitter.finish(|record| found.push(format!("{record:?}")));
        found
    }

    #[test]
    fn progress_is_read_with_and_without_counts() {
        let counted = b"          15000  25%   14.31MB/s    0:00:00 (xfr#1, ir-chk=22/26)";
        let first = Progress::parse(counted, &Progress::default()).unwrap();
        assert_eq!((first.bytes, first.percent, first.files), (15_000, 25, 1));
        assert_eq!((first.checked, first.total, first.total_known), (4, 26, false));
        assert!((first.rate - 14.31 * 1_048_576.0).abs() < 1.0);
        let running = b"        1,500,000  26%    1.00kB/s    0:00:00  ";
        let second = Progress::parse(running, &first).unwrap();
        assert_eq!((second.bytes, second.total, second.files), (1_500_000, 26, 1));
        assert_eq!(Progress::parse(b" 12% of nothing", &first), None);
    }

    #[test]
    fn changes_are_read_with_their_kind() {
        let parse = |line: &'static str| Change::parse(line.as_bytes()).unwrap();
        let new = parse("@F|>f+++++++++|3000|3040|d000/file");
        assert_eq!((new.kind, new.entry, new.content), (ChangeKind::Created, EntryKind::File, true));
        assert_eq!((new.size, new.transferred, new.name), (3000, 3040, &b"d000/file"[..]));
        let folder = parse("@F|.d..t......|4096|0|./");
        assert_eq!((folder.kind, folder.entry, folder.content), (ChangeKind::Updated, EntryKind::Directory, false));
        let gone = parse("@F|*deleting  |0|0|old/");
        assert_eq!((gone.kind, gone.entry, gone.name), (ChangeKind::Deleted, EntryKind::Directory, &b"old"[..]));
        let link = parse("@F|cL+++++++++|1|0|here -> ../there");
        assert_eq!((link.entry, link.name, link.link), (EntryKind::Symlink, &b"here"[..], Some(&b"../there"[..])));
        let pipe = parse("@F|>f.st......|1|0|a|b|c");
        assert_eq!(pipe.name, b"a|b|c");
        assert_eq!(parse(r"@F|>f+++++++++|1|0|a\#012\#134#012b\c").path(), b"a\n\\#012b\\c");
        for other in ["created directory x", "@F|", "@F|>f", "@F|>f+++++++++|x|0|n", ""] {
            assert_eq!(Change::parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn an_endless_line_is_cut_and_the_next_one_is_whole() {
        let long = vec![b'x'; 3 * MAX_LINE];
        let found = records(&[&long, &long, b"\nnext\n"]);
        assert_eq!(found.len(), 2);
        assert!(found[1].contains(&format!("{:?}", b"next")));
    }

    proptest! {
        #[test]
        fn the_pieces_of_the_stream_do_not_matter(text in "(@F\\|>f\\+{9}\\|1\\|2\\||  1  5%  1.0kB/s 0:00|[a-z ]|\n|\r){0,60}", at in 0usize..200) {
            let bytes = text.as_bytes();
            let (first, second) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(records(&[bytes]), records(&[first, second]));
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(records(&[bytes]), records(&single));
        }

        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut splitter = Splitter::default();
            let mut look = |record: Record<'_>| {
                if let Record::Progress(progress) = record {
                    let _ = Progress::parse(progress, &Progress::default());
                }
            };
            splitter.feed(&bytes, &mut look);
            splitter.finish(&mut look);
            let mut line = JOURNAL_MARK.as_bytes().to_vec();
            line.extend(&bytes);
            if let Some(change) = Change::parse(&line) {
                let _ = change.path();
            }
        }

        #[test]
        fn a_name_that_rsync_escapes_comes_back(name in proptest::collection::vec(any::<u8>(), 1..40)) {
            let mut escaped = Vec::new();
            for (at, byte) in name.iter().enumerate() {
                let ambiguous = *byte == b'\\' && name.get(at + 1) == Some(&b'#');
                if byte.is_ascii_control() || !byte.is_ascii() || ambiguous {
                    escaped.extend(format!("\\#{byte:03o}").bytes());
                } else {
                    escaped.push(*byte);
                }
            }
            prop_assert_eq!(unescape(&escaped), name);
        }
    }
}
