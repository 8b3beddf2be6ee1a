//! The OpenAPI 3.1 document, made from the same table as the router (<https://spec.openapis.org/oas/v3.1.0>).
//!
//! The schemas stand in `schemas.json`; a test holds real answers against them.

use serde_json::{Map, Value, json};

use super::{Access, Answer, Route, RouteEffect, table};

/// What a name in the table means.
const SCHEMAS: &str = include_str!("schemas.json");

/// The whole document.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in table() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.to_owned(), operation(&route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Heliostat",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Keeps software mirrors in sync with their upstreams, over rsync.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "security": [{"basic": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
            "schemas": serde_json::from_str::<Value>(SCHEMAS).unwrap_or_default(),
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut responses = Map::new();
    let (status, answer) = route.answer;
    responses.insert(status.to_string(), good(answer));
    let always: &[u16] = match (route.access, route.effect) {
        (Access::Open, RouteEffect::Shows) => &[],
        (Access::Open, RouteEffect::Changes) => &[403],
        (_, RouteEffect::Shows) => &[401, 403, 429],
        (_, RouteEffect::Changes) => &[401, 403, 408, 413, 429],
    };
    for status in route.errors.iter().chain(always) {
        let failure = if route.old.is_some() { old_failure(*status) } else { problem(*status) };
        responses.insert(status.to_string(), failure);
    }
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": responses,
    });
    if route.access.is_open() {
        operation["security"] = json!([]);
    }
    if let Some(schema) = route.body {
        let content = json!({"application/json": {"schema": reference(schema)}});
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    operation
}

/// `get /api/v1/projects/{id}/runs` is `get_projects_id_runs`.
fn operation_id(route: &Route) -> String {
    let words =
        route.path.trim_start_matches("/api/v1").split(['/', '{', '}', '.']).filter(|word| !word.is_empty());
    std::iter::once(route.method).chain(words).collect::<Vec<_>>().join("_")
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
    let in_query = route.query.iter().map(|query| {
        json!({"name": query.name, "in": "query", "description": query.about, "schema": {"type": query.kind}})
    });
    in_path.chain(in_query).collect()
}

fn good(answer: Answer) -> Value {
    let (kind, schema) = match answer {
        Answer::Empty => return json!({"description": "done"}),
        Answer::Json(name) => ("application/json", reference(name)),
        Answer::Page(name) => (
            "application/json",
            json!({
                "type": "object",
                "required": ["items", "next"],
                "properties": {
                    "items": {"type": "array", "items": reference(name)},
                    "next": {"type": ["string", "null"]},
                },
            }),
        ),
        Answer::Media(kinds) => {
            let kinds: Map<String, Value> = kinds
                .iter()
                .map(|kind| ((*kind).to_owned(), json!({"schema": {"type": "string"}})))
                .collect();
            return json!({"description": "done", "content": kinds});
        }
        Answer::Text => ("text/plain", json!({"type": "string"})),
        Answer::Events => ("text/event-stream", json!({"type": "string"})),
    };
    json!({"description": "done", "content": {kind: {"schema": schema}}})
}

fn problem(status: u16) -> Value {
    let why = axum::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    json!({
        "description": why.unwrap_or("error"),
        "content": {"application/problem+json": {"schema": reference("Problem")}},
    })
}

fn old_failure(status: u16) -> Value {
    let mut failure = problem(status);
    failure["content"] = json!({"application/json": {"schema": reference("OldFailure")}});
    failure
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_that_the_table_names_is_there_and_every_schema_is_named() {
        let schemas: Map<String, Value> = serde_json::from_str(SCHEMAS).unwrap();
        let text = document().to_string();
        for name in schemas.keys() {
            assert!(text.contains(&format!("#/components/schemas/{name}\"")), "{name} is used nowhere");
        }
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name} is not defined");
        }
    }

    #[test]
    fn no_two_operations_share_an_id() {
        let mut ids: Vec<String> = table().iter().map(operation_id).collect();
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
