//! Slaves: joining, and what people see and ask of them; [`own`] is what they ask and say themselves.

mod own;
mod page;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use scheduler::ProjectId;
use scheduler::core::Entry;
use scheduler::freshness::{as_of, is_too_old};
use scheduler::member::{Member, MemberName};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) use own::{changes, generations, report, sample};

use super::input::{Asked, TextInPath, TextsInPath, json, no_project};
use crate::app::App;
use crate::audit;
use crate::auth::accounts::AccountRequest;
use crate::auth::{Actor, log_failed_login};
use crate::draft::fields::Fields;
use crate::http::{RequestOrigin, body};
use crate::nodes::lag::same;
use crate::nodes::proof::Nonce;
use crate::nodes::{NodeError, Nodes, Shown, random_secret};
use crate::problem::{FieldError, Problem};
use crate::view::time;
pub(super) use page::list;

pub(super) fn nodes(app: &App) -> Result<&Nodes, Problem> {
    app.nodes.as_deref().ok_or_else(|| Problem::not_found("this is a slave: it has no slaves of its own"))
}

pub(super) async fn hello(
    State(app): State<App>,
    Extension(origin): Extension<RequestOrigin>,
    input: Body,
) -> Result<Json<Value>, Problem> {
    let input = json(&body(input, app.max_body).await?)?;
    let mut fields = Fields::root(&input);
    let name: Option<MemberName> = parsed(&mut fields, "name");
    let nonce = nonce(&mut fields, "nonce");
    let errors = fields.finish();
    let (Some(name), Some(nonce), true) = (name, nonce, errors.is_empty()) else {
        return Err(Problem::invalid(errors));
    };
    let (nonce, proof) = nodes(&app)?.greet(origin.address, name, nonce)?;
    Ok(Json(json!({ "nonce": nonce.text(), "proof": proof })))
}

pub(super) async fn join(
    State(app): State<App>,
    Extension(origin): Extension<RequestOrigin>,
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
    let from = Some(origin.address);
    let request = |member: &Member| {
        let name = member.name.as_str();
        AccountRequest::proved(audit::line_by(name, from, "node.join", name, None, None))
    };
    let nodes = nodes(&app)?;
    let joined = nodes.join(&app.gate.accounts, nonce, &proof, request).await;
    if let Err(NodeError::Proof) = joined {
        log_failed_login(from, "", "wrong proof of a slave");
    }
    let member = joined?;
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
    let request = |member: &Member| {
        let line = audit::line(&actor, "node.create", member.name.as_str(), None, None);
        AccountRequest::noted(&actor, line)
    };
    let nodes = nodes(&app)?;
    let member = nodes.add(&app.gate.accounts, name, password.clone(), &token, false, request).await?;
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
        let viewer = Viewer::new(&app, app.nodes.as_deref()?);
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
    now: DateTime<Utc>,
}

impl<'a> Viewer<'a> {
    fn new(app: &'a App, nodes: &'a Nodes) -> Self {
        let mut projects = app.scheduler.board().projects();
        projects.retain(|entry| entry.project.fan_out);
        Self { nodes, projects, now: Utc::now() }
    }

    /// A slave, with what it holds of some of the projects.
    fn view(&self, shown: Shown, projects: Range<usize>) -> NodeView {
        let is_current = |entry: &Arc<Entry>| {
            let held = same(shown.holdings.get(&entry.project.id), entry, self.nodes.history());
            held.and_then(|held| held.generation).unwrap_or(0) >= entry.standing.generation
        };
        let current = self.projects.iter().all(is_current);
        let entries = self.projects.get(projects).unwrap_or_default();
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

    fn held(&self, shown: &Shown, entry: &Entry) -> HeldView {
        let (id, generation) = (&entry.project.id, entry.standing.generation);
        let holding = same(shown.holdings.get(id), entry, self.nodes.history());
        let held = holding.and_then(|holding| holding.generation);
        let told = holding.and_then(|holding| holding.told);
        // Of what a node of 2014 was told, it has not reported anything yet.
        let ended = holding.filter(|holding| holding.state.parse::<scheduler::Outcome>().is_ok());
        let reported = holding.filter(|holding| ended.is_some() || holding.plan.is_some());
        let lag = self.nodes.times().lag(entry, held);
        // While it has the newest generation, its copy is as old as ours; else as old as the one that it has.
        let as_of = match held {
            Some(held) if lag.generations > 0 => self.nodes.times().at(entry, held),
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
    nodes(&app)?.remove(&app.gate.accounts, &id, AccountRequest::noted(&actor, line)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn sync(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    TextInPath(id): TextInPath,
) -> Result<(StatusCode, Json<NodeView>), Problem> {
    let line = audit::line(&actor, "node.sync", &id, None, None);
    nodes(&app)?.wish(&app.gate.accounts, &id, AccountRequest::noted(&actor, line)).await?;
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
    let request = AccountRequest::noted(&actor, line);
    nodes.approve(accounts, &id, &project, query.plan.as_deref(), &actor.name, request).await?;
    let Json(view) = show(State(app), TextInPath(id)).await?;
    Ok((StatusCode::ACCEPTED, Json(view)))
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
