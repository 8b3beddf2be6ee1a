//! A project that gets another name takes its tree and its history with it, whole, whatever happens on the way.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::{Value, json};

use super::{failed, get, post};
use crate::kit::{PASSWORD, Server, Upstream, fingerprint, wait_for};

/// Adds a project by the old door.
fn add(server: &Server, upstream: &Upstream, name: &str, more: &Value) {
    let mut body = json!({"project": name, "rsync_host": format!("127.0.0.1:{}", upstream.port()), "rsync_module": "data",
        "dest": format!("{}/", server.path("mirrors").display())});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    let answer = post(server, "/add_project/", &body);
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// Adds a project, fetches its tree, and gives the run.
fn mirrored(server: &Server, upstream: &Upstream, name: &str) -> String {
    add(server, upstream, name, &json!({}));
    let run = server.sync(name);
    assert_eq!(server.ended(&run)["state"], "succeeded");
    run
}

fn rename(server: &Server, from: &str, to: &str) -> crate::kit::Answer {
    post(server, "/update_project/basic/", &json!({"id": from, "project": to}))
}

#[test]
fn the_tree_moves_by_one_rename_and_the_history_stays() {
    let (server, upstream) = (Server::start(""), Upstream::start(50));
    let run = mirrored(&server, &upstream, "old");
    let (old, new) = (server.path("mirrors/old"), server.path("mirrors/new"));
    let inode = fs::metadata(&old).unwrap().ino();
    let token = server.post("/api/v1/tokens", &json!({"name": "push", "start": "old"})).json();
    let before = server.get("/api/v1/projects/old").json();
    let answer = rename(&server, "old", "new");
    let expected = json!({"method": "update_project", "success": true, "id": "new"});
    assert_eq!((answer.status, answer.json()), (200, expected));
    assert!(!old.exists());
    assert_eq!(fs::metadata(&new).unwrap().ino(), inode, "nothing was copied");
    assert_eq!(fingerprint(&new), fingerprint(&upstream.tree()));

    assert_eq!(server.get("/api/v1/projects/old").status, 404);
    let after = server.get("/api/v1/projects/new").json();
    assert_eq!((&after["name"], &after["source"]["user"]), (&json!("new"), &json!("new")));
    assert_eq!(after["dest"], new.display().to_string());
    for same in ["created", "generation", "last_run", "last_success", "files", "owner"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    let listed = get(&server, "/list_projects").json();
    assert_eq!(listed[0]["dest"], format!("{}/", server.path("mirrors").display()));
    assert_eq!(server.run(&run)["project"], "new");
    assert_eq!(server.get("/api/v1/projects/new/runs").json()["items"][0]["id"], run);
    assert!(server.get("/api/v1/runs?project=old").json()["items"].as_array().unwrap().is_empty());
    let line = &server.get("/api/v1/audit?limit=1").json()["items"][0];
    assert_eq!(
        (&line["action"], &line["target"], &line["after"]["id"]),
        (&json!("project.rename"), &json!("old"), &json!("new"))
    );
    let start = Client::new()
        .post(server.url("/api/v1/projects/new/sync"))
        .bearer_auth(token["token"].as_str().unwrap());
    let next = server.send(start);
    assert_eq!(next.status, 202, "{}", next.text);
    assert_eq!(
        server.ended(next.json()["id"].as_str().unwrap())["state"],
        "unchanged",
        "nothing is fetched twice"
    );
    // The old name and the old place are free again.
    mirrored(&server, &upstream, "old");
    let check = server.post("/api/v1/store/check", &json!({})).json();
    assert_eq!(check["problems"], json!([]), "{check}");
}

#[test]
fn a_rename_is_refused_while_the_project_runs_or_where_its_new_place_is_taken() {
    let (server, upstream) = (Server::start(""), Upstream::start(20));
    fs::write(upstream.tree().join("large"), vec![7; 4_000_000]).unwrap();
    add(&server, &upstream, "slow", &json!({"rsync_options": {"basic": ["--bwlimit=100"]}}));
    let run = server.sync("slow");
    server.moving(&run);
    failed(&rename(&server, "slow", "fast"), 409, "update_project", "has a run");
    server.post(&format!("/api/v1/runs/{run}/cancel"), &json!({}));
    server.ended(&run);
    add(&server, &upstream, "other", &json!({}));
    failed(&rename(&server, "slow", "other"), 409, "update_project", "exists already");
    let in_the_way = server.path("mirrors/taken");
    fs::create_dir_all(&in_the_way).unwrap();
    failed(&rename(&server, "slow", "taken"), 409, "update_project", "is there already");
    let below = json!({"project": "x", "id": "x", "dest": server.path("mirrors/nest/inner")});
    add(&server, &upstream, "x", &below);
    failed(&rename(&server, "slow", "nest"), 409, "update_project", "contains the destination");
    failed(&rename(&server, "slow", "a b"), 400, "update_project", "project: ");
    let both = json!({"id": "slow", "project": "fast", "dest": server.path("elsewhere")});
    failed(&post(&server, "/update_project/basic/", &both), 400, "update_project", "one after the other");
    failed(&rename(&server, "nobody", "fast"), 404, "update_project", "no project `nobody`");
    assert!(server.path("mirrors/slow").exists() && server.get("/api/v1/projects/slow").status == 200);
    // Its own name is no rename; one without a tree has nothing to move; settings go along.
    assert_eq!(rename(&server, "other", "other").status, 200);
    let all =
        json!({"id": "other", "project": "third", "rsync_module": "m/sub", "dest": server.path("mirrors")});
    assert_eq!(post(&server, "/update_project/basic/", &all).status, 200);
    let third = server.get("/api/v1/projects/third").json();
    assert_eq!((&third["source"]["module"], &third["source"]["path"]), (&json!("m"), &json!("sub")));
}

#[test]
fn a_server_killed_in_the_middle_of_a_rename_loses_no_tree_and_doubles_none() {
    let (mut server, upstream) = (Server::start(""), Upstream::start(20));
    let run = mirrored(&server, &upstream, "p0");
    let tree = fingerprint(&upstream.tree());
    let mut name = "p0".to_owned();
    // The power goes at another moment each time; whether that is before or after the commit, one of two pictures
    // must come back, and never a mixture.
    for round in 1..=12_u64 {
        let next = format!("p{round}");
        let request = Client::new()
            .request(Method::POST, server.url("/update_project/basic/"))
            .basic_auth("root", Some(PASSWORD))
            .body(json!({"id": name, "project": next}).to_string());
        let asked = std::thread::spawn(move || request.send().is_ok_and(|answer| answer.status() == 200));
        let until = Instant::now() + Duration::from_micros(round * round * 150);
        wait_for("the moment of the cut", || (Instant::now() >= until).then_some(()));
        server.kill();
        let answered = asked.join().unwrap();
        server.launch();
        let list = get(&server, "/list_projects").json();
        let now = list[0]["id"].as_str().unwrap().to_owned();
        assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
        assert!(now == next || (now == name && !answered), "{name} was to be {next}, and is {now}");
        // What is left to move, the start moves.
        let place = server.path("mirrors").join(&now);
        wait_for("the tree to be in its place", || place.exists().then_some(()));
        assert_eq!(fs::read_dir(server.path("mirrors")).unwrap().count(), 1);
        assert_eq!(fingerprint(&place), tree);
        assert_eq!(server.run(&run)["project"], *now);
        name = now;
    }
    assert_eq!(server.ended(&server.sync(&name))["state"], "unchanged");
    let check = server.post("/api/v1/store/check", &json!({})).json();
    assert_eq!(check["problems"], json!([]), "{check}");
}
