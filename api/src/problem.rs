//! What a client is told when something is wrong: RFC 9457 `application/problem+json`.
//!
//! Only client and server errors can be built here. The `detail` is for people: what failed, why, what to do next.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use scheduler::permit::PermitDenial;
use scheduler::{Refusal, StoreError};
use serde::Serialize;

/// An error answer.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<FieldError>,
    /// After how many seconds to try again.
    retry_after: Option<u64>,
}

/// One wrong field of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where: `source.host`, `options.basic[2]`.
    pub field: String,
    /// What is wrong with it, and what to give instead.
    pub message: String,
}

impl FieldError {
    /// One wrong field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// The answer's body.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new(), retry_after: None }
    }

    /// 400: the request cannot be read.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: nobody is signed in.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "nobody is signed in, or the password is wrong: give a user and password (Authorization: Basic). The first user \
             is `root`; the first start printed the password, and wrote it to `root-password` in its data folder",
        )
    }

    /// 403: somebody is signed in, and may not do that.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 403: somebody is signed in, and does not prove in this field that they may do that.
    #[must_use]
    pub fn forbidden_field(field: &str, message: &str) -> Self {
        let detail = format!("{field} {message}; nothing was changed");
        Self { errors: vec![FieldError::new(field, message)], ..Self::forbidden(detail) }
    }

    /// 403: a session was used without the header that only our own page sends.
    #[must_use]
    pub fn forged() -> Self {
        Self::forbidden(
            "a session changes something only with the header `X-Heliostat: 1`, which no other site can send",
        )
    }

    /// 403: another site made a browser ask.
    #[must_use]
    pub fn foreign() -> Self {
        Self::forbidden(
            "another site made this browser ask (Sec-Fetch-Site, or Origin): nothing was changed. If this address is the \
             site's own, set `site.url` to it",
        )
    }

    /// 409: it cannot be done as things are.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 429: too much wrong was tried, or too much is tried at once.
    #[must_use]
    pub fn too_many(wait: std::time::Duration) -> Self {
        let seconds = wait.as_secs() + 1;
        let detail = format!("too many wrong logins, or too many at once: try again in {seconds} seconds");
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// 503: as much is on its way to strangers as they may have.
    #[must_use]
    pub fn busy() -> Self {
        let detail = "too much is on its way to clients that are not logged in: try again in a few seconds";
        Self { retry_after: Some(5), ..Self::unavailable(detail) }
    }

    /// 429: the user has as many answers that go on as one may have.
    #[must_use]
    pub fn too_many_streams() -> Self {
        let detail = "this user follows as many streams and logs at once as one may: close some";
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
    }

    /// 503: not now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// 507: it could not be made durable.
    pub fn insufficient_storage(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, detail)
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405: the address is right, the method is not.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "this address does not take this method: /openapi.json lists both",
        )
    }

    /// 408: the body did not come in time.
    #[must_use]
    pub fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")
    }

    /// 413: the body is too large.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes"))
    }

    /// 413: the whole list has more rows than one answer holds.
    #[must_use]
    pub fn too_many_rows(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the list has more than {limit} rows: ask page by page, with `limit` and `after`"),
        )
    }

    /// 422: the input can be read, and is wrong, in every field that is listed.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        let detail = format!("wrong input in {}; nothing was changed", fields.join(", "));
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    /// What is wrong, in one text for a client that reads no list of fields.
    #[must_use]
    pub fn note(&self) -> String {
        let errors: Vec<_> =
            self.errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
        if errors.is_empty() { self.detail.clone() } else { errors.join("; ") }
    }

    /// 500: an error of ours; what exactly stands in the log.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!("a request failed: {error}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "an error in heliostat itself: its log says more")
    }
}

impl From<StoreError> for Problem {
    /// Damage is said as it is, since a person has to act; anything else stands in the log.
    fn from(error: StoreError) -> Self {
        let problem = Self::internal(&error);
        match error {
            StoreError::Unreadable { .. } => Self { detail: error.to_string(), ..problem },
            _ => problem,
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::Denied(PermitDenial::LoginEnded) => return Self::unauthorized(),
            Refusal::Denied(PermitDenial::Forbidden(_)) => StatusCode::FORBIDDEN,
            Refusal::Exists(_) | Refusal::Busy(_) | Refusal::Unsettled(_) | Refusal::NoRun(_) => {
                StatusCode::CONFLICT
            }
            Refusal::NotHeld(_) | Refusal::Approved(..) | Refusal::OtherPlan(_) => StatusCode::CONFLICT,
            Refusal::NoProject(_) => StatusCode::NOT_FOUND,
            Refusal::Stale { .. } => StatusCode::PRECONDITION_FAILED,
            Refusal::Destination(error) => {
                return Self::invalid(vec![FieldError::new("dest", error.to_string())]);
            }
            Refusal::NotMoved { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Refusal::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Store(_) => StatusCode::INSUFFICIENT_STORAGE,
        };
        Self::new(status, refusal.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        };
        let mut response = (self.status, Json(body)).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"heliostat\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        // For whoever gives it another form on its way out.
        response.extensions_mut().insert(self);
        response
    }
}
