//! A first start that is cut off at any step, by a kill or by a disk that takes nothing more: the next one comes up.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use fixtures::forgetful::{DiskImage, ForgetfulDisk, PowerCut};
use fjall::{Database, KeyspaceCreateOptions};
use scheduler::Store;
use scheduler::store::StoreError;

use super::kit::{PLACE, can_trace, comes_up, itself, quick_folder, written};

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
fn make(place: &Path, way: &str, before: &[String]) -> ExitStatus {
    let mut command = itself(before, "first_start::makes_a_store", place);
    command.env(WAY, way).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
}

/// The words of a command line.
fn words<const N: usize>(words: [&str; N]) -> [String; N] {
    words.map(ToOwned::to_owned)
}

/// Kills the making of a store at the first of each kind of system call. Each step of it, none left out, is killed in
/// `power_cuts` and in [`what_an_older_version_left_at_any_step_is_no_store`].
#[test]
fn a_first_start_that_is_killed_at_a_system_call_is_followed_by_one_that_comes_up() {
    if !can_trace() {
        return;
    }
    let mut kills = 0;
    for call in CHANGES {
        for step in 1..6 {
            let folder = quick_folder();
            let place = folder.path().join("store");
            let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={step}"));
            let strace = words(["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject]);
            let status = make(&place, "now", &strace);
            comes_up(&place, &format!("a kill at {call} {step}"));
            if status.success() {
                break;
            }
            kills += 1;
        }
    }
    assert!(kills > 20, "{kills} kills");
}

#[test]
fn what_an_older_version_left_at_any_step_is_no_store() {
    if !ForgetfulDisk::can_be_mounted() {
        return;
    }
    let disk = ForgetfulDisk::mount(&DiskImage::default(), &[PowerCut::KeepsAll]).unwrap();
    as_older_versions_did(&disk.path().join("store"));
    let (points, steps) = disk.cuts();
    assert!(steps > 100, "{steps} steps");
    for point in points {
        let (_folder, place) = written(&point.image);
        comes_up(&place, &format!("a kill at step {} ({})", point.step, point.after));
    }
}

#[test]
fn a_first_start_below_a_limit_on_file_sizes_is_followed_by_one_that_comes_up() {
    for way in ["now", "older"] {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("store");
        let script = "trap '' XFSZ; ulimit -f 20000; exec \"$@\"";
        assert!(!make(&place, way, &words(["sh", "-c", script, "sh"])).success());
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
            let made = make(&place, way, &words(["env"]));
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
