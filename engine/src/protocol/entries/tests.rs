//! Entries as senders write them, and as none would.

use proptest::prelude::*;

use super::*;

/// The protocols, with the flags that a daemon of today sends for each.
const DIALECTS: [(u32, i32); 7] = [(27, 0), (28, 0), (29, 0), (30, 0), (30, 0x88), (31, 0), (32, 0x88)];

fn dialects() -> impl Iterator<Item = Dialect> {
    DIALECTS.into_iter().map(|(protocol, flags)| Dialect::new(protocol, flags).unwrap())
}

/// A number as rsync's `write_varint` writes it.
pub(crate) fn varint(number: i32) -> Vec<u8> {
    spread(&number.to_le_bytes(), 1)
}

/// A number as rsync's `write_varlong` writes it.
pub(crate) fn varlong(number: i64, least: usize) -> Vec<u8> {
    spread(&number.to_le_bytes(), least)
}

fn spread(bytes: &[u8], least: usize) -> Vec<u8> {
    let mut count = bytes.len();
    while count > least && bytes[count - 1] == 0 {
        count -= 1;
    }
    let (top, extra) = (bytes[count - 1], u32::try_from(count - least).unwrap());
    let ones = |count: u32| !0xff_u8.checked_shr(count).unwrap_or(0);
    // The highest byte shares its place with the leading ones where it leaves room for them and a zero.
    if u32::from(top) < 1 << (7 - extra) {
        [&[top | ones(extra)], &bytes[..count - 1]].concat()
    } else {
        [&[ones(extra + 1)], &bytes[..count]].concat()
    }
}

/// What an entry is made of.
struct Written<'a> {
    flags: u32,
    prefix: u8,
    suffix: &'a [u8],
    size: i64,
    time: i64,
    mode: u32,
    target: &'a [u8],
}

const PLAIN: Written<'_> =
    Written { flags: 0, prefix: 0, suffix: b"a", size: 1, time: 1_700_000_000, mode: 0o100_644, target: b"" };

impl Dialect {
    fn number(self, number: i32) -> Vec<u8> {
        if self.modern() { varint(number) } else { number.to_le_bytes().to_vec() }
    }

    fn flags(self, flags: u32) -> Vec<u8> {
        if self.varint_flags {
            varint(if flags == 0 { MORE_FLAGS } else { flags }.cast_signed())
        } else if flags & 0xff00 != 0 {
            u16::try_from(flags | MORE_FLAGS).unwrap().to_le_bytes().to_vec()
        } else {
            vec![u8::try_from(if flags == 0 { TOP } else { flags }).unwrap()]
        }
    }

    fn write(self, entry: &Written<'_>) -> Vec<u8> {
        let mut bytes = self.flags(entry.flags);
        if entry.flags & SAME_NAME != 0 {
            bytes.push(entry.prefix);
        }
        let length = i32::try_from(entry.suffix.len()).unwrap();
        bytes.extend(if entry.flags & LONG_NAME != 0 {
            self.number(length)
        } else {
            vec![u8::try_from(length).unwrap()]
        });
        bytes.extend(entry.suffix);
        if self.modern() {
            bytes.extend(varlong(entry.size, 3));
        } else {
            bytes.extend((-1_i32).to_le_bytes());
            bytes.extend(entry.size.to_le_bytes());
        }
        if entry.flags & SAME_TIME == 0 {
            let old = u32::try_from(entry.time).unwrap_or(u32::MAX).to_le_bytes().to_vec();
            bytes.extend(if self.modern() { varlong(entry.time, 4) } else { old });
        }
        if entry.flags & NANOS != 0 {
            bytes.extend(varint(999_999_999));
        }
        if entry.flags & SAME_MODE == 0 {
            bytes.extend(entry.mode.to_le_bytes());
        }
        if entry.mode & 0o170_000 == 0o120_000 {
            bytes.extend(self.number(i32::try_from(entry.target.len()).unwrap()));
            bytes.extend(entry.target);
        }
        bytes
    }

    fn end(self, errors: u8) -> Vec<u8> {
        match (self.varint_flags, self.modern()) {
            (true, _) => vec![0, errors],
            (false, false) => vec![0, errors, 0, 0, 0],
            (false, true) if errors == 0 || !self.safe => vec![0],
            (false, true) => vec![0x04, 0x10, errors],
        }
    }
}

fn all(dialect: Dialect, data: &[u8]) -> Result<Vec<Item>, Malformed> {
    let (mut decoder, mut at, mut items) = (Decoder::new(dialect), 0, Vec::new());
    while let Some((used, item)) = decoder.next(&data[at..])? {
        at += used;
        items.push(item);
    }
    Ok(items)
}

#[test]
fn an_entry_repeats_what_the_last_one_had() {
    for dialect in dialects() {
        let long = [b'x'; 300];
        let data = [
            dialect.write(&Written { suffix: b"pool/first", size: 5_000_000_000, ..PLAIN }),
            dialect.write(&Written {
                flags: SAME_NAME | SAME_TIME | SAME_MODE,
                prefix: 5,
                suffix: b"second",
                size: 7,
                ..PLAIN
            }),
            dialect.write(&Written {
                flags: SAME_TIME,
                suffix: b"l",
                size: 6,
                mode: 0o120_777,
                target: b"/x/../",
                ..PLAIN
            }),
            dialect.write(&Written { flags: LONG_NAME, suffix: &long, time: 4_000_000_000, ..PLAIN }),
            dialect.end(1),
        ]
        .concat();
        let entry = |name: &[u8], kind, size, modified, permissions, target: Option<&[u8]>| {
            let (name, target) = (name.to_vec(), target.map(<[u8]>::to_vec));
            Item::Entry(Entry { name, kind, size, modified, nanos: 0, permissions, target })
        };
        let (then, later) = (1_700_000_000, 4_000_000_000);
        let expected = [
            entry(b"pool/first", EntryKind::File, 5_000_000_000, then, 0o644, None),
            entry(b"pool/second", EntryKind::File, 7, then, 0o644, None),
            entry(b"l", EntryKind::Symlink, 6, then, 0o777, Some(b"/x/../")),
            entry(&long, EntryKind::File, 1, later, 0o644, None),
            Item::End(u32::from(!dialect.errors_follow())),
        ];
        assert_eq!(all(dialect, &data).unwrap(), expected, "{dialect:?}");
        for end in 0..data.len() {
            assert!(all(dialect, &data[..end]).unwrap().len() < expected.len(), "cut at {end}");
        }
    }
}

#[test]
fn times_have_a_sign_and_a_fraction_where_the_protocol_has_them() {
    for dialect in dialects().filter(|dialect| dialect.modern()) {
        for time in [i64::MIN, -1, 0, i64::from(i32::MAX), i64::from(u32::MAX) + 1, i64::MAX] {
            let data = dialect.write(&Written { flags: NANOS, time, ..PLAIN });
            let read = all(dialect, &data).unwrap();
            assert!(
                matches!(&read[..], [Item::Entry(entry)] if (entry.modified, entry.nanos) == (time, 999_999_999)),
                "{read:?}"
            );
        }
        let (start, nanos) = (dialect.write(&PLAIN), varint(1_000_000_000));
        let mut data = dialect.write(&Written { flags: NANOS | SAME_TIME | SAME_MODE, ..PLAIN });
        data.truncate(data.len() - nanos.len());
        let read = all(dialect, &[start, data, nanos].concat());
        assert_eq!(read, Err(Malformed::Nanos(1_000_000_000)));
    }
}

#[test]
fn folders_that_were_not_asked_for_themselves_are_known_as_such() {
    for dialect in dialects() {
        let written = Written { flags: TOP | NO_CONTENT, mode: 0o040_755, ..PLAIN };
        if dialect.protocol >= 28 {
            let read = all(dialect, &dialect.write(&written)).unwrap();
            assert_eq!(matches!(read[..], [Item::Implied(_)]), dialect.modern(), "{read:?}");
        }
        let file = all(dialect, &dialect.write(&Written { flags: TOP, ..written })).unwrap();
        assert!(matches!(file[..], [Item::Entry(_)]), "{file:?}");
    }
}

#[test]
fn names_that_lead_out_of_the_tree_are_refused() {
    for dialect in dialects() {
        for name in ["/etc/passwd", "..", "../x", "a/../../b", "a/..", "", "a//b", "a/", "./a", "a/.", "a\0b"]
        {
            let read = all(dialect, &dialect.write(&Written { suffix: name.as_bytes(), ..PLAIN }));
            assert!(matches!(read, Err(Malformed::UnsafeName(_))), "{name:?}: {read:?}");
        }
        for name in ["...", "..a", "a/..b/c..", "a b\n\x1b"] {
            let read = all(dialect, &dialect.write(&Written { suffix: name.as_bytes(), ..PLAIN }));
            assert_eq!(read.unwrap().len(), 1, "{name:?}");
        }
        // The tree itself is a folder and nothing else.
        let tree = |mode| all(dialect, &dialect.write(&Written { suffix: b".", mode, ..PLAIN }));
        assert_eq!(tree(0o040_755).unwrap().len(), 1);
        assert!(matches!(tree(0o100_644), Err(Malformed::UnsafeName(_))));
    }
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    for dialect in dialects() {
        let read = |written: &Written<'_>| all(dialect, &dialect.write(written));
        assert_eq!(read(&Written { size: -2, ..PLAIN }), Err(Malformed::Size(-2)));
        assert_eq!(read(&Written { mode: 0o644, ..PLAIN }), Err(Malformed::Mode(0o644)));
        for length in [-1, i32::MIN, 4097, i32::MAX] {
            let data = [dialect.flags(LONG_NAME), dialect.number(length)].concat();
            assert_eq!(all(dialect, &data), Err(Malformed::NameLength(length)));
        }
        let repeating =
            |prefix, suffix| Written { flags: SAME_NAME | SAME_TIME | SAME_MODE, prefix, suffix, ..PLAIN };
        assert_eq!(read(&repeating(1, b"a")), Err(Malformed::Prefix { kept: 1, had: 0 }));
        let long = [b'a'; 4000];
        let mut data = dialect.write(&Written { flags: LONG_NAME, suffix: &long, ..PLAIN });
        data.extend(dialect.write(&repeating(255, &[b'b'; 255])));
        assert_eq!(all(dialect, &data).unwrap().len(), 2);
        let mut too_long = repeating(100, &long);
        too_long.flags |= LONG_NAME;
        data.extend(dialect.write(&too_long));
        assert_eq!(all(dialect, &data), Err(Malformed::LongName(4100)));
    }
}

#[test]
fn an_end_that_was_not_agreed_on_and_a_list_in_pieces_are_refused() {
    let unsafe_ends = Dialect::new(30, 0).unwrap();
    assert_eq!(all(unsafe_ends, &[0x04, 0x10, 0x01]), Err(Malformed::End));
    assert_eq!(Dialect::new(32, 0x89), Err(Malformed::Piecemeal));
}

proptest! {
    #[test]
    fn no_bytes_bring_the_decoder_down(
        dialect in 0..DIALECTS.len(),
        data in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let (protocol, flags) = DIALECTS[dialect];
        if let Ok(items) = all(Dialect::new(protocol, flags).unwrap(), &data) {
            for item in items {
                if let Item::Entry(entry) | Item::Implied(entry) = item {
                    prop_assert!(entry.name == b"." || is_plain(&entry.name));
                    prop_assert!(entry.name.len() <= MAX_NAME);
                    prop_assert!(entry.nanos < 1_000_000_000);
                }
            }
        }
    }
}
