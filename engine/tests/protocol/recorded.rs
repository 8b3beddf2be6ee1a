//! Lists that real daemons of several versions sent, whole, in pieces, and with some of their bytes changed.

use engine::EntryKind::{self, Directory, File, Special, Symlink};
use engine::protocol::{Dialect, End, ListLimits, ListStream, Malformed, Next, What};
use proptest::prelude::*;

/// Each recording with its protocol and the daemon's compatibility flags.
const RECORDINGS: [(&str, u32, i32); 9] = [
    ("list-27-rsync-3.5.0", 27, 0),
    ("list-28-rsync-3.5.0", 28, 0),
    ("list-29-rsync-3.0.9", 29, 0),
    ("list-30-rsync-3.0.9", 30, 0x0a),
    ("list-30-unsafe-rsync-3.0.9", 30, 0x02),
    ("list-30-rsync-3.5.0", 30, 0x8e),
    ("list-31-rsync-3.1.3", 31, 0x0a),
    ("list-31-rsync-3.5.0", 31, 0x8e),
    ("list-32-rsync-3.5.0", 32, 0x8e),
];

/// Name, kind, size (not of folders, which each file system counts in its own way), time, permissions, target.
type Row = (&'static [u8], EntryKind, u64, i64, u32, Option<&'static [u8]>);

const TREE: [Row; 10] = [
    (b".", Directory, 0, 1_700_000_001, 0o755, None),
    (b"odd\n\xff#", File, 0, 1_700_000_000, 0o644, None),
    (b"pipe", Special, 0, 1_700_000_000, 0o600, None),
    (b"pool", Directory, 0, 1_700_000_001, 0o755, None),
    (b"pool/late", File, 1, 4_000_000_000, 0o644, None),
    (b"pool/link", Symlink, 16, 1_700_000_000, 0o777, Some(b"../../etc/passwd")),
    (b"pool/main", Directory, 0, 1_700_000_001, 0o755, None),
    (b"pool/main/first", File, 6, 1_700_000_000, 0o644, None),
    (b"pool/main/first-and-second", File, 5_000_000_000, -300_000_000, 0o644, None),
    (b"shut", Directory, 0, 1_700_000_001, 0, None),
];

const LIMITS: ListLimits = ListLimits { entries: 10_000, bytes: 1 << 20 };

/// Everything that a stream gives, until it wants more than there is.
fn drain(stream: &mut ListStream, entries: &mut Vec<engine::protocol::Entry>) -> Result<Next, Malformed> {
    loop {
        match stream.read()? {
            Next::Entry(entry) => entries.push(entry),
            other => return Ok(other),
        }
    }
}

fn stream(protocol: u32, flags: i32) -> ListStream {
    ListStream::new(Dialect::new(protocol, flags).unwrap(), What::Tree, &LIMITS)
}

#[test]
fn lists_of_every_protocol_and_of_old_daemons_are_read_in_pieces_of_any_size() {
    for (name, protocol, flags) in RECORDINGS {
        let recorded = fixtures::protocol::list(name);
        for size in [1, 2, 3, 7, 64, recorded.len()] {
            let (mut stream, mut entries, mut turns) = (stream(protocol, flags), Vec::new(), 0);
            for piece in recorded.chunks(size) {
                stream.feed(piece).unwrap();
                turns += u32::from(drain(&mut stream, &mut entries).unwrap() == Next::Turn);
            }
            entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            assert_eq!(entries.len(), TREE.len(), "{name}");
            for (entry, row) in entries.iter().zip(TREE) {
                let size = if row.1 == Directory { entry.size } else { row.2 };
                // Before protocol 30 times have 32 bits and no sign, and before 31 no fraction.
                let time = if protocol < 30 { row.3.rem_euclid(1 << 32) } else { row.3 };
                let nanos = if protocol >= 31 && row.0 == b"pool/late" { 123_456_789 } else { 0 };
                let target = entry.target.as_deref();
                assert_eq!(
                    (&entry.name[..], entry.kind, entry.size, entry.modified, entry.permissions, target),
                    (row.0, row.1, size, time, row.4, row.5),
                    "{name}"
                );
                assert_eq!(entry.nanos, nanos, "{name}");
            }
            assert!(matches!(stream.end(), Some(End::Complete(errors)) if errors.unreadable()), "{name}");
            assert!(stream.messages().errors[0].contains("opendir \"shut\""), "{name}");
            assert!(turns == 0 || name.contains("unsafe"), "{name}");
        }
    }
}

#[test]
fn a_list_that_is_cut_anywhere_has_no_end() {
    for (name, protocol, flags) in RECORDINGS {
        let recorded = fixtures::protocol::list(name);
        for end in 0..recorded.len() {
            let mut stream = stream(protocol, flags);
            stream.feed(&recorded[..end]).unwrap();
            drain(&mut stream, &mut Vec::new()).unwrap();
            assert_eq!(stream.end(), None, "{name} cut at {end}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_list_with_changed_bytes_ends_within_its_limits_and_without_a_panic(
        recording in 0..RECORDINGS.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        doubled in any::<prop::sample::Index>(),
        piece in 1_usize..400,
    ) {
        let (name, protocol, flags) = RECORDINGS[recording];
        let mut bytes = fixtures::protocol::list(name);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.extend_from_within(doubled.index(bytes.len())..);
        let (mut stream, mut entries) = (stream(protocol, flags), Vec::new());
        for piece in bytes.chunks(piece) {
            if stream.feed(piece).is_err() || drain(&mut stream, &mut entries).is_err() {
                break;
            }
        }
        // No entry takes less than four bytes, and none makes more of a name than there is.
        prop_assert!(entries.len() <= bytes.len() / 4);
        for entry in entries {
            prop_assert!(entry.name.len() <= 4096 && entry.nanos < 1_000_000_000);
            prop_assert!(entry.target.is_none_or(|target| target.len() <= bytes.len()));
            prop_assert!(!entry.name.split(|byte| *byte == b'/').any(|part| part == b".."));
        }
    }
}
