//! The rsync daemon that slaves pull from: it stays up, and serves its trees and nothing else, to those that it may.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{SECRET, master, sync};
use crate::kit::{Server, Upstream, fingerprint, free_port, processes_with, said, wait_for};

#[test]
fn a_daemon_that_ends_again_and_again_is_started_after_growing_waits() {
    let master = master();
    let folder = master.data().join("rsyncd").display().to_string();
    for number in 0..4 {
        wait_for("the daemon", || {
            (master.log().matches("rsync daemon for slaves on").count() > number).then_some(())
        });
        let daemons = processes_with(&folder);
        for (pid, _) in daemons {
            // A child of one that was killed before may be gone already.
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).output();
        }
        wait_for("its end", || (master.log().matches("is started again in").count() > number).then_some(()));
    }
    let log = master.log();
    let waits = log.lines().filter_map(|line| line.split_once("is started again in ")).map(|(_, wait)| wait);
    assert_eq!(waits.collect::<Vec<_>>(), ["250ms", "500ms", "1s", "2s"], "{log}");
    wait_for("it to be back", || {
        (master.log().matches("rsync daemon for slaves on").count() > 4).then_some(())
    });
}

/// A daemon's address with the login that a node was given.
struct Login {
    url: String,
    password: String,
}

impl Login {
    fn of(master: &Server) -> Self {
        let added = master.post("/api/v1/nodes", &json!({"name": "cron"})).json();
        let rsync: &Value = &added["rsync"];
        let url = format!("rsync://cron@127.0.0.1:{}/mirror-p", rsync["port"]);
        Self { url, password: rsync["password"].as_str().unwrap().to_owned() }
    }

    /// Pulls what is at a path, from this address of ours.
    fn pull(&self, from: &str, path: &str, more: &[&str], into: &std::path::Path) -> Output {
        let address = format!("--address={from}");
        let mut command = Command::new("rsync");
        command.args(["-a", &address]).args(more).arg(format!("{}/{path}", self.url)).arg(into);
        command.env("RSYNC_PASSWORD", &self.password).output().unwrap()
    }
}

/// The address that may connect, and one that may not: every address that begins with 127 is this machine.
const FRIEND: &str = "127.0.0.2";
const STRANGER: &str = "127.0.0.3";

#[test]
fn the_daemon_serves_only_whom_it_may_and_leads_nobody_out_of_a_tree() {
    serves_whom_it_may_and_nothing_else("rsync");
}

#[test]
fn an_old_rsync_serves_each_tree_behind_a_chroot() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("left out: only root may change the root folder");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("rsync");
    let script = "#!/bin/sh\n[ \"$1\" != --version ] || { echo 'rsync  version 3.4.1  protocol version 32'; exit; }\n\
                  exec rsync \"$@\"\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let master = serves_whom_it_may_and_nothing_else(program.to_str().unwrap());
    let config = fs::read_to_string(master.data().join("rsyncd/rsyncd.conf")).unwrap();
    assert!(config.contains("use chroot = yes\n"), "{config}");
}

fn serves_whom_it_may_and_nothing_else(program: &str) -> Server {
    let (upstream, rsyncd) = (Upstream::start(4), free_port());
    let master = Server::start_from(|folder, port| {
        format!(
            "(data_dir: {:?}, listen: \"127.0.0.1:{port}\", rsync: (program: {program:?}), role: Master(\
             enrolment: {SECRET:?}, rsyncd: Managed(listen: \"127.0.0.1:{rsyncd}\", hosts_allow: [\"{FRIEND}\"])))",
            folder.join("data")
        )
    });
    let dest = master.project("p", &upstream.url("data"), &json!({}));
    sync(&master, "p");
    let login = Login::of(&master);
    let into = |name: &str| master.path("pulled").join(name);
    fs::create_dir(master.path("pulled")).unwrap();
    let good = wait_for("the daemon to serve", || {
        Some(login.pull(FRIEND, "", &[], &into("good"))).filter(|output| output.status.success())
    });
    assert!(good.status.success());
    assert_eq!(fingerprint(&into("good")), fingerprint(&dest));
    let refused = login.pull(STRANGER, "", &[], &into("stranger"));
    assert!(refused.status.code() == Some(5) && !into("stranger").exists(), "{}", said(&refused));
    // Somebody on the master leaves links that lead out of the tree.
    let outside = master.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "nobody's business").unwrap();
    symlink(&outside, dest.join("folder")).unwrap();
    symlink(outside.join("secret"), dest.join("file")).unwrap();
    for (name, path, more) in [
        ("copy-links", "", &["--copy-links"][..]),
        ("copy-unsafe-links", "", &["--copy-unsafe-links"]),
        ("copy-dirlinks", "", &["--copy-dirlinks"]),
        ("through", "folder/", &[]),
        ("into", "folder/secret", &[]),
        ("above", "../outside/", &[]),
        ("listed", "", &["--files-from=-"]),
    ] {
        login.pull(FRIEND, path, more, &into(name));
        let found = walkdir::WalkDir::new(into(name)).into_iter().flatten();
        let secrets = found.filter(|entry| entry.file_type().is_file() && is_secret(entry.path()));
        assert_eq!(secrets.count(), 0, "{name} leads out of the tree");
    }
    let as_they_are = login.pull(FRIEND, "", &[], &into("links"));
    assert!(as_they_are.status.success() && into("links").join("file").is_symlink());
    master
}

fn is_secret(path: &std::path::Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text == "nobody's business")
}

#[test]
fn the_daemon_keeps_to_its_bound_of_connections() {
    let (upstream, rsyncd) = (Upstream::start(2), free_port());
    fs::write(upstream.tree().join("large"), vec![7; 20_000_000]).unwrap();
    let master = Server::start_from(|folder, port| {
        format!(
            "(data_dir: {:?}, listen: \"127.0.0.1:{port}\", role: Master(enrolment: {SECRET:?},\
             rsyncd: Managed(listen: \"127.0.0.1:{rsyncd}\", max_connections: 1)))",
            folder.join("data")
        )
    });
    master.project("p", &upstream.url("data"), &json!({}));
    sync(&master, "p");
    let login = Login::of(&master);
    let into = master.path("first");
    let mut first = Command::new("rsync")
        .args(["-a", "--bwlimit=1000", &format!("{}/", login.url)])
        .arg(&into)
        .env("RSYNC_PASSWORD", &login.password)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the first to pull", || fs::read_dir(&into).ok()?.next().map(drop));
    let second = login.pull("127.0.0.1", "", &[], &master.path("second"));
    let said = said(&second);
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(!second.status.success() && said.contains("max connections (1) reached"), "{said}");
}
