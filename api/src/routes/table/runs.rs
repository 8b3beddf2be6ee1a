//! Runs, their logs and their changes.

use axum::routing::{get, post};

use super::{CURSOR, LIMIT, PROJECT, STATE};
use crate::routes::{Access, Answer, Query, Route, changes, logs, runs, shows};

/// Every row.
pub(super) fn rows() -> Vec<Route> {
    vec![
        Route {
            query: &[PROJECT, STATE, LIMIT, CURSOR],
            answer: (200, Answer::Page("Run")),
            errors: &[400, 404],
            ..shows("get", "/api/v1/runs", "all runs, newest first", || get(runs::list))
        },
        Route {
            answer: (200, Answer::Json("Run")),
            errors: &[404],
            ..shows("get", "/api/v1/runs/{run}", "one run in full", || get(runs::show))
        },
        Route {
            access: Access::Change,
            answer: (200, Answer::Json("Run")),
            errors: &[404, 409, 507],
            ..changes("post", "/api/v1/runs/{run}/cancel", "stop it", || post(runs::cancel))
        },
        Route {
            access: Access::Change,
            query: &[Query {
                name: "plan",
                kind: "string",
                about: "the digest of the plan that was looked at, to refuse another one",
            }],
            answer: (200, Answer::Json("Run")),
            errors: &[400, 404, 409, 507],
            ..changes(
                "post",
                "/api/v1/runs/{run}/approve",
                "let exactly the plan of a held run through",
                || post(runs::approve),
            )
        },
        Route {
            access: Access::Change,
            answer: (200, Answer::Json("Run")),
            errors: &[404, 409, 507],
            ..changes("post", "/api/v1/runs/{run}/reject", "end a held run, which deletes nothing", || {
                post(runs::reject)
            })
        },
        Route {
            query: &[
                Query { name: "follow", kind: "boolean", about: "go on until the run ends" },
                Query { name: "tail", kind: "integer", about: "only the last so many lines" },
            ],
            answer: (200, Answer::Text),
            errors: &[400, 404],
            ..shows("get", "/api/v1/runs/{run}/log", "what its rsyncs said", || get(logs::log))
        },
        Route {
            query: &[LIMIT, CURSOR],
            answer: (200, Answer::Page("Change")),
            errors: &[400, 404],
            ..shows(
                "get",
                "/api/v1/runs/{run}/changes",
                "the paths that it created, updated and deleted; of a held run, what it would delete",
                || get(runs::changes),
            )
        },
    ]
}
