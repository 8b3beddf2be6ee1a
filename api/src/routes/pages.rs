//! The dashboard's files. They hold no data, so everybody may have them; what they show, they ask the API for.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{Access, Answer, Route, shows};
use crate::dashboard::POLICY;
use crate::dashboard::served::{Packed, served};
use crate::problem::Problem;

/// A file of a version never changes.
const KEPT: &str = "public, max-age=31536000, immutable";

pub(super) fn rows() -> Vec<Route> {
    vec![
        Route {
            access: Access::Open,
            answer: (200, Answer::Media(&["text/html"])),
            ..shows("get", "/", "the dashboard", || get(page))
        },
        Route {
            access: Access::Open,
            answer: (200, Answer::Media(&["text/javascript", "text/css", "image/svg+xml"])),
            errors: &[404],
            ..shows("get", "/assets/{version}/{file}", "a file of the dashboard", || get(asset))
        },
    ]
}

async fn page(headers: HeaderMap) -> Response {
    let served = served();
    let tag = format!("\"{}\"", served.version);
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    // The browser asks each time, so that an update shows at once. It takes the policy of the last answer, whatever that is.
    let guarded = [
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("content-security-policy"), POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    let answer =
        if known { StatusCode::NOT_MODIFIED.into_response() } else { packed(&served.page, &headers) };
    ([(header::ETAG, tag)], guarded, answer).into_response()
}

async fn asset(
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let served = served();
    let file = path.ok().filter(|path| path.0.0 == served.version).and_then(|path| served.file(&path.0.1));
    let file = file.ok_or_else(|| Problem::not_found("the dashboard of this version has no such file"))?;
    Ok(([(header::CACHE_CONTROL, KEPT)], packed(file, &headers)).into_response())
}

/// A file in the form that the browser takes.
fn packed(file: &Packed, headers: &HeaderMap) -> Response {
    let taken = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut taken = taken.flat_map(|value| value.split(',')).map(|one| one.trim().replace(' ', ""));
    let about = [(header::CONTENT_TYPE, file.kind), (header::VARY, "accept-encoding")];
    if taken.any(|one| one == "gzip" || one.starts_with("gzip;") && !one.ends_with("q=0")) {
        return (about, [(header::CONTENT_ENCODING, "gzip")], file.gzip.clone()).into_response();
    }
    (about, file.plain.clone()).into_response()
}
