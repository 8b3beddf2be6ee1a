//! An event as watchers see it.

use scheduler::{Event, EventKind, Run};
use serde::Serialize;

use super::run::{CountsView, Live, ProgressView, counts};
use super::time;

/// An event's data.
#[derive(Debug, Serialize)]
pub struct EventView {
    id: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<CountsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<NodeView>,
}

/// A slave.
#[derive(Debug, Serialize)]
struct NodeView {
    id: String,
    #[serde(flatten)]
    lag: Option<LagView>,
}

/// How far it is behind.
#[derive(Debug, Serialize)]
struct LagView {
    generation: Option<u64>,
    master_generation: u64,
    lag: u64,
    lag_seconds: f64,
}

/// An event.
#[must_use]
pub fn event(event: &Event) -> EventView {
    let mut view = EventView {
        id: event.id,
        kind: event.kind.as_str(),
        time: time(event.time),
        project: event.project.as_ref().map(ToString::to_string),
        run: None,
        state: None,
        attempt: None,
        reason: None,
        retry_at: None,
        generation: None,
        changes: None,
        progress: None,
        scheduled: None,
        disk: None,
        node: None,
    };
    match &event.kind {
        EventKind::ProjectCreated | EventKind::ProjectUpdated | EventKind::ProjectDeleted => {}
        EventKind::DiskFull(disk, why) => {
            view.disk = Some(disk.display().to_string());
            view.reason = Some(why.to_string());
        }
        EventKind::ClockBack(clock_step) => view.reason = Some(clock_step.to_string()),
        EventKind::UpstreamCourse(_, why) => view.reason = Some(why.clone()),
        EventKind::DiskFree(disk) => view.disk = Some(disk.display().to_string()),
        EventKind::ScheduleSkipped { scheduled, reason } => {
            view.scheduled = Some(time(*scheduled));
            view.reason = Some(reason.to_string());
        }
        EventKind::RunPhase(run, phase) => {
            view.run = Some(run.to_string());
            view.state = Some(phase.as_str());
        }
        EventKind::NodeDrifted { node, what } => {
            view.node = Some(NodeView { id: node.to_string(), lag: None });
            view.reason = Some(what.clone());
        }
        EventKind::NodeLagging(lag) | EventKind::NodeCaughtUp(lag) | EventKind::NodeLeftBehind(lag) => {
            let (id, lag) = (
                lag.node.to_string(),
                LagView {
                    generation: lag.holds,
                    master_generation: lag.generation,
                    lag: lag.generations,
                    lag_seconds: lag.time.as_secs_f64(),
                },
            );
            view.node = Some(NodeView { id, lag: Some(lag) });
        }
        EventKind::RunProgress(run, progress) => {
            view.run = Some(run.to_string());
            view.progress = Some(progress.into());
        }
        EventKind::RunQueued(run)
        | EventKind::RunStarted(run)
        | EventKind::RunRetry(run)
        | EventKind::RunHeld(run)
        | EventKind::RunReleased(run)
        | EventKind::RunEnded(run) => {
            tell(&mut view, run);
        }
    }
    view
}

fn tell(view: &mut EventView, run: &Run) {
    let shown = super::run(run, Live::default(), 0);
    view.run = Some(run.id.to_string());
    view.state = Some(Live::default().state(run));
    view.attempt = (!run.attempts.is_empty()).then_some(run.attempts.len());
    (view.reason, view.retry_at, view.generation) = shown.outcome();
    view.changes = run.state.is_ended().then(|| counts(run.changes()));
}
