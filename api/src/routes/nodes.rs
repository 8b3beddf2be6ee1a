//! Slaves: joining, following, reporting, and what people see and ask of them.

mod page;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use scheduler::core::Entry;
use scheduler::freshness::{as_of, is_too_old};
use scheduler::member::{ApprovedPlan, Holding, Member, MemberName};
use scheduler::{EventKind, ProjectId, RunId, RunState};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::input::{Asked, TextInPath, TextsInPath, json, no_project};
use crate::app::App;
use crate::audit;
use crate::auth::{Actor, Login, Power};
use crate::draft::fields::Fields;
use crate::http::body;
use crate::nodes::changes::between;
use crate::nodes::lag::{Made, same};
use crate::nodes::offer::Address;
use crate::nodes::proof::Nonce;
use crate::nodes::sample::{Sample, draw};
use crate::nodes::{NodeError, Nodes, Shown, random_secret};
use crate::problem::{FieldError, Problem};
use crate::view::time;
pub(super) use page::list;

/// The longest that a question of a slave waits.
const LONGEST_WAIT: u64 = 55;

pub(super) fn nodes(app: &App) -> Result<&Nodes, Problem> {
    app.nodes.as_deref().ok_or_else(|| Problem::not_found("this is a slave: it has no slaves of its own"))
}

pub(super) async fn hello(State(app): State<App>, input: Body) -> Result<Json<Value>, Problem> {
    let input = json(&body(input, app.max_body).await?)?;
    let mut fields = Fields::root(&input);
    let name: Option<MemberName> = parsed(&mut fields, "name");
    let nonce = nonce(&mut fields, "nonce");
    let errors = fields.finish();
    let (Some(name), Some(nonce), true) = (name, nonce, errors.is_empty()) else {
        return Err(Problem::invalid(errors));
    };
    let (nonce, proof) = nodes(&app)?.greet(name, nonce)?;
    Ok(Json(json!({ "nonce": nonce.text(), "proof": proof })))
}

pub(super) async fn join(
    State(app): State<App>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    input: Body,
) -> Result<Response, Problem> {
    let input = json(&body(input, app.max_body).await?)?;
    let mut fields = Fields::root(&input);
    let nonce = nonce(&mut fields, "nonce");
    let proof = fields.required_text("proof");
    let errors = fields.finish();
    let (Some(nonce), Some(proof), true) = (nonce, proof, errors.is_empty()) else {
        return Err(Problem::invalid(errors));
    };
    let from = peer.map(|Extension(peer)| peer.0.ip());
    let line = |member: &Member| {
        let power = Power::Node(member.name.clone());
        let actor = Actor { name: member.name.to_string(), power, login: Login::Password, from };
        audit::line(&actor, "node.join", member.name.as_str(), None, None)
    };
    let nodes = nodes(&app)?;
    let member = nodes.join(&app.gate.accounts, nonce, &proof, line).await?;
    nodes.look(&app.scheduler);
    let location = format!("/api/v1/nodes/{}", member.name);
    let answer = json!({ "id": member.name.as_str(), "joined": time(member.joined) });
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(answer)).into_response())
}

/// Adds a machine that pulls with an rsync of its own; its secrets are shown this once.
pub(super) async fn add(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    input: Body,
) -> Result<Response, Problem> {
    let input = json(&body(input, app.max_body).await?)?;
    let mut fields = Fields::root(&input);
    let name: Option<MemberName> = parsed(&mut fields, "name");
    let errors = fields.finish();
    let (Some(name), true) = (name, errors.is_empty()) else { return Err(Problem::invalid(errors)) };
    let (password, token) = (random_secret(), random_secret());
    let line = |member: &Member| audit::line(&actor, "node.create", member.name.as_str(), None, None);
    let nodes = nodes(&app)?;
    let member = nodes.add(&app.gate.accounts, name, password.clone(), &token, false, line).await?;
    nodes.look(&app.scheduler);
    let mut rsync = json!(nodes.place().address());
    if rsync["user"].is_null() {
        (rsync["user"], rsync["password"]) = (json!(member.name.as_str()), json!(password.expose()));
    }
    let location = format!("/api/v1/nodes/{}", member.name);
    let answer = json!({
        "id": member.name.as_str(), "joined": time(member.joined), "token": token.expose(), "rsync": rsync,
    });
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(answer)).into_response())
}

/// A slave as clients see it.
#[derive(Debug, Serialize)]
pub(super) struct NodeView {
    id: String,
    joined: String,
    connected: bool,
    last_heard: Option<String>,
    /// Where it is told, if it is a node of 2014.
    address: Option<String>,
    current: bool,
    projects: Vec<HeldView>,
}

/// What a slave holds of one project.
#[derive(Debug, Serialize)]
struct HeldView {
    project: String,
    generation: Option<u64>,
    staged: Option<u64>,
    told: Option<u64>,
    master_generation: u64,
    lag: u64,
    lag_seconds: f64,
    late: bool,
    left_behind: bool,
    as_of: Option<String>,
    stale: bool,
    state: Option<String>,
    reason: Option<String>,
    /// Names the plan of a pull that is held; `approve` sends it back.
    plan: Option<String>,
    run: Option<String>,
    ended: Option<String>,
    duration: Option<f64>,
    received: Option<u64>,
    reported: Option<String>,
}

pub(super) async fn show(
    State(app): State<App>,
    TextInPath(id): TextInPath,
) -> Result<Json<NodeView>, Problem> {
    let shown = nodes(&app)?.show(&id)?;
    let view = tokio::task::spawn_blocking(move || {
        let mut viewer = Viewer::new(&app, app.nodes.as_deref()?);
        let all = 0..viewer.projects.len();
        Some(viewer.view(shown, all))
    });
    let view = view.await.map_err(|error| Problem::internal(&error))?;
    view.map(Json).ok_or_else(|| Problem::not_found(format!("there is no node `{id}`")))
}

/// The projects that slaves are offered, to show what slaves hold of them. Reads the store.
struct Viewer<'a> {
    nodes: &'a Nodes,
    /// By id.
    projects: Vec<Arc<Entry>>,
    made: Made<'a>,
    now: DateTime<Utc>,
}

impl<'a> Viewer<'a> {
    fn new(app: &'a App, nodes: &'a Nodes) -> Self {
        let mut projects = app.scheduler.board().projects();
        projects.retain(|entry| entry.project.fan_out);
        Self { nodes, projects, made: Made::new(app.scheduler.store()), now: Utc::now() }
    }

    /// A slave, with what it holds of some of the projects.
    fn view(&mut self, shown: Shown, projects: Range<usize>) -> NodeView {
        let is_current = |entry: &Arc<Entry>| {
            let held = same(shown.holdings.get(&entry.project.id), entry);
            held.and_then(|held| held.generation).unwrap_or(0) >= entry.standing.generation
        };
        let current = self.projects.iter().all(is_current);
        let entries = self.projects.get(projects).unwrap_or_default().to_vec();
        let held = entries.iter().map(|entry| self.held(&shown, entry)).collect();
        NodeView {
            id: shown.member.name.to_string(),
            joined: time(shown.member.joined),
            connected: shown.connected,
            last_heard: shown.last_heard.map(time),
            address: shown.address,
            current,
            projects: held,
        }
    }

    fn held(&mut self, shown: &Shown, entry: &Entry) -> HeldView {
        let (id, generation) = (&entry.project.id, entry.standing.generation);
        let holding = same(shown.holdings.get(id), entry);
        let held = holding.and_then(|holding| holding.generation);
        let told = holding.and_then(|holding| holding.told);
        // Of what a node of 2014 was told, it has not reported anything yet.
        let ended = holding.filter(|holding| holding.state.parse::<scheduler::Outcome>().is_ok());
        let reported = holding.filter(|holding| ended.is_some() || holding.plan.is_some());
        let lag = self.made.lag(entry, held);
        // While it has the newest generation, its copy is as old as ours; else as old as the one that it has.
        let as_of = match held {
            Some(held) if lag.generations > 0 => self.made.at(id, held),
            held => held.and_then(|_| as_of(&entry.standing)),
        };
        HeldView {
            project: id.to_string(),
            generation: held,
            staged: holding.and_then(|holding| holding.staged),
            told,
            master_generation: generation,
            lag: lag.generations,
            lag_seconds: lag.time.as_secs_f64(),
            late: shown.member.follows && lag.is_over(self.nodes.lag_limit()),
            left_behind: shown.member.left.contains(id),
            as_of: as_of.map(time),
            stale: as_of.is_some_and(|from| is_too_old(&entry.project, from, self.now)),
            state: holding.map(|holding| holding.state.clone()),
            reason: holding.and_then(|holding| holding.reason.clone()),
            plan: holding.and_then(|holding| holding.plan.clone()),
            run: reported.map(|holding| holding.run.to_string()),
            ended: ended.map(|holding| time(holding.ended)),
            duration: ended.map(|holding| Duration::from_millis(holding.took_ms).as_secs_f64()),
            received: ended.map(|holding| holding.received),
            reported: reported.map(|holding| time(holding.heard)),
        }
    }
}

pub(super) async fn remove(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    TextInPath(id): TextInPath,
) -> Result<StatusCode, Problem> {
    let line = audit::line(&actor, "node.delete", &id, None, None);
    nodes(&app)?.remove(&app.gate.accounts, &id, line).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn sync(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    TextInPath(id): TextInPath,
) -> Result<(StatusCode, Json<NodeView>), Problem> {
    let line = audit::line(&actor, "node.sync", &id, None, None);
    nodes(&app)?.wish(&app.gate.accounts, &id, line).await?;
    let Json(view) = show(State(app), TextInPath(id)).await?;
    Ok((StatusCode::ACCEPTED, Json(view)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApproveQuery {
    /// The plan that was seen.
    plan: Option<String>,
}

pub(super) async fn approve(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    TextsInPath((id, project)): TextsInPath,
    Asked(query): Asked<ApproveQuery>,
) -> Result<(StatusCode, Json<NodeView>), Problem> {
    let project: ProjectId = project.parse().map_err(|_| no_project(&project))?;
    let seen = json!({ "project": project.as_str(), "plan": query.plan });
    let line = audit::line(&actor, "node.approve", &id, None, Some(seen));
    let (nodes, accounts) = (nodes(&app)?, &app.gate.accounts);
    nodes.approve(accounts, &id, &project, query.plan.as_deref(), &actor.name, line).await?;
    let Json(view) = show(State(app), TextInPath(id)).await?;
    Ok((StatusCode::ACCEPTED, Json(view)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FollowQuery {
    since: Option<String>,
    process: Option<String>,
    wait: Option<u64>,
}

/// What a slave is answered.
#[derive(Debug, Serialize)]
pub(super) struct OfferView {
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

pub(super) async fn generations(
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
pub(super) struct ChangesQuery {
    project: String,
    created: DateTime<Utc>,
    from: u64,
    to: u64,
}

pub(super) async fn changes(
    State(app): State<App>,
    Asked(query): Asked<ChangesQuery>,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("what has changed in between is not known whole: look at everything");
    let project: ProjectId = query.project.parse().map_err(|_| unknown())?;
    // Another project of the same name has another history.
    nodes(&app)?.offer().generation(&project, query.created).ok_or_else(unknown)?;
    let (from, to) = (query.from, query.to);
    let found = tokio::task::spawn_blocking(move || between(&app.scheduler, &project, from, to)).await;
    let list = found.map_err(|error| Problem::internal(&error))?.ok_or_else(unknown)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], list).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SampleQuery {
    project: String,
    created: DateTime<Utc>,
}

pub(super) async fn sample(
    State(app): State<App>,
    Asked(query): Asked<SampleQuery>,
) -> Result<Json<Sample>, Problem> {
    let none = || Problem::not_found("there is no sample of it now: it changes, or is not there");
    let project: ProjectId = query.project.parse().map_err(|_| none())?;
    nodes(&app)?.offer().generation(&project, query.created).ok_or_else(none)?;
    let drawn = tokio::task::spawn_blocking(move || draw(&app.scheduler, &project)).await;
    drawn.map_err(|error| Problem::internal(&error))?.map(Json).ok_or_else(none)
}

/// What a slave says of one project.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportInput {
    project: String,
    created: DateTime<Utc>,
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

pub(super) async fn report(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    input: Body,
) -> Result<StatusCode, Problem> {
    let name = actor.node().ok_or_else(|| Problem::forbidden("only a slave may say that"))?;
    let input = json(&body(input, app.max_body).await?)?;
    let wrong = |field: &str, why: String| Problem::invalid(vec![FieldError::new(field, why)]);
    let input: ReportInput =
        serde_json::from_value(input).map_err(|error| wrong("report", error.to_string()))?;
    let known = scheduler::Outcome::ALL.iter().any(|outcome| outcome.as_str() == input.state);
    let is_held = input.state == RunState::Held.as_str() && input.plan.is_some();
    if !known && !is_held {
        return Err(wrong("state", "is neither the end of a run nor `held` with a `plan`".to_owned()));
    }
    let plain = |text: String| text.chars().filter(|c| !c.is_control()).take(1000).collect::<String>();
    let (reason, drift) = (input.reason.map(plain), input.drift.map(plain));
    let plan = input.plan.filter(|_| is_held).map(plain);
    let holding = Holding {
        member: name.clone(),
        project: input
            .project
            .parse()
            .map_err(|error: scheduler::project::ProjectIdError| wrong("project", error.to_string()))?,
        created: input.created,
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
    let is_new = nodes(&app)?.report(&app.gate.accounts, holding).await?;
    if let Some(what) = drift.filter(|_| is_new) {
        tracing::warn!(node = %name, %project, "a slave's tree was not what it had pulled: {what}");
        app.scheduler.events().publish(project, EventKind::NodeDrifted { node: name.clone(), what });
    }
    Ok(StatusCode::NO_CONTENT)
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(fields: &mut Fields<'_>, key: &str) -> Option<T> {
    let text = fields.required_text(key)?;
    text.parse().map_err(|error: T::Err| fields.error(key, error.to_string())).ok()
}

fn nonce(fields: &mut Fields<'_>, key: &str) -> Option<Nonce> {
    let text = fields.required_text(key)?;
    let nonce = Nonce::parse(&text);
    if nonce.is_none() {
        fields.error(key, "must be 32 random bytes in base64url without padding");
    }
    nonce
}

impl From<NodeError> for Problem {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Proof | NodeError::Closed => Self::forbidden(error.to_string()),
            NodeError::Exists(_)
            | NodeError::Twice(_)
            | NodeError::NotHeld(..)
            | NodeError::OtherPlan(..) => Self::conflict(error.to_string()),
            NodeError::Unknown(_) => Self::not_found(error.to_string()),
            NodeError::Untrue(why) => Self::invalid(vec![FieldError::new("report", why)]),
            NodeError::Accounts(error) => error.into(),
        }
    }
}
