//! What monitoring systems read: the site as of now, as Prometheus text.
//!
//! What projects and disks are comes from the board, the store and the file systems at each request, so it is the same
//! after a restart. What is counted as it happens ([`Tally`], [`Traffic`]) begins at zero with each start, as counters do.
//! Labels are projects, slaves, outcomes, classes, routes and disks: nothing that a stranger can make up.

mod nodes;
mod projects;
mod tally;
mod text;
mod traffic;

pub use tally::Tally;
pub use text::{FAMILIES, Family};
pub use traffic::{Traffic, count};

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use scheduler::{ProjectId, RunId, RunState, Scheduler, StoreError};

use crate::nodes::Nodes;
use crate::view;
use projects::{Last, projects};
use text::Text;

/// The kind of content that Prometheus asks for.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is counted and remembered between two readings.
#[derive(Debug, Default)]
pub struct Metrics {
    /// What runs have come to.
    pub tally: Tally,
    /// What was asked over HTTP.
    pub traffic: Traffic,
    /// The newest run of each project, which never changes once it has ended: read from the store once.
    newest: Mutex<HashMap<ProjectId, (RunId, Last)>>,
}

impl Metrics {
    /// Everything as text. Reads the store and asks the file systems, so call it where blocking is allowed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn render(
        &self,
        scheduler: &Scheduler,
        slaves: Option<&Nodes>,
        started: DateTime<Utc>,
    ) -> Result<String, StoreError> {
        let mut text = Text::default();
        site(&mut text, scheduler, started);
        {
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            projects(&mut text, scheduler, &mut newest)?;
        }
        disks(&mut text, scheduler);
        if let Some(slaves) = slaves {
            nodes::nodes(&mut text, scheduler, slaves);
        }
        self.tally.write(&mut text);
        self.traffic.write(&mut text);
        Ok(text.finish())
    }
}

fn site(text: &mut Text, scheduler: &Scheduler, started: DateTime<Utc>) {
    text.family("heliostat_build_info").sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.family("process_start_time_seconds").sample(&[], text::seconds(started));
    text.family("heliostat_store_writable").sample(&[], u8::from(scheduler.store().is_writable()));
    let board = scheduler.board();
    text.family("heliostat_queue_length").sample(&[], view::queue(board).len());
    let running = board.runs().iter().filter(|run| run.state == RunState::Running).count();
    text.family("heliostat_runs_running").sample(&[], running);
    text.family("heliostat_runs_running_limit").sample(&[], scheduler.settings().bounds.concurrent);
}

fn disks(text: &mut Text, scheduler: &Scheduler) {
    let disks = view::disks(scheduler.board());
    for (name, value) in [
        ("heliostat_disk_free_bytes", (|disk| disk.free_bytes) as fn(&view::DiskView) -> u64),
        ("heliostat_disk_size_bytes", |disk| disk.total_bytes),
        ("heliostat_disk_free_inodes", |disk| disk.free_inodes),
        ("heliostat_disk_inodes", |disk| disk.total_inodes),
    ] {
        text.family(name);
        for disk in &disks {
            text.sample(&[("path", &disk.path)], value(disk));
        }
    }
}
