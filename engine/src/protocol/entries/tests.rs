//! Entries as senders write them, and as none would.

use proptest::prelude::*;

use super::*;

/// An entry as a sender writes it that repeats nothing.
fn plain(name: &[u8], size: i64, mode: u32) -> Vec<u8> {
    let mut bytes = vec![LONG_NAME];
    bytes.extend(i32::try_from(name.len()).unwrap().to_le_bytes());
    bytes.extend(name);
    bytes.extend((-1_i32).to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes.extend(1_700_000_000_u32.to_le_bytes());
    bytes.extend(mode.to_le_bytes());
    bytes
}

fn all(data: &[u8]) -> Result<Vec<Item>, Malformed> {
    let (mut decoder, mut at, mut items) = (Decoder::default(), 0, Vec::new());
    while let Some((used, item)) = decoder.next(&data[at..])? {
        at += used;
        items.push(item);
    }
    Ok(items)
}

#[test]
fn an_entry_repeats_what_the_last_one_had() {
    let mut data = plain(b"pool/first", 5_000_000_000, 0o100_644);
    data.extend([SAME_NAME | SAME_TIME | SAME_MODE, 5, 6]);
    data.extend(b"second");
    data.extend(7_i32.to_le_bytes());
    data.extend([SAME_TIME, 1]);
    data.extend(b"l");
    data.extend(6_i32.to_le_bytes());
    data.extend(0o120_777_u32.to_le_bytes());
    data.extend(6_i32.to_le_bytes());
    data.extend(b"/x/../");
    data.extend([0, 1, 0, 0, 0]);
    let entry = |name: &[u8], kind, size, permissions, target: Option<&[u8]>| {
        let (name, target) = (name.to_vec(), target.map(<[u8]>::to_vec));
        Item::Entry(Entry { name, kind, size, modified: 1_700_000_000, permissions, target })
    };
    let expected = [
        entry(b"pool/first", EntryKind::File, 5_000_000_000, 0o644, None),
        entry(b"pool/second", EntryKind::File, 7, 0o644, None),
        entry(b"l", EntryKind::Symlink, 6, 0o777, Some(b"/x/../")),
        Item::End(1),
    ];
    assert_eq!(all(&data).unwrap(), expected);
    for end in 0..data.len() {
        assert!(all(&data[..end]).unwrap().len() < expected.len(), "cut at {end}");
    }
}

#[test]
fn names_that_lead_out_of_the_tree_are_refused() {
    for name in ["/etc/passwd", "..", "../x", "a/../../b", "a/..", "", "a//b", "a/", "./a", "a/.", "a\0b"] {
        let read = all(&plain(name.as_bytes(), 1, 0o100_644));
        assert!(matches!(read, Err(Malformed::UnsafeName(_))), "{name:?}: {read:?}");
    }
    for name in [".", "...", "..a", "a/..b/c..", "a b\n\x1b"] {
        assert_eq!(all(&plain(name.as_bytes(), 1, 0o100_644)).unwrap().len(), 1, "{name:?}");
    }
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    assert_eq!(all(&plain(b"a", -2, 0o100_644)), Err(Malformed::Size(-2)));
    assert_eq!(all(&plain(b"a", 1, 0o644)), Err(Malformed::Mode(0o644)));
    for length in [-1, i32::MIN, 4097, i32::MAX] {
        let data = [&[LONG_NAME][..], &length.to_le_bytes()].concat();
        assert_eq!(all(&data), Err(Malformed::NameLength(length)));
    }
    assert_eq!(all(&[SAME_NAME, 1, 1, b'a']), Err(Malformed::Prefix { kept: 1, had: 0 }));
    let mut repeated = plain(&[b'a'; 4000], 1, 0o100_644);
    repeated.extend([SAME_NAME | SAME_TIME | SAME_MODE, 255, 255]);
    repeated.extend([b'b'; 255]);
    repeated.extend(1_i32.to_le_bytes());
    assert_eq!(all(&repeated).unwrap().len(), 2);
    repeated.extend([SAME_NAME | LONG_NAME, 100]);
    repeated.extend(4000_i32.to_le_bytes());
    assert_eq!(all(&repeated), Err(Malformed::LongName(4100)));
}

proptest! {
    #[test]
    fn no_bytes_bring_the_decoder_down(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(items) = all(&data) {
            for item in items {
                if let Item::Entry(entry) = item {
                    prop_assert!(entry.name == b"." || is_plain(&entry.name));
                    prop_assert!(entry.name.len() <= MAX_NAME);
                }
            }
        }
    }
}
