//! A file list as a stream of bytes: frames in, entries out. It does no input or output itself, so that recordings and
//! a fuzzer's bytes go the way that a daemon's go.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::entries::{Decoder, Dialect, Entry, Item, Malformed};
use super::frames::{Frames, Messages};
use super::list::{End, IoErrors, ListLimits, Totals};
use super::request::What;
use crate::text::escaped;

/// A list that comes in pieces. Memory does not grow with it: at most one piece is held, and what is kept of messages.
#[derive(Debug)]
pub struct ListStream {
    frames: Frames,
    decoder: Decoder,
    /// The sender's stream without its frames, as far as it is here.
    data: Vec<u8>,
    /// Where the part of it begins that was not read.
    at: usize,
    expected: Expected,
    /// What is left of the limits; its bytes are those on the line.
    left: ListLimits,
    /// What is left for names and targets.
    names_left: u64,
    totals: Totals,
    /// Whether the I/O errors come only with the answer to our next word.
    errors_follow: bool,
    /// The I/O errors at the end of a list whose sender was not heard out.
    pending: Option<u32>,
    end: Option<End>,
}

/// What comes next of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// An entry.
    Entry(Entry),
    /// Nothing before another piece is there.
    More,
    /// The same, and the sender waits for our first "no more files" before it tells what it could not read.
    Turn,
    /// Nothing any more: the sender has given up.
    GaveUp,
    /// The list is over.
    End(End),
}

/// The only names that may come.
#[derive(Debug)]
enum Expected {
    All,
    /// Those without a slash.
    Flat,
    Only(BTreeSet<Vec<u8>>),
}

impl Expected {
    fn new(what: What<'_>) -> Self {
        match what {
            What::Tree => Self::All,
            What::Folder(_) => Self::Flat,
            What::Paths(paths) => Self::Only(paths.iter().map(|path| path.to_vec()).collect()),
        }
    }

    fn has(&self, name: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Flat => !name.contains(&b'/'),
            Self::Only(names) => names.contains(name),
        }
    }

    /// Whether a name is a folder on the way to one that may come.
    fn leads_to(&self, name: &[u8]) -> bool {
        let Self::Only(names) = self else { return false };
        let folder = [name, b"/"].concat();
        let mut after = names.range::<[u8], _>((Bound::Included(&folder[..]), Bound::Unbounded));
        after.next().is_some_and(|next| next.starts_with(&folder))
    }
}

impl ListStream {
    /// The list of what was asked for, as a daemon sends it from its first frame on.
    #[must_use]
    pub fn new(dialect: Dialect, what: What<'_>, limits: &ListLimits) -> Self {
        Self {
            frames: Frames::default(),
            decoder: Decoder::new(dialect),
            data: Vec::new(),
            at: 0,
            expected: Expected::new(what),
            left: *limits,
            names_left: limits.bytes,
            totals: Totals::default(),
            errors_follow: dialect.errors_follow(),
            pending: None,
            end: None,
        }
    }

    /// Takes the next piece, of any size.
    ///
    /// # Errors
    /// When it is not the protocol.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        match self.left.bytes.checked_sub(piece.len() as u64) {
            Some(left) => self.left.bytes = left,
            None => self.end = Some(End::MoreBytes),
        }
        self.data.drain(..self.at);
        self.at = 0;
        self.frames.feed(piece, &mut self.data)
    }

    /// What comes next.
    ///
    /// # Errors
    /// When it is not the protocol, or was not asked for.
    pub fn read(&mut self) -> Result<Next, Malformed> {
        loop {
            if let Some(end) = self.end {
                return Ok(Next::End(end));
            }
            if let Some(errors) = self.pending {
                return self.hear_out(errors);
            }
            match self.decoder.next(&self.data[self.at..])? {
                None if self.frames.given_up => return Ok(Next::GaveUp),
                None => return Ok(Next::More),
                Some((used, Item::Entry(entry))) => {
                    self.at += used;
                    if !self.expected.has(&entry.name) {
                        return Err(Malformed::NotAsked(escaped(&entry.name)));
                    }
                    if self.admit(&entry) {
                        self.totals.count(&entry);
                        return Ok(Next::Entry(entry));
                    }
                }
                Some((used, Item::Implied(entry))) => {
                    self.at += used;
                    if !self.expected.leads_to(&entry.name) {
                        return Err(Malformed::NotAsked(escaped(&entry.name)));
                    }
                    self.admit(&entry);
                }
                Some((used, Item::End(errors))) => {
                    self.at += used;
                    if self.errors_follow {
                        self.pending = Some(errors);
                    } else {
                        self.complete(errors);
                    }
                }
            }
        }
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

    /// How the list ended, once it did.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Counts an entry against the limits; one that does not fit is the end.
    fn admit(&mut self, entry: &Entry) -> bool {
        let names = entry.name.len() + entry.target.as_ref().map_or(0, Vec::len);
        match (self.left.entries.checked_sub(1), self.names_left.checked_sub(names as u64)) {
            (None, _) => self.end = Some(End::MoreEntries),
            (_, None) => self.end = Some(End::MoreBytes),
            (Some(entries), Some(names)) => (self.left.entries, self.names_left) = (entries, names),
        }
        self.end.is_none()
    }

    /// The sender's I/O errors come in a message before it answers, which it does with one byte.
    fn hear_out(&mut self, errors: u32) -> Result<Next, Malformed> {
        match self.data.get(self.at) {
            None if self.frames.given_up => Ok(Next::GaveUp),
            None => Ok(Next::Turn),
            Some(0) => {
                self.at += 1;
                self.complete(errors);
                Ok(self.end.map_or(Next::More, Next::End))
            }
            Some(_) => Err(Malformed::AfterEnd),
        }
    }

    fn complete(&mut self, errors: u32) {
        self.end = Some(End::Complete(IoErrors::new(errors | self.frames.io_errors)));
    }
}
