//! The plugins: which there are, what they may, and how they do.

use axum::Json;
use axum::extract::State;

use scheduler::ProjectId;

use super::input::{InPath, TextInPath, no_project};
use crate::app::App;
use crate::host::{HookView, PluginView};
use crate::problem::Problem;
use crate::view::Page;

pub(super) async fn list(State(app): State<App>) -> Json<Page<PluginView>> {
    Json(Page { items: app.host.list(), next: None })
}

pub(super) async fn one(
    State(app): State<App>,
    TextInPath(id): TextInPath,
) -> Result<Json<PluginView>, Problem> {
    let found = app.host.list().into_iter().find(|plugin| plugin.id() == id);
    found.map(Json).ok_or_else(|| Problem::not_found("there is no such plugin"))
}

/// Who is asked about a project.
pub(super) async fn of_project(
    State(app): State<App>,
    InPath(id): InPath<ProjectId>,
) -> Result<Json<Page<HookView>>, Problem> {
    let board = app.scheduler.board();
    let entry = board.project(&id).ok_or_else(|| no_project(id.as_str()))?;
    Ok(Json(Page { items: app.host.hooks_of(&entry.project), next: None }))
}
