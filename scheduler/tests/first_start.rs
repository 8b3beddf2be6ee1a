//! A first start that is cut off at any step, by a kill or by a disk that takes nothing more: the next one comes up.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is how a failure is told")]

use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use chrono::DateTime;
use fjall::{Database, KeyspaceCreateOptions};
use scheduler::core::Write;
use scheduler::store::StoreError;
use scheduler::{Outcome, Run, RunId, RunState, Store, Trigger};

/// Names the store of [`makes_a_store`].
const PLACE: &str = "HELIOSTAT_TEST_STORE";
/// Names the way in which [`makes_a_store`] makes it.
const WAY: &str = "HELIOSTAT_TEST_WAY";
/// System calls that change a file system.
const CHANGES: [&str; 8] = ["mkdir", "openat", "ftruncate", "write", "fsync", "rename", "renameat", "unlink"];

/// The process that is cut off: not a test of its own.
#[test]
#[ignore = "is started by the tests of this file"]
fn makes_a_store() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let place = Path::new(&place);
    match std::env::var(WAY).as_deref() {
        Ok("older") => as_older_versions_did(place),
        _ => drop(Store::open(place).unwrap()),
    }
}

/// Makes a store in its place, step by step, as Heliostat did before it made stores beside it.
fn as_older_versions_did(place: &Path) {
    let database = Database::builder(place).worker_threads(1).open().unwrap();
    for name in ["projects", "standings", "runs", "runs_by_project", "live_runs", "users", "meta"] {
        database.keyspace(name, KeyspaceCreateOptions::default).unwrap();
    }
    fs::File::create(place.join("high-water")).unwrap();
}

/// Runs [`makes_a_store`] behind the words of another program, such as strace.
fn make(place: &Path, way: &str, before: &[&str]) -> ExitStatus {
    let itself = std::env::current_exe().unwrap();
    let mut words = before.iter().map(Into::into).chain([itself.into_os_string()]);
    Command::new(words.next().unwrap())
        .args(words)
        .args(["--exact", "makes_a_store", "--ignored", "--test-threads=1"])
        .env(PLACE, place)
        .env(WAY, way)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
}

fn run() -> Run {
    let at = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
    Run {
        id: RunId::after(None, at, 1),
        project: "p".parse().unwrap(),
        trigger: Trigger::Manual,
        requested_by: None,
        scheduled: None,
        queued: at,
        state: RunState::Ended { at, outcome: Outcome::Failed, reason: None, generation: None },
        cancelled_by: None,
        began: None,
        attempts: Vec::new(),
        decisions: Vec::new(),
        delays: 0,
        hold: None,
    }
}

/// Opens a store and writes to it.
fn comes_up(place: &Path, after: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = Store::open(place).unwrap_or_else(|error| panic!("after {after}: {error}"));
    runtime.block_on(store.commit(vec![Write::Run(run().into())])).unwrap();
    store.close();
    assert!(store.run(run().id).unwrap().is_some(), "after {after}");
    let beside = fs::read_dir(place.parent().unwrap()).unwrap();
    let mut beside: Vec<_> = beside.map(|entry| entry.unwrap().file_name()).collect();
    beside.sort();
    assert_eq!(beside, ["store", "store.lock"], "after {after}");
}

/// A folder in memory where there is such a file system: a disk would only make the many kills slower.
fn quick_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Kills the making of a store at its steps; gives the number of kills.
fn killed_at_its_steps(way: &str) -> usize {
    // The steps repeat with each keyspace. The long part of CI kills at more of them.
    let stride = if std::env::var_os("HELIOSTAT_KILLS").is_some() { 5 } else { 23 };
    let mut kills = 0;
    for call in CHANGES {
        for step in (1..6).chain((6..).step_by(stride)) {
            let folder = quick_folder();
            let place = folder.path().join("store");
            let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={step}"));
            let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
            let status = make(&place, way, &strace);
            comes_up(&place, &format!("a kill at {call} {step}"));
            if status.success() {
                break;
            }
            kills += 1;
        }
    }
    kills
}

fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    let can = traced.is_ok_and(|output| output.status.success());
    if !can {
        println!("left out: strace is missing, or may not trace here");
    }
    can
}

#[test]
fn a_first_start_that_is_killed_at_any_step_is_followed_by_one_that_comes_up() {
    if can_trace() {
        let kills = killed_at_its_steps("now");
        assert!(kills > 50, "{kills} kills");
    }
}

#[test]
fn what_a_cut_off_start_of_an_older_version_left_is_no_store() {
    if can_trace() {
        let kills = killed_at_its_steps("older");
        assert!(kills > 50, "{kills} kills");
    }
}

#[test]
fn a_first_start_below_a_limit_on_file_sizes_is_followed_by_one_that_comes_up() {
    for way in ["now", "older"] {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("store");
        let script = "trap '' XFSZ; ulimit -f 20000; exec \"$@\"";
        assert!(!make(&place, way, &["sh", "-c", script, "sh"]).success());
        comes_up(&place, "a file that was too large");
    }
}

#[test]
fn a_first_start_on_a_full_disk_is_followed_by_one_that_comes_up() {
    for way in ["now", "older"] {
        for kib in [0, 4, 16, 64, 256] {
            let folder = tempfile::tempdir().unwrap();
            let mounted = Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=1m", "none"])
                .arg(folder.path())
                .output();
            if !mounted.is_ok_and(|output| output.status.success()) {
                println!("left out: this system does not let us mount a small file system");
                return;
            }
            let fill = folder.path().join("fill");
            fs::write(&fill, vec![1; 1024 * (1024 - kib)]).ok();
            let place = folder.path().join("store");
            let made = make(&place, way, &["env"]);
            fs::remove_file(fill).unwrap();
            let size = ["-o", "remount,size=200m"];
            assert!(Command::new("mount").args(size).arg(folder.path()).status().unwrap().success());
            comes_up(&place, &format!("a disk with {kib} KiB of room"));
            assert!(kib > 0 || !made.success());
            let _ = Command::new("umount").arg("-l").arg(folder.path()).output();
        }
    }
}

#[test]
fn half_a_store_that_could_hold_data_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("store");
    comes_up(&place, "nothing");
    let version = place.join("version");
    for bytes in [None, Some(""), Some("FJL"), Some("\0\0\0\0")] {
        let _ = fs::remove_file(&version);
        if let Some(bytes) = bytes {
            fs::write(&version, bytes).unwrap();
        }
        let refused = Store::open(&place).unwrap_err();
        assert!(matches!(&refused, StoreError::Damaged { file, .. } if *file == version), "{refused}");
        assert!(refused.to_string().contains("heliostat store restore"), "{refused}");
    }
    fs::write(&version, b"FJL\x03").unwrap();
    comes_up(&place, "the file was put back");
}
