//! Servers that mean no good, each of them within a bound of time and memory.

use std::time::Duration;

use engine::protocol::{
    Connection, End, ListLimits, Listing, Malformed, ProtocolError, RefusalKind, Step, Timeouts, What, list,
    probe,
};
use tokio::time::{Instant, timeout};

use crate::daemon::source;
use crate::servers::{Server, endless, saying, serve};

/// Short: these servers do not answer at all.
const BRIEF: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    handshake: Duration::from_millis(300),
    silence: Duration::from_millis(300),
    list: Duration::from_millis(900),
};
/// Long enough to read a flood to its bound on a busy machine.
const PATIENT: Timeouts =
    Timeouts { handshake: Duration::from_secs(20), silence: Duration::from_secs(20), ..crate::PATIENT };
/// What none of these tests may reach.
const BOUND: Duration = Duration::from_secs(40);

const GREETING: &[u8] = b"@RSYNCD: 29 sha512 md5\n";
/// What a daemon of today says up to its file list: its compatibility flags, its checksums, and the seed.
const MODERN: &[u8] = b"@RSYNCD: 32.0 sha512 md5\n@RSYNCD: OK\n\x80\x88\x03md5seed";

async fn opened(server: &Server, timeouts: &Timeouts) -> Result<Connection, ProtocolError> {
    timeout(BOUND, Connection::open(&source(server.address, None, "m", ""), timeouts)).await.unwrap()
}

async fn listed(server: &Server, timeouts: &Timeouts) -> Result<Listing, ProtocolError> {
    let source = source(server.address, None, "m", "");
    timeout(BOUND, list(&source, None, What::Tree, &ListLimits::default(), timeouts)).await.unwrap()
}

/// The bytes of a daemon up to its file list, and then these.
fn sender(stream: &[u8]) -> Vec<u8> {
    [GREETING, b"@RSYNCD: OK\n", b"seed", stream].concat()
}

fn frame(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap() | u32::from(tag + 7) << 24;
    [&length.to_le_bytes(), content].concat()
}

/// An entry that repeats nothing.
fn entry(name: &[u8], size: i32, mode: u32) -> Vec<u8> {
    let mut bytes = vec![0x01, u8::try_from(name.len()).unwrap()];
    bytes.extend(name);
    bytes.extend(size.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(mode.to_le_bytes());
    bytes
}

#[tokio::test]
async fn silence_ends_at_the_time_limit_of_its_step() {
    let begin = Instant::now();
    let silent = saying(Vec::new()).await;
    let failed = opened(&silent, &BRIEF).await;
    assert!(matches!(failed, Err(ProtocolError::Timeout { step: Step::Greeting, .. })), "{failed:?}");

    let greeting = saying(GREETING.to_vec()).await;
    let failed = opened(&greeting, &BRIEF).await.unwrap().modules().await;
    assert!(matches!(failed, Err(ProtocolError::Timeout { step: Step::Modules, .. })), "{failed:?}");
    let failed = listed(&greeting, &BRIEF).await;
    assert!(matches!(failed, Err(ProtocolError::Timeout { step: Step::Module, .. })), "{failed:?}");

    let started = saying(sender(&frame(0, &entry(b"a", 1, 0o100_644)))).await;
    let failed = listed(&started, &BRIEF).await;
    assert!(matches!(failed, Err(ProtocolError::Timeout { step: Step::List, .. })), "{failed:?}");
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_trickle_ends_at_the_time_limit_of_the_whole_list() {
    // Each keep-alive comes well within the silence that is allowed.
    let server = serve(|mut stream| async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let mut sent = tokio::io::AsyncWriteExt::write_all(&mut stream, &sender(b"")).await;
        while sent.is_ok() {
            ticks.tick().await;
            sent = tokio::io::AsyncWriteExt::write_all(&mut stream, &frame(42, b"")).await;
        }
    })
    .await;
    let failed = listed(&server, &Timeouts { silence: Duration::from_secs(10), ..BRIEF }).await;
    assert!(
        matches!(failed, Err(ProtocolError::Timeout { step: Step::List, limit }) if limit == BRIEF.list),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_line_without_end_is_cut_off() {
    let server = endless(Vec::new(), vec![b'@'; 4096]).await;
    let failed = opened(&server, &PATIENT).await;
    assert!(matches!(failed, Err(ProtocolError::TooMuch { .. })), "{failed:?}");
}

#[tokio::test]
async fn lists_of_modules_and_messages_without_end_are_cut_off() {
    for again in [&b"module\tcomment\n"[..], b"\n", b"Welcome!\n", b"@RSYNCD: 31.0\n"] {
        let server = endless(GREETING.to_vec(), again.repeat(1000)).await;
        let failed = opened(&server, &PATIENT).await.unwrap().modules().await;
        assert!(matches!(failed, Err(ProtocolError::TooMuch { .. })), "{failed:?}");
        let failed = listed(&server, &PATIENT).await;
        assert!(matches!(failed, Err(ProtocolError::TooMuch { .. })), "{failed:?}");
    }
}

#[tokio::test]
async fn a_server_of_another_kind_is_recognised() {
    let server = saying(b"SSH-2.0-OpenSSH_9.2\x1b[2J\r\n".to_vec()).await;
    let failed = opened(&server, &PATIENT).await;
    assert!(
        matches!(&failed, Err(ProtocolError::NotRsync { line }) if line == "SSH-2.0-OpenSSH_9.2\\u{1b}[2J"),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_server_that_asks_for_a_password_again_and_again_gets_one_answer() {
    let again = b"@RSYNCD: AUTHREQD challenge\n".repeat(2);
    let server = saying([GREETING, &again].concat()).await;
    let source = source(server.address, Some("user"), "m", "");
    let connection = opened(&server, &PATIENT).await.unwrap();
    let failed = connection.enter(&source, Some(&engine::Secret::new("secret"))).await;
    assert!(
        matches!(failed, Err(ProtocolError::Malformed { what: Malformed::SecondChallenge, .. })),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_server_that_knows_only_other_digests_gets_no_answer() {
    let server = saying(b"@RSYNCD: 33.0 blake3\n@RSYNCD: AUTHREQD challenge\n".to_vec()).await;
    let source = source(server.address, Some("user"), "m", "");
    let connection = opened(&server, &PATIENT).await.unwrap();
    let failed = connection.enter(&source, Some(&engine::Secret::new("secret"))).await;
    assert!(
        matches!(&failed, Err(ProtocolError::NoDigest { offered }) if offered == &["blake3"]),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_probe_of_a_server_that_lists_nothing_still_finds_the_module() {
    let server = serve(|mut stream| async move {
        let (read, mut write) = stream.split();
        let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(read));
        let _ = tokio::io::AsyncWriteExt::write_all(&mut write, GREETING).await;
        let _ = lines.next_line().await;
        if lines.next_line().await.is_ok_and(|line| line.as_deref() == Some("m")) {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut write, b"@ERROR: chdir failed\n").await;
        }
    })
    .await;
    let probed = probe(&source(server.address, None, "m", ""), None, &PATIENT).await.unwrap();
    assert_eq!(probed.modules, None);
    assert!(matches!(
        probed.module,
        engine::protocol::ModuleState::Refused(refusal) if refusal.kind == RefusalKind::Other
    ));
}

type Expected = fn(&Malformed) -> bool;

#[tokio::test]
async fn a_list_that_breaks_the_protocol_is_refused() {
    let file = 0o100_644;
    let refusals: [(Vec<u8>, Expected); 12] = [
        (b"HTTP/1.1 200 OK\r\n".to_vec(), |what| matches!(what, Malformed::Tag(_))),
        (frame(101, b"deleted"), |what| matches!(what, Malformed::Tag(101))),
        (b"\xff\xff\xff\x08".to_vec(), |what| matches!(what, Malformed::MessageLength { tag: 1, .. })),
        (frame(0, b"\x40\xff\xff\xff\x7f"), |what| matches!(what, Malformed::NameLength(i32::MAX))),
        (frame(0, b"\x40\xff\xff\xff\xff"), |what| matches!(what, Malformed::NameLength(-1))),
        (frame(0, b"\x20\xff\x01"), |what| matches!(what, Malformed::Prefix { kept: 255, had: 0 })),
        (frame(0, &entry(b"a", -2, file)), |what| matches!(what, Malformed::Size(-2))),
        (frame(0, &entry(b"a", 1, 0)), |what| matches!(what, Malformed::Mode(0))),
        (frame(0, &entry(b"../../etc/passwd", 1, file)), |what| matches!(what, Malformed::UnsafeName(_))),
        (frame(0, &entry(b"/etc/passwd", 1, file)), |what| matches!(what, Malformed::UnsafeName(_))),
        (frame(0, &entry(b"a\0b", 1, file)), |what| matches!(what, Malformed::UnsafeName(_))),
        (frame(0, &[entry(b"l", 1, 0o120_777), i32::MIN.to_le_bytes().to_vec()].concat()), |what| {
            matches!(what, Malformed::NameLength(i32::MIN))
        }),
    ];
    for (stream, expected) in refusals {
        let server = saying(sender(&stream)).await;
        let failed = listed(&server, &PATIENT).await;
        assert!(
            matches!(&failed, Err(ProtocolError::Malformed { step: Step::List, what }) if expected(what)),
            "{failed:?}"
        );
    }
}

/// The same in protocol 32.
fn modern_entry(name: &[u8], mode: u32) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    [&[0x01, length][..], name, &[0, 1, 0], &[0; 4], &mode.to_le_bytes()].concat()
}

#[tokio::test]
async fn a_list_that_breaks_the_protocol_of_today_is_refused() {
    let (file, folder) = (0o100_644, 0o040_755);
    let after = |stream: &[u8]| [MODERN, &frame(0, stream)].concat();
    let before = |flags: &[u8]| [b"@RSYNCD: 32.0 md5\n@RSYNCD: OK\n", flags].concat();
    let refusals: [(Vec<u8>, Expected); 10] = [
        (before(&[0x80, 0x89]), |what| matches!(what, Malformed::Piecemeal)),
        (before(&[0xff; 8]), |what| matches!(what, Malformed::Number(0xff))),
        (after(&[0xff; 8]), |what| matches!(what, Malformed::Number(0xff))),
        (after(b"\x40\xf0\xff\xff\xff\x7f"), |what| matches!(what, Malformed::NameLength(i32::MAX))),
        (after(b"\x40\xf0\xff\xff\xff\xff"), |what| matches!(what, Malformed::NameLength(-1))),
        (after(b"\x20\xff\x01"), |what| matches!(what, Malformed::Prefix { kept: 255, had: 0 })),
        (after(&modern_entry(b"a", 0)), |what| matches!(what, Malformed::Mode(0))),
        (after(&modern_entry(b"../../etc/passwd", file)), |what| matches!(what, Malformed::UnsafeName(_))),
        (after(&modern_entry(b".", file)), |what| matches!(what, Malformed::UnsafeName(_))),
        // A folder on the way to what was asked for, where everything was asked for.
        (after(&[&[0x81, 0x01], &modern_entry(b"a", folder)[1..]].concat()), |what| {
            matches!(what, Malformed::NotAsked(_))
        }),
    ];
    for (stream, expected) in refusals {
        let failed = listed(&saying(stream.clone()).await, &PATIENT).await;
        assert!(
            matches!(&failed, Err(ProtocolError::Malformed { step: Step::List, what }) if expected(what)),
            "{failed:?} of {stream:?}"
        );
    }
    let names = before(&[&[0x80, 0x88, 0xff, 0xff], &vec![b'x'; 40_000][..]].concat());
    let failed = listed(&saying(names).await, &PATIENT).await;
    assert!(matches!(failed, Err(ProtocolError::TooMuch { limit: 255, .. })), "{failed:?}");
}

#[tokio::test]
async fn a_sender_that_gives_up_and_does_not_leave_is_not_waited_for() {
    let (error, exit) = (frame(1, b"the disk is gone\n"), frame(86, &[23, 0, 0, 0]));
    let failed = listed(&saying([MODERN, &error, &exit].concat()).await, &PATIENT).await;
    assert!(
        matches!(&failed, Err(ProtocolError::Sender(texts)) if texts == &["the disk is gone"]),
        "{failed:?}"
    );
    let failed = listed(&saying([MODERN, &frame(86, b"")].concat()).await, &PATIENT).await;
    assert!(matches!(failed, Err(ProtocolError::Closed { step: Step::List })), "{failed:?}");
}

#[tokio::test]
async fn a_name_that_was_not_asked_for_is_refused() {
    let server = saying(sender(&frame(0, &entry(b"other", 1, 0o100_644)))).await;
    let source = source(server.address, None, "m", "");
    let failed = list(&source, None, What::Paths(&[b"asked"]), &ListLimits::default(), &PATIENT).await;
    assert!(
        matches!(&failed, Err(ProtocolError::Malformed { what: Malformed::NotAsked(name), .. }) if name == "other"),
        "{failed:?}"
    );
    let server = saying([MODERN, &frame(0, &modern_entry(b"folder/file", 0o100_644))].concat()).await;
    let source = crate::daemon::source(server.address, None, "m", "");
    let failed = list(&source, None, What::Folder(b"folder"), &ListLimits::default(), &PATIENT).await;
    assert!(
        matches!(&failed, Err(ProtocolError::Malformed { what: Malformed::NotAsked(name), .. }) if name == "folder/file"),
        "{failed:?}"
    );
}

#[tokio::test]
async fn lists_without_end_stop_at_their_limits() {
    let flood = |stream: Vec<u8>| endless(sender(b""), stream);
    let repeated = [&[0xa2, 255, 0][..], &[0; 4]].concat();
    let first = frame(0, &entry(&[b'a'; 255], 1, 0o100_644));
    let amplified = endless(sender(&first), frame(0, &repeated.repeat(2000))).await;
    let limits = ListLimits { entries: 50_000, bytes: 4 << 20 };
    for (server, expected) in [
        (flood(frame(0, &entry(b"a", 1, 0o100_644).repeat(1000))).await, End::MoreEntries),
        (flood(frame(1, &[b'x'; 5000]).repeat(10)).await, End::MoreBytes),
        (flood(frame(0, b"").repeat(5000)).await, End::MoreBytes),
        // Seven bytes on the line make a name of 255.
        (amplified, End::MoreBytes),
    ] {
        let source = source(server.address, None, "m", "");
        let listing =
            timeout(BOUND, list(&source, None, What::Tree, &limits, &PATIENT)).await.unwrap().unwrap();
        assert_eq!(listing.end, expected);
        assert!(listing.entries.iter().map(|entry| entry.name.len()).sum::<usize>() <= 4 << 20);
        assert!(listing.messages.errors.len() <= 100);
    }
}

#[tokio::test]
async fn sizes_that_add_up_to_more_than_there_are_numbers_do_not_wrap() {
    let mut huge = vec![0x01, 1, b'a'];
    huge.extend((-1_i32).to_le_bytes());
    huge.extend(i64::MAX.to_le_bytes());
    huge.extend([0; 4]);
    huge.extend(0o100_644_u32.to_le_bytes());
    let server = saying(sender(&frame(0, &[huge.repeat(3), vec![0; 5]].concat()))).await;
    let listing = listed(&server, &PATIENT).await.unwrap();
    assert_eq!((listing.totals.files, listing.totals.bytes), (3, u64::MAX));
}
