//! What a slave asks and says for itself: what there is to pull, what has changed, a sample, and how its pulls ended.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use engine::text::clipped;
use scheduler::member::{ApprovedPlan, Holding};
use scheduler::{EventKind, ProjectId, RunId, RunState};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::nodes;
use crate::app::App;
use crate::auth::Actor;
use crate::auth::accounts::AccountRequest;
use crate::http::body;
use crate::nodes::changes::between;
use crate::nodes::offer::Address;
use crate::nodes::sample::{Sample, draw};
use crate::problem::{FieldError, Problem};
use crate::routes::input::{Asked, json_of_machine};

/// The longest that a question of a slave waits.
const LONGEST_WAIT: u64 = 55;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct FollowQuery {
    since: Option<String>,
    process: Option<String>,
    wait: Option<u64>,
}

/// What a slave is answered.
#[derive(Debug, Serialize)]
pub(in crate::routes) struct OfferView {
    tag: String,
    wish: u64,
    rsync: Address,
    projects: Box<RawValue>,
    /// Plans of held pulls that may go on, by project.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    approved: BTreeMap<String, ApprovedView>,
}

/// An approval as the slave is told it.
#[derive(Debug, Serialize)]
struct ApprovedView {
    plan: String,
    by: String,
}

pub(in crate::routes) async fn generations(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Asked(query): Asked<FollowQuery>,
) -> Result<Json<OfferView>, Problem> {
    let name = actor.node().ok_or_else(|| Problem::forbidden("only a slave may ask that"))?;
    let wait = Duration::from_secs(query.wait.unwrap_or(0).min(LONGEST_WAIT));
    let (nodes, process) = (nodes(&app)?, query.process.unwrap_or_default());
    let asked = nodes.wait(name, &process, query.since.as_deref(), wait);
    let Some(answer) = app.stop.run_until_cancelled(asked).await else {
        return Err(Problem::unavailable("the server is stopping: ask again once it is back"));
    };
    let (offer, member) = answer?;
    let (tag, wish) = (offer.tag_for(&member), member.wish);
    let view = |(id, approved): (ProjectId, ApprovedPlan)| {
        (id.to_string(), ApprovedView { plan: approved.plan, by: approved.by })
    };
    let approved = member.approved.into_iter().map(view).collect();
    let projects = offer.projects().to_owned();
    Ok(Json(OfferView { tag, wish, rsync: nodes.place().address(), projects, approved }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct ChangesQuery {
    project: String,
    created: DateTime<Utc>,
    history: Option<String>,
    from: u64,
    to: u64,
}

pub(in crate::routes) async fn changes(
    State(app): State<App>,
    Asked(query): Asked<ChangesQuery>,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("what has changed in between is not known whole: look at everything");
    let project: ProjectId = query.project.parse().map_err(|_| unknown())?;
    // Another project of the same name, or a store that was restored, has other generations of the same number.
    let offer = nodes(&app)?.offer();
    offer.generation(&project, query.created, query.history.as_deref()).ok_or_else(unknown)?;
    let (from, to) = (query.from, query.to);
    let found = tokio::task::spawn_blocking(move || between(&app.scheduler, &project, from, to)).await;
    let list = found.map_err(|error| Problem::internal(&error))?.ok_or_else(unknown)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], list).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct SampleQuery {
    project: String,
    created: DateTime<Utc>,
    history: Option<String>,
}

pub(in crate::routes) async fn sample(
    State(app): State<App>,
    Asked(query): Asked<SampleQuery>,
) -> Result<Json<Sample>, Problem> {
    let none = || Problem::not_found("there is no sample of it now: it changes, or is not there");
    let project: ProjectId = query.project.parse().map_err(|_| none())?;
    let offer = nodes(&app)?.offer();
    offer.generation(&project, query.created, query.history.as_deref()).ok_or_else(none)?;
    let drawn = tokio::task::spawn_blocking(move || draw(&app.scheduler, &project)).await;
    drawn.map_err(|error| Problem::internal(&error))?.map(Json).ok_or_else(none)
}

/// Longest text that is kept of what a slave says, in bytes.
const LONGEST_WORDS: usize = 1000;

/// What a slave says of one project.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportInput {
    project: String,
    created: DateTime<Utc>,
    #[serde(default)]
    history: Option<String>,
    generation: Option<u64>,
    #[serde(default)]
    staged: Option<u64>,
    #[serde(default)]
    drift: Option<String>,
    run: String,
    state: String,
    reason: Option<String>,
    /// The plan of a pull that is held.
    #[serde(default)]
    plan: Option<String>,
    ended: DateTime<Utc>,
    took_ms: u64,
    received: u64,
}

pub(in crate::routes) async fn report(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    input: Body,
) -> Result<StatusCode, Problem> {
    let name = actor.node().ok_or_else(|| Problem::forbidden("only a slave may say that"))?;
    let input = json_of_machine(&body(input, app.max_body).await?)?;
    let wrong = |field: &str, why: String| Problem::invalid(vec![FieldError::new(field, why)]);
    let input: ReportInput =
        serde_json::from_value(input).map_err(|error| wrong("report", error.to_string()))?;
    let known = scheduler::Outcome::ALL.iter().any(|outcome| outcome.as_str() == input.state);
    let is_held = input.state == RunState::Held.as_str() && input.plan.is_some();
    if !known && !is_held {
        return Err(wrong("state", "is neither the end of a run nor `held` with a `plan`".to_owned()));
    }
    let short = |text: String| clipped(&text, LONGEST_WORDS);
    let (reason, drift) = (input.reason.map(short), input.drift.map(short));
    let plan = input.plan.filter(|_| is_held).map(short);
    let holding = Holding {
        member: name.clone(),
        project: input
            .project
            .parse()
            .map_err(|error: scheduler::project::ProjectIdError| wrong("project", error.to_string()))?,
        created: input.created,
        history: input.history,
        generation: input.generation,
        staged: input.staged,
        told: None,
        run: input.run.parse::<RunId>().map_err(|_| wrong("run", "is not the id of a run".to_owned()))?,
        state: input.state,
        reason,
        plan,
        ended: input.ended,
        took_ms: input.took_ms,
        received: input.received,
        heard: Utc::now(),
    };
    let project = holding.project.clone();
    let is_new = nodes(&app)?.report(&app.gate.accounts, holding, AccountRequest::unnoted(&actor)).await?;
    if let Some(what) = drift.filter(|_| is_new) {
        tracing::warn!(node = %name, %project, "a slave's tree was not what it had pulled: {what}");
        app.scheduler.events().publish(project, EventKind::NodeDrifted { node: name.clone(), what });
    }
    Ok(StatusCode::NO_CONTENT)
}
