//! A generation: what a run left that ended well and found something new.

use scheduler::{Run, RunState};
use serde::Serialize;

use super::run::{CountsView, counts};
use super::time;

/// A generation as clients see it.
#[derive(Debug, Serialize)]
pub struct GenerationView {
    generation: u64,
    made: String,
    run: String,
    files: Option<u64>,
    size_bytes: Option<u64>,
    changes: CountsView,
    /// The slaves that hold it now.
    nodes: Vec<String>,
}

/// The generation that this run made, if it made one; `holders` tells who has a generation now.
#[must_use]
pub fn generation(run: &Run, holders: impl Fn(u64) -> Vec<String>) -> Option<GenerationView> {
    let RunState::Ended { at, generation: Some(number), .. } = run.state else { return None };
    // Where only some paths were looked at, nothing is known of the whole.
    let stats = run.stats_of_tree();
    Some(GenerationView {
        generation: number,
        made: time(at),
        run: run.id.to_string(),
        files: stats.map(|stats| stats.files),
        size_bytes: stats.map(|stats| stats.total_size),
        changes: counts(run.changes()),
        nodes: holders(number),
    })
}
