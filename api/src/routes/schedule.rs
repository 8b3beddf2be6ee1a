//! When runs will start: each by its name, and how many in each ten minutes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use scheduler::core::Entry;
use serde::{Deserialize, Serialize};

use super::input::{Asked, page_size};
use crate::app::App;
use crate::problem::Problem;
use crate::view::{self, Page};

/// The width of one count of starts.
const SLOT: Duration = Duration::minutes(10);
/// How far ahead starts are counted at most.
const MOST_HOURS: i64 = 168;
/// How many starts of one project are counted at most: one a minute for a day.
const MOST_STARTS: usize = 1440;
/// How far back a start is looked for that a longer jitter puts off.
const LONGEST_JITTER: Duration = Duration::days(1);

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
        let mut next = entry.next;
        for counted in 0.. {
            let Some(at) = next.filter(|at| *at < until) else { break };
            if counted == MOST_STARTS {
                truncated = true;
                break;
            }
            let slot =
                usize::try_from((begins(&entry, at, from) - from).num_seconds() / SLOT.num_seconds()).ok();
            if let Some(starts) = slot.and_then(|slot| starts.get_mut(slot)) {
                *starts += 1;
            }
            next = entry.project.schedule.next_after(at.max(from));
        }
    }
    LoadView { from: view::time(from), slot_seconds: SLOT.num_seconds(), starts, truncated }
}

/// When a run that is due at `at` begins: later by its jitter, and what is overdue begins now.
fn begins(entry: &Entry, at: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    entry.project.schedule.jittered(at, entry.project.id.as_str()).max(now)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduleQuery {
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    limit: Option<usize>,
}

/// One time at which a project will start.
#[derive(Debug, Serialize)]
pub(super) struct ScheduleView {
    project: String,
    at: String,
    begins: String,
}

pub(super) async fn schedule(
    State(app): State<App>,
    Asked(query): Asked<ScheduleQuery>,
) -> Result<Json<Page<ScheduleView>>, Problem> {
    let limit = page_size(query.limit)?;
    let now = Utc::now();
    let from = query.from.unwrap_or(now).max(now);
    let until = query.until.or_else(|| from.checked_add_signed(Duration::days(1))).unwrap_or(from);
    let starts = tokio::task::spawn_blocking(move || {
        let entries = app.scheduler.board().projects();
        starts(&entries, now, from, until).take(limit).collect()
    });
    let items = starts.await.map_err(|error| Problem::internal(&error))?;
    Ok(Json(Page { items, next: None }))
}

/// What begins within `from` and `until`, in the order of the schedules' times. Only what is taken is worked out, and one
/// start more of each project: a schedule may fire each second for ever.
fn starts(
    entries: &[Arc<Entry>],
    now: DateTime<Utc>,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> impl Iterator<Item = ScheduleView> {
    let firsts = entries.iter().enumerate().filter(|(_, entry)| entry.project.enabled);
    let mut due: BinaryHeap<_> =
        firsts.filter_map(|(index, entry)| Some(Reverse((first(entry, from)?, index)))).collect();
    let each = std::iter::from_fn(move || {
        let Reverse((at, index)) = due.pop()?;
        let entry = &entries[index];
        due.extend(entry.project.schedule.next_after(at.max(now)).map(|next| Reverse((next, index))));
        Some((at, entry))
    });
    let within = each.take_while(move |(at, _)| *at <= until).filter_map(move |(at, entry)| {
        let begins = begins(entry, at, now);
        (from..=until).contains(&begins).then_some((at, begins, entry))
    });
    within.map(|(at, begins, entry)| ScheduleView {
        project: entry.project.id.to_string(),
        at: view::time(at),
        begins: view::time(begins),
    })
}

/// The first of a project's times that may begin at or after `from`.
fn first(entry: &Entry, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let next = entry.next?;
    let jitter = Duration::from_std(entry.project.schedule.jitter).unwrap_or(LONGEST_JITTER);
    let earliest = from - jitter.min(LONGEST_JITTER);
    if next >= earliest {
        return Some(next);
    }
    // A time that a pause or a plugin gave is the only one that is known.
    let fires = entry.project.schedule.next_after(earliest - Duration::nanoseconds(1));
    Some(fires.map_or(next, |at| at.max(next)))
}
