//! Upstreams that do not bear a rehearsal: they are mirrored all the same, and the guard stands.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::kit::{Dice, Middlebox, Server, Upstream, change, fingerprint, said};

/// Debian's own example of an rsyncd.conf.
const REFUSES: &str = "refuse options = checksum dry-run";

/// Every run looks at the upstream.
fn settings() -> Value {
    json!({"freshness": {"marker": "none"}})
}

fn refusing(files: usize) -> Upstream {
    Upstream::start_with(files, |_| REFUSES.to_owned())
}

/// Syncs once; the run and its log.
fn synced(server: &Server) -> (Value, String) {
    let run = server.ended(&server.sync("p"));
    let log = log(server, &run);
    (run, log)
}

fn log(server: &Server, run: &Value) -> String {
    server.get(&format!("/api/v1/runs/{}/log", run["id"].as_str().unwrap())).text
}

/// The number of rehearsals that a run's log shows.
fn rehearsals(text: &str) -> usize {
    text.lines().filter(|line| line.contains("plan: ") && line.contains(" --delete --dry-run ")).count()
}

/// Takes everything away that an upstream has.
fn empty(upstream: &Upstream) {
    fs::rename(upstream.tree(), upstream.tree().with_file_name("aside")).unwrap();
    fs::create_dir(upstream.tree()).unwrap();
}

#[test]
fn an_upstream_that_refuses_dry_run_is_planned_by_its_list() {
    let (server, upstream) = (Server::start(""), refusing(60));
    let dest = server.project("p", &upstream.url("data"), &settings());
    assert_eq!(synced(&server).0["state"], "succeeded");
    fs::write(upstream.tree().join("new"), "new").unwrap();
    fs::remove_file(upstream.tree().join("d02/file-2")).unwrap();
    let (run, text) = synced(&server);
    assert_eq!((&run["state"], &run["reason"]), (&json!("succeeded"), &Value::Null), "{run}\n{text}");
    assert!(text.contains("the upstream refuses --dry-run; it is made from"), "{text}");
    assert_eq!(fingerprint(&dest), fingerprint(&upstream.tree()), "{text}");

    // It is not asked again, and an emptied tree is held.
    empty(&upstream);
    let before = fingerprint(&dest);
    let held = server.in_state(&server.sync("p"), "held");
    let text = log(&server, &held);
    assert_eq!(rehearsals(&text), 0, "it had refused a moment before: {text}");
    assert!(held["reason"].as_str().unwrap().contains("no files any more"), "{held}");
    assert_eq!(held["hold"]["deletions"], before.len(), "{held}");
    let id = held["id"].as_str().unwrap();
    let listed = server.get(&format!("/api/v1/runs/{id}/changes?limit=1000")).json();
    let name = listed["items"].as_array().unwrap().iter().find(|item| item["path"] == "d03/file-43");
    assert!(name.unwrap()["size"].as_u64() > Some(0), "{listed}");
    assert_eq!(fingerprint(&dest), before);

    // A person may let exactly this plan through.
    assert_eq!(server.post(&format!("/api/v1/runs/{id}/approve"), &json!({})).status, 200);
    let ended = server.ended(id);
    assert_eq!((&ended["state"], fingerprint(&dest).len()), (&json!("succeeded"), 0), "{ended}");
}

#[test]
fn a_refusal_is_forgotten_when_a_person_says_so_or_the_daemon_is_another_one() {
    let (server, upstream) = (Server::start(""), refusing(3));
    server.project("p", &upstream.url("data"), &settings());
    let rehearses = |(run, text): (Value, String)| {
        assert!(matches!(run["state"].as_str(), Some("succeeded" | "unchanged")), "{run}\n{text}");
        rehearsals(&text) > 0
    };
    synced(&server);
    assert!(rehearses(synced(&server)) && !rehearses(synced(&server)));
    let project = server.get("/api/v1/projects/p").json();
    assert_eq!(project["rehearsal_refusals"][0]["upstream"], upstream.url("data"), "{project}");
    let shown = server.command(&["project", "show", "p"]);
    assert!(said(&shown).contains("refused --dry-run"), "{}", said(&shown));

    let run = server.post("/api/v1/projects/p/sync?whole=true", &json!({})).json();
    let run = server.ended(run["id"].as_str().unwrap());
    let text = log(&server, &run);
    assert!(rehearses((run, text)) && !rehearses(synced(&server)));
    let output = server.command(&["sync", "p", "--whole", "--follow"]);
    assert!(output.status.success(), "{}", said(&output));
    let page = server.get("/api/v1/projects/p/runs").json();
    assert_eq!(rehearsals(&log(&server, &page["items"][0])), 1);

    let output = server.command(&["probe", &upstream.url("data"), "--forget"]);
    assert!(said(&output).contains("forgotten 1 projects"), "{}", said(&output));
    assert_eq!(server.get("/api/v1/projects/p").json()["rehearsal_refusals"], json!([]));
    assert!(rehearses(synced(&server)));
    let found = server.post("/api/v1/probe", &json!({"source": upstream.url("data")})).json();
    assert!(found["forgotten"].is_null(), "{found}");
    assert_eq!(server.post("/api/v1/projects/p/sync?whole=perhaps", &json!({})).status, 400);
}

#[test]
fn an_upstream_that_breaks_off_the_rehearsal_and_then_shows_an_empty_tree_loses_nothing() {
    let (server, upstream) = (Server::start(""), Upstream::start(60));
    let middlebox = Middlebox::before(upstream.port());
    let dest = server.project("p", &middlebox.url("data"), &settings());
    assert_eq!(synced(&server).0["state"], "succeeded");
    fs::write(upstream.tree().join("new"), "new").unwrap();
    let (run, text) = synced(&server);
    assert_eq!((&run["state"], middlebox.dropped()), (&json!("succeeded"), 2), "{run}\n{text}");
    assert!(text.contains("broke off twice"), "{text}");
    assert_eq!(fingerprint(&dest), fingerprint(&upstream.tree()), "{text}");
    assert_eq!(run["attempts"].as_array().unwrap().len(), 1, "{run}");

    let before = fingerprint(&dest);
    empty(&upstream);
    server.in_state(&server.sync("p"), "held");
    assert_eq!(middlebox.dropped(), 4, "a broken connection is not remembered");
    assert_eq!(fingerprint(&dest), before);
}

#[test]
fn nothing_is_deleted_where_no_plan_can_be_made_and_the_run_says_so() {
    let (server, upstream) = (Server::start(""), refusing(30));
    let options = json!({"defaults": ["-aH"], "basic": ["--one-file-system"]});
    let settings = json!({"freshness": {"marker": "none"}, "options": options});
    let dest = server.project("p", &upstream.url("data"), &settings);
    assert_eq!(synced(&server).0["state"], "succeeded");
    let before = fingerprint(&dest).len();
    empty(&upstream);
    fs::write(upstream.tree().join("new"), "new").unwrap();
    for _ in 0..2 {
        let (run, text) = synced(&server);
        assert!(matches!(run["state"].as_str(), Some("succeeded" | "unchanged")), "{run}\n{text}");
        let reason = run["reason"].as_str().unwrap();
        for part in ["nothing was deleted", "--dry-run", "--one-file-system", "heliostat sync p --whole"] {
            assert!(reason.contains(part), "{part}: {reason}");
        }
        assert_eq!(fingerprint(&dest).len(), before + 1, "{text}");
    }
    let shown = said(&server.command(&["project", "show", "p"]));
    assert!(shown.contains("nothing was deleted"), "{shown}");

    // A person who takes the option away has the plan of the list, and is asked.
    let patch = server.request(reqwest::Method::PATCH, "/api/v1/projects/p");
    assert_eq!(server.send(patch.json(&json!({"options": {"basic": []}}))).status, 200);
    let held = server.in_state(&server.sync("p"), "held");
    assert_eq!(held["hold"]["deletions"], before, "{held}");
    // A held run stays held when its plan cannot be made any more.
    let patch = server.request(reqwest::Method::PATCH, "/api/v1/projects/p");
    assert_eq!(server.send(patch.json(&json!({"options": options}))).status, 200);
    let id = server.sync("p");
    crate::kit::wait_for("the held run to look again", || {
        let text = log(&server, &held);
        (text.contains("nothing was deleted") && server.run(&id)["state"] == "held").then_some(())
    });
    assert_eq!(fingerprint(&dest).len(), before + 1);
}

#[test]
fn a_rehearsal_that_fails_says_that_it_was_one() {
    let (server, upstream) =
        (Server::start(""), Upstream::start_with(3, |_| "refuse options = checksum".to_owned()));
    let dest = server.path("mirrors/p");
    fs::create_dir_all(&dest).unwrap();
    fs::write(dest.join("here"), "before").unwrap();
    let options = json!({"defaults": ["-aHc"]});
    server.project("p", &upstream.url("data"), &json!({"options": options, "retry": {"attempts": 1}}));
    let (run, _) = synced(&server);
    let reason = run["reason"].as_str().unwrap();
    assert!(run["state"] == "failed" && reason.starts_with("the rehearsal (--dry-run) failed: "), "{run}");
    assert!(run["attempts"][0]["command"].as_str().unwrap().contains(" --dry-run "), "{run}");

    let nobody = format!("rsync://127.0.0.1:{}/data", crate::kit::free_port());
    let patch = server.request(reqwest::Method::PATCH, "/api/v1/projects/p");
    assert_eq!(server.send(patch.json(&json!({"source": nobody}))).status, 200);
    let (run, text) = synced(&server);
    let reason = run["reason"].as_str().unwrap();
    assert!(run["state"] == "failed" && !reason.contains("tried again"), "{run}");
    assert_eq!(rehearsals(&text), 1, "nobody was there, so nothing broke off: {text}");
}

/// The paths that the held run of a project would delete.
fn planned(server: &Server, project: &str) -> BTreeSet<String> {
    let run = server.sync(project);
    let run = crate::kit::wait_for("the run to be planned", || {
        Some(server.run(&run)).filter(|run| run["state"] == "held" || !run["ended"].is_null())
    });
    if run["state"] != "held" {
        assert!(matches!(run["state"].as_str(), Some("succeeded" | "unchanged")), "{run}");
        return BTreeSet::new();
    }
    let id = run["id"].as_str().unwrap();
    let page = server.get(&format!("/api/v1/runs/{id}/changes?limit=1000")).json();
    let paths = page["items"].as_array().unwrap().iter();
    let paths = paths
        .map(|item| item["path_base64"].as_str().or(item["path"].as_str()).unwrap().to_owned())
        .collect();
    assert_eq!(server.post(&format!("/api/v1/runs/{id}/reject"), &json!({})).status, 200);
    paths
}

#[test]
fn a_plan_by_list_names_at_least_what_a_rehearsal_names() {
    let options = [
        json!({"defaults": ["-aH"]}),
        json!({"defaults": ["-aH"], "basic": ["--exclude=plain", "--exclude=/d0*/"]}),
        json!({"defaults": ["-rt"], "basic": ["--include=d01/", "--exclude=/d*/", "--max-size=1K"]}),
        json!({"defaults": ["-a"], "basic": ["--include=*/", "--include=file-1*", "--exclude=*"]}),
        json!({"defaults": ["-a"], "basic": ["--exclude=d01/file-21", "--exclude=with space"],
               "delete": "--delete-excluded"}),
    ];
    let (server, open, closed) = (Server::start(""), Upstream::start(40), refusing(0));
    let mut dice = Dice::new(0x5EED_0123_4567_89AB);
    for (number, options) in options.iter().enumerate() {
        // Everything that would go is held, so both look at the same destination in turn.
        let settings = json!({"freshness": {"marker": "none"}, "options": options,
                              "guard": {"max_delete": 0}, "retry": {"attempts": 1}});
        let (rehearsed, listed) = (format!("rehearsed-{number}"), format!("listed-{number}"));
        let dest = server.project(&rehearsed, &open.url("data"), &settings);
        let other = server.project(&listed, &closed.url("data"), &settings);
        for round in 0..6 {
            for _ in 0..12 {
                change(&open.tree(), &mut dice);
            }
            fs::create_dir_all(&dest).unwrap();
            for _ in 0..8 {
                change(&dest, &mut dice);
            }
            for (from, to) in [(open.tree(), closed.tree()), (dest.clone(), other.clone())] {
                let slash = |path: &std::path::Path| format!("{}/", path.display());
                let copied = std::process::Command::new("rsync")
                    .args(["-aH", "--delete", &slash(&from), &slash(&to)])
                    .status();
                assert!(copied.unwrap().success());
            }
            let (by_rehearsal, by_list) = (planned(&server, &rehearsed), planned(&server, &listed));
            assert!(
                by_list.is_superset(&by_rehearsal),
                "{options}, round {round}: {:?}",
                by_rehearsal.difference(&by_list).collect::<Vec<_>>()
            );
        }
    }
}
