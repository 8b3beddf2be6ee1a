//! What happens, as Server-Sent Events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! A client that comes back with `Last-Event-ID` gets what it missed. Where that is no longer kept, or the client was
//! too slow, a `resync` event says so: read the state afresh.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use scheduler::{Event, EventKind};
use serde::Deserialize;
use tokio::sync::broadcast::{self, error::RecvError};

use super::input::Asked;
use crate::app::App;
use crate::problem::Problem;
use crate::view;

/// How often a quiet stream says that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    project: Option<String>,
    types: Option<String>,
}

/// What a watcher wants to hear.
struct Filter {
    project: Option<String>,
    types: Option<Vec<String>>,
}

/// A watcher's place in the stream.
struct Place {
    waiting: VecDeque<Said>,
    live: broadcast::Receiver<Arc<Event>>,
    filter: Filter,
}

enum Said {
    Event(Arc<Event>),
    Resync,
}

pub(super) async fn events(
    State(app): State<App>,
    Asked(query): Asked<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let filter = Filter { project: query.project, types: types(query.types.as_deref())? };
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let subscription = app.scheduler.events().subscribe(last);
    let gap = subscription.gap.then_some(Said::Resync);
    let missed = subscription.missed.into_iter().map(Said::Event);
    let place = Place { waiting: gap.into_iter().chain(missed).collect(), live: subscription.live, filter };
    let stop = app.stop.clone();
    let stream = stream::unfold(place, next).map(Ok::<_, Infallible>).take_until(stop.cancelled_owned());
    let sse = Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE));
    let headers = [(header::CACHE_CONTROL, "no-store"), (HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((headers, sse).into_response())
}

/// The types that a client names; an unknown one would silence it for ever.
fn types(given: Option<&str>) -> Result<Option<Vec<String>>, Problem> {
    let Some(given) = given else { return Ok(None) };
    let types: Vec<String> =
        given.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if types.is_empty() {
        return Ok(None);
    }
    match types.iter().find(|name| !EventKind::TYPES.contains(&name.as_str())) {
        Some(unknown) => Err(Problem::bad_request(format!(
            "`types` names `{unknown}`: known are {}",
            EventKind::TYPES.join(", ")
        ))),
        None => Ok(Some(types)),
    }
}

async fn next(mut place: Place) -> Option<(sse::Event, Place)> {
    loop {
        let said = match place.waiting.pop_front() {
            Some(said) => said,
            None => match place.live.recv().await {
                Ok(event) => Said::Event(event),
                Err(RecvError::Lagged(_)) => Said::Resync,
                Err(RecvError::Closed) => return None,
            },
        };
        match said {
            Said::Resync => {
                let event = sse::Event::default().event("resync").data("{\"type\":\"resync\"}");
                return Some((event, place));
            }
            Said::Event(event) if place.filter.wants(&event) => return Some((written(&event), place)),
            Said::Event(_) => {}
        }
    }
}

impl Filter {
    fn wants(&self, event: &Event) -> bool {
        self.project
            .as_ref()
            .is_none_or(|wanted| event.project.as_ref().is_some_and(|id| id.as_str() == wanted))
            && self.types.as_ref().is_none_or(|types| types.iter().any(|name| name == event.kind.as_str()))
    }
}

fn written(event: &Event) -> sse::Event {
    let written = sse::Event::default().id(event.id.to_string()).event(event.kind.as_str());
    let data = serde_json::to_string(&view::event(event)).unwrap_or_default();
    written.data(data)
}
