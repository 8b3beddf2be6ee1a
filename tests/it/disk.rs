//! A full disk: reads go on, writes are refused with the reason, nothing is lost, and it heals when space returns.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::kit::{Server, Upstream, fingerprint, said, wait_for};

/// A small file system of its own, where the system lets us make one.
pub(crate) struct Small(tempfile::TempDir);

impl Small {
    pub(crate) fn mount(megabytes: usize) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(folder.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        println!("left out: this system does not let us mount a small file system");
        None
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes it larger.
    pub(crate) fn grow(&self, megabytes: usize) {
        let size = format!("remount,size={megabytes}m");
        assert!(Command::new("mount").args(["-o", &size]).arg(self.path()).status().unwrap().success());
    }

    /// Fills it to the last byte.
    pub(crate) fn fill(&self) {
        let mut file = fs::File::create(self.path().join("fill")).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
        }
    }

    pub(crate) fn free(&self) {
        fs::remove_file(self.path().join("fill")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

#[test]
fn a_full_disk_refuses_writes_and_heals() {
    let Some(disk) = Small::mount(90) else { return };
    let upstream = Upstream::start(20);
    let mut server = Server::start_with_data("", &disk.path().join("data"));
    let dest = server.project("before", &upstream.url("data"), &json!({}));
    assert_eq!(server.ended(&server.sync("before"))["state"], "succeeded");
    disk.fill();
    let mut taken = vec!["before".to_owned()];
    let refused = wait_for("a write to be refused", || {
        let id = format!("p{}", taken.len());
        let body = json!({"id": id, "source": "rsync://h/m", "dest": server.path("mirrors").join(&id)});
        let answer = server.post("/api/v1/projects", &body);
        if answer.status == 201 {
            taken.push(id);
            return None;
        }
        Some(answer)
    });
    assert_eq!(refused.status, 507, "{}", refused.text);
    assert!(refused.text.contains("No space left on device"), "{}", refused.text);
    assert_eq!(server.get("/api/v1/projects").json()["items"].as_array().unwrap().len(), taken.len());
    assert_eq!(server.get("/api/v1/runs").json()["items"].as_array().unwrap().len(), 1);
    let ready = server.get("/readyz");
    assert!(ready.status == 503 && ready.text.contains("cannot be written"), "{}", ready.text);
    assert!(!ready.text.contains(server.data().to_str().unwrap()), "a path for strangers: {}", ready.text);
    // Nothing was changed: what was refused can be asked for again, with the same name.
    disk.free();
    wait_for("the store to heal", || {
        let run = server.post("/api/v1/projects/before/sync", &json!({}));
        (run.status == 202).then_some(())
    });
    assert_eq!(server.get("/readyz").status, 200);
    server.project(&format!("p{}", taken.len()), "rsync://h/m", &json!({}));
    taken.push(format!("p{}", taken.len()));
    server.kill();
    server.launch();
    let known = server.get("/api/v1/projects?limit=1000").json();
    let mut known: Vec<String> = known["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect();
    known.sort();
    taken.sort();
    assert_eq!(known, taken);
    wait_for("the tree to be whole", || (fingerprint(&dest) == fingerprint(&upstream.tree())).then_some(()));
}

#[test]
fn a_full_mirror_disk_is_said_and_not_tried_again() {
    let Some(disk) = Small::mount(2) else { return };
    let (server, upstream) = (Server::start(""), Upstream::start(5));
    fs::write(upstream.tree().join("large"), vec![7; 4_000_000]).unwrap();
    let body = json!({"id": "p", "source": upstream.url("data"), "dest": disk.path().join("m")});
    assert_eq!(server.post("/api/v1/projects", &body).status, 201);
    let run = server.ended(&server.sync("p"));
    assert_eq!(
        (run["state"].as_str(), run["attempts"][0]["class"].as_str()),
        (Some("failed"), Some("no-space")),
        "{run}"
    );
    assert_eq!(run["attempts"].as_array().unwrap().len(), 1, "{run}");
}

/// A master that looks at its disks so often.
fn watching(every: &str, reserve: &str, resume: &str) -> Server {
    Server::start_from(|folder, port| {
        format!(
            "(data_dir: {:?}, listen: \"127.0.0.1:{port}\", disk: (reserve: {reserve:?}, resume: {resume:?}, every: {every:?}), \
             alerts: (settle: \"100ms\"), role: Master())",
            folder.join("data")
        )
    })
}

/// What is said of the file system at this place.
fn shown(server: &Server, place: &Path) -> Option<serde_json::Value> {
    let disks = server.get("/api/v1/disks").json();
    disks["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|disk| disk["path"] == place.display().to_string())
        .cloned()
}

fn waits(server: &Server, project: &str) -> Option<String> {
    let queue = server.get("/api/v1/queue").json();
    let item = queue["items"].as_array().unwrap().iter().find(|item| item["project"] == project)?.clone();
    item["waits"].as_str().map(str::to_owned)
}

#[test]
fn nothing_starts_on_a_disk_below_its_reserve_and_it_goes_on_by_itself() {
    let Some(disk) = Small::mount(20) else { return };
    let (server, upstream) = (watching("1s", "6MiB", "10MiB"), Upstream::start(5));
    let place = disk.path().canonicalize().unwrap();
    server.project("here", &upstream.url("data"), &json!({"dest": place.join("m")}));
    server.project("elsewhere", &upstream.url("data"), &json!({}));
    assert_eq!(server.ended(&server.sync("here"))["state"], "succeeded");
    let seen = wait_for("the disk to be seen", || shown(&server, &place));
    assert_eq!((&seen["stopped"], &seen["projects"]), (&json!(false), &json!(["here"])), "{seen}");
    disk.fill();
    wait_for("it to be stopped", || shown(&server, &place).filter(|disk| disk["stopped"] == true));
    let run = server.sync("here");
    assert_eq!(server.ended(&server.sync("elsewhere"))["state"], "succeeded", "others go on");
    assert_eq!(server.run(&run)["state"], "queued");
    let why = waits(&server, "here").unwrap();
    assert!(why.contains(&format!("waits for space on {}", place.display())), "{why}");
    let screen = String::from_utf8_lossy(&server.command(&["status"]).stdout).into_owned();
    assert!(screen.contains("waits for space"), "{screen}");
    let open = wait_for("the alert", || {
        let open = server.get("/api/v1/alerts").json();
        open["items"].as_array().unwrap().iter().find(|alert| alert["kind"] == "disk-full").cloned()
    });
    assert_eq!(open["subject"], place.display().to_string());
    let metrics = server.get("/metrics").text;
    assert!(
        metrics.contains(&format!("heliostat_disk_stopped{{path=\"{}\"}} 1", place.display())),
        "{metrics}"
    );
    disk.free();
    assert_eq!(server.ended(&run)["state"], "unchanged");
    wait_for("the alert to be over", || {
        (server.get("/api/v1/alerts").json()["items"] == json!([])).then_some(())
    });
}

#[test]
fn a_run_that_finds_no_space_holds_back_the_others_of_its_disk_until_somebody_has_looked() {
    let Some(disk) = Small::mount(4) else { return };
    let (server, upstream) = (watching("1h", "1MiB", "2MiB"), Upstream::start(5));
    fs::write(upstream.tree().join("large"), vec![7; 8_000_000]).unwrap();
    let place = disk.path().canonicalize().unwrap();
    server.project("large", &upstream.url("data"), &json!({"dest": place.join("large")}));
    let small = json!({"dest": place.join("small"), "options": {"basic": ["--exclude=/large"]}});
    server.project("small", &upstream.url("data"), &small);
    wait_for("the disk to be seen", || shown(&server, &place));
    assert_eq!(server.ended(&server.sync("large"))["attempts"][0]["class"], "no-space");
    let run = server.sync("small");
    let why = wait_for("it to wait", || waits(&server, "small"));
    assert!(why.contains("waits for space on"), "{why}");
    assert_eq!(shown(&server, &place).unwrap()["reason"], "a run found no space on it");
    // Somebody makes room, and a reload looks again.
    fs::remove_dir_all(place.join("large")).unwrap();
    assert_eq!(server.post("/api/v1/reload", &json!({})).status, 200);
    assert_eq!(server.ended(&run)["state"], "succeeded");
}

#[test]
fn the_store_is_checked_backed_up_and_restored_beside_a_server_and_without_one() {
    let mut server = Server::start("");
    server.project("kept", "rsync://h/m", &json!({}));
    let config = server.config().display().to_string();
    let backups = server.path("backups");
    let folder = backups.display().to_string();
    let run = |server: &Server, words: &[&str]| {
        let output = server.command(&[&["store"], words, &["--config", &config]].concat());
        let said = said(&output);
        (output.status.code(), said)
    };
    let (code, said) = run(&server, &["check"]);
    assert!(code == Some(0) && said.contains("is sound: 1 projects"), "{said}");
    let (code, said) = run(&server, &["backup", &folder]);
    assert!(code == Some(0) && said.contains("records"), "{said}");
    server.project("lost", "rsync://h/m", &json!({}));
    let (code, said) = run(&server, &["restore", &folder]);
    assert!(code == Some(1) && said.contains("in use"), "{said}");
    server.terminate();
    let (code, said) = run(&server, &["check"]);
    assert!(code == Some(0) && said.contains("is sound: 2 projects"), "{said}");
    let (code, said) = run(&server, &["restore", &folder]);
    assert!(
        code == Some(0) && said.contains("set aside") || said.contains("that was there is now"),
        "{said}"
    );
    server.launch();
    assert_eq!(server.get("/api/v1/projects/kept").status, 200);
    assert_eq!(server.get("/api/v1/projects/lost").status, 404);
    let wrong = server.post("/api/v1/store/backup", &json!({"folder": "relative"}));
    assert_eq!(wrong.status, 422, "{}", wrong.text);
}

#[test]
fn the_next_day_is_shown_as_a_heat_map() {
    let server = Server::start("");
    for number in 0..4 {
        server.project(&format!("p{number}"), "rsync://h/m", &json!({"schedule": {"cron": {"minute": "H"}}}));
    }
    server.project("often", "rsync://h/m", &json!({"schedule": {"cron": {"second": "*"}}, "enabled": false}));
    let load = server.get("/api/v1/schedule/load?hours=2").json();
    let starts: Vec<u64> = load["starts"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert_eq!((starts.len(), starts.iter().sum::<u64>()), (12, 8), "{load}");
    assert_eq!(server.get("/api/v1/schedule/load?hours=0").status, 400);
    let shown = server.command(&["status", "--schedule"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert_eq!(shown.lines().count(), 25, "{shown}");
}
