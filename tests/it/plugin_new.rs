//! `plugin new`: the project that it writes compiles to a component, and its own tests pass; so do the plugins of the
//! document, which a running server takes one after the other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::kit::{Server, Upstream, heliostat, said, wait_for};

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

/// A new project, with this source in the place of its own if any is given.
fn project(folder: &Path, name: &str, source: Option<&str>) -> PathBuf {
    let sdk = root().join("plugins/sdk").display().to_string();
    let output = new(folder, &[name, "--sdk", &sdk]);
    assert!(output.status.success(), "{}", said(&output));
    let project = folder.join(name);
    // The versions that are on this machine already.
    fs::copy(root().join("plugins/examples/Cargo.lock"), project.join("Cargo.lock")).unwrap();
    if let Some(source) = source {
        fs::write(project.join("src/lib.rs"), source).unwrap();
    }
    project
}

/// The component that a project compiles to; none, where there is no toolchain.
fn compiled(project: &Path) -> Option<Vec<u8>> {
    let toolchain = toolchain()?;
    let manifest = project.join("Cargo.toml").display().to_string();
    let built = Command::new(root().join("scripts/build-guests"))
        .args(["--cargo", "build", "--release", "--quiet", "--manifest-path", &manifest])
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", said(&built));
    let target = if toolchain == "wasip2" { "wasm32-wasip2" } else { "wasm32-unknown-unknown" };
    let name = project.file_name().unwrap().to_string_lossy().replace('-', "_");
    let file = root().join(format!("target/guests-build/{toolchain}/{target}/release/{name}.wasm"));
    Some(fs::read(file).unwrap())
}

fn holds(component: &[u8], text: &str) -> bool {
    component.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_new_project_compiles_to_a_component_and_passes_its_own_tests() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path(), "first-try", None);
    let Some(component) = compiled(&project) else { return };
    assert_eq!(component[..8], *b"\0asm\x0d\0\x01\0", "it is no component");
    assert!(holds(&component, "heliostat:plugin/pre-hook@0.1.0"));
    let tested = Command::new(env!("CARGO"))
        .args(["test", "--quiet", "--lib", "--manifest-path"])
        .arg(project.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", root().join("target/guests-native"))
        .output()
        .unwrap();
    assert!(tested.status.success(), "{}", said(&tested));
}

/// The plugins of the document, as somebody would copy them from there: a hook, and a policy.
#[test]
fn the_plugins_of_the_document_compile_and_do_what_it_says_while_a_server_runs() {
    let document = fs::read_to_string(root().join("docs/plugins.md")).unwrap();
    let blocks: Vec<&str> =
        document.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [hook, policy] = blocks[..] else { panic!("{} plugins stand in the document", blocks.len()) };
    let folder = tempfile::tempdir().unwrap();
    let Some(hook) = compiled(&project(folder.path(), "weekend", Some(hook))) else { return };
    let Some(policy) = compiled(&project(folder.path(), "sooner", Some(policy))) else { return };
    // Both in the place of one plugin, one after the other.
    let load = r#"plugins: (folder: "FOLDER", load: [(id: "mine", path: "mine.wasm")]), "#;
    let mut server = Server::start_with(load, |text, folder| {
        fs::write(folder.join("mine.wasm"), &policy).unwrap();
        text.replace("FOLDER", &folder.display().to_string())
    });
    server.ready();
    let upstream = Upstream::start(3);
    // Nothing fires by itself meanwhile: what is next is the policy's word.
    let settings = json!({"schedule": {"cron": "0 0 1 1 *"}, "labels": {"size": "large"}});
    server.project("p", &upstream.url("data"), &settings);
    let minutes = |server: &Server| {
        let shown = wait_for("the policy's word", || {
            Some(server.get("/api/v1/projects/p").json()).filter(|shown| shown["next_by"] == "mine")
        });
        let time = |value: &Value| value.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        (time(&shown["next_run"]) - time(&shown["last_run"]["ended"])).num_minutes()
    };
    assert_eq!(server.ended(&server.sync("p"))["state"], "succeeded");
    assert_eq!(minutes(&server), 10, "something was new");
    assert_eq!(server.ended(&server.sync("p"))["state"], "unchanged");
    wait_for("the longer pause", || (minutes(&server) >= 359).then_some(()));

    let replace = |server: &Server, bytes: &[u8]| {
        fs::write(server.path("mine.new"), bytes).unwrap();
        fs::rename(server.path("mine.new"), server.path("mine.wasm")).unwrap();
        let output = server.command(&["reload"]);
        assert!(output.status.success(), "{}", said(&output));
        server.get("/api/v1/plugins/mine").json()
    };
    // A broken file leaves the one before it going, and says so.
    let stale = replace(&server, &hook[..hook.len() / 2]);
    assert_eq!((&stale["state"], &stale["reloads"]), (&json!("stale"), &json!(0)), "{stale}");
    assert!(stale["refused"].as_str().unwrap().contains("cannot be read as a component"), "{stale}");
    fs::write(upstream.tree().join("news"), "x").unwrap();
    server.ended(&server.sync("p"));
    wait_for("the old policy", || (minutes(&server) == 10).then_some(()));
    // A good one is another plugin from the next call on.
    let new = replace(&server, &hook);
    assert_eq!((&new["state"], &new["reloads"]), (&json!("loaded"), &json!(1)), "{new}");
    assert!(new["refused"].is_null() && new["sha256"] != stale["sha256"], "{new}");
    let run = server.ended(&server.sync("p"));
    let weekend = chrono::Datelike::weekday(&chrono::Utc::now()).num_days_from_monday() >= 5;
    assert_eq!(run["state"], if weekend { "unchanged" } else { "skipped" }, "{run}");
    assert_eq!(run["hooks"][0]["plugin"], "mine", "{run}");
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
