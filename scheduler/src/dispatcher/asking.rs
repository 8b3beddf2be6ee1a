//! The policy asked, each time in a task of its own: the clockwork never waits for an answer.

use std::sync::Arc;

use super::{Ask, Shared};
use crate::core::{Plan, Question};
use crate::policy::{Finished, Policy};
use crate::store::Loaded;

/// How many runs are looked through for news.
const LOOKED_AT: usize = 2000;

/// Asks which run starts next.
pub(super) fn pick(shared: &Arc<Shared>, number: u64, question: Question) {
    let Some(policy) = shared.settings().policy else { return };
    let shared_too = Arc::clone(shared);
    shared.tracker.spawn(async move {
        let Question { view, runs, projects } = question;
        let Some(answer) = shared_too.stop.run_until_cancelled(policy.pick(&view, &projects)).await else {
            return;
        };
        let picked = answer.map(|picks| picks.into_iter().filter_map(|at| runs.get(at).copied()).collect());
        // A stopping scheduler has no use for it.
        let _ = shared_too.asks.send(Ask::Picked(number, picked)).await;
    });
}

/// Asks when a project is due again.
pub(super) fn plan(shared: &Arc<Shared>, plan: Plan) {
    let Some(policy) = shared.settings().policy.filter(|policy| policy.concerns(&plan.project)) else {
        return;
    };
    let shared_too = Arc::clone(shared);
    shared.tracker.spawn(async move {
        let Plan { run, project, finished } = plan;
        let finished = with_past(&shared_too, finished, &project.id).await;
        let asked = policy.next_delay(&project, &finished);
        if let Some(Some(suggestion)) = shared_too.stop.run_until_cancelled(asked).await {
            // A stopping scheduler has no use for it.
            let _ = shared_too.asks.send(Ask::Planned(project.id.clone(), run, suggestion)).await;
        }
    });
}

async fn with_past(
    shared: &Arc<Shared>,
    finished: Finished,
    project: &crate::project::ProjectId,
) -> Finished {
    let (store, project) = (shared.store.clone(), project.clone());
    match tokio::task::spawn_blocking(move || store.runs(Some(&project), None, LOOKED_AT)).await {
        Ok(Ok(runs)) => finished.with_past(&runs),
        Ok(Err(error)) => {
            tracing::warn!("the policy is told nothing of the past: {error}");
            finished
        }
        Err(_) => finished,
    }
}

/// What a policy has set that is asked no more does not hold.
pub(super) fn forget_others(loaded: &mut Loaded, policy: Option<&dyn Policy>) {
    let names = policy.map(Policy::names).unwrap_or_default();
    for (project, standing) in &mut loaded.projects {
        let asked = policy.is_some_and(|policy| policy.concerns(project));
        standing.planned = standing.planned.take().filter(|planned| asked && names.contains(&planned.by));
    }
}
