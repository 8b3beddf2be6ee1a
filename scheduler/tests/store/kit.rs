//! Runs to store, folders to store them in, and what must hold of every store.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use chrono::DateTime;
use fixtures::forgetful::DiskImage;
use scheduler::core::Write;
use scheduler::{Outcome, Run, RunId, RunState, Store, Trigger};

/// Names the store of a process that a test starts.
pub(crate) const PLACE: &str = "HELIOSTAT_TEST_STORE";
/// Bound on every wait.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// Bytes of a reason that makes a commit larger than a page.
const LONG_REASON: usize = 9_000;

/// A run; every third one is larger than a page.
pub(crate) fn run(number: u128) -> Run {
    let at = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
    let reason = number.is_multiple_of(3).then(|| format!("{number} ").repeat(LONG_REASON / 2));
    Run {
        id: RunId::after(None, at, number),
        project: "p".parse().unwrap(),
        trigger: Trigger::Manual,
        requested_by: None,
        scheduled: None,
        queued: at,
        state: RunState::Ended { at, outcome: Outcome::Failed, reason, generation: None },
        cancelled_by: None,
        began: None,
        attempts: Vec::new(),
        decisions: Vec::new(),
        delays: 0,
        hold: None,
    }
}

/// Stores a run; returns whether that was acknowledged.
pub(crate) fn commit(store: &Store, number: u128) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.commit(vec![Write::Run(run(number).into())])).is_ok()
}

/// Stores runs, all of which must be acknowledged.
pub(crate) fn commit_all(store: &Store, numbers: RangeInclusive<u128>) {
    assert!(numbers.into_iter().all(|number| commit(store, number)), "{:?}", store.health());
}

/// Returns whether a run is stored, whole.
pub(crate) fn holds(store: &Store, number: u128) -> bool {
    let stored = store.run(run(number).id).unwrap();
    stored.is_some_and(|stored| format!("{stored:?}") == format!("{:?}", run(number)))
}

/// Waits until a commit is taken.
pub(crate) fn heals(store: &Store, number: u128) {
    let began = Instant::now();
    while !commit(store, number) {
        assert!(began.elapsed() < PATIENCE, "{:?}", store.health());
        std::thread::park_timeout(Duration::from_millis(50));
    }
    assert!(store.is_writable());
}

/// Opens a store that must be sound.
pub(crate) fn open_sound(place: &Path, after: &str) -> Store {
    let store = Store::open(place).unwrap_or_else(|error| panic!("after {after}: {error}"));
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new(), "after {after}");
    store
}

/// Opens a store and writes to it; nothing must be left beside it.
pub(crate) fn comes_up(place: &Path, after: &str) {
    let store = open_sound(place, after);
    assert!(commit(&store, 1_000), "after {after}");
    assert!(holds(&store, 1_000), "after {after}");
    store.close();
    assert_eq!(beside(place), ["store", "store.lock"], "after {after}");
}

/// The names in the folder of a store.
pub(crate) fn beside(place: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(place.parent().unwrap()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A folder in memory where there is such a file system: a disk would only make many steps slower.
pub(crate) fn quick_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Writes an image into a folder of its own, which goes with the first of the two.
pub(crate) fn written(image: &DiskImage) -> (tempfile::TempDir, PathBuf) {
    let folder = quick_folder();
    image.write_to(folder.path()).unwrap();
    let place = folder.path().join("store");
    (folder, place)
}

/// Returns whether strace can be used here; if not, says that the test was left out.
pub(crate) fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    let can = traced.is_ok_and(|output| output.status.success());
    if !can {
        println!("left out: strace is missing, or may not trace here");
    }
    can
}

/// Starts a test of this program as a process of its own, behind the words of another program, such as strace.
pub(crate) fn itself(before: &[String], test: &str, place: &Path) -> Command {
    let itself = std::env::current_exe().unwrap();
    let mut words = before.iter().map(Into::into).chain([itself.into_os_string()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(PLACE, place);
    command
}
