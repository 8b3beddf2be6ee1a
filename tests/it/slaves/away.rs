//! Master and slave that do not hear each other: each side says so, whether or not anything has changed.

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{SECRET, current, master_beside, sync};
use crate::kit::{Server, Upstream, client, processes_with, said, signal, wait_for};

/// Configuration that tells changes soon.
const SOON: &str = "alerts: (settle: \"1s\"), ";

/// A slave that tells changes soon, with more keys in its role.
fn soon_slave(master: &Server, name: &str, keys: &str) -> Server {
    let master = master.url("");
    Server::start_from(|folder, port| {
        let (data, public) = (folder.join("data"), folder.join("public"));
        format!(
            "(data_dir: {data:?}, listen: \"127.0.0.1:{port}\", {SOON}role: Slave(master: {master:?}, name: {name:?}, \
             public_dir: {public:?}, enrolment: {SECRET:?}, {keys}))"
        )
    })
}

/// The open alert of this kind.
fn alert(server: &Server, kind: &str) -> Option<Value> {
    let alerts = server.get("/api/v1/alerts").json();
    alerts["items"].as_array()?.iter().find(|alert| alert["kind"] == kind).cloned()
}

fn connected(master: &Server, name: &str) -> bool {
    master.get(&format!("/api/v1/nodes/{name}")).json()["connected"] == true
}

/// The open alert that this slave is away.
fn away(master: &Server, name: &str) -> Option<Value> {
    let alerts = master.get("/api/v1/alerts").json();
    let is_it = |alert: &&Value| alert["kind"] == "node-away" && alert["subject"] == name;
    alerts["items"].as_array()?.iter().find(is_it).cloned()
}

/// Whether people were told that this slave is away.
fn has_told(master: &Server, name: &str) -> bool {
    master.log().contains(&format!("{name} is not heard of"))
}

#[test]
fn a_slave_that_was_killed_or_stands_still_is_away_until_it_is_heard_again_though_nothing_has_changed() {
    let mut master = master_beside(|_| SOON.to_owned());
    // One that says nothing of itself is missed by nobody.
    assert_eq!(master.post("/api/v1/nodes", &json!({"name": "by-hand"})).status, 201);
    let (mut killed, still) = (soon_slave(&master, "killed", ""), soon_slave(&master, "still", ""));
    for name in ["killed", "still"] {
        wait_for("the slave to join", || connected(&master, name).then_some(()));
    }
    killed.kill();
    signal(still.pid(), Signal::STOP);
    for name in ["killed", "still"] {
        let told =
            wait_for("the master to tell of it", || away(&master, name).filter(|_| has_told(&master, name)));
        assert!(told["reason"].as_str().unwrap().contains("heard last at"), "{told}");
        assert!(!connected(&master, name));
        let metrics = master.get("/metrics").text;
        assert!(metrics.contains(&format!("heliostat_node_connected{{node=\"{name}\"}} 0")), "{metrics}");
    }
    assert!(away(&master, "by-hand").is_none());

    // A master that starts anew does not believe that it is over before it has heard the slave.
    master.kill();
    master.launch();
    signal(still.pid(), Signal::CONT);
    wait_for("the end of one", || away(&master, "still").is_none().then_some(()));
    assert!(away(&master, "killed").is_some());
    killed.launch();
    wait_for("the end of the other", || away(&master, "killed").is_none().then_some(()));
    let log = master.log();
    for words in ["killed is not heard of", "killed is heard of again"] {
        let told = log.lines().filter(|line| line.contains("people are told") && line.contains(words));
        assert_eq!(told.count(), 1, "{words}: {log}");
    }
}

#[test]
fn a_slave_that_is_removed_is_missed_by_nobody() {
    let master = master_beside(|_| SOON.to_owned());
    let mut one = soon_slave(&master, "one", "");
    wait_for("the slave to join", || connected(&master, "one").then_some(()));
    one.kill();
    wait_for("the slave to be away", || away(&master, "one").filter(|_| has_told(&master, "one")));
    assert_eq!(master.send(master.request(Method::DELETE, "/api/v1/nodes/one")).status, 204);
    wait_for("the alert to go", || away(&master, "one").is_none().then_some(()));
    assert!(!master.log().contains("is heard of again"));
}

#[test]
fn a_slave_without_its_master_says_so_and_goes_on_serving() {
    let mut master = master_beside(|_| String::new());
    let one = soon_slave(&master, "one", "");
    let contact = || one.get("/api/v1/status").json()["master"].clone();
    let open = |path: &str| {
        let answer = client().get(one.url(path)).send().unwrap();
        (answer.status().as_u16(), answer.text().unwrap())
    };
    wait_for("contact", || (contact()["connected"] == true).then_some(()));
    let heard = contact();
    assert!(heard["reason"].is_null() && heard["last_contact"].is_string(), "{heard}");
    assert!(heard["url"].as_str().unwrap().starts_with(&master.url("")), "{heard}");
    assert_eq!(open("/readyz"), (200, "ready\n".to_owned()));
    assert!(open("/metrics").1.contains("\nheliostat_master_connected 1\n"));

    master.kill();
    wait_for("the end of it", || (contact()["connected"] == false).then_some(()));
    let lost = contact();
    assert!(lost["last_contact"].as_str() >= heard["last_contact"].as_str(), "{lost}");
    assert!(lost["since"].as_str() >= heard["since"].as_str(), "{lost}");
    assert!(lost["reason"].as_str().unwrap().contains("does not answer"), "{lost}");
    let (status, text) = open("/readyz");
    assert!(status == 200 && text.starts_with("ready, without its master since 20"), "{status} {text}");
    let metrics = open("/metrics").1;
    assert!(metrics.contains("\nheliostat_master_connected 0\n"), "{metrics}");
    assert!(metrics.contains("\nheliostat_master_last_contact_timestamp_seconds 1"), "{metrics}");
    let screen = said(&one.command(&["status"]));
    assert!(
        screen.contains("out of touch with the master") && screen.contains("does not answer"),
        "{screen}"
    );
    let told = wait_for("the slave to tell of it", || alert(&one, "master-away"));
    assert!(told["reason"].as_str().unwrap().contains("does not answer"), "{told}");

    master.launch();
    wait_for("contact", || (contact()["connected"] == true).then_some(()));
    wait_for("the alert to go", || alert(&one, "master-away").is_none().then_some(()));
    assert_eq!(open("/readyz").1, "ready\n");
    assert!(master.get("/api/v1/status").json()["master"].is_null(), "a master has none");
}

#[test]
fn a_pull_that_stands_still_ends_by_the_bounds_of_the_project_or_of_the_slave() {
    let (master, upstream) = (master_beside(|_| String::new()), Upstream::start(3));
    master.project("p", &upstream.url("data"), &json!({"stall": "2s", "timeout": "1h"}));
    sync(&master, "p");
    let daemons = processes_with(&master.data().join("rsyncd").display().to_string());
    assert!(!daemons.is_empty());
    for (pid, _) in &daemons {
        signal(*pid, Signal::STOP);
    }
    let one = soon_slave(&master, "one", "");
    let bounds = |slave: &Server| {
        let project = slave.get("/api/v1/projects/p").json();
        (project["timeout"].as_f64(), project["stall"].as_f64())
    };
    wait_for("the bounds of the project", || (bounds(&one) == (Some(3600.0), Some(2.0))).then_some(()));
    wait_for("the pull to be ended", || {
        let runs = one.get("/api/v1/projects/p/runs").json();
        runs.to_string().contains("\"stalled\"").then_some(())
    });
    for (pid, _) in &daemons {
        signal(*pid, Signal::CONT);
    }
    current(&master, "one", "p");
    let patch = master.request(Method::PATCH, "/api/v1/projects/p").json(&json!({"stall": "3m"}));
    assert_eq!(master.send(patch).status, 200);
    wait_for("the new bound", || (bounds(&one) == (Some(3600.0), Some(180.0))).then_some(()));

    drop(one);
    assert_eq!(master.send(master.request(Method::DELETE, "/api/v1/nodes/one")).status, 204);
    let own = soon_slave(&master, "one", "timeout: \"2h\", stall: \"4m\"");
    wait_for("the bounds of the slave", || (bounds(&own) == (Some(7200.0), Some(240.0))).then_some(()));
}
