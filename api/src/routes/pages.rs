//! The dashboard's files. They hold no data, so everybody may have them; what they show, they ask the API for.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::input::TextInPath;
use super::{Access, Answer, Route, row};
use crate::app::App;
use crate::dashboard::{self, File, POLICY};
use crate::problem::Problem;

pub(super) fn rows() -> Vec<Route> {
    vec![
        Route {
            access: Access::Open,
            answer: (200, Answer::Media(&["text/html"])),
            ..row("get", "/", "the dashboard", || get(page))
        },
        Route {
            access: Access::Open,
            answer: (200, Answer::Media(&["text/javascript", "text/css", "image/svg+xml"])),
            errors: &[404],
            ..row("get", "/assets/{file}", "a file of the dashboard", || get(asset))
        },
    ]
}

async fn page(State(app): State<App>, headers: HeaderMap) -> Response {
    answer(&app, &dashboard::PAGE, &headers)
}

async fn asset(
    State(app): State<App>,
    TextInPath(name): TextInPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let file = dashboard::FILES.iter().find(|file| file.name == name);
    let file = file.ok_or_else(|| Problem::not_found(format!("there is no file `{name}`")))?;
    Ok(answer(&app, file, &headers))
}

/// A file, or the word that the browser has it: it asks each time, so that an update shows at once.
fn answer(app: &App, file: &File, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}-{}\"", env!("CARGO_PKG_VERSION"), app.started.timestamp_millis());
    let kept = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    let guarded = [
        (header::CONTENT_TYPE, file.kind),
        (HeaderName::from_static("content-security-policy"), POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (kept, guarded, file.text).into_response()
}
