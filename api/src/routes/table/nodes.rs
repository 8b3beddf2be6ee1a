//! Nodes, and what they and the master say to each other.

use axum::routing::{delete, get, post};

use crate::routes::{Access, Answer, Query, Route, changes, nodes, shows};

const ROWS: Query = Query {
    name: "limit",
    kind: "integer",
    about: "how many rows (projects of slaves), 1 to 10000; the whole list where neither this nor `after` is given",
};
const AFTER: Query = Query { name: "after", kind: "string", about: "`next` of the page before" };

/// Every row.
pub(super) fn rows() -> Vec<Route> {
    let mut rows = vec![
        Route {
            answer: (200, Answer::Page("Node")),
            query: &[ROWS, AFTER],
            errors: &[400, 413],
            ..shows("get", "/api/v1/nodes", "the slaves, with what each holds of each project", || {
                get(nodes::list)
            })
        },
        Route {
            access: Access::Root,
            body: Some("NodeInput"),
            answer: (201, Answer::Json("NodeSecrets")),
            errors: &[400, 408, 409, 413, 422, 507],
            ..changes("post", "/api/v1/nodes", "add a machine that pulls with an rsync of its own", || {
                post(nodes::add)
            })
        },
        Route {
            access: Access::Open,
            body: Some("Hello"),
            answer: (200, Answer::Json("HelloAnswer")),
            errors: &[400, 403, 408, 413, 422],
            ..changes("post", "/api/v1/nodes/hello", "the master proves to a slave who it is", || {
                post(nodes::hello)
            })
        },
        Route {
            access: Access::Open,
            body: Some("Join"),
            answer: (201, Answer::Json("Joined")),
            errors: &[400, 403, 408, 409, 413, 422, 507],
            ..changes("post", "/api/v1/nodes/join", "a slave proves who it is, and joins", || {
                post(nodes::join)
            })
        },
    ];
    rows.extend(self_rows());
    rows.extend(one_rows());
    rows
}

/// What a slave asks and says for itself.
fn self_rows() -> Vec<Route> {
    vec![
        Route {
            access: Access::Node,
            query: &[
                Query {
                    name: "since",
                    kind: "string",
                    about: "`tag` of the last answer: wait until it is old",
                },
                Query {
                    name: "wait",
                    kind: "integer",
                    about: "how many seconds at most, 0 to 55; 0 unless given",
                },
                Query {
                    name: "process",
                    kind: "string",
                    about: "names the process that asks; two at once are refused",
                },
            ],
            answer: (200, Answer::Json("Generations")),
            errors: &[400, 404, 409, 503],
            ..shows("get", "/api/v1/nodes/self/generations", "what there is to pull, and from where", || {
                get(nodes::generations)
            })
        },
        Route {
            access: Access::Node,
            query: &[
                Query { name: "project", kind: "string", about: "of which project" },
                Query {
                    name: "created",
                    kind: "string",
                    about: "when that project was created, as `generations` says",
                },
                Query { name: "history", kind: "string", about: "its `history`, if `generations` says one" },
                Query { name: "from", kind: "integer", about: "the generation that is held" },
                Query { name: "to", kind: "integer", about: "the generation that is wanted" },
            ],
            answer: (200, Answer::Text),
            errors: &[400, 404],
            ..shows(
                "get",
                "/api/v1/nodes/self/changes",
                "the paths that changed in between, divided by zero bytes",
                || get(nodes::changes),
            )
        },
        Route {
            access: Access::Node,
            query: &[
                Query { name: "project", kind: "string", about: "of which project" },
                Query {
                    name: "created",
                    kind: "string",
                    about: "when that project was created, as `generations` says",
                },
                Query { name: "history", kind: "string", about: "its `history`, if `generations` says one" },
            ],
            answer: (200, Answer::Json("Sample")),
            errors: &[400, 404],
            ..shows("get", "/api/v1/nodes/self/sample", "some places of the tree, to compare with", || {
                get(nodes::sample)
            })
        },
        Route {
            access: Access::Node,
            body: Some("NodeReport"),
            errors: &[400, 404, 408, 413, 422, 507],
            ..changes(
                "post",
                "/api/v1/nodes/self/report",
                "how a pull has ended, and what is held now",
                || post(nodes::report),
            )
        },
    ]
}

/// One node.
fn one_rows() -> Vec<Route> {
    vec![
        Route {
            answer: (200, Answer::Json("Node")),
            errors: &[404],
            ..shows("get", "/api/v1/nodes/{id}", "one slave", || get(nodes::show))
        },
        Route {
            access: Access::Root,
            errors: &[404, 507],
            ..changes(
                "delete",
                "/api/v1/nodes/{id}",
                "end its token, its rsync access and its transfers at once",
                || delete(nodes::remove),
            )
        },
        Route {
            access: Access::Root,
            answer: (202, Answer::Json("Node")),
            errors: &[404, 507],
            ..changes("post", "/api/v1/nodes/{id}/sync", "let it sync every project anew", || {
                post(nodes::sync)
            })
        },
        Route {
            access: Access::Root,
            query: &[Query {
                name: "plan",
                kind: "string",
                about: "`plan` of the project, as it was looked at: refuse another one",
            }],
            answer: (202, Answer::Json("Node")),
            errors: &[400, 404, 409, 507],
            ..changes(
                "post",
                "/api/v1/nodes/{id}/projects/{project}/approve",
                "let exactly the plan of its held pull through",
                || post(nodes::approve),
            )
        },
    ]
}
