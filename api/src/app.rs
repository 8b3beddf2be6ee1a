//! What every route works with, and the router that is built from one table.
//!
//! A route exists only as a row of [`routes::table`](crate::routes::table): its method, its address, who may call it,
//! what the documentation says, and its handler. So nothing answers that was not decided on, and `/openapi.json`
//! cannot forget one.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use chrono::{DateTime, Utc};
use scheduler::Scheduler;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::auth::Users;
use crate::problem::Problem;
use crate::reload::Reloader;
use crate::routes::{self, Access, Route};

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
    pub users: Users,
    /// Reads the configuration again.
    pub reloader: Reloader,
    /// When this process started.
    pub started: DateTime<Utc>,
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

    /// The router of the whole table.
    pub fn router(self) -> Router {
        let mut router = Router::new();
        for route in routes::table() {
            router = router.route(route.path, guarded(&route, &self));
        }
        router
            .fallback(|| async { Problem::not_found("there is nothing at this address: /openapi.json lists what is") })
            .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
            .layer(CatchPanicLayer::custom(|_| Problem::internal(&"a handler panicked").into_response()))
            .layer(middleware::map_response(hardened))
            .with_state(self)
    }
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// The handler, behind the rule of its row.
fn guarded(route: &Route, app: &App) -> MethodRouter<App> {
    let handler = (route.handler)();
    match route.access {
        Access::Open => handler,
        Access::SignedIn => handler.layer(middleware::from_fn_with_state(app.clone(), signed_in)),
    }
}

/// Lets a request pass that proves its user, who stands in its extensions from then on.
async fn signed_in(State(app): State<App>, mut request: Request, next: Next) -> Response {
    match app.users.authenticate(request.headers()) {
        Some(actor) => {
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        None => Problem::unauthorized().into_response(),
    }
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
