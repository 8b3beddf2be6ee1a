//! Many at once, and never more than allowed: in all, per upstream host, per label.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::kit::{Server, Upstream, fingerprint, wait_for};

#[test]
fn twelve_projects_at_once_stay_within_every_bound_and_all_arrive() {
    let rsync = r#"concurrent: 5, per_host: 3, per_label: {"array=1": 2}"#;
    let (server, upstream) = (Server::start(rsync), Upstream::start(30));
    std::fs::write(upstream.tree().join("large"), vec![7; 600_000]).unwrap();
    // Two names of one machine are two hosts.
    let other = upstream.url("data").replace("127.0.0.1", "localhost");
    let mut runs = Vec::new();
    for number in 0..12 {
        let source = if number % 2 == 0 { upstream.url("data") } else { other.clone() };
        let more =
            json!({"labels": {"array": (number % 3).to_string()}, "options": {"basic": ["--bwlimit=1000"]}});
        server.project(&format!("p{number}"), &source, &more);
    }
    for number in 0..12 {
        runs.push(server.sync(&format!("p{number}")));
    }
    let mut most = 0;
    let mut reasons: HashSet<String> = HashSet::new();
    wait_for("all runs to end", || {
        let status = server.get("/api/v1/status").json();
        let running: Vec<u64> = status["running"].as_array().unwrap().iter().map(number_of).collect();
        most = most.max(running.len());
        assert!(running.len() <= 5, "{running:?}");
        assert!(running.iter().filter(|n| *n % 2 == 0).count() <= 3, "{running:?}");
        assert!(running.iter().filter(|n| *n % 2 == 1).count() <= 3, "{running:?}");
        assert!(running.iter().filter(|n| *n % 3 == 1).count() <= 2, "{running:?}");
        for item in server.get("/api/v1/queue").json()["items"].as_array().unwrap() {
            reasons.insert(item["waits"].as_str().unwrap().to_owned());
        }
        (running.is_empty() && status["queued"].as_array().unwrap().is_empty()).then_some(())
    });
    assert_eq!(most, 5, "they never ran side by side");
    assert!(!reasons.is_empty());
    for (number, run) in runs.iter().enumerate() {
        assert_eq!(server.run(run)["state"], "succeeded");
        assert_eq!(
            fingerprint(&server.path("mirrors").join(format!("p{number}"))),
            fingerprint(&upstream.tree())
        );
    }
}

fn number_of(run: &Value) -> u64 {
    run["project"].as_str().unwrap()[1..].parse().unwrap()
}
