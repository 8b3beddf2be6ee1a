//! When a slave looks at everything instead of what has changed: once in a while, when the lists are gone or cut short, and
//! after an end that was not clean.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{SECRET, current, is_by_change, master, public, runs, slave, slave_with, sync};
use crate::kit::{Server, Upstream, fingerprint, missing, processes_with, wait_for};

/// A master with a project that has been synced.
fn synced(master: &Server, upstream: &Upstream) -> PathBuf {
    let dest = master.project("p", &upstream.url("data"), &json!({}));
    sync(master, "p");
    dest
}

/// Makes a generation, and waits until the slave has it; gives the run that brought it.
fn pulled(master: &Server, upstream: &Upstream, slave: &Server, name: &str) -> Value {
    fs::write(upstream.tree().join(name), name).unwrap();
    sync(master, "p");
    current(master, "one", "p");
    runs(slave, "p").remove(0)
}

#[test]
fn everything_is_looked_at_once_in_a_while_though_the_master_has_nothing_new() {
    let (master, upstream) = (master(), Upstream::start(6));
    let dest = synced(&master, &upstream);
    let url = master.url("");
    let slave = Server::start_from(|folder, port| {
        let (data, public) = (folder.join("data"), folder.join("public"));
        format!(
            "(data_dir: {data:?}, listen: \"127.0.0.1:{port}\", role: Slave(master: {url:?}, name: \"one\",\
             public_dir: {public:?}, enrolment: {SECRET:?}, whole_every: \"1s\"))"
        )
    });
    current(&master, "one", "p");
    // The sample comes once in an hour: it is not what finds these.
    fs::write(public(&slave, "p").join("stray"), "somebody left this").unwrap();
    fs::remove_file(public(&slave, "p").join("d00/file-0")).unwrap();
    wait_for("the slave to be right again", || {
        (fingerprint(&public(&slave, "p")) == fingerprint(&dest)).then_some(())
    });
    let runs = runs(&slave, "p");
    assert!(runs.len() >= 2 && runs.iter().all(|run| !is_by_change(&slave, run)), "{runs:?}");
    assert_eq!(current(&master, "one", "p")["generation"], 1);
}

#[test]
fn what_the_master_has_forgotten_or_lost_is_made_up_for_by_a_look_at_everything() {
    let upstream = Upstream::start(6);
    let rsyncd = crate::kit::free_port();
    let mut master = Server::start_from(|folder, port| {
        format!(
            "(data_dir: {:?}, listen: \"127.0.0.1:{port}\", history: (max_runs: 2), role: Master(\
             enrolment: {SECRET:?}, rsyncd: Managed(listen: \"127.0.0.1:{rsyncd}\")))",
            folder.join("data")
        )
    });
    let dest = synced(&master, &upstream);
    let mut slave = slave(&master.url(""), "one");
    current(&master, "one", "p");
    assert!(
        is_by_change(&slave, &pulled(&master, &upstream, &slave, "known")),
        "it goes by change otherwise"
    );
    let shown = slave.get("/api/v1/projects/p").json();
    assert!(shown["files"].as_u64() > Some(5), "a pull by change says nothing of the tree's size: {shown}");
    // The past is trimmed when the master starts: of what the slave misses, only the newest runs are left.
    slave.terminate();
    for name in ["a", "b", "c"] {
        fs::write(upstream.tree().join(name), name).unwrap();
        sync(&master, "p");
    }
    master.terminate();
    master.launch();
    wait_for("the past to be trimmed", || (runs(&master, "p").len() == 2).then_some(()));
    slave.launch();
    current(&master, "one", "p");
    assert!(!is_by_change(&slave, &runs(&slave, "p")[0]));
    assert_eq!(missing(&dest, &public(&slave, "p")), "");
    // A list that was cut short, and one that is gone.
    let damages: [fn(&PathBuf); 2] = [
        |list| {
            let text = fs::read(list).unwrap();
            fs::write(list, &text[..text.len() / 2]).unwrap();
        },
        |list| fs::remove_file(list).unwrap(),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        slave.terminate();
        for part in 0..4 {
            fs::write(upstream.tree().join(format!("new-{number}-{part}")), "x").unwrap();
        }
        let run = sync(&master, "p")["id"].as_str().unwrap().to_owned();
        damage(&master.data().join(format!("runs/{run}.changes")));
        slave.launch();
        current(&master, "one", "p");
        assert!(!is_by_change(&slave, &runs(&slave, "p")[0]), "damage {number}");
        assert_eq!(missing(&dest, &public(&slave, "p")), "");
    }
    assert!(is_by_change(&slave, &pulled(&master, &upstream, &slave, "well")), "and so it does afterwards");
}

#[test]
fn a_pull_by_change_that_was_cut_off_is_made_up_for_by_a_look_at_everything() {
    let (master, upstream) = (master(), Upstream::start(6));
    let dest = synced(&master, &upstream);
    let mut slave = slave_with(&master.url(""), "one", SECRET, "bwlimit: 2000");
    current(&master, "one", "p");
    fs::write(upstream.tree().join("large"), vec![7; 8_000_000]).unwrap();
    fs::remove_file(upstream.tree().join("d00/file-0")).unwrap();
    sync(&master, "p");
    let going = wait_for("the slave to pull", || {
        Some(runs(&slave, "p").remove(0)).filter(|run| run["state"] == "running")
    });
    slave.moving(going["id"].as_str().unwrap());
    assert!(is_by_change(&slave, &going), "what is cut off is a pull by change");
    let place = public(&slave, "p").display().to_string();
    slave.kill();
    wait_for("its rsync to be gone", || processes_with(&place).is_empty().then_some(()));
    slave.launch();
    current(&master, "one", "p");
    let newest = runs(&slave, "p").remove(0);
    assert_eq!(newest["trigger"], "recovery", "{newest}");
    assert!(!is_by_change(&slave, &newest));
    assert_eq!(missing(&dest, &public(&slave, "p")), "");
}

/// Of what happened to a file with two names rsync tells one, and that one may be gone by the time the slave comes.
#[test]
fn what_a_file_with_several_names_became_is_not_missed_when_the_name_that_was_told_is_gone() {
    let (master, upstream) = (master(), Upstream::start(6));
    let place = |name: &str| upstream.tree().join("d00").join(name);
    let names = [("a1", "b1"), ("a2", "b2"), ("a3", "b3")];
    for (one, other) in names {
        fs::write(place(one), one).unwrap();
        fs::hard_link(place(one), place(other)).unwrap();
    }
    let dest = synced(&master, &upstream);
    let mut slave = slave(&master.url(""), "one");
    current(&master, "one", "p");
    slave.terminate();
    for (one, _) in names {
        fs::set_permissions(place(one), fs::Permissions::from_mode(0o600)).unwrap();
    }
    sync(&master, "p");
    // It goes; something else takes its name; a folder takes its name.
    fs::remove_file(place("a1")).unwrap();
    fs::remove_file(place("a2")).unwrap();
    fs::write(place("a2"), "another file").unwrap();
    fs::remove_file(place("a3")).unwrap();
    fs::create_dir(place("a3")).unwrap();
    sync(&master, "p");
    slave.launch();
    current(&master, "one", "p");
    assert_eq!(missing(&dest, &public(&slave, "p")), "");
}
