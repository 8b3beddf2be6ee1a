//! Runs: history, one run, cancel, and what it changed.

use axum::extract::State;
use axum::{Extension, Json};
use scheduler::account::AuditEntry;
use scheduler::run::Hold;
use scheduler::{Answer, Command, ProjectId, Run, RunId, journal};
use serde::Deserialize;

use super::input::{Asked, InPath, cursor, no_project, page_size};
use super::projects::noted;
use crate::app::App;
use crate::audit;
use crate::auth::Actor;
use crate::problem::Problem;
use crate::view::{self, ChangeView, Live, Page, RunView};

/// How many runs one request looks through when it filters by state.
const LOOKED_THROUGH: usize = 20_000;
/// How many of them it reads at a time.
const CHUNK: usize = 500;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunsQuery {
    project: Option<String>,
    state: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(super) async fn list(
    State(app): State<App>,
    Asked(query): Asked<RunsQuery>,
) -> Result<Json<Page<RunView>>, Problem> {
    let project = query.project.as_deref().map(|id| id.parse::<ProjectId>().map_err(|_| no_project(id)));
    page(app, project.transpose()?, query).await
}

pub(super) async fn of_project(
    State(app): State<App>,
    InPath(id): InPath<ProjectId>,
    Asked(query): Asked<RunsQuery>,
) -> Result<Json<Page<RunView>>, Problem> {
    app.scheduler.board().project(&id).ok_or_else(|| no_project(id.as_str()))?;
    page(app, Some(id), query).await
}

async fn page(
    app: App,
    project: Option<ProjectId>,
    query: RunsQuery,
) -> Result<Json<Page<RunView>>, Problem> {
    let limit = page_size(query.limit)?;
    let mut before: Option<RunId> = cursor(query.cursor.as_deref())?;
    let found = tokio::task::spawn_blocking(move || {
        let store = app.scheduler.store();
        let mut found: Vec<Run> = Vec::new();
        for _ in 0..LOOKED_THROUGH / CHUNK {
            let runs = store.runs(project.as_ref(), before, CHUNK.min(limit + 1))?;
            before = runs.last().map(|run| run.id);
            let board = app.scheduler.board();
            let wanted = |run: &Run| query.state.as_ref().is_none_or(|state| board.state(run) == state);
            found.extend(runs.into_iter().filter(wanted));
            if before.is_none() || found.len() > limit {
                break;
            }
        }
        let next = if found.len() > limit {
            found.truncate(limit);
            found.last().map(|run| run.id)
        } else {
            before
        };
        let items = found.iter().map(|run| seen(&app, run)).collect();
        Ok::<_, scheduler::StoreError>(Page { items, next: next.map(|run| run.to_string()) })
    });
    match found.await {
        Ok(page) => page.map(Json).map_err(Problem::from),
        Err(error) => Err(Problem::internal(&error)),
    }
}

pub(super) async fn show(
    State(app): State<App>,
    InPath(id): InPath<RunId>,
) -> Result<Json<RunView>, Problem> {
    Ok(run_answer(&app, &known(&app, id)?))
}

pub(super) async fn cancel(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    InPath(id): InPath<RunId>,
) -> Result<Json<RunView>, Problem> {
    let run = known(&app, id)?;
    let line = audit::line(&actor, "run.cancel", &run.id.to_string(), None, None);
    decided(&app, &actor, Command::Cancel { run: run.id, by: actor.name.clone() }, line).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApproveQuery {
    plan: Option<String>,
}

pub(super) async fn approve(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    InPath(id): InPath<RunId>,
    Asked(query): Asked<ApproveQuery>,
) -> Result<Json<RunView>, Problem> {
    let run = known(&app, id)?;
    let before = run.open_hold().map(plan_of);
    let line = audit::line(&actor, "run.approve", &run.id.to_string(), before, None);
    decided(&app, &actor, Command::Approve { run: run.id, by: actor.name.clone(), plan: query.plan }, line)
        .await
}

pub(super) async fn reject(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    InPath(id): InPath<RunId>,
) -> Result<Json<RunView>, Problem> {
    let run = known(&app, id)?;
    let before = run.open_hold().map(plan_of);
    let line = audit::line(&actor, "run.reject", &run.id.to_string(), before, None);
    decided(&app, &actor, Command::Reject { run: run.id, by: actor.name.clone() }, line).await
}

/// What a plan was, for the audit trail.
fn plan_of(hold: &Hold) -> serde_json::Value {
    serde_json::json!({"plan": hold.plan.digest, "deletions": hold.plan.deletions.entries})
}

async fn decided(
    app: &App,
    actor: &Actor,
    command: Command,
    line: AuditEntry,
) -> Result<Json<RunView>, Problem> {
    match noted(app, actor, command, line).await {
        Ok(Answer::Run(run)) => Ok(run_answer(app, &run)),
        Ok(other) => Err(Problem::internal(&format!("a decision on a run was answered with {other:?}"))),
        Err(refusal) => Err(refusal.into()),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangesQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(super) async fn changes(
    State(app): State<App>,
    InPath(id): InPath<RunId>,
    Asked(query): Asked<ChangesQuery>,
) -> Result<Json<Page<ChangeView>>, Problem> {
    let run = known(&app, id)?;
    let limit = page_size(query.limit)?;
    let offset: u64 = cursor(query.cursor.as_deref())?.unwrap_or(0);
    // What was not done yet is not what was changed: a held run shows its plan.
    let path = match run.open_hold() {
        Some(hold) => app.scheduler.journals().plan(hold.plan.listed_by),
        None => app.scheduler.journals().changes(run.id),
    };
    let read = tokio::task::spawn_blocking(move || journal::changes(&path, offset, limit)).await;
    let (items, next) = read
        .map_err(|error| Problem::internal(&error))?
        .map_err(|error| Problem::internal(&format!("the change list of {id} cannot be read: {error}")))?;
    let items = items.into_iter().map(view::change).collect();
    Ok(Json(Page { items, next: next.map(|offset| offset.to_string()) }))
}

/// A run that exists.
pub(super) fn known(app: &App, id: RunId) -> Result<Run, Problem> {
    let run = app.scheduler.store().run(id).map_err(Problem::from)?;
    run.ok_or_else(|| Problem::not_found(format!("there is no run `{id}`")))
}

/// A run in full.
pub(super) fn run_answer(app: &App, run: &Run) -> Json<RunView> {
    Json(seen(app, run))
}

fn seen(app: &App, run: &Run) -> RunView {
    view::run(run, Live::of(app.scheduler.board(), run), app.scheduler.journals().log_bytes(run.id))
}
