//! A project's generations: when each was made, what was in it, and which slaves hold it now.

use axum::Json;
use axum::extract::State;
use scheduler::member::MemberName;
use scheduler::{ProjectId, Run, RunId, RunState, Store, StoreError};
use serde::Deserialize;

use super::input::{Asked, InPath, cursor, no_project, page_size};
use crate::app::App;
use crate::problem::Problem;
use crate::view::{GenerationView, Page, generation};

/// How many runs one request looks through: most of them may have found nothing new.
const LOOKED_THROUGH: usize = 2000;
/// How many of them it reads at a time.
const CHUNK: usize = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GenerationsQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(super) async fn list(
    State(app): State<App>,
    InPath(id): InPath<ProjectId>,
    Asked(query): Asked<GenerationsQuery>,
) -> Result<Json<Page<GenerationView>>, Problem> {
    let (limit, before) = (page_size(query.limit)?, cursor(query.cursor.as_deref())?);
    let entry = app.scheduler.board().project(&id).ok_or_else(|| no_project(id.as_str()))?;
    let found = tokio::task::spawn_blocking(move || {
        let (runs, next) = made(app.scheduler.store(), &id, limit, before)?;
        let holders = app.nodes.as_ref().map(|nodes| nodes.holders(&entry)).unwrap_or_default();
        let items = runs.iter().filter_map(|run| generation(run, |number| names(&holders, number))).collect();
        Ok::<_, StoreError>(Page { items, next: next.map(|run| run.to_string()) })
    });
    let found = found.await.map_err(|error| Problem::internal(&error))?;
    found.map(Json).map_err(Problem::from)
}

/// The runs that made a generation, newest first, and where to go on.
fn made(
    store: &Store,
    project: &ProjectId,
    limit: usize,
    mut before: Option<RunId>,
) -> Result<(Vec<Run>, Option<RunId>), StoreError> {
    let is_one = |run: &Run| matches!(run.state, RunState::Ended { generation: Some(_), .. });
    let mut found = Vec::new();
    for _ in 0..LOOKED_THROUGH / CHUNK {
        let runs = store.runs(Some(project), before, CHUNK)?;
        let was_last = runs.len() < CHUNK;
        before = runs.last().map(|run| run.id).filter(|_| !was_last);
        found.extend(runs.into_iter().filter(is_one));
        if found.len() > limit {
            found.truncate(limit);
            before = found.last().map(|run| run.id);
            break;
        }
        if was_last {
            break;
        }
    }
    Ok((found, before))
}

fn names(holders: &[(MemberName, u64)], number: u64) -> Vec<String> {
    holders.iter().filter(|(_, held)| *held == number).map(|(name, _)| name.to_string()).collect()
}
