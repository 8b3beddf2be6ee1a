//! The site as a whole: alive, ready, status, queue, schedule, reload.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use super::input::{Asked, page_size};
use crate::app::App;
use crate::problem::{FieldError, Problem};
use crate::reload::Reloaded;
use crate::view::{self, Page, QueueView, StatusView};

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(app): State<App>) -> Response {
    if app.scheduler.is_running() && !app.stop.is_cancelled() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response()
    }
}

pub(super) async fn openapi() -> Json<serde_json::Value> {
    Json(super::document())
}

pub(super) async fn status(State(app): State<App>) -> Result<Json<StatusView>, Problem> {
    let status = tokio::task::spawn_blocking(move || view::status(&app.scheduler, app.started)).await;
    let status = status.map_err(|error| Problem::internal(&error))?;
    status.map(Json).map_err(|error| Problem::internal(&error))
}

pub(super) async fn queue(State(app): State<App>) -> Json<Page<QueueView>> {
    Json(Page { items: view::queue(app.scheduler.board()), next: None })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduleQuery {
    until: Option<DateTime<Utc>>,
    limit: Option<usize>,
}

/// One time at which a project will start.
#[derive(Debug, Serialize)]
pub(super) struct ScheduleView {
    project: String,
    at: String,
}

pub(super) async fn schedule(
    State(app): State<App>,
    Asked(query): Asked<ScheduleQuery>,
) -> Result<Json<Page<ScheduleView>>, Problem> {
    let limit = page_size(query.limit)?;
    let now = Utc::now();
    let until = query.until.unwrap_or(now + Duration::days(1));
    let mut times = Vec::new();
    for entry in app.scheduler.board().projects().iter().filter(|entry| entry.project.enabled) {
        let first = entry.next.into_iter();
        let more = entry.next.map(|first| entry.project.schedule.upcoming(first, limit)).unwrap_or_default();
        let soon = first.chain(more).take_while(|at| *at <= until).take(limit);
        times.extend(soon.map(|at| (at, entry.project.id.clone())));
    }
    times.sort();
    times.truncate(limit);
    let view = |(at, project): (DateTime<Utc>, scheduler::ProjectId)| ScheduleView {
        project: project.to_string(),
        at: view::time(at),
    };
    Ok(Json(Page { items: times.into_iter().map(view).collect(), next: None }))
}

pub(super) async fn reload(State(app): State<App>) -> Result<Json<Reloaded>, Problem> {
    match app.reloader.reload(&app.scheduler).await {
        Ok(reloaded) => Ok(Json(reloaded)),
        Err(report) => Err(Problem::invalid(vec![FieldError::new("configuration", report)])),
    }
}
