//! Components that are compiled in a process of their own, and those that take it too much.

use plugins::{CompileBounds, CompilerProcess, Settings};

use crate::guests::{component, module, proceed};
use crate::kit::Place;

/// Blocks of the large function: each makes the compiler work for a while.
const BLOCKS: usize = 60_000;

/// Settings for one component that this compiler is to compile.
fn settings(place: &Place, id: &str, bytes: &[u8], bounds: CompileBounds) -> Settings {
    let command = vec![env!("CARGO_BIN_EXE_plugins-compiler").into()];
    Settings {
        cache: Some(place.path("cache")),
        compiler: Some(CompilerProcess { bounds, ..CompilerProcess::new(command) }),
        ..place.settings(vec![place.plugin(id, bytes)])
    }
}

/// Why the component is refused.
async fn refusal(place: &Place, bytes: &[u8], bounds: CompileBounds) -> String {
    let plugins = place.load_all(settings(place, "bomb", bytes, bounds)).await;
    plugins.list()[0].refused.clone().unwrap_or_default()
}

/// A hook beside a function that takes the compiler long.
fn bomb() -> Vec<u8> {
    let block = "(if (local.get 0) (then (local.set 0 (i32.mul (local.get 0) (i32.add (local.get 1) (i32.const 7))))))";
    let hook = format!(
        r#"(func (param i32 i32) (result i32) {} (local.get 0))
           (func (export "heliostat:plugin/pre-hook@0.1.0#pre-sync") (param i32) (result i32) (i32.const 64))"#,
        block.repeat(BLOCKS)
    );
    component("pre", &module("", "", &hook))
}

#[tokio::test]
async fn a_component_is_compiled_apart_and_loaded_from_the_cache() {
    let place = Place::new();
    for _ in 0..2 {
        let plugins = place.load_all(settings(&place, "good", &proceed(), CompileBounds::default())).await;
        assert_eq!(plugins.list()[0].refused, None);
    }
    let real = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/plugins/v0.1");
    let guests = std::fs::read_dir(real).unwrap().map(|entry| entry.unwrap().path());
    let guest = guests.filter(|path| path.extension().is_some_and(|end| end == "wasm")).last().unwrap();
    let shape = settings(&place, "real", &std::fs::read(guest).unwrap(), CompileBounds::default());
    let refused = place.load_all(shape).await.list()[0].refused.clone().unwrap_or_default();
    assert!(!refused.contains("compil"), "{refused}");
}

#[tokio::test]
async fn a_component_that_takes_too_much_memory_ends_its_compiler_alone() {
    let place = Place::new();
    let refused =
        refusal(&place, &bomb(), CompileBounds { memory: 48 << 20, ..CompileBounds::default() }).await;
    assert!(refused.starts_with("its compilation needs more than 48 MiB of memory"), "{refused}");
}

#[tokio::test]
async fn a_component_that_takes_too_long_ends_its_compiler_alone() {
    let place = Place::new();
    let refused = refusal(&place, &bomb(), CompileBounds { seconds: 1, ..CompileBounds::default() }).await;
    assert!(refused.starts_with("its compilation needs more than 1 s of processor time"), "{refused}");
}

#[tokio::test]
async fn code_that_cannot_be_kept_is_not_compiled_by_the_server() {
    let place = Place::new();
    let settings = settings(&place, "good", &proceed(), CompileBounds::default());
    // A file where the engine wants its folder: root may write everywhere else.
    std::fs::create_dir(place.path("cache")).unwrap();
    std::fs::write(place.path("cache/modules"), "").unwrap();
    let refused = place.load_all(settings).await.list()[0].refused.clone().expect("it was compiled");
    assert!(refused.starts_with("it was not compiled") && refused.contains("cannot be kept"), "{refused}");
}
