//! One line of the journal: a path that rsync created, updated or deleted.

use crate::rsync::args::JOURNAL_MARK;

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It was not there before.
    Created,
    /// Its data or its attributes changed.
    Updated,
    /// It is gone.
    Deleted,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device node.
    Device,
    /// A socket or a named pipe.
    Special,
    /// rsync does not say it: a deleted entry that is no directory.
    Unknown,
}

/// One path that changed, borrowed from its journal line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// What happened.
    pub kind: ChangeKind,
    /// To what.
    pub entry: EntryKind,
    /// Whether the file's data was transferred, not only its attributes.
    pub content: bool,
    /// The entry's size in bytes; 0 for what is deleted.
    pub size: u64,
    /// Bytes that came over the wire for it.
    pub transferred: u64,
    /// The path below the destination, as rsync escapes it, without a trailing slash. The tree itself is `.`.
    pub name: &'a [u8],
    /// Where a symbolic link points to, or the path that a hard link shares its data with; escaped as well.
    pub link: Option<&'a [u8]>,
}

/// How long rsync's `%i` is.
const ITEM: usize = 11;

impl<'a> Change<'a> {
    /// Reads a line that was printed for [`JOURNAL_FORMAT`](crate::rsync::args::JOURNAL_FORMAT). `None` if it is not
    /// one, or if it says that nothing changed.
    #[must_use]
    pub fn parse(raw: &'a [u8]) -> Option<Self> {
        let (item, rest) = raw.strip_prefix(JOURNAL_MARK.as_bytes())?.split_at_checked(ITEM)?;
        let (size, rest) = number(rest.strip_prefix(b"|")?)?;
        let (transferred, rest) = number(rest)?;
        if rest.is_empty() {
            return None;
        }
        if item.starts_with(b"*deleting") {
            let (name, entry) = match rest.strip_suffix(b"/") {
                Some(name) if !name.is_empty() => (name, EntryKind::Directory),
                _ => (rest, EntryKind::Unknown),
            };
            let kind = ChangeKind::Deleted;
            return Some(Self { kind, entry, content: false, size, transferred, name, link: None });
        }
        let (&action, &entry, attributes) = match item {
            [action, entry, attributes @ ..] => (action, entry, attributes),
            _ => return None,
        };
        let entry = entry_kind(entry)?;
        let kind = change_kind(action, attributes)?;
        let (name, link) = split_link(rest, action, entry, size);
        let name = name.strip_suffix(b"/").filter(|name| !name.is_empty()).unwrap_or(name);
        Some(Self { kind, entry, content: matches!(action, b'>' | b'<'), size, transferred, name, link })
    }

    /// The path's real bytes: what rsync escaped as `\#ooo` is itself again.
    #[must_use]
    pub fn path(&self) -> Vec<u8> {
        unescape(self.name)
    }

    /// The link's real bytes, as [`Change::path`].
    #[must_use]
    pub fn link_target(&self) -> Option<Vec<u8>> {
        self.link.map(unescape)
    }
}

fn entry_kind(letter: u8) -> Option<EntryKind> {
    Some(match letter {
        b'f' => EntryKind::File,
        b'd' => EntryKind::Directory,
        b'L' => EntryKind::Symlink,
        b'D' => EntryKind::Device,
        b'S' => EntryKind::Special,
        _ => return None,
    })
}

fn change_kind(action: u8, attributes: &[u8]) -> Option<ChangeKind> {
    if !matches!(action, b'>' | b'<' | b'c' | b'h' | b'.') {
        return None;
    }
    if attributes.iter().all(|&byte| byte == b'+') {
        return Some(ChangeKind::Created);
    }
    // Blanks, or dots behind a dot, name an entry of which nothing changed.
    let same = attributes.iter().all(|&byte| byte == b' ') || attributes.iter().all(|&byte| byte == b'.');
    (!same || action != b'.').then_some(ChangeKind::Updated)
}

/// A decimal number and what follows the `|` behind it.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, &byte) in text.iter().enumerate() {
        if byte.is_ascii_digit() {
            value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
        } else if byte == b'|' && index > 0 {
            return Some((value, text.get(index + 1..)?));
        } else {
            return None;
        }
    }
    None
}

/// Cuts `name -> target` (symbolic links) and `name => other` (hard links). Both sides may contain the arrow, so the
/// target's length, which is a symbolic link's size, decides; where it decides nothing the first arrow does.
fn split_link(rest: &[u8], action: u8, entry: EntryKind, size: u64) -> (&[u8], Option<&[u8]>) {
    let arrow: &[u8] = match (action, entry) {
        (b'h', _) => b" => ",
        (_, EntryKind::Symlink) => b" -> ",
        _ => return (rest, None),
    };
    let cut = |at: usize| Some((rest.get(..at)?, rest.get(at + arrow.len()..)?));
    let mut first = None;
    for at in memchr::memmem::find_iter(rest, arrow) {
        let Some((name, target)) = cut(at) else { break };
        first = first.or(Some((name, target)));
        if u64::try_from(unescaped_length(target)) == Ok(size) {
            return (name, Some(target));
        }
    }
    first.map_or((rest, None), |(name, target)| (name, Some(target)))
}

/// The byte that an escape at the start of `text` stands for.
fn escape(text: &[u8]) -> Option<u8> {
    match text {
        [b'\\', b'#', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
            Some(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'))
        }
        _ => None,
    }
}

fn unescaped_length(text: &[u8]) -> usize {
    let escapes = memchr::memchr_iter(b'\\', text)
        .filter(|&at| text.get(at..).and_then(escape).is_some())
        .count();
    text.len() - escapes * 4
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, tail) = rest.split_at(at);
        bytes.extend_from_slice(plain);
        let (byte, length) = escape(tail).map_or((b'\\', 1), |byte| (byte, 5));
        bytes.push(byte);
        rest = tail.get(length..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Change, ChangeKind, EntryKind};

    fn change(line: &str) -> Change<'_> {
        Change::parse(line.as_bytes()).unwrap_or_else(|| panic!("not read: {line}"))
    }

    #[test]
    fn a_new_file_is_read() {
        let expected = Change {
            kind: ChangeKind::Created,
            entry: EntryKind::File,
            content: true,
            size: 3000,
            transferred: 3040,
            name: b"d000/a|b",
            link: None,
        };
        assert_eq!(change("@F|>f+++++++++|3000|3040|d000/a|b"), expected);
    }

    #[test]
    fn kinds_and_entries_are_told_apart() {
        use ChangeKind::{Created, Deleted, Updated};
        use EntryKind::{Device, Directory, File, Special, Symlink, Unknown};
        for (line, kind, entry, content, name) in [
            ("@F|cd+++++++++|4096|0|d/s/", Created, Directory, false, "d/s"),
            ("@F|.d..t......|4096|0|./", Updated, Directory, false, "."),
            ("@F|>f.st......|3000|99|a", Updated, File, true, "a"),
            ("@F|.f...p.....|3000|0|a b", Updated, File, false, "a b"),
            ("@F|cD+++++++++|0|0|null", Created, Device, false, "null"),
            ("@F|cS+++++++++|0|0|fifo", Created, Special, false, "fifo"),
            ("@F|cLc.t......|1|0|l -> t", Updated, Symlink, false, "l"),
            ("@F|*deleting  |0|0|old/x", Deleted, Unknown, false, "old/x"),
            ("@F|*deleting  |0|0|old/", Deleted, Directory, false, "old"),
            ("@F|*deleting  |0|0|a -> b", Deleted, Unknown, false, "a -> b"),
        ] {
            let change = change(line);
            assert_eq!((change.kind, change.entry, change.content), (kind, entry, content), "{line}");
            assert_eq!(change.name, name.as_bytes(), "{line}");
        }
    }

    #[test]
    fn an_entry_of_which_nothing_changed_is_no_change() {
        for line in ["@F|.f         |3000|0|a", "@F|.d         |3000|0|a/", "@F|.f.........|3000|0|a"] {
            assert_eq!(Change::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_link_is_cut_where_its_target_has_its_size() {
        let link = |line| (change(line).name, change(line).link);
        assert_eq!(link("@F|cL+++++++++|7|0|in -> ../good"), (&b"in"[..], Some(&b"../good"[..])));
        assert_eq!(link("@F|cL+++++++++|1|0|a -> b -> c"), (&b"a -> b"[..], Some(&b"c"[..])));
        assert_eq!(link("@F|cL+++++++++|6|0|a -> b -> c"), (&b"a"[..], Some(&b"b -> c"[..])));
        assert_eq!(link("@F|cL+++++++++|2|0|a -> \\#012c"), (&b"a"[..], Some(&b"\\#012c"[..])));
        assert_eq!(link("@F|hf+++++++++|3000|0|b => a"), (&b"b"[..], Some(&b"a"[..])));
        assert_eq!(link("@F|>f+++++++++|3000|0|b -> a"), (&b"b -> a"[..], None));
    }

    #[test]
    fn escapes_become_bytes_again() {
        let path = |name: &str| change(&format!("@F|>f+++++++++|1|1|{name}")).path();
        assert_eq!(path("nl\\#012in"), b"nl\nin");
        assert_eq!(path("lat\\#351"), b"lat\xe9");
        assert_eq!(path("back\\#134#012slash"), b"back\\#012slash");
        assert_eq!(path("\\#"), b"\\#");
        assert_eq!(path("a\\#400"), b"a\\#400");
        assert_eq!(path("\\b\\"), b"\\b\\");
    }

    #[test]
    fn what_is_no_journal_line_is_not_read() {
        for line in [
            "",
            "@F|",
            "@F|>f+++++++++",
            "@F|>f+++++++++|",
            "@F|>f+++++++++||1|a",
            "@F|>f+++++++++|1|1|",
            "@F|>f+++++++++|1|1",
            "@F|>f+++++++++|-1|1|a",
            "@F|>f+++++++++|99999999999999999999|1|a",
            "@F|>x+++++++++|1|1|a",
            "@F|?f+++++++++|1|1|a",
            "F|>f+++++++++|1|1|a",
        ] {
            assert_eq!(Change::parse(line.as_bytes()), None, "{line}");
        }
    }

    /// What rsync does to a name in a UTF-8 locale, for bytes that it does not take for characters.
    fn escaped(name: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        for (index, &byte) in name.iter().enumerate() {
            let looks_escaped = byte == b'\\'
                && name.get(index + 1) == Some(&b'#')
                && name.get(index + 2..index + 5).is_some_and(|three| three.iter().all(u8::is_ascii_digit));
            if looks_escaped || (byte != b'\t' && !(0x20..0x7f).contains(&byte)) {
                text.extend_from_slice(format!("\\#{byte:03o}").as_bytes());
            } else {
                text.push(byte);
            }
        }
        text
    }

    proptest! {
        #[test]
        fn a_path_survives_escaping(name in "([a-z#0-7\\\\/ |>=-]|\\\\#[0-7]{3}|\\PC|[\\x00-\\x1f]){1,40}[a-z]") {
            let line = [&b"@F|>f+++++++++|1|1|"[..], &escaped(name.as_bytes())].concat();
            prop_assert_eq!(Change::parse(&line).unwrap().path(), name.as_bytes());
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..60), item in "[<>ch.*][fdLDSx][+. a-z]{9}") {
            let _ = Change::parse(&bytes);
            let line = [b"@F|", item.as_bytes(), b"|1|2|", &bytes].concat();
            if let Some(change) = Change::parse(&line) {
                prop_assert!(change.path().len() <= bytes.len());
                let _ = change.link_target();
            }
        }
    }
}
