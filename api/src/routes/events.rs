//! What happens, as Server-Sent Events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! A client that comes back with `Last-Event-ID` gets what it missed. Where that is no longer kept, or the client was
//! too slow, a `resync` event says so: read the state afresh.
//!
//! An event is written once, whoever watches, and what happens within a short time reaches a watcher in one piece: with
//! hundreds of watchers, most of an event's cost would be the waking of their connections.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use engine::text;
use futures_util::{StreamExt, stream};
use scheduler::event::Subscription;
use scheduler::{Event, EventKind};
use serde::Deserialize;
use tokio::sync::broadcast::{
    self,
    error::{RecvError, TryRecvError},
};
use tokio::time::Instant;

use super::input::Asked;
use crate::app::App;
use crate::problem::Problem;
use crate::view;

/// How often a quiet stream says that it is alive.
const ALIVE: Duration = Duration::from_secs(15);
/// The comment that says so.
const ALIVE_TEXT: &str = ":\n\n";
/// What a watcher is told who missed events that are no longer kept.
const RESYNC_TEXT: &str = "event: resync\ndata: {\"type\":\"resync\"}\n\n";
/// Pause between two pieces of a stream; the first event after a quiet time is sent at once.
const PAUSE: Duration = Duration::from_millis(100);
/// Size in bytes from which a piece of a stream takes no further event.
const PIECE: usize = 64 << 10;

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
struct Watcher<F> {
    /// Begins anew behind the event of this number.
    subscribe: F,
    filter: Filter,
    waiting: VecDeque<Said>,
    live: broadcast::Receiver<Arc<Event>>,
    /// Number of the newest event that was taken, which tells what was missed by one who is too slow.
    last: u64,
    /// Time of the last piece.
    sent: Option<Instant>,
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
    let stop = app.stop.clone();
    let watcher = Watcher::new(move |last| app.scheduler.events().subscribe(last), filter, last);
    let pieces = stream::unfold(watcher, |mut watcher| async move { Some((watcher.next().await?, watcher)) });
    let stream = pieces.map(Ok::<_, Infallible>).take_until(stop.cancelled_owned());
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
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

impl<F: Fn(Option<u64>) -> Subscription> Watcher<F> {
    fn new(subscribe: F, filter: Filter, last: Option<u64>) -> Self {
        let first = subscribe(last);
        let (last, waiting) = (first.newest, VecDeque::new());
        let mut watcher = Self { subscribe, filter, waiting, live: first.live, last, sent: None };
        watcher.take(first.gap, first.missed);
        watcher
    }

    /// Takes what was missed since the last event, as far as it is kept.
    fn catch_up(&mut self) {
        let subscription = (self.subscribe)(Some(self.last));
        self.live = subscription.live;
        self.last = subscription.newest;
        self.take(subscription.gap, subscription.missed);
    }

    fn take(&mut self, gap: bool, missed: Vec<Arc<Event>>) {
        let gap = gap.then_some(Said::Resync);
        self.waiting.extend(gap.into_iter().chain(missed.into_iter().map(Said::Event)));
    }

    /// The next piece of the stream: everything that has happened, or a sign of life; none once nothing can come.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(sent) = self.sent {
            tokio::time::sleep_until(sent + PAUSE).await;
        }

        let alive = Instant::now() + ALIVE;
        let piece = loop {
            let piece = self.piece();
            if !piece.is_empty() {
                break piece;
            }
            match tokio::time::timeout_at(alive, self.live.recv()).await {
                Ok(Ok(event)) => {
                    let is_wanted = self.filter.wants(&event);
                    self.waiting.push_back(Said::Event(event));
                    if !is_wanted {
                        // What this watcher does not want to hear of wakes it no oftener than the rest.
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                Ok(Err(RecvError::Lagged(_))) => self.catch_up(),
                Ok(Err(RecvError::Closed)) => return None,
                Err(_) => break ALIVE_TEXT.to_owned(),
            }
        };
        self.sent = Some(Instant::now());
        Some(piece.into())
    }

    /// Writes what has come for this watcher, up to the size of a piece.
    fn piece(&mut self) -> String {
        let mut piece = String::new();
        while piece.len() < PIECE {
            match self.waiting.pop_front().map_or_else(|| self.live.try_recv().map(Said::Event), Ok) {
                Ok(Said::Resync) => piece.push_str(RESYNC_TEXT),
                Ok(Said::Event(event)) => {
                    self.last = event.id;
                    if self.filter.wants(&event) {
                        piece.push_str(event.text(written));
                    }
                }
                Err(TryRecvError::Lagged(_)) => self.catch_up(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        piece
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

/// An event in the form of the stream.
fn written(event: &Event) -> String {
    let data = serde_json::to_vec(&view::event(event)).unwrap_or_default();
    let data = String::from_utf8_lossy(&text::json(&data)).into_owned();
    format!("id: {}\nevent: {}\ndata: {data}\n\n", event.id, event.kind.as_str())
}

#[cfg(test)]
mod tests {
    use scheduler::EventBus;

    use super::*;

    const EVERYTHING: Filter = Filter { project: None, types: None };

    fn publish(bus: &EventBus, count: usize) {
        for _ in 0..count {
            bus.publish("p".parse().unwrap(), EventKind::ProjectUpdated);
        }
    }

    /// Reads until so many events have come; gives the pieces.
    async fn read<F: Fn(Option<u64>) -> Subscription>(watcher: &mut Watcher<F>, count: usize) -> Vec<String> {
        let (mut pieces, mut read) = (Vec::new(), 0);
        while read < count {
            let piece = String::from_utf8(watcher.next().await.unwrap().to_vec()).unwrap();
            assert!(!piece.contains("resync"), "something was lost after {read} of {count}");
            read += piece.matches("event: project.updated").count();
            pieces.push(piece);
        }
        assert_eq!(read, count);
        pieces
    }

    #[tokio::test]
    async fn a_burst_comes_in_few_pieces_and_one_who_is_slow_is_given_what_is_kept() {
        let bus = Arc::new(EventBus::new(chrono::Utc::now()));
        let source = Arc::clone(&bus);
        let mut watcher = Watcher::new(move |last| source.subscribe(last), EVERYTHING, None);
        publish(&bus, 1);
        assert_eq!(read(&mut watcher, 1).await.len(), 1);

        // More than a watcher may be behind, and less than is kept.
        publish(&bus, 3000);
        let pieces = read(&mut watcher, 3000).await;
        let longest = pieces.iter().map(String::len).max().unwrap();
        assert!(longest < PIECE + 1000, "a piece of {longest} bytes");
        assert!(pieces.len() < 30, "{} pieces for one burst", pieces.len());

        // More than is kept: it is told so, and goes on.
        publish(&bus, 10_000);
        let piece = String::from_utf8(watcher.next().await.unwrap().to_vec()).unwrap();
        assert!(piece.starts_with(RESYNC_TEXT), "{piece}");
        assert!(watcher.waiting.len() < 5000, "{} events wait in memory", watcher.waiting.len());
    }

    #[tokio::test]
    async fn what_is_filtered_out_reaches_nobody_and_hides_nothing() {
        let bus = Arc::new(EventBus::new(chrono::Utc::now()));
        let source = Arc::clone(&bus);
        let filter = Filter { project: None, types: Some(vec!["project.deleted".to_owned()]) };
        let mut watcher = Watcher::new(move |last| source.subscribe(last), filter, None);
        publish(&bus, 2000);
        bus.publish("p".parse().unwrap(), EventKind::ProjectDeleted);
        let piece = String::from_utf8(watcher.next().await.unwrap().to_vec()).unwrap();
        assert_eq!(piece.matches("event: ").count(), 1, "{piece}");
        assert!(piece.contains("event: project.deleted"), "{piece}");
    }
}
