//! Two stages: an index never runs ahead of its files, whatever happens on the way.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::kit::{Server, Upstream, processes_with, wait_for};

/// Publishes an edition upstream as a careful archive does: new files, the index, and only then the old files go.
fn publish(upstream: &Upstream, edition: usize) {
    let tree = upstream.tree();
    let names = |edition: usize| (0..3).map(move |number| format!("pool/{edition}-{number}"));
    fs::create_dir_all(tree.join("pool")).unwrap();
    fs::create_dir_all(tree.join("dists/stable")).unwrap();
    for name in names(edition) {
        fs::write(tree.join(name), vec![b'x'; 80_000]).unwrap();
    }
    // No two editions have the same length: within one second that is all that rsync goes by.
    let index = names(edition).collect::<Vec<_>>().join("\n") + "\n".repeat(edition).as_str();
    fs::write(tree.join("dists/stable/Packages"), index).unwrap();
    for name in names(edition.wrapping_sub(1)) {
        let _ = fs::remove_file(tree.join(name));
    }
}

/// A client of the mirror that looks all the time, and counts what an index names and is not there.
struct Reader {
    missing: Arc<AtomicUsize>,
    in_progress: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    fn of(dest: PathBuf) -> Self {
        let (missing, in_progress, stop) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (missing, in_progress, stop) =
                (Arc::clone(&missing), Arc::clone(&in_progress), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    missing.fetch_add(broken(&dest), Ordering::Relaxed);
                    let waits = dest.join("Archive-Update-in-Progress-mirror.example.org").exists();
                    in_progress.fetch_add(usize::from(waits), Ordering::Relaxed);
                    std::thread::yield_now();
                }
            })
        };
        Self { missing, in_progress, stop, thread: Some(thread) }
    }

    fn seen(mut self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        (self.missing.load(Ordering::Relaxed), self.in_progress.load(Ordering::Relaxed))
    }
}

/// How many files the index in force names that are not there. One that is replaced meanwhile is not looked at.
fn broken(dest: &Path) -> usize {
    let path = dest.join("dists/stable/Packages");
    let Ok(index) = fs::read_to_string(&path) else { return 0 };
    let missing = index.lines().filter(|name| !dest.join(name).exists()).count();
    if fs::read_to_string(&path).ok() == Some(index) { missing } else { 0 }
}

fn slow(more: &Value) -> Value {
    let mut settings = json!({"options": {"basic": ["--bwlimit=1500"]}});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

fn server() -> Server {
    let site = r#"site: (url: "https://mirror.example.org/pub", email: "ops@example.org"), "#;
    let mut server = Server::start_with(site, |config, _| config);
    server.ready();
    server
}

#[test]
fn an_index_never_names_a_file_that_is_not_there_while_a_changing_upstream_is_synced() {
    let (server, upstream) = (server(), Upstream::start(1));
    let staged = server.project("staged", &upstream.url("data"), &slow(&json!({"stages": "debian"})));
    let plain = server.project("plain", &upstream.url("data"), &slow(&json!({})));
    fs::create_dir_all(upstream.tree().join("project/trace")).unwrap();
    fs::write(upstream.tree().join("project/trace/master"), "x\nArchive serial: 2026112501\n").unwrap();
    fs::write(upstream.tree().join("project/trace/mirror.example.org"), "not ours").unwrap();
    let (good, bad) = (Reader::of(staged.clone()), Reader::of(plain));
    for edition in 1..5 {
        publish(&upstream, edition);
        let runs = [server.sync("staged"), server.sync("plain")].map(|run| server.ended(&run));
        assert!(runs.iter().all(|run| run["state"] == "succeeded"), "{runs:?}");
        let [attempt, stats] = [&runs[0]["attempts"][0], &runs[0]["attempts"][0]["stats"]];
        assert_eq!((&attempt["stage"], &runs[1]["attempts"][0]["stage"]), (&json!(2), &Value::Null));
        assert!(stats["transferred"].as_u64() >= Some(4), "both stages add up: {stats}");
        assert!(attempt["command"].as_str().unwrap().contains(" && "), "{attempt}");
        assert!(staged.join(format!("pool/{edition}-0")).exists());
        assert!(!staged.join(format!("pool/{}-0", edition - 1)).exists());
    }
    let (missing, in_progress) = good.seen();
    assert_eq!(missing, 0, "an index named files that were not there");
    assert!(in_progress > 0 && !staged.join("Archive-Update-in-Progress-mirror.example.org").exists());
    assert!(bad.seen().0 > 0, "without stages nothing was seen, so this test would not see anything");
    let trace = fs::read_to_string(staged.join("project/trace/mirror.example.org")).unwrap();
    for line in ["Archive serial: 2026112501", "Upstream-mirror: 127.0.0.1", "Maintainer: ops@example.org"] {
        assert!(trace.lines().any(|found| found == line), "{line} is not in {trace}");
    }
}

#[test]
fn a_first_stage_that_fails_deletes_nothing_and_brings_no_index() {
    use std::os::unix::fs::PermissionsExt;
    let (server, upstream) = (server(), Upstream::start(1));
    let stages = json!({"stages": {"index": ["Packages"]}, "retry": {"attempts": 1}});
    let dest = server.project("p", &upstream.url("data"), &stages);
    publish(&upstream, 1);
    assert_eq!(server.ended(&server.sync("p"))["state"], "succeeded");
    publish(&upstream, 2);
    fs::set_permissions(upstream.tree().join("pool/2-1"), fs::Permissions::from_mode(0o0)).unwrap();
    let run = server.ended(&server.sync("p"));
    assert_eq!((run["state"].as_str(), &run["attempts"][0]["stage"]), (Some("partial"), &json!(1)), "{run}");
    assert_eq!(run["changes"]["deleted"], 0);
    assert!(dest.join("pool/1-0").exists() && dest.join("pool/2-0").exists());
    let index = fs::read_to_string(dest.join("dists/stable/Packages")).unwrap();
    assert!(index.contains("pool/1-0"), "{index}");
    fs::set_permissions(upstream.tree().join("pool/2-1"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(server.ended(&server.sync("p"))["state"], "succeeded");
    assert!(!dest.join("pool/1-0").exists());
}

#[test]
fn a_kill_in_the_first_stage_starts_no_second_one_and_the_next_start_makes_it_good() {
    let (mut server, upstream) = (server(), Upstream::start(1));
    let dest = server.project("p", &upstream.url("data"), &json!({"stages": "ubuntu"}));
    publish(&upstream, 1);
    assert_eq!(server.ended(&server.sync("p"))["state"], "succeeded");
    publish(&upstream, 2);
    fs::write(upstream.tree().join("pool/large"), vec![7; 3_000_000]).unwrap();
    let patch = server.request(reqwest::Method::PATCH, "/api/v1/projects/p").json(&slow(&json!({})));
    assert_eq!(server.send(patch).status, 200);
    let run = server.sync("p");
    server.moving(&run);
    server.kill();
    let place = dest.display().to_string();
    wait_for("every rsync to be gone", || processes_with(&place).is_empty().then_some(()));
    assert!(dest.join("pool/1-0").exists(), "something was deleted");
    assert!(fs::read_to_string(dest.join("dists/stable/Packages")).unwrap().contains("pool/1-0"));
    server.launch();
    assert_eq!(server.ended(&run)["state"], "interrupted");
    wait_for("the second edition", || {
        let index = fs::read_to_string(dest.join("dists/stable/Packages")).ok()?;
        (index.contains("pool/2-0") && !dest.join("pool/1-0").exists() && broken(&dest) == 0).then_some(())
    });
}

#[test]
fn a_full_folder_in_the_place_of_a_file_or_a_link_does_not_stop_the_stages() {
    use std::os::unix::fs::symlink;
    let (server, upstream) = (server(), Upstream::start(1));
    let dest = server.project("p", &upstream.url("data"), &json!({"stages": "debian"}));
    publish(&upstream, 1);
    let tree = upstream.tree();
    for file in ["pool/turns/a", "pool/turns/b", "dists/oldstable/Packages", "dists/oldstable/other"] {
        fs::create_dir_all(tree.join(file).parent().unwrap()).unwrap();
        fs::write(tree.join(file), file).unwrap();
    }
    assert_eq!(server.ended(&server.sync("p"))["state"], "succeeded");
    fs::remove_dir_all(tree.join("pool/turns")).unwrap();
    fs::write(tree.join("pool/turns"), "a file now").unwrap();
    fs::remove_dir_all(tree.join("dists/oldstable")).unwrap();
    symlink("stable", tree.join("dists/oldstable")).unwrap();
    let run = server.ended(&server.sync("p"));
    assert_eq!(
        (run["state"].as_str(), &run["attempts"][0]["stage"]),
        (Some("succeeded"), &json!(2)),
        "{run}"
    );
    assert_eq!(fs::read_to_string(dest.join("pool/turns")).unwrap(), "a file now");
    assert_eq!(fs::read_link(dest.join("dists/oldstable")).unwrap(), Path::new("stable"));
}
