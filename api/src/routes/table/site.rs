//! The site as a whole: whether it lives, what it does, its store and its configuration.

use axum::routing::{get, post};

use super::{LIMIT, PROJECT};
use crate::routes::{Access, Answer, Query, Route, changes, events, schedule, shows, site, store};

/// Every row.
pub(super) fn rows() -> Vec<Route> {
    let mut rows = vec![
        Route {
            access: Access::Open,
            answer: (200, Answer::Text),
            ..shows("get", "/healthz", "alive", || get(site::healthz))
        },
        Route {
            access: Access::Open,
            answer: (200, Answer::Text),
            errors: &[503],
            ..shows("get", "/readyz", "the store is open and the scheduler is running", || get(site::readyz))
        },
        Route {
            access: Access::Open,
            answer: (200, Answer::Json("Object")),
            ..shows("get", "/openapi.json", "this document", || get(site::openapi))
        },
        Route {
            answer: (200, Answer::Json("Status")),
            ..shows("get", "/api/v1/status", "one screen: what runs, waits, ended last, and fails", || {
                get(site::status)
            })
        },
        Route {
            answer: (200, Answer::Page("Disk")),
            ..shows("get", "/api/v1/disks", "how full the file systems below projects are", || {
                get(site::disks)
            })
        },
        Route {
            answer: (200, Answer::Page("QueueItem")),
            ..shows("get", "/api/v1/queue", "what waits, in order, and why", || get(site::queue))
        },
        Route {
            query: &[
                Query {
                    name: "from",
                    kind: "string",
                    about: "what begins at or after this time (RFC 3339); now unless given",
                },
                Query {
                    name: "until",
                    kind: "string",
                    about: "up to this time (RFC 3339); a day after `from` unless given",
                },
                LIMIT,
            ],
            answer: (200, Answer::Page("ScheduleItem")),
            errors: &[400],
            ..shows("get", "/api/v1/schedule", "what will fire when", || get(schedule::schedule))
        },
        Route {
            query: &[
                PROJECT,
                Query { name: "types", kind: "string", about: "only these types, separated by commas" },
            ],
            answer: (200, Answer::Events),
            errors: &[400],
            ..shows(
                "get",
                "/api/v1/events",
                "what happens, as server-sent events; resumes by Last-Event-ID",
                || get(events::events),
            )
        },
        Route {
            query: &[Query {
                name: "hours",
                kind: "integer",
                about: "how far ahead, 1 to 168; 24 unless given",
            }],
            answer: (200, Answer::Json("Load")),
            errors: &[400],
            ..shows("get", "/api/v1/schedule/load", "how many runs start in each ten minutes", || {
                get(schedule::load)
            })
        },
    ];
    rows.extend(root_rows());
    rows
}

/// What only root does.
fn root_rows() -> Vec<Route> {
    vec![
        Route {
            access: Access::Root,
            answer: (200, Answer::Json("StoreCheck")),
            ..changes(
                "post",
                "/api/v1/store/check",
                "read every record of the store, and say what is wrong",
                || post(store::check),
            )
        },
        Route {
            access: Access::Root,
            body: Some("StoreBackupInput"),
            answer: (200, Answer::Json("StoreBackup")),
            errors: &[400, 408, 413, 422],
            ..changes(
                "post",
                "/api/v1/store/backup",
                "write the whole store into a file on the server",
                || post(store::backup),
            )
        },
        Route {
            access: Access::Root,
            answer: (200, Answer::Json("Reload")),
            errors: &[422],
            ..changes("post", "/api/v1/reload", "read the configuration file again", || post(site::reload))
        },
    ]
}
