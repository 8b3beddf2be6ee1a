//! The power is cut at every step, none left out, on a disk that forgets what was not synced: each promise that was
//! given by then holds, and the store opens and takes writes.

use std::fs;
use std::path::Path;

use chrono::{DateTime, Utc};
use fixtures::forgetful::{CutPoint, DiskError, DiskImage, ForgetfulDisk, PowerCut};
use scheduler::Store;
use scheduler::store::{check, restore};

use super::kit::{beside, commit, commit_all, heals, holds, open_sound, quick_folder, written};

/// What a power cut leaves, in words.
fn told(point: &CutPoint) -> String {
    format!("{:?} at step {} ({}), {} promised", point.cut, point.step, point.after, point.promises)
}

/// The runs that are there, from 1 on without gaps.
fn newest_of(store: &Store, after: &str) -> u128 {
    let newest = (1..=100).take_while(|number| holds(store, *number)).last().unwrap_or(0);
    let beyond = (newest + 1..=100).find(|number| holds(store, *number));
    assert_eq!(beyond, None, "after {after}: {newest} is the newest without a gap");
    newest
}

/// Looks at what power cuts leave; at least so many steps must have been taken.
///
/// Every state in which nothing but what was synced is left is looked at. Of the other kinds it is one at each step,
/// in turn; with `HELIOSTAT_STEPS` set, each kind at each step.
fn for_each_cut(disk: &ForgetfulDisk, least: usize, look: impl Fn(&Path, &CutPoint)) {
    let (points, steps) = disk.cuts();
    assert!(steps >= least, "{steps} steps");
    let is_long = std::env::var_os("HELIOSTAT_STEPS").is_some();
    let others = &PowerCut::ALL[1..];
    let mut looks = 0;
    for point in &points {
        let is_due = point.cut == PowerCut::KeepsNothing || point.cut == others[point.step % others.len()];
        if is_due || is_long {
            let (_folder, place) = written(&point.image);
            look(&place, point);
            looks += 1;
        }
    }
    println!("{steps} steps, {} different states, {looks} of them looked at", points.len());
}

/// The store has at least what was promised, and takes writes.
fn keeps_promises(place: &Path, point: &CutPoint) {
    let after = told(point);
    let store = open_sound(place, &after);
    let newest = newest_of(&store, &after);
    assert!(newest >= point.promises as u128, "after {after}: only {newest} are there");
    assert!(commit(&store, newest + 1), "after {after}: {:?}", store.health());
}

/// A disk with a closed store of three runs.
fn with_three_runs() -> DiskImage {
    let disk = ForgetfulDisk::mount(&DiskImage::default(), &[]).unwrap();
    let store = Store::open(&disk.path().join("store")).unwrap();
    commit_all(&store, 1..=3);
    store.close();
    drop(store);
    disk.image()
}

#[test]
fn a_power_cut_at_any_step_of_a_first_start_is_followed_by_a_start_that_comes_up() {
    if !ForgetfulDisk::can_be_mounted() {
        return;
    }
    let disk = ForgetfulDisk::mount(&DiskImage::default(), &PowerCut::ALL).unwrap();
    let store = Store::open(&disk.path().join("store")).unwrap();
    commit_all(&store, 1..=1);
    disk.promise(1);
    drop(store);
    for_each_cut(&disk, 200, keeps_promises);
}

#[test]
fn a_power_cut_at_any_step_of_commits_loses_none_that_was_acknowledged() {
    if !ForgetfulDisk::can_be_mounted() {
        return;
    }
    let disk = ForgetfulDisk::mount(&with_three_runs(), &PowerCut::ALL).unwrap();
    let place = disk.path().join("store");
    let mut number = 3;
    disk.promise(3);
    // Closing writes the tables, and so does the next opening in its own way.
    for _ in 0..2 {
        let store = Store::open(&place).unwrap();
        for _ in 0..4 {
            number += 1;
            assert!(commit(&store, number as u128));
            disk.promise(number);
        }
        store.close();
    }
    for_each_cut(&disk, 50, keeps_promises);
}

#[test]
fn a_power_cut_at_any_step_of_healing_loses_none_that_was_acknowledged() {
    if !ForgetfulDisk::can_be_mounted() {
        return;
    }
    let disk = ForgetfulDisk::mount(&with_three_runs(), &PowerCut::ALL).unwrap();
    let store = Store::open(&disk.path().join("store")).unwrap();
    disk.promise(3);
    disk.fail_sync(DiskError::Device, ".jnl");
    // The same run is asked for again until it is taken: the first time it was refused.
    assert!(!commit(&store, 4));
    heals(&store, 4);
    assert!(disk.calm());
    disk.promise(4);
    commit_all(&store, 5..=6);
    disk.promise(6);
    drop(store);
    for_each_cut(&disk, 200, keeps_promises);
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap()
}

#[test]
fn a_power_cut_at_any_step_of_a_backup_leaves_a_whole_one_or_none() {
    if !ForgetfulDisk::can_be_mounted() {
        return;
    }
    let disk = ForgetfulDisk::mount(&with_three_runs(), &PowerCut::ALL).unwrap();
    let store = Store::open(&disk.path().join("store")).unwrap();
    let folder = disk.path().join("kept/backups");
    for made in 1..=2 {
        store.backup(&folder, now() + chrono::Duration::seconds(made)).unwrap();
        disk.promise(usize::try_from(made).unwrap());
    }
    drop(store);

    for_each_cut(&disk, 20, |place, point| {
        let after = told(point);
        let folder = place.with_file_name("kept").join("backups");
        let files = fs::read_dir(&folder).map_or_else(|_| Vec::new(), |entries| entries.flatten().collect());
        let files: Vec<_> = files.iter().map(fs::DirEntry::path).collect();
        let whole: Vec<_> = files.iter().filter(|path| path.extension().unwrap() == "backup").collect();
        assert!(whole.len() >= point.promises, "after {after}: {whole:?}");
        for backup in whole {
            let elsewhere = quick_folder();
            restore(backup, &elsewhere.path().join("store"), now())
                .unwrap_or_else(|error| panic!("after {after}: {error}"));
        }

        // What is left of one that was cut off goes with the next one.
        let store = open_sound(place, &after);
        let next = store.backup(&folder, now() + chrono::Duration::hours(1)).unwrap();
        assert!(next.path.exists(), "after {after}");
        let half = fs::read_dir(&folder).unwrap().flatten();
        let half: Vec<_> = half.filter(|entry| entry.path().extension().unwrap() != "backup").collect();
        assert!(half.is_empty(), "after {after}: {half:?}");
    });
}

#[test]
fn a_power_cut_at_any_step_of_a_restore_leaves_the_old_store_or_the_new_one() {
    if !ForgetfulDisk::can_be_mounted() {
        return;
    }
    let disk = ForgetfulDisk::mount(&with_three_runs(), &PowerCut::ALL).unwrap();
    let place = disk.path().join("store");
    let backups = quick_folder();
    let store = Store::open(&place).unwrap();
    store.backup(backups.path(), now()).unwrap();
    commit_all(&store, 4..=5);
    store.close();
    drop(store);
    disk.promise(5);
    restore(backups.path(), &place, now()).unwrap();
    // From here on it is the backup that must be there.
    disk.promise(6);

    for_each_cut(&disk, 200, |place, point| {
        if point.promises < 5 {
            return;
        }
        let after = told(point);
        let store = open_sound(place, &after);
        let newest = newest_of(&store, &after);
        let is_new = store.history().is_some();
        assert_eq!(newest, if is_new { 3 } else { 5 }, "after {after}");
        assert!(is_new || point.promises == 5, "after {after}: the restored store is gone");
        assert!(commit(&store, newest + 1), "after {after}");
        drop(store);
        // The old store is set aside, or was never touched.
        let names = beside(place);
        let mut asides = names.iter().filter(|name| name.starts_with("store.before-"));
        match asides.next() {
            Some(aside) => assert!(check(&place.with_file_name(aside)).is_ok(), "after {after}"),
            None => assert!(!is_new, "after {after}: {names:?}"),
        }
        assert!(names.iter().all(|name| !name.contains("making") && !name.contains("new")), "{names:?}");
    });
}
