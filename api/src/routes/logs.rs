//! A run's log: all of it, its end, or as it grows.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use scheduler::RunId;
use scheduler::journal::{Follow, tail};
use serde::Deserialize;

use super::input::{Asked, InPath};
use super::runs::known;
use crate::app::App;
use crate::problem::Problem;

/// How often a followed log is looked at.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    #[serde(default)]
    follow: bool,
    tail: Option<usize>,
}

/// A reader's place in the log.
struct Place {
    app: App,
    run: RunId,
    file: Follow,
    follow: bool,
    /// The run had ended before the last look, so what is read now is all.
    over: bool,
}

pub(super) async fn log(
    State(app): State<App>,
    InPath(run): InPath<RunId>,
    Asked(query): Asked<LogQuery>,
) -> Result<Response, Problem> {
    known(&app, run)?;
    let path = app.scheduler.journals().log(run);
    let start = match query.tail {
        Some(lines) => {
            let path = path.clone();
            let found = tokio::task::spawn_blocking(move || tail(&path, lines)).await;
            found.map_err(|error| Problem::internal(&error))?.map_err(|error| Problem::internal(&error))?
        }
        None => 0,
    };
    let place =
        Place { app, run, file: Follow::new(&path, start), follow: query.follow, over: !query.follow };
    let body = Body::from_stream(stream::try_unfold(place, next));
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, body).into_response())
}

async fn next(mut place: Place) -> Result<Option<(Bytes, Place)>, std::io::Error> {
    loop {
        let (back, read) = tokio::task::spawn_blocking(move || {
            let read = place.file.read();
            (place, read)
        })
        .await
        .map_err(std::io::Error::other)?;
        place = back;
        let chunk = read?;
        if !chunk.is_empty() {
            return Ok(Some((Bytes::from(chunk), place)));
        }
        if place.over {
            return Ok(None);
        }
        place.over = !place.follow || place.app.scheduler.board().run(place.run).is_none();
        if !place.over && place.app.stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_none() {
            return Ok(None);
        }
    }
}
