//! A store that is damaged, or whose disk takes no write: what can be read is served, and the rest is said.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::disk::Small;
use crate::kit::{Server, said, wait_for};

/// The file of a table that holds these bytes, and where in it.
fn table_with(server: &Server, bytes: &[u8]) -> (PathBuf, usize) {
    let files = walkdir::WalkDir::new(server.data().join("store/keyspaces")).into_iter().flatten();
    for file in files.filter(|entry| entry.file_type().is_file()) {
        let content = fs::read(file.path()).unwrap();
        if let Some(place) = content.windows(bytes.len()).position(|window| window == bytes) {
            return (file.into_path(), place);
        }
    }
    panic!("no table holds {}", String::from_utf8_lossy(bytes));
}

#[test]
fn a_table_that_cannot_be_read_is_said_by_every_face() {
    let mut server = Server::start_with("alerts: (settle: \"100ms\"), ", |config, _| config);
    server.ready();
    server.project("p", "rsync://h/m", &json!({}));
    server.terminate();
    let (file, place) = table_with(&server, b"project.create");
    let mut bytes = fs::read(&file).unwrap();
    bytes[place] ^= 1;
    fs::write(&file, bytes).unwrap();

    server.launch();
    let answer = server.get("/api/v1/audit");
    assert!(answer.status == 500 && answer.text.contains("table of audit"), "{}", answer.text);
    assert!(answer.text.contains("heliostat store restore"), "{}", answer.text);
    let checked = server.post("/api/v1/store/check", &json!({})).json();
    assert_eq!(checked["problems"].as_array().unwrap().len(), 1, "{checked}");
    let ready = server.get("/readyz");
    assert!(ready.status == 503 && ready.text.contains("table of audit"), "{}", ready.text);
    assert!(!ready.text.contains(server.data().to_str().unwrap()), "a path for strangers: {}", ready.text);
    assert!(server.get("/metrics").text.contains("heliostat_store_unreadable_tables 1"));
    let open = wait_for("the alert", || {
        let open = server.get("/api/v1/alerts").json();
        open["items"].as_array().unwrap().iter().find(|alert| alert["kind"] == "store-damaged").cloned()
    });
    assert_eq!(open["subject"], "audit", "{open}");
    assert_eq!(server.get("/api/v1/projects/p").status, 200, "the rest is served");

    server.terminate();
    let config = server.config().display().to_string();
    let output = server.command(&["store", "check", "--config", &config]);
    assert!(output.status.code() == Some(1) && said(&output).contains("table of audit"), "{}", said(&output));
}

#[test]
fn a_start_on_a_disk_that_takes_no_write_serves_what_there_is_and_heals() {
    for is_full in [false, true] {
        let Some(disk) = Small::mount(160) else { return };
        let remount = |option: &str| {
            let option = format!("remount,{option}");
            assert!(Command::new("mount").args(["-o", &option]).arg(disk.path()).status().unwrap().success());
        };
        let mut server = Server::start_with_data("", &disk.path().join("data"));
        server.project("p", "rsync://h/m", &json!({}));
        server.kill();
        if is_full {
            disk.fill();
        } else {
            remount("ro");
        }

        server.spawn();
        wait_for("it to be served", || {
            server.try_get("/api/v1/projects/p").filter(|answer| answer.status == 200)
        });
        let body = json!({"id": "q", "source": "rsync://h/m", "dest": server.path("mirrors/q")});
        let refused = server.post("/api/v1/projects", &body);
        assert!(refused.status == 507 || is_full, "{}", refused.text);
        assert!(server.get("/readyz").status == 503 || is_full);
        if is_full {
            disk.free();
        } else {
            remount("rw");
        }

        wait_for("it to heal", || (server.get("/readyz").status == 200).then_some(()));
        assert!([201, 409].contains(&server.post("/api/v1/projects", &body).status));
        server.kill();
        server.launch();
        for id in ["p", "q"] {
            assert_eq!(server.get(&format!("/api/v1/projects/{id}")).status, 200);
        }
    }
}
