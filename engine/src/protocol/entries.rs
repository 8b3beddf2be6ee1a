//! The entries of a file list in protocol 27, out of whatever pieces of it are there. Nothing is read from the network
//! here.
//!
//! An entry repeats only what differs from the one before it:
//!
//! ```text
//! flags   u8          0 ends the list; an i32 with the sender's I/O errors follows
//! prefix  u8          if 0x20: how many bytes of the last name to keep
//! length  u8          of the rest of the name; an i32 if 0x40
//! name    bytes
//! size    i32         an i64 follows if it is -1
//! mtime   u32         unless 0x80: as before
//! mode    u32         unless 0x02: as before
//! length  i32         only for a symbolic link: of its target
//! target  bytes
//! ```

use crate::rsync::messages::escaped;
use crate::rsync::output::EntryKind;

/// The longest name and the longest target: the kernel's bound, and rsync's.
const MAX_NAME: usize = 4096;

const SAME_MODE: u8 = 0x02;
const SAME_NAME: u8 = 0x20;
const LONG_NAME: u8 = 0x40;
const SAME_TIME: u8 = 0x80;

/// One path of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name below the tree that was asked for, without a slash at either end; `.` is the tree itself. It never
    /// leads out of the tree.
    pub name: Vec<u8>,
    /// What stands there.
    pub kind: EntryKind,
    /// Its size in bytes, as the upstream says.
    pub size: u64,
    /// When its content changed last, in seconds since 1970.
    pub modified: u32,
    /// Its permission bits.
    pub permissions: u32,
    /// Where a symbolic link leads; unchecked.
    pub target: Option<Vec<u8>>,
}

/// What in a stream is not the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The daemon asks for a second login.
    #[error("it asks for a second login")]
    SecondChallenge,
    /// A frame of a kind that has no place in a file list.
    #[error("a frame has the unknown tag {0}")]
    Tag(i16),
    /// A message that no sender writes.
    #[error("a message with tag {tag} has {length} bytes")]
    MessageLength {
        /// What kind of message.
        tag: i16,
        /// Its length.
        length: usize,
    },
    /// A name that repeats more than there was.
    #[error("a name repeats {kept} bytes of the last name, which has {had}")]
    Prefix {
        /// How much of the last name it wants.
        kept: usize,
        /// How long that one is.
        had: usize,
    },
    /// A name or a target of a length that no file system has.
    #[error("a name or target has {0} bytes")]
    NameLength(i32),
    /// A name that is too long together with what it repeats.
    #[error("a name has {0} bytes")]
    LongName(usize),
    /// A name that is absolute, is empty, or has empty parts, `.`, `..` or a NUL.
    #[error("the name {0:?} is not a plain path below the tree")]
    UnsafeName(String),
    /// A name that was not asked for.
    #[error("the name {0:?} was not asked for")]
    NotAsked(String),
    /// A size below zero.
    #[error("a size is {0}")]
    Size(i64),
    /// A mode that stands for nothing.
    #[error("a mode is {0:#o}")]
    Mode(u32),
}

/// What a list consists of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Entry(Entry),
    /// The end, with the sender's I/O errors.
    End(u32),
}

/// Reads entries, and remembers what the next one may repeat.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    name: Vec<u8>,
    modified: u32,
    mode: u32,
}

impl Decoder {
    /// The next item at the beginning of `data`, and how many bytes it takes; `None` when it is not there as a whole.
    pub(super) fn next(&mut self, data: &[u8]) -> Result<Option<(usize, Item)>, Malformed> {
        let mut cursor = Cursor(data);
        match self.item(&mut cursor) {
            Ok(item) => Ok(Some((data.len() - cursor.0.len(), item))),
            Err(Stop::Short) => Ok(None),
            Err(Stop::Malformed(what)) => Err(what),
        }
    }

    /// Changes `self` only when the whole item was there.
    fn item(&mut self, cursor: &mut Cursor<'_>) -> Result<Item, Stop> {
        let flags = cursor.byte()?;
        if flags == 0 {
            return cursor.number().map(Item::End);
        }
        let kept = if flags & SAME_NAME != 0 { usize::from(cursor.byte()?) } else { 0 };
        let prefix = self.name.get(..kept).ok_or(Malformed::Prefix { kept, had: self.name.len() })?;
        let length = if flags & LONG_NAME != 0 { cursor.length()? } else { usize::from(cursor.byte()?) };
        if kept + length > MAX_NAME {
            return Err(Malformed::LongName(kept + length).into());
        }
        let suffix = cursor.bytes(length)?;
        let size = cursor.size()?;
        let modified = if flags & SAME_TIME != 0 { self.modified } else { cursor.number()? };
        let mode = if flags & SAME_MODE != 0 { self.mode } else { cursor.number()? };
        let kind = kind(mode).ok_or(Malformed::Mode(mode))?;
        let target = if kind == EntryKind::Symlink {
            let length = cursor.length()?;
            Some(cursor.bytes(length)?.to_vec())
        } else {
            None
        };
        let name = [prefix, suffix].concat();
        if !is_plain(&name) && name != b"." {
            return Err(Malformed::UnsafeName(escaped(&name)).into());
        }
        self.name.truncate(kept);
        self.name.extend_from_slice(suffix);
        (self.modified, self.mode) = (modified, mode);
        Ok(Item::Entry(Entry { name, kind, size, modified, permissions: mode & 0o7777, target }))
    }
}

/// Whether a name is a relative path of plain parts.
pub(super) fn is_plain(name: &[u8]) -> bool {
    !name.contains(&0) && name.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
}

/// What the file type bits of a mode say; they are the same on every system's wire.
fn kind(mode: u32) -> Option<EntryKind> {
    Some(match mode & 0o170_000 {
        0o100_000 => EntryKind::File,
        0o040_000 => EntryKind::Directory,
        0o120_000 => EntryKind::Symlink,
        0o020_000 | 0o060_000 => EntryKind::Device,
        0o010_000 | 0o140_000 => EntryKind::Special,
        _ => return None,
    })
}

enum Stop {
    /// More must come first.
    Short,
    Malformed(Malformed),
}

impl From<Malformed> for Stop {
    fn from(what: Malformed) -> Self {
        Self::Malformed(what)
    }
}

/// What is left of a piece.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Stop::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Stop::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        self.array().map(|[byte]| byte)
    }

    fn number(&mut self) -> Result<u32, Stop> {
        self.array().map(u32::from_le_bytes)
    }

    fn size(&mut self) -> Result<u64, Stop> {
        let size = match i32::from_le_bytes(self.array()?) {
            -1 => i64::from_le_bytes(self.array()?),
            small => i64::from(small),
        };
        u64::try_from(size).map_err(|_| Malformed::Size(size).into())
    }

    /// The length of a name.
    fn length(&mut self) -> Result<usize, Stop> {
        let length = i32::from_le_bytes(self.array()?);
        let fits = usize::try_from(length).ok().filter(|length| *length <= MAX_NAME);
        fits.ok_or_else(|| Malformed::NameLength(length).into())
    }
}

#[cfg(test)]
mod tests;
