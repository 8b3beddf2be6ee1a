//! A project of the master moves to another folder: slaves are served from there, and lose nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{SECRET, current, master, public, runs, slave, sync};
use crate::kit::{Server, Upstream, fingerprint, free_port, said, wait_for};

/// Follows docs/operations.md, "Moving a project", as far as the first sync; empties the old folder behind it.
fn move_project(master: &Server, old: &Path, new: &Path) {
    let client = |words: &[&str]| {
        let output = master.command(words);
        assert!(output.status.success(), "{}", said(&output));
    };
    client(&["project", "disable", "p"]);
    let copied = Command::new("rsync").arg("-aH").arg(old.join("")).arg(new).status().unwrap();
    assert!(copied.success());
    client(&["project", "update", "p", "--dest", new.to_str().unwrap()]);
    client(&["project", "enable", "p"]);
    assert_eq!(sync(master, "p")["state"], "unchanged");
    fs::remove_dir_all(old).unwrap();
    fs::create_dir(old).unwrap();
}

/// What the daemon of a master is configured with.
fn daemon_config(master: &Server) -> String {
    fs::read_to_string(master.data().join("rsyncd/rsyncd.conf")).unwrap()
}

#[test]
fn a_documented_move_costs_a_slave_nothing() {
    let (master, upstream) = (master(), Upstream::start(12));
    let old = master.project("p", &upstream.url("data"), &json!({}));
    sync(&master, "p");
    let slave = slave(&master.url(""), "one");
    current(&master, "one", "p");
    let (before, new) = (runs(&slave, "p").len(), master.path("elsewhere"));
    move_project(&master, &old, &new);

    assert!(master.command(&["node", "sync", "one"]).status.success());
    wait_for("the slave to have pulled everything anew", || {
        let runs = runs(&slave, "p");
        (runs.len() > before && !runs[0]["ended"].is_null()).then_some(())
    });
    assert_eq!(fingerprint(&public(&slave, "p")), fingerprint(&new));
    let config = daemon_config(&master);
    assert!(config.contains(&format!("path = {}\n", new.display())), "{config}");
}

#[test]
fn files_of_the_daemon_that_could_not_be_written_are_written_again() {
    let (master, upstream) = (master(), Upstream::start(3));
    let old = master.project("p", &upstream.url("data"), &json!({}));
    sync(&master, "p");
    let _slave = slave(&master.url(""), "one");
    current(&master, "one", "p");
    let obstacle = master.data().join("rsyncd/rsyncd.conf.new");
    fs::create_dir(&obstacle).unwrap();
    let new = master.path("elsewhere");
    move_project(&master, &old, &new);
    wait_for("the failure to be logged", || master.log().contains("the old ones stay").then_some(()));
    fs::remove_dir(&obstacle).unwrap();
    wait_for("the daemon to serve the new folder", || {
        daemon_config(&master).contains(new.to_str().unwrap()).then_some(())
    });
}

#[test]
fn slaves_learn_of_another_address_of_the_daemon_as_of_any_other_news() {
    let config = |folder: &Path, port: u16| {
        format!(
            "(data_dir: {:?}, listen: \"127.0.0.1:{port}\", role: Master(enrolment: {SECRET:?},\
             rsyncd: Managed(listen: \"127.0.0.1:{}\")))",
            folder.join("data"),
            free_port()
        )
    };
    let mut master = Server::start_from(config);
    let added = master.post("/api/v1/nodes", &json!({"name": "one"})).json();
    let tag = |master: &Server| {
        let request = crate::kit::client().get(master.url("/api/v1/nodes/self/generations"));
        let answer = request.bearer_auth(added["token"].as_str().unwrap()).send().unwrap();
        serde_json::from_str::<Value>(&answer.text().unwrap()).unwrap()["tag"].clone()
    };
    let before = tag(&master);
    master.terminate();
    master.launch();
    assert_eq!(tag(&master), before, "a restart is no news");
    master.terminate();
    fs::write(master.config(), config(master.data().parent().unwrap(), master.port())).unwrap();
    master.launch();
    assert_ne!(tag(&master), before);
}
