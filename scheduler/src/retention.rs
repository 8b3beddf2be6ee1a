//! How much of the past is kept: runs, their logs and their change lists, by age, by count and by size.
//!
//! The newest run of a project is always kept. Live runs are never touched.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::journal::Journals;
use crate::project::ProjectId;
use crate::run::RunId;
use crate::store::{Store, StoreError};

/// How much of the past is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// The longest that an ended run is kept.
    pub max_age: Duration,
    /// The most runs that are kept of one project.
    pub max_runs: usize,
    /// The most bytes that all logs and change lists may take; the oldest go first.
    pub max_bytes: u64,
}

impl Default for Retention {
    /// Ninety days, 200 runs of each project, 4 GiB.
    fn default() -> Self {
        Self { max_age: Duration::from_hours(90 * 24), max_runs: 200, max_bytes: 4 << 30 }
    }
}

/// Forgets what is too old, too many or too large. Gives the number of runs forgotten.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn sweep(
    store: &Store,
    journals: &Journals,
    retention: &Retention,
    projects: &HashSet<ProjectId>,
    live: &HashSet<RunId>,
    now: DateTime<Utc>,
) -> Result<usize, StoreError> {
    let oldest = now - chrono::Duration::from_std(retention.max_age).unwrap_or(chrono::Duration::MAX);
    let mut victims = Vec::new();
    for project in store.projects_with_runs()? {
        let runs = store.run_ids(Some(&project), None, usize::MAX)?;
        // One that was created or renamed since the caller looked is there too.
        let spared = usize::from(projects.contains(&project) || store.has_project(&project)?);
        let gone = |(place, run): (usize, RunId)| {
            let old = place >= retention.max_runs || run.time() < oldest || spared == 0;
            (place >= spared && old && !live.contains(&run)).then_some(run)
        };
        victims.extend(runs.into_iter().enumerate().filter_map(gone).map(|run| (project.clone(), run)));
    }
    let forgotten = store.forget_runs(&victims).await?;
    for run in &forgotten {
        journals.remove(*run);
    }
    trim_files(store, journals, retention.max_bytes, live)?;
    Ok(forgotten.len())
}

/// Removes files that no run owns, then the oldest files until the rest fits.
fn trim_files(
    store: &Store,
    journals: &Journals,
    max_bytes: u64,
    live: &HashSet<RunId>,
) -> Result<(), StoreError> {
    let files: BTreeSet<RunId> = journals.runs().unwrap_or_default().into_iter().collect();
    let size = |run: RunId| {
        [journals.log(run), journals.changes(run)]
            .iter()
            .filter_map(|path| std::fs::metadata(path).ok())
            .map(|meta| meta.len())
            .sum::<u64>()
    };
    let mut kept = 0;
    for run in files.into_iter().rev().filter(|run| !live.contains(run)) {
        kept += size(run);
        if kept > max_bytes || store.run(run)?.is_none() {
            journals.remove(run);
        }
    }
    Ok(())
}
