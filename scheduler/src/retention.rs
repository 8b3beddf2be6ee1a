//! How much of the past is kept: runs, their logs and their change lists, by age, by count and by size.
//!
//! The newest run of a project is always kept. Live runs are never touched.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::account::AccountWrite;
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

/// Most runs or lines that one commit forgets.
const TOGETHER: usize = 1000;

/// Forgets what is too old, too many or too large. Gives the number of runs forgotten. A stop ends it between two steps:
/// the next sweep goes on.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn sweep(
    store: &Store,
    journals: &Journals,
    retention: &Retention,
    projects: HashSet<ProjectId>,
    live: HashSet<RunId>,
    now: DateTime<Utc>,
    stop: &CancellationToken,
) -> Result<usize, StoreError> {
    // All that is kept is gone through, which takes long where much is kept, and others go on meanwhile.
    let (reader, rules, live) = (store.clone(), retention.clone(), Arc::new(live));
    let (spared, stopping) = (Arc::clone(&live), stop.clone());
    let victims = blocking(move || find_victims(&reader, &rules, &projects, &spared, now, &stopping)).await?;

    let mut count = 0;
    for some in victims.chunks(TOGETHER) {
        if stop.is_cancelled() {
            return Ok(count);
        }
        let forgotten = store.forget_runs(some).await?;
        for run in &forgotten {
            journals.remove(*run);
        }
        count += forgotten.len();
    }

    let (reader, journals, max_bytes) = (store.clone(), journals.clone(), retention.max_bytes);
    let stopping = stop.clone();
    blocking(move || trim_files(&reader, &journals, max_bytes, &live, &stopping)).await?;
    Ok(count)
}

/// Forgets all but the newest lines of the audit trail. Gives the number of lines forgotten.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn trim_audit(store: &Store, newest: usize) -> Result<usize, StoreError> {
    let reader = store.clone();
    let old = blocking(move || reader.old_audit(newest)).await?;
    for some in old.chunks(TOGETHER) {
        store.commit_accounts(some.iter().copied().map(AccountWrite::ForgetAudit).collect()).await?;
    }
    Ok(old.len())
}

/// Works on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    // Without an answer the scheduler is ending.
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Closed))
}

/// The runs to forget, with their projects.
fn find_victims(
    store: &Store,
    retention: &Retention,
    projects: &HashSet<ProjectId>,
    live: &HashSet<RunId>,
    now: DateTime<Utc>,
    stop: &CancellationToken,
) -> Result<Vec<(ProjectId, RunId)>, StoreError> {
    let oldest = now - chrono::Duration::from_std(retention.max_age).unwrap_or(chrono::Duration::MAX);
    let mut victims = Vec::new();
    for project in store.projects_with_runs()? {
        if stop.is_cancelled() {
            break;
        }
        let runs = store.run_ids(Some(&project), None, usize::MAX)?;
        // One that was created or renamed since the caller looked is there too.
        let spared = usize::from(projects.contains(&project) || store.has_project(&project)?);
        let gone = |(place, run): (usize, RunId)| {
            let old = place >= retention.max_runs || run.time() < oldest || spared == 0;
            (place >= spared && old && !live.contains(&run)).then_some(run)
        };
        victims.extend(runs.into_iter().enumerate().filter_map(gone).map(|run| (project.clone(), run)));
    }
    Ok(victims)
}

/// Removes files that no run owns, then the oldest files until the rest fits.
fn trim_files(
    store: &Store,
    journals: &Journals,
    max_bytes: u64,
    live: &HashSet<RunId>,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let mut kept = 0;
    // A run is stored before its files are made, so one that is looked for behind them is there.
    for (run, size) in journals.sizes().unwrap_or_default().into_iter().rev() {
        if stop.is_cancelled() {
            break;
        }
        if live.contains(&run) {
            continue;
        }
        kept += size;
        if kept > max_bytes || !store.has_run(run)? {
            journals.remove(run);
        }
    }
    Ok(())
}
