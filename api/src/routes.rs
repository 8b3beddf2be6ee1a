//! The table of routes: all that answers, who may call it, and what the documentation says of it.

mod accounts;
mod events;
mod input;
mod logs;
pub(crate) mod old;
mod openapi;
mod projects;
mod runs;
mod site;
mod store;

pub use openapi::document;
pub use store::CheckedView;

use axum::routing::{MethodRouter, delete, get, patch, post, put};

use crate::app::App;

/// One row.
pub struct Route {
    /// The method, in lower case.
    pub method: &'static str,
    /// The address, with `{parameters}`.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
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

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
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
}

impl Access {
    /// Who that is, in words.
    #[must_use]
    pub const fn who(self) -> &'static str {
        match self {
            Self::Open => "everybody may",
            Self::Read => "every user may, but no token that only starts a project",
            Self::Own => "every user may, for their own",
            Self::Create => "root and upstreamusers may",
            Self::Change => "root and the project's owner may",
            Self::Start => "root, the project's owner, and a token for it may",
            Self::Root => "only root may",
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
    /// A stream of events.
    Events,
}

const LIMIT: Query = Query { name: "limit", kind: "integer", about: "how many, 1 to 1000; 100 unless given" };
const CURSOR: Query = Query { name: "cursor", kind: "string", about: "`next` of the page before" };
const DRY_RUN: Query =
    Query { name: "dry_run", kind: "boolean", about: "read and check it, answer 200 with the settings, take nothing" };
const STATE: Query = Query { name: "state", kind: "string", about: "only those in this state" };
const PROJECT: Query = Query { name: "project", kind: "string", about: "only of this project" };

/// Every row.
#[must_use]
pub fn table() -> Vec<Route> {
    let mut rows = site_rows();
    rows.extend(project_rows());
    rows.extend(run_rows());
    rows.extend(account_rows());
    rows.extend(old::rows());
    rows
}

fn site_rows() -> Vec<Route> {
    vec![
        Route {
            access: Access::Open,
            answer: (200, Answer::Text),
            ..row("get", "/healthz", "alive", || get(site::healthz))
        },
        Route {
            access: Access::Open,
            answer: (200, Answer::Text),
            errors: &[503],
            ..row("get", "/readyz", "the store is open and the scheduler is running", || get(site::readyz))
        },
        Route {
            access: Access::Open,
            answer: (200, Answer::Json("Object")),
            ..row("get", "/openapi.json", "this document", || get(site::openapi))
        },
        Route {
            answer: (200, Answer::Json("Status")),
            ..row("get", "/api/v1/status", "one screen: what runs, waits, ended last, and fails", || get(site::status))
        },
        Route {
            answer: (200, Answer::Page("QueueItem")),
            ..row("get", "/api/v1/queue", "what waits, in order, and why", || get(site::queue))
        },
        Route {
            query: &[
                Query { name: "until", kind: "string", about: "up to this time (RFC 3339); a day ahead unless given" },
                LIMIT,
            ],
            answer: (200, Answer::Page("ScheduleItem")),
            errors: &[400],
            ..row("get", "/api/v1/schedule", "what will fire when", || get(site::schedule))
        },
        Route {
            query: &[
                PROJECT,
                Query { name: "types", kind: "string", about: "only these types, separated by commas" },
            ],
            answer: (200, Answer::Events),
            errors: &[400],
            ..row("get", "/api/v1/events", "what happens, as server-sent events; resumes by Last-Event-ID", || {
                get(events::events)
            })
        },
        Route {
            query: &[Query { name: "hours", kind: "integer", about: "how far ahead, 1 to 168; 24 unless given" }],
            answer: (200, Answer::Json("Load")),
            errors: &[400],
            ..row("get", "/api/v1/schedule/load", "how many runs start in each ten minutes", || get(site::load))
        },
        Route {
            access: Access::Root,
            answer: (200, Answer::Json("StoreCheck")),
            ..row("post", "/api/v1/store/check", "read every record of the store, and say what is wrong", || {
                post(store::check)
            })
        },
        Route {
            access: Access::Root,
            body: Some("StoreBackupInput"),
            answer: (200, Answer::Json("StoreBackup")),
            errors: &[400, 408, 413, 422],
            ..row("post", "/api/v1/store/backup", "write the whole store into a file on the server", || {
                post(store::backup)
            })
        },
        Route {
            access: Access::Root,
            answer: (200, Answer::Json("Reload")),
            errors: &[422],
            ..row("post", "/api/v1/reload", "read the configuration file again", || post(site::reload))
        },
    ]
}

fn project_rows() -> Vec<Route> {
    vec![
        Route {
            query: &[
                STATE,
                Query { name: "q", kind: "string", about: "only those whose id or name contains this" },
                Query { name: "label", kind: "string", about: "only those with this label: key, or key=value" },
                LIMIT,
                CURSOR,
            ],
            answer: (200, Answer::Page("Project")),
            errors: &[400],
            ..row("get", "/api/v1/projects", "the projects, by id", || get(projects::list))
        },
        Route {
            access: Access::Create,
            query: &[DRY_RUN],
            body: Some("ProjectInput"),
            answer: (201, Answer::Json("Project")),
            errors: &[400, 408, 409, 413, 422, 507],
            ..row("post", "/api/v1/projects", "begin to mirror a tree", || post(projects::create))
        },
        Route {
            answer: (200, Answer::Json("Project")),
            errors: &[404],
            ..row("get", "/api/v1/projects/{id}", "one project in full", || get(projects::show))
        },
        Route {
            access: Access::Change,
            query: &[DRY_RUN],
            body: Some("ProjectInput"),
            answer: (200, Answer::Json("Project")),
            errors: &[400, 404, 408, 409, 412, 413, 422, 507],
            ..row("put", "/api/v1/projects/{id}", "replace its settings", || put(projects::replace))
        },
        Route {
            query: &[DRY_RUN],
            access: Access::Change,
            body: Some("ProjectInput"),
            answer: (200, Answer::Json("Project")),
            errors: &[400, 404, 408, 409, 412, 413, 422, 507],
            ..row("patch", "/api/v1/projects/{id}", "change some settings (RFC 7396 merge patch)", || {
                patch(projects::change)
            })
        },
        Route {
            access: Access::Change,
            answer: (204, Answer::Empty),
            errors: &[404, 412, 507],
            ..row("delete", "/api/v1/projects/{id}", "forget it; its files stay", || delete(projects::remove))
        },
        Route {
            access: Access::Change,
            answer: (200, Answer::Json("Project")),
            errors: &[404, 507],
            ..row("post", "/api/v1/projects/{id}/enable", "let its schedule fire", || post(projects::enable))
        },
        Route {
            access: Access::Change,
            answer: (200, Answer::Json("Project")),
            errors: &[404, 507],
            ..row("post", "/api/v1/projects/{id}/disable", "let its schedule rest", || post(projects::disable))
        },
        Route {
            access: Access::Start,
            answer: (202, Answer::Json("Run")),
            errors: &[404, 503, 507],
            ..row("post", "/api/v1/projects/{id}/sync", "bring it up to date now", || post(projects::sync))
        },
        Route {
            query: &[STATE, LIMIT, CURSOR],
            answer: (200, Answer::Page("Run")),
            errors: &[400, 404],
            ..row("get", "/api/v1/projects/{id}/runs", "its runs, newest first", || get(runs::of_project))
        },
    ]
}

fn run_rows() -> Vec<Route> {
    vec![
        Route {
            query: &[PROJECT, STATE, LIMIT, CURSOR],
            answer: (200, Answer::Page("Run")),
            errors: &[400, 404],
            ..row("get", "/api/v1/runs", "all runs, newest first", || get(runs::list))
        },
        Route {
            answer: (200, Answer::Json("Run")),
            errors: &[404],
            ..row("get", "/api/v1/runs/{run}", "one run in full", || get(runs::show))
        },
        Route {
            access: Access::Change,
            answer: (200, Answer::Json("Run")),
            errors: &[404, 409, 507],
            ..row("post", "/api/v1/runs/{run}/cancel", "stop it", || post(runs::cancel))
        },
        Route {
            query: &[
                Query { name: "follow", kind: "boolean", about: "go on until the run ends" },
                Query { name: "tail", kind: "integer", about: "only the last so many lines" },
            ],
            answer: (200, Answer::Text),
            errors: &[400, 404],
            ..row("get", "/api/v1/runs/{run}/log", "what its rsyncs said", || get(logs::log))
        },
        Route {
            query: &[LIMIT, CURSOR],
            answer: (200, Answer::Page("Change")),
            errors: &[400, 404],
            ..row("get", "/api/v1/runs/{run}/changes", "the paths that it created, updated and deleted", || {
                get(runs::changes)
            })
        },
    ]
}

fn account_rows() -> Vec<Route> {
    vec![
        Route {
            access: Access::Root,
            answer: (200, Answer::Page("User")),
            ..row("get", "/api/v1/users", "the users", || get(accounts::users))
        },
        Route {
            access: Access::Root,
            body: Some("UserInput"),
            answer: (201, Answer::Json("User")),
            errors: &[400, 408, 409, 413, 422, 507],
            ..row("post", "/api/v1/users", "add a user", || post(accounts::add_user))
        },
        Route {
            access: Access::Root,
            answer: (204, Answer::Empty),
            errors: &[404, 409, 507],
            ..row("delete", "/api/v1/users/{name}", "remove a user, and their tokens", || delete(accounts::remove_user))
        },
        Route {
            access: Access::Own,
            body: Some("PasswordInput"),
            answer: (204, Answer::Empty),
            errors: &[400, 404, 408, 409, 413, 422, 507],
            ..row("put", "/api/v1/users/{name}/password", "give a user another password", || {
                put(accounts::set_password)
            })
        },
        Route {
            access: Access::Own,
            answer: (200, Answer::Page("Token")),
            ..row("get", "/api/v1/tokens", "the tokens, without their texts", || get(accounts::tokens))
        },
        Route {
            access: Access::Own,
            body: Some("TokenInput"),
            answer: (201, Answer::Json("Token")),
            errors: &[400, 408, 409, 413, 422, 507],
            ..row("post", "/api/v1/tokens", "make a token; its text is shown this once", || post(accounts::make_token))
        },
        Route {
            access: Access::Own,
            answer: (204, Answer::Empty),
            errors: &[404, 507],
            ..row("delete", "/api/v1/tokens/{token}", "end a token", || delete(accounts::revoke))
        },
        Route {
            access: Access::Root,
            query: &[LIMIT, CURSOR],
            answer: (200, Answer::Page("AuditLine")),
            errors: &[400],
            ..row("get", "/api/v1/audit", "who changed or started what, newest first", || get(accounts::audit))
        },
    ]
}

/// A row for users that takes nothing and gives nothing, to be filled in.
pub(crate) fn row(method: &'static str, path: &'static str, summary: &'static str, handler: fn() -> MethodRouter<App>) -> Route {
    Route {
        method,
        path,
        access: Access::Read,
        summary,
        query: &[],
        body: None,
        answer: (204, Answer::Empty),
        errors: &[],
        old: None,
        handler,
    }
}
