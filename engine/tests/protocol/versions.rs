//! Every protocol from 27 to 32 with a real daemon, against what rsync itself lists in the same protocol.
//!
//! A greeting that passes through our hands decides which protocol is spoken; the daemon keeps to it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use engine::EntryKind;
use engine::protocol::{Connection, End, Entry, ListLimits, Listing, What, list};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::process::Command;

use crate::PATIENT;
use crate::daemon::{Config, Daemon, source};
use crate::servers::{Rewrite, between};

/// A greeting of this version, with the digests that are there.
fn version<const PROTOCOL: u32>(line: &str) -> String {
    let digests = line.split_ascii_whitespace().skip(2).collect::<Vec<_>>().join(" ");
    format!("@RSYNCD: {PROTOCOL}.0 {digests}\n")
}

const VERSIONS: [(u32, Rewrite); 6] = [
    (27, version::<27>),
    (28, version::<28>),
    (29, version::<29>),
    (30, version::<30>),
    (31, version::<31>),
    (32, version::<32>),
];

/// The list in one protocol.
async fn listed(daemon: &Daemon, greeting: Rewrite, path: &str, what: What<'_>) -> Listing {
    let (server, _) = between(daemon.address, greeting).await;
    let source = source(server.address, None, "tree", path);
    list(&source, None, what, &ListLimits::default(), &PATIENT).await.unwrap()
}

/// What rsync prints about the same tree in the same protocol, sorted.
async fn printed(daemon: &Daemon, protocol: u32) -> Vec<Vec<u8>> {
    let output = Command::new("rsync")
        .args(["-rl", "--list-only", "--no-h", "-8"])
        .arg(format!("--protocol={protocol}"))
        .arg(format!("rsync://{}/tree/", daemon.address))
        .env_clear()
        .envs([("TZ", "UTC"), ("LC_ALL", "C"), ("PATH", "/usr/bin:/bin")])
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<_> = output.stdout.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines.retain(|line| !line.is_empty());
    lines.sort_unstable();
    lines
}

/// An entry as rsync prints it.
fn line(entry: &Entry) -> Vec<u8> {
    let kind = match entry.kind {
        EntryKind::Directory => 'd',
        EntryKind::Symlink => 'l',
        EntryKind::Special => 'p',
        _ => '-',
    };
    let mut head = String::from(kind);
    for (place, letter) in "rwxrwxrwx".chars().enumerate() {
        head.push(if entry.permissions >> (8 - place) & 1 == 1 { letter } else { '-' });
    }
    let _ = write!(head, " {:>11} {} ", entry.size, moment(entry.modified));
    let mut line = [head.as_bytes(), &escaped(&entry.name)].concat();
    if let Some(target) = &entry.target {
        line.extend(b" -> ");
        line.extend(escaped(target));
    }
    line
}

/// Control characters are octal in rsync's output, and so is a backslash that would look like one.
fn escaped(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::new();
    for (at, byte) in text.iter().enumerate() {
        let looks = matches!(text.get(at..at + 5), Some([b'\\', b'#', digits @ ..]) if digits.iter().all(u8::is_ascii_digit));
        if looks || (*byte < b' ' && *byte != b'\t') {
            escaped.extend(format!("\\#{byte:03o}").bytes());
        } else {
            escaped.push(*byte);
        }
    }
    escaped
}

/// Seconds since 1970 as a date, after Howard Hinnant's `civil_from_days`.
fn moment(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:>4}/{month:02}/{day:02} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// A name of random bytes, or one that begins like another.
fn name(random: &mut StdRng, number: usize) -> Vec<u8> {
    let odd = random.random_range(0..24);
    let mut name = format!("{}-{number}", "x".repeat(random.random_range(0..40))).into_bytes();
    name.extend((0..odd).map(|_| match random.random::<u8>() {
        0 | b'/' => b'\n',
        byte => byte,
    }));
    if number.is_multiple_of(50) {
        name.extend(b"\\#012");
        name.resize(255, b'l');
    }
    name
}

/// A tree of `many` entries with everything in it that a file system takes.
fn grow(tree: &Path, random: &mut StdRng, many: usize) {
    let mut folders = vec![tree.to_path_buf()];
    for number in 0..many {
        let path =
            folders[random.random_range(0..folders.len())].join(OsStr::from_bytes(&name(random, number)));
        match random.random_range(0..20) {
            0 | 1 if path.as_os_str().len() < 3000 => {
                fs::create_dir(&path).unwrap();
                folders.push(path);
                continue;
            }
            2 => symlink(OsStr::from_bytes(&name(random, number + 50)), &path).unwrap(),
            3 => mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap(),
            _ => file(&path, random),
        }
        // Only root may give files away; the list has no owners, and must not change with them.
        let _ = chown(&path, Some(random.random_range(0..70_000)), Some(random.random_range(0..70_000)));
    }
}

fn file(path: &Path, random: &mut StdRng) {
    let file = File::create(path).unwrap();
    let bits = random.random_range(0..36);
    file.set_len(random.random::<u64>() & ((1 << bits) - 1)).unwrap();
    file.set_permissions(Permissions::from_mode(random.random_range(0..0o1000))).unwrap();
    // 1938 to 2242, often the same as another's, and with nanoseconds now and then.
    let seconds = match random.random_range(0..4) {
        0 => 1_700_000_000,
        _ => random.random_range(-1_000_000_000..8_589_934_592_i64),
    };
    let since = Duration::new(seconds.unsigned_abs(), random.random_range(0..2) * 123_456_789);
    let epoch = SystemTime::UNIX_EPOCH;
    file.set_modified(if seconds < 0 { epoch - since } else { epoch + since }).unwrap();
}

#[tokio::test]
async fn in_every_protocol_a_wild_tree_is_listed_as_rsync_lists_it() {
    let daemon = Config::new().module("tree", "").start().await;
    grow(&daemon.path("tree"), &mut StdRng::seed_from_u64(27), 1500);
    for (protocol, greeting) in VERSIONS {
        compare(&daemon, protocol, greeting).await;
    }
}

#[tokio::test]
async fn ten_thousand_files_are_listed_as_rsync_lists_them() {
    let daemon = Config::new().module("tree", "").start().await;
    grow(&daemon.path("tree"), &mut StdRng::seed_from_u64(32), 10_000);
    for (protocol, greeting) in [VERSIONS[0], VERSIONS[5]] {
        compare(&daemon, protocol, greeting).await;
    }
}

async fn compare(daemon: &Daemon, protocol: u32, greeting: Rewrite) {
    let listing = listed(daemon, greeting, "", What::Tree).await;
    assert!(matches!(listing.end, End::Complete(errors) if errors.none()), "{:?}", listing.messages);
    let mut ours: Vec<_> = listing.entries.iter().map(line).collect();
    ours.sort_unstable();
    let theirs = printed(daemon, protocol).await;
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let shown = |line| String::from_utf8_lossy(line).into_owned();
        assert_eq!(ours, theirs, "in protocol {protocol}: {} {}", shown(ours), shown(theirs));
    }
    assert_eq!(ours.len(), theirs.len());
    let fractions = listing.entries.iter().filter(|entry| entry.nanos > 0).count();
    assert_eq!(fractions > 100, protocol >= 31, "{fractions} in protocol {protocol}");
}

#[tokio::test]
async fn in_every_protocol_folders_and_single_paths_come_without_what_lies_around_them() {
    let daemon = Config::new().module("tree", "").start().await;
    let tree = daemon.path("tree");
    fs::create_dir_all(tree.join("project/trace/deep")).unwrap();
    for name in ["project/trace/master", "project/trace/other", "project/near", "lastsync"] {
        fs::write(tree.join(name), "1\n").unwrap();
    }
    let names = |listing: &Listing| {
        let mut names: Vec<_> =
            listing.entries.iter().map(|entry| String::from_utf8(entry.name.clone()).unwrap()).collect();
        names.sort_unstable();
        names
    };
    for (protocol, greeting) in VERSIONS {
        let flat = listed(&daemon, greeting, "project", What::Folder(b"trace")).await;
        assert_eq!(names(&flat), [".", "deep", "master", "other"], "{protocol}");
        let top = listed(&daemon, greeting, "", What::Folder(b"")).await;
        assert_eq!(names(&top), [".", "lastsync", "project"], "{protocol}");
        // From 30 on a daemon names the folders on the way, too.
        let paths: [&[u8]; 4] = [b"project/trace/master", b"lastsync", b"project/trace", b"gone"];
        let some = listed(&daemon, greeting, "", What::Paths(&paths)).await;
        assert_eq!(names(&some), ["lastsync", "project/trace", "project/trace/master"], "{protocol}");
        assert_eq!((some.totals.files, some.totals.folders), (2, 1));
        let below = listed(&daemon, greeting, "project", What::Paths(&[b"trace/master"])).await;
        assert_eq!(names(&below), ["trace/master"], "{protocol}");
    }
}

#[tokio::test]
async fn in_every_protocol_what_cannot_be_read_is_told_at_the_end() {
    let daemon = Config::new().module("tree", "").start().await;
    let shut = daemon.path("tree").join("shut");
    fs::create_dir(&shut).unwrap();
    fs::set_permissions(&shut, Permissions::from_mode(0o0)).unwrap();
    for (protocol, greeting) in VERSIONS {
        let listing = listed(&daemon, greeting, "", What::Tree).await;
        assert!(
            matches!(listing.end, End::Complete(errors) if errors.unreadable() && !errors.vanished()),
            "{protocol}"
        );
        assert!(listing.messages.errors[0].contains("opendir \"shut\""), "{:?}", listing.messages);
        let gone = listed(&daemon, greeting, "gone", What::Tree).await;
        assert!(gone.entries.is_empty() && !gone.messages.errors.is_empty(), "{protocol}: {gone:?}");
    }
}

#[tokio::test]
async fn in_every_protocol_the_daemon_is_left_without_an_error_in_its_log() {
    for (protocol, greeting) in VERSIONS {
        let daemon = Config::new().module("tree", "").start().await;
        let listing = listed(&daemon, greeting, "", What::Tree).await;
        assert_eq!(listing.entries.len(), 1);
        daemon.said("sent ").await;
        assert!(!daemon.log().contains("error"), "{protocol}: {}", daemon.log());
    }
}

#[tokio::test]
async fn the_protocol_that_is_spoken_is_told() {
    let daemon = Config::new().module("tree", "").start().await;
    let connection = Connection::open(&daemon.source("tree"), &PATIENT).await.unwrap();
    let greeting = connection.greeting();
    assert_eq!(greeting.spoken(), greeting.protocol.min(32));
}
