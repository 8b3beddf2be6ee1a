//! The command line as people and scripts meet it: what it prints, and the code with which it ends.

use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::kit::{Server, Upstream, fingerprint, free_port, heliostat, said};

/// Runs a command that must succeed, and gives what it printed.
fn ok(server: &Server, words: &[&str]) -> String {
    let output = server.command(words);
    assert!(output.status.success(), "{words:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn ended_with(server: &Server, words: &[&str], code: i32) -> String {
    let output = server.command(words);
    assert_eq!(output.status.code(), Some(code), "{words:?}: {}", said(&output));
    said(&output)
}

/// Runs a command without a server.
fn alone(words: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(heliostat())
        .args(words)
        .current_dir(folder.path())
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn a_project_lives_from_add_to_remove_on_the_command_line_alone() {
    let (server, upstream) = (Server::start(""), Upstream::start(30));
    let dest = server.path("mirrors/p");
    let place = dest.display().to_string();
    let words = [
        "project",
        "add",
        "p",
        &upstream.url("data"),
        &place,
        "--minute",
        "*/5",
        "--label",
        "array=1",
        "--option=--bwlimit=9000",
        "--priority",
        "-3",
        "--attempts",
        "2",
        "--max-delete",
        "77",
    ];
    let added = ok(&server, &words);
    assert!(added.contains("p is added: every 5 minutes, next run in"), "{added}");
    let followed = ok(&server, &["sync", "p", "--follow"]);
    assert!(followed.contains("succeeded in") && followed.contains("files of"), "{followed}");
    assert_eq!(fingerprint(&dest), fingerprint(&upstream.tree()));
    let shown = ok(&server, &["project", "show", "p"]);
    for part in [
        "every 5 minutes",
        "--bwlimit=9000",
        "array=1",
        "77 files",
        "2 attempts",
        "--max-delete=",
        "priority    -3",
    ] {
        assert!(shown.contains(part), "{part} is missing:\n{shown}");
    }
    let next = shown.split_once("next (UTC)").unwrap().1.lines().count();
    assert_eq!(next, 10, "{shown}");
    let list = ok(&server, &["project", "list", "--label", "array=1"]);
    assert!(list.contains("succeeded"), "{list}");
    let run: Value = serde_json::from_str(&ok(&server, &["runs", "p", "--output", "json"])).unwrap();
    let run = run["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(ok(&server, &["run", &run]).contains("attempt 1: done"));
    assert!(ok(&server, &["run", &run, "--changes"]).contains("file-7"));
    assert!(ok(&server, &["log", &run]).contains("attempt 1 ended: done"));
    assert_eq!(ok(&server, &["log", &run, "--tail", "2"]).lines().count(), 2);
    assert!(ok(&server, &["log", &run, "--follow"]).contains("attempt 1 ended: done"));
    let updated = ok(&server, &["project", "update", "p", "--every", "2h", "--label", "array="]);
    assert!(updated.contains("2 hours after the end of the last run"), "{updated}");
    let project = server.get("/api/v1/projects/p").json();
    assert_eq!((&project["labels"], &project["priority"]), (&json!({}), &json!(-3)));

    let expected = " (a mounted file system is expected)";
    ok(&server, &["project", "update", "p", "--expect-mount"]);
    assert!(ok(&server, &["project", "show", "p"]).contains(expected));
    ok(&server, &["project", "update", "p", "--expect-mount=false"]);
    assert!(!ok(&server, &["project", "show", "p"]).contains(expected));

    assert!(ok(&server, &["project", "disable", "p"]).contains("disabled"));
    assert!(ok(&server, &["project", "enable", "p"]).contains("enabled"));
    assert!(ok(&server, &["project", "remove", "p"]).contains("its files stay"));
    assert!(dest.join("d00").exists());
    assert!(!ok(&server, &["runs"]).contains("queued"));
    assert!(ok(&server, &["reload"]).contains("nothing has changed"));
}

#[test]
fn a_sync_that_fails_ends_with_one_and_says_why() {
    let server = Server::start("");
    let source = format!("rsync://127.0.0.1:{}/x", free_port());
    server.project("dead", &source, &json!({"retry": {"attempts": 1}}));
    let failed = ended_with(&server, &["sync", "dead", "--follow"], 1);
    assert!(failed.contains("failed in") && failed.to_lowercase().contains("refused"), "{failed}");
    let status = ok(&server, &["status"]);
    assert!(status.contains("Failing") && status.contains("dead"), "{status}");
}

#[test]
fn a_sync_can_be_cancelled_and_the_one_who_follows_it_is_told() {
    let (server, upstream) = (Server::start(""), Upstream::start(3));
    fs::write(upstream.tree().join("large"), vec![7; 30_000_000]).unwrap();
    server.project("p", &upstream.url("data"), &json!({"options": {"basic": ["--bwlimit=1000"]}}));
    let started = ok(&server, &["sync", "p"]);
    let run = started.split_whitespace().nth(1).unwrap().to_owned();
    server.moving(&run);
    let status = ok(&server, &["status"]);
    assert!(status.contains("Running") && status.contains("still to check"), "{status}");
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| ended_with(&server, &["sync", "p", "--follow"], 1));
        crate::kit::wait_for("the follower's own run", || {
            let queue = server.get("/api/v1/queue").json();
            queue["items"][0]["run"].as_str().map(str::to_owned)
        });
        // Its run waits behind the one that goes on: both are cancelled.
        let second = server.get("/api/v1/queue").json()["items"][0]["run"].as_str().unwrap().to_owned();
        assert!(ok(&server, &["cancel", &second]).contains("is cancelled"));
        assert!(ok(&server, &["cancel", &run]).contains("is being ended"));
        assert!(follower.join().unwrap().contains("cancelled"));
    });
}

#[test]
fn every_kind_of_failure_has_its_exit_code() {
    let server = Server::start("");
    ended_with(&server, &["project", "show", "none"], 3);
    ended_with(&server, &["sync", "../x"], 3);
    ended_with(&server, &["run", "none"], 3);
    ended_with(&server, &["nonsense"], 2);
    ended_with(&server, &["--server", "ftp://x", "status"], 2);
    ended_with(&server, &["project", "update", "none"], 2);
    ended_with(&server, &["--user", "root:wrong", "status"], 4);
    ended_with(&server, &["--server", &format!("http://127.0.0.1:{}", free_port()), "status"], 5);
    let wrong =
        ended_with(&server, &["project", "add", "a b", "http://x", "/d", "--option=-e", "--every", "0s"], 2);
    for part in ["id:", "source:", "options.basic[0]:", "schedule.every:"] {
        assert!(wrong.contains(part), "{part} is missing:\n{wrong}");
    }
    assert_eq!(server.get("/api/v1/projects").json()["items"], json!([]));
}

#[test]
fn a_password_comes_from_a_file_and_never_from_an_argument() {
    let (server, upstream) = (Server::start(""), Upstream::start(3));
    let file = server.path("password");
    fs::write(&file, "hunter2\n").unwrap();
    let source = upstream.url("secret").replace("rsync://", "rsync://mirror@");
    let (place, file) = (server.path("m").display().to_string(), file.display().to_string());
    ok(&server, &["project", "add", "p", &source, &place, "--manual", "--password-file", &file]);
    assert!(ok(&server, &["sync", "p", "--follow"]).contains("succeeded"));
    let shown = ok(&server, &["project", "show", "p"]);
    assert!(shown.contains("with a password") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_file_of_projects_is_put_in_force_shown_first_and_pruned() {
    let server = Server::start("");
    let file = server.path("projects.ron");
    let root = server.path("mirrors").display().to_string();
    let name = file.display().to_string();
    let text = format!(
        r#"[
            (id: "a", source: "rsync://h/a", dest: "{root}/a", schedule: (cron: (minute: "*/7")), labels: {{"x": "1"}}),
            (id: "b", source: (host: "h", module: "b", port: 8873), dest: "{root}/b", enabled: false),
        ]"#
    );
    fs::write(&file, &text).unwrap();
    let dry = ok(&server, &["project", "apply", "-f", &name, "--dry-run"]);
    assert!(dry.contains("+ a\n+ b\n") && dry.contains("would be created 2"), "{dry}");
    assert_eq!(server.get("/api/v1/projects").json()["items"], json!([]));
    ok(&server, &["project", "apply", "-f", &name]);
    assert_eq!(server.get("/api/v1/projects/b").json()["source"]["port"], 8873);
    assert!(ok(&server, &["project", "apply", "-f", &name]).contains("updated 0, removed 0; unchanged 2"));

    server.project("stranger", "rsync://h/s", &json!({}));
    fs::write(&file, text.replace("*/7", "*/9")).unwrap();
    let dry = ok(&server, &["project", "apply", "-f", &name, "--dry-run", "--prune"]);
    assert!(dry.contains("~ a\n    schedule.cron.minute: */7 → */9") && dry.contains("- stranger"), "{dry}");
    ok(&server, &["project", "apply", "-f", &name, "--prune"]);
    assert_eq!(server.get("/api/v1/projects/stranger").status, 404);
    assert_eq!(server.get("/api/v1/projects/a").json()["schedule"]["cron"]["minute"], "*/9");

    // One that is wrong keeps all of them from being changed.
    fs::write(&file, text.replace("*/7", "*/11").replace("8873", "88730")).unwrap();
    let wrong = ended_with(&server, &["project", "apply", "-f", &name], 2);
    assert!(wrong.contains("nothing was changed") && wrong.contains("source.port"), "{wrong}");
    assert_eq!(server.get("/api/v1/projects/a").json()["schedule"]["cron"]["minute"], "*/9");
    let twice = format!(r#"[(id: "a", source: "rsync://h/a", dest: "{root}/a"), (id: "a")]"#);
    fs::write(&file, twice).unwrap();
    assert!(ended_with(&server, &["project", "apply", "-f", &name], 2).contains("twice"));

    // What the API gives, it takes.
    let page = server.path("page.json");
    fs::write(&page, ok(&server, &["project", "list", "--output", "json"])).unwrap();
    let again = ok(&server, &["project", "apply", "-f", &page.display().to_string(), "--prune"]);
    assert!(again.contains("unchanged 2"), "{again}");
}

#[test]
fn what_an_upstream_named_cannot_paint_on_the_terminal() {
    let (server, upstream) = (Server::start(""), Upstream::start(1));
    server.project("p", &upstream.url("data"), &json!({}));
    let run = server.sync("p");
    server.ended(&run);
    let changes = ok(&server, &["run", &run, "--changes"]);
    assert!(changes.contains("a name with spaces") && !changes.contains('\u{1b}'), "{changes}");
    assert!(!ok(&server, &["log", &run]).contains('\u{1b}'));
}

#[test]
fn a_configuration_is_begun_checked_and_shown_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("heliostat.ron");
    let name = file.display().to_string();
    for role in ["master", "slave"] {
        let init = alone(&["config", "init", "--role", role]);
        assert!(init.status.success());
        fs::write(&file, &init.stdout).unwrap();
        let check = alone(&["config", "check", "--config", &name]);
        assert_eq!(check.status.code(), Some(0), "{}", said(&check));
    }
    fs::write(&file, "(listn: \"x\", role: Master(enrolment: \"canary\"))").unwrap();
    let check = alone(&["config", "check", "--config", &name]);
    assert_eq!(check.status.code(), Some(2));
    assert!(said(&check).contains(":1:2") && said(&check).contains("listen"), "{}", said(&check));
    fs::write(&file, "(role: Master(enrolment: \"canary\"))").unwrap();
    let show = alone(&["config", "show", "--config", &name]);
    assert!(said(&show).contains("***") && !said(&show).contains("canary"), "{}", said(&show));
    assert_eq!(alone(&["config", "show"]).status.code(), Some(0));
    assert_eq!(alone(&["serve", "--config", "/nowhere.ron"]).status.code(), Some(2));
}

#[test]
fn help_completions_and_manual_pages_cover_every_command() {
    let help = alone(&[]);
    assert_eq!(help.status.code(), Some(2));
    let commands = [
        "serve",
        "demo",
        "config",
        "status",
        "project",
        "sync",
        "cancel",
        "runs",
        "run",
        "log",
        "store",
        "reload",
        "completions",
        "man",
    ];
    for command in commands {
        assert!(said(&help).contains(command), "{command}");
        let own = alone(&[command, "--help"]);
        assert_eq!(own.status.code(), Some(0));
        assert_eq!(alone(&["man", command]).status.code(), Some(0));
        if !["config", "project", "store"].contains(&command) {
            assert!(said(&own).contains("Example"), "{command} --help has no example");
        }
    }
    for action in ["add", "list", "show", "update", "remove", "enable", "disable", "apply"] {
        assert!(said(&alone(&["project", action, "--help"])).contains("Example"), "project {action}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(said(&alone(&["completions", shell])).contains("heliostat"));
    }
    assert_eq!(alone(&["man", "nonsense"]).status.code(), Some(2));
}

#[test]
fn the_demo_shows_the_main_job_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(heliostat())
        .arg("demo")
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let said = said(&output);
    for part in
        ["still to check", "succeeded in", "the same, byte for byte", "unchanged in", "nothing is left"]
    {
        assert!(said.contains(part), "{part} is missing:\n{said}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(crate::kit::processes_with(&folder.path().display().to_string()).is_empty());
}
