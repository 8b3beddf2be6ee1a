//! `plugin check`, `test` and `replay`: what they say of files that are no plugins, and of real ones where
//! `scripts/build-guests` has compiled them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::kit::{guest, heliostat, said};

fn plugin(folder: &Path, words: &[&str]) -> Output {
    Command::new(heliostat())
        .arg("plugin")
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn a_file_that_no_server_would_take_is_refused_with_2_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("core.wasm"), b"\0asm\x01\0\0\0").unwrap();
    fs::write(folder.path().join("cut.wasm"), b"\0asm\x0d\0\x01\0\x07").unwrap();
    for (file, wanted) in [
        ("core.wasm", "it is a core module, not a component: build it with"),
        ("cut.wasm", "it cannot be read as a component"),
        ("none.wasm", "none.wasm cannot be read: No such file"),
    ] {
        for words in [&["check", file][..], &["test", file, "--hook", "pre-sync"]] {
            let output = plugin(folder.path(), words);
            assert_eq!(output.status.code(), Some(2), "{words:?}: {}", said(&output));
            assert!(said(&output).contains(wanted), "{words:?}: {}", said(&output));
        }
    }
}

#[test]
fn a_real_plugin_is_checked_and_tried_with_what_it_was_granted() {
    let Some(file) = guest("c-hold-file") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = file.display().to_string();
    let output = plugin(folder.path(), &["check", &file, "--output", "json"]);
    assert!(output.status.success(), "{}", said(&output));
    let shape: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&shape["world"], &shape["needs"][0]), (&"pre".into(), &"dest".into()));

    let try_it = |words: &[&str]| {
        let mut all = vec!["test", &file, "--hook", "pre-sync", "--output", "json"];
        all.extend(words);
        plugin(folder.path(), &all)
    };
    let output = try_it(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("it imports dest: grant `dest_read` or `dest_write`"),
        "{}",
        said(&output)
    );
    fs::write(folder.path().join("hold"), "").unwrap();
    let context = serde_json::json!({ "project": { "dest": folder.path() } });
    fs::write(folder.path().join("context.json"), context.to_string()).unwrap();
    let output = try_it(&["--dest-read", "hold", "--set", "file=hold", "--context", "context.json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["answer"]["decision"], "delay", "{answer}");
    fs::write(folder.path().join("context.json"), r#"{"projekt": 1}"#).unwrap();
    let output = try_it(&["--dest-read", "hold", "--context", "context.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("projekt"), "{}", said(&output));
}
