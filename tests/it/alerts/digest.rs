//! The weekly message, through real receivers: a week is a store whose last weekly message is a week older.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::{bodies, broken, config, mend, subjects};
use crate::kit::{Receiver, Server, Smtp, Upstream, said, wait_for};

#[test]
fn the_week_is_told_once_through_the_channels_that_are_named_also_when_its_hour_was_missed() {
    let (receiver, other, smtp) = (Receiver::start(), Receiver::start(), Smtp::start());
    let upstream = Upstream::start(4);
    let mut server = Server::start_from(|folder, port| {
        let channels = format!(
            "Webhook(name: \"hook\", url: {:?}), Webhook(name: \"other\", url: {:?}), Mail(name: \"mail\", \
             server: {:?}, encryption: None, from: \"m@example.org\", to: [\"ops@example.org\"])",
            receiver.url("/x"),
            other.url("/x"),
            smtp.address()
        );
        let digest = "digest: (day: Monday, at: \"08:00\", channels: [\"hook\", \"mail\"])";
        config(folder, port, &format!("settle: \"100ms\", {digest}, channels: [{channels}]"))
    });
    server.project("p", &upstream.url("data"), &json!({}));
    broken(&server, "q", &upstream);
    for id in ["p", "q"] {
        server.ended(&server.sync(id));
    }
    smtp.wait(1);
    wait_for("the failure to be told", || (subjects(&bodies(&other), "opened") == ["q"]).then_some(()));
    wait_for("the deliveries to be noted", || {
        let channels = server.get("/api/v1/alerts/channels").json();
        channels["items"].as_array().unwrap().iter().all(|channel| channel["waiting"] == 0).then_some(())
    });
    assert!(weekly(&receiver).is_empty(), "the first comes after a week, and not at once");
    server.terminate();
    a_week_passes(&server);
    server.launch();
    let week = wait_for("the weekly message", || weekly(&receiver).pop());
    assert_eq!(week["title"], "the week: 2 runs, 1 failed, 1 open");
    let text = week["text"].as_str().unwrap();
    for part in ["failed:\n  q: 1 times", "open:\n  q fails: ", "grew most:\n  p: ", "disks:\n"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    let mail = smtp.wait(2).remove(1);
    assert!(mail.contains("the week: 2 runs, 1 failed, 1 open"), "{mail}");
    wait_for("the deliveries to be noted", || {
        let channels = server.get("/api/v1/alerts/channels").json();
        channels["items"].as_array().unwrap().iter().all(|channel| channel["waiting"] == 0).then_some(())
    });
    // It is told once, whatever becomes of the server: what comes next is something else.
    server.kill();
    server.launch();
    mend(&server, "q", &upstream);
    for receiver in [&receiver, &other] {
        wait_for("the end to be told", || (subjects(&changes(receiver), "over") == ["q"]).then_some(()));
    }
    assert_eq!((weekly(&receiver).len(), weekly(&other).len()), (1, 0));
}

fn weekly(receiver: &Receiver) -> Vec<Value> {
    bodies(receiver).into_iter().filter(|body| body["topic"] == "digest").collect()
}

fn changes(receiver: &Receiver) -> Vec<Value> {
    bodies(receiver).into_iter().filter(|body| body["topic"] == "changes").collect()
}

/// Makes the last weekly message a week older, and the projects as small as they were then. A backup is text, so that this
/// can be done from outside.
fn a_week_passes(server: &Server) {
    let config = server.config().display().to_string();
    let store = |words: &[&str]| {
        let output = server.command(&[&["store"], words, &["--config", &config]].concat());
        assert!(output.status.success(), "{}", said(&output));
    };
    let folder = server.path("backups");
    store(&["backup", folder.to_str().unwrap()]);
    let path = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    rewrite(&path, "alerts", |note| {
        let digested = &mut note["digested"];
        assert!(digested["at"].is_string(), "the first week has begun: {digested}");
        let ago = Command::new("date").args(["-u", "-d", "8 days ago", "+%Y-%m-%dT%H:%M:%SZ"]).output();
        digested["at"] = json!(String::from_utf8(ago.unwrap().stdout).unwrap().trim());
        digested["sizes"] = json!({"p": 1});
    });
    store(&["restore", path.to_str().unwrap()]);
}

/// Changes a note in a backup.
fn rewrite(backup: &Path, name: &str, change: impl FnOnce(&mut Value)) {
    let text = fs::read_to_string(backup).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut tail: Value = serde_json::from_str(&lines.pop().unwrap()).unwrap();
    let begin = format!("[\"notes\",\"{}\",", BASE64.encode(name));
    let line = lines.iter_mut().find(|line| line.starts_with(&begin)).unwrap();
    let record: Value = serde_json::from_str(line).unwrap();
    let bytes = BASE64.decode(record[2].as_str().unwrap()).unwrap();
    // A byte that says in which version, and JSON.
    let mut note: Value = serde_json::from_slice(&bytes[1..]).unwrap();
    change(&mut note);
    let bytes = [&bytes[..1], note.to_string().as_bytes()].concat();
    *line = json!([record[0], record[1], BASE64.encode(bytes)]).to_string();
    let mut body = lines.join("\n") + "\n";
    tail["sha256"] = json!(sha256(&body));
    writeln!(body, "{tail}").unwrap();
    fs::write(backup, body).unwrap();
}

fn sha256(text: &str) -> String {
    let mut command = Command::new("sha256sum");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}
