//! What it costs that each call has an instance of its own: the same question to one that stays, and to a fresh one.
//!
//! Heliostat has fresh ones only, so that nothing of a call is left for the next. `cargo bench -p plugins --bench warm`.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot be set up has nothing to measure")]

use std::path::Path;
use std::time::{Duration, Instant};

use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Config, Engine, Store};

use policies::exports::heliostat::plugin::policy::{Finished, Guest, GuestIndices, Status};
use policies::heliostat::plugin::{config, log, types};

mod policies {
    wasmtime::component::bindgen!({
        path: "wit/v0.1",
        inline: "
            package heliostat:bench;
            world policies {
                import heliostat:plugin/log@0.1.0;
                import heliostat:plugin/config@0.1.0;
                export heliostat:plugin/policy@0.1.0;
            }
        ",
    });
}

/// How many calls a figure is made of.
const CALLS: usize = 20_000;

/// What a policy has of us: at most one setting.
#[derive(Clone, Copy)]
struct Host(Option<(&'static str, &'static str)>);

impl types::Host for Host {}

impl log::Host for Host {
    fn enabled(&mut self, _: log::Level) -> bool {
        false
    }

    fn write(&mut self, _: log::Level, _: String, _: Vec<(String, String)>) {}
}

impl config::Host for Host {
    fn get(&mut self, key: String) -> Option<String> {
        self.0.filter(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
    }

    fn keys(&mut self) -> Vec<String> {
        self.0.iter().map(|(name, _)| (*name).to_owned()).collect()
    }
}

fn main() {
    let mut settings = Config::new();
    settings.epoch_interruption(true).memory_reservation(64 * 1024 * 1024);
    let engine = Engine::new(&settings).unwrap();
    println!("| guest | fresh p50 | fresh p99 | warm p50 | warm p99 |\n|---|---:|---:|---:|---:|");
    let guests = [("adaptive-schedule", Host(None)), ("quiet-hours", Host(Some(("quiet", "01:00-02:00"))))];
    for (name, host) in guests {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/guests/{name}.wasm"));
        if !file.exists() {
            println!("left out: {name}, since scripts/build-guests was not run");
            continue;
        }
        let component = Component::from_file(&engine, file).unwrap();
        let mut linker = Linker::new(&engine);
        policies::Policies::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host).unwrap();
        // Neither of the two asks its standard library for anything.
        linker.define_unknown_imports_as_traps(&component).unwrap();
        let guest = linker.instantiate_pre(&component).unwrap();
        let indices = GuestIndices::new(&guest).unwrap();
        let fresh = sorted(|| {
            let (mut store, policy) = started(&engine, &guest, &indices, host);
            ask(&mut store, &policy);
        });
        let (mut store, policy) = started(&engine, &guest, &indices, host);
        let warm = sorted(|| ask(&mut store, &policy));
        let at = |times: &[Duration], percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e6;
        println!(
            "| {name} | {:.1} µs | {:.1} µs | {:.1} µs | {:.1} µs |",
            at(&fresh, 50),
            at(&fresh, 99),
            at(&warm, 50),
            at(&warm, 99)
        );
    }
}

fn started(
    engine: &Engine,
    guest: &InstancePre<Host>,
    indices: &GuestIndices,
    host: Host,
) -> (Store<Host>, Guest) {
    let mut store = Store::new(engine, host);
    store.set_epoch_deadline(1_000_000);
    let instance = guest.instantiate(&mut store).unwrap();
    let policy = indices.load(&mut store, &instance).unwrap();
    (store, policy)
}

fn ask(store: &mut Store<Host>, policy: &Guest) {
    let run = Finished {
        project: "debian".to_owned(),
        now_ms: 1_764_201_600_000,
        utc_offset_minutes: 0,
        status: Status::Succeeded,
        duration_ms: 60_000,
        consecutive_failures: 0,
        default_delay_ms: 3_600_000,
        min_delay_ms: 60_000,
        max_delay_ms: 86_400_000,
        last_new_ms: Some(1_764_198_000_000),
        recent: Vec::new(),
        news: Vec::new(),
    };
    policy.call_next_delay(store, &run).unwrap().unwrap();
}

fn sorted(mut call: impl FnMut()) -> Vec<Duration> {
    let mut took: Vec<_> = (0..CALLS)
        .map(|_| {
            let started = Instant::now();
            call();
            started.elapsed()
        })
        .collect();
    took.sort_unstable();
    took
}
