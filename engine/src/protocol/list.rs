//! File lists: asked for, read as a stream, and counted.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Timeouts;
use super::connection::{Connection, Session};
use super::entries::{Dialect, Entry, Malformed};
use super::error::{ProtocolError, Step};
use super::frames::Messages;
use super::request::{What, arguments};
use super::stream::{ListStream, Next};
use super::wire::Wire;
use crate::rsync::filters::ListFilters;
use crate::rsync::output::EntryKind;
use crate::secret::Secret;
use crate::source::Source;

/// How long a daemon gets to end when it has sent everything.
const LEAVE: Duration = Duration::from_secs(2);
/// How much it may still send meanwhile: its statistics.
const LAST_WORDS: usize = 64 << 10;
/// The checksums of file contents that we name where a daemon wants to hear some. No content is transferred.
const CHECKSUMS: &[u8] = b"md5 md4";
/// The longest list of checksums that is read from a daemon: rsync's own bound.
const MAX_CHECKSUMS: usize = 255;

/// How much of a list is read at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListLimits {
    /// Entries.
    pub entries: u64,
    /// Bytes: those that come over the line, and those of the names and targets made of them, each.
    pub bytes: u64,
}

impl Default for ListLimits {
    fn default() -> Self {
        Self { entries: 1_000_000, bytes: 256 << 20 }
    }
}

/// How a list ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The sender listed all that it could read.
    Complete(IoErrors),
    /// There are more entries than [`ListLimits::entries`]; the rest was not read.
    MoreEntries,
    /// There are more bytes than [`ListLimits::bytes`]; the rest was not read.
    MoreBytes,
}

/// What kept a sender from listing everything. rsync deletes nothing on such a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IoErrors(u32);

impl IoErrors {
    pub(super) fn new(bits: u32) -> Self {
        Self(bits)
    }

    /// Whether there was nothing.
    #[must_use]
    pub fn none(self) -> bool {
        self.0 == 0
    }

    /// Whether something could not be read, so that the list may lack it.
    #[must_use]
    pub fn unreadable(self) -> bool {
        self.0 & !2 != 0
    }

    /// Whether a file went away while the list was made.
    #[must_use]
    pub fn vanished(self) -> bool {
        self.0 & 2 != 0
    }
}

/// Numbers of entries, without `.`, the tree itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Regular files.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Symbolic links.
    pub links: u64,
    /// Devices, sockets and pipes.
    pub others: u64,
    /// Bytes in regular files.
    pub bytes: u64,
}

impl Totals {
    /// How many there are of all kinds.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.files + self.folders + self.links + self.others
    }

    pub(super) fn count(&mut self, entry: &Entry) {
        match entry.kind {
            _ if entry.name == b"." => {}
            EntryKind::File => {
                self.files += 1;
                self.bytes = self.bytes.saturating_add(entry.size);
            }
            EntryKind::Directory => self.folders += 1,
            EntryKind::Symlink => self.links += 1,
            EntryKind::Device | EntryKind::Special | EntryKind::Unknown => self.others += 1,
        }
    }
}

/// A whole list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The entries, in the order in which the sender walked.
    pub entries: Vec<Entry>,
    /// Their numbers.
    pub totals: Totals,
    /// Whether these are all.
    pub end: End,
    /// What the sender said besides.
    pub messages: Messages,
}

/// Reads a whole list into memory. A tree that is not there is a list with no entry, an I/O error and the daemon's
/// words; a limit that is reached is a list that says so.
///
/// # Errors
/// When the daemon cannot be reached, refuses, gives up, or does not keep to the protocol.
pub async fn list(
    source: &Source,
    password: Option<&Secret>,
    what: What<'_>,
    limits: &ListLimits,
    timeouts: &Timeouts,
) -> Result<Listing, ProtocolError> {
    let session = Connection::open(source, timeouts).await?.enter(source, password).await?;
    let mut files = session.list(what, limits).await?;
    let mut entries = Vec::new();
    while let Some(entry) = files.next().await? {
        entries.push(entry);
    }
    let (totals, messages) = (files.totals(), files.messages().clone());
    let end = files.finish().await;
    Ok(Listing { entries, totals, end, messages })
}

impl Session {
    /// Has the upstream leave out of a list of the whole tree what these rules exclude.
    #[must_use]
    pub fn with_filters(self, filters: &ListFilters) -> Self {
        Self { filters: filters.to_wire(), ..self }
    }

    /// Asks for a list of what lies below the source's path.
    ///
    /// # Errors
    /// When it cannot be asked for, or the daemon fails or does not keep to the protocol.
    pub async fn list(mut self, what: What<'_>, limits: &ListLimits) -> Result<FileList, ProtocolError> {
        let request = arguments(&self.source, what, self.protocol)?;
        self.wire.begin(Step::List, self.timeouts.silence);
        self.wire.send(&request).await?;
        let dialect = self.agree().await?;
        // The seed of checksums that are never made.
        self.wire.array::<4>().await?;
        // Not sooner: what we send acknowledges the seed, which the daemon's system waits for before it sends more.
        self.wire.send(&framed(self.protocol, &self.filters)).await?;
        Ok(FileList {
            wire: self.wire,
            protocol: self.protocol,
            stream: ListStream::new(dialect, what, limits),
            spoken: false,
            timeouts: self.timeouts,
            until: Instant::now() + self.timeouts.list,
        })
    }

    /// From protocol 30 on a daemon says how it writes, and a newer one which checksums it knows.
    async fn agree(&mut self) -> Result<Dialect, ProtocolError> {
        let flags = if self.protocol >= 30 { self.wire.varint().await? } else { 0 };
        let dialect = Dialect::new(self.protocol, flags).map_err(malformed)?;
        if dialect.negotiates() {
            let length = u8::try_from(CHECKSUMS.len()).unwrap_or_default();
            self.wire.send(&[&[length], CHECKSUMS].concat()).await?;
            let length = self.wire.vstring_length().await?;
            if length > MAX_CHECKSUMS {
                return Err(ProtocolError::TooMuch { what: "bytes of checksum names", limit: MAX_CHECKSUMS });
            }
            self.wire.skip(length).await?;
        }
        Ok(dialect)
    }
}

/// What a client sends is put into frames from protocol 30 on.
fn framed(protocol: u32, content: &[u8]) -> Vec<u8> {
    if protocol < 30 {
        return content.to_vec();
    }
    let length = u32::try_from(content.len()).unwrap_or_default() | 7 << 24;
    [&length.to_le_bytes(), content].concat()
}

/// "No more files", so many times.
fn nothing_wanted(protocol: u32, times: usize) -> Vec<u8> {
    let word: &[u8] = if protocol < 30 { &[0xff; 4] } else { &[0] };
    framed(protocol, &word.repeat(times))
}

/// A list on its way. Memory does not grow with it.
#[derive(Debug)]
pub struct FileList {
    wire: Wire,
    protocol: u32,
    stream: ListStream,
    /// Whether the first "no more files" was said.
    spoken: bool,
    timeouts: Timeouts,
    until: Instant,
}

impl FileList {
    /// The next entry; `None` at the end. May be dropped at any time without losing an entry.
    ///
    /// # Errors
    /// When the daemon fails, gives up, is too slow, or does not keep to the protocol.
    pub async fn next(&mut self) -> Result<Option<Entry>, ProtocolError> {
        loop {
            match self.stream.read().map_err(malformed)? {
                Next::Entry(entry) => return Ok(Some(entry)),
                Next::End(_) => return Ok(None),
                Next::GaveUp => return Err(self.gave_up()),
                Next::Turn if !self.spoken => {
                    self.spoken = true;
                    self.wire.begin(Step::List, self.timeouts.silence);
                    self.wire.send(&nothing_wanted(self.protocol, 1)).await?;
                }
                Next::More | Next::Turn => self.read().await?,
            }
        }
    }

    /// Numbers of the entries that came so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.stream.totals()
    }

    /// What the sender said so far.
    #[must_use]
    pub fn messages(&self) -> &Messages {
        self.stream.messages()
    }

    /// How the list ended; `None` before [`FileList::next`] came to its end.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.stream.end()
    }

    /// Takes leave of the daemon, so that it does not log a broken connection. Only for a list that was read to its
    /// end; one that was not counts as cut short.
    pub async fn finish(mut self) -> End {
        if let Some(End::Complete(_)) = self.end() {
            // For each phase of a transfer, and the farewells.
            let words = match self.protocol {
                ..29 => 3,
                29 | 30 => 4,
                31.. => 5,
            };
            self.wire.begin(Step::List, LEAVE);
            let words = nothing_wanted(self.protocol, words - usize::from(self.spoken));
            if self.wire.send(&words).await.is_ok() {
                // Whether it answers does not matter any more.
                let _ = timeout(LEAVE, self.wire.part(LAST_WORDS)).await;
            }
        }
        self.stream.end().unwrap_or(End::MoreEntries)
    }

    /// Takes what came over the line, waiting for it if need be.
    async fn read(&mut self) -> Result<(), ProtocolError> {
        self.wire.begin_read(self.timeouts.silence, self.until, self.timeouts.list);
        match self.wire.some().await {
            Ok(piece) => self.stream.feed(piece).map_err(malformed),
            Err(ProtocolError::Closed { .. }) => Err(self.gave_up()),
            Err(error) => Err(error),
        }
    }

    /// A sender that gives up says why, and ends.
    fn gave_up(&self) -> ProtocolError {
        match &self.messages().errors[..] {
            [] => ProtocolError::Closed { step: Step::List },
            errors => ProtocolError::Sender(errors.to_vec()),
        }
    }
}

pub(super) fn malformed(what: Malformed) -> ProtocolError {
    ProtocolError::Malformed { step: Step::List, what }
}
