//! A password that is used is seen nowhere: not in a process, an answer, a log, or a file that others can read.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::kit::{Server, Upstream, fingerprint};

const CANARY: &str = "hunter2";

#[test]
fn the_upstream_password_works_and_is_nowhere_to_be_seen() {
    let (mut server, upstream) = (Server::start(""), Upstream::start(20));
    fs::write(upstream.tree().join("large"), vec![7; 4_000_000]).unwrap();
    let source = json!({"host": "127.0.0.1", "port": upstream.port(), "module": "secret", "user": "mirror",
                        "password": CANARY});
    let dest = server.path("mirrors/p");
    let body = json!({"id": "p", "source": source, "dest": dest, "options": {"basic": ["--bwlimit=2000"]}});
    let created = server.post("/api/v1/projects", &body);
    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!(created.json()["source"]["has_password"], true);
    let run = server.sync("p");
    server.moving(&run);
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        // This very process holds the password, as the one who chose it.
        if entry.file_name().to_str() == Some(&std::process::id().to_string()) {
            continue;
        }
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(entry.path().join(file)).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(CANARY), "{}/{file}", entry.path().display());
        }
    }
    assert_eq!(server.ended(&run)["state"], "succeeded");
    assert_eq!(fingerprint(&dest), fingerprint(&upstream.tree()));
    for path in ["/api/v1/projects", "/api/v1/projects/p", "/api/v1/status"] {
        assert!(!server.get(path).text.contains(CANARY), "{path}");
    }
    for path in [format!("/api/v1/runs/{run}"), format!("/api/v1/runs/{run}/log")] {
        assert!(!server.get(&path).text.contains(CANARY), "{path}");
    }
    // Changing something else keeps it; taking it away takes it away.
    let patch = |body| server.send(server.request(reqwest::Method::PATCH, "/api/v1/projects/p").json(&body));
    assert_eq!(patch(json!({"priority": 3})).json()["source"]["has_password"], true);
    assert_eq!(patch(json!({"source": {"password": null}})).json()["source"]["has_password"], false);
    server.terminate();
    assert!(!server.log().contains(CANARY));
    for path in walkdir::WalkDir::new(server.data()).into_iter().flatten() {
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        let parents_closed = server.data().metadata().unwrap().permissions().mode().trailing_zeros() >= 6;
        assert!(parents_closed || mode.trailing_zeros() >= 6, "{}: {mode:o}", path.path().display());
    }
}

#[test]
fn a_wrong_password_is_said_without_being_shown() {
    let (server, upstream) = (Server::start(""), Upstream::start(1));
    let source = json!({"host": "127.0.0.1", "port": upstream.port(), "module": "secret", "user": "mirror",
                        "password": "canary-wrong"});
    let body = json!({"id": "p", "source": source, "dest": server.path("p")});
    assert_eq!(server.post("/api/v1/projects", &body).status, 201);
    let run = server.ended(&server.sync("p"));
    assert_eq!(
        (run["state"].as_str(), run["attempts"][0]["class"].as_str()),
        (Some("failed"), Some("auth")),
        "{run}"
    );
    assert!(!run.to_string().contains("canary-wrong"));
}

#[test]
fn a_password_stays_with_the_login_that_it_was_given_for() {
    let server = Server::start("");
    let source = json!({"host": "upstream.example.org", "module": "m", "user": "u", "password": CANARY});
    let body = json!({"id": "p", "source": source, "dest": server.path("p"), "enabled": false});
    assert_eq!(server.post("/api/v1/projects", &body).status, 201);
    let before = server.get("/api/v1/projects/p").json();
    let patch = |body| server.send(server.request(reqwest::Method::PATCH, "/api/v1/projects/p").json(&body));
    for change in [json!({"host": "evil.example.org"}), json!({"port": 8730}), json!({"user": "v"})] {
        let refused = patch(json!({"source": change}));
        assert_eq!(refused.status, 422, "{change}: {}", refused.text);
        let error = &refused.json()["errors"][0];
        assert_eq!(error["field"], "source.password", "{error}");
        assert!(error["message"].as_str().unwrap().contains("give it again"), "{error}");
    }
    // By every other spelling that moves the way: options, the API of 2014, a name that is the login.
    let port = json!({"options": {"defaults": ["-a"], "basic": ["--port=8730"], "delete": ""}});
    let refused = patch(port);
    assert_eq!((refused.status, &refused.json()["errors"][0]["field"]), (422, &json!("source.password")));
    for old in [
        json!({"id": "p", "rsync_host": "evil.example.org"}),
        json!({"id": "p", "rsync_host": "upstream.example.org:8730"}),
        json!({"id": "p", "rsync_options": {"defaults": ["-a"], "basic": ["--port=8730"], "delete": ""}}),
    ] {
        let refused = server.post("/update_project/basic", &old);
        assert_eq!(refused.status, 400, "{old}: {}", refused.text);
        assert!(refused.text.contains("rsync_password"), "{old}: {}", refused.text);
    }
    assert_eq!(server.get("/api/v1/projects/p").json(), before, "nothing has changed");
    assert_eq!(patch(json!({"source": {"path": "deeper"}})).json()["source"]["has_password"], true);
    // Another address as a whole says nothing of a password, and has none.
    let moved = patch(json!({"source": "rsync://u@evil.example.org/m"}));
    assert_eq!(
        (moved.status, &moved.json()["source"]["has_password"]),
        (200, &json!(false)),
        "{}",
        moved.text
    );
}
