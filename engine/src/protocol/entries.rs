//! The entries of a file list in protocols 27 to 32, out of whatever pieces of it are there. Nothing is read from the
//! network here.
//!
//! An entry repeats only what differs from the one before it. Numbers are written as [`super::numbers`] tells; where two
//! kinds stand here, the second one is that of protocol 30 and later:
//!
//! ```text
//! flags   u8          a u8 with the next eight bits follows if 0x04, from protocol 28 on; or a varint, see Dialect
//! prefix  u8          if 0x20: how many bytes of the last name to keep
//! length  u8          of the rest of the name; i32 or varint if 0x40
//! name    bytes
//! size    long or varlong<3>
//! mtime   u32 or varlong<4>, unless 0x80: as before
//! nanos   varint      if 0x2000
//! mode    u32         unless 0x02: as before
//! length  i32 or varint, only for a symbolic link: of its target
//! target  bytes
//! ```
//!
//! Flags of 0 end the list. What the sender could not read follows in one of three ways, see [`Dialect`].
//!
//! Owners, numbers of devices and hard links are not asked for, and so do not come.

use super::numbers::{Cursor, Stop};
use crate::rsync::output::EntryKind;
use crate::text::escaped;

/// The longest name and the longest target: the kernel's bound, and rsync's.
const MAX_NAME: usize = 4096;

const TOP: u32 = 0x01;
const SAME_MODE: u32 = 0x02;
const MORE_FLAGS: u32 = 0x04;
const SAME_NAME: u32 = 0x20;
const LONG_NAME: u32 = 0x40;
const SAME_TIME: u32 = 0x80;
const NO_CONTENT: u32 = 0x0100;
const END_WITH_ERRORS: u32 = 0x1000;
const NANOS: u32 = 0x2000;

/// What a daemon says about its lists before it sends one, from protocol 30 on: rsync's `CF_` flags.
const PIECEMEAL: i32 = 0x01;
const SAFE_LIST: i32 = 0x08;
const VARINT_FLAGS: i32 = 0x80;

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
    /// When its content changed last, in seconds since 1970. Up to protocol 29 only times from 1970 to 2106 come
    /// right.
    pub modified: i64,
    /// The nanoseconds of that; 0 before protocol 31.
    pub nanos: u32,
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
    /// A number that begins like one of more bytes than it can have.
    #[error("a number begins with the byte {0:#04x}")]
    Number(u8),
    /// A list that comes folder by folder, which nobody asked for.
    #[error("it lists folder by folder, which it was not asked for")]
    Piecemeal,
    /// An end of the list that the daemon said it would not use.
    #[error("the list ends in a way that was not agreed on")]
    End,
    /// Something that is neither an entry nor the sender's answer comes after the list.
    #[error("the list is followed by something else than an answer")]
    AfterEnd,
    /// Nanoseconds that are more than a second.
    #[error("a time has {0} nanoseconds")]
    Nanos(i32),
    /// A size below zero.
    #[error("a size is {0}")]
    Size(i64),
    /// A mode that stands for nothing.
    #[error("a mode is {0:#o}")]
    Mode(u32),
}

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// The protocol that is spoken.
    protocol: u32,
    /// Flags are varints, and the end has always the sender's I/O errors: rsync 3.2.0 and later.
    varint_flags: bool,
    /// An end with I/O errors is written as such; otherwise protocol 30 sends them in a message after the end, and
    /// earlier ones in four bytes.
    safe: bool,
}

impl Dialect {
    /// The dialect of a protocol, with the flags (rsync's `compat_flags`) that a daemon sends from 30 on.
    ///
    /// # Errors
    /// When the daemon wants to list folder by folder.
    pub fn new(protocol: u32, flags: i32) -> Result<Self, Malformed> {
        if flags & PIECEMEAL != 0 {
            return Err(Malformed::Piecemeal);
        }
        let (varint_flags, safe) = (flags & VARINT_FLAGS != 0, flags & SAFE_LIST != 0 || protocol >= 31);
        Ok(Self { protocol, varint_flags, safe })
    }

    /// Whether both sides tell which checksums they know before the list.
    pub(super) fn negotiates(self) -> bool {
        self.varint_flags
    }

    /// Whether the sender's I/O errors may come in a message after the end.
    pub(super) fn errors_follow(self) -> bool {
        self.protocol == 30 && !self.safe
    }

    fn modern(self) -> bool {
        self.protocol >= 30
    }
}

/// What a list consists of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Entry(Entry),
    /// A folder that comes only because something in it was asked for.
    Implied(Entry),
    /// The end, with the sender's I/O errors as far as they stand here.
    End(u32),
}

/// Reads entries, and remembers what the next one may repeat.
#[derive(Debug)]
pub(super) struct Decoder {
    dialect: Dialect,
    name: Vec<u8>,
    modified: i64,
    mode: u32,
}

impl Decoder {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, name: Vec::new(), modified: 0, mode: 0 }
    }

    /// The next item at the beginning of `data`, and how many bytes it takes; `None` when it is not there as a whole.
    pub(super) fn next(&mut self, data: &[u8]) -> Result<Option<(usize, Item)>, Malformed> {
        let mut cursor = Cursor(data);
        match self.item(&mut cursor) {
            Ok(item) => Ok(Some((data.len() - cursor.0.len(), item))),
            Err(Stop::Short) => Ok(None),
            Err(Stop::Malformed(what)) => Err(what),
        }
    }

    fn item(&mut self, cursor: &mut Cursor<'_>) -> Result<Item, Stop> {
        if self.dialect.varint_flags {
            return match cursor.varint()?.cast_unsigned() {
                0 => cursor.varint().map(|errors| Item::End(errors.cast_unsigned())),
                flags => self.entry(flags, cursor),
            };
        }
        let mut flags = u32::from(cursor.byte()?);
        if flags == 0 {
            return if self.dialect.modern() { Ok(Item::End(0)) } else { cursor.number().map(Item::End) };
        }
        if flags & MORE_FLAGS != 0 && self.dialect.protocol >= 28 {
            flags |= u32::from(cursor.byte()?) << 8;
        }
        if flags == MORE_FLAGS | END_WITH_ERRORS && self.dialect.modern() {
            let safe = self.dialect.safe.then_some(()).ok_or(Malformed::End);
            return safe.map_err(Stop::from).and_then(|()| Ok(Item::End(cursor.varint()?.cast_unsigned())));
        }
        self.entry(flags, cursor)
    }

    /// Changes `self` only when the whole entry was there.
    fn entry(&mut self, flags: u32, cursor: &mut Cursor<'_>) -> Result<Item, Stop> {
        let kept = if flags & SAME_NAME != 0 { usize::from(cursor.byte()?) } else { 0 };
        let prefix = self.name.get(..kept).ok_or(Malformed::Prefix { kept, had: self.name.len() })?;
        let length = if flags & LONG_NAME != 0 { self.length(cursor)? } else { usize::from(cursor.byte()?) };
        if kept + length > MAX_NAME {
            return Err(Malformed::LongName(kept + length).into());
        }
        let suffix = cursor.bytes(length)?;
        let size = self.size(cursor)?;
        let modified = if flags & SAME_TIME != 0 { self.modified } else { self.time(cursor)? };
        let nanos = if flags & NANOS != 0 { nanos(cursor.varint()?)? } else { 0 };
        let mode = if flags & SAME_MODE != 0 { self.mode } else { cursor.number()? };
        let kind = kind(mode).ok_or(Malformed::Mode(mode))?;
        let target = if kind == EntryKind::Symlink {
            let length = self.length(cursor)?;
            Some(cursor.bytes(length)?.to_vec())
        } else {
            None
        };
        let name = [prefix, suffix].concat();
        if !(is_plain(&name) || name == b"." && kind == EntryKind::Directory) {
            return Err(Malformed::UnsafeName(escaped(&name)).into());
        }
        self.name.truncate(kept);
        self.name.extend_from_slice(suffix);
        (self.modified, self.mode) = (modified, mode);
        let implied = kind == EntryKind::Directory
            && self.dialect.modern()
            && flags & (TOP | NO_CONTENT) == TOP | NO_CONTENT;
        let entry = Entry { name, kind, size, modified, nanos, permissions: mode & 0o7777, target };
        Ok(if implied { Item::Implied(entry) } else { Item::Entry(entry) })
    }

    /// The length of a name.
    fn length(&self, cursor: &mut Cursor<'_>) -> Result<usize, Stop> {
        let length = if self.dialect.modern() { cursor.varint()? } else { cursor.number()?.cast_signed() };
        let fits = usize::try_from(length).ok().filter(|length| *length <= MAX_NAME);
        fits.ok_or_else(|| Malformed::NameLength(length).into())
    }

    fn size(&self, cursor: &mut Cursor<'_>) -> Result<u64, Stop> {
        let size = if self.dialect.modern() { cursor.varlong::<3>()? } else { cursor.long()? };
        u64::try_from(size).map_err(|_| Malformed::Size(size).into())
    }

    fn time(&self, cursor: &mut Cursor<'_>) -> Result<i64, Stop> {
        if self.dialect.modern() { cursor.varlong::<4>() } else { cursor.number().map(i64::from) }
    }
}

fn nanos(number: i32) -> Result<u32, Malformed> {
    u32::try_from(number).ok().filter(|nanos| *nanos < 1_000_000_000).ok_or(Malformed::Nanos(number))
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

#[cfg(test)]
pub(super) mod tests;
