//! What monitoring systems read: `/metrics`, and the rules, the board and the page that speak of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Server, Upstream, wait_for};
use crate::slaves::{current, master, slave};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// The labels of each metric, as the documents tell them.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let text = read("docs/metrics.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let row = |row: &str| {
        let mut cells = row.split('|').map(str::trim);
        let name = cells.next().unwrap().trim_end_matches('`').to_owned();
        let labels = cells.nth(1).unwrap().split(", ").filter(|label| !label.is_empty());
        (name, labels.map(str::to_owned).collect())
    };
    rows.map(row).collect()
}

/// The words in a text that look like metrics of ours, without what a histogram adds.
fn names(text: &str) -> BTreeSet<String> {
    let word = |c: char| !(c.is_ascii_lowercase() || c == '_');
    let ours =
        text.split(word).filter(|word| word.starts_with("heliostat_") && word.len() > "heliostat_".len());
    ours.map(|name| {
        name.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count").to_owned()
    })
    .collect()
}

/// The labels that a query selects or groups by, and those that a sentence or a legend shows.
fn labels(text: &str) -> BTreeSet<String> {
    let is_label = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let within = |open: &str, close: char| -> Vec<String> {
        let parts = text.split(open).skip(1).filter_map(|part| part.split_once(close));
        parts.map(|(inside, _)| inside.to_owned()).collect()
    };
    let selected = within("{", '}');
    let grouped = ["by (", "on ("].iter().flat_map(|word| within(word, ')'));
    let words = selected.into_iter().chain(grouped).flat_map(|inside| {
        let words = inside.split(',').map(|word| word.split(['=', '!']).next().unwrap_or_default());
        words.map(|word| word.trim().trim_start_matches("$labels.").to_owned()).collect::<Vec<_>>()
    });
    words.filter(|word| is_label(&word.as_str())).collect()
}

/// Each question that is asked of our metrics, with what is said of its answer.
fn questions() -> Vec<String> {
    let rules = read("deploy/prometheus/alerts.yml");
    let rules = rules.split("- alert: ").skip(1).map(str::to_owned);
    let board: Value = serde_json::from_str(&read("deploy/grafana/heliostat.json")).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let shown = targets.map(|target| {
        format!(
            "{} {}",
            target["expr"].as_str().unwrap(),
            target["legendFormat"].as_str().unwrap_or_default()
        )
    });
    rules.chain(shown).collect()
}

#[test]
fn every_metric_in_rules_boards_and_documents_is_there_with_the_labels_that_are_asked_for() {
    let documented = documented();
    let known: BTreeSet<String> =
        api::metrics::FAMILIES.iter().map(|family| family.name.to_owned()).collect();
    assert_eq!(documented.keys().cloned().collect::<BTreeSet<_>>(), known, "docs/metrics.md");
    let questions = questions();
    assert!(questions.len() > 20, "{questions:?}");
    for question in questions {
        let names = names(&question);
        let strangers: Vec<_> = names.difference(&known).collect();
        assert!(strangers.is_empty(), "{strangers:?} in {question}");
        let mut there: BTreeSet<String> =
            names.iter().flat_map(|name| documented[name].iter().cloned()).collect();
        there.extend(question.contains("up{").then(|| "job".to_owned()));
        let strangers: Vec<_> = labels(&question).difference(&there).cloned().collect();
        assert!(strangers.is_empty(), "no label {strangers:?} for {question}");
    }
}

#[test]
fn metrics_have_the_labels_that_the_documents_say() {
    let (master, upstream) = (master(), Upstream::start(3));
    master.project("p", &upstream.url("data"), &json!({"schedule": {"every": 3600}}));
    master.ended(&master.sync("p"));
    let one = slave(&master.url(""), "one");
    current(&master, "one", "p");
    let documented = documented();
    let text = wait_for("the disks to be looked at", || {
        Some(master.get("/metrics").text).filter(|text| text.contains("heliostat_disk_free_bytes{"))
    });
    let text = text + one.get("/metrics").text.as_str();
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let whole = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let name = whole.filter(|name| documented.contains_key(*name)).unwrap_or(name);
        let (_, labels) = line.split_once('{').unwrap_or_default();
        let labels: BTreeSet<String> = labels
            .split(',')
            .filter_map(|label| Some(label.split_once("=\"")?.0.to_owned()))
            .filter(|label| label != "le")
            .collect();
        let expected: BTreeSet<String> =
            documented[name].iter().filter(|label| *label != "le").cloned().collect();
        assert_eq!(labels, expected, "{line}");
        seen.insert(name.to_owned());
    }
    // What needs a slave that is behind, a marker, a trend, a channel, a plugin or a certificate is not here.
    let missing: Vec<_> = documented.keys().filter(|name| !seen.contains(*name)).collect();
    let others = [
        "_upstream_as_of_",
        "_full_in_",
        "_messages_waiting",
        "_plugin_",
        "_node_lag_",
        "_node_late",
        "_tls_",
    ];
    assert!(missing.iter().all(|name| others.iter().any(|part| name.contains(part))), "{missing:?}");
}

#[test]
fn metrics_tell_of_runs_and_the_newest_success_survives_a_kill() {
    let (mut server, upstream) = (Server::start(""), Upstream::start(3));
    server.project("p", &upstream.url("data"), &json!({}));
    let run = server.sync("p");
    server.ended(&run);
    let read = |server: &Server| server.send(server.request(Method::GET, "/metrics")).text;
    let text = wait_for("the run to be counted", || {
        Some(read(&server)).filter(|text| text.contains("heliostat_runs_total{result=\"succeeded\""))
    });
    let value = |text: &str, name: &str| {
        text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
    };
    let success = value(&text, "heliostat_project_last_success_timestamp_seconds{project=\"p\"}");
    assert!(success.is_some(), "{text}");
    assert_eq!(value(&text, "heliostat_project_generation{project=\"p\"}").as_deref(), Some("1"));
    let counts = |text: &str| {
        let ours =
            ["heliostat_runs_total", "heliostat_received_bytes_total", "heliostat_transferred_files_total"];
        text.lines()
            .filter(|line| ours.iter().any(|name| line.starts_with(name)))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let before = counts(&text);
    assert_eq!(before.len(), 3, "{text}");
    server.kill();
    server.launch();
    let text = read(&server);
    assert_eq!(counts(&text), before, "a kill takes nothing from the counts, and adds nothing");
    assert_eq!(value(&text, "heliostat_project_last_success_timestamp_seconds{project=\"p\"}"), success);
    assert!(text.contains("heliostat_project_last_run_duration_seconds{project=\"p\"}"), "{text}");
}
