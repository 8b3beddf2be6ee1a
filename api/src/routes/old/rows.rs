//! The rows of the API of 2014. Projects are named in a body or a query, so who may change which is asked by the
//! handlers; the rows keep out those who may change none.

use axum::routing::{MethodRouter, get, post};

use super::{change, projects, slaves, told, users};
use crate::app::App;
use crate::routes::{Access, Answer, Query, Route, RouteEffect, shows};

const ID: Query = Query { name: "id", kind: "string", about: "the project's id" };
const PROJECT: Query =
    Query { name: "project", kind: "string", about: "the project's name, in the place of its id" };

/// Every row.
pub(crate) fn rows() -> Vec<Route> {
    let mut rows = project_rows();
    rows.extend(change_rows());
    rows.extend(slave_rows());
    rows.extend(user_rows());
    rows
}

fn project_rows() -> Vec<Route> {
    vec![
        Route {
            body: Some("OldProjectInput"),
            errors: &[400, 408, 409, 413, 507],
            ..old_changes("add_project", "post", "/add_project", "begin to mirror a tree", || {
                post(projects::add)
            })
        },
        Route {
            access: Access::Read,
            answer: (200, Answer::Json("OldProjects")),
            ..old_shows("list_projects", "get", "/list_projects", "the projects", || get(projects::list))
        },
        Route {
            body: Some("OldId"),
            errors: &[400, 404, 408, 413, 507],
            ..old_changes("remove_project", "post", "/remove_project", "forget it; its files stay", || {
                post(projects::remove)
            })
        },
        Route {
            query: &[ID],
            errors: &[400, 404, 507],
            ..old_changes("enable_project", "get", "/enable_project", "let its schedule fire", || {
                get(projects::enable)
            })
        },
        Route {
            query: &[ID],
            errors: &[400, 404, 507],
            ..old_changes("disable_project", "get", "/disable_project", "let its schedule rest", || {
                get(projects::disable)
            })
        },
        Route {
            errors: &[400, 404, 507],
            ..old_changes(
                "enable_project",
                "get",
                "/enable_project/{asked}",
                "the same, asked with `id=`",
                || get(projects::enable_by_path),
            )
        },
        Route {
            errors: &[400, 404, 507],
            ..old_changes(
                "disable_project",
                "get",
                "/disable_project/{asked}",
                "the same, asked with `id=`",
                || get(projects::disable_by_path),
            )
        },
        Route {
            query: &[ID, PROJECT],
            errors: &[400, 404, 409, 503, 507],
            ..old_changes("syncup_project", "get", "/syncup", "bring it up to date now", || {
                get(projects::sync)
            })
        },
    ]
}

fn change_rows() -> Vec<Route> {
    vec![
        Route {
            body: Some("OldUpdateInput"),
            errors: &[400, 404, 408, 409, 413, 507],
            ..old_changes(
                "update_project",
                "post",
                "/update_project/basic",
                "change some settings; another name renames",
                || post(change::basic),
            )
        },
        Route {
            body: Some("OldScheduleInput"),
            errors: &[400, 404, 408, 409, 413, 507],
            ..old_changes(
                "update_project",
                "post",
                "/update_project/schedule",
                "replace its schedule",
                || post(change::schedule),
            )
        },
    ]
}

fn slave_rows() -> Vec<Route> {
    vec![
        Route {
            access: Access::Root,
            body: Some("OldSlaveInput"),
            errors: &[400, 408, 409, 413, 507],
            ..old_changes("add_slave", "post", "/add_slave", "add a slave", || post(slaves::add))
        },
        Route {
            access: Access::Read,
            answer: (200, Answer::Json("OldSlaves")),
            ..old_shows("list_slaves", "get", "/list_slaves", "the slaves", || get(slaves::list))
        },
        Route {
            access: Access::Root,
            body: Some("OldSlaveName"),
            errors: &[400, 408, 413, 507],
            ..old_changes("remove_slave", "post", "/remove_slave", "remove a slave", || post(slaves::remove))
        },
        Route {
            access: Access::Report,
            body: Some("OldReport"),
            errors: &[400, 403, 404, 408, 409, 413, 507],
            ..old_changes(
                "slave_rsync_complete",
                "post",
                "/slave_rsync_complete",
                "a slave holds a project now",
                || post(slaves::report),
            )
        },
        Route {
            access: Access::Master,
            body: Some("OldMessage"),
            answer: (200, Answer::Json("OldTold")),
            errors: &[400, 403, 404, 408, 409, 413, 503, 507],
            ..old_changes(
                "sync_from_master",
                "post",
                "/sync_from_master",
                "a master tells its slave to sync",
                || post(told::sync),
            )
        },
    ]
}

fn user_rows() -> Vec<Route> {
    vec![
        Route {
            access: Access::Root,
            body: Some("OldUserInput"),
            answer: (200, Answer::Json("OldUserName")),
            errors: &[400, 408, 413, 507],
            ..old_changes("create_api_user", "post", "/create_api_user", "add a user", || post(users::add))
        },
        Route {
            access: Access::Root,
            answer: (200, Answer::Json("OldUsers")),
            ..old_shows("list_users", "get", "/list_users", "the users", || get(users::list))
        },
        Route {
            access: Access::Read,
            answer: (200, Answer::Json("OldToken")),
            errors: &[409, 507],
            ..old_changes(
                "get_token",
                "get",
                "/get_token",
                "a token for an hour, with the role of who asks",
                || get(users::token),
            )
        },
        Route {
            access: Access::Read,
            answer: (200, Answer::Json("OldTest")),
            ..old_shows("test", "get", "/test", "whether the login is right", || get(users::test))
        },
    ]
}

/// A row for those who may change projects, which only shows something.
fn old_shows(
    name: &'static str,
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    handler: fn() -> MethodRouter<App>,
) -> Route {
    Route {
        access: Access::Create,
        answer: (200, Answer::Json("OldDone")),
        old: Some(name),
        ..shows(method, path, summary, handler)
    }
}

/// A row for those who may change projects, which changes something: in 2014, many a GET did.
fn old_changes(
    name: &'static str,
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    handler: fn() -> MethodRouter<App>,
) -> Route {
    Route { effect: RouteEffect::Changes, ..old_shows(name, method, path, summary, handler) }
}
