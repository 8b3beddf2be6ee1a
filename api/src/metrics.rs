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
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use scheduler::{ProjectId, RunId, RunState, Scheduler, StoreError};

use crate::alerts;
use crate::app::App;
use crate::host::{HookCalls, PluginView};
use crate::view;
use projects::{Last, projects};
use text::Text;

/// The kind of content that Prometheus asks for.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is counted and remembered between two readings.
#[derive(Debug, Default)]
pub struct Metrics {
    /// What was asked over HTTP.
    pub traffic: Traffic,
    /// The newest run of each project, which never changes once it has ended: read from the store once.
    newest: Mutex<HashMap<ProjectId, (RunId, Last)>>,
    /// Held while a text is made: it is open to everybody, and large where there are many projects.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl Metrics {
    /// Everything as text. Reads the store and asks the file systems, so call it where blocking is allowed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn render(&self, app: &App) -> Result<String, StoreError> {
        let scheduler = &app.scheduler;
        let mut text = Text::default();
        site(&mut text, scheduler, app.started);
        if let Some(end) = app.reloader.tls_not_after() {
            text.family("heliostat_tls_not_after_seconds").sample(&[], text::seconds(end));
        }
        alerts(&mut text, app);
        {
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            match projects(&mut text, scheduler, &mut newest) {
                // The other families still say that a table cannot be read.
                Err(StoreError::Unreadable { .. }) => {}
                written => written?,
            }
        }
        disks(&mut text, scheduler);
        if let Some(slaves) = app.nodes.as_deref() {
            nodes::nodes(&mut text, scheduler, slaves);
        }
        if let Some(contact) = app.contact.as_deref() {
            nodes::master(&mut text, contact);
        }
        tally::tally(&mut text, scheduler);
        plugins(&mut text, app);
        self.traffic.write(&mut text);
        Ok(text.finish())
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
