//! Nodes and masters of 2014, as they spoke then: told by a message, pulling by themselves, and reporting.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{current, held, master, sync};
use crate::kit::{Server, Upstream, client, fingerprint, wait_for};

/// What the clients of 2014 send with every request (`requests` 2.3 and its own headers); it unpacked what was packed,
/// which this test leaves out.
const HEADERS: &str = "Accept-Encoding: identity\r\nAccept: text/plain\r\n\
    User-Agent: python-requests/2.3.0 CPython/2.7.6 Linux/3.13.0\r\nContent-type: application/json\r\n";

/// Somebody of 2014 who answers over HTTP: Flask's own server, one request for each connection.
struct Peer {
    port: u16,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Peer {
    /// Answers everything with what `answer` makes of the body.
    fn start(answer: impl Fn(&Value) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some((head, body)) = read(stream.try_clone().unwrap()) else { continue };
                let (status, text) = answer(&body);
                noted.lock().unwrap().push((head, body));
                let answer = format!(
                    "HTTP/1.0 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                     Server: Werkzeug/0.9.6 Python/2.7.6\r\n\r\n{text}",
                    text.len()
                );
                let _ = { stream }.write_all(answer.as_bytes());
            }
        });
        Self { port, heard }
    }

    fn heard(&self) -> Vec<(String, Value)> {
        self.heard.lock().unwrap().clone()
    }

    fn waits_for(&self, count: usize) -> (String, Value) {
        wait_for("a message", || self.heard().get(count - 1).cloned())
    }
}

/// A request: its head, and its body as JSON.
fn read(stream: TcpStream) -> Option<(String, Value)> {
    let (mut reader, mut head, mut length) = (BufReader::new(stream), String::new(), 0);
    loop {
        let start = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
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
    reader.read_exact(&mut body).ok()?;
    Some((head, serde_json::from_slice(&body).ok()?))
}

/// Sends a request of 2014 byte for byte, and gives the status and the body of the answer.
fn say(port: u16, path: &str, login: &str, body: &Value) -> (u16, Value) {
    let text = body.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: {}\r\n{HEADERS}{login}Connection: close\r\n\r\n{text}",
        text.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {login}\r\n")
}

/// What `rsync_call` of 2014 did with a message, through a shell as it did.
fn pull(message: &Value, user: &str, module: &str, into: &Path) {
    let options = &message["rsync_options"];
    let texts = |key: &str| {
        options[key].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let options = [texts("basic"), texts("defaults"), vec![options["delete"].as_str().unwrap().to_owned()]];
    let (host, project) = (message["rsync_host"].as_str().unwrap(), message["project"].as_str().unwrap());
    let command =
        format!("rsync {} {user}@{host}::{module}/{project} {}", options.concat().join(" "), into.display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).env("RSYNC_PASSWORD", message["rsync_password"].as_str().unwrap());
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn add(master: &Server, hostname: &str, port: u16) {
    let answer = master.post("/add_slave/", &json!({"hostname": hostname, "port": port.to_string()}));
    assert_eq!(answer.json()["details"], "Added to cluster", "{}", answer.text);
}

#[test]
fn a_node_of_2014_is_told_after_each_good_sync_only_and_a_dead_one_delays_nobody() {
    let (mut master, upstream) = (master(), Upstream::start(12));
    let dest = master.project("p", &upstream.url("data"), &json!({}));
    master.project("broken", &upstream.url("nowhere"), &json!({"retry": {"attempts": 1}}));
    // One that never answers, one whose port is closed, and one that is there.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    add(&master, "localhost", silent.local_addr().unwrap().port());
    let node = Peer::start(|_| {
        (200, r#"{"success": true, "details": "Rsync call initiated on all slave nodes"}"#.to_owned())
    });
    add(&master, "127.0.0.1", node.port);
    add(&master, "closed.invalid", 9);
    let run = master.sync("broken");
    assert_eq!(master.ended(&run)["state"], "failed");
    sync(&master, "p");
    let (head, message) = node.waits_for(1);
    assert!(head.starts_with("POST /sync_from_master/ HTTP/1.1\r\n"), "{head}");
    let lower = head.to_ascii_lowercase();
    assert!(
        lower.contains("\r\ncontent-type: application/json\r\n")
            && lower.contains("\r\naccept: text/plain\r\n")
    );
    let mut keys: Vec<&String> = message.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["project", "rsync_host", "rsync_options", "rsync_password", "slave_id"]);
    assert_eq!((&message["project"], &message["slave_id"]), (&json!("p"), &json!(2)));
    // It pulls as that year's slave did, with the login that it has in lists.
    let into = master.path("public");
    fs::create_dir(&into).unwrap();
    pull(&message, "slave-2", "mirror", &into);
    assert_eq!(fingerprint(&into.join("p")), fingerprint(&dest));
    let told = held(&master, "slave-2", "p");
    assert_eq!(
        (&told["told"], &told["generation"], &told["state"]),
        (&json!(1), &Value::Null, &json!("told"))
    );
    // Its report: without a login none, with its own recorded, for another one refused.
    let port = master.port();
    let report = |slave: u32, login: &str| {
        say(port, "/slave_rsync_complete/", login, &json!({"slave_id": slave, "project": "p"}))
    };
    let login = basic("slave-2", message["rsync_password"].as_str().unwrap());
    assert_eq!(report(2, "").0, 401);
    assert_eq!(report(1, &login).0, 403);
    assert_eq!(report(2, &login), (200, json!({"method": "slave_rsync_complete", "success": true})));
    assert_eq!(current(&master, "slave-2", "p")["state"], "succeeded");
    let trail = master.get("/api/v1/audit?limit=1").json();
    assert_eq!(
        (&trail["items"][0]["action"], &trail["items"][0]["by"]),
        (&json!("node.synced"), &json!("slave-2"))
    );
    // Those that did not answer are said so.
    let reason = wait_for("the closed one to be said so", || {
        let held = held(&master, "closed.invalid", "p");
        (held["state"] == "not-told").then(|| held["reason"].as_str().map(str::to_owned)).flatten()
    });
    assert!(reason.contains("does not answer"), "{reason}");
    // Good syncs that found nothing are told of too, as in 2014; and what a kill left untold is told after it.
    let run = master.sync("p");
    assert_eq!(master.ended(&run)["state"], "unchanged");
    node.waits_for(2);
    fs::write(upstream.tree().join("more"), "x").unwrap();
    sync(&master, "p");
    node.waits_for(3);
    assert_eq!(held(&master, "slave-2", "p")["lag"], 1);
    master.kill();
    master.launch();
    assert_eq!(held(&master, "slave-2", "p")["told"], 2);
    report(2, &login);
    assert_eq!(held(&master, "slave-2", "p")["generation"], 2);
    // Neither a failed sync nor a project that is no business of slaves was told.
    assert!(node.heard().iter().all(|(_, message)| message["project"] == "p"));
    let list = String::from_utf8(master.command(&["node", "list"]).stdout).unwrap();
    assert!(list.contains("slave-2") && list.contains("not-told"), "{list}");
    assert_eq!(
        master.post("/remove_slave/", &json!({"hostname": "127.0.0.1"})).json()["details"],
        "Found and deleted"
    );
    assert_eq!(report(2, &login).0, 401, "its login has ended");
    assert_eq!(master.get("/api/v1/nodes/slave-2").status, 404);
}

/// A slave whose master is one of 2014.
fn slave_of(master: u16, user: &str, module: &str, rsync: u16) -> Server {
    Server::start_from(|folder, port| {
        let (data, public) = (folder.join("data"), folder.join("public"));
        format!(
            "(data_dir: {data:?}, listen: \"127.0.0.1:{port}\", log: (level: \"debug\"), role: Slave(\
             master: \"http://127.0.0.1:{master}\", name: \"one\", public_dir: {public:?},\
             of_2014: (user: {user:?}, module: {module:?}, port: {rsync})))"
        )
    })
}

#[test]
fn a_slave_does_what_its_master_of_2014_says_and_reports_when_rsync_has_really_ended() {
    let upstream = Upstream::start(12);
    fs::write(upstream.tree().join("d00/large"), vec![7; 3_000_000]).unwrap();
    let master = Peer::start(|_| (200, r#"{"method": "slave_rsync_complete", "success": true}"#.to_owned()));
    let mut slave = slave_of(master.port, "mirror", "secret", upstream.port());
    let message = |host: &str, more: &str| {
        let port = format!("--port={}", upstream.port());
        json!({
            "project": "d00", "rsync_host": host, "rsync_password": "hunter2", "slave_id": 7,
            "rsync_options": {"basic": [port, more], "defaults": ["-avH"], "delete": "--delete"},
        })
    };
    let answer = say(slave.port(), "/sync_from_master/", "", &message("localhost", "--bwlimit=1500"));
    let expected = json!({"success": true, "details": "Rsync call initiated on all slave nodes"});
    assert_eq!(answer, (200, expected));
    let run = slave.get("/api/v1/projects/d00/runs").json()["items"][0]["id"].as_str().unwrap().to_owned();
    slave.moving(&run);
    assert!(master.heard().is_empty(), "2014 reported at once; we do when it is true");
    // A kill in the middle loses neither the sync nor the report.
    slave.kill();
    slave.launch();
    let (head, report) = master.waits_for(1);
    assert!(head.starts_with("POST /slave_rsync_complete/ HTTP/1.1\r\n"), "{head}");
    assert_eq!(report, json!({"slave_id": 7, "project": "d00"}));
    assert_eq!(fingerprint(&slave.path("public/d00")), fingerprint(&upstream.tree().join("d00")));
    assert_eq!(master.heard().len(), 1);
    // What is wrong is refused with its name, and changes nothing.
    for (body, status, word) in [
        (json!({"project": "../x"}), 400, "project"),
        (message("rsync.example.invalid", "-z"), 403, "rsync_host"),
        (message("localhost", "--rsh=sh"), 400, "rsync_options"),
    ] {
        let (got, answer) = say(slave.port(), "/sync_from_master/", "", &body);
        assert_eq!((got, &answer["success"]), (status, &json!(false)), "{answer}");
        assert!(answer["note"].as_str().unwrap().contains(word), "{answer}");
    }
    // Nobody but the master tells it anything.
    let url = slave.url("/sync_from_master/");
    let stranger =
        reqwest::blocking::Client::builder().local_address("127.0.0.9".parse::<std::net::IpAddr>().unwrap());
    let stranger = stranger.build().unwrap().post(url).json(&message("localhost", "-z")).send().unwrap();
    assert_eq!(stranger.status(), 403);
    assert_eq!(slave.get("/api/v1/projects/d00/runs").json()["items"].as_array().unwrap().len(), 2);
}

#[test]
fn a_slave_of_2014_pulls_from_the_configured_port_only_and_holds_what_would_take_much() {
    let (upstream, other) = (Upstream::start(60), Upstream::start(1));
    let peer = Peer::start(|_| (200, r#"{"success": true}"#.to_owned()));
    let slave = slave_of(peer.port, "mirror", "secret", upstream.port());
    let message = |port: u16| {
        json!({
            "project": "d00", "rsync_host": format!("127.0.0.1:{port}"), "rsync_password": "hunter2",
            "slave_id": 7, "rsync_options": {"basic": [], "defaults": ["-avH"], "delete": "--delete"},
        })
    };
    let tell = |port: u16| say(slave.port(), "/sync_from_master/", "", &message(port));
    let newest = || slave.get("/api/v1/projects/d00/runs").json()["items"][0].clone();
    fs::create_dir_all(slave.path("public/d00")).unwrap();
    fs::write(slave.path("public/d00/own"), "x").unwrap();

    // Another daemon of the same machine.
    let (status, answer) = tell(other.port());
    assert_eq!(status, 403, "{answer}");
    assert!(answer["note"].as_str().unwrap().contains("of_2014.port"), "{answer}");
    assert!(slave.path("public/d00/own").exists() && slave.get("/api/v1/projects/d00").status == 404);

    // Without a port the configured one is meant.
    let mut plain = message(0);
    plain["rsync_host"] = json!("127.0.0.1");
    assert_eq!(say(slave.port(), "/sync_from_master/", "", &plain).0, 200);
    peer.waits_for(1);
    let before = fingerprint(&slave.path("public/d00"));
    assert_eq!(before, fingerprint(&upstream.tree().join("d00")));

    // A lost tree is no order to lose one's own.
    for entry in fs::read_dir(upstream.tree().join("d00")).unwrap().flatten() {
        fs::remove_file(entry.path()).unwrap();
    }
    assert_eq!(tell(upstream.port()).0, 200);
    let run = newest()["id"].as_str().unwrap().to_owned();
    slave.in_state(&run, "held");
    assert_eq!(tell(upstream.port()).0, 200);
    slave.in_state(&run, "held");
    assert_eq!(fingerprint(&slave.path("public/d00")), before);
    assert_eq!(peer.heard().len(), 1);

    // Root decides on the slave, since such a master cannot.
    let approved = slave.command(&["approve", &run, "--yes"]);
    assert!(approved.status.success(), "{}", crate::kit::said(&approved));
    peer.waits_for(2);
    assert_eq!(fingerprint(&slave.path("public/d00")), fingerprint(&upstream.tree().join("d00")));
}

#[test]
fn a_master_of_today_and_its_slave_that_speaks_2014_go_together() {
    let (master, upstream) = (master(), Upstream::start(12));
    let dest: PathBuf = master.project("p", &upstream.url("data"), &json!({}));
    sync(&master, "p");
    let config = fs::read_to_string(master.config()).unwrap();
    let (_, listen) = config.split_once("Managed(listen: \"127.0.0.1:").unwrap();
    let rsync = listen.split('"').next().unwrap().parse().unwrap();
    let slave = slave_of(master.port(), "slave-1", "mirror", rsync);
    // Added after the sync: it is told of what is there.
    add(&master, "127.0.0.1", slave.port());
    current(&master, "slave-1", "p");
    assert_eq!(fingerprint(&slave.path("public/p")), fingerprint(&dest));
    fs::write(upstream.tree().join("more"), "x").unwrap();
    sync(&master, "p");
    let held = current(&master, "slave-1", "p");
    assert_eq!(held["generation"], 2);
    assert_eq!(fingerprint(&slave.path("public/p")), fingerprint(&dest));
    // One that follows by itself says so.
    let follower = super::slave(&master.url(""), "follower");
    let told = client().post(follower.url("/sync_from_master/")).body("{}").send().unwrap();
    assert!(told.text().unwrap().contains("by itself"));
}
