//! The site as a whole: alive, ready, status, queue, reload.

use std::sync::LazyLock;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::app::App;
use crate::problem::{FieldError, Problem};
use crate::reload::Reloaded;
use crate::view::{self, DiskView, Page, QueueView, StatusView};

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(app): State<App>) -> Response {
    if !app.scheduler.is_running() || app.stop.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    // Reasons name paths and addresses: those are for users, in the alerts, the status and the log.
    let health = app.scheduler.store().health();
    if health.refusal.is_some() {
        let detail = "the store cannot be written: the log and `heliostat alert list` say why\n";
        return (StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
    }
    if let Some(damage) = health.unreadable.first() {
        let table = damage.table;
        let detail =
            format!("the table of {table} cannot be read: the log and `heliostat alert list` say why\n");
        return (StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
    }

    // What is here is served all the same.
    let contact = app.contact.as_ref().map(|contact| contact.state());
    let mut detail = match contact.filter(|state| state.connected == Some(false)) {
        Some(state) => format!("ready, without its master since {}\n", view::time(state.since)),
        None => "ready\n".to_owned(),
    };
    if health.mark.is_some() {
        detail.push_str("the high-water mark cannot be written; within a minute, writes will be refused\n");
    }
    detail.into_response()
}

pub(super) async fn openapi() -> impl IntoResponse {
    // It is open to everybody, and always the same.
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| super::document().to_string().into());
    ([(header::CONTENT_TYPE, "application/json")], TEXT.clone())
}

pub(super) async fn status(State(app): State<App>) -> Result<Json<StatusView>, Problem> {
    app.scheduler.refresh_queue().await;
    let role = if app.nodes.is_some() { "master" } else { "slave" };
    let look = move || {
        let not_after = app.reloader.tls_not_after();
        view::status(&app.scheduler, role, app.started, app.contact.as_deref(), not_after)
    };
    let status = tokio::task::spawn_blocking(look).await;
    let status = status.map_err(|error| Problem::internal(&error))?;
    status.map(Json).map_err(Problem::from)
}

pub(super) async fn disks(State(app): State<App>) -> Json<Page<DiskView>> {
    Json(Page { items: view::disks(app.scheduler.board()), next: None })
}

pub(super) async fn queue(State(app): State<App>) -> Json<Page<QueueView>> {
    app.scheduler.refresh_queue().await;
    Json(Page { items: view::queue(app.scheduler.board()), next: None })
}

pub(super) async fn reload(State(app): State<App>) -> Result<Json<Reloaded>, Problem> {
    match app.reload().await {
        Ok(reloaded) => Ok(Json(reloaded)),
        Err(report) => Err(Problem::invalid(vec![FieldError::new("configuration", report)])),
    }
}
