//! A run that follows its plan: the tree is gone through once, by the rehearsal, and comes out as a whole sync leaves it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::kit::{Dice, Server, Upstream, change, fingerprint, missing};

fn log(server: &Server, run: &Value) -> String {
    server.get(&format!("/api/v1/runs/{}/log", run["id"].as_str().unwrap())).text
}

/// Syncs once; the run and its log.
fn synced(server: &Server) -> (Value, String) {
    let run = server.ended(&server.sync("p"));
    let log = log(server, &run);
    (run, log)
}

/// Changes one file so that rsync sees it, whatever the clock says.
fn grow(path: &Path) {
    let mut text = fs::read(path).unwrap();
    text.extend_from_slice(b"more");
    fs::write(path, text).unwrap();
}

#[test]
fn a_run_looks_only_at_what_its_plan_named_and_still_knows_the_whole_tree() {
    let (server, upstream) = (Server::start(""), Upstream::start(60));
    let dest = server.project("p", &upstream.url("data"), &json!({}));
    let (first, text) = synced(&server);
    assert!(!text.contains("--files-from"), "there was nothing to compare: {text}");
    let files = first["stats"]["files"].as_u64().unwrap();
    grow(&upstream.tree().join("d01/file-1"));
    fs::remove_file(upstream.tree().join("d02/file-2")).unwrap();
    fs::write(upstream.tree().join("new"), "new").unwrap();
    let (run, text) = synced(&server);
    assert_eq!(run["state"], "succeeded", "{run}");
    assert!(text.contains("only they are looked at now") && text.contains("--files-from"), "{text}");
    assert_eq!(text.matches("--dry-run").count(), 1, "{text}");
    assert_eq!(fingerprint(&dest), fingerprint(&upstream.tree()));
    // One came and one went, so the tree has as many entries as before.
    assert_eq!((&run["stats"]["files"], &run["changes"]["created"]), (&json!(files), &json!(1)), "{run}");
    let of_first = |field: &str| first["stats"][field].as_u64().unwrap();
    let of_run = |field: &str| run["stats"][field].as_u64().unwrap();
    assert_ne!(of_run("total_size"), of_first("total_size"));
    assert!(of_run("transferred") == 2 && of_run("deleted") == 1, "{run}");
    let project = server.get("/api/v1/projects/p").json();
    assert_eq!(project["size_bytes"].as_u64(), Some(of_run("total_size")), "{project}");
    let folder = server.path("data/lists");
    let left = fs::metadata(&folder).map(|meta| meta.permissions().mode() & 0o077);
    assert_eq!(left.unwrap_or(0), 0, "the names of a tree are nobody's business");
}

/// An upstream of 60 files that does something before it serves its third transfer: the one that follows a plan.
fn upstream_that_then(does: &str) -> Upstream {
    Upstream::start_with(60, |folder| {
        let (script, count, tree) = (folder.join("before"), folder.join("count"), folder.join("tree"));
        let (count, tree) = (count.display(), tree.display());
        let text = format!(
            "#!/bin/sh\ncd {tree} && echo >> {count} && [ \"$(wc -l < {count})\" = 3 ] && {does}\nexit 0\n"
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        format!("pre-xfer exec = {}", script.display())
    })
}

#[test]
fn where_nothing_was_to_go_nothing_goes_whatever_the_upstream_shows_by_then() {
    let (server, upstream) = (Server::start(""), upstream_that_then("rm -rf d* odd"));
    let settings = json!({"freshness": {"marker": "none"}, "guard": {"max_delete_percent": 100}});
    let dest = server.project("p", &upstream.url("data"), &settings);
    assert_eq!(synced(&server).0["state"], "succeeded");
    let files = walkdir::WalkDir::new(&dest).into_iter().count();
    grow(&upstream.tree().join("d01/file-1"));
    let (run, text) = synced(&server);
    assert!(!upstream.tree().join("d01").exists(), "the upstream was to lose its files: {text}");
    assert_eq!(run["changes"]["deleted"], 0, "{run}");
    assert_eq!(walkdir::WalkDir::new(&dest).into_iter().count(), files, "{text}");
}

/// A file changes and another one goes; the run that brings it looks at the whole tree in the end.
fn looked_at_whole(server: &Server, upstream: &Upstream) {
    let settings = json!({"freshness": {"marker": "none"}});
    let dest = server.project("p", &upstream.url("data"), &settings);
    assert_eq!(synced(server).0["state"], "succeeded");
    grow(&upstream.tree().join("d01/file-1"));
    fs::remove_file(upstream.tree().join("d02/file-2")).unwrap();
    let (run, text) = synced(server);
    assert_eq!(
        (&run["state"], run["attempts"].as_array().unwrap().len()),
        (&json!("succeeded"), 1),
        "{text}"
    );
    assert!(text.contains("--files-from") && text.contains("the whole tree is looked at"), "{text}");
    assert_eq!(fingerprint(&dest), fingerprint(&upstream.tree()), "{text}");
    // What both rsyncs of the run have done counts.
    let deleted = run["changes"]["deleted"].as_u64().unwrap();
    let listed =
        server.get(&format!("/api/v1/runs/{}/changes?limit=1000", run["id"].as_str().unwrap())).json();
    let listed = listed["items"].as_array().unwrap().iter().filter(|item| item["op"] == "deleted").count();
    assert_eq!(deleted, listed as u64, "{text}");
}

#[test]
fn an_upstream_that_takes_no_list_is_looked_at_whole() {
    let upstream = Upstream::start_with(60, |_| "refuse options = files-from".to_owned());
    looked_at_whole(&Server::start(""), &upstream);
}

#[test]
fn an_upstream_that_moves_on_behind_the_plan_is_looked_at_whole() {
    looked_at_whole(&Server::start(""), &upstream_that_then("rm -rf d01"));
}

#[test]
fn a_folder_goes_though_a_file_that_the_project_leaves_out_has_its_name() {
    let (server, upstream) = (Server::start(""), Upstream::start(60));
    let defaults = ["-aH", "--include=*/", "--exclude=d01"];
    let settings = json!({
        "options": {"defaults": defaults}, "freshness": {"marker": "none"}, "guard": {"max_delete_percent": 100},
    });
    let dest = server.project("p", &upstream.url("data"), &settings);
    assert_eq!(synced(&server).0["state"], "succeeded");
    assert!(dest.join("d01/file-1").exists());
    fs::remove_dir_all(upstream.tree().join("d01")).unwrap();
    fs::write(upstream.tree().join("d01"), "no folder").unwrap();
    let (run, text) = synced(&server);
    assert_eq!(run["state"], "succeeded", "{text}");
    assert!(text.contains("\"d01\" is still there; the whole tree is looked at"), "{text}");
    assert!(!dest.join("d01").exists(), "{text}");
}

/// How many rounds a history has.
const ROUNDS: usize = 25;

#[test]
fn random_histories_come_out_the_same_by_whatever_options() {
    std::thread::scope(|scope| {
        for (number, (defaults, delete, stages, path)) in [
            ("-avH", "--delete", None, ""),
            // With its own -r, a folder in a list would be all that is in it.
            ("-rlptH", "--delete-delay", None, "/deep/er"),
            ("-a", "--delete-after", None, ""),
            ("-aH", "--delete-before", None, "/deep"),
            ("-aH", "--delete", Some("debian"), ""),
            ("-aH", "--delete", Some("rpm"), "/deep"),
        ]
        .into_iter()
        .enumerate()
        {
            scope.spawn(move || {
                let mut settings = json!({
                    "options": {"defaults": [defaults], "delete": delete},
                    "guard": {"max_delete_percent": 100, "max_delete": 100_000},
                });
                if let Some(stages) = stages {
                    settings["stages"] = json!(stages);
                }
                // More of them in the long part of CI.
                let all = std::env::var("HELIOSTAT_HISTORIES").ok().and_then(|text| text.parse().ok());
                for another in 0..all.unwrap_or(1) {
                    let seed = 2 * (number as u64 + 100 * another) + 1;
                    history(path, &settings, 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
                }
            });
        }
    });
}

/// One history of what lies below a path of the module.
fn history(path: &str, settings: &Value, seed: u64) {
    let (server, upstream) = (Server::start(""), Upstream::start(90));
    let tree = upstream.tree().join(path.trim_start_matches('/'));
    if !path.is_empty() {
        let aside = upstream.tree().with_file_name("aside");
        fs::rename(upstream.tree(), &aside).unwrap();
        fs::create_dir_all(tree.parent().unwrap()).unwrap();
        fs::rename(aside, &tree).unwrap();
    }
    let dest = server.project("p", &(upstream.url("data") + path), settings);
    assert_eq!(synced(&server).0["state"], "succeeded");
    let (mut dice, mut by_list) = (Dice::new(seed), 0);
    for round in 0..ROUNDS {
        for _ in 0..=dice.roll(6) {
            change(&tree, &mut dice);
        }
        let mut said = String::new();
        // Where deletions come last, a full folder gives way to a file in the next run only.
        let good = (0..4).any(|_| {
            let (run, text) = synced(&server);
            let alone = text.contains("--files-from") && !text.contains("the whole tree is looked at");
            by_list += usize::from(alone);
            said.push_str(&text);
            matches!(run["state"].as_str(), Some("succeeded" | "unchanged"))
        });
        let difference = missing(&tree, &dest);
        let hard_links = settings["options"]["defaults"][0].as_str().unwrap().contains('H');
        let same = difference.is_empty() || !hard_links;
        assert!(good && same, "{settings}, seed {seed}, round {round}:\n{difference}\n{said}");
    }
    assert!(
        by_list * 2 >= ROUNDS || settings["options"]["delete"] == "--delete-before",
        "{settings}: {by_list}"
    );
}
