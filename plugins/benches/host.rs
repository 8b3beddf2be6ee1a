//! What a plugin costs: one vote, votes per second, memory, loading, and how soon each kind of bad guest is stopped.
//!
//! `cargo bench -p plugins` prints the tables of `docs/performance.md`. The real plugins are measured where
//! `scripts/build-guests` has compiled them.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot be set up has nothing to measure")]
#![expect(dead_code, reason = "what is shared with the tests is not all needed here")]

#[path = "../tests/host/guests.rs"]
mod guests;
#[path = "../tests/host/kit.rs"]
mod kit;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugins::{PluginSettings, Plugins, Settings};
use scheduler::hooks::Hooks;

use guests::{HTTP, LOG, TEXT, component, log, module, pre, proceed};
use kit::Place;

/// How many votes a figure is made of.
const VOTES: u32 = 5000;
/// How many plugins stand for one when memory is measured.
const COPIES: u32 = 20;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        println!("| guest | bytes | load, compiled | load, kept | vote p50 | vote p99 | votes/s, 2 threads | memory |");
        println!("|---|---:|---:|---:|---:|---:|---:|---:|");
        for (name, bytes) in subjects() {
            row(&name, &bytes).await;
        }
        println!("\n| bad guest | budget | stopped after |\n|---|---:|---:|");
        bad().await;
    });
}

fn subjects() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests");
    let real = ["trace-file", "quiet-hours", "c-hold-file"];
    let real = real.iter().filter_map(|name| {
        let bytes = std::fs::read(folder.join(format!("{name}.wasm")));
        bytes.ok().map(|bytes| ((*name).to_owned(), bytes))
    });
    std::iter::once(("by hand".to_owned(), proceed())).chain(real).collect()
}

/// The plugin with what it needs to say yes.
fn configured(place: &Place, id: &str, (name, bytes): (&str, &[u8])) -> PluginSettings {
    let mut plugin = place.plugin(id, bytes);
    plugin.grants.dest_read = vec!["**".parse().unwrap()];
    plugin.grants.dest_write = vec!["**".parse().unwrap()];
    plugin.limits.concurrency = 64;
    let setting = match name {
        "trace-file" => Some(("name", "ftp.example.net")),
        "quiet-hours" => Some(("quiet", "01:00-02:00")),
        "c-hold-file" => Some(("file", "hold")),
        _ => None,
    };
    plugin.config = setting.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    plugin
}

async fn row(name: &str, bytes: &[u8]) {
    let place = Place::new();
    std::fs::create_dir(place.path("tree")).unwrap();
    let plugin = configured(&place, "p", (name, bytes));
    let settings = Settings { cache: Some(place.path("cache")), ..place.settings(vec![plugin]) };
    let (compiled, _) = timed(place.load_all(settings.clone())).await;
    // What was compiled is written by a thread of the cache.
    while std::fs::read_dir(place.path("cache")).unwrap().count() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (kept, plugins) = timed(place.load_all(settings)).await;
    let plugins = Arc::new(plugins);
    let context = Arc::new(place.context());
    let mut took = Vec::new();
    for _ in 0..VOTES {
        let started = Instant::now();
        let votes = plugins.pre_sync(&context).await;
        took.push(started.elapsed());
        assert_eq!(votes[0].failure, None, "{name}");
    }
    took.sort_unstable();
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..2 {
        tasks.spawn(votes(plugins.clone(), context.clone()));
    }
    tasks.join_all().await;
    let rate = 2.0 * f64::from(VOTES) / started.elapsed().as_secs_f64();
    println!(
        "| {name} | {} | {:.1} ms | {:.1} ms | {:.0} µs | {:.0} µs | {rate:.0} | {} KiB |",
        bytes.len(),
        millis(compiled),
        millis(kept),
        micros(took[took.len() / 2]),
        micros(took[took.len() * 99 / 100]),
        memory(name, bytes).await
    );
}

async fn votes(plugins: Arc<Plugins>, context: Arc<scheduler::hooks::RunContext>) {
    for _ in 0..VOTES {
        plugins.pre_sync(&context).await;
    }
}

/// What one loaded plugin keeps, in KiB.
async fn memory(name: &str, bytes: &[u8]) -> u64 {
    let place = Place::new();
    let one = place.load(vec![configured(&place, "first", (name, bytes))]).await;
    let before = resident();
    let copies = (0..COPIES).map(|number| configured(&place, &format!("p{number}"), (name, bytes)));
    let many = place.load(copies.collect()).await;
    let after = resident();
    drop((one, many));
    after.saturating_sub(before) / u64::from(COPIES)
}

fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
}

/// Each kind of bad guest, with 200 ms of processor time and 400 ms altogether.
async fn bad() {
    let deep = r#"(func $deep (result i32) (i32.add (call $deep) (i32.const 1)))
        (func (export "heliostat:plugin/pre-hook@0.1.0#pre-sync") (param i32) (result i32) (call $deep))"#;
    let flood = format!("(loop {} (br 0)) (unreachable)", log("hello"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let send = format!(
        "(call $send (i32.const {TEXT}) (i32.const 3) (i32.const {}) (i32.const {}) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 60000) (i32.const 128)) (i32.const 64)",
        TEXT + 3,
        url.len()
    );
    let guests = [
        ("loops", "200 ms of processor time", pre("", "", "(loop (br 0)) (unreachable)")),
        ("floods its log", "200 ms of processor time", pre(LOG, "hello", &flood)),
        ("waits for a server that never answers", "400 ms", pre(HTTP, &format!("GET{url}"), &send)),
        ("traps", "", pre("", "", "(unreachable)")),
        ("recurses", "", component("pre", &module("", "", deep))),
        (
            "takes memory",
            "32 MiB",
            pre("", "", "(loop (drop (memory.grow (i32.const 16))) (br 0)) (unreachable)"),
        ),
    ];
    for (name, budget, bytes) in guests {
        let place = Place::new();
        let mut plugin = place.plugin("bad", &bytes);
        plugin.grants.http = vec![url.parse().unwrap()];
        plugin.grants.private_addresses = true;
        plugin.limits.wall = Duration::from_millis(400);
        let plugins = place.load(vec![plugin]).await;
        let context = place.context();
        let mut longest = Duration::ZERO;
        for _ in 0..5 {
            let (took, votes) = timed(plugins.pre_sync(&context)).await;
            assert!(votes[0].failure.is_some(), "{name} was not stopped");
            longest = longest.max(took);
        }
        println!("| {name} | {budget} | {:.1} ms |", millis(longest));
    }
}

async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let started = Instant::now();
    let done = work.await;
    (started.elapsed(), done)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
