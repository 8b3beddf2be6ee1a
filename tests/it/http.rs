//! The server as a server: who gets in, what a broken request gets, slow clients, and the event stream.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Server, Upstream, wait_for};

#[test]
fn nothing_answers_without_authentication_but_what_is_marked_open() {
    let server = Server::start("");
    let document = server.get("/openapi.json").json();
    let client = crate::kit::client();
    let mut seen = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if path == "/sync_from_master" {
                // A slave alone has it: `slaves::of_2014` asks as its master and as a stranger.
                continue;
            }
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let address = server.url(&path.replace("{id}", "x").replace("{run}", "x"));
            let status = client.request(method.clone(), address).send().unwrap().status().as_u16();
            let open = operation["security"].as_array().is_some_and(Vec::is_empty);
            assert_eq!(status == 401, !open, "{method} {path} answered {status}");
            seen += 1;
        }
    }
    assert!(seen >= 20);
    let wrong = client.get(server.url("/api/v1/projects")).basic_auth("root", Some("wrong")).send().unwrap();
    assert_eq!(wrong.status(), 401);
    assert!(wrong.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
}

#[test]
fn every_error_is_a_problem_document() {
    let server = Server::start("");
    let large = "x".repeat(2 << 20);
    let cases = [
        (server.request(Method::GET, "/nowhere"), 404),
        (server.request(Method::DELETE, "/healthz"), 405),
        (server.request(Method::PUT, "/api/v1/projects"), 405),
        (server.request(Method::GET, "/api/v1/projects/none"), 404),
        (server.request(Method::GET, "/api/v1/projects/..%2Fx"), 404),
        (server.request(Method::POST, "/api/v1/projects/none/sync"), 404),
        (server.request(Method::GET, "/api/v1/runs/none"), 404),
        (server.request(Method::GET, "/api/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV"), 404),
        (server.request(Method::GET, "/api/v1/events?types=nonsense"), 400),
        (server.request(Method::POST, "/api/v1/projects").body("{\"id\": \n oops"), 400),
        (server.request(Method::POST, "/api/v1/projects").body("[1]"), 422),
        (server.request(Method::POST, "/api/v1/projects").body(large), 413),
    ];
    for (request, status) in cases {
        let answer = server.send(request);
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let problem = answer.json();
        assert_eq!(problem["status"], status);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
    let broken = server.send(server.request(Method::POST, "/api/v1/projects").body("{\"id\": \n oops"));
    assert!(broken.text.contains("line 2"), "{}", broken.text);
}

#[test]
fn a_trailing_slash_changes_nothing_and_head_works() {
    let server = Server::start("");
    assert_eq!(server.get("/api/v1/projects/").status, 200);
    assert_eq!(server.get("/healthz").text, "ok\n");
    assert_eq!(server.send(server.request(Method::HEAD, "/api/v1/projects")).status, 200);
}

#[test]
fn a_thousand_clients_that_say_nothing_do_not_keep_others_out() {
    let server = Server::start("");
    let slow: Vec<TcpStream> = (0..1000)
        .filter_map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", server.port())).ok()?;
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").ok()?;
            Some(stream)
        })
        .collect();
    assert!(slow.len() > 900, "only {} connections", slow.len());
    for _ in 0..50 {
        assert_eq!(server.get("/api/v1/projects").status, 200);
    }
}

/// Reads the event stream, as a browser would.
pub(crate) struct Watcher(BufReader<reqwest::blocking::Response>);

impl Watcher {
    pub(crate) fn new(server: &Server, path: &str, last: Option<&str>) -> Self {
        let mut request = server.request(Method::GET, path);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = request.send().unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(BufReader::new(response))
    }

    /// The next event: its type, its id, its data.
    pub(crate) fn next(&mut self) -> (String, String, Value) {
        let (mut kind, mut id, mut data) = (String::new(), String::new(), Value::Null);
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
            match line.trim_end().split_once(':') {
                Some(("event", text)) => kind = text.trim().to_owned(),
                Some(("id", text)) => id = text.trim().to_owned(),
                Some(("data", text)) => data = serde_json::from_str(text).unwrap(),
                None if !kind.is_empty() => return (kind, id, data),
                _ => {}
            }
        }
    }
}

#[test]
fn a_watcher_sees_a_run_from_its_queue_to_its_end_and_can_resume() {
    let (server, upstream) = (Server::start(""), Upstream::start(5));
    server.project("p", &upstream.url("data"), &json!({}));
    let mut watcher = Watcher::new(&server, "/api/v1/events?project=p", None);
    let run = server.sync("p");
    let mut seen: Vec<(String, String)> = Vec::new();
    while seen.last().is_none_or(|(kind, _)| kind != "run.ended") {
        let (kind, id, data) = watcher.next();
        assert_eq!((&data["project"], &data["run"]), (&json!("p"), &json!(run)));
        assert_eq!(data["type"], kind);
        seen.push((kind, id));
    }
    let kinds: Vec<&str> =
        seen.iter().map(|(kind, _)| kind.as_str()).filter(|kind| *kind != "run.progress").collect();
    assert_eq!(kinds, ["run.queued", "run.started", "run.phase", "run.ended"]);
    let mut again =
        Watcher::new(&server, "/api/v1/events?project=p&types=run.started,run.ended", Some(&seen[0].1));
    assert_eq!(again.next().0, "run.started");
    assert_eq!(again.next().0, "run.ended");
    let mut lost = Watcher::new(&server, "/api/v1/events", Some("1"));
    assert_eq!(lost.next().0, "resync");
}

#[test]
fn a_log_can_be_read_whole_from_its_end_and_as_it_grows() {
    let (server, upstream) = (Server::start(""), Upstream::start(30));
    std::fs::write(upstream.tree().join("large"), vec![7; 3_000_000]).unwrap();
    server.project("p", &upstream.url("data"), &json!({"options": {"basic": ["--bwlimit=2000"]}}));
    let run = server.sync("p");
    server.moving(&run);
    let mut followed = String::new();
    let follow = server.request(Method::GET, &format!("/api/v1/runs/{run}/log?follow=true"));
    follow.send().unwrap().read_to_string(&mut followed).unwrap();
    assert_eq!(server.ended(&run)["state"], "succeeded");
    let whole = server.get(&format!("/api/v1/runs/{run}/log")).text;
    assert_eq!(followed, whole);
    assert!(whole.contains("attempt 1: ") && whole.contains("attempt 1 ended: done"), "{whole}");
    let tail = server.get(&format!("/api/v1/runs/{run}/log?tail=1")).text;
    assert_eq!(whole.lines().last(), Some(tail.trim_end()));
    assert!(whole.contains("file-7"));
    assert!(!whole.contains('\u{1b}'), "an escape sequence from the upstream reached the log");
}

#[test]
fn a_reload_puts_live_keys_in_force_names_the_others_and_refuses_errors() {
    let server = Server::start("concurrent: 3");
    let config = std::fs::read_to_string(server.config()).unwrap();
    let changed =
        config.replace("concurrent: 3", "concurrent: 7").replace("(data_dir", "(tls: None, data_dir");
    std::fs::write(server.config(), changed.replace(&format!(":{}\"", server.port()), ":1\"")).unwrap();
    let answer = server.post("/api/v1/reload", &json!({}));
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json(), json!({"live": ["rsync.concurrent"], "needs_restart": ["listen"]}));
    assert_eq!(server.get("/api/v1/status").json()["limits"]["concurrent"], 7);

    // What waits for a restart is named until then, or until it is as before.
    let answer = server.post("/api/v1/reload", &json!({}));
    assert_eq!(answer.json(), json!({"live": [], "needs_restart": ["listen"]}));
    std::fs::write(server.config(), &changed).unwrap();
    let answer = server.post("/api/v1/reload", &json!({}));
    assert_eq!(answer.json(), json!({"live": [], "needs_restart": []}));

    std::fs::write(server.config(), changed.replace("concurrent: 7", "concurent: 9")).unwrap();
    let answer = server.post("/api/v1/reload", &json!({}));
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("did you mean `concurrent`"), "{}", answer.text);
    std::fs::write(server.config(), changed.replace("concurrent: 7", "concurrent: 4")).unwrap();
    crate::kit::signal(server.pid(), rustix::process::Signal::HUP);
    wait_for("the signal to be obeyed", || {
        (server.get("/api/v1/status").json()["limits"]["concurrent"] == 4).then_some(())
    });
}
