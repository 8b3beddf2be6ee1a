//! A slave whose master has lost much of a tree keeps its own, and says so on both sides, until a person decides or the
//! tree is there again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{SECRET, current, held, master_beside, public, runs, sync};
use crate::kit::{Server, Upstream, fingerprint, said, wait_for};

/// A master that tells people soon.
fn master() -> Server {
    master_beside(|_| "alerts: (settle: \"100ms\"), ".to_owned())
}

/// A slave that tells people soon.
fn slave_of(master: &Server) -> Server {
    let url = master.url("");
    Server::start_from(|folder, port| {
        let (data, public) = (folder.join("data"), folder.join("public"));
        format!(
            "(data_dir: {data:?}, listen: \"127.0.0.1:{port}\", alerts: (settle: \"100ms\"), role: Slave(\
             master: {url:?}, name: \"one\", public_dir: {public:?}, enrolment: {SECRET:?}))"
        )
    })
}

/// Takes away all that is in a folder.
fn empty(folder: &Path) {
    fs::remove_dir_all(folder).unwrap();
    fs::create_dir(folder).unwrap();
}

/// A master and a slave that holds its project `p`; gives the folder of the master.
fn pulled(upstream: &Upstream) -> (Server, Server, PathBuf) {
    let master = master();
    let dest = master.project("p", &upstream.url("data"), &json!({}));
    sync(&master, "p");
    let slave = slave_of(&master);
    current(&master, "one", "p");
    (master, slave, dest)
}

/// Asks the slave to look at everything, and waits until the master knows that it holds the project back.
fn held_back(master: &Server) -> Value {
    assert!(master.command(&["node", "sync", "one"]).status.success());
    wait_for("the slave to hold the project back", || {
        Some(held(master, "one", "p")).filter(|held| held["state"] == "held")
    })
}

/// Waits until exactly these subjects are told of as held.
fn told_as_held(server: &Server, subjects: &[&str]) -> Vec<Value> {
    wait_for("people to be told", || {
        let alerts = server.get("/api/v1/alerts").json()["items"].as_array().unwrap().clone();
        let held: Vec<Value> = alerts.into_iter().filter(|alert| alert["kind"] == "held").collect();
        held.iter().map(|alert| &alert["subject"]).eq(subjects).then_some(held)
    })
}

#[test]
fn a_slave_of_an_emptied_master_keeps_its_tree_until_a_person_approves_what_it_would_delete() {
    let upstream = Upstream::start(40);
    let (master, mut slave, dest) = pulled(&upstream);
    let before = fingerprint(&public(&slave, "p"));
    empty(&dest);
    let known = held_back(&master);
    let reason = known["reason"].as_str().unwrap();
    assert!(reason.contains("the master has 1 entries now"), "{reason}");
    assert_eq!((&known["generation"], &known["ended"]), (&json!(1), &Value::Null), "{known}");
    let run = known["run"].as_str().unwrap();
    assert_eq!(slave.run(run)["state"], "held");

    // Both sides say so.
    let list = said(&master.command(&["node", "list"]));
    assert!(list.contains("held"), "{list}");
    let told = told_as_held(&master, &["one with p"]);
    assert!(told[0]["reason"].as_str().unwrap().contains("`heliostat node approve one p`"), "{told:?}");
    let told = told_as_held(&slave, &["p"]);
    assert!(told[0]["reason"].as_str().unwrap().contains("`heliostat node approve one p` on"), "{told:?}");

    // A kill does not release it, nor does another wish, nor another look.
    slave.kill();
    slave.launch();
    let log = || slave.get(&format!("/api/v1/runs/{run}/log")).text;
    assert!(master.command(&["node", "sync", "one"]).status.success());
    wait_for("the slave to look again", || (log().matches("plan: held").count() >= 3).then_some(()));
    slave.in_state(run, "held");
    assert_eq!(fingerprint(&public(&slave, "p")), before);
    told_as_held(&slave, &["p"]);

    // Only root of the master decides, and only on what was seen.
    let path = "/api/v1/nodes/one/projects/p/approve";
    assert_eq!(master.post(&format!("{path}?plan=another"), &json!({})).status, 409);
    assert_eq!(master.post("/api/v1/nodes/one/projects/q/approve", &json!({})).status, 409);
    assert_eq!(master.post("/api/v1/nodes/two/projects/p/approve", &json!({})).status, 404);
    let unasked = master.command(&["node", "approve", "one", "p"]);
    assert!(!unasked.status.success() && said(&unasked).contains("--yes"), "{}", said(&unasked));
    assert_eq!(fingerprint(&public(&slave, "p")), before);
    let approved = master.command(&["node", "approve", "one", "p", "--yes"]);
    assert!(approved.status.success() && said(&approved).contains("entries now"), "{}", said(&approved));
    wait_for("the slave to follow", || fingerprint(&public(&slave, "p")).is_empty().then_some(()));
    wait_for("the master to hear of it", || {
        let held = held(&master, "one", "p");
        (!held["ended"].is_null() && held["plan"].is_null() && held["lag"] == 0).then_some(())
    });
    told_as_held(&master, &[]);
    told_as_held(&slave, &[]);
    assert_eq!(master.post(path, &json!({})).status, 409, "it is not held any more");
    assert!(log().contains("as approved by root on the master"), "{}", log());
}

#[test]
fn a_held_pull_goes_on_by_itself_once_the_masters_tree_is_there_again() {
    let upstream = Upstream::start(40);
    let (master, slave, dest) = pulled(&upstream);
    let before = fingerprint(&public(&slave, "p"));
    let aside = master.path("aside");
    fs::rename(&dest, &aside).unwrap();
    fs::create_dir(&dest).unwrap();
    let known = held_back(&master);
    fs::remove_dir(&dest).unwrap();
    fs::rename(&aside, &dest).unwrap();
    wait_for("the slave to go on", || {
        let held = held(&master, "one", "p");
        (held["plan"].is_null() && held["lag"] == 0).then_some(())
    });
    assert_eq!(fingerprint(&public(&slave, "p")), before);
    assert_eq!(slave.run(known["run"].as_str().unwrap())["state"], "unchanged");
    told_as_held(&master, &[]);
}

#[test]
fn a_slave_follows_without_a_word_where_the_master_has_deleted_much_itself() {
    let upstream = Upstream::start(40);
    let (master, slave, dest) = pulled(&upstream);
    for number in 0..15 {
        fs::remove_dir_all(upstream.tree().join(format!("d{number:02}"))).unwrap();
    }
    let run = master.sync("p");
    master.in_state(&run, "held");
    assert_eq!(master.post(&format!("/api/v1/runs/{run}/approve"), &json!({})).status, 200);
    master.ended(&run);
    // By change, and whole.
    current(&master, "one", "p");
    let before = runs(&slave, "p").len();
    fs::write(public(&slave, "p").join("stray"), "x").unwrap();
    assert!(master.command(&["node", "sync", "one"]).status.success());
    wait_for("a whole pull", || {
        let runs = runs(&slave, "p");
        (runs.len() > before && !runs[0]["ended"].is_null()).then_some(())
    });
    assert_eq!(fingerprint(&public(&slave, "p")), fingerprint(&dest));

    // A slave that was away for all of it has a lot to delete, and the master has what it says to have.
    let new = super::slave(&master.url(""), "new");
    current(&master, "new", "p");
    let copied = Command::new("cp").arg("-a").arg(dest.join(".")).arg(new.path("more")).status().unwrap();
    assert!(copied.success());
    fs::rename(new.path("more"), public(&new, "p").join("more")).unwrap();
    assert!(master.command(&["node", "sync", "new"]).status.success());
    wait_for("the stray folder to go", || (!public(&new, "p").join("more").exists()).then_some(()));
    assert_eq!(held(&master, "new", "p")["plan"], Value::Null);
}

#[test]
fn a_slave_of_an_older_version_is_served_and_heard_as_before() {
    let upstream = Upstream::start(3);
    let master = master();
    master.project("p", &upstream.url("data"), &json!({}));
    sync(&master, "p");
    let added = master.post("/api/v1/nodes", &json!({"name": "old"})).json();
    let token = added["token"].as_str().unwrap();
    let client = crate::kit::client();
    let offer = client.get(master.url("/api/v1/nodes/self/generations")).bearer_auth(token).send().unwrap();
    let offer: Value = serde_json::from_str(&offer.text().unwrap()).unwrap();
    let project = &offer["projects"][0];
    assert_eq!(project["guard"], json!({"max_delete_percent": 20, "max_delete": 40000}));
    assert_eq!(project["tree"]["generation"], 1, "{project}");
    assert!(project["tree"]["entries"].as_u64() > Some(3), "{project}");

    let report = |more: Value| {
        let mut report = json!({
            "project": "p", "created": project["created"], "generation": 1, "staged": null, "drift": null,
            "run": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "state": "succeeded", "reason": null,
            "ended": "2026-11-29T00:00:00Z", "took_ms": 5, "received": 7,
        });
        report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = client.post(master.url("/api/v1/nodes/self/report")).bearer_auth(token);
        request.json(&report).send().unwrap().status().as_u16()
    };
    assert_eq!(report(json!({})), 204);
    assert_eq!(held(&master, "old", "p")["lag"], 0);
    assert_eq!(report(json!({"state": "held"})), 422, "what is held has a plan");
    assert_eq!(report(json!({"state": "held", "plan": "digest"})), 204);
    assert_eq!(held(&master, "old", "p")["plan"], "digest");
}
