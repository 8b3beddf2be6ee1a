//! File lists of a real daemon.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use engine::protocol::{
    Connection, End, Entry, IoErrors, ListLimits, Listing, ProtocolError, RequestError, Totals, What, list,
};
use engine::{EntryKind, Secret, Source};

use crate::PATIENT;
use crate::daemon::{Config, Daemon, LOGIN, source};

async fn listed(source: &Source, what: What<'_>) -> Listing {
    list(source, None, what, &ListLimits::default(), &PATIENT).await.unwrap()
}

fn names(listing: &Listing) -> Vec<&[u8]> {
    let mut names: Vec<_> = listing.entries.iter().map(|entry| &entry.name[..]).collect();
    names.sort_unstable();
    names
}

fn complete(listing: &Listing) -> bool {
    matches!(listing.end, End::Complete(errors) if errors.none())
}

async fn serving(grow: impl FnOnce(&Path)) -> Daemon {
    let daemon = Config::new().module("tree", "").start().await;
    grow(&daemon.path("tree"));
    daemon
}

#[tokio::test]
async fn a_tree_is_listed_with_kinds_sizes_times_modes_and_targets() {
    let daemon = serving(|tree| {
        fs::create_dir_all(tree.join("pool/empty")).unwrap();
        fs::write(tree.join("pool/first"), "first\n").unwrap();
        fs::set_permissions(tree.join("pool/first"), Permissions::from_mode(0o751)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(3_000_000_001);
        File::open(tree.join("pool/first")).unwrap().set_modified(time).unwrap();
        File::create(tree.join("huge")).unwrap().set_len(5_000_000_000).unwrap();
        symlink("../../etc/passwd", tree.join("pool/link")).unwrap();
    })
    .await;
    let listing = listed(&daemon.source("tree"), What::Tree).await;
    assert!(complete(&listing));
    assert_eq!(listing.totals, Totals { files: 2, folders: 2, links: 1, others: 0, bytes: 5_000_000_006 });
    let by_name: BTreeMap<&[u8], &Entry> =
        listing.entries.iter().map(|entry| (&entry.name[..], entry)).collect();
    assert_eq!(by_name.len(), 6);
    let first = by_name[&b"pool/first"[..]];
    assert_eq!(
        (first.kind, first.size, first.modified, first.permissions),
        (EntryKind::File, 6, 3_000_000_001, 0o751)
    );
    assert_eq!(by_name[&b"huge"[..]].size, 5_000_000_000);
    assert_eq!(by_name[&b"pool/empty"[..]].kind, EntryKind::Directory);
    assert_eq!(by_name[&b"."[..]].kind, EntryKind::Directory);
    let link = by_name[&b"pool/link"[..]];
    assert_eq!((link.kind, link.target.as_deref()), (EntryKind::Symlink, Some(&b"../../etc/passwd"[..])));
}

#[tokio::test]
async fn a_thousand_odd_names_come_back_byte_for_byte() {
    let mut expected: Vec<Vec<u8>> = vec![b".".to_vec()];
    let daemon = serving(|tree| {
        for number in 0..1000_u32 {
            // Every byte but NUL and slash turns up; prefixes repeat; some names are as long as they can be.
            let odd = u8::try_from(number % 255 + 1).unwrap();
            let odd = if odd == b'/' { b'\n' } else { odd };
            let mut name = format!("{:x>width$}-", number, width = 1 + number as usize % 240).into_bytes();
            name.extend([odd, b'\n', 0xff, 0xc3]);
            name.extend(" \\#012*?[\t\u{1f980}".as_bytes().get(..number as usize % 8).unwrap());
            fs::write(tree.join(OsStr::from_bytes(&name)), "").unwrap();
            expected.push(name);
        }
    })
    .await;
    expected.sort_unstable();
    let listing = listed(&daemon.source("tree"), What::Tree).await;
    assert_eq!(names(&listing), expected);
    assert!(complete(&listing));
}

#[tokio::test]
async fn long_paths_and_a_path_below_the_module_are_listed() {
    let long = vec!["d".repeat(200); 9].join("/");
    let daemon = serving(|tree| fs::create_dir_all(tree.join("a b").join(&long)).unwrap()).await;
    let listing = listed(&source(daemon.address, None, "tree", "a b"), What::Tree).await;
    assert_eq!((listing.totals.folders, names(&listing)[9].len()), (9, long.len()));
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_is_an_io_error_with_its_reason() {
    let daemon = serving(|tree| {
        fs::create_dir(tree.join("shut")).unwrap();
        fs::write(tree.join("open"), "").unwrap();
        fs::set_permissions(tree.join("shut"), Permissions::from_mode(0o0)).unwrap();
    })
    .await;
    let listing = listed(&daemon.source("tree"), What::Tree).await;
    assert_eq!(names(&listing), [&b"."[..], b"open", b"shut"]);
    assert!(matches!(listing.end, End::Complete(errors) if errors.unreadable() && !errors.vanished()));
    assert!(listing.messages.errors[0].contains("opendir \"shut\""), "{:?}", listing.messages);
    assert!(listing.messages.errors[0].contains("Permission denied (13)"), "{:?}", listing.messages);
}

#[tokio::test]
async fn a_tree_that_is_not_there_is_an_empty_list_with_its_reason() {
    let daemon = serving(|_| ()).await;
    let listing = listed(&source(daemon.address, None, "tree", "gone"), What::Tree).await;
    assert_eq!((listing.entries.len(), listing.totals), (0, Totals::default()));
    assert!(!complete(&listing));
    assert!(listing.messages.errors[0].contains("No such file or directory"), "{:?}", listing.messages);
}

#[tokio::test]
async fn single_paths_are_asked_for_without_what_lies_below() {
    let daemon = serving(|tree| {
        fs::create_dir_all(tree.join("project/trace/deep")).unwrap();
        for name in
            ["project/trace/master", "project/trace/other", "lastsync", "a*[b]", "a*[bb", "x tree", "-"]
        {
            fs::write(tree.join(name), "1\n").unwrap();
        }
        fs::create_dir(tree.join("y tree")).unwrap();
        fs::write(tree.join("y tree/z?"), "1\n").unwrap();
        fs::write(tree.join("y tree/zz"), "1\n").unwrap();
    })
    .await;
    let paths: [&[u8]; 8] = [
        b"project/trace/master",
        b"lastsync",
        b"project/trace",
        b"a*[b]",
        b"x tree",
        b"-",
        b"gone",
        b"y tree/z?",
    ];
    let listing = listed(&daemon.source("tree"), What::Paths(&paths)).await;
    let mut expected: Vec<&[u8]> = paths.iter().copied().filter(|path| path != b"gone").collect();
    expected.sort_unstable();
    assert_eq!(names(&listing), expected, "{:?}", listing.messages);
    assert!(complete(&listing));
    assert_eq!(listing.messages.errors.len(), 1);
    assert!(listing.messages.errors[0].contains("\"gone\" (in tree)"), "{:?}", listing.messages);

    let below = source(daemon.address, None, "tree", "project/trace");
    let listing = listed(&below, What::Paths(&[b"master"])).await;
    assert_eq!(names(&listing), [b"master"]);

    let refused = list(&below, None, What::Paths(&[b"../x"]), &ListLimits::default(), &PATIENT).await;
    assert!(matches!(refused, Err(ProtocolError::Request(RequestError::Path(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_list_stops_at_its_limits() {
    let daemon = serving(|tree| {
        for number in 0..300 {
            fs::write(tree.join(format!("{number:0>200}")), "").unwrap();
        }
    })
    .await;
    let cut = async |limits: ListLimits| {
        list(&daemon.source("tree"), None, What::Tree, &limits, &PATIENT).await.unwrap()
    };
    let fits = ListLimits { entries: 301, ..ListLimits::default() };
    assert_eq!(cut(fits).await.end, End::Complete(IoErrors::default()));
    let few = cut(ListLimits { entries: 300, ..fits }).await;
    assert_eq!((few.end, few.entries.len()), (End::MoreEntries, 300));
    let short = cut(ListLimits { bytes: 20_000, ..fits }).await;
    assert_eq!(short.end, End::MoreBytes);
    assert!(short.entries.len() <= 100);
}

#[tokio::test]
async fn a_closed_module_is_listed_with_its_password() {
    let daemon = Config::new().closed("closed").start().await;
    let source = source(daemon.address, Some(LOGIN.0), "closed", "");
    let limits = ListLimits::default();
    let listing = list(&source, Some(&Secret::new(LOGIN.1)), What::Tree, &limits, &PATIENT).await.unwrap();
    assert_eq!(names(&listing), [b"."]);
}

#[tokio::test]
async fn a_daemon_that_refuses_the_request_says_why() {
    let daemon = Config::new()
        .module("strict", "refuse options = links")
        .module("push", "write only = yes")
        .start()
        .await;
    let failed = async |module: &str| {
        let limits = ListLimits::default();
        list(&daemon.source(module), None, What::Tree, &limits, &PATIENT).await.unwrap_err()
    };
    let strict = failed("strict").await;
    assert!(
        matches!(&strict, ProtocolError::Sender(texts) if texts[0].contains("refuse --links")),
        "{strict:?}"
    );
    let push = failed("push").await;
    assert!(matches!(&push, ProtocolError::Sender(texts) if texts[0].contains("write only")), "{push:?}");
}

#[tokio::test]
async fn a_list_can_be_read_as_it_comes_and_is_no_error_in_the_log_of_the_daemon() {
    let daemon = serving(|tree| fs::write(tree.join("file"), "data").unwrap()).await;
    let source = daemon.source("tree");
    let session = Connection::open(&source, &PATIENT).await.unwrap().enter(&source, None).await.unwrap();
    let mut files = session.list(What::Tree, &ListLimits::default()).await.unwrap();
    let mut seen = Vec::new();
    while let Some(entry) = files.next().await.unwrap() {
        assert_eq!(files.end(), None);
        seen.push(entry.name);
    }
    assert_eq!((seen.len(), files.totals().entries(), files.next().await.unwrap()), (2, 1, None));
    assert_eq!(files.finish().await, End::Complete(IoErrors::default()));
    daemon.said("sent ").await;
    assert!(!daemon.log().contains("error"), "{}", daemon.log());
}
