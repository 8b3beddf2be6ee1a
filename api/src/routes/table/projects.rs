//! Projects.

use axum::routing::{delete, get, patch, post, put};

use super::{CURSOR, DRY_RUN, LIMIT, PROBE, STATE, WHOLE};
use crate::routes::{
    Access, Answer, Query, Route, changes, generations, plugins, probe, projects, runs, shows,
};

/// Every row.
pub(super) fn rows() -> Vec<Route> {
    let mut rows = vec![
        Route {
            query: &[
                STATE,
                Query { name: "q", kind: "string", about: "only those whose id or name contains this" },
                Query {
                    name: "label",
                    kind: "string",
                    about: "only those with this label: key, or key=value",
                },
                LIMIT,
                CURSOR,
            ],
            answer: (200, Answer::Page("Project")),
            errors: &[400],
            ..shows("get", "/api/v1/projects", "the projects, by id", || get(projects::list))
        },
        Route {
            access: Access::Create,
            query: &[DRY_RUN, PROBE],
            body: Some("ProjectInput"),
            answer: (201, Answer::Json("Project")),
            errors: &[400, 408, 409, 413, 422, 503, 507],
            ..changes("post", "/api/v1/projects", "begin to mirror a tree", || post(projects::create))
        },
        Route {
            access: Access::Create,
            body: Some("ProbeInput"),
            answer: (200, Answer::Json("Probe")),
            errors: &[400, 408, 413, 422, 503, 507],
            ..changes(
                "post",
                "/api/v1/probe",
                "ask an upstream what it has, and whether it lets us in",
                || post(probe::ask),
            )
        },
        Route {
            answer: (200, Answer::Json("Project")),
            errors: &[404],
            ..shows("get", "/api/v1/projects/{id}", "one project in full", || get(projects::show))
        },
        Route {
            access: Access::Change,
            query: &[DRY_RUN, PROBE],
            body: Some("ProjectInput"),
            answer: (200, Answer::Json("Project")),
            errors: &[400, 404, 408, 409, 412, 413, 422, 503, 507],
            ..changes("put", "/api/v1/projects/{id}", "replace its settings", || put(projects::replace))
        },
        Route {
            query: &[DRY_RUN, PROBE],
            access: Access::Change,
            body: Some("ProjectInput"),
            answer: (200, Answer::Json("Project")),
            errors: &[400, 404, 408, 409, 412, 413, 422, 503, 507],
            ..changes("patch", "/api/v1/projects/{id}", "change some settings (RFC 7396 merge patch)", || {
                patch(projects::change)
            })
        },
        Route {
            access: Access::Change,
            answer: (204, Answer::Empty),
            errors: &[404, 412, 507],
            ..changes("delete", "/api/v1/projects/{id}", "forget it; its files stay", || {
                delete(projects::remove)
            })
        },
    ];
    rows.extend(deed_rows());
    rows
}

/// What is done with a project as it is.
fn deed_rows() -> Vec<Route> {
    vec![
        Route {
            access: Access::Change,
            answer: (200, Answer::Json("Project")),
            errors: &[404, 507],
            ..changes("post", "/api/v1/projects/{id}/enable", "let its schedule fire", || {
                post(projects::enable)
            })
        },
        Route {
            access: Access::Change,
            answer: (200, Answer::Json("Project")),
            errors: &[404, 507],
            ..changes("post", "/api/v1/projects/{id}/disable", "let its schedule rest", || {
                post(projects::disable)
            })
        },
        Route {
            access: Access::Start,
            query: &[WHOLE],
            answer: (202, Answer::Json("Run")),
            errors: &[400, 404, 503, 507],
            ..changes("post", "/api/v1/projects/{id}/sync", "bring it up to date now", || {
                post(projects::sync)
            })
        },
        Route {
            query: &[STATE, LIMIT, CURSOR],
            answer: (200, Answer::Page("Run")),
            errors: &[400, 404],
            ..shows("get", "/api/v1/projects/{id}/runs", "its runs, newest first", || get(runs::of_project))
        },
        Route {
            query: &[LIMIT, CURSOR],
            answer: (200, Answer::Page("Generation")),
            errors: &[400, 404],
            ..shows(
                "get",
                "/api/v1/projects/{id}/generations",
                "its generations, newest first, and which slaves hold each",
                || get(generations::list),
            )
        },
        Route {
            answer: (200, Answer::Page("Hook")),
            errors: &[404],
            ..shows("get", "/api/v1/projects/{id}/hooks", "the plugins that are asked about it", || {
                get(plugins::of_project)
            })
        },
    ]
}
