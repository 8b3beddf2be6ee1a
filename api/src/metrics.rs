//! What monitoring systems read: the site as of now, as Prometheus text.
//!
//! What projects and disks are, and what has come about since the store was made, comes from the scheduler at each
//! request, so it is the same after a restart. Requests ([`Traffic`]) are counted from zero with each start.
//! Labels are projects, slaves, outcomes, classes, routes and disks: nothing that a stranger can make up.

mod nodes;
mod projects;
mod tally;
mod text;
mod traffic;

pub use text::{FAMILIES, Family};
pub use traffic::{Traffic, count};

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{Stream, StreamExt, future, stream};
use scheduler::{ProjectId, RunId, RunState, Scheduler, StoreError};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::alerts;
use crate::app::App;
use crate::host::{HookCalls, PluginView};
use crate::problem::Problem;
use crate::view;
use projects::{Last, gather};
use text::{PieceSender, Text};

/// The kind of content that Prometheus asks for.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Texts that are written at once: each takes memory and processor time where there are many projects, and it is open to
/// everybody.
const READERS: usize = 2;
/// Longest time for which a reader waits for one of them.
const TURN_PATIENCE: Duration = Duration::from_secs(10);

/// What is counted and remembered between two readings.
#[derive(Debug)]
pub struct Metrics {
    /// What was asked over HTTP.
    pub traffic: Traffic,
    /// The newest run of each project, which never changes once it has ended: read from the store once.
    newest: Mutex<HashMap<ProjectId, (RunId, Last)>>,
    /// One for each text that is written.
    turns: Arc<Semaphore>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            traffic: Traffic::default(),
            newest: Mutex::default(),
            turns: Arc::new(Semaphore::new(READERS)),
        }
    }
}

/// Everything as text, in pieces. One that is stopped by an error in the store ends with it.
///
/// # Errors
/// When the store cannot be read, or too many others read at this moment.
pub async fn read(app: &App) -> Result<impl Stream<Item = Result<Bytes, StoreError>> + use<>, Problem> {
    let turn = tokio::time::timeout(TURN_PATIENCE, Arc::clone(&app.metrics.turns).acquire_owned()).await;
    let Ok(Ok(turn)) = turn else {
        return Err(Problem::unavailable("too many others read the metrics at this moment: ask again later"));
    };
    app.scheduler.refresh_queue().await;

    let (sender, mut pieces) = PieceSender::new(Handle::current());
    let app = app.clone();
    tokio::task::spawn_blocking(move || {
        let mut text = Text::for_reader(sender);
        let written = app.metrics.write(&mut text, &app);
        text.end(written);
        drop(turn);
    });

    // An error comes before anything is sent, so the reader can be told of it.
    let first = pieces.recv().await;
    let first = first.ok_or_else(|| Problem::internal(&"the metrics were not written"))?;
    let first = first.map_err(|error| Problem::internal(&error))?;
    let rest = stream::poll_fn(move |context| pieces.poll_recv(context));
    Ok(stream::once(future::ready(Ok(first))).chain(rest))
}

impl Metrics {
    /// Writes everything. Reads the store and asks the file systems, so call it where blocking is allowed. No lock may be
    /// held while something is written: a reader may be slow.
    fn write(&self, text: &mut Text, app: &App) -> Result<(), StoreError> {
        let scheduler = &app.scheduler;
        let gathered = {
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            gather(scheduler, &mut newest)
        };
        let projects = match gathered {
            // The other families still say that a table cannot be read.
            Err(StoreError::Unreadable { .. }) => None,
            gathered => Some(gathered?),
        };

        site(text, scheduler, app.started);
        if let Some(end) = app.reloader.tls_not_after() {
            text.family("heliostat_tls_not_after_seconds").sample(&[], text::seconds(end));
        }
        alerts(text, app);
        if let Some(projects) = projects {
            projects.write(text);
        }
        disks(text, scheduler);
        if let Some(slaves) = app.nodes.as_deref() {
            nodes::nodes(text, scheduler, slaves);
        }
        if let Some(contact) = app.contact.as_deref() {
            nodes::master(text, contact);
        }
        tally::tally(text, scheduler);
        plugins(text, app);
        self.traffic.write(text);
        Ok(())
    }
}

fn site(text: &mut Text, scheduler: &Scheduler, started: DateTime<Utc>) {
    text.family("heliostat_build_info").sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.family("process_start_time_seconds").sample(&[], text::seconds(started));
    let health = scheduler.store().health();
    text.family("heliostat_store_writable").sample(&[], u8::from(health.refusal.is_none()));
    text.family("heliostat_store_mark_behind").sample(&[], u8::from(health.mark.is_some()));
    text.family("heliostat_store_unreadable_tables").sample(&[], health.unreadable.len());
    let board = scheduler.board();
    text.family("heliostat_queue_length").sample(&[], view::queue(board).len());
    let running = board.runs().iter().filter(|run| run.state == RunState::Running).count();
    text.family("heliostat_runs_running").sample(&[], running);
    text.family("heliostat_runs_running_limit").sample(&[], scheduler.settings().bounds.concurrent);
}

fn plugins(text: &mut Text, app: &App) {
    let plugins = app.host.list();
    let mut each = |name: &'static str, value: fn(&PluginView) -> f64| {
        text.family(name);
        for plugin in &plugins {
            text.sample(&[("plugin", plugin.id())], value(plugin));
        }
    };
    each("heliostat_plugin_loaded", |plugin| f64::from(u8::from(plugin.is_loaded())));
    let mut each = |name: &'static str, value: fn(&HookCalls) -> f64| {
        text.family(name);
        for plugin in &plugins {
            for calls in plugin.by_hook() {
                text.sample(&[("plugin", plugin.id()), ("hook", calls.hook)], value(calls));
            }
        }
    };
    each("heliostat_plugin_calls_total", HookCalls::calls);
    each("heliostat_plugin_failures_total", HookCalls::failures);
    each("heliostat_plugin_call_seconds_total", |calls| calls.seconds);
}

fn alerts(text: &mut Text, app: &App) {
    let open = app.alerts.open();
    text.family("heliostat_alerts_open");
    for kind in alerts::Kind::ALL {
        let number = open.iter().filter(|alert| alert.key.kind == kind).count();
        text.sample(&[("kind", kind.as_str())], number);
    }
    let config = app.reloader.config();
    text.family("heliostat_alert_messages_waiting");
    for channel in app.alerts.channels(&config.alerts) {
        text.sample(&[("channel", channel.name)], channel.queue.map_or(0, |queue| queue.waiting()));
    }
}

/// What is read off a file system.
type DiskValue = fn(&view::DiskView) -> Option<f64>;

fn disks(text: &mut Text, scheduler: &Scheduler) {
    let disks = view::disks(scheduler.board());
    let rows: [(&'static str, DiskValue); 7] = [
        ("heliostat_disk_free_bytes", |disk| Some(float(disk.free_bytes))),
        ("heliostat_disk_size_bytes", |disk| Some(float(disk.total_bytes))),
        ("heliostat_disk_free_inodes", |disk| Some(float(disk.free_inodes))),
        ("heliostat_disk_inodes", |disk| Some(float(disk.total_inodes))),
        ("heliostat_disk_reserve_bytes", |disk| Some(float(disk.reserve_bytes))),
        ("heliostat_disk_stopped", |disk| Some(float(disk.stopped.into()))),
        ("heliostat_disk_full_in_seconds", |disk| disk.days_to_full.map(|days| days * 86_400.0)),
    ];
    for (name, value) in rows {
        text.family(name);
        for disk in &disks {
            if let Some(value) = value(disk) {
                text.sample(&[("path", &disk.path)], value);
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a sample of Prometheus is a float")]
fn float(number: u64) -> f64 {
    number as f64
}
