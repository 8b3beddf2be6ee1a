//! A mass deletion upstream as an administrator meets it: held, looked at, approved or rejected, across crashes.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Server, Upstream, fingerprint, wait_for};

/// A mirror whose upstream has lost most of its files, and the run that is held for it.
pub(crate) fn held(server: &Server, upstream: &Upstream) -> (std::path::PathBuf, String) {
    let dest = server.project("p", &upstream.url("data"), &json!({}));
    let run = server.sync("p");
    assert_eq!(server.ended(&run)["state"], "succeeded");
    for folder in fs::read_dir(upstream.tree()).unwrap().flatten() {
        if folder.file_name().to_string_lossy().starts_with('d') {
            fs::remove_dir_all(folder.path()).unwrap();
        }
    }
    let run = server.sync("p");
    server.in_state(&run, "held");
    (dest, run)
}

#[test]
fn a_held_run_shows_what_it_would_delete_and_only_its_owner_may_let_it_through() {
    let (server, upstream) = (Server::start(""), Upstream::start(60));
    let (dest, run) = held(&server, &upstream);
    let before = fingerprint(&dest);
    let shown = server.run(&run);
    let hold = &shown["hold"];
    // 60 files in 20 folders.
    assert_eq!(hold["deletions"], 80, "{shown}");
    assert!(hold["deleted_bytes"].as_u64().unwrap() > 1000 && hold["approved_by"].is_null(), "{hold}");
    assert!(shown["reason"].as_str().unwrap().contains("guard.max_delete_percent"), "{shown}");
    let page = server.get(&format!("/api/v1/runs/{run}/changes?limit=1000")).json();
    let items = page["items"].as_array().unwrap();
    assert!(items.len() == 80 && items.iter().all(|item| item["op"] == "deleted"), "{page}");
    assert!(items.iter().any(|item| item["path"] == "d03/file-43" && item["size"].as_u64() > Some(0)));
    assert_eq!(server.get("/api/v1/projects/p").json()["held"], run);
    assert_eq!(server.get("/api/v1/status").json()["held"][0]["id"], run);

    let viewer = json!({"name": "eve", "role": "viewer", "password": "eve's password"});
    assert_eq!(server.post("/api/v1/users", &viewer).status, 201);
    for word in ["approve", "reject"] {
        let client = crate::kit::client();
        let request = client.post(server.url(&format!("/api/v1/runs/{run}/{word}")));
        let answer = request.basic_auth("eve", Some("eve's password")).send().unwrap();
        assert_eq!(answer.status().as_u16(), 403);
    }
    let other = server.post(&format!("/api/v1/runs/{run}/approve?plan=00"), &json!({}));
    assert!(other.status == 409 && other.text.contains("something else now"), "{}", other.text);
    assert_eq!(fingerprint(&dest), before, "nothing may change while it is held");

    let plan = hold["plan"].as_str().unwrap();
    let approved = server.post(&format!("/api/v1/runs/{run}/approve?plan={plan}"), &json!({}));
    assert_eq!(approved.status, 200, "{}", approved.text);
    let twice = server.post(&format!("/api/v1/runs/{run}/approve"), &json!({}));
    assert!(twice.status == 409 && twice.text.contains("approved already, by root"), "{}", twice.text);
    let ended = server.ended(&run);
    assert_eq!((&ended["state"], &ended["hold"]["approved_by"]), (&json!("succeeded"), &json!("root")));
    assert_eq!(ended["changes"]["deleted"], 80);
    assert_eq!(fingerprint(&dest), fingerprint(&upstream.tree()));
    let audit = server.get("/api/v1/audit").json();
    let line = audit["items"].as_array().unwrap().iter().find(|line| line["action"] == "run.approve");
    assert_eq!(line.unwrap()["before"]["deletions"], 80, "{audit}");
}

#[test]
fn a_power_cut_loses_neither_a_hold_nor_an_approval() {
    let (mut server, upstream) = (Server::start(""), Upstream::start(60));
    let (dest, run) = held(&server, &upstream);
    let before = fingerprint(&dest);
    server.kill();
    server.launch();
    assert_eq!(server.run(&run)["state"], "held");
    assert_eq!(fingerprint(&dest), before);
    let answer = server.post(&format!("/api/v1/runs/{run}/approve"), &json!({}));
    assert_eq!(answer.status, 200, "{}", answer.text);
    server.kill();
    server.launch();
    wait_for("what was approved to be done", || {
        let project = server.get("/api/v1/projects/p").json();
        (project["state"] == "idle").then_some(())
    });
    assert_eq!(fingerprint(&dest), fingerprint(&upstream.tree()));
    let newest = server.get("/api/v1/projects/p/runs").json()["items"][0].clone();
    assert_eq!(server.ended(newest["id"].as_str().unwrap())["hold"]["approved_by"], "root");
}

#[test]
fn the_command_line_shows_a_plan_and_asks_before_anything_is_deleted() {
    let (server, upstream) = (Server::start(""), Upstream::start(60));
    let (dest, run) = held(&server, &upstream);
    let say = |words: &[&str]| {
        let output = server.command(words);
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &*String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), said)
    };
    let (code, said) = say(&["approve", &run]);
    assert!(code == 2 && said.contains("80 of") && said.contains("d03") && said.contains("--yes"), "{said}");
    assert_eq!(server.run(&run)["state"], "held");
    let (code, said) = say(&["status"]);
    assert!(code == 0 && said.contains("Held, until someone approves"), "{said}");
    let (code, said) = say(&["reject", &run, "--yes"]);
    assert!(code == 0 && said.contains("cancelled"), "{said}");
    assert!(server.run(&run)["reason"].as_str().unwrap().contains("rejected by root"));
    assert!(dest.join("d03/file-43").exists());
    let (code, said) = say(&["approve", &run, "--yes"]);
    assert!(code == 1 && said.contains("is not held"), "{said}");
    let again = server.sync("p");
    server.in_state(&again, "held");
    let (code, said) = say(&["approve", &again, "--yes"]);
    assert!(code == 0, "{said}");
    assert_eq!(server.ended(&again)["state"], "succeeded");
    assert!(!dest.join("d03").exists());
    let held: Value = server.send(server.request(Method::GET, "/api/v1/runs?state=held")).json();
    assert_eq!(held["items"], json!([]));
}
