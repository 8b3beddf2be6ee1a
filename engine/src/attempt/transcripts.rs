//! What recorded rsyncs must be taken for: their ends judged, their output counted.

use std::sync::Mutex;

use super::Changes;
use super::pipes::Piece;
use super::reader::{Found, Reader};
use crate::monitor::{Monitor, Phase};
use crate::rsync::exit::{Class, Exit, Judgement, judge};
use crate::rsync::output::{Change, Progress, Record, Splitter};
use crate::rsync::stats::Stats;
use fixtures::rsync::{Sample, names, sample};

/// Remembers the newest progress.
#[derive(Default)]
struct Newest(Mutex<Option<Progress>>);

impl Monitor for Newest {
    fn phase(&self, _: Phase) {}
    fn progress(&self, progress: &Progress) {
        *self.0.lock().unwrap() = Some(*progress);
    }
    fn change(&self, change: &Change<'_>, raw: &[u8]) {
        assert_eq!(Change::parse(raw), Some(*change));
    }
    fn stdout(&self, _: &[u8]) {}
    fn stderr(&self, _: &[u8]) {}
}

/// Whether the recorded rsync came to the end of its work: with our options it would have printed its statistics.
#[derive(Clone, Copy)]
enum Came {
    ToItsEnd,
    /// And the upstream's list had nothing in it.
    ToItsEndWithNothing,
    Short,
}
use Came::{Short, ToItsEnd, ToItsEndWithNothing};

/// How each recorded rsync ended, and what that must be taken for.
const ENDS: &[(&str, i32, Came, Class)] = &[
    // The upstream is not there, is not rsync, or goes away.
    ("err-connrefused", 10, Short, Class::Network),
    ("err-dns", 10, Short, Class::Network),
    ("err-preexec", 10, Short, Class::Network),
    ("fake-close", 5, Short, Class::Network),
    ("fake-http", 5, Short, Class::Network),
    ("fake-fullbacklog-timeout4-contimeout3", 35, Short, Class::Network),
    ("tls-rsync-ssl-untrusted", 5, Short, Class::Network),
    ("err-e-exit255", 255, Short, Class::Network),
    ("daemon-child-SIGTERM-midtransfer", 20, Short, Class::Network),
    // timeout(1) had to end these; in an attempt of ours they would be `Stalled` or `TimedOut`.
    ("daemon-child-SIGSTOP-midtransfer", 20, Short, Class::Network),
    ("fake-fullbacklog-timeout-only", 20, Short, Class::Network),
    ("fake-silent-contimeout-only", 20, Short, Class::Network),
    // It hangs.
    ("fake-greethang-timeout4-contimeout3", 30, Short, Class::Timeout),
    ("fake-okhang-timeout4-contimeout3", 30, Short, Class::Timeout),
    ("fake-silent-list-timeout", 30, Short, Class::Timeout),
    ("fake-silent-timeout4-contimeout3", 30, Short, Class::Timeout),
    // The line breaks in the middle, or makes no sense.
    ("daemon-child-SIGKILL-midtransfer", 12, Short, Class::Protocol),
    ("daemon-child-SIGKILL-partialdir", 12, Short, Class::Protocol),
    ("fake-garbage", 12, Short, Class::Protocol),
    ("fake-greetclose", 12, Short, Class::Protocol),
    ("fake-okclose", 12, Short, Class::Protocol),
    ("fake-reset", 12, Short, Class::Protocol),
    ("fake-oldproto", 2, Short, Class::Protocol),
    ("fake-proto99", 2, Short, Class::Protocol),
    ("err-e-shellnoise", 2, Short, Class::Protocol),
    ("err-e-false", 12, Short, Class::Protocol),
    ("err-e-killed", 12, Short, Class::Protocol),
    ("err-e-notfound", 12, Short, Class::Protocol),
    // It has enough of us, for now.
    ("err-max-connections", 5, Short, Class::UpstreamBusy),
    ("fake-error", 5, Short, Class::UpstreamBusy),
    ("fake-errorfirst", 5, Short, Class::UpstreamBusy),
    // It does not know us.
    ("err-auth-nopass", 5, Short, Class::Auth),
    ("err-auth-secrets-perm", 5, Short, Class::Auth),
    ("err-auth-wrong", 5, Short, Class::Auth),
    // It does not serve this.
    ("err-access-denied", 5, Short, Class::UpstreamConfig),
    ("err-chdir-path-missing", 5, Short, Class::UpstreamConfig),
    ("err-chroot", 5, Short, Class::UpstreamConfig),
    ("err-hidden-denied", 5, Short, Class::UpstreamConfig),
    ("err-invalid-uid", 5, Short, Class::UpstreamConfig),
    ("err-unknown-module", 5, Short, Class::UpstreamConfig),
    ("err-missing-src-no-delete", 23, ToItsEndWithNothing, Class::UpstreamConfig),
    ("err-nosuch-path-in-module", 23, ToItsEndWithNothing, Class::UpstreamConfig),
    // It refuses, or rsync cannot do, what the options say.
    ("err-refuse-compress", 10, Short, Class::Config),
    ("err-refuse-delete", 10, Short, Class::Config),
    ("err-4-refuse-iconv-daemon", 10, Short, Class::Config),
    ("r327-client-refuse", 10, Short, Class::Config),
    ("err-readonly", 1, Short, Class::Config),
    ("err-syntax", 1, Short, Class::Config),
    ("err-2-options-badvalue", 1, Short, Class::Config),
    ("err-3-files-from", 1, Short, Class::Config),
    ("err-4-crtimes", 1, Short, Class::Config),
    ("err-bwlimit-bad", 1, Short, Class::Config),
    ("err-pwfile-missing", 1, Short, Class::Config),
    ("err-pwfile-perm", 1, Short, Class::Config),
    ("sec-host-dash", 1, Short, Class::Config),
    ("err-4-iconv", 4, Short, Class::Config),
    ("err-13-outformat-long", 13, Short, Class::Config),
    ("err-3-dest-is-file", 3, Short, Class::Config),
    ("dest-symlink-foreign-owner", 3, Short, Class::Config),
    // This machine.
    ("err-11-diskfull", 11, Short, Class::NoSpace),
    ("err-11-diskfull-partialdir", 11, Short, Class::NoSpace),
    ("err-inodes-full", 23, ToItsEnd, Class::NoSpace),
    ("err-11-readonly-fs", 23, ToItsEnd, Class::LocalDisk),
    ("err-3-nodestparent", 11, Short, Class::LocalDisk),
    ("err-exclude-from-missing", 11, Short, Class::LocalDisk),
    ("err-14-nofile", 23, ToItsEnd, Class::Resources),
    ("err-14-nproc", 14, Short, Class::Resources),
    ("err-14-local-nproc", 14, Short, Class::Resources),
    ("err-22-maxalloc", 22, Short, Class::Memory),
    ("err-22-rlimit-as", 22, Short, Class::Memory),
    // Some of it came.
    ("err-23-files-from-missing", 23, ToItsEnd, Class::Partial),
    ("err-perm-and-ioerror-skip-delete", 23, ToItsEnd, Class::Partial),
    ("err-perm-ignore-errors", 23, ToItsEnd, Class::Partial),
    ("ioerr--delete-after", 23, ToItsEnd, Class::Partial),
    ("ioerr--delete-before", 23, ToItsEnd, Class::Partial),
    ("ioerr--delete-delay", 23, ToItsEnd, Class::Partial),
    ("ioerr--delete-during", 23, ToItsEnd, Class::Partial),
    ("ioerr-deletedelaydelayupdates", 23, ToItsEnd, Class::Partial),
    ("ioerr-deletedelaynoincrecursive", 23, ToItsEnd, Class::Partial),
    ("ioerr-deleteduringnoincrecursive", 23, ToItsEnd, Class::Partial),
    ("links-copy-unsafe", 23, ToItsEnd, Class::Partial),
    ("stderr-all", 23, ToItsEnd, Class::Partial),
    ("dir-vs-file-conflict", 23, ToItsEnd, Class::Partial),
    ("err-vanished", 24, ToItsEnd, Class::Vanished),
    ("vanish--delete-after", 24, ToItsEnd, Class::Vanished),
    ("vanish--delete-delay", 24, ToItsEnd, Class::Vanished),
    ("vanish--delete-during", 24, ToItsEnd, Class::Vanished),
    // The guard held.
    ("err-max-delete", 25, ToItsEnd, Class::DeleteLimit),
    ("max-delete-0", 25, ToItsEnd, Class::DeleteLimit),
    ("max-delete-delay", 25, ToItsEnd, Class::DeleteLimit),
    ("max-delete-dry-run", 25, ToItsEnd, Class::DeleteLimit),
];

/// Daemons that did not start: no attempt ends like that.
const DAEMONS: &[&str] =
    &["daemon-bad-config", "daemon-missing-config", "daemon-pidfile-exists", "daemon-port-in-use"];

fn read(sample: &Sample, exit: i32, came: Came) -> (Judgement, Option<Stats>, Changes, Option<Progress>) {
    let newest = Newest::default();
    let mut reader = Reader::new(&newest, false, None);
    // As a pipe gives it: in pieces that end anywhere.
    for piece in sample.stdout.chunks(97) {
        reader.take(&Piece::Stdout(piece.to_vec()));
    }
    for piece in sample.stderr.chunks(31) {
        reader.take(&Piece::Stderr(piece.to_vec()));
    }
    let Found { stats, changes, findings, .. } = reader.finish();
    let printed = stats.or(match came {
        ToItsEnd => Some(Stats { files: 26, ..Stats::default() }),
        ToItsEndWithNothing => Some(Stats::default()),
        Short => None,
    });
    let judgement = judge(&Exit::Code(exit), printed.as_ref(), &findings);
    (judgement, stats, changes, *newest.0.lock().unwrap())
}

#[test]
fn every_recorded_end_is_taken_for_what_it_was() {
    for &(name, exit, came, class) in ENDS {
        let sample = sample(name);
        // 0 and 124 are the shell's or timeout(1)'s.
        let shells = matches!(sample.exit, Some(0 | 124));
        assert!(shells || sample.exit == Some(exit), "{name}: recorded is {:?}", sample.exit);
        let (judgement, ..) = read(&sample, exit, came);
        assert_eq!(judgement.class, class, "{name}: {}", judgement.reason);
        assert_eq!(judgement.verdict, class.verdict(), "{name}");
        let said = !sample.stderr.is_empty();
        assert_eq!(judgement.reason.contains("(rsync said: "), said, "{name}: {}", judgement.reason);
    }
}

#[test]
fn every_recorded_failure_is_in_the_table() {
    for name in names() {
        let failed = matches!(sample(&name).exit, Some(code) if code != 0);
        let known = ENDS.iter().any(|(known, ..)| *known == name) || DAEMONS.contains(&name.as_str());
        assert!(!failed || known, "{name} is in no table");
    }
}

#[test]
fn an_end_says_what_rsync_said_of_it() {
    for (name, exit, said) in [
        ("err-auth-wrong", 5, "@ERROR: auth failed on module auth"),
        ("err-11-diskfull", 11, "write failed on \"LAB/tm/mid.bin\": No space left on device (28)"),
        ("err-max-delete", 25, "Deletions stopped due to --max-delete limit (5 skipped)"),
        ("err-dns", 10, "nosuch.invalid 873: Name or service not known"),
        ("err-refuse-compress", 10, "configured to refuse --compress (-z)"),
        ("err-nosuch-path-in-module", 23, "change_dir \"nope\" (in small) failed: No such file"),
    ] {
        let (judgement, ..) = read(&sample(name), exit, Short);
        assert!(judgement.reason.contains(said), "{name}: {}", judgement.reason);
    }
}

/// What the output of a recorded rsync must be read as.
struct Output {
    name: &'static str,
    /// Created, updated, deleted.
    changes: [u64; 3],
    /// How many progress records, and the last one: bytes, percent, files, checked, total.
    progress: (usize, Option<[u64; 5]>),
    /// Files, created, deleted, transferred, total size, literal, sent, received.
    stats: Option<[u64; 8]>,
}

const fn output(
    name: &'static str,
    changes: [u64; 3],
    progress: (usize, Option<[u64; 5]>),
    stats: Option<[u64; 8]>,
) -> Output {
    Output { name, changes, progress, stats }
}

/// The last progress record of a pull of the small tree: 26 entries, 20 of them files of 3000 bytes.
const ALL: Option<[u64; 5]> = Some([60_000, 100, 20, 26, 26]);
const NONE: [u64; 3] = [0, 0, 0];

const OUTPUTS: &[Output] = &[
    output(
        "recommended-A-progress2+outformat",
        [26, 0, 0],
        (24, ALL),
        Some([26, 26, 0, 20, 60_000, 60_000, 439, 61_386]),
    ),
    output("recommended-B", [25, 1, 2], (0, None), Some([26, 25, 2, 20, 60_000, 60_000, 439, 61_386])),
    output("recommended-B-noop", NONE, (0, None), Some([26, 0, 0, 0, 60_000, 0, 41, 504])),
    output(
        "recommended-C-progress2-stats2",
        NONE,
        (24, ALL),
        Some([26, 26, 0, 20, 60_000, 60_000, 439, 61_386]),
    ),
    output("progress2-noh", NONE, (27, ALL), None),
    // With commas.
    output("progress2", NONE, (27, ALL), None),
    output("stats", NONE, (0, None), Some([26, 26, 0, 20, 60_000, 60_000, 431, 61_429])),
    output("stats-noh", NONE, (0, None), Some([26, 26, 0, 20, 60_000, 60_000, 431, 61_429])),
    // Rounded numbers are none.
    output("stats-h", NONE, (0, None), None),
    output("stats-hh", NONE, (0, None), None),
    // A journal of another format is text.
    output("outformat-recommended", NONE, (0, None), Some([26, 26, 0, 20, 60_000, 60_000, 431, 61_429])),
    output("itemize-update-delete", NONE, (0, None), None),
    output("empty-upstream-mass-delete", NONE, (0, None), None),
    // One file: no record has counts.
    output("progress2-bigfile", NONE, (18, Some([2_147_483_648, 100, 1, 2, 2])), None),
    // Nothing was really done, or not all of it.
    output("dry-run-preflight", NONE, (0, None), None),
    output("info-name-del-misc", NONE, (0, None), None),
    output("stop-after", NONE, (0, None), None),
];

#[test]
fn recorded_output_is_counted() {
    for expected in OUTPUTS {
        let name = expected.name;
        let sample = sample(name);
        let (_, stats, changes, progress) = read(&sample, 0, Short);
        assert_eq!([changes.created, changes.updated, changes.deleted], expected.changes, "{name}");
        assert_eq!(progress_records(&sample), expected.progress.0, "{name}");
        let progress = progress.map(|p| [p.bytes, u64::from(p.percent), p.files, p.checked, p.total]);
        assert_eq!(progress, expected.progress.1, "{name}");
        let stats = stats.map(|s| {
            [s.files, s.created, s.deleted, s.transferred, s.total_size, s.literal, s.sent, s.received]
        });
        assert_eq!(stats, expected.stats, "{name}");
    }
}

/// How many records of progress there are, each of which must be one.
fn progress_records(sample: &Sample) -> usize {
    let mut count = 0;
    let mut before = Progress::default();
    let mut splitter = Splitter::default();
    let mut look = |record: Record<'_>| {
        if let Record::Progress(line) = record {
            let text = String::from_utf8_lossy(line);
            before = Progress::parse(line, &before).unwrap_or_else(|| panic!("{}: {text}", sample.name));
            count += 1;
        }
    };
    splitter.feed(&sample.stdout, &mut look);
    splitter.finish(&mut look);
    count
}

#[test]
fn deletions_that_were_counted_and_not_named_are_noticed() {
    let named = Changes { deleted: 3, ..Changes::default() };
    let counted = |deleted| Stats { deleted, ..Stats::default() };
    assert!(named.are_all(Some(&counted(3))) && named.are_all(None));
    assert!(!named.are_all(Some(&counted(4))) && !named.are_all(Some(&counted(0))));
}
