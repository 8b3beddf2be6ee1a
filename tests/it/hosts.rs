//! What upstream hosts are spared: one that is full is left alone by every project, and a person's hours are kept.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::kit::{Server, Upstream, fingerprint, wait_for};

/// Why a project's run waits, as the queue says it.
fn reason(server: &Server, project: &str) -> Option<String> {
    let queue = server.get("/api/v1/queue").json();
    let items = queue["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["project"] == project)?;
    Some(item["waits"].as_str().unwrap().to_owned())
}

#[test]
fn a_full_upstream_holds_up_every_project_of_its_host_until_it_has_served_one() {
    let (server, upstream) = (Server::start("concurrent: 5, per_host: 3"), Upstream::start(10));
    std::fs::write(upstream.tree().join("large"), vec![7; 2_000_000]).unwrap();
    let slow = json!({"options": {"basic": ["--bwlimit=200"]}});
    server.project("first", &upstream.url("full"), &slow);
    server.project("second", &upstream.url("full"), &json!({"retry": {"attempts": 9, "base": 1}}));
    server.project("third", &upstream.url("data"), &json!({}));
    let first = server.sync("first");
    server.moving(&first);
    let second = server.sync("second");
    let turned_away = server.in_state(&second, "backing-off");
    assert_eq!(turned_away["attempts"][0]["class"], "upstream-busy", "{turned_away}");
    let third = server.sync("third");
    let waits = reason(&server, "third").unwrap();
    assert!(waits.starts_with("waits for 127.0.0.1, which is busy, until 20"), "{waits}");
    let table = String::from_utf8(server.command(&["status"]).stdout).unwrap();
    assert!(table.contains("waits for 127.0.0.1, which is busy"), "{table}");
    assert_eq!(server.run(&first)["state"], "running", "its place has not been taken");
    for run in [&first, &second, &third] {
        assert_eq!(server.ended(run)["state"], "succeeded");
    }
    let (first_end, third_start) =
        (server.run(&first)["ended"].clone(), server.run(&third)["started"].clone());
    assert!(first_end.as_str() <= third_start.as_str(), "{first_end} {third_start}");
    assert_eq!(fingerprint(&server.path("mirrors").join("second")), fingerprint(&upstream.tree()));
}

#[test]
fn quiet_hours_gaps_and_shared_bandwidth_come_with_a_reload() {
    let hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3600;
    let quiet = format!("{:02}:00-{:02}:00", hour % 24, (hour + 2) % 24);
    let hosts = |keys: &str| format!("hosts: {{\"127.0.0.1\": ({keys})}}");
    let before = hosts(&format!("quiet: [\"{quiet}\"]"));
    let (server, upstream) = (Server::start(&before), Upstream::start(10));
    server.project("one", &upstream.url("data"), &json!({}));
    server.project("two", &upstream.url("data"), &json!({}));
    let one = server.sync("one");
    let waits = reason(&server, "one").unwrap();
    assert!(waits.starts_with("waits for the end of the quiet hours of 127.0.0.1, until "), "{waits}");
    let config = std::fs::read_to_string(server.config()).unwrap();
    let config = config.replace(&before, &hosts("gap: \"1h\", bwlimit: 5000"));
    std::fs::write(server.config(), config).unwrap();
    let answer = server.post("/api/v1/reload", &json!({}));
    assert_eq!(answer.json()["live"], json!(["rsync.hosts"]), "{}", answer.text);
    let ended = server.ended(&one);
    assert_eq!(ended["state"], "succeeded");
    let command = ended["attempts"][0]["command"].as_str().unwrap();
    assert!(command.contains("--bwlimit=5000"), "{command}");
    let two = server.sync("two");
    let waits = wait_for("the second to wait", || reason(&server, "two"));
    assert!(waits.starts_with("waits for the gap between starts from 127.0.0.1, until "), "{waits}");
    assert_eq!(server.run(&two)["state"], "queued");
}
