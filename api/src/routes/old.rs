//! The HTTP API of 2014 at the root, as a skin over the same core as `/api/v1`.
//!
//! The addresses, payloads and good answers are those that the clients of then know; `docs/api-2014.md` lists them
//! with what differs. Nothing is decided here: a payload becomes the document that `/api/v1` takes, and goes the same
//! way. Failures are [`Problem`]s like everywhere, and get their old form last, in [`shaped`].

mod change;
mod input;
mod projects;
mod rows;
mod settings;
mod slaves;
mod told;
mod users;

pub(super) use rows::rows;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;

use crate::problem::Problem;

/// A failure in the form of 2014: what was called, that it failed, and why. Its status stays truthful, among those
/// that old clients may know.
pub(crate) fn shaped(method: &'static str, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Some(problem) = parts.extensions.remove::<Problem>() else {
        return Response::from_parts(parts, body);
    };
    parts.status = match parts.status {
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        StatusCode::PRECONDITION_FAILED => StatusCode::CONFLICT,
        other => other,
    };
    let failure = json!({ "method": method, "success": false, "note": problem.note() });
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(parts, Body::from(failure.to_string()))
}
