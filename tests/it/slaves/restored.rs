//! A master whose store was restored makes generations anew whose numbers have been there before: what slaves hold of the
//! other history counts for nothing.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{current, held, is_by_change, master, public, runs, slave, sync};
use crate::kit::{Server, Upstream, missing, said, wait_for};

/// A master with one generation of a project and a backup of that, and a slave.
struct Site {
    upstream: Upstream,
    master: Server,
    slave: Server,
    dest: PathBuf,
}

impl Site {
    fn new(settings: &Value) -> Self {
        let (master, upstream) = (master(), Upstream::start(6));
        let dest = master.project("p", &upstream.url("data"), settings);
        sync(&master, "p");
        let slave = slave(&master.url(""), "one");
        current(&master, "one", "p");
        let site = Self { upstream, master, slave, dest };
        site.store(&["backup", site.backup().to_str().unwrap()]);
        site
    }

    fn backup(&self) -> PathBuf {
        self.master.path("backup")
    }

    fn store(&self, words: &[&str]) -> String {
        let config = self.master.config();
        let words = [&["store"], words, &["--config", config.to_str().unwrap()]].concat();
        let output = self.master.command(&words);
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    }

    /// Makes a generation with one more file.
    fn generation(&self, name: &str) {
        fs::write(self.upstream.tree().join("d00").join(name), name).unwrap();
        sync(&self.master, "p");
    }

    /// Puts the backup in place, as docs/operations.md says it.
    fn restore(&mut self) {
        self.master.terminate();
        let words = self.store(&["restore", self.backup().to_str().unwrap()]);
        assert!(words.contains("look at every project whole once"), "{words}");
        self.master.launch();
    }

    /// Waits until the slave is called current, and compares the trees.
    fn assert_right(&self) {
        current(&self.master, "one", "p");
        assert_eq!(missing(&self.dest, &public(&self.slave, "p")), "");
    }
}

/// Whether the newest run of the slave looked at what had changed only.
fn is_narrow(slave: &Server) -> bool {
    is_by_change(slave, &runs(slave, "p")[0])
}

#[test]
fn a_slave_that_was_away_meanwhile_looks_at_everything_whatever_number_the_master_has_come_to() {
    for names in [&["n2", "n3"][..], &["n2", "n3", "n4"], &["n2"]] {
        let mut site = Site::new(&json!({}));
        for name in ["g2", "g3"] {
            site.generation(name);
            current(&site.master, "one", "p");
        }
        site.slave.terminate();
        site.restore();
        for name in names {
            site.generation(name);
        }
        assert_eq!(held(&site.master, "one", "p")["generation"], Value::Null, "it has not reported yet");
        site.slave.launch();
        site.assert_right();
        assert!(!is_narrow(&site.slave), "{names:?}");
        // And what comes then comes by change again.
        site.generation("later");
        site.assert_right();
        assert!(is_narrow(&site.slave), "{names:?}");
    }
}

#[test]
fn a_slave_that_was_never_away_is_not_fooled_by_a_number_that_comes_again() {
    let mut site = Site::new(&json!({}));
    site.generation("g2");
    current(&site.master, "one", "p");
    site.restore();
    site.generation("n2");
    site.assert_right();
}

#[test]
fn what_was_fetched_to_be_published_together_is_fetched_anew() {
    let mut site = Site::new(&json!({"publish": "together"}));
    site.generation("g2");
    current(&site.master, "one", "p");
    site.slave.terminate();
    site.restore();
    site.generation("n2");
    site.slave.launch();
    site.assert_right();
    let known = held(&site.master, "one", "p");
    assert_eq!(known["staged"], 2, "{known}");
}

#[test]
fn a_master_that_went_on_without_its_mark_is_another_history_once() {
    let mut site = Site::new(&json!({}));
    let history = |site: &Site| {
        let stored = fs::read_to_string(site.slave.data().join("held.json")).unwrap();
        serde_json::from_str::<Value>(&stored).unwrap()["p"]["held"]["history"].clone()
    };
    assert_eq!(history(&site), Value::Null);
    restart(&mut site, |store| fs::remove_file(store.join("high-water")).unwrap());
    wait_for("the slave to look at everything", || (!history(&site).is_null()).then_some(()));
    site.assert_right();
    let (known, count) = (history(&site), runs(&site.slave, "p").len());

    restart(&mut site, |_| {});
    site.generation("later");
    site.assert_right();
    assert_eq!((history(&site), runs(&site.slave, "p").len()), (known, count + 1));
}

fn restart(site: &mut Site, change: impl FnOnce(&Path)) {
    site.master.terminate();
    change(&site.master.data().join("store"));
    site.master.launch();
}
