//! The metrics of each project, from the board, and from the record of its newest run.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use scheduler::core::Entry;
use scheduler::freshness::as_of;
use scheduler::{ProjectId, Run, RunId, RunState, Scheduler, StoreError};

use super::text::{Text, seconds};

/// Every state, so that one without projects says 0.
const STATES: [&str; 6] = ["idle", "disabled", "queued", "running", "backing-off", "held"];

/// What the newest ended run of a project was.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Last {
    duration: Option<f64>,
    received: Option<u64>,
    transferred: Option<u64>,
}

/// A project with what is read beside the board.
struct Row {
    entry: Arc<Entry>,
    last: Last,
    running: bool,
}

/// Every project as it is at one moment.
pub(super) struct ProjectRows {
    states: BTreeMap<&'static str, u64>,
    rows: Vec<Row>,
}

/// Reads how every project is, and remembers what it read of their newest runs.
pub(super) fn gather(
    scheduler: &Scheduler,
    newest: &mut HashMap<ProjectId, (RunId, Last)>,
) -> Result<ProjectRows, StoreError> {
    let mut states: BTreeMap<&'static str, u64> = STATES.map(|state| (state, 0)).into();
    let mut rows = Vec::new();
    let mut read = HashMap::new();
    for entry in scheduler.board().projects() {
        let last = last(scheduler, &entry, newest)?;
        if let Some((run, last)) = last {
            read.insert(entry.project.id.clone(), (run, last));
        }
        let active = entry.active.and_then(|run| scheduler.board().run(run));
        let state = match &active {
            Some(run) => run.state.as_str(),
            None if entry.project.enabled => "idle",
            None => "disabled",
        };
        *states.entry(state).or_default() += 1;
        let running = active.is_some_and(|run| run.state == RunState::Running);
        rows.push(Row { entry, last: last.map(|(_, last)| last).unwrap_or_default(), running });
    }
    *newest = read;
    Ok(ProjectRows { states, rows })
}

impl ProjectRows {
    /// Writes every metric of every project.
    pub(super) fn write(&self, text: &mut Text) {
        text.family("heliostat_projects");
        for (state, number) in &self.states {
            text.sample(&[("state", state)], number);
        }
        write(text, &self.rows);
    }
}

/// The newest ended run: as it was read the last time, unless there is a newer one.
fn last(
    scheduler: &Scheduler,
    entry: &Entry,
    newest: &HashMap<ProjectId, (RunId, Last)>,
) -> Result<Option<(RunId, Last)>, StoreError> {
    let Some(run) = entry.standing.last_run.as_ref().map(|last| last.id) else { return Ok(None) };
    match newest.get(&entry.project.id) {
        Some((known, last)) if *known == run => Ok(Some((run, *last))),
        _ => Ok(scheduler.store().run(run)?.map(|record| (run, of(&record)))),
    }
}

fn of(run: &Run) -> Last {
    let ended = match &run.state {
        RunState::Ended { at, .. } => Some(*at),
        RunState::Queued | RunState::Running | RunState::BackingOff { .. } | RunState::Held => None,
    };
    let duration = run.started().zip(ended).and_then(|(from, to)| (to - from).to_std().ok());
    let stats = run.stats();
    Last {
        duration: duration.map(|duration| duration.as_secs_f64()),
        received: stats.map(|stats| stats.received),
        transferred: stats.map(|stats| stats.transferred),
    }
}

fn write(text: &mut Text, rows: &[Row]) {
    each(text, rows, "heliostat_project_enabled", |row| Some(u8::from(row.entry.project.enabled)));
    each(text, rows, "heliostat_project_running", |row| Some(u8::from(row.running)));
    each(text, rows, "heliostat_project_last_success_timestamp_seconds", |row| {
        row.entry.standing.last_success.map(seconds)
    });
    each(text, rows, "heliostat_project_as_of_timestamp_seconds", |row| {
        as_of(&row.entry.standing).map(seconds)
    });
    each(text, rows, "heliostat_project_upstream_as_of_timestamp_seconds", |row| {
        row.entry.standing.sighting.as_ref().map(|sighting| seconds(sighting.marker.modified))
    });
    each(text, rows, "heliostat_project_last_run_timestamp_seconds", |row| {
        row.entry.standing.last_run.as_ref().map(|last| seconds(last.ended))
    });
    each(text, rows, "heliostat_project_last_run_success", |row| {
        row.entry.standing.last_run.as_ref().map(|last| u8::from(last.outcome.is_good()))
    });
    each(text, rows, "heliostat_project_last_run_duration_seconds", |row| row.last.duration);
    each(text, rows, "heliostat_project_last_run_received_bytes", |row| row.last.received);
    each(text, rows, "heliostat_project_last_run_transferred_files", |row| row.last.transferred);
    each(text, rows, "heliostat_project_consecutive_failures", |row| Some(row.entry.standing.failures));
    each(text, rows, "heliostat_project_next_run_timestamp_seconds", |row| row.entry.next.map(seconds));
    each(text, rows, "heliostat_project_generation", |row| Some(row.entry.standing.generation));
    each(text, rows, "heliostat_project_size_bytes", |row| Some(row.entry.standing.size_bytes));
    each(text, rows, "heliostat_project_files", |row| Some(row.entry.standing.files));
}

fn each<T: std::fmt::Display>(
    text: &mut Text,
    rows: &[Row],
    name: &'static str,
    value: impl Fn(&Row) -> Option<T>,
) {
    text.family(name);
    for row in rows {
        if let Some(value) = value(row) {
            text.sample(&[("project", row.entry.project.id.as_str())], value);
        }
    }
}
