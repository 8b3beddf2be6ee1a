//! Any bytes as a daemon's file list, in any protocol and in pieces of any size: nothing panics, every name stays below
//! the tree and within its bounds, what was not asked for does not come, and the pieces do not matter.
//!
//! ```sh
//! engine/fuzz/seed                                    # the recorded lists as a corpus
//! cd engine && cargo +nightly fuzz run list           # until it finds something
//! ```
//!
//! The first byte is the protocol, the second one the daemon's compatibility flags, the third one the size of the
//! pieces and, by its highest bits, what was asked for.

#![no_main]

use engine::protocol::{Dialect, End, Entry, ListLimits, ListStream, Malformed, Next, What};
use libfuzzer_sys::fuzz_target;

const LIMITS: ListLimits = ListLimits { entries: 100, bytes: 4096 };
const ASKED: [&[u8]; 2] = [b"pool/link", b"pool"];

fuzz_target!(|bytes: &[u8]| {
    let [protocol, flags, how, list @ ..] = bytes else { return };
    let protocol = 27 + u32::from(*protocol) % 6;
    let flags = if protocol < 30 { 0 } else { i32::from(*flags) };
    let Ok(dialect) = Dialect::new(protocol, flags) else { return };
    let what = match how >> 6 {
        0 | 1 => What::Tree,
        2 => What::Folder(b""),
        _ => What::Paths(&ASKED),
    };
    let whole = read(dialect, what, list, list.len().max(1));
    let pieces = read(dialect, what, list, usize::from(how & 0x3f).max(1));
    // Where the limits or an error end a list depends on how much was there at once, and so does whether an I/O error
    // that is told behind the end still counts.
    let cut = |(_, end): &(Vec<Entry>, Result<Option<End>, Malformed>)| {
        !matches!(end, Ok(None | Some(End::Complete(_))))
    };
    if !cut(&whole) && !cut(&pieces) {
        assert_eq!(whole.0, pieces.0);
        assert_eq!(whole.1.as_ref().is_ok_and(Option::is_some), pieces.1.as_ref().is_ok_and(Option::is_some));
    }
    for entries in [whole.0, pieces.0] {
        assert!(entries.len() <= 100);
        let sizes = entries.iter().map(|entry| entry.name.len() + entry.target.as_ref().map_or(0, Vec::len));
        assert!(sizes.sum::<usize>() <= 4096);
        for entry in entries {
            assert!(entry.nanos < 1_000_000_000 && entry.permissions <= 0o7777);
            let plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
            assert!(entry.name == b"." || entry.name.split(|byte| *byte == b'/').all(plain));
            assert!(!matches!(what, What::Folder(_)) || !entry.name.contains(&b'/'));
            assert!(!matches!(what, What::Paths(_)) || ASKED.contains(&&entry.name[..]));
        }
    }
});

/// The entries of a list that comes in pieces of this size, and how it ended.
fn read(
    dialect: Dialect,
    what: What<'_>,
    list: &[u8],
    size: usize,
) -> (Vec<Entry>, Result<Option<End>, Malformed>) {
    let (mut stream, mut entries) = (ListStream::new(dialect, what, &LIMITS), Vec::new());
    for piece in list.chunks(size) {
        if let Err(what) = stream.feed(piece) {
            return (entries, Err(what));
        }
        loop {
            match stream.read() {
                Ok(Next::Entry(entry)) => entries.push(entry),
                Ok(Next::End(end)) => return (entries, Ok(Some(end))),
                Ok(Next::More | Next::Turn | Next::GaveUp) => break,
                Err(what) => return (entries, Err(what)),
            }
        }
    }
    (entries, Ok(None))
}
