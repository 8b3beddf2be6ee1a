//! People are told what needs them: once, together, through real receivers, whatever happens in between.

mod digest;
mod lag;
mod mail;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use serde_json::{Value, json};

use crate::kit::{Receiver, Server, Smtp, Upstream, free_port, heliostat, wait_for};

/// A master with these alerts.
fn master(alerts: &str) -> Server {
    Server::start_from(|folder, port| config(folder, port, alerts))
}

fn config(folder: &std::path::Path, port: u16, alerts: &str) -> String {
    format!(
        "(data_dir: {:?}, listen: \"127.0.0.1:{port}\", rsync: (concurrent: 12, per_host: 12), \
         alerts: ({alerts}), role: Master())",
        folder.join("data")
    )
}

fn webhook(receiver: &Receiver) -> String {
    format!("channels: [Webhook(name: \"hook\", url: {:?})]", receiver.url("/alerts"))
}

/// A project whose upstream has no such module: it fails at once, and its host is not to blame.
fn broken(server: &Server, id: &str, upstream: &Upstream) {
    server.project(id, &upstream.url("nowhere"), &json!({}));
}

fn mend(server: &Server, id: &str, upstream: &Upstream) {
    let path = format!("/api/v1/projects/{id}");
    let request =
        server.request(reqwest::Method::PATCH, &path).json(&json!({"source": upstream.url("data")}));
    let answer = server.send(request);
    assert_eq!(answer.status, 200, "{}", answer.text);
    server.sync(id);
}

/// The subjects under a key of all messages.
fn subjects(messages: &[Value], key: &str) -> Vec<String> {
    let lines = messages.iter().flat_map(|message| message[key].as_array().unwrap());
    let mut subjects: Vec<_> = lines.map(|line| line["subject"].as_str().unwrap().to_owned()).collect();
    subjects.sort();
    subjects
}

fn bodies(receiver: &Receiver) -> Vec<Value> {
    receiver.taken().iter().map(crate::kit::Taken::json).collect()
}

#[test]
fn what_fails_together_is_told_together_and_so_is_its_end() {
    let (receiver, upstream) = (Receiver::start(), Upstream::start(2));
    let server = master(&format!("settle: \"4s\", {}", webhook(&receiver)));
    let ids: Vec<String> = (0..10).map(|number| format!("p{number}")).collect();
    for id in &ids {
        broken(&server, id, &upstream);
    }
    for id in &ids {
        server.sync(id);
    }
    wait_for("all to be told", || (subjects(&bodies(&receiver), "opened").len() >= 10).then_some(()));
    let told = bodies(&receiver);
    assert_eq!(subjects(&told, "opened"), ids);
    assert!(told.len() <= 3, "{} messages", told.len());
    assert_eq!(told[0]["group"], json!({"kind": "upstream", "name": "127.0.0.1"}));
    assert_eq!(told[0]["opened"][0]["kind"], "failing");
    let open = server.get("/api/v1/alerts").json();
    assert_eq!(open["items"].as_array().unwrap().len(), 10, "{open}");
    assert_eq!((&open["items"][0]["kind"], &open["items"][0]["told"]), (&json!("failing"), &json!(true)));
    for id in &ids {
        mend(&server, id, &upstream);
    }
    wait_for("all to be well", || (subjects(&bodies(&receiver), "over").len() >= 10).then_some(()));
    let all = bodies(&receiver);
    assert_eq!((subjects(&all, "opened"), subjects(&all, "over")), (ids.clone(), ids), "each once");
    assert_eq!(server.get("/api/v1/alerts").json()["items"], json!([]));
}

#[test]
fn a_kill_in_between_neither_repeats_nor_forgets() {
    let (receiver, upstream) = (Receiver::start(), Upstream::start(2));
    let mut server = master(&format!("settle: \"100ms\", {}", webhook(&receiver)));
    broken(&server, "p", &upstream);
    server.ended(&server.sync("p"));
    receiver.wait(1);
    // What was told must be stored before the kill, or it would rightly be told again.
    wait_for("the delivery to be noted", || {
        let channels = server.get("/api/v1/alerts/channels").json();
        (channels["items"][0]["waiting"] == 0).then_some(())
    });
    server.kill();
    server.launch();
    wait_for("it to be open still", || {
        let open = server.get("/api/v1/alerts").json();
        (open["items"][0]["told"] == true).then_some(())
    });
    mend(&server, "p", &upstream);
    wait_for("its end to be told", || (subjects(&bodies(&receiver), "over") == ["p"]).then_some(()));
    let mut ids: Vec<_> = bodies(&receiver).iter().map(|body| body["id"].to_string()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 2, "one message of its beginning, one of its end: {ids:?}");
}

#[test]
fn a_receiver_that_is_down_gets_it_once_it_is_up_and_blocks_nobody() {
    let (port, other, upstream) = (free_port(), Receiver::start(), Upstream::start(2));
    let down = format!("Webhook(name: \"down\", url: \"http://127.0.0.1:{port}/x\")");
    let up = format!("Webhook(name: \"up\", url: {:?}, form: Slack)", other.url("/y"));
    let mut server = master(&format!("settle: \"100ms\", channels: [{down}, {up}]"));
    broken(&server, "p", &upstream);
    server.ended(&server.sync("p"));
    let slack = other.wait(1)[0].json();
    assert!(slack["text"].as_str().unwrap().contains("p fails: "), "{slack}");
    let shown = wait_for("the failure to be shown", || {
        let channels = server.get("/api/v1/alerts/channels").json();
        let both = channels["items"][0]["error"].is_string() && channels["items"][1]["delivered"].is_string();
        both.then_some(channels)
    });
    assert_eq!((&shown["items"][0]["waiting"], &shown["items"][1]["waiting"]), (&json!(1), &json!(0)));
    server.kill();
    server.launch();
    let receiver = Receiver::on(port);
    let taken = receiver.wait(1);
    assert_eq!(subjects(&[taken[0].json()], "opened"), ["p"]);
}

#[test]
fn a_test_message_goes_through_every_channel_and_says_what_failed() {
    let (receiver, smtp) = (Receiver::start(), Smtp::start());
    let server = Server::start_from(|folder, port| {
        let (page, secret) = (folder.join("page"), folder.join("hook.secret"));
        fs::write(&page, format!("#!/bin/sh\ncat > {}\n", folder.join("paged").display())).unwrap();
        fs::set_permissions(&page, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(&secret, "hush-hook\n").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let channels = [
            format!(
                "Webhook(name: \"hook\", url: {:?}, secret: File({secret:?}))",
                receiver.url("/k/hush-path")
            ),
            format!(
                "Mail(name: \"mail\", server: {:?}, encryption: None, user: \"u\", password: \"hush-mail\", \
                 from: \"Mirrors <m@example.org>\", to: [\"a@example.org\", \"b@example.org\"])",
                smtp.address()
            ),
            format!("Program(name: \"pager\", command: [{page:?}])"),
            "Program(name: \"broken\", command: [\"/bin/false\"])".to_owned(),
        ];
        config(folder, port, &format!("channels: [{}]", channels.join(", ")))
    });
    let output = server.command(&["alert", "test"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("/bin/false ended with exit status: 1"), "{said}");
    assert_eq!(said.matches("delivered").count(), 3, "{said}");
    let hook = receiver.wait(1).remove(0);
    assert_eq!(
        (hook.header("authorization"), hook.json()["topic"].as_str()),
        ("Bearer hush-hook", Some("test"))
    );
    let mail = smtp.wait(1).remove(0);
    let login = base64::engine::general_purpose::STANDARD.encode("\0u\0hush-mail");
    for part in [&login, "<a@example.org>", "<b@example.org>", "Subject: ", "Auto-Submitted: auto-generated"]
    {
        assert!(mail.contains(part), "{part} is missing in {mail}");
    }
    let paged: Value = serde_json::from_slice(&fs::read(server.path("paged")).unwrap()).unwrap();
    assert_eq!(paged["title"], "a test message");
    let shown = server.command(&["config", "show", "--config", &server.config().display().to_string()]);
    let channels = server.get("/api/v1/alerts/channels").text;
    for text in [server.log(), said, channels, String::from_utf8_lossy(&shown.stdout).into_owned()] {
        assert!(!text.contains("hush"), "a secret is in {text}");
    }
}

#[test]
fn signs_of_life_say_that_the_scheduler_lives_and_how_runs_end() {
    let (receiver, upstream) = (Receiver::start(), Upstream::start(2));
    let ping = format!(
        "ping: (url: {:?}, every: \"1s\", projects: [(id: \"p\", url: {:?}), (id: \"q\", url: {:?})])",
        receiver.url("/site"),
        receiver.url("/p"),
        receiver.url("/q/")
    );
    let server = master(&ping);
    server.project("p", &upstream.url("data"), &json!({}));
    broken(&server, "q", &upstream);
    let good = server.ended(&server.sync("p"));
    server.ended(&server.sync("q"));
    let paths = || receiver.taken().into_iter().map(|taken| taken.path).collect::<Vec<_>>();
    let has = |begin: &str| paths().iter().any(|path| path.starts_with(begin));
    for begin in ["/site", "/p/start?rid=", "/p?rid=", "/q/start?rid=", "/q/fail?rid="] {
        wait_for(begin, || has(begin).then_some(()));
    }
    assert_eq!(good["state"], "succeeded");
    let rid = |begin: &str| paths().iter().find_map(|path| Some(path.strip_prefix(begin)?.to_owned()));
    assert_eq!(rid("/p/start?rid="), rid("/p?rid="), "one run has one id");
    // A receiver that refuses harms nobody.
    receiver.answer(500);
    server.ended(&server.sync("p"));
}

#[test]
fn a_server_that_cannot_start_says_so_once_and_that_it_has_started_after_all() {
    let receiver = Receiver::start();
    let mut server = master(&format!("settle: \"100ms\", {}", webhook(&receiver)));
    // A second server wants the same port.
    let folder = tempfile::tempdir().unwrap();
    let text = config(folder.path(), server.port(), &format!("settle: \"100ms\", {}", webhook(&receiver)));
    let path = folder.path().join("heliostat.ron");
    fs::write(&path, text).unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let start = || {
        let mut command = std::process::Command::new(heliostat());
        command.args(["serve", "--config"]).arg(&path).stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null()).spawn().unwrap()
    };
    for _ in 0..2 {
        assert_eq!(start().wait().unwrap().code(), Some(1));
    }
    let told = bodies(&receiver);
    assert_eq!((told.len(), &told[0]["opened"][0]["kind"]), (1, &json!("start-failed")), "{told:?}");
    assert!(told[0]["text"].as_str().unwrap().contains("cannot listen on"), "{told:?}");
    server.kill();
    let mut second = start();
    wait_for("its start to be told", || {
        (subjects(&bodies(&receiver), "over") == ["Heliostat"]).then_some(())
    });
    second.kill().unwrap();
    second.wait().unwrap();
}

#[test]
fn a_configuration_that_is_refused_is_an_alert_until_it_is_right() {
    let receiver = Receiver::start();
    let server = master(&format!("settle: \"100ms\", {}", webhook(&receiver)));
    let right = fs::read_to_string(server.config()).unwrap();
    fs::write(server.config(), right.replace("settle", "setle")).unwrap();
    assert_eq!(server.post("/api/v1/reload", &json!({})).status, 422);
    let told = receiver.wait(1)[0].json();
    assert_eq!(told["opened"][0]["kind"], "configuration");
    assert!(told["text"].as_str().unwrap().contains("setle"), "{told}");
    fs::write(server.config(), right).unwrap();
    assert_eq!(server.post("/api/v1/reload", &json!({})).status, 200);
    wait_for("its end to be told", || (subjects(&bodies(&receiver), "over").len() == 1).then_some(()));
}

#[test]
fn channels_that_cannot_work_are_refused_with_the_key_and_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heliostat.ron");
    let said = |alerts: &str| {
        fs::write(&path, config(folder.path(), 5000, alerts)).unwrap();
        let output = std::process::Command::new(heliostat())
            .args(["config", "check", "--config"])
            .arg(&path)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{alerts} was accepted");
        String::from_utf8_lossy(&output.stdout).into_owned() + &*String::from_utf8_lossy(&output.stderr)
    };
    for (alerts, parts) in [
        ("channels: [Webhook(name: \"a\", url: \"ftp://hush\")]", vec!["alerts.channels[0].url", "https://"]),
        ("channels: [Program(name: \"a\", command: [\"page\"])]", vec!["channels[0].command", "absolute"]),
        (
            "channels: [Mail(name: \"a\", server: \"smtp\", from: \"x\", to: [])]",
            vec!["channels[0].from", "channels[0].to"],
        ),
        (
            "channels: [Mail(name: \"a\", server: \"smtp.example.org\", encryption: None, user: \"u\", \
             password: \"hush\", from: \"a@b.c\", to: [\"a@b.c\"])]",
            vec!["channels[0].encryption", "in the clear"],
        ),
        (
            "channels: [Program(name: \"a\", command: [\"/p\"]), Program(name: \"a\", command: [\"/p\"])]",
            vec!["channels[1].name", "another channel"],
        ),
        ("digest: (at: \"8 o'clock\")", vec!["alerts.digest.at", "08:00"]),
        ("digest: (channels: [\"none\"])", vec!["alerts.digest.channels[0]"]),
        ("ping: (url: \"hc\")", vec!["alerts.ping.url"]),
    ] {
        let said = said(alerts);
        for part in parts {
            assert!(said.contains(part), "{part} is missing in {said}");
        }
        assert!(!said.contains("hush"), "{said}");
    }
}

#[test]
fn the_feed_tells_everybody_what_changed_and_nothing_more() {
    let (server, upstream) = (master("settle: \"100ms\""), Upstream::start(2));
    let client = crate::kit::client();
    let read = || client.get(server.url("/feed.atom")).send().unwrap();
    let empty = read();
    assert_eq!(empty.headers()["content-type"], "application/atom+xml");
    let tag = empty.headers()["etag"].clone();
    let again = client.get(server.url("/feed.atom")).header("If-None-Match", tag).send().unwrap();
    assert_eq!(again.status(), 304);
    broken(&server, "p", &upstream);
    server.ended(&server.sync("p"));
    let first = wait_for("the failure to be in the feed", || {
        Some(read().text().unwrap()).filter(|text| text.contains("p fails"))
    });
    mend(&server, "p", &upstream);
    let both = wait_for("its end to be there", || {
        Some(read().text().unwrap()).filter(|text| text.contains("p works again"))
    });
    let ids = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.strip_prefix("<id>")).map(str::to_owned).collect()
    };
    let (first, both) = ((ids(&first), first), (ids(&both), both));
    assert_eq!((first.0.len(), both.0.len()), (2, 3), "the feed, and its entries");
    assert_eq!(first.0[0], both.0[0]);
    assert_eq!(first.0[1], both.0[2], "newest first, and an entry keeps its name");
    assert!(!both.1.contains("nowhere") && !both.1.contains("127.0.0.1"), "{}", both.1);
    // An independent reader: the XML is whole, and has what RFC 4287 asks of a feed and of each entry.
    let path = server.path("feed.atom");
    fs::write(&path, &both.1).unwrap();
    let script = "import sys, xml.etree.ElementTree as E; f = E.parse(sys.argv[1]).getroot(); n = '{http://www.w3.org/2005/Atom}'\n\
        assert f.tag == n + 'feed'\n\
        for part in ['id', 'title', 'updated', 'author']: assert len(f.findall(n + part)) == 1, part\n\
        entries = f.findall(n + 'entry'); assert len(entries) == 2\n\
        for e in entries:\n\
        \x20   for part in ['id', 'title', 'updated', 'content']: assert len(e.findall(n + part)) == 1, part\n";
    let output = std::process::Command::new("python3").args(["-c", script]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_held_run_is_told_with_the_command_that_lets_it_go_on_and_so_is_its_release() {
    let (receiver, upstream) = (Receiver::start(), Upstream::start(40));
    let server = master(&format!("settle: \"100ms\", {}", webhook(&receiver)));
    server.project(
        "p",
        &upstream.url("data"),
        &json!({"guard": {"max_delete_percent": 20, "max_delete": 3}}),
    );
    server.ended(&server.sync("p"));
    for entry in fs::read_dir(upstream.tree()).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    let run = server.sync("p");
    server.in_state(&run, "held");
    let told = receiver.wait(1)[0].json();
    assert_eq!(
        (&told["opened"][0]["kind"], &told["opened"][0]["run"]),
        (&json!("held"), &json!(run)),
        "{told}"
    );
    assert!(told["text"].as_str().unwrap().contains(&format!("heliostat approve {run}")), "{told}");
    assert_eq!(server.post(&format!("/api/v1/runs/{run}/approve"), &json!({})).status / 100, 2);
    wait_for("its release to be told", || (subjects(&bodies(&receiver), "over") == ["p"]).then_some(()));
}
