//! One screen: what runs, what waits, what ended last, and how full the disks are.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use scheduler::core::{ClockStep, Entry};
use scheduler::freshness::{Course, as_of, course, is_stale};
use scheduler::{RunState, Scheduler, StoreError};
use serde::Serialize;

use crate::slave::contact::MasterContact;

use super::{DiskView, Live, QueueView, RunView, disks, queue, run, time};

/// How many ended runs the screen shows.
const LAST_RUNS: usize = 10;
/// How many newest runs are looked through for them.
const LOOKED_THROUGH: usize = 100;

/// The whole screen.
#[derive(Debug, Serialize)]
pub struct StatusView {
    version: &'static str,
    role: &'static str,
    started: String,
    /// When the server's certificate ends; none without HTTPS.
    tls_not_after: Option<String>,
    running: Vec<RunView>,
    held: Vec<RunView>,
    queued: Vec<QueueView>,
    counts: CountsView,
    limits: LimitsView,
    last: Vec<RunView>,
    failing: Vec<FailingView>,
    old: Vec<OldView>,
    disk: Vec<DiskView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    master: Option<MasterView>,
    clock: Option<ClockView>,
}

/// A slave's master, and whether it answers.
#[derive(Debug, Serialize)]
struct MasterView {
    url: String,
    connected: bool,
    since: String,
    last_contact: Option<String>,
    reason: Option<String>,
}

impl MasterView {
    fn of(contact: &MasterContact) -> Self {
        let state = contact.state();
        Self {
            url: contact.master().to_owned(),
            connected: state.connected == Some(true),
            since: time(state.since),
            last_contact: state.last.map(time),
            reason: state.reason,
        }
    }
}

/// A step of the clock into the past.
#[derive(Debug, Serialize)]
struct ClockView {
    at: String,
    /// In seconds.
    back: f64,
    reason: String,
}

impl ClockView {
    fn of(clock_step: ClockStep) -> Self {
        let back = clock_step.by.to_std().unwrap_or_default().as_secs_f64();
        Self { at: time(clock_step.at), back, reason: clock_step.to_string() }
    }
}

#[derive(Debug, Serialize)]
struct CountsView {
    projects: usize,
    enabled: usize,
    failing: usize,
}

#[derive(Debug, Serialize)]
struct LimitsView {
    concurrent: usize,
    per_host: usize,
    per_label: BTreeMap<String, usize>,
}

#[derive(Debug, Serialize)]
struct FailingView {
    project: String,
    failures: u32,
    since: Option<String>,
    reason: Option<String>,
}

/// A project that is older than it may be, or whose upstream does not go forward: nothing of it fails.
#[derive(Debug, Serialize)]
struct OldView {
    project: String,
    as_of: Option<String>,
    /// In seconds.
    target: Option<f64>,
    stale: bool,
    upstream_as_of: Option<String>,
    course: Option<&'static str>,
}

impl OldView {
    fn of(entry: &Entry, now: DateTime<Utc>) -> Option<Self> {
        let (project, standing) = (&entry.project, &entry.standing);
        let (stale, course) = (is_stale(project, standing, now), course(project, standing));
        let is_old = stale || course.is_some_and(|course| course != Course::Moving);
        is_old.then(|| Self {
            project: project.id.to_string(),
            as_of: as_of(standing).map(time),
            target: project.freshness.target.map(|target| target.as_secs_f64()),
            stale,
            upstream_as_of: standing.sighting.as_ref().map(|sighting| time(sighting.marker.modified)),
            course: course.map(Course::as_str),
        })
    }
}

/// The screen as of now. Asks the file systems, so call it where blocking is allowed.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn status(
    scheduler: &Scheduler,
    role: &'static str,
    started: DateTime<Utc>,
    contact: Option<&MasterContact>,
    tls_not_after: Option<DateTime<Utc>>,
) -> Result<StatusView, StoreError> {
    let board = scheduler.board();
    let projects = board.projects();
    let live = board.runs();
    let bounds = scheduler.settings().bounds;
    let failing: Vec<_> = projects.iter().filter(|entry| entry.standing.failures > 0).collect();
    let running = live.iter().filter(|run| run.state == RunState::Running);
    let last = scheduler.store().runs(None, None, LOOKED_THROUGH)?;
    let ended = last.iter().filter(|run| run.state.is_ended()).take(LAST_RUNS);
    Ok(StatusView {
        version: env!("CARGO_PKG_VERSION"),
        role,
        started: time(started),
        tls_not_after: tls_not_after.map(time),
        running: running.map(|one| run(one, Live::of(board, one), 0)).collect(),
        held: live
            .iter()
            .filter(|run| run.state == RunState::Held)
            .map(|one| run(one, Live::default(), 0))
            .collect(),
        queued: queue(board),
        counts: CountsView {
            projects: projects.len(),
            enabled: projects.iter().filter(|entry| entry.project.enabled).count(),
            failing: failing.len(),
        },
        limits: LimitsView {
            concurrent: bounds.concurrent,
            per_host: bounds.per_host,
            per_label: bounds.per_label,
        },
        last: ended.map(|one| run(one, Live::default(), 0)).collect(),
        failing: failing
            .into_iter()
            .map(|entry| FailingView {
                project: entry.project.id.to_string(),
                failures: entry.standing.failures,
                since: entry.standing.last_success.map(time),
                reason: entry.standing.last_run.as_ref().and_then(|last| last.reason.clone()),
            })
            .collect(),
        old: projects.iter().filter_map(|entry| OldView::of(entry, Utc::now())).collect(),
        disk: disks(board),
        master: contact.map(MasterView::of),
        clock: board.clock_step().filter(|step| step.is_current(Utc::now())).map(ClockView::of),
    })
}
