//! The way of every request to its handler, and the only one: requests of other sites are refused, the login is proved,
//! and the rule of the row is applied, all by what the table of routes says.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{RawPathParams, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use scheduler::{Project, ProjectId};
use tokio_util::task::TaskTracker;

use super::App;
use crate::auth::foreign::is_foreign;
use crate::auth::sessions::is_from_page;
use crate::auth::{Actor, Login, Power, Refused};
use crate::http::{RequestOrigin, body};
use crate::problem::Problem;
use crate::routes::{Access, Route, RouteEffect};
use crate::strangers::StrangerRequest;

/// The rule of a row, as its requests meet it.
#[derive(Clone)]
pub(super) struct RowRule {
    app: App,
    access: Access,
    effect: RouteEffect,
    /// Set where nobody needs a login.
    is_open: bool,
}

impl RowRule {
    pub(super) fn of(route: &Route, app: &App) -> Self {
        let http = app.reloader.http();
        let is_open = match route.access {
            // Who is the master is known by where it calls from: its handler looks.
            Access::Open | Access::Master => true,
            Access::Metrics => http.public_metrics,
            Access::Status => http.public_status,
            _ => false,
        };
        Self { app: app.clone(), access: route.access, effect: route.effect, is_open }
    }

    /// Refuses who may not do that. The project is looked up each time: it may have changed meanwhile.
    fn check(&self, actor: &Actor, params: &RawPathParams) -> Result<(), Problem> {
        let project = project_of(&self.app, params);
        if may(self.access, actor, project.as_deref()) {
            return Ok(());
        }
        Err(Problem::forbidden(denial(self.access, actor, project.as_deref())))
    }

    /// Returns whether a login holds. A token that starts a project ends with it, whatever project has its name then.
    fn is_login_good(&self, actor: &Actor) -> bool {
        let has_project = match &actor.power {
            Power::Start(id, life) => {
                self.app.scheduler.board().project(id).is_some_and(|entry| life.is_of(&entry.project))
            }
            Power::Role(_) | Power::Node(_) => true,
        };
        has_project && self.app.gate.accounts.is_login_good(actor)
    }

    /// Proves who sends a request, and that they may.
    async fn prove(
        &self,
        headers: &HeaderMap,
        origin: &RequestOrigin,
        params: &RawPathParams,
    ) -> Result<Actor, Problem> {
        let actor = match self.app.gate.authenticate(headers, Some(origin.address)).await {
            Ok(actor) => actor,
            Err(Refused::Unknown) => return Err(Problem::unauthorized()),
            Err(Refused::TooMany(wait)) => return Err(Problem::too_many(wait)),
        };

        if !self.is_login_good(&actor) {
            return Err(Problem::unauthorized());
        }

        // A browser sends the cookie by itself, and this header only where our own page asks for it.
        let by_cookie = matches!(actor.login, Login::Session { .. });
        if self.effect == RouteEffect::Changes && by_cookie && !is_from_page(headers) {
            return Err(Problem::forged());
        }

        self.check(&actor, params)?;
        Ok(actor)
    }

    /// Lets something be changed, once all that was sent is there: a body comes as slowly as its sender likes.
    async fn change(
        &self,
        actor: Actor,
        params: &RawPathParams,
        request: Request,
        next: Next,
    ) -> Result<Response, Problem> {
        let (mut parts, sent) = request.into_parts();
        let sent = body(sent, self.app.max_body).await?;

        // Meanwhile the login may have ended, and the project may be another one of the same name.
        if !self.is_login_good(&actor) {
            return Err(Problem::unauthorized());
        }
        self.check(&actor, params)?;

        parts.extensions.insert(actor);
        let request = Request::from_parts(parts, Body::from(sent));
        Ok(finish(&self.app.changes, next.run(request)).await)
    }

    /// Lets something be shown for as long as the login holds: an answer that goes on ends with it.
    async fn show(&self, actor: Actor, mut request: Request, next: Next) -> Response {
        let (app, name) = (self.app.clone(), actor.name.clone());
        let login = actor.clone();
        let ended = async move { app.gate.accounts.login_ended(&login).await };
        request.extensions_mut().insert(actor);

        let mut ended = Box::pin(ended);
        let response = tokio::select! {
            biased;
            response = next.run(request) => response,
            () = &mut ended => return Problem::unauthorized().into_response(),
        };

        // What is there as a whole is on its way already.
        if response.body().size_hint().exact().is_some() {
            return response;
        }
        let Some(slot) = self.app.gate.streams.take(&name) else {
            return Problem::too_many_streams().into_response();
        };
        let ended = async move {
            ended.await;
            drop(slot);
        };
        response.map(|body| Body::from_stream(body.into_data_stream().take_until(ended)))
    }
}

/// Lets a request pass whose sender may do what the row says. The sender stands in its extensions from then on.
pub(super) async fn admit(
    State(rule): State<RowRule>,
    params: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let Some(origin) = request.extensions().get::<RequestOrigin>() else {
        return Problem::internal(&"a request without an origin").into_response();
    };
    let site = rule.app.reloader.site();
    if rule.effect == RouteEffect::Changes && is_foreign(request.headers(), origin, &site.url) {
        return Problem::foreign().into_response();
    }
    if rule.is_open {
        return match rule.effect {
            RouteEffect::Shows => next.run(request).await,
            RouteEffect::Changes => finish(&rule.app.changes, next.run(request)).await,
        };
    }

    let actor = match rule.prove(request.headers(), origin, &params).await {
        Ok(actor) => actor,
        Err(problem) => return problem.into_response(),
    };
    if let Some(stranger) = request.extensions().get::<StrangerRequest>() {
        stranger.connection.prove();
    }
    match rule.effect {
        RouteEffect::Shows => rule.show(actor, request, next).await,
        RouteEffect::Changes => rule.change(actor, &params, request, next).await.into_response(),
    }
}

/// Makes a change to its end, even if its client goes away: what is stored by half a change would be in force from the
/// next start on only.
async fn finish(changes: &TaskTracker, change: impl Future<Output = Response> + Send + 'static) -> Response {
    changes.spawn(change).await.unwrap_or_else(|panic| Problem::internal(&panic).into_response())
}

/// Sentence for an actor who may not do something to this project.
pub(crate) fn denial(access: Access, actor: &Actor, project: Option<&Project>) -> String {
    let sentence = format!("`{}` may not do that: {}", actor.name, access.who());
    match project {
        Some(project) if project.owner == actor.name && !actor.may_change(project) && actor.may_create() => {
            format!("{sentence}, and `{}` belongs to a user of this name who was removed", project.id)
        }
        _ => sentence,
    }
}

/// Returns whether an actor may call a route of this access on this project.
pub(super) fn may(access: Access, actor: &Actor, project: Option<&Project>) -> bool {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_change_goes_on_when_its_client_is_gone() {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (is_done, changes) = (Arc::new(AtomicBool::new(false)), TaskTracker::new());
        let change = {
            let (begun, go, is_done) = (Arc::clone(&begun), Arc::clone(&go), Arc::clone(&is_done));
            async move {
                begun.notify_one();
                go.notified().await;
                is_done.store(true, Ordering::SeqCst);
                ().into_response()
            }
        };

        let answer = tokio::select! {
            answer = finish(&changes, change) => Some(answer),
            () = begun.notified() => None,
        };
        assert!(answer.is_none(), "its future is dropped by now");
        go.notify_one();
        changes.close();
        changes.wait().await;
        assert!(is_done.load(Ordering::SeqCst));
    }
}
