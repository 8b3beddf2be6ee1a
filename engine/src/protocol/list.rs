//! File lists: asked for, read as a stream, and counted.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Timeouts;
use super::connection::{Connection, Session};
use super::entries::{Decoder, Entry, Item, Malformed};
use super::error::{ProtocolError, Step};
use super::frames::Frames;
use super::frames::Messages;
use super::request::{What, arguments};
use super::wire::Wire;
use crate::rsync::messages::escaped;
use crate::rsync::output::EntryKind;
use crate::secret::Secret;
use crate::source::Source;

/// How long a daemon gets to end when it has sent everything.
const LEAVE: Duration = Duration::from_secs(2);
/// How much it may still send meanwhile: its statistics.
const LAST_WORDS: usize = 64 << 10;
/// "No more files", three times: the two phases of a transfer, and the end.
const NOTHING_WANTED: [u8; 12] = [0xff; 12];
/// An empty list of filters.
const NO_FILTERS: [u8; 4] = [0; 4];

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

    fn count(&mut self, entry: &Entry) {
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
    let (totals, messages) = (files.totals, files.messages().clone());
    let end = files.finish().await;
    Ok(Listing { entries, totals, end, messages })
}

impl Session {
    /// Asks for a list of what lies below the source's path.
    pub async fn list(mut self, what: What<'_>, limits: &ListLimits) -> Result<FileList, ProtocolError> {
        let request = arguments(&self.source, what)?;
        let asked = match what {
            What::Tree => None,
            What::Paths(paths) => Some(paths.iter().map(|path| path.to_vec()).collect()),
        };
        self.wire.begin(Step::List, self.timeouts.silence);
        self.wire.send(&request).await?;
        // The seed of checksums that are never made.
        self.wire.four().await?;
        // Not sooner: what we send acknowledges the seed, which the daemon's system waits for before it sends more.
        self.wire.send(&NO_FILTERS).await?;
        Ok(FileList {
            wire: self.wire,
            frames: Frames::default(),
            decoder: Decoder::default(),
            data: Vec::new(),
            at: 0,
            asked,
            left: *limits,
            names_left: limits.bytes,
            totals: Totals::default(),
            end: None,
            timeouts: self.timeouts,
            until: Instant::now() + self.timeouts.list,
        })
    }
}

/// A list on its way. Memory does not grow with it.
#[derive(Debug)]
pub struct FileList {
    wire: Wire,
    frames: Frames,
    decoder: Decoder,
    /// The sender's stream without its frames, as far as it is here.
    data: Vec<u8>,
    /// Where the part of it begins that was not read.
    at: usize,
    /// The only names that may come.
    asked: Option<HashSet<Vec<u8>>>,
    /// What is left of the limits; its bytes are those on the line.
    left: ListLimits,
    /// What is left for names and targets.
    names_left: u64,
    totals: Totals,
    end: Option<End>,
    timeouts: Timeouts,
    until: Instant,
}

impl FileList {
    /// The next entry; `None` at the end. May be dropped at any time without losing an entry.
    pub async fn next(&mut self) -> Result<Option<Entry>, ProtocolError> {
        while self.end.is_none() {
            match self.decoder.next(&self.data[self.at..]).map_err(malformed)? {
                Some((used, Item::Entry(entry))) => {
                    self.at += used;
                    if let Some(entry) = self.admit(entry)? {
                        return Ok(Some(entry));
                    }
                }
                Some((_, Item::End(io_errors))) => {
                    self.end = Some(End::Complete(IoErrors(io_errors | self.frames.io_errors)));
                }
                None => self.read().await?,
            }
        }
        Ok(None)
    }

    /// Numbers of the entries that came so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// What the sender said so far.
    #[must_use]
    pub fn messages(&self) -> &Messages {
        &self.frames.messages
    }

    /// How the list ended; `None` before [`FileList::next`] came to its end.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Takes leave of the daemon, so that it does not log a broken connection. Only for a list that was read to its
    /// end; one that was not counts as cut short.
    pub async fn finish(mut self) -> End {
        if let Some(End::Complete(_)) = self.end {
            self.wire.begin(Step::List, LEAVE);
            if self.wire.send(&NOTHING_WANTED).await.is_ok() {
                // Whether it answers does not matter any more.
                let _ = timeout(LEAVE, self.wire.part(LAST_WORDS)).await;
            }
        }
        self.end.unwrap_or(End::MoreEntries)
    }

    /// Checks an entry against what was asked for and against the limits.
    fn admit(&mut self, entry: Entry) -> Result<Option<Entry>, ProtocolError> {
        if self.asked.as_ref().is_some_and(|asked| !asked.contains(&entry.name)) {
            return Err(malformed(Malformed::NotAsked(escaped(&entry.name))));
        }
        let Some(entries) = self.left.entries.checked_sub(1) else {
            self.end = Some(End::MoreEntries);
            return Ok(None);
        };
        let names = entry.name.len() + entry.target.as_ref().map_or(0, Vec::len);
        let Some(names) = self.names_left.checked_sub(names as u64) else {
            self.end = Some(End::MoreBytes);
            return Ok(None);
        };
        (self.left.entries, self.names_left) = (entries, names);
        self.totals.count(&entry);
        Ok(Some(entry))
    }

    /// Takes what came over the line, waiting for it if need be.
    async fn read(&mut self) -> Result<(), ProtocolError> {
        self.data.drain(..self.at);
        self.at = 0;
        self.wire.begin_read(self.timeouts.silence, self.until, self.timeouts.list);
        let piece = match self.wire.some().await {
            Ok(piece) => piece,
            // A sender that gives up says why, and ends.
            Err(ProtocolError::Closed { .. }) if !self.frames.messages.errors.is_empty() => {
                return Err(ProtocolError::Sender(std::mem::take(&mut self.frames.messages.errors)));
            }
            Err(error) => return Err(error),
        };
        match self.left.bytes.checked_sub(piece.len() as u64) {
            Some(left) => self.left.bytes = left,
            None => self.end = Some(End::MoreBytes),
        }
        self.frames.feed(piece, &mut self.data).map_err(malformed)
    }
}

fn malformed(what: Malformed) -> ProtocolError {
    ProtocolError::Malformed { step: Step::List, what }
}
