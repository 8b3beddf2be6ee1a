//! Projects: added, listed, removed, enabled, disabled, and synced.

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use scheduler::{Answer, Command, Project, ProjectId};
use serde_json::{Value, json};

use super::input::{Given, Queried, given, id, required, text};
use super::settings::{self, Basic, ProjectView};
use crate::app::{App, denial};
use crate::audit;
use crate::auth::Actor;
use crate::draft;
use crate::problem::{FieldError, Problem};
use crate::routes::Access;
use crate::routes::input::{TextInPath, no_project};
use crate::routes::projects::{forget, may_set, noted, set_enabled};
use crate::view;

pub(super) async fn add(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    input: Body,
) -> Result<Json<Value>, Problem> {
    let given = given(&app, input).await?;
    let project = read(&app, &actor, &given)?;
    let name = project.name.clone();
    let line =
        audit::line(&actor, "project.create", project.id.as_str(), None, Some(view::settings(&project)));
    noted(&app, &actor, Command::Create(Box::new(project)), line).await?;
    Ok(Json(json!({ "method": "add_project", "success": true, "project": name })))
}

fn read(app: &App, actor: &Actor, given: &Given) -> Result<Project, Problem> {
    let mut errors = Vec::new();
    let basic = Basic::read(given, &["id", "cron_options"], &mut errors);
    let own_id = text(given, "id")?;
    let mut document = json!({ "source": {} });
    basic.write(&mut document);
    match &basic.project {
        Some(project) => {
            document["id"] = json!(own_id.as_ref().unwrap_or(project));
            document["name"] = json!(project);
            document["source"]["user"] = json!(project);
        }
        None if errors.iter().any(|error| error.field == "project") => {}
        None => errors.push(FieldError::new("project", "is missing")),
    }
    if let Some(folder) = &basic.dest {
        document["dest"] = json!(settings::dest_in(folder, basic.project.as_deref().unwrap_or_default()));
    }
    match given.get("cron_options") {
        None | Some(Value::Null) => {}
        // Nothing that fires: it is started by hand.
        Some(Value::Object(cron)) if cron.values().all(Value::is_null) => {}
        Some(Value::Object(cron)) => document["schedule"] = settings::schedule(cron),
        Some(_) => {
            errors.push(FieldError::new("cron_options", "must be an object such as {\"minute\": \"*/5\"}"));
        }
    }
    let defaults = app.reloader.defaults();
    let read = draft::project(&document, None, &actor.name, &defaults, &app.scheduler.landing());
    match read {
        Ok(project) if errors.is_empty() => {
            may_set(app, actor, None, &project)?;
            Ok(Project { given_dest: basic.dest, ..project })
        }
        read => {
            for error in settings::renamed(read.err().unwrap_or_default(), "cron_options.") {
                // Without an id of its own, what is wrong with it is wrong with the name.
                let told = errors.iter().any(|known| known.field == error.field);
                if !told && (error.field != "id" || own_id.is_some()) {
                    errors.push(error);
                }
            }
            Err(Problem::invalid(errors))
        }
    }
}

pub(super) async fn list(State(app): State<App>) -> Json<Vec<ProjectView>> {
    let projects = app.scheduler.board().projects();
    Json(projects.iter().map(|entry| settings::view(&entry.project)).collect())
}

pub(super) async fn remove(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    input: Body,
) -> Result<Json<Value>, Problem> {
    let id = id(&required(&given(&app, input).await?, "id")?)?;
    own(&app, &actor, &id)?;
    forget(&app, &actor, &id, None).await?;
    Ok(Json(json!({ "method": "remove_project", "success": true, "id": id.as_str() })))
}

pub(super) async fn enable(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    query: Queried,
) -> Result<Json<Value>, Problem> {
    switch(&app, &actor, query.get("id"), true).await
}

pub(super) async fn disable(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    query: Queried,
) -> Result<Json<Value>, Problem> {
    switch(&app, &actor, query.get("id"), false).await
}

/// `/enable_project/id=ubuntu`, as the manual of 2014 writes it.
pub(super) async fn enable_by_path(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    TextInPath(asked): TextInPath,
) -> Result<Json<Value>, Problem> {
    switch(&app, &actor, asked.strip_prefix("id="), true).await
}

pub(super) async fn disable_by_path(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    TextInPath(asked): TextInPath,
) -> Result<Json<Value>, Problem> {
    switch(&app, &actor, asked.strip_prefix("id="), false).await
}

async fn switch(
    app: &App,
    actor: &Actor,
    asked: Option<&str>,
    enabled: bool,
) -> Result<Json<Value>, Problem> {
    let asked = asked.filter(|asked| !asked.is_empty()).ok_or_else(no_id)?;
    let id = id(asked)?;
    own(app, actor, &id)?;
    set_enabled(app, actor, id, enabled).await?;
    let method = if enabled { "enable_project" } else { "disable_project" };
    Ok(Json(json!({ "method": method, "success": true })))
}

pub(super) async fn sync(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    query: Queried,
) -> Result<Json<Value>, Problem> {
    let id = match (query.get("id"), query.get("project")) {
        (Some(asked), _) => id(asked)?,
        (None, Some(name)) => named(&app, name)?,
        (None, None) => return Err(no_id()),
    };
    own(&app, &actor, &id)?;
    let line = audit::line(&actor, "project.sync", id.as_str(), None, None);
    let command = Command::Sync { id: id.clone(), by: actor.name.clone(), whole: false };
    match noted(&app, &actor, command, line).await? {
        Answer::Run(_) => Ok(Json(json!({
            "method": "syncup_project", "success": true, "project_id": id.as_str(), "note": "sync initiated",
        }))),
        other => Err(Problem::internal(&format!("a sync was answered with {other:?}"))),
    }
}

/// The project of this name; names need not be unique, as ids are.
pub(super) fn named(app: &App, name: &str) -> Result<ProjectId, Problem> {
    let mut found = Vec::new();
    for entry in app.scheduler.board().projects() {
        if entry.project.id.as_str() == name {
            return Ok(entry.project.id.clone());
        }
        if entry.project.name == name {
            found.push(entry.project.id.clone());
        }
    }
    match found.as_slice() {
        [] => Err(no_project(name)),
        [id] => Ok(id.clone()),
        [one, other, ..] => Err(Problem::conflict(format!(
            "`{one}` and `{other}` are both named `{name}`: give the id instead, as `id`"
        ))),
    }
}

/// The project as it is, if it is there and the actor may change it.
pub(super) fn own(app: &App, actor: &Actor, id: &ProjectId) -> Result<std::sync::Arc<Project>, Problem> {
    let entry = app.scheduler.board().project(id).ok_or_else(|| no_project(id.as_str()))?;
    match actor.may_change(&entry.project) {
        true => Ok(std::sync::Arc::clone(&entry.project)),
        false => Err(Problem::forbidden(denial(Access::Change, actor, Some(&entry.project)))),
    }
}

fn no_id() -> Problem {
    Problem::bad_request("No project id provided")
}
