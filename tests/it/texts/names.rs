//! Names of files and words of daemons, from real and hostile upstreams, at everything that shows them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use super::{assert_every_document_is_plain, assert_output_is_plain, assert_plain, hostile};
use crate::kit::{Receiver, Server, Smtp, Upstream, wait_for};

/// Names that a file system takes: one for each hostile character, a line break, and one that is not UTF-8.
fn names() -> Vec<Vec<u8>> {
    let names = hostile().into_iter().filter(|&c| c != '\0').chain(['\n']);
    let mut names: Vec<Vec<u8>> = names.map(|c| format!("a{c}[31mb").into_bytes()).collect();
    names.push(b"a\xff\xfe\x9bb".to_vec());
    names
}

/// A daemon whose every word is hostile.
fn hostile_daemon() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let word: String = hostile().into_iter().filter(|&c| !matches!(c, '\0' | '\r')).collect();
        let word = [word.as_bytes(), b"\xff\xfe"].concat();
        for stream in listener.incoming().flatten() {
            let word = word.clone();
            std::thread::spawn(move || -> std::io::Result<()> {
                let mut writer = stream.try_clone()?;
                let mut lines = BufReader::new(stream).split(b'\n');
                writer.write_all(b"@RSYNCD: 31.0 sha512 sha256 sha1 md5 md4\n")?;
                lines.next().transpose()?;
                lines.next().transpose()?;
                writer.write_all(&[b"motd ", &word[..], b"\n@ERROR: ", &word[..], b"\n"].concat())
            });
        }
    });
    port
}

/// Every command of the client whose arguments are known here, but those that change what others look at.
fn commands(parts: &[(&str, &str)]) -> Vec<Vec<String>> {
    const CHANGING: [&str; 14] = [
        "serve", "demo", "apply", "remove", "reload", "backup", "restore", "new", "approve", "reject",
        "rename", "import", "sync", "cancel",
    ];
    fn walk(
        command: &api::cli::Clap,
        words: &[String],
        parts: &[(&str, &str)],
        found: &mut Vec<Vec<String>>,
    ) {
        for inner in command.get_subcommands() {
            let mut words = [words, &[inner.get_name().to_owned()]].concat();
            if CHANGING.contains(&inner.get_name()) || inner.is_hide_set() {
                continue;
            }
            walk(inner, &words, parts, found);
            let arguments: Option<Vec<String>> = inner
                .get_positionals()
                .filter(|argument| argument.is_required_set())
                .map(|argument| {
                    let known = parts.iter().find(|(name, _)| *name == argument.get_id().as_str());
                    known.map(|(_, value)| (*value).to_owned())
                })
                .collect();
            if let Some(arguments) = arguments.filter(|_| !inner.has_subcommands()) {
                words.extend(arguments);
                found.push(words);
            }
        }
    }
    let mut found = Vec::new();
    walk(&api::cli::command(), &[], parts, &mut found);
    found
}

#[test]
fn nothing_that_an_upstream_says_steers_who_reads_it() {
    let (receiver, smtp, upstream) = (Receiver::start(), Smtp::start(), Upstream::start(3));
    for name in names() {
        fs::write(upstream.tree().join(std::ffi::OsStr::from_bytes(&name)), "x").unwrap();
    }
    let server = Server::start_from(|folder, port| config(folder, port, &receiver, &smtp));
    let daemon = format!("rsync://127.0.0.1:{}/m", hostile_daemon());
    let dest = server.project("p", &upstream.url("data"), &json!({"guard": {"max_delete_percent": 0}}));
    server.project("q", &daemon, &json!({"retry": {"attempts": 1}}));
    let fetched = server.ended(&server.sync("p"))["id"].as_str().unwrap().to_owned();
    let failed = server.ended(&server.sync("q"));
    assert_eq!(failed["state"], "failed", "{failed}");

    // What is gone upstream is held, with names in its plan.
    for name in names().iter().step_by(2) {
        fs::remove_file(upstream.tree().join(std::ffi::OsStr::from_bytes(name))).unwrap();
    }
    let held = server.sync("p");
    server.in_state(&held, "held");
    wait_for("a message with the daemon's words", || {
        receiver.taken().iter().any(|taken| taken.body.contains("9b")).then_some(())
    });
    let probed = server.post("/api/v1/probe", &json!({ "source": daemon }));
    assert_plain("a probe", probed.text.as_bytes());

    assert_eq!(
        fs::read_dir(&dest).unwrap().count(),
        fs::read_dir(upstream.tree()).unwrap().count() + names().len().div_ceil(2)
    );
    for run in [fetched.as_str(), failed["id"].as_str().unwrap(), held.as_str()] {
        for id in ["p", "q"] {
            assert_every_document_is_plain(&server, &[("id", id), ("run", run)]);
        }
        let mut seen = 0;
        for words in commands(&[("run", run), ("id", "p"), ("source", &daemon)]) {
            for more in [&[][..], &["--output", "json"], &["--changes"], &["--follow"]] {
                let words: Vec<&str> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
                if words.contains(&"--follow") && (words[0] != "log" || run == held) {
                    continue;
                }
                assert_output_is_plain(&words, &server.command(&words));
                seen += 1;
            }
        }
        assert!(seen > 30, "{seen}");
    }
    for taken in receiver.taken() {
        assert_plain("a message by webhook", taken.body.as_bytes());
    }
    let mail = wait_for("a mail", || smtp.mails().first().cloned());
    assert_plain("a mail", mail.replace('\r', "").as_bytes());
    let message = wait_for("a message for a program", || {
        fs::read(server.path("told")).ok().filter(|told| !told.is_empty())
    });
    assert_plain("a message for a program", &message);
}

/// An HTTP server whose every answer is hostile: a problem, a document that has all of these keys, or a log.
fn hostile_server(status: u16, body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let body = body.clone();
            std::thread::spawn(move || -> std::io::Result<()> {
                let mut writer = stream.try_clone()?;
                let mut lines = BufReader::new(stream).lines();
                while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
                write!(
                    writer,
                    "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                )?;
                writer.write_all(&body)
            });
        }
    });
    url
}

#[test]
fn nothing_that_a_server_says_steers_the_terminal_of_its_client() {
    let word: String = hostile().into_iter().chain(['\n', '\t']).collect();
    let keys = [
        "id", "name", "project", "state", "reason", "detail", "title", "source", "dest", "trigger", "path",
        "op", "type", "problem", "motd", "module", "token", "role", "user", "kind", "subject", "version",
    ];
    let item: serde_json::Map<_, _> = keys.iter().map(|key| ((*key).to_owned(), json!(word))).collect();
    let mut document = serde_json::Value::Object(item.clone());
    document["items"] = json!([item]);
    document["errors"] = json!([{"field": word, "message": word}]);
    document["hold"] = json!({ "reason": word });

    let bodies = [document.to_string().into_bytes(), [word.as_bytes(), b"\xff\xfe\x9b"].concat()];
    for (status, body) in [(200, &bodies[0]), (200, &bodies[1]), (422, &bodies[0]), (500, &bodies[1])] {
        let url = hostile_server(status, body.clone());
        let mut seen = 0;
        for words in commands(&[("run", "r"), ("id", "p"), ("source", "rsync://h/m")]) {
            for more in [&[][..], &["--output", "json"]] {
                let words: Vec<&str> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
                let mut command = std::process::Command::new(crate::kit::heliostat());
                let command = command.args(&words).args(["--server", &url, "--user", "root:x"]);
                let output = command.stdin(std::process::Stdio::null()).output().unwrap();
                assert_output_is_plain(&words, &output);
                seen += 1;
            }
        }
        assert!(seen > 20, "{seen}");
    }
}

fn config(folder: &Path, port: u16, receiver: &Receiver, smtp: &Smtp) -> String {
    let program = folder.join("tell");
    fs::write(&program, format!("#!/bin/sh\ncat >> {:?}\n", folder.join("told"))).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let hook = format!("Webhook(name: \"hook\", url: {:?})", receiver.url("/alerts"));
    let mail = format!(
        "Mail(name: \"mail\", server: \"127.0.0.1:{}\", encryption: None, from: \"h@example.org\", to: [\"a@example.org\"])",
        smtp.port()
    );
    let program = format!("Program(name: \"program\", command: [{program:?}])");
    format!(
        "(data_dir: {:?}, listen: \"127.0.0.1:{port}\", log: (level: \"debug\"), \
         alerts: (settle: \"100ms\", channels: [{hook}, {mail}, {program}]), role: Master())",
        folder.join("data")
    )
}
