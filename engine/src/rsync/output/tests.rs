//! Records of known lines, and that no bytes in whatever pieces can upset the reading.

use super::*;
use proptest::prelude::*;
use proptest::sample::Index;

/// Every record of a stream that comes in these pieces, as text.
fn records(pieces: &[&[u8]]) -> Vec<String> {
    let mut splitter = Splitter::default();
    let mut found = Vec::new();
    let mut look = |record: Record<'_>| {
        let (Record::Change(_, line) | Record::Progress(line) | Record::Text(line)) = record;
        assert!(!line.is_empty() && line.len() <= MAX_LINE);
        assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
        found.push(format!("{record:?}"));
    };
    for piece in pieces {
        splitter.feed(piece, &mut look);
        assert!(splitter.partial.len() <= MAX_LINE);
        assert!(
            splitter.partial.capacity() <= 2 * MAX_LINE,
            "{} bytes are held",
            splitter.partial.capacity()
        );
    }
    splitter.finish(&mut look);
    assert!(splitter.partial.is_empty());
    found
}

/// The stream cut before each of these places.
fn cut<'a>(stream: &'a [u8], places: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(stream.len() + 1)).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect()
}

/// What rsync prints, what it never would, and lines around the longest one that is kept.
fn part() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => Just(b"@F|>f+++++++++|3000|3040|d000/file".to_vec()),
        2 => Just(b"@F|*deleting  |0|0|old/".to_vec()),
        2 => Just(b"@F|cL+++++++++|1|0|here -> there".to_vec()),
        4 => Just(b"          15000  25%   14.31MB/s    0:00:00 (xfr#1, to-chk=22/26)".to_vec()),
        6 => Just(b"\n".to_vec()),
        6 => Just(b"\r".to_vec()),
        4 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => (MAX_LINE - 2..MAX_LINE + 3).prop_map(|length| vec![b'x'; length]),
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(part(), 0..40).prop_map(|parts| parts.concat())
}

/// The pieces of a record in any order.
fn words(known: &'static [&'static str]) -> impl Strategy<Value = String> {
    let known = proptest::sample::select(known).prop_map(str::to_owned);
    let other = "\\PC{0,6}";
    proptest::collection::vec(prop_oneof![8 => known, 1 => other], 0..9).prop_map(|words| words.concat())
}

const PROGRESS_WORDS: &[&str] = &[
    " ",
    "  ",
    "15000",
    "1,5",
    "-1",
    "+1",
    "99999999999999999999",
    "25%",
    "255%",
    "%",
    "14.31MB/s",
    "1e308TB/s",
    "infkB/s",
    "NaNGB/s",
    "-1kB/s",
    "B/s",
    "0:00:00",
    "(xfr#1,",
    "(xfr#,",
    "to-chk=22/26)",
    "ir-chk=9/1)",
    "=/)",
    "(",
];
const CHANGE_WORDS: &[&str] = &[
    "@F|",
    "|",
    ">f+++++++++",
    "hf+++++++++",
    "cL",
    ".d..t......",
    ".f         ",
    "*deleting",
    "0",
    "-1",
    " 12 ",
    "99999999999999999999",
    "name",
    "/",
    " -> ",
    " => ",
    "\\#012",
    "\\#",
    "\\#999",
    "\\",
];

#[test]
fn progress_is_read_with_and_without_counts() {
    let counted = b"          15000  25%   14.31MB/s    0:00:00 (xfr#1, ir-chk=22/26)";
    let first = Progress::parse(counted, &Progress::default()).unwrap();
    assert_eq!((first.bytes, first.percent, first.files), (15_000, 25, 1));
    assert_eq!((first.checked, first.total, first.total_known), (4, 26, false));
    assert!((first.rate - 14.31 * 1_048_576.0).abs() < 1.0);
    let running = b"        1,500,000  26%    1.00kB/s    0:00:00  ";
    let second = Progress::parse(running, &first).unwrap();
    assert_eq!((second.bytes, second.total, second.files), (1_500_000, 26, 1));
    assert_eq!(Progress::parse(b" 12% of nothing", &first), None);
}

#[test]
fn a_rate_or_a_share_that_cannot_be_is_no_progress() {
    for line in [
        " 1 5% infkB/s 0:00:00",
        " 1 5% NaNkB/s 0:00:00",
        " 1 5% 1e308TB/s 0:00:00",
        " 1 5% -1.00kB/s 0:00:00",
        " 1 101% 1.00kB/s 0:00:00",
    ] {
        assert_eq!(Progress::parse(line.as_bytes(), &Progress::default()), None, "{line}");
    }
}

#[test]
fn changes_are_read_with_their_kind() {
    let parse = |line: &'static str| Change::parse(line.as_bytes()).unwrap();
    let new = parse("@F|>f+++++++++|3000|3040|d000/file");
    assert_eq!((new.kind, new.entry, new.content), (ChangeKind::Created, EntryKind::File, true));
    assert_eq!((new.size, new.transferred, new.name), (3000, 3040, &b"d000/file"[..]));
    let folder = parse("@F|.d..t......|4096|0|./");
    assert_eq!(
        (folder.kind, folder.entry, folder.content),
        (ChangeKind::Updated, EntryKind::Directory, false)
    );
    let gone = parse("@F|*deleting  |0|0|old/");
    assert_eq!((gone.kind, gone.entry, gone.name), (ChangeKind::Deleted, EntryKind::Directory, &b"old"[..]));
    let link = parse("@F|cL+++++++++|1|0|here -> ../there");
    assert_eq!(
        (link.entry, link.name, link.link),
        (EntryKind::Symlink, &b"here"[..], Some(&b"../there"[..]))
    );
    let hard = parse("@F|hf+++++++++|2|0|a => b => zz");
    assert_eq!((hard.entry, hard.name, hard.link), (EntryKind::File, &b"a => b"[..], Some(&b"zz"[..])));
    let linked = parse("@F|hL+++++++++|1|0|l3 => l -> 2");
    assert_eq!((linked.name, linked.link), (&b"l3"[..], Some(&b"l -> 2"[..])));
    let arrow = parse("@F|>f+++++++++|2|45|a => b -> c");
    assert_eq!((arrow.name, arrow.link), (&b"a => b -> c"[..], None));
    let pipe = parse("@F|>f.st......|1|0|a|b|c");
    assert_eq!(pipe.name, b"a|b|c");
    assert_eq!(parse(r"@F|>f+++++++++|1|0|a\#012\#134#012b\c").path(), b"a\n\\#012b\\c");
    for other in ["created directory x", "@F|", "@F|>f", "@F|>f+++++++++|x|0|n", ""] {
        assert_eq!(Change::parse(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn an_endless_line_is_cut_and_the_next_one_is_whole() {
    let long = vec![b'x'; 3 * MAX_LINE];
    let found = records(&[&long, &long, b"\nnext\n"]);
    assert_eq!(found.len(), 2);
    assert!(found[1].contains(&format!("{:?}", b"next")));
}

#[test]
fn a_deletion_that_is_told_behind_the_last_progress_is_not_lost() {
    let line =
        b"              4  50%    0.98kB/s    0:00:00 (xfr#1, to-chk=0/6)@F|*deleting  |0|0|d00/gone\n";
    let mut found = Vec::new();
    Splitter::default().feed(line, |record| match record {
        Record::Change(change, raw) => {
            found.push(format!("{:?} {}", change.kind, String::from_utf8_lossy(&change.path())));
            assert!(raw.starts_with(b"@F|"), "the list must hold the change alone");
        }
        Record::Progress(progress) => assert!(Progress::parse(progress, &Progress::default()).is_some()),
        Record::Text(text) => panic!("{}", String::from_utf8_lossy(text)),
    });
    assert_eq!(found, ["Deleted d00/gone"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_pieces_of_the_stream_do_not_matter(
        stream in stream(), places in proptest::collection::vec(any::<Index>(), 0..12),
    ) {
        prop_assert_eq!(records(&[&stream]), records(&cut(&stream, &places)));
    }

    #[test]
    fn a_stream_may_come_byte_by_byte(parts in proptest::collection::vec(part(), 0..6)) {
        let stream = parts.concat();
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(records(&[&stream]), records(&single));
    }

    #[test]
    fn nothing_of_a_line_of_bearable_length_is_lost(lines in proptest::collection::vec("[ -~]{1,80}", 0..20)) {
        let text = lines.join("\n");
        let mut splitter = Splitter::default();
        let mut found = Vec::new();
        let mut look = |record: Record<'_>| {
            let (Record::Change(_, line) | Record::Progress(line) | Record::Text(line)) = record;
            found.push(String::from_utf8_lossy(line).into_owned());
        };
        splitter.feed(text.as_bytes(), &mut look);
        splitter.finish(&mut look);
        prop_assert_eq!(found, lines);
    }

    #[test]
    fn any_bytes_are_taken_for_progress_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..80), words in words(PROGRESS_WORDS),
    ) {
        for record in [&bytes[..], words.as_bytes()] {
            if let Some(progress) = Progress::parse(record, &Progress::default()) {
                prop_assert!(progress.rate.is_finite() && progress.rate >= 0.0 && progress.percent <= 100);
                prop_assert!(progress.checked <= progress.total);
            }
        }
    }

    #[test]
    fn any_bytes_are_taken_for_a_change_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..80), words in words(CHANGE_WORDS),
    ) {
        for rest in [&bytes[..], words.as_bytes()] {
            let marked = [JOURNAL_MARK.as_bytes(), rest].concat();
            for line in [rest, &marked[..]] {
                if let Some(change) = Change::parse(line) {
                    prop_assert!(line.starts_with(JOURNAL_MARK.as_bytes()));
                    prop_assert!(change.path().len() <= change.name.len());
                }
            }
        }
    }

    #[test]
    fn a_name_that_rsync_escapes_comes_back(name in proptest::collection::vec(any::<u8>(), 1..40)) {
        let mut escaped = Vec::new();
        for (at, byte) in name.iter().enumerate() {
            let ambiguous = *byte == b'\\' && name.get(at + 1) == Some(&b'#');
            if byte.is_ascii_control() || !byte.is_ascii() || ambiguous {
                escaped.extend(format!("\\#{byte:03o}").bytes());
            } else {
                escaped.push(*byte);
            }
        }
        prop_assert_eq!(unescape(&escaped), name);
    }
}
