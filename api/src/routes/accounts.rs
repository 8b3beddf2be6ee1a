//! Users, tokens, and the audit trail.

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use engine::Secret;
use engine::secret::LONGEST_PASSWORD;
use scheduler::ProjectId;
use scheduler::account::{AuditEntry, Role, Scope, Token, UserName};
use scheduler::project::ProjectLife;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::input::{Asked, TextInPath, cursor, json, page_size};
use crate::app::App;
use crate::audit;
use crate::auth::accounts::{AccountError, AccountRequest, PasswordLogin, TokenRequest, family};
use crate::auth::{Actor, Power, Refused};
use crate::draft::fields::Fields;
use crate::http::body;
use crate::problem::{FieldError, Problem};
use crate::view::{Page, time};

/// A user as clients see it.
#[derive(Debug, Serialize)]
pub(super) struct UserView {
    name: String,
    role: &'static str,
    created: Option<String>,
}

pub(super) async fn users(State(app): State<App>) -> Json<Page<UserView>> {
    let view = |(name, role, created): (String, Role, Option<DateTime<Utc>>)| UserView {
        name,
        role: role.as_str(),
        created: created.map(time),
    };
    Json(Page { items: app.gate.accounts.users().into_iter().map(view).collect(), next: None })
}

pub(super) async fn add_user(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    input: Body,
) -> Result<Response, Problem> {
    let input = json(&body(input, app.max_body).await?)?;
    let mut fields = Fields::root(&input);
    let name: Option<UserName> = parsed(&mut fields, "name");
    let role: Option<Role> = parsed(&mut fields, "role");
    let password = fields.required_text("password").map(Secret::new);
    let errors = fields.finish();
    let (Some(name), Some(role), Some(password), true) = (name, role, password, errors.is_empty()) else {
        return Err(Problem::invalid(errors));
    };
    let after = json!({ "name": name.as_str(), "role": role.as_str() });
    let line = audit::line(&actor, "user.create", name.as_str(), None, Some(after.clone()));
    let location = format!("/api/v1/users/{name}");
    let request = AccountRequest::noted(&actor, line);
    app.gate.accounts.add_user(name, role, password, request).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(after)).into_response())
}

pub(super) async fn remove_user(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    TextInPath(name): TextInPath,
) -> Result<StatusCode, Problem> {
    let line = audit::line(&actor, "user.delete", &name, None, None);
    app.gate.accounts.remove_user(&name, AccountRequest::noted(&actor, line)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn set_password(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    TextInPath(name): TextInPath,
    input: Body,
) -> Result<StatusCode, Problem> {
    let own = actor.name == name;
    if actor.token().is_some() {
        return Err(Problem::forbidden(
            "a token changes no password: sign in with a user name and a password",
        ));
    }
    if !own && !actor.is_root() {
        return Err(Problem::forbidden("only root may change another user's password"));
    }

    let input = json(&body(input, app.max_body).await?)?;
    let mut fields = Fields::root(&input);
    let password = fields.required_text("password").map(Secret::new);
    let old = fields.text("old_password", LONGEST_PASSWORD).filter(|old| !old.is_empty());
    let errors = fields.finish();
    let (Some(password), true) = (password, errors.is_empty()) else { return Err(Problem::invalid(errors)) };
    if own {
        prove_old(&app, &actor, old.map(Secret::new)).await?;
    }

    let line = audit::line(&actor, "user.password", &name, None, None);
    app.gate.accounts.set_password(&name, password, AccountRequest::noted(&actor, line)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Checks that whoever changes their own password knows the one that they have: a screen that was left open is not
/// enough.
async fn prove_old(app: &App, actor: &Actor, old: Option<Secret>) -> Result<(), Problem> {
    let refused = |why: &str| Problem::forbidden_field("old_password", why);
    let Some(old) = old else {
        return Err(refused("is missing: give the password that you have now"));
    };
    let login = PasswordLogin { name: &actor.name, password: old.expose(), from: actor.from };
    match app.gate.prove(login).await {
        Ok(_) => Ok(()),
        Err(Refused::TooMany(wait)) => Err(Problem::too_many(wait)),
        Err(Refused::Unknown) => Err(refused("is not the password that you have now")),
    }
}

/// A token as clients see it; its text only where it was made.
#[derive(Debug, Serialize)]
pub(super) struct TokenView {
    id: String,
    name: String,
    scope: Value,
    owner: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    created: String,
    expires: Option<String>,
    last_used: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl TokenView {
    fn of(token: &Token, text: Option<&Secret>) -> Self {
        Self {
            id: token.id.clone(),
            name: token.name.clone(),
            scope: match &token.scope {
                Scope::Role(role) => json!({ "role": role.as_str() }),
                Scope::Start(project, _) => json!({ "start": project.as_str() }),
                Scope::Node(name) => json!({ "node": name.as_str() }),
            },
            owner: token.owner.to_string(),
            parent: token.parent.clone(),
            created: time(token.created),
            expires: token.expires.map(time),
            last_used: token.last_used.map(time),
            token: text.map(|text| text.expose().to_owned()),
        }
    }
}

pub(super) async fn tokens(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
) -> Json<Page<TokenView>> {
    let tokens = reachable(&app, &actor);
    Json(Page { items: tokens.iter().map(|token| TokenView::of(token, None)).collect(), next: None })
}

/// The tokens that an actor may see and end. With all the power of a user: those of that user; root's whole power reaches
/// everybody's, and those of slaves. With less: the actor's own token, and those that were made with it.
fn reachable(app: &App, actor: &Actor) -> Vec<Token> {
    let mut tokens = app.gate.accounts.tokens();
    if actor.is_root() {
        return tokens;
    }
    match actor.token().filter(|_| !actor.has_whole_power()) {
        Some(id) => family(tokens, id),
        None => {
            tokens
                .retain(|token| token.owner.as_str() == actor.name && !matches!(token.scope, Scope::Node(_)));
            tokens
        }
    }
}

pub(super) async fn make_token(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    input: Body,
) -> Result<Response, Problem> {
    let input = json(&body(input, app.max_body).await?)?;
    let mut fields = Fields::root(&input);
    let name = fields.text("name", 200).unwrap_or_default();
    let role: Option<Role> = fields.given_text("role").then(|| parsed(&mut fields, "role")).flatten();
    let start: Option<ProjectId> = fields.given_text("start").then(|| parsed(&mut fields, "start")).flatten();
    let lifetime = fields.duration("expires_in");
    let scope = match (role, start) {
        (Some(_), Some(_)) => {
            fields.error("start", "gives two scopes at once: keep one of `role` and `start`");
            None
        }
        (Some(role), None) => Some(Scope::Role(role)),
        (None, Some(project)) => match app.scheduler.board().project(&project) {
            Some(entry) => Some(Scope::Start(project, ProjectLife::of(&entry.project))),
            None => {
                fields.error("start", format!("there is no project `{project}`"));
                None
            }
        },
        (None, None) => own_role(&actor).map(Scope::Role),
    };
    let errors = fields.finish();
    let (Some(scope), true) = (scope, errors.is_empty()) else { return Err(Problem::invalid(errors)) };
    may_give(&app, &actor, &scope)?;
    let expires = lifetime
        .and_then(|lifetime| Utc::now().checked_add_signed(chrono::Duration::from_std(lifetime).ok()?));
    let owner: UserName = actor.name.parse().map_err(|_| Problem::internal(&"an actor without a name"))?;
    let request = |token: &Token| {
        let after = serde_json::to_value(TokenView::of(token, None)).ok();
        AccountRequest::noted(&actor, audit::line(&actor, "token.create", &token.id, None, after))
    };
    let parent = actor.token().map(str::to_owned);
    let wanted = TokenRequest { name, scope, owner, parent, expires };
    let (token, text) = app.gate.accounts.make_token(wanted, request).await?;
    let location = format!("/api/v1/tokens/{}", token.id);
    let view = TokenView::of(&token, Some(&text));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)).into_response())
}

/// Nobody gives what they do not have.
fn may_give(app: &App, actor: &Actor, scope: &Scope) -> Result<(), Problem> {
    match scope {
        Scope::Role(role) if own_role(actor).is_some_and(|own| *role <= own) => Ok(()),
        Scope::Role(_) => Err(Problem::forbidden("a token can do no more than the one who makes it")),
        Scope::Node(_) => Err(Problem::forbidden("a slave gets its token when it joins")),
        Scope::Start(id, life) => {
            let entry = app.scheduler.board().project(id).filter(|entry| life.is_of(&entry.project));
            match entry.is_some_and(|entry| actor.may_change(&entry.project)) {
                true => Ok(()),
                false => Err(Problem::forbidden("only the owner of a project may let others start it")),
            }
        }
    }
}

/// The role that an actor has.
pub(super) fn own_role(actor: &Actor) -> Option<Role> {
    match actor.power {
        Power::Role(role) => Some(role),
        Power::Start(..) | Power::Node(_) => None,
    }
}

pub(super) async fn revoke(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    TextInPath(id): TextInPath,
) -> Result<StatusCode, Problem> {
    if !reachable(&app, &actor).iter().any(|token| token.id == id) {
        let tokens = app.gate.accounts.tokens();
        // Another user's token is no business of theirs, not even whether it is there.
        return Err(match tokens.iter().any(|token| token.id == id && token.owner.as_str() == actor.name) {
            true => Problem::forbidden(
                "a token with less power than its owner ends only itself, and those that were made with it",
            ),
            false => Problem::not_found(format!("there is no token `{id}`")),
        });
    }
    let line = audit::line(&actor, "token.delete", &id, None, None);
    app.gate.accounts.revoke(&id, AccountRequest::noted(&actor, line)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// A line of the audit trail as clients see it.
#[derive(Debug, Serialize)]
pub(super) struct AuditView {
    id: String,
    at: String,
    by: String,
    from: Option<String>,
    action: String,
    target: String,
    before: Option<Value>,
    after: Option<Value>,
}

pub(super) async fn audit(
    State(app): State<App>,
    Asked(query): Asked<AuditQuery>,
) -> Result<Json<Page<AuditView>>, Problem> {
    let limit = page_size(query.limit)?;
    let before: Option<u128> = cursor(query.cursor.as_deref())?;
    let found = tokio::task::spawn_blocking(move || app.scheduler.store().audit(before, limit)).await;
    let found = found.map_err(|error| Problem::internal(&error))?.map_err(Problem::from)?;
    let next = (found.len() == limit).then(|| found.last().map(|line| line.id.to_string())).flatten();
    let view = |line: AuditEntry| AuditView {
        id: line.id.to_string(),
        at: time(line.at),
        by: line.by,
        from: line.from,
        action: line.action,
        target: line.target,
        before: line.before,
        after: line.after,
    };
    Ok(Json(Page { items: found.into_iter().map(view).collect(), next }))
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(fields: &mut Fields<'_>, key: &str) -> Option<T> {
    let text = fields.required_text(key)?;
    text.parse().map_err(|error: T::Err| fields.error(key, error.to_string())).ok()
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match &error {
            AccountError::Exists(_) | AccountError::Tokens(_) | AccountError::Forbidden(_) => {
                Self::conflict(error.to_string())
            }
            AccountError::Unknown(_) => Self::not_found(error.to_string()),
            AccountError::Length | AccountError::Password(_) => {
                Self::invalid(vec![FieldError::new("password", error.to_string())])
            }
            AccountError::Ended => Self::unauthorized(),
            AccountError::Store(_) => Self::insufficient_storage(error.to_string()),
            AccountError::Hash | AccountError::File(_) | AccountError::Environment(_) => {
                Self::internal(&error)
            }
        }
    }
}
