//! Users and tokens.

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use chrono::{TimeDelta, Utc};
use engine::Secret;
use scheduler::account::{Role, Scope, Token, UserName};
use serde_json::{Value, json};

use super::input::{given, required, text};
use crate::app::App;
use crate::audit;
use crate::auth::Actor;
use crate::auth::accounts::{AccountError, AccountRequest, TokenRequest};
use crate::problem::Problem;
use crate::routes::accounts::own_role;

/// How long a token is good; in 2014 it was 600 seconds.
const TOKEN_LASTS: TimeDelta = TimeDelta::hours(1);

pub(super) async fn add(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    input: Body,
) -> Result<Json<Value>, Problem> {
    let given = given(&app, input).await?;
    let wrong = |field: &'static str, why: String| Problem::bad_request(format!("{field}: {why}"));
    let name = required(&given, "username")?;
    let name: UserName =
        name.parse().map_err(|error: scheduler::account::NotAName| wrong("username", error.to_string()))?;
    let password = Secret::new(required(&given, "password")?);
    let role = match text(&given, "role")? {
        None => Role::UpstreamUser,
        Some(role) => {
            role.parse().map_err(|error: scheduler::account::NotARole| wrong("role", error.to_string()))?
        }
    };
    let after = json!({ "name": name.as_str(), "role": role.as_str() });
    let line = audit::line(&actor, "user.create", name.as_str(), None, Some(after));
    let answer = json!({ "username": name.as_str() });
    match app.gate.accounts.add_user(name, role, password, AccountRequest::noted(&actor, line)).await {
        Ok(()) => Ok(Json(answer)),
        // Not a conflict: old clients look for this status.
        Err(error @ AccountError::Exists(_)) => Err(Problem::bad_request(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn list(State(app): State<App>) -> Json<Vec<Value>> {
    let users = app.gate.accounts.users();
    Json(
        users.into_iter().map(|(name, role, _)| json!({ "username": name, "role": role.as_str() })).collect(),
    )
}

/// A token that may what its bearer may, for an hour.
pub(super) async fn token(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
) -> Result<Json<Value>, Problem> {
    let role =
        own_role(&actor).ok_or_else(|| Problem::forbidden("a token for one project makes no others"))?;
    let owner: UserName = actor.name.parse().map_err(|_| Problem::internal(&"an actor without a name"))?;
    let expires = Utc::now() + TOKEN_LASTS;
    let request = |token: &Token| {
        let after = json!({ "name": &token.name, "scope": { "role": role.as_str() } });
        AccountRequest::noted(&actor, audit::line(&actor, "token.create", &token.id, None, Some(after)))
    };
    let wanted = TokenRequest {
        name: "get_token".to_owned(),
        scope: Scope::Role(role),
        owner,
        parent: actor.token().map(str::to_owned),
        expires: Some(expires),
    };
    let (_, text) = app.gate.accounts.make_token(wanted, request).await?;
    Ok(Json(json!({ "token": text.expose() })))
}

pub(super) async fn test() -> Json<Value> {
    Json(json!({ "success": true }))
}
