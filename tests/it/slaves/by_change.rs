//! Pulling by change: random trees and random histories come out as a sync of the whole tree would leave them.

use serde_json::json;

use super::{counted, current, is_by_change, master, public, runs, slave, sync};
use crate::kit::{Dice, Server, Upstream, change, missing};

/// How many generations a history has.
const ROUNDS: usize = 25;

/// How many of a slave's runs looked at a list only.
fn narrow(slave: &Server, project: &str) -> usize {
    runs(slave, project).iter().filter(|run| is_by_change(slave, run)).count()
}

#[test]
fn random_histories_come_out_as_a_whole_sync_would_leave_them() {
    histories(ROUNDS, &json!({}));
}

/// What goes after the transfers, rsync tells in another way.
#[test]
fn random_histories_of_projects_that_delete_last_come_out_the_same() {
    let options = json!({"delete": "--delete-after"});
    histories(ROUNDS / 3, &json!({"options": options}));
}

/// Each generation comes in two parts, of which the first must leave alone what is there.
#[test]
fn random_histories_of_slaves_that_publish_together_come_out_the_same() {
    histories(ROUNDS / 3, &json!({"publish": "together"}));
}

/// A sync that ends well. Where deletions come last, a full folder gives way to a file in the next run only.
fn settle(master: &Server) {
    let good = (0..4).any(|_| {
        let run = master.ended(&master.sync("p"));
        counted(master, "p", &run);
        matches!(run["state"].as_str(), Some("succeeded" | "unchanged"))
    });
    assert!(good, "no run of the master ended well");
}

/// One history, or as many as the long part of CI asks for, each with a seed of its own.
fn histories(rounds: usize, settings: &serde_json::Value) {
    let number = std::env::var("HELIOSTAT_HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    for number in 0..number {
        history(rounds, 0x2545_F491_4F6C_DD1D_u64.wrapping_mul(2 * number + 1), settings);
    }
}

fn history(rounds: usize, seed: u64, settings: &serde_json::Value) {
    let (master, upstream) = (master(), Upstream::start(12));
    let mut settings = settings.clone();
    settings["guard"] = json!({"max_delete_percent": 100, "max_delete": 100_000});
    let dest = master.project("p", &upstream.url("data"), &settings);
    sync(&master, "p");
    let mut slave = slave(&master.url(""), "one");
    current(&master, "one", "p");
    let mut dice = Dice::new(seed);
    for round in 0..rounds {
        let away = round % 5 == 4;
        if away {
            slave.terminate();
        }
        for _ in 0..if away { 3 } else { 1 } {
            for _ in 0..=dice.roll(6) {
                change(&upstream.tree(), &mut dice);
            }
            // A mirror is a generation older than a file that changes within the second, so times are told apart.
            settle(&master);
        }
        if away {
            slave.launch();
        }
        current(&master, "one", "p");
        let difference = missing(&dest, &public(&slave, "p"));
        assert!(difference.is_empty(), "seed {seed}, round {round}:\n{difference}");
    }
    let narrow = narrow(&slave, "p");
    assert!(narrow * 5 >= rounds, "only {narrow} runs were by change, with seed {seed}");
}
