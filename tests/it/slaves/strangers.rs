//! Who does not belong: wrong secrets, fake masters, replays, clones, liars, and nodes that were removed.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use super::{SECRET, current, held, master, slave, slave_with, sync};
use crate::kit::{Upstream, client, processes_with, wait_for};

#[test]
fn a_removed_node_is_out_at_once_in_the_middle_of_its_transfer() {
    let (master, upstream) = (master(), Upstream::start(3));
    fs::write(upstream.tree().join("large"), vec![7; 20_000_000]).unwrap();
    master.project("p", &upstream.url("data"), &json!({}));
    sync(&master, "p");
    let slave = slave_with(&master.url(""), "one", SECRET, "bwlimit: 1000");
    let run = wait_for("the slave's run", || {
        let answer = slave.get("/api/v1/projects/p/runs");
        (answer.status == 200).then(|| answer.json()["items"][0]["id"].as_str().map(str::to_owned)).flatten()
    });
    slave.moving(&run);
    let identity: Value =
        serde_json::from_str(&fs::read_to_string(slave.data().join("node.json")).unwrap()).unwrap();
    let source = format!("{}", slave.get("/api/v1/projects/p").json()["source"]["port"]);
    let list = || {
        let output = Command::new("rsync")
            .arg(format!("rsync://one@127.0.0.1:{source}/mirror-p/"))
            .env("RSYNC_PASSWORD", identity["password"].as_str().unwrap())
            .output()
            .unwrap();
        output.status.code()
    };
    assert_eq!(list(), Some(0));
    let port = format!("--port={source}");
    let children = || processes_with(&port).len();
    assert!(children() >= 2, "the listener and the transfer");
    assert!(master.command(&["node", "remove", "one"]).status.success());
    assert_eq!(children(), 1, "the transfer has ended when the answer comes");
    assert_eq!(list(), Some(5), "its password is worth nothing");
    let token = identity["token"].as_str().unwrap();
    let asked = client().get(master.url("/api/v1/nodes/self/generations")).bearer_auth(token).send().unwrap();
    assert_eq!(asked.status(), 401);
    assert_eq!(master.get("/api/v1/nodes").json()["items"], json!([]));
    wait_for("the slave to see that", || slave.log().contains("knows this slave no more").then_some(()));
}

#[test]
fn a_wrong_secret_joins_nothing_and_a_fake_master_learns_nothing() {
    let master = master();
    let stranger = slave_with(&master.url(""), "stranger", "another secret, which is wrong", "");
    wait_for("the slave to refuse", || {
        stranger.log().contains("does not know the enrolment secret").then_some(())
    });
    assert_eq!(master.get("/api/v1/nodes").json()["items"], json!([]));
    // Somebody at the master's address, who answers everything with what looks right.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let noted = std::sync::Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                noted.lock().unwrap().push_str(&std::mem::take(&mut line));
            }
            let nonce = "A".repeat(43);
            let body = format!("{{\"nonce\":\"{nonce}\",\"proof\":\"{nonce}\"}}");
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = reader.get_mut().write_all(answer.as_bytes());
        }
    });
    let mut fooled = slave(&url, "careful");
    wait_for("the slave to refuse", || fooled.log().contains("nothing was sent to it").then_some(()));
    assert!(!fooled.data().join("node.json").exists());
    fooled.terminate();
    let heard = heard.lock().unwrap().clone();
    assert!(
        heard.contains("/api/v1/nodes/hello") && !heard.contains("/join") && !heard.contains(SECRET),
        "{heard}"
    );
}

#[test]
fn a_replayed_join_a_taken_name_and_a_lie_are_refused() {
    let (master, upstream) = (master(), Upstream::start(3));
    master.project("p", &upstream.url("data"), &json!({}));
    sync(&master, "p");
    let relay = Relay::start(master.port());
    let first = slave(&relay.url, "one");
    current(&master, "one", "p");
    let join =
        relay.bodies().into_iter().find(|body| body.contains("proof") && !body.contains("name")).unwrap();
    assert!(!relay.bodies().concat().contains(SECRET));
    let replayed = client().post(master.url("/api/v1/nodes/join")).body(join).send().unwrap();
    assert_eq!(replayed.status(), 403, "{}", replayed.text().unwrap());
    // A second machine of the same name does not push the first one out.
    let second = slave(&master.url(""), "one");
    wait_for("it to be refused", || second.log().contains("is there already").then_some(()));
    let identity: Value =
        serde_json::from_str(&fs::read_to_string(first.data().join("node.json")).unwrap()).unwrap();
    let token = identity["token"].as_str().unwrap();
    // A clone of the first one, identity and all, is noticed.
    let clone = client().get(master.url("/api/v1/nodes/self/generations?process=clone")).bearer_auth(token);
    let answer = wait_for("the slave to ask again", || {
        let answer = clone.try_clone().unwrap().send().unwrap();
        (answer.status() == 409).then_some(answer)
    });
    assert!(answer.text().unwrap().contains("must not share one identity"));
    // Nobody holds what the master does not have.
    let project = master.get("/api/v1/projects/p").json();
    let mut lie = json!({
        "project": "p", "created": project["created"], "generation": 99, "run": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "state": "succeeded", "reason": null, "ended": "2026-01-01T00:00:00Z", "took_ms": 1, "received": 1,
    });
    let report = |body: &Value| {
        client().post(master.url("/api/v1/nodes/self/report")).bearer_auth(token).json(body).send().unwrap()
    };
    assert_eq!(report(&lie).status(), 422);
    // An old report, played again, changes nothing.
    lie["generation"] = Value::Null;
    assert_eq!(report(&lie).status(), 204);
    assert_eq!(held(&master, "one", "p")["generation"], 1);
    // Nor does one that was true once, word for word.
    let once = relay.bodies().into_iter().rfind(|body| body.contains("\"took_ms\"")).unwrap();
    fs::write(upstream.tree().join("new"), "x").unwrap();
    sync(&master, "p");
    let newer = current(&master, "one", "p");
    assert_eq!(newer["generation"], 2);
    let once: Value = serde_json::from_str(&once).unwrap();
    assert_eq!(once["generation"], 1);
    assert_eq!(report(&once).status(), 204);
    assert_eq!(held(&master, "one", "p"), newer);
    // A slave's token is good for nothing else.
    for path in ["/api/v1/projects", "/api/v1/nodes", "/api/v1/users"] {
        assert_eq!(client().get(master.url(path)).bearer_auth(token).send().unwrap().status(), 403, "{path}");
    }
    assert_eq!(master.get("/api/v1/nodes/self/generations").status, 403);
}

/// Passes requests on, and keeps what was in them.
struct Relay {
    url: String,
    bodies: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Relay {
    fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bodies = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let kept = std::sync::Arc::clone(&bodies);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = std::sync::Arc::clone(&kept);
                std::thread::spawn(move || relay(stream, to, &kept));
            }
        });
        Self { url, bodies }
    }

    fn bodies(&self) -> Vec<String> {
        self.bodies.lock().unwrap().clone()
    }
}

fn relay(stream: std::net::TcpStream, to: u16, kept: &std::sync::Mutex<Vec<String>>) {
    let Ok(mut server) = std::net::TcpStream::connect(("127.0.0.1", to)) else { return };
    let (mut back, mut answers) = (stream.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(std::net::Shutdown::Both);
    });
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let start = head.len();
            if !reader.read_line(&mut head).is_ok_and(|read| read > 0) {
                let _ = server.shutdown(std::net::Shutdown::Both);
                return;
            }
            let line = head[start..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        std::io::Read::read_exact(&mut reader, &mut body).unwrap();
        kept.lock().unwrap().push(String::from_utf8(body.clone()).unwrap());
        if server.write_all(head.as_bytes()).and_then(|()| server.write_all(&body)).is_err() {
            return;
        }
    }
}
