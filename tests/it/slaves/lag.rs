//! A slave that is too far behind is said to be: once, across restarts, and once more when that is over.

use std::fs;

use serde_json::{Value, json};

use super::{current, held, master_with, slave, sync};
use crate::http::Watcher;
use crate::kit::{Server, Upstream, wait_for};

fn generations(master: &Server, upstream: &Upstream, names: &[&str]) {
    for name in names {
        fs::write(upstream.tree().join(name), name).unwrap();
        sync(master, "p");
    }
}

#[test]
fn a_slave_beyond_the_limit_is_an_event_once_and_its_recovery_another() {
    let (mut master, upstream) = (master_with("lag: (generations: 1, time: None), "), Upstream::start(5));
    master.project("p", &upstream.url("data"), &json!({}));
    sync(&master, "p");
    let mut one = slave(&master.url(""), "one");
    current(&master, "one", "p");
    // One that says nothing of itself is never late.
    assert_eq!(master.post("/api/v1/nodes", &json!({"name": "by-hand"})).status, 201);
    one.terminate();
    let watch =
        |master: &Server| Watcher::new(master, "/api/v1/events?types=node.lagging,node.caught-up", None);
    let mut watcher = watch(&master);
    generations(&master, &upstream, &["a", "b"]);
    let (kind, _, data) = watcher.next();
    assert_eq!((kind.as_str(), &data["project"]), ("node.lagging", &json!("p")));
    let node = &data["node"];
    assert_eq!(
        (&node["id"], &node["generation"], &node["master_generation"], &node["lag"]),
        (&json!("one"), &json!(1), &json!(3), &json!(2)),
        "{data}"
    );
    assert_eq!(held(&master, "one", "p")["late"], true);
    assert_eq!(held(&master, "by-hand", "p")["late"], false);
    // It holds the first generation, and so its copy is from then; one that holds nothing has no age.
    let project = master.get("/api/v1/projects/p").json();
    let (behind, first) = (held(&master, "one", "p"), master.get("/api/v1/projects/p/runs").json());
    let first =
        first["items"].as_array().unwrap().iter().find(|run| run["generation"] == 1).unwrap()["ended"]
            .clone();
    assert_eq!((&behind["as_of"], &behind["stale"]), (&first, &json!(false)), "{behind}");
    assert!(held(&master, "by-hand", "p")["as_of"].is_null() && project["as_of"] != first);
    let list = String::from_utf8(master.command(&["node", "list"]).stdout).unwrap();
    assert!(list.contains("2, ") && list.contains("too far"), "{list}");
    let metrics = master.get("/metrics").text;
    for line in [
        "heliostat_node_connected{node=\"one\"} 0",
        "heliostat_node_lag_generations{node=\"one\",project=\"p\"} 2",
        "heliostat_node_late{node=\"one\",project=\"p\"} 1",
        "heliostat_node_missed_generations{node=\"one\"} 2",
        "heliostat_node_missed_generations{node=\"by-hand\"} 3",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    // No series says that something is as it should be.
    assert!(!metrics.contains("heliostat_node_late{node=\"by-hand\""), "{metrics}");
    // Neither more generations nor a kill of the master say it again: the next event is the recovery.
    master.kill();
    master.launch();
    let mut watcher = watch(&master);
    generations(&master, &upstream, &["c"]);
    one.launch();
    let (kind, _, data) = watcher.next();
    assert_eq!((kind.as_str(), &data["node"]["lag"]), ("node.caught-up", &json!(0)), "{data}");
    assert_eq!(held(&master, "one", "p")["late"], false);
}

#[test]
fn a_slave_that_misses_a_generation_for_too_long_is_late_by_time_alone() {
    let (master, upstream) = (master_with("lag: (time: \"1s\"), "), Upstream::start(5));
    master.project("p", &upstream.url("data"), &json!({}));
    let mut one = slave(&master.url(""), "one");
    wait_for("the slave to join", || (master.get("/api/v1/nodes/one").status == 200).then_some(()));
    one.terminate();
    let mut watcher = Watcher::new(&master, "/api/v1/events?types=node.lagging", None);
    sync(&master, "p");
    let (_, _, data) = watcher.next();
    assert_eq!(data["node"]["generation"], Value::Null, "it never held anything: {data}");
    assert!(data["node"]["lag_seconds"].as_f64().unwrap() > 1.0, "{data}");
}
