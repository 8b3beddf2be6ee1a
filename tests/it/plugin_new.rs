//! `plugin new`: the project that it writes compiles to a component, and its own tests pass.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::kit::{heliostat, said};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn new(folder: &Path, words: &[&str]) -> Output {
    Command::new(heliostat())
        .args(["plugin", "new"])
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The toolchain for WebAssembly that `scripts/build-guests` finds; none, and the caller leaves its part out.
fn toolchain() -> Option<String> {
    let output = Command::new(root().join("scripts/build-guests")).arg("--toolchain").output().unwrap();
    if output.status.success() {
        return Some(String::from_utf8(output.stdout).unwrap().trim().to_owned());
    }
    assert_eq!(output.status.code(), Some(77), "{}", said(&output));
    eprintln!("left out: compiling the new project, since {}", said(&output).trim());
    None
}

#[test]
fn a_new_project_compiles_to_a_component_and_passes_its_own_tests() {
    let folder = tempfile::tempdir().unwrap();
    let sdk = root().join("plugins/sdk").display().to_string();
    let output = new(folder.path(), &["first-try", "--sdk", &sdk]);
    assert!(output.status.success(), "{}", said(&output));
    let project = folder.path().join("first-try");
    // The versions that are on this machine already.
    fs::copy(root().join("plugins/examples/Cargo.lock"), project.join("Cargo.lock")).unwrap();
    let manifest = project.join("Cargo.toml").display().to_string();

    let Some(toolchain) = toolchain() else { return };
    let built = Command::new(root().join("scripts/build-guests"))
        .args(["--cargo", "build", "--release", "--quiet", "--manifest-path", &manifest])
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", said(&built));
    let target = if toolchain == "wasip2" { "wasm32-wasip2" } else { "wasm32-unknown-unknown" };
    let file = root().join(format!("target/guests-build/{toolchain}/{target}/release/first_try.wasm"));
    let component = fs::read(file).unwrap();
    assert_eq!(component[..8], *b"\0asm\x0d\0\x01\0", "it is no component");
    let export = b"heliostat:plugin/pre-hook@0.1.0";
    assert!(component.windows(export.len()).any(|window| window == export));

    let tested = Command::new(env!("CARGO"))
        .args(["test", "--quiet", "--lib", "--manifest-path", &manifest])
        .env("CARGO_TARGET_DIR", root().join("target/guests-native"))
        .output()
        .unwrap();
    assert!(tested.status.success(), "{}", said(&tested));
}

#[test]
fn a_new_project_depends_on_the_published_crate_and_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let output = new(folder.path(), &["my-plugin"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("heliostat plugin check target/wasm32-wasip2/release/my_plugin.wasm"));
    let manifest = fs::read_to_string(folder.path().join("my-plugin/Cargo.toml")).unwrap();
    assert!(manifest.contains("name = \"my-plugin\"") && manifest.contains("heliostat-plugin = \"0.1\""));
    fs::write(folder.path().join("my-plugin/src/lib.rs"), "mine").unwrap();
    let again = new(folder.path(), &["my-plugin"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("my-plugin is there already"), "{}", said(&again));
    assert_eq!(fs::read_to_string(folder.path().join("my-plugin/src/lib.rs")).unwrap(), "mine");
}

#[test]
fn a_wrong_name_or_sdk_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    for (words, told) in [
        (&["My_Plugin"][..], "`My_Plugin` is no name for a plugin"),
        (&["../up"], "`../up` is no name for a plugin"),
        (&["fine", "--sdk", "nowhere"], "--sdk nowhere: its Cargo.toml cannot be read"),
    ] {
        let output = new(folder.path(), words);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(told), "{}", said(&output));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
