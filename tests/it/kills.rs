//! The server killed at any moment: no rsync outlives it, nothing acknowledged is lost, nothing is stuck or doubled.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::kit::{Server, Upstream, fingerprint, processes_with, wait_for};

/// How often the random suite kills; the long part of CI sets more.
fn rounds() -> usize {
    std::env::var("HELIOSTAT_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

#[test]
fn a_kill_during_eight_syncs_leaves_no_rsync_and_every_project_syncs_by_itself_afterwards() {
    let (mut server, upstream) = (Server::start("concurrent: 8, per_host: 8"), Upstream::start(40));
    fs::write(upstream.tree().join("large"), vec![7; 20_000_000]).unwrap();
    let slow = json!({"options": {"basic": ["--bwlimit=2000"]}});
    let names: Vec<String> = (0..8).map(|number| format!("p{number}")).collect();
    for name in &names {
        server.project(name, &upstream.url("data"), &slow);
    }
    let runs: Vec<String> = names.iter().map(|name| server.sync(name)).collect();
    for run in &runs {
        server.moving(run);
    }
    server.kill();
    let mirrors = server.path("mirrors").display().to_string();
    wait_for("every rsync to be gone", || processes_with(&mirrors).is_empty().then_some(()));
    server.launch();
    for name in &names {
        let patch = server.request(reqwest::Method::PATCH, &format!("/api/v1/projects/{name}"));
        let answer = server.send(patch.json(&json!({"options": {"basic": []}})));
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    for (name, run) in names.iter().zip(&runs) {
        assert_eq!(server.run(run)["state"], "interrupted");
        let recovery = wait_for("the recovery run", || {
            let runs = server.get(&format!("/api/v1/projects/{name}/runs")).json();
            runs["items"].as_array().unwrap().iter().find(|run| run["trigger"] == "recovery").cloned()
        });
        let ended = server.ended(recovery["id"].as_str().unwrap());
        assert_eq!(ended["state"], "succeeded", "{ended}");
        assert_eq!(fingerprint(&server.path("mirrors").join(name)), fingerprint(&upstream.tree()));
    }
}

#[test]
fn a_first_start_that_is_killed_at_any_moment_is_followed_by_one_that_comes_up() {
    let mut dice = 0x9E37_79B9_7F4A_7C15_u64;
    for round in 0..rounds() {
        let mut server = Server::start_with("", |config, _| config);
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        std::thread::park_timeout(Duration::from_millis(dice % 600));
        server.kill();

        server.launch();
        server.project(&format!("p{round}"), "rsync://h/m", &json!({}));
    }
}

#[test]
fn kills_at_random_moments_lose_no_acknowledged_write_and_leave_nothing_stuck() {
    let mut server = Server::start("concurrent: 4, per_host: 4");
    let upstream = Upstream::start(60);
    let mut ledger: Vec<String> = Vec::new();
    let mut dice = 0x2545_F491_4F6C_DD1D_u64;
    for round in 0..rounds() {
        for number in 0..3 {
            let id = format!("p{round}-{number}");
            server.project(&id, &upstream.url("data"), &json!({}));
            ledger.push(id);
        }
        for id in ledger.iter().rev().take(5) {
            server.sync(id);
        }
        // xorshift: the moments differ, and repeat in the next run of this test.
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        std::thread::park_timeout(Duration::from_millis(dice % 120));
        server.kill();
        // By itself, and not only because the next start ends what is left.
        let mirrors = server.path("mirrors").display().to_string();
        wait_for("every rsync to be gone", || processes_with(&mirrors).is_empty().then_some(()));
        server.launch();
        let known = server.get("/api/v1/projects?limit=1000").json();
        let known: Vec<&str> = known["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|project| project["id"].as_str().unwrap())
            .collect();
        for id in &ledger {
            assert!(known.contains(&id.as_str()), "round {round}: acknowledged project {id} was lost");
        }
    }
    wait_for("everything to come to rest", || {
        let projects = server.get("/api/v1/projects?limit=1000").json();
        let items = projects["items"].as_array().unwrap();
        items.iter().all(|project| project["state"] == "idle").then_some(())
    });
    let synced = ledger.iter().filter(|id| server.path("mirrors").join(id).exists());
    for id in synced {
        assert_eq!(fingerprint(&server.path("mirrors").join(id)), fingerprint(&upstream.tree()), "{id}");
    }
}

#[test]
fn a_terminate_in_the_middle_ends_with_zero_and_the_next_start_goes_on() {
    let (mut server, upstream) = (Server::start(""), Upstream::start(10));
    fs::write(upstream.tree().join("large"), vec![7; 10_000_000]).unwrap();
    let dest = server.project("p", &upstream.url("data"), &json!({"options": {"basic": ["--bwlimit=2000"]}}));
    let run = server.sync("p");
    server.moving(&run);
    assert_eq!(server.terminate(), Some(0));
    assert!(processes_with(&dest.display().to_string()).is_empty());
    server.launch();
    assert_eq!(server.run(&run)["state"], "interrupted");
    wait_for("the tree to be whole", || (fingerprint(&dest) == fingerprint(&upstream.tree())).then_some(()));
}

#[test]
fn a_guardian_that_is_killed_leaves_no_rsync_and_the_run_is_tried_again() {
    let (server, upstream) = (Server::start(""), Upstream::start(10));
    fs::write(upstream.tree().join("large"), vec![7; 10_000_000]).unwrap();
    let more = json!({"options": {"basic": ["--bwlimit=3000"]}, "retry": {"attempts": 3, "base": "1s", "cap": "1s"}});
    let dest = server.project("p", &upstream.url("data"), &more);
    let run = server.sync("p");
    server.moving(&run);
    let [nursery] = children_of(server.pid())[..] else { panic!("guardians have no common parent") };
    let guardian = children_of(nursery);
    assert_eq!(guardian.len(), 1);
    crate::kit::signal(guardian[0], rustix::process::Signal::KILL);
    let ended = server.ended(&run);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert!(ended["attempts"].as_array().unwrap().len() >= 2);
    assert_eq!(fingerprint(&dest), fingerprint(&upstream.tree()));
}

#[test]
fn a_second_server_on_the_same_folder_is_refused_with_a_clear_message() {
    let server = Server::start("");
    let config = server.path("second.ron");
    let text = format!("(data_dir: {:?}, listen: \"127.0.0.1:0\", role: Master())", server.data());
    fs::write(&config, text).unwrap();
    let output = server.command(&["serve", "--config", &config.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("in use by another heliostat"), "{said}");
}

fn children_of(parent: u32) -> Vec<u32> {
    let mut children = Vec::new();
    for task in fs::read_dir(format!("/proc/{parent}/task")).unwrap().flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    children
}
