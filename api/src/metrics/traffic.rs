//! What is asked over HTTP: how often, with what answer, and how long it took.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::text::Text;
use crate::app::App;

/// The upper ends of the histogram, in seconds.
const ENDS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0];
/// Methods that are named; a client can make up others.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// The counts.
#[derive(Debug, Default)]
pub struct Traffic {
    counts: Mutex<Counts>,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    /// By method, route and status.
    requests: BTreeMap<(&'static str, String, u16), u64>,
    /// How many took at most as long as each end, and longer than the one before.
    buckets: [u64; ENDS.len()],
    number: u64,
    sum: Duration,
}

/// Counts each request that passes.
pub async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = named(request.method());
    // The row's address, not the client's: there are only so many rows.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    app.metrics.traffic.note(method, route, response.status().as_u16(), begun.elapsed());
    response
}

fn named(method: &Method) -> &'static str {
    METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

impl Traffic {
    fn note(&self, method: &'static str, route: String, status: u16, took: Duration) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.requests.entry((method, route, status)).or_default() += 1;
        counts.number += 1;
        counts.sum += took;
        let place = ENDS.iter().position(|end| took.as_secs_f64() <= *end);
        if let Some(bucket) = place.and_then(|place| counts.buckets.get_mut(place)) {
            *bucket += 1;
        }
    }

    /// Writes the counts.
    pub(super) fn write(&self, text: &mut Text) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        text.family("heliostat_http_requests_total");
        for ((method, route, status), number) in &counts.requests {
            text.sample(&[("method", method), ("route", route), ("status", &status.to_string())], number);
        }
        text.family("heliostat_http_request_duration_seconds");
        let mut so_far = 0;
        for (end, bucket) in ENDS.iter().zip(counts.buckets) {
            so_far += bucket;
            text.suffixed("_bucket", &[("le", &end.to_string())], so_far);
        }
        text.suffixed("_bucket", &[("le", "+Inf")], counts.number);
        text.suffixed("_sum", &[], counts.sum.as_secs_f64());
        text.suffixed("_count", &[], counts.number);
    }
}
