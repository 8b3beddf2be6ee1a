//! A slave that is too far behind is told of by webhook, for each project, once, and so is that it has caught up.

use std::fs;

use serde_json::{Value, json};

use super::{bodies, subjects, webhook};
use crate::kit::{Receiver, Server, Upstream, free_port, wait_for};
use crate::slaves::{SECRET, current, slave};

/// The messages of slaves that are behind. On a slow machine people are also told that nothing is heard of the slave.
fn lagging(receiver: &Receiver) -> Vec<Value> {
    let is_it = |message: &Value| message.to_string().contains("\"lagging\"");
    bodies(receiver).into_iter().filter(is_it).collect()
}

#[test]
fn a_slave_that_is_too_far_behind_is_told_once_and_so_is_that_it_has_caught_up() {
    let (receiver, upstream, rsyncd) = (Receiver::start(), Upstream::start(3), free_port());
    let mut master = Server::start_from(|folder, port| {
        format!(
            "(data_dir: {:?}, listen: \"127.0.0.1:{port}\", alerts: (settle: \"100ms\", {}), role: Master(\
             enrolment: {SECRET:?}, lag: (generations: 1, time: None), \
             rsyncd: Managed(listen: \"127.0.0.1:{rsyncd}\")))",
            folder.join("data"),
            webhook(&receiver)
        )
    });
    let projects = ["p", "q"];
    for id in projects {
        master.project(id, &upstream.url("data"), &json!({}));
        master.ended(&master.sync(id));
    }
    let mut one = slave(&master.url(""), "one");
    for id in projects {
        current(&master, "one", id);
    }
    one.terminate();
    let generation = |master: &Server, name: &str| {
        fs::write(upstream.tree().join(name), name).unwrap();
        for id in projects {
            assert_eq!(master.ended(&master.sync(id))["state"], "succeeded");
        }
    };
    generation(&master, "a");
    generation(&master, "b");
    let late = ["one with p", "one with q"];
    wait_for("both to be told", || (subjects(&lagging(&receiver), "opened") == late).then_some(()));
    let told = lagging(&receiver);
    assert_eq!(told[0]["group"], json!({"kind": "node", "name": "one"}));
    let opened = &told[0]["opened"][0];
    assert_eq!((&opened["kind"], &opened["project"]), (&json!("lagging"), &json!("p")), "{opened}");
    assert!(told[0]["text"].as_str().unwrap().contains("one with p is behind"), "{}", told[0]);
    let list = String::from_utf8(master.command(&["alert", "list"]).stdout).unwrap();
    assert!(list.matches("is behind").count() == 2 && list.contains("one with q"), "{list}");
    // What was told must be stored before the kill, or it would rightly be told again.
    wait_for("the delivery to be noted", || {
        let channels = master.get("/api/v1/alerts/channels").json();
        (channels["items"][0]["waiting"] == 0).then_some(())
    });
    // Neither a kill of the master nor more generations say it again: what comes next is its end.
    master.kill();
    master.launch();
    generation(&master, "c");
    one.launch();
    wait_for("both to have caught up", || (subjects(&lagging(&receiver), "over") == late).then_some(()));
    let all = lagging(&receiver);
    assert_eq!(subjects(&all, "opened"), late, "each once: {all:?}");
    wait_for("nothing to be open", || {
        (master.get("/api/v1/alerts").json()["items"] == Value::Array(Vec::new())).then_some(())
    });
}
