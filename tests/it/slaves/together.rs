//! `publish: together`: slaves fetch what is new, and put it in place when enough of them have it.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use super::{current, held, master, public, slave, sync};
use crate::http::Watcher;
use crate::kit::{Server, Upstream, fingerprint, missing, wait_for};

/// Waits until a slave has fetched this generation, and has not put it in place.
fn staged(master: &Server, node: &str, generation: u64) -> Value {
    wait_for(&format!("{node} to have fetched {generation}"), || {
        let held = held(master, node, "p");
        (held["staged"] == generation).then_some(held)
    })
}

/// A new file, a changed one and one that goes.
fn change(upstream: &Upstream, name: &str) {
    let tree = upstream.tree();
    fs::write(tree.join(name), "new").unwrap();
    fs::write(tree.join("d00/file-0"), format!("the index that names {name}")).unwrap();
    fs::remove_file(tree.join("d00").join(format!("goes-with-{name}"))).unwrap();
}

#[test]
fn nothing_is_put_in_place_before_enough_slaves_have_it_whoever_is_killed_meanwhile() {
    let (mut master, upstream) = (master(), Upstream::start(12));
    for name in ["two", "three"] {
        fs::write(upstream.tree().join(format!("d00/goes-with-{name}")), "old").unwrap();
    }
    let publish = json!({"publish": {"quorum": 2, "deadline": 3600}});
    let dest = master.project("p", &upstream.url("data"), &publish);
    assert_eq!(master.get("/api/v1/projects/p").json()["publish"], json!({"quorum": 2, "deadline": 3600.0}));
    sync(&master, "p");
    let mut slaves = ["a", "b", "c"].map(|name| slave(&master.url(""), name));
    for (name, slave) in ["a", "b", "c"].into_iter().zip(&slaves) {
        current(&master, name, "p");
        assert_eq!(fingerprint(&public(slave, "p")), fingerprint(&dest));
    }
    let [a, b, c] = &mut slaves;
    b.terminate();
    c.terminate();
    change(&upstream, "two");
    sync(&master, "p");
    let waiting = |master: &Server, a: &Server| {
        let held = staged(master, "a", 2);
        assert_eq!((&held["generation"], &held["lag"]), (&json!(1), &json!(1)), "{held}");
        let tree = public(a, "p");
        assert!(tree.join("two").exists(), "what is new is there");
        assert!(tree.join("d00/goes-with-two").exists(), "and nothing has gone");
        assert_ne!(fs::read(tree.join("d00/file-0")).unwrap(), fs::read(dest.join("d00/file-0")).unwrap());
    };
    waiting(&master, a);
    let list = String::from_utf8(master.command(&["node", "list"]).stdout).unwrap();
    assert!(list.contains("1 (2 fetched)"), "{list}");
    // Neither side forgets who waits.
    a.kill();
    master.kill();
    master.launch();
    a.launch();
    wait_for("the slave to be back", || {
        (master.get("/api/v1/nodes/a").json()["connected"] == true).then_some(())
    });
    waiting(&master, a);
    // A second one is enough, and the third one catches up whenever it comes.
    b.launch();
    for (name, slave) in [("a", &*a), ("b", &*b)] {
        current(&master, name, "p");
        assert_eq!(fingerprint(&public(slave, "p")), fingerprint(&dest));
    }
    let behind = held(&master, "c", "p");
    assert_eq!((&behind["generation"], &behind["left_behind"]), (&json!(1), &json!(false)));
    c.launch();
    current(&master, "c", "p");
    assert_eq!(fingerprint(&public(c, "p")), fingerprint(&dest));
}

#[test]
fn at_the_deadline_those_that_have_it_go_on_and_the_rest_is_said_to_be_left_behind() {
    let (master, upstream) = (master(), Upstream::start(12));
    fs::write(upstream.tree().join("d00/goes-with-two"), "old").unwrap();
    let dest =
        master.project("p", &upstream.url("data"), &json!({"publish": "together", "stages": "debian"}));
    sync(&master, "p");
    let (a, mut b) = (slave(&master.url(""), "a"), slave(&master.url(""), "b"));
    current(&master, "a", "p");
    current(&master, "b", "p");
    b.terminate();
    let mut watcher = Watcher::new(&master, "/api/v1/events?types=node.left-behind", None);
    change(&upstream, "two");
    fs::create_dir_all(upstream.tree().join("dists/new")).unwrap();
    for name in ["dists/new/Release", "dists/new/file"] {
        fs::write(upstream.tree().join(name), "new").unwrap();
    }
    sync(&master, "p");
    staged(&master, "a", 2);
    // Not even a new index is there before what it names is everywhere.
    let place = public(&a, "p").join("dists/new");
    assert!(place.join("file").exists() && !place.join("Release").exists());
    let patch = master.request(Method::PATCH, "/api/v1/projects/p");
    let patched = master.send(patch.json(&json!({"publish": {"quorum": "100%", "deadline": 1}})));
    assert_eq!(patched.status, 200, "{}", patched.text);
    current(&master, "a", "p");
    assert_eq!(fingerprint(&public(&a, "p")), fingerprint(&dest));
    let (_, _, data) = watcher.next();
    assert_eq!((&data["project"], &data["node"]["id"]), (&json!("p"), &json!("b")), "{data}");
    assert_eq!(held(&master, "b", "p")["left_behind"], true);
    let list = String::from_utf8(master.command(&["node", "list"]).stdout).unwrap();
    assert!(list.contains("left behind"), "{list}");
    b.launch();
    current(&master, "b", "p");
    wait_for("it to be back", || (held(&master, "b", "p")["left_behind"] == false).then_some(()));
}

#[test]
fn a_way_to_publish_that_cannot_be_read_is_named() {
    let master = master();
    for (publish, field) in [
        (json!("sometimes"), "publish"),
        (json!({"quorum": "0%"}), "publish.quorum"),
        (json!({"quorum": 1.5}), "publish.quorum"),
        (json!({"deadline": 0}), "publish.deadline"),
        (json!({"quorom": 1}), "publish.quorom"),
    ] {
        let dest = master.path("mirrors/p");
        let body = json!({"id": "p", "source": "rsync://h/m", "dest": dest, "publish": publish});
        let answer = master.post("/api/v1/projects", &body);
        assert_eq!(
            (answer.status, &answer.json()["errors"][0]["field"]),
            (422, &json!(field)),
            "{}",
            answer.text
        );
    }
}

#[test]
fn a_folder_in_the_place_of_a_file_is_put_in_place_with_the_rest_and_changes_nothing_before() {
    let (master, upstream) = (master(), Upstream::start(6));
    let place = |name: &str| upstream.tree().join("d00").join(name);
    for (one, other) in [("full", "other-full"), ("empty", "other-empty")] {
        fs::write(place(one), one).unwrap();
        fs::File::options()
            .write(true)
            .open(place(one))
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH)
            .unwrap();
        fs::hard_link(place(one), place(other)).unwrap();
    }
    let dest = master.project("p", &upstream.url("data"), &json!({"publish": "together"}));
    sync(&master, "p");
    let slave = slave(&master.url(""), "one");
    current(&master, "one", "p");
    // Only one at a time: what cannot be fetched of the one must not hide what was done to the other.
    for (number, name) in ["empty", "full"].into_iter().enumerate() {
        fs::remove_file(place(name)).unwrap();
        fs::create_dir(place(name)).unwrap();
        if name == "full" {
            fs::write(place(name).join("inside"), "new").unwrap();
        }
        sync(&master, "p");
        let held = current(&master, "one", "p");
        assert_eq!(held["generation"], number + 2, "the deadline is an hour away: {held}");
        assert_eq!(missing(&dest, &public(&slave, "p")), "", "{name}");
    }
}
