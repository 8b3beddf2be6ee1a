//! What every route works with, and the router that is built from one table.
//!
//! A route exists only as a row of [`routes::table`](crate::routes::table): its method, its address, who may call it,
//! what the documentation says, and its handler. So nothing answers that was not decided on, and `/openapi.json`
//! cannot forget one.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use chrono::{DateTime, Utc};
use engine::text;
use http_body_util::BodyExt;
use scheduler::{Project, ProjectId, Scheduler};
use tokio_util::sync::CancellationToken;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::alerts::Alerts;
use crate::auth::{Actor, Gate, Refused, sessions};
use crate::host::Host;
use crate::http::RequestOrigin;
use crate::metrics::{self, Metrics};
use crate::nodes::Nodes;
use crate::pages::Pages;
use crate::problem::Problem;
use crate::reload::{Reloaded, Reloader};
use crate::routes::{self, Access, Route, ServerRole, old};
use crate::slave::contact::MasterContact;
use crate::slave::told::ToldSlave;
use crate::strangers::{self, StrangerRequest};

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
            .layer(middleware::map_response(hardened))
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
    let http = app.reloader.http();
    let handler = match route.access {
        // Who is the master is known by where it calls from: its handler looks.
        Access::Open | Access::Master => handler,
        Access::Metrics if http.public_metrics => handler,
        Access::Status if http.public_status => handler,
        access => {
            let state = (app.clone(), access);
            handler.layer(middleware::from_fn_with_state(state, signed_in))
        }
    };
    match route.old {
        Some(method) => handler
            .layer(middleware::map_response(move |response| async move { old::shaped(method, response) })),
        None => handler,
    }
}

/// Lets a request pass that proves its user, who may do what the row says. The user stands in its extensions from then
/// on.
async fn signed_in(
    State((app, access)): State<(App, Access)>,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    let from = request.extensions().get::<RequestOrigin>().map(|origin| origin.address);
    let actor = match app.gate.authenticate(request.method(), request.headers(), from).await {
        Ok(actor) => actor,
        Err(Refused::Unknown) => return unknown(request.headers()),
        Err(Refused::Forged) => return Problem::forged().into_response(),
        Err(Refused::TooMany(wait)) => return Problem::too_many(wait).into_response(),
    };
    let project = project_of(&app, &params);
    if !may(access, &actor, project.as_deref()) {
        return Problem::forbidden(format!("`{}` may not do that: {}", actor.name, access.who()))
            .into_response();
    }
    if let Some(stranger) = request.extensions().get::<StrangerRequest>() {
        stranger.connection.prove();
    }
    request.extensions_mut().insert(actor);
    next.run(request).await
}

/// Nobody is signed in. A page asks for the password itself: the challenge would make its browser ask too.
fn unknown(headers: &HeaderMap) -> Response {
    let mut response = Problem::unauthorized().into_response();
    if sessions::is_from_page(headers) || sessions::cookie(headers).is_some() {
        response.headers_mut().remove(header::WWW_AUTHENTICATE);
    }
    response
}

/// Whether an actor may call a route of this access on this project.
fn may(access: Access, actor: &Actor, project: Option<&Project>) -> bool {
    match access {
        Access::Open | Access::Master => true,
        Access::Read | Access::Own | Access::Metrics | Access::Status => actor.may_read(),
        Access::Create => actor.may_create(),
        // What is not there cannot be changed: the handler says so.
        Access::Change => project.map_or_else(|| actor.may_create(), |project| actor.may_change(project)),
        Access::Start => project.map_or_else(|| actor.may_create(), |project| actor.may_start(project)),
        Access::Root => actor.is_root(),
        Access::Node => actor.node().is_some(),
        Access::Report => actor.is_root() || actor.node().is_some(),
    }
}

/// The project that an address names, by itself or by one of its runs.
fn project_of(app: &App, params: &RawPathParams) -> Option<Arc<Project>> {
    let board = app.scheduler.board();
    let named = |wanted: &str| params.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    let id: ProjectId = match (named("id"), named("run")) {
        (Some(id), _) => id.parse().ok()?,
        (None, Some(run)) => app.scheduler.store().run(run.parse().ok()?).ok()??.project,
        (None, None) => return None,
    };
    board.project(&id).map(|entry| Arc::clone(&entry.project))
}

/// Headers that every answer carries: nothing is sniffed, framed, or kept by a cache between us and the client.
async fn hardened(mut response: Response) -> Response {
    let headers = response.headers_mut();
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
