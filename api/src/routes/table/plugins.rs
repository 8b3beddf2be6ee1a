//! The plugins, and how they do.

use axum::routing::get;

use crate::routes::{Answer, Route, plugins, shows};

/// Every row.
pub(super) fn rows() -> Vec<Route> {
    vec![
        Route {
            answer: (200, Answer::Page("Plugin")),
            ..shows(
                "get",
                "/api/v1/plugins",
                "the plugins: which there are, what they may, and how they do",
                || get(plugins::list),
            )
        },
        Route {
            answer: (200, Answer::Json("Plugin")),
            errors: &[404],
            ..shows("get", "/api/v1/plugins/{plugin}", "one plugin", || get(plugins::one))
        },
    ]
}
