//! Slaves: added, listed, removed, and what they report.

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use engine::Source;
use scheduler::ProjectId;
use scheduler::account::Node;
use serde_json::{Value, json};

use super::input::{given, required};
use super::projects::named;
use crate::app::App;
use crate::audit;
use crate::auth::Actor;
use crate::auth::accounts::AccountRequest;
use crate::problem::Problem;
use crate::routes::nodes::nodes;

pub(super) async fn add(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    input: Body,
) -> Result<Json<Value>, Problem> {
    let given = given(&app, input).await?;
    let (hostname, port) = (required(&given, "hostname")?, required(&given, "port")?);
    check(&hostname, &port)?;
    let request = |node: &Node| {
        let after = json!({ "id": node.id, "hostname": &node.hostname, "port": &node.port });
        AccountRequest::noted(&actor, audit::line(&actor, "node.create", &node.hostname, None, Some(after)))
    };
    let nodes = nodes(&app)?;
    let added = nodes.add_old(&app.gate.accounts, hostname.clone(), port, request).await?;
    nodes.look(&app.scheduler);
    let details = if added { "Added to cluster" } else { "Already added" };
    Ok(Json(json!({ "method": "add_slave", "success": true, "hostname": hostname, "details": details })))
}

/// Whether that can be an address.
fn check(hostname: &str, port: &str) -> Result<(), Problem> {
    let wrong = |field: &str, why: &str| Err(Problem::bad_request(format!("{field}: {why}")));
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let Some(number) = port.parse::<u16>().ok().filter(|port| digits && *port > 0) else {
        return wrong("port", "must be 1 to 65535");
    };
    match Source::new(None, hostname, number, "module", "") {
        Ok(_) => Ok(()),
        Err(_) => wrong("hostname", "must be a host name (letters, digits, - and dots) or an IP address"),
    }
}

pub(super) async fn list(State(app): State<App>) -> Json<Vec<Value>> {
    let nodes = app.gate.accounts.nodes();
    let view = |node: Node| json!({ "id": node.id, "hostname": node.hostname, "port": node.port });
    Json(nodes.into_iter().map(view).collect())
}

pub(super) async fn remove(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    input: Body,
) -> Result<Json<Value>, Problem> {
    let hostname = required(&given(&app, input).await?, "hostname")?;
    let line = audit::line(&actor, "node.delete", &hostname, None, None);
    let removed =
        nodes(&app)?.remove_old(&app.gate.accounts, &hostname, AccountRequest::noted(&actor, line)).await?;
    let details = if removed { "Found and deleted" } else { "" };
    Ok(Json(json!({ "method": "remove_slave", "success": true, "details": details })))
}

/// A slave says that it holds a project now.
pub(super) async fn report(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    input: Body,
) -> Result<Json<Value>, Problem> {
    let given = given(&app, input).await?;
    let (slave, project) = (required(&given, "slave_id")?, required(&given, "project")?);
    let node = app.gate.accounts.nodes().into_iter().find(|node| node.id.to_string() == slave);
    let node = node.ok_or_else(|| Problem::not_found(format!("there is no slave {slave}")))?;
    if actor.node().is_some_and(|name| node.member.as_ref() != Some(name)) {
        return Err(Problem::forbidden(format!(
            "slave {slave} is another one: a slave reports for itself only"
        )));
    }
    let project = told(&app, &project)?;
    let after = json!({ "slave": &node.hostname });
    let line = audit::line(&actor, "node.synced", project.as_str(), None, Some(after));
    let request = AccountRequest::noted(&actor, line);
    nodes(&app)?.report_old(&app.gate.accounts, &node, &project, request).await?;
    tracing::info!(%project, slave = node.hostname, "a slave reports that it has synced");
    Ok(Json(json!({ "method": "slave_rsync_complete", "success": true })))
}

/// The project that a slave means: it was told the name of the tree.
fn told(app: &App, name: &str) -> Result<ProjectId, Problem> {
    let projects = app.scheduler.board().projects();
    let mut trees = projects.iter().filter(|entry| entry.project.place.file_name() == Some(name.as_ref()));
    match (trees.next(), trees.next()) {
        (Some(tree), None) => Ok(tree.project.id.clone()),
        _ => named(app, name),
    }
}
