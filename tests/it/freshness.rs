//! An upstream that has not moved by its marker costs no rsync, and whatever is in doubt costs one.

use std::fs;

use serde_json::{Value, json};

use crate::kit::{Server, Upstream, wait_for};

/// An upstream with a marker, and a project that looks at it every second.
fn site(more: &Value) -> (Upstream, Server) {
    let upstream = Upstream::start(3);
    fs::write(upstream.tree().join("lastupdate"), "1\n").unwrap();
    let server = Server::start("");
    let mut settings = json!({"schedule": {"every": "1s"}});
    for (key, value) in more.as_object().unwrap() {
        settings[key] = value.clone();
    }
    server.project("p", &upstream.url("data"), &settings);
    (upstream, server)
}

/// The newest run that has ended and is as it should be.
fn ended(server: &Server, what: &str, good: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, || {
        let runs = server.get("/api/v1/projects/p/runs").json();
        let id = runs["items"].as_array().unwrap().iter().find(|run| !run["ended"].is_null() && good(run))?;
        Some(server.run(id["id"].as_str().unwrap()))
    })
}

fn is_free(run: &Value) -> bool {
    run["state"] == "unchanged" && run["attempts"].as_array().is_some_and(Vec::is_empty)
}

#[test]
fn an_upstream_that_has_not_moved_costs_no_rsync_and_one_that_has_is_fetched() {
    let (upstream, server) = site(&json!({}));
    let free = ended(&server, "a run without rsync", is_free);
    assert!(free["reason"].as_str().unwrap().contains("lastupdate is what it was"), "{free}");
    let project = server.get("/api/v1/projects/p").json();
    assert_eq!(project["marker"]["path"], "lastupdate", "{project}");
    assert_eq!(project["last_success"], project["last_run"]["ended"], "it counts as a success");
    // What is new is seen by its marker alone.
    fs::write(upstream.tree().join("news"), "new\n").unwrap();
    fs::write(upstream.tree().join("lastupdate"), "12\n").unwrap();
    let fetched = ended(&server, "the news", |run| run["state"] == "succeeded" && run["generation"] == 2);
    assert_eq!(fetched["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(fs::read_to_string(server.path("mirrors").join("p/news")).unwrap(), "new\n");
    ended(&server, "peace again", |run| is_free(run) && run["id"].as_str() > fetched["id"].as_str());
    // Whoever asks by hand wants an rsync.
    let by_hand = server.ended(&server.sync("p"));
    assert_eq!((&by_hand["state"], by_hand["attempts"].as_array().unwrap().len()), (&json!("unchanged"), 1));
    // So does a changed setting, until the next whole run.
    let answer = server
        .send(server.request(reqwest::Method::PATCH, "/api/v1/projects/p").json(&json!({"priority": 1})));
    assert_eq!(answer.status, 200, "{}", answer.text);
    let newest = by_hand["id"].as_str().unwrap().to_owned();
    ended(&server, "a whole run after the change", |run| {
        run["trigger"] == "schedule" && !is_free(run) && run["id"].as_str().unwrap() > newest.as_str()
    });
    // A marker that is gone says nothing.
    fs::remove_file(upstream.tree().join("lastupdate")).unwrap();
    let gone = ended(&server, "the marker's end", |run| run["changes"]["deleted"] == 1);
    assert_eq!(gone["attempts"].as_array().unwrap().len(), 1);
}

#[test]
fn a_trace_is_found_and_a_whole_run_follows_by_the_clock() {
    let upstream = Upstream::start(1);
    fs::create_dir_all(upstream.tree().join("project/trace")).unwrap();
    fs::write(upstream.tree().join("project/trace/master"), "today\n").unwrap();
    let server = Server::start("");
    let freshness = json!({"verify_every": "3s", "target": "1s"});
    server.project("p", &upstream.url("data"), &json!({"schedule": {"every": "1s"}, "freshness": freshness}));
    let free = ended(&server, "a run without rsync", is_free);
    assert!(free["reason"].as_str().unwrap().starts_with("project/trace/master is what it was"), "{free}");
    let id = free["id"].as_str().unwrap().to_owned();
    let whole = |run: &Value| run["id"].as_str().unwrap() > id.as_str() && run["state"] == "unchanged";
    ended(&server, "a whole run", |run| whole(run) && !is_free(run));
    wait_for("the upstream to be too old", || {
        Some(server.get("/api/v1/projects/p").json()).filter(|project| project["stale"] == true)
    });
}

#[test]
fn an_upstream_that_stands_still_or_goes_back_is_told_and_one_that_is_accepted_is_not() {
    let upstream = Upstream::start(2);
    let show = |text: &str, seconds: u64| {
        let path = upstream.tree().join("lastupdate");
        fs::write(&path, text).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    };
    show("1", 1_700_000_000);
    let mut server = Server::start_with("alerts: (settle: \"1s\"), ", |text, _| text);
    server.ready();
    let settings = json!({"schedule": {"every": "1s"}});
    server.project("p", &upstream.url("data"), &settings);
    let course = |server: &Server, course: &str| {
        wait_for(course, || {
            let project = server.get("/api/v1/projects/p").json();
            (project["upstream_seen"]["course"] == course).then_some(project)
        })
    };
    let project = course(&server, "moving");
    assert_eq!(project["upstream_seen"]["as_of"], "2023-11-14T22:13:20Z", "{project}");
    wait_for("our copy to be as old", || {
        let project = server.get("/api/v1/projects/p").json();
        (project["as_of"] == "2023-11-14T22:13:20Z" && project["stale"] == false).then_some(())
    });
    assert_eq!(server.get("/api/v1/status").json()["old"], json!([]), "what has no target may be of any age");
    show("0", 1_600_000_000);
    course(&server, "rolled-back");
    let alert = wait_for("the alert", || {
        let alerts = server.get("/api/v1/alerts").json();
        alerts["items"].as_array()?.iter().find(|alert| alert["kind"] == "rolled-back").cloned()
    });
    assert!(alert["reason"].as_str().unwrap().contains("was seen before"), "{alert}");
    let patch = |body: &Value| {
        let answer = server.send(server.request(reqwest::Method::PATCH, "/api/v1/projects/p").json(body));
        assert_eq!(answer.status, 200, "{}", answer.text);
    };
    patch(&json!({"name": "accepted"}));
    course(&server, "moving");
    patch(&json!({"freshness": {"target": "1d"}}));
    course(&server, "frozen");
    let status = server.get("/api/v1/status").json();
    let old = json!([{"project": "p", "as_of": "2020-09-13T12:26:40Z", "target": 86400.0, "stale": true,
        "upstream_as_of": "2020-09-13T12:26:40Z", "course": "frozen"}]);
    assert_eq!(status["old"], old, "{status}");
    let screen = crate::kit::said(&server.command(&["status"]));
    assert!(screen.contains("Old, though nothing fails") && screen.contains("frozen, from "), "{screen}");
    let shown = server.command(&["project", "show", "p"]);
    assert!(
        crate::kit::said(&shown).contains("upstream    frozen, from 2020-09-13"),
        "{}",
        crate::kit::said(&shown)
    );
    let metrics = server.get("/metrics").text;
    assert!(
        metrics.contains("heliostat_project_upstream_as_of_timestamp_seconds{project=\"p\"} 1600000000"),
        "{metrics}"
    );
}

#[test]
fn a_run_that_failed_is_followed_by_a_whole_one_and_no_marker_means_whole_runs() {
    let (upstream, server) = site(&json!({"freshness": {"marker": "none"}, "retry": {"attempts": 1}}));
    let first = ended(&server, "a run that found nothing", |run| run["state"] == "unchanged");
    assert_eq!(first["attempts"].as_array().unwrap().len(), 1, "without a marker every run is a whole one");
    let answer = server.send(
        server
            .request(reqwest::Method::PATCH, "/api/v1/projects/p")
            .json(&json!({"freshness": {"marker": "lastupdate"}})),
    );
    assert_eq!(answer.status, 200, "{}", answer.text);
    ended(&server, "a run without rsync", is_free);
    drop(upstream);
    let failed = ended(&server, "a run that failed", |run| run["state"] == "failed");
    assert_eq!(failed["attempts"].as_array().unwrap().len(), 1, "rsync says what is wrong: {failed}");
}

#[test]
fn what_cannot_be_a_marker_is_refused_by_name() {
    let server = Server::start("");
    for (freshness, field) in [
        (json!({"marker": "../x"}), "freshness.marker"),
        (json!({"marker": "/etc/passwd"}), "freshness.marker"),
        (json!({"verify_every": "no"}), "freshness.verify_every"),
        (json!({"target": 0}), "freshness.target"),
        (json!({"mark": "auto"}), "freshness.mark"),
        (json!({"compare": "lists"}), "freshness.compare"),
    ] {
        let body =
            json!({"id": "p", "source": "rsync://h/m", "dest": server.path("p"), "freshness": freshness});
        let answer = server.post("/api/v1/projects", &body);
        assert_eq!(
            (answer.status, &answer.json()["errors"][0]["field"]),
            (422, &json!(field)),
            "{}",
            answer.text
        );
    }
}

#[test]
fn an_upstream_without_a_marker_is_compared_by_its_list() {
    use std::os::unix::fs::PermissionsExt;
    let upstream = Upstream::start(3);
    let server = Server::start("");
    let settings = json!({"schedule": {"every": "1s"}, "freshness": {"compare": "list"}});
    let dest = server.project("p", &upstream.url("data"), &settings);
    let free = ended(&server, "a run without rsync", is_free);
    let reason = free["reason"].as_str().unwrap();
    assert!(reason.contains("entries is what it was when the last good run began"), "{free}");
    let log = server.get(&format!("/api/v1/runs/{}/log", free["id"].as_str().unwrap())).text;
    assert!(log.contains("the upstream's list has "), "{log}");
    // A mode is enough, and so is what is gone.
    let file = upstream.tree().join("deep.txt");
    fs::write(&file, "1").unwrap();
    let newer = |than: &Value| {
        let than = than["id"].as_str().unwrap().to_owned();
        move |run: &Value| run["id"].as_str().unwrap() > than.as_str()
    };
    let fetched = ended(&server, "the new file", |run| run["state"] == "succeeded" && newer(&free)(run));
    let free = ended(&server, "peace again", |run| is_free(run) && newer(&fetched)(run));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let fetched = ended(&server, "the mode", |run| run["state"] == "succeeded" && newer(&free)(run));
    assert_eq!(dest.join("deep.txt").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let free = ended(&server, "peace after the mode", |run| is_free(run) && newer(&fetched)(run));
    fs::remove_file(&file).unwrap();
    let fetched = ended(&server, "the deletion", |run| run["state"] == "succeeded" && newer(&free)(run));
    assert!(!dest.join("deep.txt").exists());
    // A marker that appears is cheaper, and is used.
    fs::write(upstream.tree().join("lastupdate"), "1\n").unwrap();
    let by_marker = |run: &Value| run["reason"].as_str().is_some_and(|why| why.starts_with("lastupdate is"));
    ended(&server, "a run by the marker", |run| is_free(run) && by_marker(run) && newer(&fetched)(run));
}

#[test]
fn a_list_that_is_not_whole_proves_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let upstream = Upstream::start(3);
    let hidden = upstream.tree().join("hidden");
    fs::create_dir(&hidden).unwrap();
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o0)).unwrap();
    let server = Server::start("");
    let freshness = json!({"compare": "list", "marker": "none"});
    let settings = json!({"schedule": {"every": "1s"}, "freshness": freshness, "retry": {"attempts": 1}});
    server.project("p", &upstream.url("data"), &settings);
    let run = ended(&server, "a second run", |run| run["trigger"] == "schedule");
    let second = ended(&server, "another", |other| other["id"].as_str() > run["id"].as_str());
    let log = server.get(&format!("/api/v1/runs/{}/log", second["id"].as_str().unwrap())).text;
    assert!(log.contains("the upstream's list cannot be compared: it could not be read wholly"), "{log}");
    assert_eq!(second["attempts"].as_array().unwrap().len(), 1, "rsync follows: {second}");
}

#[test]
fn the_pulse_of_arch_is_fetched_even_where_nothing_else_has_moved() {
    let upstream = Upstream::start(3);
    for name in ["lastupdate", "lastsync"] {
        fs::write(upstream.tree().join(name), "1\n").unwrap();
    }
    let server = Server::start("");
    let freshness = json!({"verify_every": "1d"});
    let settings = json!({"schedule": {"every": "1s"}, "stages": "arch", "freshness": freshness});
    let dest = server.project("p", &upstream.url("data"), &settings);
    ended(&server, "a run without rsync", is_free);
    let before = server.get("/api/v1/projects/p").json();
    // What has not changed by the marker is not looked at.
    fs::write(upstream.tree().join("unannounced"), "x").unwrap();
    fs::write(upstream.tree().join("lastsync"), "12\n").unwrap();
    let pulse = ended(&server, "the pulse", |run| run["state"] == "succeeded" && run["generation"] == 2);
    // The file, and the time of the folder that it is in.
    assert_eq!(pulse["changes"], json!({"created": 0, "updated": 2, "deleted": 0}), "{pulse}");
    assert_eq!(fs::read_to_string(dest.join("lastsync")).unwrap(), "12\n");
    assert!(!dest.join("unannounced").exists() && dest.join("lastupdate").exists());
    let free = ended(&server, "peace again", |run| is_free(run) && run["id"].as_str() > pulse["id"].as_str());
    assert!(free["reason"].as_str().unwrap().starts_with("lastupdate is what it was"), "{free}");
    let project = server.get("/api/v1/projects/p").json();
    for same in ["files", "size_bytes", "marker"] {
        assert_eq!(project[same], before[same], "one file says nothing of the tree: {project}");
    }
    // A copy of ours that is gone is fetched as well.
    fs::remove_file(dest.join("lastsync")).unwrap();
    ended(&server, "the pulse anew", |run| run["generation"] == 3);
    assert!(dest.join("lastsync").exists());
}
