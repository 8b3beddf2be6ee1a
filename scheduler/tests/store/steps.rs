//! Each operation on the disk fails once, counted and none left out: what was acknowledged is there, also after a
//! power cut, what was refused is not, and the store opens and takes writes.

use fixtures::forgetful::{DiskError, DiskImage, ForgetfulDisk, PowerCut};
use scheduler::Store;
use scheduler::store::restore;

use super::kit::{comes_up, commit, commit_all, heals, holds, open_sound, quick_folder, written};

/// Each of the errors.
const ERRORS: [DiskError; 3] = [DiskError::Device, DiskError::Full, DiskError::ReadOnly];

/// A disk with a store of three runs. It is closed, so that they are in its tables, or was killed.
fn with_three_runs(is_closed: bool) -> DiskImage {
    let disk = ForgetfulDisk::mount(&DiskImage::default(), &[]).unwrap();
    let store = Store::open(&disk.path().join("store")).unwrap();
    commit_all(&store, 1..=3);
    if is_closed {
        store.close();
    }
    drop(store);
    disk.image()
}

/// Operations from one failure to the next in the short form of a test that has thousands of them.
const STRIDE: usize = 16;

/// Lets operations of `work` fail, each on a disk of its own, until there is none left to fail, and looks at what is
/// left. It is each `stride`th of them; with `HELIOSTAT_STEPS` set, each one.
fn for_each_failure<Done>(
    image: &DiskImage,
    (errors, stride): (&[DiskError], usize),
    least: usize,
    work: impl Fn(&ForgetfulDisk) -> Done,
    look: impl Fn(&ForgetfulDisk, Done, &str),
) {
    let stride = if std::env::var_os("HELIOSTAT_STEPS").is_some() { 1 } else { stride };
    for error in errors {
        let mut failures = 0;
        for step in (1..).step_by(stride) {
            let disk = ForgetfulDisk::mount(image, &[PowerCut::KeepsNothing]).unwrap();
            disk.fail(*error, step);
            let done = work(&disk);
            let has_failed = disk.calm();
            look(&disk, done, &format!("{error:?} at operation {step}"));
            if !has_failed {
                break;
            }
            failures += 1;
        }
        println!("{failures} operations failed with {error:?}, one in {stride}");
        assert!(failures * stride >= least, "{failures} operations");
    }
}

/// What each of a process that is killed now and of a power cut leaves.
fn left_by(disk: &ForgetfulDisk) -> [DiskImage; 2] {
    disk.promise(0);
    [disk.image(), disk.cuts().0.pop().unwrap().image]
}

#[test]
fn each_operation_of_a_first_start_may_fail() {
    if !ForgetfulDisk::can_be_mounted() {
        return;
    }
    for_each_failure(
        &DiskImage::default(),
        (&[DiskError::Full], STRIDE),
        200,
        |disk| drop(Store::open(&disk.path().join("store"))),
        |disk, (), after| {
            let (_folder, place) = written(&disk.image());
            comes_up(&place, after);
        },
    );
}

#[test]
fn each_operation_of_an_opening_and_of_commits_may_fail() {
    if !ForgetfulDisk::can_be_mounted() {
        return;
    }
    for is_closed in [true, false] {
        let work = |disk: &ForgetfulDisk| {
            let (mut acknowledged, mut refused) = (vec![1, 2, 3], Vec::new());
            if let Ok(store) = Store::open(&disk.path().join("store")) {
                for number in 4..=6 {
                    let list = if commit(&store, number) { &mut acknowledged } else { &mut refused };
                    list.push(number);
                }
                heals(&store, 7);
                acknowledged.push(7);
            }
            (acknowledged, refused)
        };
        let image = with_three_runs(is_closed);
        for_each_failure(&image, (&ERRORS, STRIDE), 50, work, |disk, (acknowledged, refused), after| {
            for image in left_by(disk) {
                let (_folder, place) = written(&image);
                let store = open_sound(&place, after);
                let lost = acknowledged.iter().find(|number| !holds(&store, **number));
                assert_eq!(lost, None, "after {after}");
                let there = refused.iter().find(|number| holds(&store, **number));
                assert_eq!(there, None, "after {after}: it was refused");
            }
        });
    }
}

#[test]
fn each_operation_of_a_backup_may_fail_and_leaves_no_half_file() {
    if !ForgetfulDisk::can_be_mounted() {
        return;
    }
    let store_folder = quick_folder();
    let store = Store::open(&store_folder.path().join("store")).unwrap();
    commit_all(&store, 1..=3);
    let now = chrono::DateTime::from_timestamp(1_767_225_600, 0).unwrap();
    let work = |disk: &ForgetfulDisk| store.backup(&disk.path().join("backups"), now);
    for_each_failure(&DiskImage::default(), (&ERRORS, 1), 8, work, |disk, made, after| {
        let folder = disk.path().join("backups");
        let files: Vec<_> =
            std::fs::read_dir(&folder).map_or_else(|_| Vec::new(), |entries| entries.flatten().collect());
        match made {
            Ok(backup) => assert!(files.len() == 1 && files[0].path() == backup.path, "after {after}"),
            Err(error) => {
                let is_said = error.to_string().contains("backups");
                assert!(is_said, "after {after}: {error}");
                // Where only the folder could not be synced, the file is whole.
                let half = files.iter().find(|file| file.path().extension().unwrap() != "backup");
                assert!(half.is_none(), "after {after}: {half:?}");
            }
        }
    });
}

#[test]
fn each_operation_of_a_restore_may_fail_and_leaves_the_old_store_or_the_new_one() {
    if !ForgetfulDisk::can_be_mounted() {
        return;
    }
    let backups = quick_folder();
    let image = {
        let disk = ForgetfulDisk::mount(&with_three_runs(true), &[]).unwrap();
        let store = Store::open(&disk.path().join("store")).unwrap();
        store.backup(backups.path(), chrono::DateTime::UNIX_EPOCH).unwrap();
        commit_all(&store, 4..=5);
        store.close();
        drop(store);
        disk.image()
    };
    let now = chrono::DateTime::UNIX_EPOCH;
    let work = |disk: &ForgetfulDisk| restore(backups.path(), &disk.path().join("store"), now);
    for_each_failure(&image, (&[DiskError::Full], STRIDE), 200, work, |disk, restored, after| {
        let [killed, _] = left_by(disk);
        if restored.is_err() {
            let half = disk.path().join("store.making");
            assert!(!half.exists(), "after {after}: {}", half.display());
        }
        let (_folder, place) = written(&killed);
        let store = open_sound(&place, after);
        let is_new = store.history().is_some();
        assert_eq!(holds(&store, 5), !is_new, "after {after}");
        assert!(holds(&store, 3) && (is_new || restored.is_err()), "after {after}");
    });
}
