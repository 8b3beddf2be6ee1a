//! `POST /api/v1/probe`: what an upstream says of itself.

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use engine::Secret;
use engine::secret::LONGEST_PASSWORD;
use scheduler::Command;
use serde_json::Value;

use super::input::json;
use super::projects::noted;
use crate::app::App;
use crate::audit;
use crate::auth::Actor;
use crate::draft::{self, fields::Fields};
use crate::http::body;
use crate::probe::{self, ProbeView, Target};
use crate::problem::Problem;

pub(super) async fn ask(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    input: Body,
) -> Result<Json<ProbeView>, Problem> {
    let input = json(&body(input, app.max_body).await?)?;
    let ProbeRequest { target, password, forget } = read(&input)?;
    let own = probe::user_slot(&app.gate.probes, &actor.name)?;
    let mut found = probe::ask(own, &target, password.as_ref()).await?;
    if forget {
        let (Target::Module(source) | Target::Host(source)) = target;
        let line = audit::line(&actor, "upstream.forget", source.host(), None, None);
        let command = Command::ForgetUpstream { source: Box::new(source) };
        if let scheduler::Answer::Forgotten(projects) = noted(&app, &actor, command, line).await? {
            found.forgotten = Some(projects);
        }
    }
    Ok(Json(found))
}

/// Request for a probe.
struct ProbeRequest {
    target: Target,
    password: Option<Secret>,
    /// Set to forget what the upstream refused before.
    forget: bool,
}

fn read(input: &Value) -> Result<ProbeRequest, Problem> {
    let host = input["source"].as_str().and_then(host_alone);
    let mut fields = Fields::root(input);
    let forget = fields.bool("forget").unwrap_or_default();
    let password = fields.text("password", LONGEST_PASSWORD).filter(|password| !password.is_empty());
    let password = password.map(|password| Secret::new(password.as_str()));
    if let Some(source) = host {
        fields.pass_over(&["source"]);
        let errors = fields.finish();
        return if errors.is_empty() {
            Ok(ProbeRequest { target: Target::Host(source), password: None, forget })
        } else {
            Err(Problem::invalid(errors))
        };
    }
    let (source, inner) = draft::source(&mut fields, None, None);
    if source.as_ref().is_some_and(|source| source.command_name().is_some()) {
        fields.error("source", "is a command: only rsync daemons can be asked");
    }
    let errors = fields.finish();
    match source {
        Some(source) if errors.is_empty() => {
            let password = password.or(inner);
            Ok(ProbeRequest { target: Target::Module(source), password, forget })
        }
        _ => Err(Problem::invalid(errors)),
    }
}

/// `rsync://host`, which names no module.
fn host_alone(text: &str) -> Option<engine::Source> {
    let authority = text.strip_prefix("rsync://")?.trim_end_matches('/');
    // A source has a module; which one does not matter where none is entered.
    (!authority.contains('/')).then(|| format!("rsync://{authority}/modules").parse().ok())?
}
