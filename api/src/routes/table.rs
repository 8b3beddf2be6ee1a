//! The rows themselves, by subject.

mod accounts;
mod alerts;
mod nodes;
mod plugins;
mod projects;
mod runs;
mod site;

use super::{Query, Route, old, pages, published, session};

const LIMIT: Query = Query { name: "limit", kind: "integer", about: "how many, 1 to 1000; 100 unless given" };
const CURSOR: Query = Query { name: "cursor", kind: "string", about: "`next` of the page before" };
const DRY_RUN: Query = Query {
    name: "dry_run",
    kind: "boolean",
    about: "read and check it, answer 200 with the settings, take nothing",
};
const PROBE: Query = Query {
    name: "probe",
    kind: "boolean",
    about: "ask the upstream first, and take nothing when its module or its login is not right",
};
const WHOLE: Query = Query {
    name: "whole",
    kind: "boolean",
    about: "forget the marker of the last good run and what the upstream refused before, and look at everything",
};
const STATE: Query = Query { name: "state", kind: "string", about: "only those in this state" };
const PROJECT: Query = Query { name: "project", kind: "string", about: "only of this project" };

/// Every row.
#[must_use]
pub fn table() -> Vec<Route> {
    let mut rows = pages::rows();
    rows.extend(published::rows());
    rows.extend(session::rows());
    rows.extend(site::rows());
    rows.extend(projects::rows());
    rows.extend(runs::rows());
    rows.extend(accounts::rows());
    rows.extend(alerts::rows());
    rows.extend(nodes::rows());
    rows.extend(plugins::rows());
    rows.extend(old::rows());
    rows
}
