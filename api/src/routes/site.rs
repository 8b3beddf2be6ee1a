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
use crate::view::{self, DiskView, Page, QueueView, StatusView};

/// The width of one count of starts.
const SLOT: Duration = Duration::minutes(10);
/// How far ahead starts are counted at most.
const MOST_HOURS: i64 = 168;
/// How many starts of one project are counted at most: one a minute for a day.
const MOST_STARTS: usize = 1440;

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(app): State<App>) -> Response {
    if !app.scheduler.is_running() || app.stop.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response()
    } else if !app.scheduler.store().is_writable() {
        (StatusCode::SERVICE_UNAVAILABLE, "the store cannot be written: is its disk full?\n").into_response()
    } else {
        "ready\n".into_response()
    }
}

pub(super) async fn openapi() -> Json<serde_json::Value> {
    Json(super::document())
}

pub(super) async fn status(State(app): State<App>) -> Result<Json<StatusView>, Problem> {
    let role = if app.nodes.is_some() { "master" } else { "slave" };
    let status = tokio::task::spawn_blocking(move || view::status(&app.scheduler, role, app.started)).await;
    let status = status.map_err(|error| Problem::internal(&error))?;
    status.map(Json).map_err(|error| Problem::internal(&error))
}

pub(super) async fn disks(State(app): State<App>) -> Json<Page<DiskView>> {
    Json(Page { items: view::disks(app.scheduler.board()), next: None })
}

pub(super) async fn queue(State(app): State<App>) -> Json<Page<QueueView>> {
    Json(Page { items: view::queue(app.scheduler.board()), next: None })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadQuery {
    hours: Option<i64>,
}

/// How many runs start when.
#[derive(Debug, Serialize)]
pub(super) struct LoadView {
    from: String,
    slot_seconds: i64,
    starts: Vec<u64>,
    /// Some projects fire so often that not all of it was counted.
    truncated: bool,
}

pub(super) async fn load(
    State(app): State<App>,
    Asked(query): Asked<LoadQuery>,
) -> Result<Json<LoadView>, Problem> {
    let hours = query.hours.unwrap_or(24);
    if !(1..=MOST_HOURS).contains(&hours) {
        return Err(Problem::bad_request(format!("`hours` is {hours}: give 1 to {MOST_HOURS}")));
    }
    let counted = tokio::task::spawn_blocking(move || count_starts(&app, Utc::now(), hours)).await;
    counted.map(Json).map_err(|error| Problem::internal(&error))
}

fn count_starts(app: &App, from: DateTime<Utc>, hours: i64) -> LoadView {
    let slots = hours * 3600 / SLOT.num_seconds();
    let until = from + Duration::hours(hours);
    let mut starts = vec![0; usize::try_from(slots).unwrap_or(0)];
    let mut truncated = false;
    for entry in app.scheduler.board().projects() {
        let schedule = &entry.project.schedule;
        let mut next = entry.next;
        for counted in 0.. {
            let Some(at) = next.filter(|at| *at < until) else { break };
            if counted == MOST_STARTS {
                truncated = true;
                break;
            }
            let begins = schedule.jittered(at, entry.project.id.as_str()).max(from);
            let slot = usize::try_from((begins - from).num_seconds() / SLOT.num_seconds()).ok();
            if let Some(starts) = slot.and_then(|slot| starts.get_mut(slot)) {
                *starts += 1;
            }
            next = schedule.next_after(at.max(from));
        }
    }
    LoadView { from: view::time(from), slot_seconds: SLOT.num_seconds(), starts, truncated }
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
    match app.reload().await {
        Ok(reloaded) => Ok(Json(reloaded)),
        Err(report) => Err(Problem::invalid(vec![FieldError::new("configuration", report)])),
    }
}
