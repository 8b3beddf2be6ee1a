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

/// Everything for which a server refuses a plugin at load, each with what to do.
#[test]
fn every_plugin_of_a_configuration_is_checked_as_a_server_would_load_it() {
    let Some(good) = guest("c-hold-file") else { return };
    let folder = tempfile::tempdir().unwrap();
    let bytes = fs::read(&good).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("good.wasm", &bytes);
    write("cut.wasm", &bytes[..bytes.len() / 2]);
    write("core.wasm", b"\0asm\x01\0\0\0");
    write("empty-component.wasm", b"\0asm\x0d\0\x01\0");
    // One byte of the version in the name of its export: 0.1.0 becomes 0.9.0 wherever it stands.
    let newer = String::from_utf8_lossy(&bytes).matches("heliostat:plugin/pre-hook@0.1.0").count();
    assert!(newer > 0, "the guest names its version");
    let mut newer = bytes.clone();
    let name = b"heliostat:plugin/";
    for at in 0..newer.len() - 40 {
        if newer[at..].starts_with(name) {
            let version = newer[at..at + 40].windows(5).position(|five| five == b"0.1.0");
            if let Some(version) = version {
                newer[at + version + 2] = b'9';
            }
        }
    }
    write("newer.wasm", &newer);
    let pinned = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let granted = r#"grants: (dest_read: ["hold"])"#;
    let cases = [
        ("core", "core.wasm", granted.to_owned(), "it is a core module, not a component: build it with"),
        ("cut", "cut.wasm", granted.to_owned(), "it cannot be read as a component"),
        ("world", "empty-component.wasm", granted.to_owned(), "it is a component for another world"),
        ("newer", "newer.wasm", granted.to_owned(), "it was built for version 0.9.0 of heliostat:plugin"),
        (
            "pin",
            "good.wasm",
            format!("{granted}, sha256: \"{pinned}\""),
            "and the configuration wants e3b0c442",
        ),
        ("grant", "good.wasm", String::new(), "it imports dest: grant `dest_read` or `dest_write`"),
        (
            "pattern",
            "good.wasm",
            format!("{granted}, projects: [\"tag:x\"]"),
            "`projects`: `tag:x` holds `:`",
        ),
        ("part", "good.wasm", format!("{granted}, hooks: [Policy]"), "it has no policy, only pre-sync"),
        ("gone", "gone.wasm", granted.to_owned(), "gone.wasm cannot be read: No such file"),
    ];
    let config = |load: &str| {
        let (place, file) = (folder.path().display(), folder.path().join("heliostat.ron"));
        let text = format!(
            r#"(data_dir: "{place}/data", plugins: (folder: "{place}", load: [{load}]), role: Master())"#
        );
        fs::write(&file, text).unwrap();
        plugin(folder.path(), &["check", "--config", "heliostat.ron"])
    };
    let entry =
        |id: &str, path: &str, more: &str| format!(r#"(id: "{id}", path: "{path}", required: true, {more})"#);
    for (id, path, more, wanted) in &cases {
        let output = config(&entry(id, path, more));
        let text = said(&output);
        assert_eq!(output.status.code(), Some(2), "{id}: {text}");
        assert!(text.contains(wanted) && text.contains(&format!("{id}: ")), "{id}: {text}");
    }
    let all: Vec<String> = cases.iter().map(|(id, path, more, _)| entry(id, path, more)).collect();
    let text = said(&config(&all.join(", ")));
    assert!(cases.iter().all(|(_, _, _, wanted)| text.contains(wanted)), "all are told at once: {text}");
    let output = config(&entry("good", "good.wasm", granted));
    assert!(output.status.success() && said(&output).contains("good.wasm"), "{}", said(&output));
    assert!(!folder.path().join("data").exists(), "a check leaves nothing behind");
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
