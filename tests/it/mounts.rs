//! A tree that is not there: a file system that is not mounted, or another one in its place. As
//! root; left out, with a word, where nothing can be mounted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::kit::{Server, Upstream, fingerprint, said, wait_for};

/// A folder on which file systems are mounted and unmounted.
struct MountPoint {
    folder: tempfile::TempDir,
}

impl MountPoint {
    /// One with nothing mounted on it; `None` where this system does not let us mount.
    fn new() -> Option<Self> {
        let point = Self { folder: tempfile::tempdir().unwrap() };
        if point.mount(&["-t", "tmpfs", "trial"]) {
            point.unmount();
            return Some(point);
        }
        println!("left out: this system does not let us mount a file system");
        None
    }

    fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    /// Mounts a file system; the arguments are those of mount(8) before the folder.
    fn mount(&self, words: &[&str]) -> bool {
        let mounted = Command::new("mount").args(words).arg(self.folder.path()).output();
        mounted.is_ok_and(|output| output.status.success())
    }

    fn unmount(&self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.folder.path()).status();
        assert!(unmounted.unwrap().success());
    }
}

impl Drop for MountPoint {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).output();
    }
}

/// Mirrors a tree into `p` below a folder.
fn add(server: &Server, upstream: &Upstream, below: &Path, more: &Value) -> PathBuf {
    add_as(server, upstream, "p", below, more)
}

fn add_as(server: &Server, upstream: &Upstream, id: &str, below: &Path, more: &Value) -> PathBuf {
    let dest = below.join("p");
    let mut settings = json!({"dest": dest, "freshness": {"marker": "none"}});
    for (key, value) in more.as_object().unwrap() {
        settings[key] = value.clone();
    }
    server.project(id, &upstream.url("data"), &settings);
    dest
}

#[test]
fn a_destination_that_is_not_mounted_is_held_and_goes_on_by_itself_once_it_is() {
    let Some(point) = MountPoint::new() else { return };
    let (mut server, upstream) = (Server::start(""), Upstream::start(30));
    let disk = server.path("disk");
    fs::create_dir(&disk).unwrap();
    let bind = ["--bind", disk.to_str().unwrap()];
    assert!(point.mount(&bind));
    let dest = add(&server, &upstream, &point.path(), &json!({}));
    assert_eq!(server.ended(&server.sync("p"))["state"], "succeeded");

    point.unmount();
    fs::write(upstream.tree().join("new"), "new").unwrap();
    let held = server.in_state(&server.sync("p"), "held");
    let reason = held["reason"].as_str().unwrap();
    assert!(reason.contains("is empty, and had ") && reason.contains("mount its file system"), "{reason}");
    assert!(!dest.exists(), "nothing may be written below the bare mount point");
    assert!(said(&server.command(&["status"])).contains("Held, until someone approves"));
    // A hold survives a crash, and a second look without the file system.
    server.kill();
    server.launch();
    let id = held["id"].as_str().unwrap();
    let at = server.run(id)["hold"]["planned"].clone();
    server.sync("p");
    wait_for("the run to look again", || {
        let run = server.run(id);
        (run["state"] == "held" && (at.is_null() || run["hold"]["planned"] != at)).then_some(())
    });
    assert!(!dest.exists());

    assert!(point.mount(&bind));
    server.sync("p");
    assert_eq!(server.ended(id)["state"], "succeeded");
    assert_eq!(fingerprint(&dest), fingerprint(&upstream.tree()));
}

#[test]
fn a_person_may_approve_that_an_emptied_tree_is_fetched_anew() {
    let (server, upstream) = (Server::start(""), Upstream::start(10));
    let dest = add(&server, &upstream, &server.path("mirrors"), &json!({}));
    assert_eq!(server.ended(&server.sync("p"))["state"], "succeeded");
    fs::remove_dir_all(&dest).unwrap();
    fs::create_dir_all(dest.join("lost+found")).unwrap();
    let held = server.in_state(&server.sync("p"), "held");
    let shown = said(&server.command(&["approve", held["id"].as_str().unwrap(), "--yes"]));
    assert!(shown.contains("is empty, and had "), "{shown}");
    assert_eq!(server.ended(held["id"].as_str().unwrap())["state"], "succeeded");
    assert_eq!(fingerprint(&dest), fingerprint(&upstream.tree()));

    // A project that lands elsewhere has no tree there yet, and one without a guard is not asked
    // about.
    let patch = |body: &Value| {
        let request = server.request(reqwest::Method::PATCH, "/api/v1/projects/p").json(body);
        assert_eq!(server.send(request).status, 200);
    };
    patch(&json!({"dest": server.path("mirrors/q")}));
    assert_eq!(server.ended(&server.sync("p"))["state"], "succeeded");
    fs::remove_dir_all(server.path("mirrors/q")).unwrap();
    patch(&json!({"guard": {"max_delete_percent": 100, "max_delete": i32::MAX}}));
    assert_eq!(server.ended(&server.sync("p"))["state"], "succeeded");
}

#[test]
fn a_destination_on_another_file_system_is_held_until_a_person_approves() {
    let Some(point) = MountPoint::new() else { return };
    let (server, upstream) = (Server::start(""), Upstream::start(30));
    assert!(point.mount(&["-t", "tmpfs", "one"]));
    let dest = add(&server, &upstream, &point.path(), &json!({}));
    assert_eq!(server.ended(&server.sync("p"))["state"], "succeeded");
    point.unmount();
    assert!(point.mount(&["-t", "tmpfs", "two"]));
    for number in 0..40 {
        fs::create_dir_all(dest.join("other")).unwrap();
        fs::write(dest.join(format!("other/{number}")), "somebody else's").unwrap();
    }
    let held = server.in_state(&server.sync("p"), "held");
    let reason = held["reason"].as_str().unwrap();
    assert!(reason.contains("another file system (tmpfs two /)"), "{reason}");
    assert!(reason.contains("(tmpfs one /)"), "{reason}");

    // It goes on there, and what is strange to it is the guard's to ask about, once.
    let id = held["id"].as_str().unwrap();
    assert_eq!(server.post(&format!("/api/v1/runs/{id}/approve"), &json!({})).status, 200);
    let plan = wait_for("the guard to ask", || {
        let run = server.run(id);
        (run["state"] == "held" && run["hold"]["deletions"] == 41).then_some(run)
    });
    assert!(dest.join("other/39").exists(), "{plan}");
    assert_eq!(server.post(&format!("/api/v1/runs/{id}/approve"), &json!({})).status, 200);
    assert_eq!(server.ended(id)["state"], "succeeded");
    assert_eq!(fingerprint(&dest), fingerprint(&upstream.tree()));
    assert!(matches!(server.ended(&server.sync("p"))["state"].as_str(), Some("unchanged")));
}

#[test]
fn a_project_that_expects_a_mount_fails_without_one_and_writes_nothing() {
    let Some(point) = MountPoint::new() else { return };
    let (server, upstream) = (Server::start(""), Upstream::start(10));
    let dest = add(&server, &upstream, &point.path(), &json!({"expect_mount": true}));
    assert_eq!(server.get("/api/v1/projects/p").json()["expect_mount"], true);
    if !point.path().starts_with("/tmp") || fs::read_to_string("/proc/mounts").unwrap().contains(" /tmp ") {
        println!("left out: the folder for temporary files is a file system of its own");
        return;
    }
    let run = server.ended(&server.sync("p"));
    assert_eq!(
        (&run["state"], &run["attempts"][0]["class"]),
        (&json!("failed"), &json!("local-disk")),
        "{run}"
    );
    assert!(run["reason"].as_str().unwrap().contains("`expect_mount`"), "{run}");
    assert!(!dest.exists());
    assert!(point.mount(&["-t", "tmpfs", "one"]));
    assert_eq!(server.ended(&server.sync("p"))["state"], "succeeded");
    let wrong =
        server.request(reqwest::Method::PATCH, "/api/v1/projects/p").json(&json!({"expect_mount": 1}));
    let answer = server.send(wrong);
    assert_eq!((answer.status, &answer.json()["errors"][0]["field"]), (422, &json!("expect_mount")));
}

#[test]
fn a_root_that_expects_a_mount_stops_every_project_below_it() {
    let Some(point) = MountPoint::new() else { return };
    let upstream = Upstream::start(10);
    let root = point.path();
    let mut server =
        Server::start_with("allowed_roots: [(path: \"ROOT\", expect_mount: true)], ", |text, _| {
            text.replace("ROOT", root.to_str().unwrap())
        });
    server.ready();
    let dest = add(&server, &upstream, &root, &json!({}));
    let run = server.ended(&server.sync("p"));
    assert_eq!(
        (&run["state"], &run["attempts"][0]["class"]),
        (&json!("failed"), &json!("local-disk")),
        "{run}"
    );
    assert!(run["reason"].as_str().unwrap().contains("nothing is mounted on"), "{run}");
    assert!(!dest.exists());
    assert!(point.mount(&["-t", "tmpfs", "one"]));
    assert_eq!(server.ended(&server.sync("p"))["state"], "succeeded");
}

#[test]
fn two_projects_never_share_a_tree_by_a_mount() {
    let Some(point) = MountPoint::new() else { return };
    let (server, upstream) = (Server::start(""), Upstream::start(5));
    let dest = server.project("p", &upstream.url("data"), &json!({}));
    assert_eq!(server.ended(&server.sync("p"))["state"], "succeeded");
    assert!(point.mount(&["--bind", dest.to_str().unwrap()]));
    let taken = |dest: PathBuf| {
        let answer = server
            .post("/api/v1/projects", &json!({"id": "q", "source": upstream.url("data"), "dest": dest}));
        assert_eq!(
            (answer.status, &answer.json()["errors"][0]["field"]),
            (422, &json!("dest")),
            "{}",
            answer.text
        );
        assert!(answer.text.contains("`p`, by a mount"), "{}", answer.text);
    };
    taken(point.path());
    taken(point.path().join("below"));

    // A mount that comes later is found at the start of both.
    point.unmount();
    let other = add_as(&server, &upstream, "q", &point.path(), &json!({}));
    assert_eq!(server.ended(&server.sync("q"))["state"], "succeeded");
    assert!(point.mount(&["--bind", dest.parent().unwrap().to_str().unwrap()]));
    for project in ["p", "q"] {
        let run = server.ended(&server.sync(project));
        assert_eq!(
            (&run["state"], &run["attempts"][0]["class"]),
            (&json!("failed"), &json!("config")),
            "{run}"
        );
        assert!(run["reason"].as_str().unwrap().contains("by a mount"), "{run}");
    }
    point.unmount();
    assert_eq!(server.ended(&server.sync("p"))["state"], "unchanged");
    assert!(other.exists());
}
