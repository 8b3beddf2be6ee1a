//! What waits, and why: for a slot, behind a run of the same project, or for the next attempt.

use scheduler::{Board, Run, RunId, RunState};
use serde::Serialize;

use super::time;

/// One waiting run as clients see it.
#[derive(Debug, Serialize)]
pub struct QueueView {
    run: String,
    project: String,
    queued: String,
    priority: i32,
    waits: String,
}

/// Everything that waits: first what is next for a slot, in order, then what waits for something else.
#[must_use]
pub fn queue(board: &Board) -> Vec<QueueView> {
    let slots = board.queue();
    let mut waiting: Vec<QueueView> = slots
        .iter()
        .filter_map(|item| {
            let run = board.run(item.run)?;
            Some(item_view(&run, item.priority, item.waits.to_string()))
        })
        .collect();
    for entry in board.projects() {
        let run = |id: Option<RunId>| id.and_then(|id| board.run(id));
        let active = run(entry.active);
        if let Some(RunState::BackingOff { until, reason }) = active.as_ref().map(|run| &run.state) {
            let waits = format!("it is tried again at {}: {reason}", time(*until));
            waiting.extend(active.iter().map(|run| item_view(run, entry.project.priority, waits.clone())));
        }
        if let (Some(active), Some(next)) = (&active, run(entry.waiting)) {
            waiting.push(item_view(
                &next,
                entry.project.priority,
                format!("run {} of this project goes first", active.id),
            ));
        }
    }
    waiting
}

fn item_view(run: &Run, priority: i32, waits: String) -> QueueView {
    QueueView {
        run: run.id.to_string(),
        project: run.project.to_string(),
        queued: time(run.queued),
        priority,
        waits,
    }
}
