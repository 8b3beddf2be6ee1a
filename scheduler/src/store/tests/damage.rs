//! Files of a store that are missing, cut off or changed: refused or told with the file's name, and left alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;

use super::super::inspection::entries;
use super::*;

/// A closed store whose records are in its tables.
async fn closed() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = filled(&path).await;
    store.close();
    (folder, path)
}

/// Every file below a folder with its bytes.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in entries(folder).unwrap().unwrap_or_default() {
        if path.is_dir() {
            found.extend(content(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// The table files of a store.
fn table_files(store: &Path) -> Vec<PathBuf> {
    let files = content(store).into_keys();
    files.filter(|path| path.parent().unwrap().ends_with("tables")).collect()
}

/// The folder of the keyspace that holds the runs: the one with the largest table.
fn keyspace_of_runs(store: &Path) -> PathBuf {
    let of_records = |path: &PathBuf| !path.starts_with(store.join("keyspaces/0"));
    let files = table_files(store).into_iter().filter(of_records);
    let largest = files.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    largest.parent().unwrap().parent().unwrap().to_owned()
}

#[tokio::test]
async fn a_store_that_lacks_a_file_is_refused_with_its_name_and_left_alone() {
    type Damage = (&'static str, &'static str, fn(&Path));
    let damages: [Damage; 9] = [
        ("*.jnl", "no journal", |store| {
            for path in entries(store).unwrap().unwrap() {
                if path.extension().is_some_and(|extension| extension == "jnl") {
                    fs::remove_file(path).unwrap();
                }
            }
        }),
        ("2.jnl", "between others", |store| fs::write(store.join("3.jnl"), "").unwrap()),
        ("current", "missing", |store| fs::remove_dir_all(store.join("keyspaces")).unwrap()),
        ("0/current", "missing", |store| fs::remove_file(store.join("keyspaces/0/current")).unwrap()),
        ("current", "missing", |store| fs::remove_file(keyspace_of_runs(store).join("current")).unwrap()),
        ("/v", "missing", |store| {
            let keyspace = keyspace_of_runs(store);
            for path in entries(&keyspace).unwrap().unwrap() {
                if path.file_name().unwrap().to_str().unwrap().starts_with('v') {
                    fs::remove_file(path).unwrap();
                }
            }
        }),
        ("store", "below `keyspaces`", |store| fs::remove_dir_all(keyspace_of_runs(store)).unwrap()),
        ("store", "cannot be read", |store| {
            let keyspace = keyspace_of_runs(store).join("tables");
            fs::remove_file(entries(&keyspace).unwrap().unwrap().remove(0)).unwrap();
        }),
        ("high-water", "length", |store| fs::write(store.join("high-water"), "abc").unwrap()),
    ];
    for (name, words, damage) in damages {
        let (_folder, path) = closed().await;
        damage(&path);
        let before = content(&path);
        let refused = check(&path).unwrap_err().to_string();
        assert_eq!(content(&path).keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "{name}");
        assert!(content(&path) == before, "a check has changed something: {name}");
        assert!(refused.contains(name) && refused.contains(words), "{name}: {refused}");
        assert!(refused.contains("heliostat store restore"), "{refused}");

        let refused = Store::open(&path).unwrap_err();
        assert!(matches!(refused, StoreError::Damaged { .. }), "{name}: {refused}");
        let tables = table_files(&path);
        assert!(before.keys().filter(|path| tables.contains(path)).count() == tables.len(), "{name}");
    }
}

#[tokio::test]
async fn a_check_of_a_closed_store_changes_nothing_and_compares_with_the_mark() {
    let (_folder, path) = closed().await;
    let before = content(&path);
    let expected = Checked { commit: 1, projects: 1, runs: 2, live: 1, problems: Vec::new() };
    assert_eq!(check(&path).unwrap(), expected);
    assert!(content(&path) == before);

    fs::write(path.join("high-water"), 2_u64.to_be_bytes()).unwrap();
    assert!(matches!(check(&path), Err(StoreError::Lost { found: 1, expected: 2, .. })));
}

#[tokio::test]
async fn a_table_that_cannot_be_read_is_told_and_forgotten_once_it_can() {
    let (_folder, path) = closed().await;
    let table = entries(&keyspace_of_runs(&path).join("tables")).unwrap().unwrap().remove(0);
    let file = fs::OpenOptions::new().read(true).write(true).open(&table).unwrap();
    let store = Store::open(&path).unwrap();
    let whole = fs::read(&table).unwrap();
    // The first block holds records.
    file.write_all_at(&[whole[40] ^ 1], 40).unwrap();
    let checked = store.check().unwrap();
    assert_eq!(checked.problems.len(), 1, "{:?}", checked.problems);
    assert!(checked.problems[0].contains("cannot be read"), "{:?}", checked.problems);
    let damage = store.health().unreadable.remove(0);
    assert!(damage.reason.contains(keyspace_of_runs(&path).to_str().unwrap()), "{}", damage.reason);
    assert!(damage.reason.contains("heliostat store restore"), "{}", damage.reason);

    file.write_all_at(&whole[40..=40], 40).unwrap();
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    assert_eq!(store.health(), StoreHealth::default());
}

#[tokio::test]
async fn a_flipped_bit_anywhere_in_a_store_is_found_or_harmless() {
    let (_folder, path) = closed().await;
    let sound = check(&path).unwrap();
    for (file, bytes) in content(&path) {
        let open = fs::OpenOptions::new().write(true).open(&file).unwrap();
        let step = (bytes.len() / 5).max(1);
        for place in (0..bytes.len().min(40_000)).step_by(step) {
            open.write_all_at(&[bytes[place] ^ 4], place as u64).unwrap();
            if let Ok(checked) = check(&path) {
                let harmless = checked == sound;
                assert!(
                    harmless || !checked.problems.is_empty(),
                    "{} at {place}: {checked:?}",
                    file.display()
                );
            }
            open.write_all_at(&bytes[place..=place], place as u64).unwrap();
        }
    }
}

#[tokio::test]
async fn a_commit_counts_as_torn_only_at_the_end_and_if_nobody_was_told_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::open(&path).unwrap();
    for number in 1..=3 {
        store.commit(vec![Write::Run(run(number, "p", ended()))]).await.unwrap();
    }
    // Not closed: the runs are in the journal alone.
    drop(store);
    let journal = path.join("0.jnl");
    let whole = fs::read(&journal).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let flip = |place: usize| {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        fs::write(&journal, &bytes).unwrap();
        bytes
    };

    // Whole commits follow: this is damage.
    let damaged = flip(70);
    for _ in 0..2 {
        let refused = Store::open(&path).unwrap_err();
        assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
        assert!(fs::read(&journal).unwrap() == damaged, "the journal was changed");
    }

    // The mark says that somebody was told of the last one.
    let damaged = flip(end - 40);
    let refused = Store::open(&path).unwrap_err();
    assert!(matches!(refused, StoreError::Lost { found: 2, expected: 3, .. }), "{refused}");
    assert!(matches!(check(&path), Err(StoreError::Lost { .. })));
    assert!(fs::read(&journal).unwrap() == damaged, "the journal was changed");

    // Before that, a power cut may have torn it.
    fs::write(path.join("high-water"), 2_u64.to_be_bytes()).unwrap();
    assert_eq!(check(&path).unwrap().commit, 2);
    assert!(fs::read(&journal).unwrap() == damaged, "a check changed the journal");
    let store = Store::open(&path).unwrap();
    assert_eq!(store.runs(None, None, 10).unwrap().len(), 2);
    store.commit(vec![Write::Run(run(4, "p", ended()))]).await.unwrap();
    drop(store);
    assert_eq!(Store::open(&path).unwrap().runs(None, None, 10).unwrap().len(), 3);
}
