//! Years of a master's life in seeded virtual time, with a crash wherever one can be.
//!
//! Each scenario is one seed: people come and go, rsyncs end in every way, the clock jumps, the machine sleeps, commits
//! fail, and the server dies before, after and in the middle of what it does, and comes back after seconds or weeks. A
//! ledger that knows nothing of the clockwork's inside checks every commit and every start. `HELIOSTAT_RESTARTS` says
//! how many restarts to go through, `HELIOSTAT_SEED` repeats one scenario.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is how a failure is told")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use fault::Fault;
use world::World;

#[path = "simulation/disk.rs"]
mod disk;
#[path = "simulation/fault.rs"]
mod fault;
#[path = "simulation/ledger.rs"]
mod ledger;
#[path = "simulation/script.rs"]
mod script;
#[path = "simulation/world.rs"]
mod world;

/// How many restarts one scenario goes through, at least.
const RESTARTS_EACH: usize = 100;
/// How many restarts without `HELIOSTAT_RESTARTS`: as many as an unoptimised build does in a few seconds.
const RESTARTS: usize = 20_000;
/// How many scenarios a broken world may survive.
const CONTROLS: u64 = 40;

/// Lives through one scenario. Gives the restarts, and the schedule decisions that led to a run.
fn scenario(seed: u64, fault: Fault) -> Result<(usize, usize), String> {
    let life = || {
        let mut world = World::new(seed, fault);
        while world.restarts < RESTARTS_EACH {
            world.turn()?;
        }
        world.come_to_rest()?;
        Ok((world.restarts, world.decisions()))
    };
    catch_unwind(AssertUnwindSafe(life)).unwrap_or_else(|_| Err("it panicked".to_owned()))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn no_decision_and_no_wish_is_lost_or_doubled_however_often_the_server_dies() {
    let wanted = usize::try_from(number("HELIOSTAT_RESTARTS").unwrap_or(RESTARTS as u64)).unwrap();
    let only = number("HELIOSTAT_SEED");
    let (next, restarts, decisions) =
        (AtomicU64::new(only.unwrap_or(0)), AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while restarts.load(Ordering::Relaxed) < wanted {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            match scenario(seed, Fault::Nothing) {
                Ok((more, keys)) => {
                    restarts.fetch_add(more, Ordering::Relaxed);
                    decisions.fetch_add(keys, Ordering::Relaxed);
                }
                Err(violation) => {
                    return Err(format!(
                        "{violation}\nrepeat it: HELIOSTAT_SEED={seed} cargo test -p scheduler --test simulation no_decision"
                    ));
                }
            }
            if only.is_some() {
                break;
            }
        }
        Ok(())
    };
    let threads =
        if only.is_some() { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
    let results: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    if let Some(violation) = results.into_iter().find_map(Result::err) {
        panic!("{violation}");
    }
    let (restarts, decisions) = (restarts.into_inner(), decisions.into_inner());
    println!("{restarts} restarts, {decisions} scheduled runs");
    assert!(
        decisions > restarts / 10,
        "only {decisions} decisions in {restarts} restarts: the script is too tame"
    );
}

#[test]
fn every_broken_world_is_found_out() {
    for fault in Fault::ALL {
        let found = (0..CONTROLS).find_map(|seed| scenario(seed, fault).err());
        let found = found.unwrap_or_else(|| panic!("{fault:?} went unnoticed in {CONTROLS} scenarios"));
        println!("{fault:?}: {}", found.chars().take(160).collect::<String>());
    }
}
