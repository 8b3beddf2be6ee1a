//! The structure stays what ARCHITECTURE.md says: who may know whom, and what every file must have.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The rows of the import table in ARCHITECTURE.md: a crate, and the crates of ours that it may use.
fn allowed() -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let table = text.split("<!-- imports -->").nth(1).unwrap();
    let names =
        |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        (names(cells[1]).remove(0), names(cells[2]))
    })
    .collect()
}

#[test]
fn crates_know_only_whom_the_architecture_lets_them_know() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: Vec<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let allowed = allowed();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let may = allowed.get(name).unwrap_or_else(|| panic!("{name} is not in the import table"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            let test_only = dependency["kind"] == "dev";
            if ours.contains(&other) && !test_only {
                assert!(may.iter().any(|allowed| allowed == other), "{name} must not know {other}");
            }
        }
    }
    assert_eq!(allowed.len(), ours.len(), "the import table names crates that are not there");
}

fn sources() -> Vec<PathBuf> {
    let folders = ["engine", "scheduler", "plugins", "api", "fixtures", "tests"];
    let files =
        folders.iter().flat_map(|folder| walkdir::WalkDir::new(root().join(folder)).into_iter().flatten());
    files
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

#[test]
fn every_file_says_first_what_it_is_for_and_stays_small() {
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.display();
        assert!(text.starts_with("//!"), "{name} does not begin with its module documentation");
        let lines = text.lines().count();
        assert!(lines <= 450, "{name} has {lines} lines: it holds more than one subject");
    }
}

#[test]
fn no_dependency_is_held_at_one_release() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let pinned: Vec<&str> = manifest.lines().filter(|line| line.contains("\"=")).collect();
    assert!(pinned.is_empty(), "a release that mends a hole would wait for an edit here: {pinned:?}");
}

#[test]
fn nothing_is_left_for_later() {
    // Written apart, so that this file does not find itself.
    let words = [["TO", "DO"], ["FIX", "ME"], ["todo", "!("], ["unimplemented", "!("], ["dbg", "!("]];
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        for word in words.iter().map(|parts| parts.concat()) {
            assert!(!text.contains(&word), "{} holds `{word}`", path.display());
        }
    }
}

#[test]
fn no_module_leads_in_a_circle_between_the_crates_faces() {
    // The scheduler does not know HTTP, and the engine does not know projects: their sources do not even name them.
    for (folder, words) in [("engine/src", ["ProjectId", "axum"]), ("scheduler/src", ["axum", "hyper::"])] {
        for entry in walkdir::WalkDir::new(root().join(folder))
            .into_iter()
            .flatten()
            .filter(|entry| entry.file_type().is_file())
        {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            for word in words {
                assert!(!text.contains(word), "{} names {word}", entry.path().display());
            }
        }
    }
}
