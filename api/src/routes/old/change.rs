//! Projects changed: their basic settings, and their schedule as a whole.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use scheduler::{Command, Project, ProjectId, Refusal};
use serde_json::{Value, json};

use super::input::{Given, given, id, required};
use super::projects::own;
use super::settings::{self, Basic};
use crate::app::App;
use crate::auth::Actor;
use crate::draft;
use crate::problem::{FieldError, Problem};
use crate::routes::projects::updated;
use crate::view;

/// How often a change is made anew when the project changes in between.
const TRIES: usize = 5;

pub(super) async fn basic(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    input: Body,
) -> Result<Json<Value>, Problem> {
    let given = given(&app, input).await?;
    let id = id(&required(&given, "id")?)?;
    own(&app, &actor, &id)?;
    let mut errors = Vec::new();
    let basic = Basic::read(&given, &["id"], &mut errors);
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    let changed = change(&app, &actor, &id, |known| apply(&app, &actor, &basic, known)).await?;
    Ok(answer(&changed))
}

pub(super) async fn schedule(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    input: Body,
) -> Result<Json<Value>, Problem> {
    let mut given = given(&app, input).await?;
    let id = id(&required(&given, "id")?)?;
    own(&app, &actor, &id)?;
    given.remove("id");
    let changed = change(&app, &actor, &id, |known| reschedule(&app, &actor, &given, known)).await?;
    Ok(answer(&changed))
}

fn answer(id: &ProjectId) -> Json<Value> {
    Json(json!({ "method": "update_project", "success": true, "id": id.as_str() }))
}

/// Makes a change of the newest version, and of the one after it when somebody was faster. Gives the id that the
/// project has from then on.
async fn change(
    app: &App,
    actor: &Actor,
    id: &ProjectId,
    edit: impl Fn(&Project) -> Result<Project, Problem>,
) -> Result<ProjectId, Problem> {
    for _ in 0..TRIES {
        let known = own(app, actor, id)?;
        let project = edit(&known)?;
        let line = Box::new(updated(actor, &known, &project));
        let new_id = project.id.clone();
        let command = Box::new(command(&known, project));
        match app.scheduler.ask(Command::Noted { command, line }).await {
            Err(Refusal::Stale { .. }) => {}
            Err(refusal) => return Err(refusal.into()),
            Ok(_) => return Ok(new_id),
        }
    }
    Err(Problem::conflict(format!("project `{id}` is being changed by others: read it again, and repeat")))
}

fn command(known: &Arc<Project>, project: Project) -> Command {
    let if_version = Some(known.version);
    Command::Replace { project: Box::new(project), if_version }
}

/// The project with the basic settings that were given.
fn apply(app: &App, actor: &Actor, basic: &Basic, known: &Project) -> Result<Project, Problem> {
    let mut document = view::settings(known);
    basic.write(&mut document);
    if let Some(folder) = &basic.dest {
        document["dest"] = json!(settings::dest_in(folder, &known.name));
    }
    let mut project = read(app, actor, &document, known, "cron_options.")?;
    if basic.dest.is_some() {
        project.given_dest.clone_from(&basic.dest);
    }
    Ok(project)
}

/// The project with another schedule, of which nothing stays.
fn reschedule(app: &App, actor: &Actor, given: &Given, known: &Project) -> Result<Project, Problem> {
    let mut document = view::settings(known);
    document["schedule"] = settings::schedule(given);
    read(app, actor, &document, known, "")
}

fn read(app: &App, actor: &Actor, document: &Value, known: &Project, cron: &str) -> Result<Project, Problem> {
    let defaults = app.reloader.defaults();
    let read = draft::project(document, Some(known), &actor.name, &defaults, &app.scheduler.landing());
    read.map_err(|errors: Vec<FieldError>| Problem::invalid(settings::renamed(errors, cron)))
}
