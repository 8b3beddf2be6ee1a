//! Signing in at the page: a session in a cookie, for browsers.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json};
use engine::Secret;
use serde::Serialize;

use super::accounts::own_role;
use super::input::json;
use super::{Access, Answer, Route, changes, shows};
use crate::app::App;
use crate::auth::sessions::{COOKIE, is_from_page};
use crate::auth::{Actor, Refused};
use crate::draft::fields::Fields;
use crate::http::{RequestOrigin, body};
use crate::problem::Problem;

pub(super) fn rows() -> Vec<Route> {
    vec![
        Route {
            access: Access::Open,
            body: Some("SessionInput"),
            answer: (201, Answer::Json("Session")),
            errors: &[400, 401, 403, 408, 413, 422, 429],
            ..changes("post", "/api/v1/session", "sign in at the page: sets a cookie", || post(sign_in))
        },
        Route {
            answer: (200, Answer::Json("Session")),
            ..shows("get", "/api/v1/session", "who is asking", || get(show))
        },
        changes("delete", "/api/v1/session", "sign out", || delete(sign_out)),
    ]
}

/// Who is signed in.
#[derive(Debug, Serialize)]
struct SessionView {
    user: String,
    role: Option<&'static str>,
}

impl SessionView {
    fn of(actor: &Actor) -> Self {
        Self { user: actor.name.clone(), role: own_role(actor).map(scheduler::account::Role::as_str) }
    }
}

async fn sign_in(
    State(app): State<App>,
    Extension(origin): Extension<RequestOrigin>,
    headers: HeaderMap,
    input: Body,
) -> Result<Response, Problem> {
    // Without it another site could sign a visitor in as somebody of its own.
    if !is_from_page(&headers) {
        return Err(Problem::forged());
    }
    let input = json(&body(input, app.max_body).await?)?;
    let mut fields = Fields::root(&input);
    let name = fields.required_text("user");
    let password = fields.required_text("password").map(Secret::new);
    let errors = fields.finish();
    let (Some(name), Some(password), true) = (name, password, errors.is_empty()) else {
        return Err(Problem::invalid(errors));
    };
    match app.gate.sign_in(&name, password, Some(origin.address)).await {
        Ok((actor, cookie)) => {
            let cookie = [(header::SET_COOKIE, set(&origin, cookie.expose(), ""))];
            Ok((StatusCode::CREATED, cookie, Json(SessionView::of(&actor))).into_response())
        }
        Err(Refused::TooMany(wait)) => Err(Problem::too_many(wait)),
        Err(Refused::Unknown) => Err(Problem::unauthorized()),
    }
}

async fn show(Extension(actor): Extension<Actor>) -> Json<SessionView> {
    Json(SessionView::of(&actor))
}

async fn sign_out(
    State(app): State<App>,
    Extension(origin): Extension<RequestOrigin>,
    headers: HeaderMap,
) -> Response {
    app.gate.sign_out(&headers);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, set(&origin, "", "; Max-Age=0"))]).into_response()
}

/// The cookie as a header. It never leaves HTTPS where there is HTTPS, be it a proxy's.
fn set(origin: &RequestOrigin, value: &str, more: &str) -> String {
    let secure = if origin.is_https { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}")
}
