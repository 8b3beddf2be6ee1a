//! Telling people.

use axum::routing::{get, post};

use crate::routes::{Access, Answer, Route, alerts, changes, shows};

/// Every row.
pub(super) fn rows() -> Vec<Route> {
    vec![
        Route {
            answer: (200, Answer::Page("Alert")),
            ..shows("get", "/api/v1/alerts", "what needs a person now, the most urgent first", || {
                get(alerts::list)
            })
        },
        Route {
            answer: (200, Answer::Page("AlertChannel")),
            ..shows("get", "/api/v1/alerts/channels", "the ways to people, and what waits for each", || {
                get(alerts::channels)
            })
        },
        Route {
            access: Access::Root,
            answer: (200, Answer::Page("AlertTest")),
            ..changes("post", "/api/v1/alerts/test", "send a test message through every channel", || {
                post(alerts::test)
            })
        },
    ]
}
