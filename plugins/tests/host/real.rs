//! Real plugins, compiled from source by `scripts/build-guests`: what they are and need, as this host sees it.

use std::path::{Path, PathBuf};

use plugins::{Part, check};
use scheduler::hooks::{Decision, Hooks, Verdict};

use crate::kit::{Place, outcome};

/// A compiled plugin; none, and a word about it, where nobody has compiled it.
pub(crate) fn guest(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests");
    let file = folder.join(format!("{name}.wasm"));
    if !file.exists() {
        let required = std::env::var_os("HELIOSTAT_REQUIRE_GUESTS").is_some_and(|value| value == "1");
        assert!(!required, "{} is not there: run scripts/build-guests", file.display());
        eprintln!("left out: {name}, since scripts/build-guests was not run");
        return None;
    }
    Some(file)
}

#[tokio::test]
async fn each_example_is_a_plugin_that_needs_what_its_page_says() {
    const HOOKS: &[Part] = &[Part::PreSync, Part::PostSync];
    let examples: [(&str, &[Part], &[&str]); 6] = [
        ("trace-file", HOOKS, &["dest"]),
        ("freshness-guard", HOOKS, &["dest"]),
        ("webhook", &[Part::PostSync], &["http", "kv"]),
        ("adaptive-schedule", &[Part::Policy], &[]),
        ("quiet-hours", &[Part::PreSync, Part::Policy], &[]),
        ("c-hold-file", &[Part::PreSync], &["dest"]),
    ];
    for (name, parts, needs) in examples {
        let Some(file) = guest(name) else { continue };
        let shape = check(&file).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let found: Vec<_> = shape.needs.iter().map(|need| need.as_str()).collect();
        assert_eq!((shape.parts.as_slice(), found.as_slice()), (parts, needs), "{name}");
    }
}

#[tokio::test]
async fn a_plugin_in_c_holds_the_run_while_its_file_is_there() {
    let Some(file) = guest("c-hold-file") else { return };
    let place = Place::new();
    let mut plugin = place.plugin("hold", &std::fs::read(file).unwrap());
    plugin.grants.dest_read = vec!["hold".parse().unwrap()];
    plugin.config.insert("file".to_owned(), "hold".to_owned());
    let plugins = place.load(vec![plugin]).await;
    std::fs::create_dir(place.path("tree")).unwrap();
    let votes = plugins.pre_sync(&place.context()).await;
    assert_eq!((&votes[0].word, &votes[0].failure), (&Decision::Proceed, &None));
    std::fs::write(place.path("tree/hold"), "").unwrap();
    let votes = plugins.pre_sync(&place.context()).await;
    assert!(matches!(votes[0].word, Decision::Delay(..)), "{votes:?}");
}

#[tokio::test]
async fn a_plugin_in_rust_writes_its_trace_into_the_tree() {
    let Some(file) = guest("trace-file") else { return };
    let place = Place::new();
    let mut plugin = place.plugin("trace", &std::fs::read(file).unwrap());
    plugin.grants.dest_read = vec!["project/trace/master".parse().unwrap()];
    plugin.grants.dest_write = vec!["project/trace/*".parse().unwrap()];
    plugin.config.insert("name".to_owned(), "ftp.example.net".to_owned());
    let plugins = place.load(vec![plugin]).await;
    std::fs::create_dir(place.path("tree")).unwrap();
    let votes = plugins.post_sync(&place.context(), &outcome()).await;
    assert_eq!((&votes[0].word, &votes[0].failure), (&Verdict::Accept, &None));
    let trace = std::fs::read_to_string(place.path("tree/project/trace/ftp.example.net")).unwrap();
    assert!(trace.contains("2026"), "{trace}");
}
