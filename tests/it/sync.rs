//! The main job: a tree is pulled, its changes follow, a bad upstream is said, a schedule fires by itself.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::kit::{Server, Upstream, fingerprint, free_port, wait_for};

#[test]
fn a_tree_arrives_whole_and_a_second_sync_moves_only_the_change_and_a_third_nothing() {
    let (server, upstream) = (Server::start(""), Upstream::start(200));
    let dest = server.project("p", &upstream.url("data"), &json!({}));
    let first = server.ended(&server.sync("p"));
    assert_eq!(first["state"], "succeeded", "{first}");
    assert_eq!(first["generation"], 1);
    assert_eq!(first["attempts"][0]["exit"], json!({"code": 0}));
    assert!(first["stats"]["transferred"].as_u64().unwrap() >= 200);
    assert_eq!(fingerprint(&dest), fingerprint(&upstream.tree()));

    fs::write(upstream.tree().join("d00/new"), "new").unwrap();
    fs::write(upstream.tree().join("d01/file-1"), "changed").unwrap();
    fs::remove_file(upstream.tree().join("d02/file-2")).unwrap();
    let second = server.sync("p");
    let ended = server.ended(&second);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(ended["stats"]["transferred"], 2);
    assert_eq!(ended["changes"]["deleted"], 1);
    assert_eq!(fingerprint(&dest), fingerprint(&upstream.tree()));
    let changes = server.get(&format!("/api/v1/runs/{second}/changes")).json();
    let changed = |op: &str| -> Vec<PathBuf> {
        let items = changes["items"].as_array().unwrap().iter();
        items
            .filter(|item| item["op"] == op && item["type"] != "directory")
            .map(|item| item["path"].as_str().unwrap().into())
            .collect()
    };
    assert_eq!(changed("created"), [PathBuf::from("d00/new")]);
    assert_eq!(changed("updated"), [PathBuf::from("d01/file-1")]);
    assert_eq!(changes["items"].as_array().unwrap().iter().filter(|item| item["op"] == "deleted").count(), 1);

    let third = server.ended(&server.sync("p"));
    assert_eq!(third["state"], "unchanged", "{third}");
    assert_eq!(third["changes"], json!({"created": 0, "updated": 0, "deleted": 0}));
    let project = server.get("/api/v1/projects/p").json();
    assert_eq!(project["generation"], 2);
    assert_eq!(project["state"], "idle");
    assert_eq!(project["last_run"]["state"], "unchanged");
}

#[test]
fn a_schedule_fires_by_itself() {
    let (server, upstream) = (Server::start(""), Upstream::start(3));
    let dest = server.project("p", &upstream.url("data"), &json!({"schedule": {"cron": {"second": "*"}}}));
    let run = wait_for("a scheduled run", || {
        let runs = server.get("/api/v1/projects/p/runs?state=succeeded").json();
        runs["items"].get(0).cloned()
    });
    assert_eq!(run["trigger"], "schedule");
    assert!(!run["scheduled"].is_null());
    assert_eq!(fingerprint(&dest), fingerprint(&upstream.tree()));
    let answer = server.post("/api/v1/projects/p/disable", &json!({}));
    assert_eq!((answer.status, answer.json()["next_run"].is_null()), (200, true));
}

#[test]
fn a_pause_schedule_runs_again_after_the_end() {
    let (server, upstream) = (Server::start(""), Upstream::start(3));
    server.project("p", &upstream.url("data"), &json!({"schedule": {"every": "1s"}}));
    wait_for("two runs", || {
        let runs = server.get("/api/v1/runs?project=p").json();
        let ended = runs["items"].as_array().unwrap().iter().filter(|run| !run["ended"].is_null()).count();
        (ended >= 2).then_some(())
    });
}

#[test]
fn a_dead_upstream_fails_after_its_attempts_with_the_reason() {
    let server = Server::start("");
    let source = format!("rsync://127.0.0.1:{}/nothing", free_port());
    let retry = json!({"retry": {"attempts": 2, "base": "1s", "cap": "1s"}});
    server.project("dead", &source, &retry);
    let run = server.ended(&server.sync("dead"));
    assert_eq!(run["state"], "failed");
    assert_eq!(run["attempts"].as_array().unwrap().len(), 2);
    assert_eq!(run["attempts"][0]["class"], "network", "{run}");
    assert!(run["reason"].as_str().unwrap().to_lowercase().contains("refused"), "{}", run["reason"]);
    assert_eq!(server.get("/api/v1/projects/dead").json()["failures"], 1);
}

#[test]
fn a_module_that_is_not_there_is_not_tried_again() {
    let (server, upstream) = (Server::start(""), Upstream::start(1));
    server.project("p", &upstream.url("nonsense"), &json!({}));
    let run = server.ended(&server.sync("p"));
    assert_eq!(
        (run["state"].as_str(), run["attempts"].as_array().unwrap().len()),
        (Some("failed"), 1),
        "{run}"
    );
}

#[test]
fn an_rsync_that_stands_still_is_ended_as_stalled() {
    let (server, upstream) = (Server::start(""), Upstream::start(50));
    fs::write(upstream.tree().join("large"), vec![7; 30_000_000]).unwrap();
    let more = json!({"stall": "2s", "retry": {"attempts": 1}, "options": {"basic": ["--bwlimit=2000"]}});
    server.project("p", &upstream.url("data"), &more);
    let run = server.sync("p");
    server.moving(&run);
    for (pid, _) in crate::kit::processes_with(&format!("--port={}", upstream.port())) {
        // The daemon forks without a new command line, so this stops its working child too.
        crate::kit::signal(pid, rustix::process::Signal::STOP);
    }
    let ended = server.ended(&run);
    for (pid, _) in crate::kit::processes_with(&format!("--port={}", upstream.port())) {
        crate::kit::signal(pid, rustix::process::Signal::CONT);
    }
    assert_eq!(ended["state"], "failed");
    assert_eq!(ended["attempts"][0]["class"], "stalled", "{ended}");
}

#[test]
fn a_run_can_be_cancelled_in_the_middle_and_leaves_no_rsync() {
    let (server, upstream) = (Server::start(""), Upstream::start(50));
    fs::write(upstream.tree().join("large"), vec![7; 30_000_000]).unwrap();
    let dest = server.project("p", &upstream.url("data"), &json!({"options": {"basic": ["--bwlimit=1000"]}}));
    let run = server.sync("p");
    server.moving(&run);
    let answer = server.post(&format!("/api/v1/runs/{run}/cancel"), &json!({}));
    assert_eq!(answer.status, 200);
    let ended = server.ended(&run);
    assert_eq!(ended["state"], "cancelled");
    assert_eq!(ended["reason"], "cancelled by root");
    wait_for("the rsync to be gone", || {
        crate::kit::processes_with(&dest.display().to_string()).is_empty().then_some(())
    });
    assert_eq!(server.post(&format!("/api/v1/runs/{run}/cancel"), &json!({})).status, 409);
}

#[test]
fn a_sync_behind_a_running_one_waits_and_a_third_is_the_same() {
    let (server, upstream) = (Server::start(""), Upstream::start(5));
    fs::write(upstream.tree().join("large"), vec![7; 10_000_000]).unwrap();
    server.project("p", &upstream.url("data"), &json!({"options": {"basic": ["--bwlimit=4000"]}}));
    let first = server.sync("p");
    server.in_state(&first, "running");
    let second = server.sync("p");
    assert_ne!(first, second);
    assert_eq!(server.sync("p"), second);
    assert_eq!(server.ended(&second)["state"], "unchanged");
}
