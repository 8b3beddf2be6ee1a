//! The frames that a sender puts its stream into: data, and between it messages for people.
//!
//! A frame begins with `length | (tag + 7) << 24`, four bytes, the lowest first.

use super::entries::Malformed;
use crate::text::escaped;

/// What rsync adds to a tag.
const BASE: i16 = 7;
/// The longest message; rsync itself takes 5 KiB.
const MAX_MESSAGE: usize = 64 << 10;
/// How much of one is kept.
const MAX_KEPT: usize = 1 << 10;
/// How many of each kind are kept.
const MAX_MESSAGES: usize = 100;

/// What a sender told people. Safe to print.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Messages {
    /// What went wrong: files that could not be read, paths that are not there.
    pub errors: Vec<String>,
    /// Warnings and remarks.
    pub notes: Vec<String>,
    /// How many more there were.
    pub dropped: u64,
}

impl Messages {
    fn keep(&mut self, error: bool, text: &[u8]) {
        let kept = if error { &mut self.errors } else { &mut self.notes };
        if kept.len() < MAX_MESSAGES {
            kept.push(escaped(text.get(..MAX_KEPT).unwrap_or(text).trim_ascii()));
        } else {
            self.dropped += 1;
        }
    }
}

/// Takes frames apart that come in whatever pieces the network gives.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: [u8; 4],
    /// How much of the header is there.
    have: usize,
    tag: Tag,
    /// How much of the frame's content is still to come.
    left: usize,
    message: Vec<u8>,
    pub(super) messages: Messages,
    /// The I/O errors that came as messages.
    pub(super) io_errors: u32,
    /// Whether the sender said that it ends. It goes on to wait for our end.
    pub(super) given_up: bool,
}

#[derive(Debug, Default, Clone, Copy)]
enum Tag {
    #[default]
    Data,
    Error,
    Note,
    IoError,
    /// The sender ends with an error, from protocol 31 on.
    Exit,
    /// A keep-alive, or a time-out for us to use: neither changes anything here.
    Ignored,
}

impl Tag {
    /// Numbers from rsync.h, `enum msgcode`.
    fn new(number: i16, length: usize) -> Result<Self, Malformed> {
        let (tag, fits) = match number {
            0 => (Self::Data, true),
            1 | 3 | 5 | 8 => (Self::Error, length <= MAX_MESSAGE),
            2 | 4 | 6 | 7 => (Self::Note, length <= MAX_MESSAGE),
            22 => (Self::IoError, length == 4),
            86 => (Self::Exit, length <= 4),
            33 | 42 => (Self::Ignored, length <= 4),
            _ => return Err(Malformed::Tag(number)),
        };
        if fits { Ok(tag) } else { Err(Malformed::MessageLength { tag: number, length }) }
    }
}

impl Frames {
    /// Takes the next piece, and puts what is data at the end of `data`.
    pub(super) fn feed(&mut self, mut piece: &[u8], data: &mut Vec<u8>) -> Result<(), Malformed> {
        while !piece.is_empty() {
            if self.left == 0 {
                piece = self.begin(piece)?;
                continue;
            }
            let (content, rest) = piece.split_at(self.left.min(piece.len()));
            self.left -= content.len();
            piece = rest;
            match self.tag {
                Tag::Data => data.extend_from_slice(content),
                _ => self.message.extend_from_slice(content),
            }
            if self.left == 0 {
                self.end();
            }
        }
        Ok(())
    }

    /// Reads as much of a header as is there.
    fn begin<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], Malformed> {
        let (now, rest) = piece.split_at(piece.len().min(4 - self.have));
        self.header[self.have..self.have + now.len()].copy_from_slice(now);
        self.have += now.len();
        if self.have == 4 {
            let [low, middle, high, tag] = self.header;
            let length = u32::from_le_bytes([low, middle, high, 0]) as usize;
            self.tag = Tag::new(i16::from(tag) - BASE, length)?;
            (self.left, self.have) = (length, 0);
            self.given_up |= matches!(self.tag, Tag::Exit);
        }
        Ok(rest)
    }

    fn end(&mut self) {
        match self.tag {
            Tag::Data | Tag::Exit | Tag::Ignored => {}
            Tag::Error => self.messages.keep(true, &self.message),
            Tag::Note => self.messages.keep(false, &self.message),
            Tag::IoError => {
                self.io_errors |= self.message.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
            }
        }
        self.message.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap() | u32::from(tag + 7) << 24;
        [&length.to_le_bytes(), content].concat()
    }

    #[test]
    fn frames_that_are_none_are_refused() {
        let fed = |bytes: &[u8]| Frames::default().feed(bytes, &mut Vec::new());
        assert_eq!(fed(b"\0\0\0\0"), Err(Malformed::Tag(-7)));
        assert_eq!(fed(b"\0\0\0\xff"), Err(Malformed::Tag(248)));
        assert_eq!(fed(&frame(101, b"deleted")), Err(Malformed::Tag(101)));
        assert_eq!(fed(b"\xff\xff\xff\x08"), Err(Malformed::MessageLength { tag: 1, length: 0xff_ffff }));
        assert_eq!(fed(&frame(22, b"12345")), Err(Malformed::MessageLength { tag: 22, length: 5 }));
    }

    #[test]
    fn a_flood_of_messages_is_counted_and_not_kept() {
        let (mut frames, mut data) = (Frames::default(), Vec::new());
        for _ in 0..1000 {
            frames.feed(&frame(1, &[b'x'; 5000]), &mut data).unwrap();
        }
        assert_eq!((frames.messages.errors.len(), frames.messages.dropped), (MAX_MESSAGES, 900));
        assert!(frames.messages.errors.iter().all(|text| text.len() == MAX_KEPT));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_stream_is_cut(cuts in proptest::collection::vec(1_usize..9, 1..200)) {
            let stream: Vec<u8> = [
                frame(0, b"one"), frame(1, b"bad\x1b\n"), frame(0, b""), frame(42, b""), frame(0, b"two"),
                frame(22, &[1, 0, 0, 0]), frame(2, b"note"), frame(0, b"three"), frame(22, &[2, 0, 0, 0]),
            ].concat();
            let (mut frames, mut data) = (Frames::default(), Vec::new());
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at(rest.len().min(*cut));
                frames.feed(piece, &mut data).unwrap();
                rest = after;
                if rest.is_empty() { break; }
            }
            prop_assert_eq!(data, b"onetwothree");
            prop_assert_eq!(frames.io_errors, 3);
            prop_assert_eq!(frames.messages.errors, ["bad\\u{1b}"]);
            prop_assert_eq!(frames.messages.notes, ["note"]);
            prop_assert!(!frames.given_up);
        }
    }
}
