//! Projects: list, create, read, change, remove, and sync.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use chrono::Utc;
use scheduler::account::AuditEntry;
use scheduler::core::Entry;
use scheduler::project::SettingsVersion;
use scheduler::{Answer, Command, Project, ProjectId, Refusal};
use serde::Deserialize;
use serde_json::Value;

use super::input::{Asked, InPath, cursor, etag, if_match, json, no_project, page_size};
use super::runs::run_answer;
use crate::app::{ActorPermit, App};
use crate::audit;
use crate::auth::Actor;
use crate::http::body;
use crate::problem::Problem;
use crate::view::{self, Page, ProjectView};
use crate::{draft, patch, probe};

/// How often a change is made anew when the project changes in between.
const TRIES: usize = 5;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    state: Option<String>,
    q: Option<String>,
    label: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(super) async fn list(
    State(app): State<App>,
    Asked(query): Asked<ListQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let board = app.scheduler.board();
    // Read before the projects: a change in between makes the tag too old, never too new.
    let version = board.version();
    let tag = format!("\"{}-{version}\"", app.started.timestamp_millis());
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let asked = format!("{query:?}");
    if let Some(page) = app.pages.get(&asked, version) {
        return Ok(listed(tag, page));
    }
    let limit = page_size(query.limit)?;
    let after: Option<ProjectId> = cursor(query.cursor.as_deref())?;
    let mut items = Vec::new();
    let mut next = None;
    for entry in board.projects() {
        if after.as_ref().is_some_and(|after| entry.project.id <= *after) || !wanted(&query, &entry.project) {
            continue;
        }
        let shown = view_of(&app, &entry);
        if query.state.as_ref().is_some_and(|state| shown.state() != state) {
            continue;
        }
        if items.len() == limit {
            next = items.last().map(|(id, _): &(ProjectId, ProjectView)| id.to_string());
            break;
        }
        items.push((entry.project.id.clone(), shown));
    }
    let page = Page { items: items.into_iter().map(|(_, shown)| shown).collect(), next };
    let page = Bytes::from(serde_json::to_vec(&page).map_err(|error| Problem::internal(&error))?);
    app.pages.keep(asked, version, page.clone());
    Ok(listed(tag, page))
}

fn listed(tag: String, page: Bytes) -> Response {
    let headers = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::CONTENT_TYPE, "application/json".to_owned()),
    ];
    (headers, page).into_response()
}

fn wanted(query: &ListQuery, project: &Project) -> bool {
    let found = query.q.as_ref().is_none_or(|q| project.id.as_str().contains(q) || project.name.contains(q));
    let labelled = query.label.as_ref().is_none_or(|label| match label.split_once('=') {
        Some((key, value)) => project.labels.get(key).is_some_and(|have| have == value),
        None => project.labels.contains_key(label),
    });
    found && labelled
}

fn view_of(app: &App, entry: &Entry) -> ProjectView {
    let board = app.scheduler.board();
    let active = entry.active.and_then(|run| board.run(run));
    let live = active.as_ref().map(|run| view::Live::of(board, run)).unwrap_or_default();
    view::project(entry, active.as_deref(), live)
}

pub(super) async fn show(State(app): State<App>, InPath(id): InPath<ProjectId>) -> Result<Response, Problem> {
    let entry = app.scheduler.board().project(&id).ok_or_else(|| no_project(id.as_str()))?;
    Ok(in_full(&app, &entry, StatusCode::OK))
}

fn in_full(app: &App, entry: &Entry, status: StatusCode) -> Response {
    let tool = app.scheduler.settings().tool;
    let shown = view_of(app, entry).in_full(entry, &tool);
    let headers = [(header::ETAG, etag(&entry.project)), (header::CACHE_CONTROL, "no-cache".to_owned())];
    (status, headers, Json(shown)).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteQuery {
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    probe: bool,
}

pub(super) async fn create(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Asked(query): Asked<WriteQuery>,
    input: Body,
) -> Result<Response, Problem> {
    let input = json(&body(input, app.max_body).await?)?;
    let project = read(&app, &actor, &input, None)?;
    if query.probe {
        probe::check(probe::user_slot(&app.gate.probes, &actor.name)?, &project).await?;
    }
    if query.dry_run {
        return check(&app, project, true, None).await;
    }
    let id = project.id.clone();
    let line = audit::line(&actor, "project.create", id.as_str(), None, Some(view::settings(&project)));
    noted(&app, &actor, Command::Create(Box::new(project)), line).await?;
    let mut response = stored(&app, &id, StatusCode::CREATED)?;
    if let Ok(location) = format!("/api/v1/projects/{id}").parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub(super) async fn replace(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    InPath(id): InPath<ProjectId>,
    Asked(query): Asked<WriteQuery>,
    headers: HeaderMap,
    input: Body,
) -> Result<Response, Problem> {
    let given = json(&body(input, app.max_body).await?)?;
    let write =
        SettingsWrite { app: &app, actor: &actor, id: &id, query: &query, wanted: if_match(&headers) };
    write.make(|_| given.clone()).await
}

pub(super) async fn change(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    InPath(id): InPath<ProjectId>,
    Asked(query): Asked<WriteQuery>,
    headers: HeaderMap,
    input: Body,
) -> Result<Response, Problem> {
    let given = json(&body(input, app.max_body).await?)?;
    let write =
        SettingsWrite { app: &app, actor: &actor, id: &id, query: &query, wanted: if_match(&headers) };
    write.make(|known| patch::apply(view::settings(known), &given)).await
}

/// A change of a project's settings as it is asked for.
struct SettingsWrite<'a> {
    app: &'a App,
    actor: &'a Actor,
    id: &'a ProjectId,
    query: &'a WriteQuery,
    /// The version that it asks for.
    wanted: Option<SettingsVersion>,
}

impl SettingsWrite<'_> {
    /// Makes the change. It is made on the version that is read here, and so is its line in the audit trail: when that is
    /// no longer the newest, both are made anew.
    async fn make(&self, document: impl Fn(&Project) -> Value) -> Result<Response, Problem> {
        let Self { app, actor, id, query, wanted } = *self;
        for _ in 0..TRIES {
            let known = app.scheduler.board().project(id).ok_or_else(|| no_project(id.as_str()))?;
            let project = read(app, actor, &document(&known.project), Some(&known.project))?;
            if query.probe {
                probe::check(probe::user_slot(&app.gate.probes, &actor.name)?, &project).await?;
            }
            let if_version = Some(wanted.unwrap_or_else(|| known.project.settings_version()));
            if query.dry_run {
                return check(app, project, false, if_version).await;
            }

            let line = updated(actor, &known.project, &project);
            let command = Command::Replace { project: Box::new(project), if_version };
            match noted(app, actor, command, line).await {
                Err(Refusal::Stale { .. }) if wanted.is_none() => {}
                Err(refusal) => return Err(refusal.into()),
                Ok(_) => return stored(app, id, StatusCode::OK),
            }
        }
        Err(Problem::from(Refusal::Stale { id: id.clone(), current: 0 }))
    }
}

pub(super) async fn remove(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    InPath(id): InPath<ProjectId>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    forget(&app, &actor, &id, if_match(&headers)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets a project as it is read here, or at the version that is asked for.
pub(super) async fn forget(
    app: &App,
    actor: &Actor,
    id: &ProjectId,
    wanted: Option<SettingsVersion>,
) -> Result<(), Problem> {
    for _ in 0..TRIES {
        let known = app.scheduler.board().project(id).ok_or_else(|| no_project(id.as_str()))?;
        let before = Some(view::settings(&known.project));
        let line = audit::line(actor, "project.delete", id.as_str(), before, None);
        let if_version = Some(wanted.unwrap_or_else(|| known.project.settings_version()));
        match noted(app, actor, Command::Delete { id: id.clone(), if_version }, line).await {
            Err(Refusal::Stale { .. }) if wanted.is_none() => {}
            done => return done.map(drop).map_err(Problem::from),
        }
    }
    Err(Problem::from(Refusal::Stale { id: id.clone(), current: 0 }))
}

pub(super) async fn enable(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    InPath(id): InPath<ProjectId>,
) -> Result<Response, Problem> {
    set_enabled(&app, &actor, id, true).await
}

pub(super) async fn disable(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    InPath(id): InPath<ProjectId>,
) -> Result<Response, Problem> {
    set_enabled(&app, &actor, id, false).await
}

/// Lets a project's schedule fire, or not.
pub(super) async fn set_enabled(
    app: &App,
    actor: &Actor,
    id: ProjectId,
    enabled: bool,
) -> Result<Response, Problem> {
    let action = if enabled { "project.enable" } else { "project.disable" };
    let line = audit::line(actor, action, id.as_str(), None, None);
    noted(app, actor, Command::Enable { id: id.clone(), enabled }, line).await?;
    stored(app, &id, StatusCode::OK)
}

/// Query parameters of a sync; unknown keys are rejected.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SyncQuery {
    #[serde(default)]
    whole: bool,
}

pub(super) async fn sync(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    InPath(id): InPath<ProjectId>,
    Asked(query): Asked<SyncQuery>,
) -> Result<Response, Problem> {
    let line = audit::line(&actor, "project.sync", id.as_str(), None, None);
    let command = Command::Sync { id, by: actor.name.clone(), whole: query.whole };
    match noted(&app, &actor, command, line).await? {
        Answer::Run(run) => {
            let mut response = (StatusCode::ACCEPTED, run_answer(&app, &run)).into_response();
            if let Ok(location) = format!("/api/v1/runs/{}", run.id).parse() {
                response.headers_mut().insert(header::LOCATION, location);
            }
            Ok(response)
        }
        other => Err(Problem::internal(&format!("a sync was answered with {other:?}"))),
    }
}

async fn ask(app: &App, command: Command) -> Result<Answer, Problem> {
    Ok(app.scheduler.ask(command).await?)
}

/// Asks for something in the name of an actor: the right to it is looked at where it is decided, and it stands in the audit
/// trail. Tokens that start a project go along with it.
pub(super) async fn noted(
    app: &App,
    actor: &Actor,
    mut command: Command,
    line: AuditEntry,
) -> Result<Answer, Refusal> {
    if let Command::Create(project) = &mut command {
        project.owner_since = actor.since;
    }
    let renamed = match &command {
        Command::Rename(rename) => Some((rename.from.clone(), rename.project.id.clone())),
        _ => None,
    };

    let permit = Arc::new(ActorPermit::new(app, actor, &command));
    let noted = Command::Noted { command: Box::new(command), permit, line: Box::new(line) };
    let answer = app.scheduler.ask(noted).await;

    let board = app.scheduler.board();
    let followed = match (&answer, renamed) {
        // It has its new name, wherever its tree is.
        (Ok(_) | Err(Refusal::NotMoved { .. }), Some((from, to))) => match board.project(&to) {
            Some(entry) => app.gate.accounts.follow(&from, &entry.project).await,
            None => Ok(()),
        },
        (Ok(Answer::Deleted), _) => app.gate.accounts.settle_starts(&board.projects()).await,
        _ => Ok(()),
    };
    if let Err(error) = followed {
        tracing::warn!("tokens that start a project have ended with its name: {error}");
    }
    answer
}

/// The line of the audit trail for other settings.
pub(super) fn updated(actor: &Actor, before: &Project, after: &Project) -> AuditEntry {
    let (old, new) = (view::settings(before), view::settings(after));
    audit::line(actor, "project.update", before.id.as_str(), Some(old), Some(new))
}

/// The project as it would be, of which nothing is taken.
async fn check(
    app: &App,
    project: Project,
    new: bool,
    if_version: Option<SettingsVersion>,
) -> Result<Response, Problem> {
    match ask(app, Command::Check { project: Box::new(project), new, if_version }).await? {
        Answer::Project(project) => {
            let known = app.scheduler.board().project(&project.id);
            let (standing, active, waiting) =
                known.map(|known| (known.standing.clone(), known.active, known.waiting)).unwrap_or_default();
            let next = project.schedule.next_after(Utc::now()).filter(|_| project.enabled);
            let entry = Entry { project, standing, active, waiting, next };
            Ok((StatusCode::OK, Json(view_of(app, &entry))).into_response())
        }
        other => Err(Problem::internal(&format!("a check was answered with {other:?}"))),
    }
}

/// The project as it is after a change.
fn stored(app: &App, id: &ProjectId, status: StatusCode) -> Result<Response, Problem> {
    let entry = app.scheduler.board().project(id).ok_or_else(|| no_project(id.as_str()))?;
    Ok(in_full(app, &entry, status))
}

fn read(app: &App, actor: &Actor, input: &Value, known: Option<&Project>) -> Result<Project, Problem> {
    let defaults = app.reloader.defaults();
    let project = draft::project(input, known, &actor.name, &defaults, &app.scheduler.landing())
        .map_err(Problem::invalid)?;
    may_set(app, actor, known, &project)?;
    Ok(project)
}

/// Refuses what only root may say of a project: which program brings it and where to; which plugins are asked, since
/// those have rights and secrets, and may be there to keep its owner within bounds; and, unless the configuration names
/// roots, where the tree lands.
pub(crate) fn may_set(
    app: &App,
    actor: &Actor,
    known: Option<&Project>,
    project: &Project,
) -> Result<(), Problem> {
    if actor.is_root() {
        return Ok(());
    }
    let same_place = known.is_some_and(|known| known.source == project.source && known.dest == project.dest);
    if project.source.command_name().is_some() && !same_place {
        return Err(Problem::forbidden(
            "source.command: only root may have a program of this machine bring a tree, and say where",
        ));
    }
    if project.hooks != known.map(|known| known.hooks.clone()).unwrap_or_default() {
        return Err(Problem::forbidden("hooks: only root may say which plugins a project names"));
    }
    let is_new_place = known.is_none_or(|known| known.dest != project.dest);
    if is_new_place && app.scheduler.landing().allowed_roots.is_empty() {
        return Err(Problem::forbidden(
            "dest: only root may say where a tree lands while `allowed_roots` of the configuration is empty; have \
             the folders named there below which others may",
        ));
    }
    Ok(())
}
