//! The plugins: which there are, what they may, and how they do.

use axum::Json;
use axum::extract::State;

use super::input::TextInPath;
use crate::app::App;
use crate::host::PluginView;
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
