//! What needs a person, and whether they can be reached.

use axum::extract::State;
use axum::{Extension, Json};

use crate::alerts::Tried;
use crate::app::App;
use crate::auth::Actor;
use crate::view::{self, AlertView, ChannelView, Page};

pub(super) async fn list(State(app): State<App>) -> Json<Page<AlertView>> {
    Json(Page { items: app.alerts.open().iter().map(view::alert).collect(), next: None })
}

pub(super) async fn channels(State(app): State<App>) -> Json<Page<ChannelView>> {
    let config = app.reloader.config();
    let items = app.alerts.channels(&config.alerts).into_iter().map(view::channel).collect();
    Json(Page { items, next: None })
}

pub(super) async fn test(State(app): State<App>, Extension(actor): Extension<Actor>) -> Json<Page<Tried>> {
    let items = app.alerts.test(&app.reloader.config(), &actor.name).await;
    Json(Page { items, next: None })
}
