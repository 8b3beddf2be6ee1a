//! What befalls a slave from outside: a full disk, and a way to the master that breaks in the middle.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{SECRET, current, held, master, public, slave_with, sync};
use crate::disk::Small;
use crate::kit::{Server, Upstream, fingerprint, free_port, wait_for};
use serde_json::{Value, json};

#[test]
fn a_slave_with_a_full_disk_says_so_and_heals_when_there_is_room() {
    let Some(disk) = Small::mount(2) else { return };
    let (master, upstream) = (master(), Upstream::start(5));
    fs::write(upstream.tree().join("large"), vec![7; 4_000_000]).unwrap();
    let dest = master.project("p", &upstream.url("data"), &json!({}));
    sync(&master, "p");
    let (url, public) = (master.url(""), disk.path().join("public"));
    let slave = Server::start_from(|folder, port| {
        let data = folder.join("data");
        format!(
            "(data_dir: {data:?}, listen: \"127.0.0.1:{port}\", role: Slave(\
             master: {url:?}, name: \"one\", public_dir: {public:?}, enrolment: {SECRET:?}))"
        )
    });
    let report = wait_for("the slave to say that it failed", || {
        Some(held(&master, "one", "p")).filter(|held| held["state"] == "failed")
    });
    assert_eq!((&report["generation"], &report["lag"]), (&Value::Null, &json!(1)), "{report}");
    let run = slave.get("/api/v1/projects/p/runs").json()["items"][0].clone();
    assert_eq!(run["attempts"][0]["class"], "no-space", "{run}");
    assert!(report["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{report}");
    disk.grow(20);
    current(&master, "one", "p");
    assert_eq!(fingerprint(&public.join("p")), fingerprint(&dest));
}

/// A way to a port that breaks once, after so many bytes.
struct Way {
    port: u16,
    broken: Arc<AtomicUsize>,
}

impl Way {
    fn to(port: u16, breaks_after: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Self { port: listener.local_addr().unwrap().port(), broken: Arc::default() };
        let broken = Arc::clone(&way.broken);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let broken = Arc::clone(&broken);
                std::thread::spawn(move || carry(client, server, breaks_after, &broken));
            }
        });
        way
    }
}

fn carry(mut client: TcpStream, server: TcpStream, breaks_after: usize, broken: &AtomicUsize) {
    let (mut up, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut up, &mut to);
    });
    let (mut from, mut carried, mut buffer) = (server, 0, [0; 16 << 10]);
    while let Ok(read) = from.read(&mut buffer) {
        carried += read;
        let breaks = carried > breaks_after && broken.fetch_add(1, Ordering::Relaxed) == 0;
        if read == 0 || breaks || client.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    for side in [client, from] {
        let _ = side.shutdown(std::net::Shutdown::Both);
    }
}

#[test]
fn a_connection_cut_in_the_middle_is_tried_again_and_comes_out_whole() {
    let upstream = Upstream::start(10);
    fs::write(upstream.tree().join("large"), vec![7; 9_000_000]).unwrap();
    let rsyncd = free_port();
    let way = Way::to(rsyncd, 2_000_000);
    let port = way.port;
    let master = Server::start_from(|folder, http| {
        let data = folder.join("data");
        format!(
            "(data_dir: {data:?}, listen: \"127.0.0.1:{http}\", role: Master(enrolment: {SECRET:?},\
             rsyncd: Managed(listen: \"127.0.0.1:{rsyncd}\", address: \"127.0.0.1:{port}\")))"
        )
    });
    let dest = master.project("p", &upstream.url("data"), &json!({}));
    sync(&master, "p");
    let slave = slave_with(&master.url(""), "one", SECRET, "");
    current(&master, "one", "p");
    assert!(way.broken.load(Ordering::Relaxed) > 0, "the way must have been broken");
    assert_eq!(fingerprint(&public(&slave, "p")), fingerprint(&dest));
    let run = slave.get("/api/v1/projects/p/runs").json()["items"][0].clone();
    assert!(run["attempts"].as_array().unwrap().len() >= 2, "{run}");
}
