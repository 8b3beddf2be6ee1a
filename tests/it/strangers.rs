//! Those who have not logged in: they share one budget, and a flood of them takes nothing from anybody else.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::kit::{PATIENCE, Server, Upstream, client, client_at, connect_from, free_port, wait_for};
use crate::slaves::{SECRET, current, master, slave, sync};

/// What a slave that wants to join says first.
fn greeting(name: &str) -> Value {
    json!({"name": name, "nonce": "A".repeat(43)})
}

fn greet(server: &Server, client: &Client, name: &str) -> Option<u16> {
    let request = client.post(server.url("/api/v1/nodes/hello")).json(&greeting(name));
    request.timeout(PATIENCE).send().ok().map(|answer| answer.status().as_u16())
}

/// A master with room for few connections.
fn small_master() -> Server {
    let rsyncd = free_port();
    Server::start_from(|folder, port| {
        let data = folder.join("data");
        format!(
            "(data_dir: {data:?}, listen: \"127.0.0.1:{port}\", http: (max_connections: 128), role: Master(\
             enrolment: {SECRET:?}, rsyncd: Managed(listen: \"127.0.0.1:{rsyncd}\")))"
        )
    })
}

/// Ends a flood with the test, however that ends.
struct FloodEnd<'a>(&'a AtomicBool);

impl Drop for FloodEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn while_strangers_flood_a_login_a_join_a_scrape_and_a_slave_work() {
    let (server, upstream) = (small_master(), Upstream::start(3));
    server.project("p", &upstream.url("data"), &json!({}));
    sync(&server, "p");
    let old = slave(&server.url(""), "old");
    current(&server, "old", "p");
    let jane = json!({"name": "jane", "role": "viewer", "password": "jane's password"});
    assert_eq!(server.post("/api/v1/users", &jane).status, 201);

    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let flood = |last: u8| {
        let address = [127, 0, 20, last];
        let client = client_at(address);
        // Heads that never end: more of them than there is room for.
        let begin = || {
            let mut stream = connect_from(address, server.port());
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ");
            stream
        };
        let mut slow: VecDeque<TcpStream> = (0..16).map(|_| begin()).collect();
        while !stop.load(Ordering::Relaxed) {
            slow.push_back(begin());
            slow.pop_front();
            let name = format!("stranger-{last}-{}", asked.fetch_add(1, Ordering::Relaxed));
            greet(&server, &client, &name);
            let _ = client.get(server.url("/test")).basic_auth(&name, Some("guess")).send();
            let _ = client.get(server.url("/metrics")).send();
        }
    };
    thread::scope(|scope| {
        let _end = FloodEnd(&stop);
        for last in 1..=12 {
            let flood = &flood;
            scope.spawn(move || flood(last));
        }
        wait_for("the flood to be there", || (asked.load(Ordering::Relaxed) > 60).then_some(()));

        let home = client_at([127, 0, 30, 1]);
        for _ in 0..3 {
            let login = home.get(server.url("/test")).basic_auth("jane", Some("jane's password"));
            assert_eq!(login.timeout(PATIENCE).send().unwrap().status(), 200);
            let scrape = home.get(server.url("/metrics")).timeout(PATIENCE);
            assert_eq!(scrape.send().unwrap().status(), 200);
            assert_eq!(greet(&server, &home, "honest"), Some(200));
        }
        let new = slave(&server.url(""), "new");
        current(&server, "new", "p");
        std::fs::write(upstream.tree().join("more"), "x").unwrap();
        sync(&server, "p");
        assert_eq!(current(&server, "old", "p")["generation"], 2);
        drop(new);
    });
    drop(old);
}

#[test]
fn more_greetings_of_strangers_than_are_remembered_keep_no_slave_from_joining() {
    let master = master();
    // The relay lets strangers greet between the greeting of a slave and its proof.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::scope(|scope| {
        let master = &master;
        let relay = scope.spawn(move || {
            loop {
                let (slave, _) = listener.accept().unwrap();
                let is_join = pass_on(slave, master.port(), |body| {
                    if !body.contains("proof") {
                        return false;
                    }
                    let (same, others) = (client(), client_at([127, 0, 40, 1]));
                    for number in 0..1100 {
                        assert_eq!(greet(master, &same, &format!("same-{number}")), Some(200));
                    }
                    for number in 0..100 {
                        assert_eq!(greet(master, &others, &format!("other-{number}")), Some(200));
                    }
                    true
                });
                if is_join {
                    return;
                }
            }
        });
        let honest = slave(&url, "honest");
        wait_for("the slave to be let in", || {
            (master.get("/api/v1/nodes/honest").status == 200).then_some(())
        });
        relay.join().unwrap();
        assert!(!honest.log().contains("the master refused"), "it had to join again");
    });
}

/// Passes one request and its answer on, after `before` has seen the body; gives what that gave.
fn pass_on(slave: TcpStream, to: u16, before: impl FnOnce(&str) -> bool) -> bool {
    let mut reader = BufReader::new(slave);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let is_told = before(&String::from_utf8(body.clone()).unwrap());

    let mut master = TcpStream::connect(("127.0.0.1", to)).unwrap();
    master.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).unwrap();
    master.write_all(&body).unwrap();
    let mut answer = Vec::new();
    master.read_to_end(&mut answer).unwrap();
    let _ = reader.get_mut().write_all(&answer);
    let _ = reader.get_mut().shutdown(Shutdown::Both);
    is_told
}

/// Sends a request byte for byte, and gives the status of the answer.
fn raw(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn the_metrics_are_made_whole_before_a_stranger_reads_slowly() {
    let server = Server::start("");
    let answer = client().get(server.url("/metrics")).send().unwrap();
    assert_eq!(answer.status(), 200);
    // A text that is written while it is read has no length yet.
    assert!(answer.headers().contains_key("content-length"), "{:?}", answer.headers());
}

#[test]
fn a_stranger_sends_little_and_whoever_is_logged_in_sends_what_the_configuration_says() {
    let server = master();
    let mut large = greeting("one");
    large["more"] = json!("x".repeat(20 << 10));
    for path in ["/api/v1/nodes/hello", "/api/v1/nodes/join", "/api/v1/session"] {
        let request = client().post(server.url(path)).header("x-heliostat", "1").json(&large);
        let answer = server.send(request);
        assert_eq!(answer.status, 413, "{path}: {}", answer.text);
        assert!(answer.text.contains("16384 bytes"), "{}", answer.text);
    }
    assert_eq!(server.post("/api/v1/projects", &large).status, 422);

    let head = |size: usize| {
        let filler = "x".repeat(size);
        raw(
            &server,
            &format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: {filler}\r\nConnection: close\r\n\r\n"),
        )
    };
    assert_eq!((head(15 << 10).as_str(), head(40 << 10).as_str()), ("200", "431"));
}
