//! Users, tokens and the audit trail.

use axum::routing::{delete, get, post, put};

use super::{CURSOR, LIMIT};
use crate::routes::{Access, Answer, Route, accounts, changes, shows};

/// Every row.
pub(super) fn rows() -> Vec<Route> {
    vec![
        Route {
            access: Access::Root,
            answer: (200, Answer::Page("User")),
            ..shows("get", "/api/v1/users", "the users", || get(accounts::users))
        },
        Route {
            access: Access::Root,
            body: Some("UserInput"),
            answer: (201, Answer::Json("User")),
            errors: &[400, 408, 409, 413, 422, 507],
            ..changes("post", "/api/v1/users", "add a user", || post(accounts::add_user))
        },
        Route {
            access: Access::Root,
            answer: (204, Answer::Empty),
            errors: &[404, 409, 507],
            ..changes("delete", "/api/v1/users/{name}", "remove a user, and their tokens", || {
                delete(accounts::remove_user)
            })
        },
        Route {
            access: Access::Own,
            body: Some("PasswordInput"),
            answer: (204, Answer::Empty),
            errors: &[400, 404, 408, 409, 413, 422, 507],
            ..changes("put", "/api/v1/users/{name}/password", "give a user another password", || {
                put(accounts::set_password)
            })
        },
        Route {
            access: Access::Own,
            answer: (200, Answer::Page("Token")),
            ..shows("get", "/api/v1/tokens", "the tokens, without their texts", || get(accounts::tokens))
        },
        Route {
            access: Access::Own,
            body: Some("TokenInput"),
            answer: (201, Answer::Json("Token")),
            errors: &[400, 408, 409, 413, 422, 507],
            ..changes("post", "/api/v1/tokens", "make a token; its text is shown this once", || {
                post(accounts::make_token)
            })
        },
        Route {
            access: Access::Own,
            answer: (204, Answer::Empty),
            errors: &[404, 507],
            ..changes("delete", "/api/v1/tokens/{token}", "end a token", || delete(accounts::revoke))
        },
        Route {
            access: Access::Root,
            query: &[LIMIT, CURSOR],
            answer: (200, Answer::Page("AuditLine")),
            errors: &[400],
            ..shows("get", "/api/v1/audit", "who changed or started what, newest first", || {
                get(accounts::audit)
            })
        },
    ]
}
