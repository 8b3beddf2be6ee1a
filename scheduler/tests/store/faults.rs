//! Each system call of a commit and of an opening fails once: nothing that was acknowledged is lost, nothing that was
//! refused is there, and the store heals by itself.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use scheduler::Store;

use super::kit::{
    PATIENCE, PLACE, can_trace, commit, commit_all, heals, holds, itself, open_sound, quick_folder,
};

/// Commits that a process makes before it ends.
const COMMITS: usize = 6;
/// The process whose system calls fail: not a test of its own. It tells what was acknowledged and what was refused,
/// and ends as if it were killed.
#[test]
#[ignore = "is started by the tests of this file"]
fn commits() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let store = Store::open(Path::new(&place)).unwrap();
    println!("opened");
    let (mut acknowledged, mut number) = (0, 100);
    let began = Instant::now();
    while acknowledged < COMMITS && began.elapsed() < PATIENCE {
        number += 1;
        if commit(&store, number) {
            acknowledged += 1;
            println!("acknowledged {number}");
        } else {
            println!("refused {number}");
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
    println!("mark {}", store.health().mark.is_some());
    std::process::abort();
}

/// A store with three runs, in memory where there is such a file system.
fn made() -> (tempfile::TempDir, PathBuf) {
    let folder = quick_folder();
    let place = folder.path().join("store");
    let store = Store::open(&place).unwrap();
    commit_all(&store, 1..=3);
    store.close();
    (folder, place)
}

/// The only journal of a store.
fn journal(place: &Path) -> PathBuf {
    let mut journals = files(place);
    journals.retain(|path| path.extension().is_some_and(|extension| extension == "jnl"));
    assert_eq!(journals.len(), 1, "{journals:?}");
    journals.remove(0)
}

/// Every file and folder of the store and its neighbours.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    if folder.is_dir() {
        for entry in fs::read_dir(folder).unwrap() {
            found.extend(files(&entry.unwrap().path()));
        }
    }
    found
}

struct Told {
    text: String,
    is_injected: bool,
}

impl Told {
    fn numbers(&self, word: &str) -> BTreeSet<u128> {
        self.text.lines().filter_map(|line| line.strip_prefix(word)?.trim().parse().ok()).collect()
    }
}

/// Runs [`commits`] with faults in it, each a system call and what becomes of it.
fn with_faults(place: &Path, paths: &[PathBuf], faults: &[(&str, String)]) -> Told {
    let log = place.with_extension("trace");
    let mut strace: Vec<String> = ["strace", "-f", "-qq"].map(ToOwned::to_owned).to_vec();
    let calls: Vec<&str> = faults.iter().map(|(call, _)| *call).collect();
    strace.extend(["-e".to_owned(), format!("trace={}", calls.join(","))]);
    for (call, fault) in faults {
        strace.extend(["-e".to_owned(), format!("inject={call}:{fault}")]);
    }
    strace.extend(["-o".to_owned(), log.display().to_string()]);
    for path in paths {
        strace.extend(["-P".to_owned(), path.display().to_string()]);
    }
    let output = itself(&strace, "faults::commits", place).output().unwrap();
    // The last of the faults is the one that is counted on.
    let log_text = fs::read_to_string(&log).unwrap_or_default();
    let last = format!("{}(", calls.last().unwrap());
    let is_injected = log_text.lines().any(|line| line.contains(&last) && line.contains("(INJECTED)"));
    let _ = fs::remove_file(log);
    Told { text: String::from_utf8_lossy(&output.stdout).into_owned(), is_injected }
}

/// What was stored and acknowledged is there; what was refused is not, if the store has healed since.
fn keeps_its_word(place: &Path, told: &Told, after: &str) {
    let store = open_sound(place, after);
    for number in 1..4 {
        assert!(holds(&store, number), "after {after}: {number} is missing\n{}", told.text);
    }
    for number in told.numbers("acknowledged") {
        assert!(holds(&store, number), "after {after}: {number} was acknowledged\n{}", told.text);
    }
    let healed = told.numbers("acknowledged").len() == COMMITS;
    for number in told.numbers("refused").into_iter().filter(|_| healed) {
        assert!(!holds(&store, number), "after {after}: {number} was refused\n{}", told.text);
    }
}

#[test]
fn each_system_call_of_a_commit_may_fail() {
    if !can_trace() {
        return;
    }
    let mut faults = 0;
    for (call, error) in [("write", "EIO"), ("write", "ENOSPC"), ("fsync", "EIO"), ("pwrite64", "EIO")] {
        for step in 1.. {
            let (_folder, place) = made();
            let journal = journal(&place);
            let before = fs::metadata(&journal).unwrap().ino();
            let paths = [journal.clone(), place.join("high-water")];
            let told = with_faults(&place, &paths, &[(call, format!("error={error}:when={step}"))]);
            let after = format!("{error} at {call} {step}");
            let opened = told.text.contains("opened");
            if opened {
                assert_eq!(told.numbers("acknowledged").len(), COMMITS, "after {after}\n{}", told.text);
            }
            // Nothing is ever appended behind a write that failed.
            if opened && !told.numbers("refused").is_empty() {
                let journal = self::journal(&place);
                assert_ne!(fs::metadata(&journal).unwrap().ino(), before, "after {after}\n{}", told.text);
            }
            keeps_its_word(&place, &told, &after);
            if !told.is_injected {
                break;
            }
            faults += 1;
        }
    }
    assert!(faults > 3 * COMMITS, "{faults} faults");
}

#[test]
fn each_system_call_of_an_opening_may_fail() {
    if !can_trace() {
        return;
    }
    // The first six of each; every step, none left out, is in `steps`.
    let mut faults = 0;
    for error in ["EIO", "ENOSPC", "EROFS"] {
        for call in
            ["openat", "read", "fsync", "ftruncate", "unlink", "getdents64", "statx", "flock", "mkdir"]
        {
            for step in 1..7 {
                let (folder, place) = made();
                let told = with_faults(
                    &place,
                    &files(folder.path()),
                    &[(call, format!("error={error}:when={step}"))],
                );
                keeps_its_word(&place, &told, &format!("{error} at {call} {step}"));
                if !told.is_injected {
                    break;
                }
                faults += 1;
            }
        }
    }
    assert!(faults > 50, "{faults} faults");
}

#[test]
fn each_system_call_of_healing_may_fail() {
    if !can_trace() {
        return;
    }
    let mut faults = 0;
    for call in ["fsync", "rename", "mkdir", "openat", "ftruncate", "unlinkat"] {
        for step in 1..13 {
            // The folders that are exchanged, and the files at their top: what is below them only fails a copy.
            let (folder, place) = made();
            let mut paths = vec![folder.path().to_owned()];
            for store in [place.clone()]
                .into_iter()
                .chain(["making", "new", "old"].map(|name| place.with_extension(name)))
            {
                // A store that was closed has the second journal, a new one the first.
                let names = ["", "0.jnl", "1.jnl", "version", "high-water", "keyspaces"];
                paths.extend(names.map(|name| store.join(name)));
                paths.push(store);
            }
            // The first fault breaks the store; the second one is in what follows.
            let write = ("write", "error=EIO:when=1".to_owned());
            let told = with_faults(&place, &paths, &[write, (call, format!("error=ENOSPC:when={step}"))]);
            let after = format!("ENOSPC at {call} {step} of healing");
            if told.text.contains("opened") {
                assert_eq!(told.numbers("acknowledged").len(), COMMITS, "after {after}\n{}", told.text);
            }
            keeps_its_word(&place, &told, &after);
            if !told.is_injected {
                break;
            }
            faults += 1;
        }
    }
    assert!(faults > 20, "{faults} faults");
}

#[test]
fn a_mark_that_cannot_be_raised_takes_back_no_commit() {
    if !can_trace() {
        return;
    }
    let (_folder, place) = made();
    let mark = [place.join("high-water")];
    let told = with_faults(&place, &mark, &[("pwrite64", "error=EIO:when=1+".to_owned())]);
    assert!(told.is_injected);
    assert_eq!(told.numbers("acknowledged").len(), COMMITS, "{}", told.text);
    assert!(told.text.contains("mark true"), "{}", told.text);
    keeps_its_word(&place, &told, "a mark that cannot be written");
}

/// A small file system of its own, where the system lets us make one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=100m", "none"])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        println!("left out: this system does not let us mount a small file system");
        None
    }

    fn remount(&self, option: &str) {
        let option = format!("remount,{option}");
        assert!(Command::new("mount").args(["-o", &option]).arg(self.0.path()).status().unwrap().success());
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.0.path().join("fill")).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[test]
fn a_store_on_a_full_or_read_only_disk_is_opened_for_reading_and_heals() {
    for is_full in [true, false] {
        let Some(disk) = SmallDisk::mount() else { return };
        let place = disk.0.path().join("store");
        let store = Store::open(&place).unwrap();
        commit_all(&store, 1..=3);
        // A file system with open files cannot be made read-only.
        store.close();
        drop(store);
        if is_full {
            disk.fill();
        } else {
            disk.remount("ro");
        }

        let store = Store::open(&place).unwrap();
        assert!((1..4).all(|number| holds(&store, number)));
        assert!(!commit(&store, 4) || is_full);
        assert!(Store::open(&place).is_err(), "another server must not have it");
        if is_full {
            fs::remove_file(disk.0.path().join("fill")).unwrap();
        } else {
            disk.remount("rw");
        }

        heals(&store, 5);
        store.close();
        drop(store);
        let store = Store::open(&place).unwrap();
        assert!((1..4).chain([5]).all(|number| holds(&store, number)));
    }
}
