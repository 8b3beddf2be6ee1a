//! The list of slaves, whole or page by page: with many slaves and projects it is millions of rows.
//!
//! A row is what one slave holds of one project, and a page holds so many rows. A slave of which not all rows fit goes on,
//! with the same `id`, on the next page.

use std::ops::Range;

use axum::Json;
use axum::extract::State;
use scheduler::member::MemberName;
use serde::Deserialize;

use super::{NodeView, Viewer, nodes};
use crate::app::App;
use crate::problem::Problem;
use crate::routes::input::Asked;
use crate::view::Page;

/// Most rows of one answer.
const LARGEST: usize = 10_000;
/// Rows of a page whose size is not given.
const USUAL: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct NodesQuery {
    limit: Option<usize>,
    after: Option<String>,
}

/// One slave's part of a page.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    node: MemberName,
    /// Its projects, by their places in the list of all.
    projects: Range<usize>,
}

pub(in crate::routes) async fn list(
    State(app): State<App>,
    Asked(query): Asked<NodesQuery>,
) -> Result<Json<Page<NodeView>>, Problem> {
    let is_paged = query.limit.is_some() || query.after.is_some();
    let limit = match query.limit {
        None if is_paged => USUAL,
        None => LARGEST,
        Some(limit) if (1..=LARGEST).contains(&limit) => limit,
        Some(limit) => {
            return Err(Problem::bad_request(format!("`limit` is {limit}: give 1 to {LARGEST}")));
        }
    };
    nodes(&app)?;
    let made = tokio::task::spawn_blocking(move || page(&app, limit, query.after.as_deref())).await;
    let page = made.map_err(|error| Problem::internal(&error))?;
    if page.next.is_some() && !is_paged {
        return Err(Problem::too_many_rows(LARGEST));
    }
    Ok(Json(page))
}

fn page(app: &App, limit: usize, after: Option<&str>) -> Page<NodeView> {
    let Some(nodes) = &app.nodes else { return Page { items: Vec::new(), next: None } };
    let viewer = Viewer::new(app, nodes);
    let names = nodes.names();
    let ids: Vec<&str> = viewer.projects.iter().map(|entry| entry.project.id.as_str()).collect();
    let (parts, next) = parts(&names, &ids, limit, after);

    let items = parts.into_iter().filter_map(|part| {
        // One that was removed meanwhile is on no page.
        let shown = nodes.show(part.node.as_str()).ok()?;
        Some(viewer.view(shown, part.projects))
    });
    Page { items: items.collect(), next }
}

/// Returns the parts of the page behind `after`, and what the next page comes after.
fn parts(
    names: &[MemberName],
    projects: &[&str],
    limit: usize,
    after: Option<&str>,
) -> (Vec<Part>, Option<String>) {
    let (last, project) = match after {
        Some(after) => after.split_once('/').map_or((after, None), |(node, project)| (node, Some(project))),
        None => ("", None),
    };
    let mut parts = Vec::new();
    let mut room = limit;
    for name in names.iter().filter(|name| name.as_str() >= last) {
        let first = match project {
            _ if name.as_str() != last => 0,
            Some(project) => projects.partition_point(|id| *id <= project),
            None => projects.len(),
        };
        // A slave without projects is a row of its own, unless it was on the page before.
        let is_done = name.as_str() == last && first == projects.len();
        if is_done {
            continue;
        }
        if room == 0 {
            let next = parts.last().map(|part: &Part| after_part(part, projects));
            return (parts, next);
        }

        let end = projects.len().min(first + room);
        room -= (end - first).max(1);
        parts.push(Part { node: name.clone(), projects: first..end });
        if end < projects.len() {
            let next = parts.last().map(|part| after_part(part, projects));
            return (parts, next);
        }
    }
    (parts, None)
}

/// The place behind this part.
fn after_part(part: &Part, projects: &[&str]) -> String {
    match part.projects.end.checked_sub(1).and_then(|last| projects.get(last)) {
        Some(project) => format!("{}/{project}", part.node),
        None => part.node.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row, taken in pages of this size.
    fn walk(names: &[MemberName], projects: &[&str], limit: usize) -> (Vec<(String, String)>, usize) {
        let (mut rows, mut pages, mut after) = (Vec::new(), 0, None::<String>);
        loop {
            let (parts, next) = parts(names, projects, limit, after.as_deref());
            let mut taken = 0;
            for Part { node, projects: range } in parts {
                taken += range.len().max(1);
                if projects.is_empty() {
                    rows.push((node.to_string(), String::new()));
                }
                rows.extend(projects[range].iter().map(|id| (node.to_string(), (*id).to_owned())));
            }
            assert!(taken <= limit, "{taken} rows on a page of {limit}");
            pages += 1;
            match next {
                Some(next) => after = Some(next),
                None => return (rows, pages),
            }
        }
    }

    #[test]
    fn pages_of_every_size_hold_each_row_once_and_in_order() {
        let names: Vec<MemberName> = ["a", "b", "c"].map(|name| name.parse().unwrap()).into();
        for projects in [vec![], vec!["p"], vec!["p", "q", "r", "s"]] {
            let whole = names.len() * projects.len().max(1);
            let (all, _) = walk(&names, &projects, LARGEST);
            assert_eq!(all.len(), whole);
            for limit in 1..=whole + 1 {
                let (rows, pages) = walk(&names, &projects, limit);
                assert_eq!(rows, all, "in pages of {limit}");
                assert_eq!(pages, whole.div_ceil(limit), "pages of {limit}");
            }
        }
    }

    #[test]
    fn a_page_goes_on_behind_a_node_and_a_project_that_are_gone() {
        let names: Vec<MemberName> = ["a", "c"].map(|name| name.parse().unwrap()).into();
        let (found, next) = parts(&names, &["p", "r"], 9, Some("a/q"));
        let part = |node: &str, projects| Part { node: node.parse().unwrap(), projects };
        assert_eq!((found, next), (vec![part("a", 1..2), part("c", 0..2)], None));
        assert_eq!(parts(&names, &["p", "r"], 9, Some("b/p")).0, vec![part("c", 0..2)]);
        assert_eq!(parts(&names, &["p", "r"], 9, Some("c/r")).0, vec![]);
    }
}
