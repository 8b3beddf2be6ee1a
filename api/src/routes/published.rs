//! What other machines read without being users: metrics, the status documents of mirror sites, badges.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use chrono::Utc;
use http_body_util::BodyExt;
use scheduler::ProjectId;
use serde_json::Value;

use super::input::{InPath, no_project};
use super::{Access, Answer, Route, shows};
use crate::app::App;
use crate::auth::Actor;
use crate::config::Site;
use crate::metrics::{CONTENT_TYPE, read};
use crate::problem::Problem;
use crate::view::{Published, atom, badge};

pub(super) fn rows() -> Vec<Route> {
    vec![
        Route {
            access: Access::Metrics,
            answer: (200, Answer::Text),
            errors: &[401, 403, 429, 503],
            ..shows("get", "/metrics", "the site as Prometheus reads it", || get(metrics))
        },
        Route {
            access: Access::Status,
            answer: (200, Answer::Json("Object")),
            errors: &[401, 403, 429],
            ..shows("get", "/status.json", "how each project stands, for everybody", || get(status))
        },
        Route {
            access: Access::Status,
            answer: (200, Answer::Json("TunasyncJobs")),
            errors: &[401, 403, 429],
            ..shows("get", "/status/tunasync.json", "the same in the form of tunasync", || get(tunasync))
        },
        Route {
            access: Access::Status,
            answer: (200, Answer::Json("Object")),
            errors: &[401, 403, 429],
            ..shows("get", "/status/mirrorz.json", "the same in the form of MirrorZ 1.7", || get(mirrorz))
        },
        Route {
            access: Access::Status,
            answer: (200, Answer::Media(&["application/atom+xml"])),
            errors: &[401, 403, 429],
            ..shows("get", "/feed.atom", "what changes with the projects, as an Atom feed", || get(feed))
        },
        Route {
            access: Access::Status,
            answer: (200, Answer::Media(&["image/svg+xml"])),
            errors: &[401, 403, 404, 429],
            ..shows("get", "/status/badge/{id}", "a picture of how one project stands", || get(picture))
        },
    ]
}

async fn metrics(State(app): State<App>, actor: Option<Extension<Actor>>) -> Result<Response, Problem> {
    let mut text = Body::from_stream(read(&app).await?);

    // A stranger who reads slowly would keep a turn from others. Its text is made whole, and counts for its network.
    if actor.is_none() {
        let whole = text.collect().await.map_err(|error| Problem::internal(&error))?;
        text = Body::from(whole.to_bytes());
    }
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

async fn status(State(app): State<App>) -> Result<Response, Problem> {
    document(&app, "status", Published::status).await
}

async fn tunasync(State(app): State<App>) -> Result<Response, Problem> {
    document(&app, "tunasync", |published, _| published.tunasync()).await
}

async fn mirrorz(State(app): State<App>) -> Result<Response, Problem> {
    document(&app, "mirrorz", Published::mirrorz).await
}

async fn picture(
    State(app): State<App>,
    InPath(id): InPath<ProjectId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let published = Published::of_project(app.scheduler.board(), &id, Utc::now());
    let picture = published.and_then(|published| badge(&published, id.as_str()));
    let picture = picture.ok_or_else(|| no_project(id.as_str()))?;
    Ok(tagged(&headers, "image/svg+xml", picture))
}

async fn feed(State(app): State<App>, headers: HeaderMap) -> Response {
    let text = atom(&app.alerts.feed(), &app.reloader.site());
    tagged(&headers, "application/atom+xml", text)
}

/// A document that is sent only to whoever does not have it already.
fn tagged(headers: &HeaderMap, kind: &'static str, text: String) -> Response {
    let tag = format!("\"{:x}\"", crc(&text));
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let fresh = [(header::ETAG, tag), (header::CACHE_CONTROL, "no-cache".to_owned())];
    match known {
        true => (StatusCode::NOT_MODIFIED, fresh).into_response(),
        false => (fresh, [(header::CONTENT_TYPE, kind)], text).into_response(),
    }
}

/// A short name for a text.
fn crc(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// A document that pages of other sites may read: it holds no secret, and no cookie comes with their request. It is open
/// to everybody and names every project, so it is made once a second at most while nothing changes.
async fn document(
    app: &App,
    name: &'static str,
    make: impl FnOnce(&Published, &Site) -> Value + Send + 'static,
) -> Result<Response, Problem> {
    let (now, site, version) = (Utc::now(), app.reloader.site(), app.scheduler.board().version());
    let asked = format!("{name} {} {site:?}", now.timestamp());
    let made = match app.documents.get(&asked, version) {
        Some(made) => made,
        None => {
            let scheduler = app.scheduler.clone();
            let making = tokio::task::spawn_blocking(move || {
                make(&Published::of(scheduler.board(), now), &site).to_string()
            });
            let made = Bytes::from(making.await.map_err(|error| Problem::internal(&error))?);
            app.documents.keep(asked, version, made.clone());
            made
        }
    };
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    let everyone = [(HeaderName::from_static("access-control-allow-origin"), "*")];
    Ok((headers, everyone, made).into_response())
}
