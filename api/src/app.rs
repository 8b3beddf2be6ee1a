//! What every route works with, and the router that is built from one table.
//!
//! A route exists only as a row of [`routes::table`](crate::routes::table): its method, its address, who may call it,
//! what the documentation says, and its handler. So nothing answers that was not decided on, and `/openapi.json`
//! cannot forget one.

mod admission;
mod permit;

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use chrono::{DateTime, Utc};
use engine::text;
use http_body_util::BodyExt;
use scheduler::Scheduler;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

pub(crate) use admission::denial;
use admission::{RowRule, admit};
pub(crate) use permit::ActorPermit;

use crate::alerts::Alerts;
use crate::auth::Gate;
use crate::auth::foreign::is_from_browser;
use crate::host::Host;
use crate::metrics::{self, Metrics};
use crate::nodes::Nodes;
use crate::pages::Pages;
use crate::problem::Problem;
use crate::reload::{Reloaded, Reloader};
use crate::routes::{self, Route, ServerRole, old};
use crate::slave::contact::MasterContact;
use crate::slave::told::ToldSlave;
use crate::strangers;

/// A smaller answer fits one packet anyway.
const WORTH_PACKING: u64 = 1400;

/// What every route works with; clones share it.
#[derive(Clone)]
pub struct App {
    shared: Arc<Shared>,
}

/// The parts.
pub struct Shared {
    /// The master's clockwork.
    pub scheduler: Scheduler,
    /// Who may call.
    pub gate: Gate,
    /// Reads the configuration again.
    pub reloader: Reloader,
    /// The slaves of a master; none: this is a slave, which shows what it does and is told nothing by people.
    pub nodes: Option<Arc<Nodes>>,
    /// The slave of a master of 2014, where this is one.
    pub told: Option<Arc<ToldSlave>>,
    /// The contact with the master, where this is a slave that follows one.
    pub(crate) contact: Option<Arc<MasterContact>>,
    /// What people were told.
    pub alerts: Alerts,
    /// The plugins.
    pub host: Host,
    /// What is counted for monitoring systems.
    pub metrics: Metrics,
    /// When this process started.
    pub started: DateTime<Utc>,
    /// Lists of projects that were made already.
    pub pages: Pages,
    /// Documents for everybody that were made already.
    pub documents: Pages,
    /// The largest request body, in bytes.
    pub max_body: usize,
    /// Changes that are being made, which a stop waits for.
    pub changes: TaskTracker,
    /// Ends every stream.
    pub stop: CancellationToken,
}

impl App {
    /// Puts the parts together.
    #[must_use]
    pub fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// Reads the configuration again, and the files of the plugins; people are told where it is refused.
    ///
    /// # Errors
    /// A report of everything that is wrong with the configuration; nothing has changed then.
    pub async fn reload(&self) -> Result<Reloaded, String> {
        let result = self.reloader.reload(&self.scheduler).await;
        self.alerts.reloaded(result.as_ref().map(|_| ()).map_err(String::as_str));
        let done = result?;
        self.host.reload().await;
        Ok(done)
    }

    /// The role of this server.
    fn role(&self) -> ServerRole {
        match (&self.nodes, &self.told) {
            (Some(_), _) => ServerRole::Master,
            (None, Some(_)) => ServerRole::LegacySlave,
            (None, None) => ServerRole::Slave,
        }
    }

    /// The router of the whole table.
    pub fn router(self) -> Router {
        let mut router = Router::new();
        let role = self.role();
        for route in routes::table().into_iter().filter(|route| route.is_served_by(role)) {
            router = router.route(route.path, guarded(&route, &self));
        }
        router
            .fallback(|| async {
                Problem::not_found("there is nothing at this address: /openapi.json lists what is")
            })
            .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
            .layer(middleware::from_fn(strangers::guard))
            .layer(CatchPanicLayer::custom(|_| Problem::internal(&"a handler panicked").into_response()))
            .layer(middleware::from_fn(hardened))
            .layer(middleware::map_response(spelt))
            .layer(CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(is_worth_packing))
            .layer(middleware::from_fn_with_state(self.clone(), metrics::count))
            .with_state(self)
    }
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// Spells what is not plain in a document as JSON can, whoever said it: a terminal may show any answer.
async fn spelt(response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !kind.is_some_and(|kind| kind.starts_with(b"application/") && kind.ends_with(b"json")) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Every document is made in memory before it is sent.
    let document = match body.collect().await {
        Ok(document) => document.to_bytes(),
        Err(error) => return Problem::internal(&error).into_response(),
    };
    let body = match text::json(&document) {
        Cow::Borrowed(_) => Body::from(document),
        Cow::Owned(spelt) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            Body::from(spelt)
        }
    };
    Response::from_parts(parts, body)
}

/// Whether an answer is compressed for who takes that: large documents, and nothing that is a stream.
fn is_worth_packing(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let number = |value: &HeaderValue| value.to_str().ok()?.parse::<u64>().ok();
    let size = headers.get(header::CONTENT_LENGTH).and_then(number);
    let is_json =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == b"application/json");
    is_json && size.is_none_or(|size| size >= WORTH_PACKING)
}

/// The handler, behind the rule of its row.
fn guarded(route: &Route, app: &App) -> MethodRouter<App> {
    let handler = (route.handler)();
    let handler = match route.old {
        // Such a row alone answers for its address, so it says itself that a method is wrong.
        Some(_) => handler.fallback(|| async { Problem::method_not_allowed() }),
        None => handler,
    };
    let handler = handler.layer(middleware::from_fn_with_state(RowRule::of(route, app), admit));
    match route.old {
        Some(method) => handler
            .layer(middleware::map_response(move |response| async move { old::shaped(method, response) })),
        None => handler,
    }
}

/// Headers that every answer carries: nothing is sniffed, framed, or kept by a cache between us and the client.
/// A browser is not asked for a password: it would remember it, and the page asks by itself.
async fn hardened(request: Request, next: Next) -> Response {
    let is_from_browser = is_from_browser(request.headers());
    let mut response = next.run(request).await;

    let headers = response.headers_mut();
    if is_from_browser {
        headers.remove(header::WWW_AUTHENTICATE);
    }
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("content-security-policy"), "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
