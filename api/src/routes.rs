//! The table of routes: all that answers, who may call it, and what the documentation says of it.

mod accounts;
mod alerts;
mod events;
mod generations;
mod input;
mod logs;
mod nodes;
pub(crate) mod old;
mod openapi;
mod pages;
mod plugins;
mod probe;
mod projects;
mod published;
mod runs;
mod schedule;
mod session;
mod site;
mod store;
mod table;

pub use openapi::document;
pub(crate) use projects::may_set;
pub use store::CheckedView;
pub use table::table;

use axum::routing::MethodRouter;

use crate::app::App;

/// One row.
pub struct Route {
    /// The method, in lower case.
    pub method: &'static str,
    /// The address, with `{parameters}`.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Effect on the server, which decides whether other sites may make a browser ask for it.
    pub effect: RouteEffect,
    /// What it is for, in one line.
    pub summary: &'static str,
    /// What may stand behind the `?`.
    pub query: &'static [Query],
    /// The schema of the body that it takes.
    pub body: Option<&'static str>,
    /// The good answer: its status, and its schema.
    pub answer: (u16, Answer),
    /// The bad answers: their status.
    pub errors: &'static [u16],
    /// The `method` that failures carry in the form of 2014; none: they are problem documents.
    pub old: Option<&'static str>,
    /// Who answers.
    pub handler: fn() -> MethodRouter<App>,
}

impl Route {
    /// Returns true if a server of this role has it. A slave has what shows what is and changes nothing.
    #[must_use]
    pub fn is_served_by(&self, role: ServerRole) -> bool {
        let shows = (self.method == "get" || self.path == "/api/v1/session") && self.old.is_none();
        let of_slaves = (shows && !self.path.starts_with("/api/v1/nodes")) || self.access == Access::Master;
        let decides = ["/api/v1/runs/{run}/approve", "/api/v1/runs/{run}/reject"].contains(&self.path);
        match role {
            ServerRole::Master => true,
            ServerRole::Slave => of_slaves,
            ServerRole::LegacySlave => of_slaves || decides,
        }
    }
}

/// Roles of the server that has the routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerRole {
    /// A master, which has all of them.
    Master,
    /// A slave that follows its master.
    Slave,
    /// A slave of a master of 2014: nobody but itself can decide on its held pulls.
    LegacySlave,
}

/// Effect of a route on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteEffect {
    /// It shows something.
    Shows,
    /// It changes or starts something, whatever its method: refused where another site made a browser ask.
    Changes,
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// Everybody, unless `http.public_metrics` is false: then every user.
    Metrics,
    /// Everybody, unless `http.public_status` is false: then every user.
    Status,
    /// Every user.
    Read,
    /// Every user, for what is their own; root, for everybody's.
    Own,
    /// Users who may create projects.
    Create,
    /// The owner of the project, and root.
    Change,
    /// The owner of the project, root, and tokens that may start it.
    Start,
    /// Root.
    Root,
    /// A slave that has joined.
    Node,
    /// A slave that has joined, and root.
    Report,
    /// The master of this slave, which calls from its own address.
    Master,
}

impl Access {
    /// Whether everybody may, as long as the configuration does not say otherwise.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Metrics | Self::Status)
    }

    /// Who that is, in words.
    #[must_use]
    pub const fn who(self) -> &'static str {
        match self {
            Self::Open => "everybody may",
            Self::Metrics => "everybody may, unless `http.public_metrics` is false: then every user",
            Self::Status => "everybody may, unless `http.public_status` is false: then every user",
            Self::Read => "every user may, but no token that only starts a project",
            Self::Own => "every user may, for their own",
            Self::Create => "root and upstreamusers may",
            Self::Change => "root and the project's owner may",
            Self::Start => "root, the project's owner, and a token for it may",
            Self::Root => "only root may",
            Self::Node => "only a slave may, for itself",
            Self::Report => "root may, and a slave for itself",
            Self::Master => "on a slave only: its master may, from its own address",
        }
    }
}

/// One parameter behind the `?`.
pub struct Query {
    /// Its name.
    pub name: &'static str,
    /// Its type in OpenAPI's words.
    pub kind: &'static str,
    /// What it is for.
    pub about: &'static str,
}

/// What a good answer holds.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// Nothing.
    Empty,
    /// JSON of this schema.
    Json(&'static str),
    /// A page of this schema's items.
    Page(&'static str),
    /// Text.
    Text,
    /// One of these kinds of content.
    Media(&'static [&'static str]),
    /// A stream of events.
    Events,
}

/// A row for users that shows something, takes nothing and gives nothing, to be filled in.
pub(crate) fn shows(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    handler: fn() -> MethodRouter<App>,
) -> Route {
    Route {
        method,
        path,
        access: Access::Read,
        effect: RouteEffect::Shows,
        summary,
        query: &[],
        body: None,
        answer: (204, Answer::Empty),
        errors: &[],
        old: None,
        handler,
    }
}

/// A row like [`shows`], of a route that changes something.
pub(crate) fn changes(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    handler: fn() -> MethodRouter<App>,
) -> Route {
    Route { effect: RouteEffect::Changes, ..shows(method, path, summary, handler) }
}
