//! Projects changed: their basic settings, and their schedule as a whole.

use std::path::Path;

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use scheduler::account::AuditEntry;
use scheduler::core::Rename;
use scheduler::relocation::Relocation;
use scheduler::{Command, Project, ProjectId, Refusal};
use serde_json::{Value, json};

use super::input::{Given, given, id, required};
use super::projects::own;
use super::settings::{self, Basic};
use crate::app::App;
use crate::audit;
use crate::auth::Actor;
use crate::draft;
use crate::problem::{FieldError, Problem};
use crate::routes::projects::{may_set, noted, updated};
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
        let new_id = project.id.clone();
        let renames = new_id != *id;
        let line = if renames { renamed(actor, &known, &project) } else { updated(actor, &known, &project) };
        let command = if renames { rename(app, &known, project).await? } else { replace(&known, project) };
        match noted(app, actor, command, line).await {
            Err(Refusal::Stale { .. }) => {}
            // Here the place follows from the name, and a name that is taken is a conflict.
            Err(Refusal::Destination(error)) if renames => {
                return Err(Problem::conflict(format!("`dest` {error}")));
            }
            Err(refusal) => return Err(refusal.into()),
            Ok(_) => return Ok(new_id),
        }
    }
    Err(Problem::conflict(format!("project `{id}` is being changed by others: read it again, and repeat")))
}

fn replace(known: &Project, project: Project) -> Command {
    Command::Replace { project: Box::new(project), if_version: Some(known.settings_version()) }
}

/// The new name, with the move of the tree that goes with it, if nothing stands in its way.
async fn rename(app: &App, known: &Project, project: Project) -> Result<Command, Problem> {
    let (landing, dest, from, to) =
        (app.scheduler.landing(), known.dest.clone(), known.place.clone(), project.place.clone());
    let plan = tokio::task::spawn_blocking(move || {
        let linked = std::fs::symlink_metadata(&dest).is_ok_and(|meta| meta.is_symlink());
        if linked || landing.resolve(&dest).as_ref() != Ok(&from) {
            let dest = dest.display();
            return Err(Problem::conflict(format!(
                "{dest} leads elsewhere by a link: rename the tree by hand, then set `dest`"
            )));
        }
        Relocation::plan(&from, &to).map_err(|error| Problem::conflict(error.to_string()))
    });
    let relocation = plan.await.map_err(|error| Problem::internal(&error))??;
    let if_version = Some(known.settings_version());
    Ok(Command::Rename(Box::new(Rename { from: known.id.clone(), project, if_version, relocation })))
}

fn renamed(actor: &Actor, known: &Project, project: &Project) -> AuditEntry {
    let (before, after) = (view::settings(known), view::settings(project));
    audit::line(actor, "project.rename", known.id.as_str(), Some(before), Some(after))
}

/// The project with the basic settings that were given.
fn apply(app: &App, actor: &Actor, basic: &Basic, known: &Project) -> Result<Project, Problem> {
    let mut document = view::settings(known);
    basic.write(&mut document);
    let mut base = known.clone();
    let folder = settings::folder_of(known);
    if let Some(name) = basic.project.as_ref().filter(|name| **name != known.name) {
        let elsewhere = basic.dest.as_ref().is_some_and(|given| Path::new(given) != Path::new(&folder));
        if elsewhere {
            let message = "moves the tree to another folder, and `project` gives it another name: do one after the other";
            return Err(Problem::invalid(vec![FieldError::new("dest", message)]));
        }
        base.id =
            name.parse().map_err(|_| Problem::bad_request(format!("project: `{name}` cannot be a name")))?;
        document["id"] = json!(name);
        document["name"] = json!(name);
        document["dest"] = json!(settings::dest_in(&folder, name));
        if known.source.user() == Some(known.name.as_str()) {
            document["source"]["user"] = json!(name);
        }
    } else if let Some(given) = &basic.dest {
        document["dest"] = json!(settings::dest_in(given, &known.name));
    }
    let mut project = read(app, actor, &document, &base, "cron_options.")?;
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
    let project =
        read.map_err(|errors: Vec<FieldError>| Problem::invalid(settings::renamed(errors, cron)))?;
    may_set(app, actor, Some(known), &project)?;
    Ok(project)
}
