//! What is refused when it is loaded, and what the sentence says.

use plugins::{Digest, Part, Plugins, Services, Settings};

use crate::guests::{self, component, component_of, contract, module, policy, pre, proceed};
use crate::kit::Place;

#[tokio::test]
async fn a_good_hook_is_loaded_and_known_by_its_digest_and_version() {
    let place = Place::new();
    let bytes = proceed();
    let mut plugin = place.plugin("good", &bytes);
    plugin.sha256 = Some(Digest::of(&bytes));
    plugin.parts = vec![Part::PreSync];
    let report = place.load(vec![plugin]).await.list().remove(0);
    let shape = report.shape.unwrap();
    assert_eq!((shape.digest, shape.bytes), (Digest::of(&bytes), bytes.len() as u64));
    assert_eq!((shape.version.as_str(), shape.world(), shape.parts), ("0.1.0", "pre", vec![Part::PreSync]));
    assert_eq!((shape.needs, report.refused, report.calls.calls), (vec![], None, 0));
}

#[tokio::test]
async fn what_is_no_component_is_told_what_it_is() {
    let place = Place::new();
    let core = wat::parse_str("(module)").unwrap();
    let good = proceed();
    let cases: [(&str, &[u8], &str); 6] = [
        ("core", &core, "wasm32-wasip2"),
        ("text", b"#!/bin/sh\n", "no WebAssembly"),
        ("empty", b"", "no WebAssembly"),
        ("short", &good[..6], "ends within"),
        ("cut", &good[..good.len() / 2], "cannot be read as a component"),
        ("strange", b"\0asm\x07\0\0\0", "not known here"),
    ];
    for (id, bytes, expected) in cases {
        let refused = place.refusal(place.plugin(id, bytes)).await;
        assert!(refused.contains(expected), "{id}: {refused}");
    }
    let mut missing = place.plugin("missing", b"");
    missing.path = "nowhere.wasm".into();
    assert!(place.refusal(missing).await.contains("nowhere.wasm cannot be read: No such file"));
    let mut folder = place.plugin("folder", b"");
    folder.path = ".".into();
    assert!(place.refusal(folder).await.contains("it is no file"));
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_read() {
    let place = Place::new();
    let plugin = place.plugin("large", b"");
    let file = std::fs::File::options().write(true).open(place.path("large.wasm")).unwrap();
    file.set_len(plugins::MAX_BYTES + 1).unwrap();
    assert!(place.refusal(plugin).await.contains("67108865 bytes"));
}

#[tokio::test]
async fn another_digest_than_the_pinned_one_is_refused_with_both() {
    let place = Place::new();
    let bytes = proceed();
    let mut plugin = place.plugin("pinned", &bytes);
    plugin.sha256 = Some(Digest::of(b"other"));
    let refused = place.refusal(plugin).await;
    assert!(refused.contains(&Digest::of(&bytes).to_string()), "{refused}");
    assert!(refused.contains(&Digest::of(b"other").to_string()), "{refused}");
}

#[tokio::test]
async fn a_component_of_another_world_is_told_what_it_exports() {
    let place = Place::new();
    let package = "package some:thing@1.0.0; interface api { go: func(); } world w { export api; }";
    let module = r#"(module (func (export "some:thing/api@1.0.0#go")))"#;
    let bytes = component_of(&[package], "w", module);
    let refused = place.refusal(place.plugin("other", &bytes)).await;
    assert!(refused.contains("it exports some:thing/api@1.0.0"), "{refused}");
}

#[tokio::test]
async fn another_version_is_named_beside_the_one_that_is_spoken() {
    let place = Place::new();
    for version in ["0.2.0", "1.0.0"] {
        let contract = contract().replace("@0.1.0", &format!("@{version}"));
        let hook = format!(
            r#"(func (export "heliostat:plugin/pre-hook@{version}#pre-sync") (param i32) (result i32) (i32.const 64))"#
        );
        let bytes = component_of(&[&contract], "pre", &module("", "", &hook));
        let refused = place.refusal(place.plugin("newer", &bytes)).await;
        assert!(refused.contains(&format!("built for version {version}")), "{refused}");
        assert!(refused.contains("speaks 0.1"), "{refused}");
    }
}

#[tokio::test]
async fn a_contract_with_another_shape_under_the_same_version_does_not_start() {
    let place = Place::new();
    let grown = contract().replace("        delays: u32,\n", "        delays: u32,\n        more: u32,\n");
    assert_ne!(grown, contract());
    let hook = r#"(func (export "heliostat:plugin/pre-hook@0.1.0#pre-sync") (param i32) (result i32) (i32.const 64))"#;
    let bytes = component_of(&[&grown], "pre", &module("", "", hook));
    let refused = place.refusal(place.plugin("drifted", &bytes)).await;
    assert!(refused.contains("does not fit heliostat:plugin 0.1"), "{refused}");
}

#[tokio::test]
async fn an_import_from_elsewhere_is_refused_by_its_name() {
    let place = Place::new();
    let package = "package wasi:http@0.2.0; interface types { f: func(); }";
    let world =
        "package x:y; world w { import wasi:http/types@0.2.0; export heliostat:plugin/pre-hook@0.1.0; }";
    let hook = r#"(func (export "heliostat:plugin/pre-hook@0.1.0#pre-sync") (param i32) (result i32) (call $f) (i32.const 64))"#;
    let import = r#"(import "wasi:http/types@0.2.0" "f" (func $f))"#;
    let bytes = component_of(&[package, &contract(), world], "w", &module(import, "", hook));
    let refused = place.refusal(place.plugin("web", &bytes)).await;
    assert!(refused.contains("it imports wasi:http/types@0.2.0"), "{refused}");
}

#[tokio::test]
async fn a_missing_grant_is_named_with_the_key_that_gives_it() {
    let place = Place::new();
    let unused = "(i32.const 64)";
    let send = "(call $send (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 128))";
    let get = "(call $get (i32.const 0) (i32.const 0) (i32.const 128))";
    let put = "(call $put (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 128))";
    for (import, call, name, key) in [
        (guests::HTTP, send, "http", "`http`"),
        (guests::KV, get, "kv", "`kv_kib`"),
        (guests::DEST, put, "dest", "`dest_read` or `dest_write`"),
    ] {
        let bytes = pre(import, "", &format!("{call} {unused}"));
        let refused = place.refusal(place.plugin(name, &bytes)).await;
        assert!(refused.starts_with(&format!("it imports {name}: grant {key}")), "{refused}");
        let shape = plugins::check(&place.path(&format!("{name}.wasm"))).await.unwrap();
        assert_eq!(shape.needs.iter().map(|need| need.as_str()).collect::<Vec<_>>(), [name]);
    }
}

#[tokio::test]
async fn a_policy_that_looks_at_the_world_is_refused() {
    let place = Place::new();
    let world =
        "package x:y; world w { import heliostat:plugin/clock@0.1.0; export heliostat:plugin/policy@0.1.0; }";
    let import = r#"(import "heliostat:plugin/clock@0.1.0" "now-ms" (func $now (result i64)))"#;
    let functions = r#"(func (export "heliostat:plugin/policy@0.1.0#pick") (param i64 i32 i32 i32 i32 i32) (result i32)
            (drop (call $now)) (i32.const 64))
        (func (export "heliostat:plugin/policy@0.1.0#next-delay") (param i32) (result i32) (i32.const 64))"#;
    let bytes = component_of(&[&contract(), world], "w", &module(import, "", functions));
    let refused = place.refusal(place.plugin("curious", &bytes)).await;
    assert!(refused.contains("it is a policy and imports `clock`"), "{refused}");
}

#[tokio::test]
async fn a_part_that_is_wanted_and_not_there_is_refused() {
    let place = Place::new();
    let mut plugin = place.plugin("pre-only", &proceed());
    plugin.parts = vec![Part::PostSync];
    let refused = place.refusal(plugin).await;
    assert!(refused.contains("it has no post-sync, only pre-sync"), "{refused}");
}

#[tokio::test]
async fn a_start_function_is_bounded_as_a_call_is() {
    let place = Place::new();
    let hook = r#"(func (export "heliostat:plugin/pre-hook@0.1.0#pre-sync") (param i32) (result i32) (i32.const 64))
        (func $start (loop (br 0))) (start $start)"#;
    let bytes = component("pre", &module("", "", hook));
    let refused = place.refusal(place.plugin("slow-start", &bytes)).await;
    assert!(refused.contains("it did not start: it was stopped when it had used its 200 ms"), "{refused}");
}

#[tokio::test]
async fn a_required_plugin_that_is_refused_keeps_the_server_from_starting() {
    let place = Place::new();
    let mut plugin = place.plugin("gate", b"");
    plugin.required = true;
    let answer = Plugins::load(place.settings(vec![plugin]), Services::default()).await;
    let error = answer.unwrap_err().to_string();
    assert!(error.starts_with("plugin gate is required and was refused: it is no WebAssembly"), "{error}");
}

#[tokio::test]
async fn compiled_code_is_kept_and_found_again() {
    let place = Place::new();
    let plugin = place.plugin("kept", &policy("", "(i32.const 64)", "(i32.const 64)"));
    let settings = Settings { cache: Some(place.path("cache")), ..place.settings(vec![plugin]) };
    for _ in 0..2 {
        let plugins = place.load_all(settings.clone()).await;
        assert_eq!(plugins.list()[0].refused, None);
    }
    // A file that is damaged is compiled anew, and never trusted.
    let files = walk(&place.path("cache"));
    assert!(!files.is_empty(), "nothing was kept");
    for file in files {
        std::fs::write(file, b"\x7fELF").unwrap();
    }
    assert_eq!(place.load_all(settings).await.list()[0].refused, None);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn the_frozen_contract_has_not_changed() {
    // Guests that were built against it must be understood for ever: a change is a new folder, not another digest.
    let digest = Digest::of(contract().as_bytes()).to_string();
    assert_eq!(digest, "ba2a6123e329c09ce9c81aee903d53fec6196e23aa5eb714a6af3a626adae9fb");
}
