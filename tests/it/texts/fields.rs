//! Every field of every document that is taken, found in the OpenAPI document: a field that is added is covered by itself.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{assert_every_document_is_plain, assert_plain, routes};
use crate::kit::{Server, Upstream};

/// Bytes of the largest body that is read before a login.
const LONGEST_OF_STRANGERS: usize = 16 << 10;

/// The way to a text in a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    Item,
}

/// The places of texts that a schema has.
fn places(schemas: &Value, schema: &Value, way: &[Step], found: &mut BTreeSet<Vec<Step>>) {
    assert!(way.len() < 12, "a schema without an end: {way:?}");
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        places(schemas, &schemas[name], way, found);
    }
    for choice in
        ["anyOf", "oneOf", "allOf"].iter().flat_map(|key| schema[key].as_array().into_iter().flatten())
    {
        places(schemas, choice, way, found);
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    let with = |step: Step| [way, &[step]].concat();
    if kinds.contains(&json!("string")) && !way.is_empty() {
        found.insert(way.to_vec());
    }
    if kinds.contains(&json!("array")) {
        places(schemas, &schema["items"], &with(Step::Item), found);
    }
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        places(schemas, inner, &with(Step::Key(key.clone())), found);
    }
    if schema["additionalProperties"].is_object() {
        places(schemas, &schema["additionalProperties"], &with(Step::Key("k".to_owned())), found);
    }
}

/// A document that holds this text at this place and nothing else.
fn document(way: &[Step], text: &str) -> Value {
    way.iter().rev().fold(json!(text), |inner, step| match step {
        Step::Key(key) => Value::Object(Map::from_iter([(key.clone(), inner)])),
        Step::Item => json!([inner]),
    })
}

/// The place as an answer names it: `source.host`, `options.basic[0]`.
fn name(way: &[Step]) -> String {
    let name: String = way
        .iter()
        .map(|step| match step {
            Step::Key(key) => format!(".{key}"),
            Step::Item => "[0]".to_owned(),
        })
        .collect();
    name.trim_start_matches('.').to_owned()
}

/// One text of each kind that no field takes; the last one is too long.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = ["\0", "\u{1b}[31mred", "\r", "\u{7f}", "\u{9b}31m", "\u{202e}gnp.exe"]
        .into_iter()
        .chain(["\u{2066}", "\u{200f}", "\u{2028}"])
        .map(|text| format!("a{text}b"))
        .collect();
    texts.push("x".repeat(20_000));
    texts
}

#[test]
fn no_field_that_a_person_fills_takes_what_is_not_plain() {
    let (server, upstream) = (Server::start(""), Upstream::start(1));
    server.project("p", &upstream.url("data"), &json!({}));
    let run = server.sync("p");
    server.ended(&run);
    server.post("/api/v1/users", &json!({"name": "jane", "role": "viewer", "password": "a good password"}));
    let parts = [("id", "p"), ("run", run.as_str()), ("name", "jane")];
    let before = [server.get("/api/v1/projects").text, server.get("/api/v1/users").text];
    let schemas = server.get("/openapi.json").json()["components"]["schemas"].clone();

    let (mut seen, mut wrong) = (0, Vec::new());
    for (method, path, operation) in routes(&server, &parts) {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        // Only a slave may call the first, and only a slave answers the second: see below, and `of_2014`.
        if schema.is_null() || path.starts_with("/api/v1/nodes/self/") || path == "/sync_from_master" {
            continue;
        }
        let mut found = BTreeSet::new();
        places(&schemas, schema, &[], &mut found);
        assert!(!found.is_empty(), "{method} {path}");
        for way in found {
            for text in texts() {
                let request = server.request(method.clone(), &path).header("X-Heliostat", "1");
                let answer = server.send(request.json(&document(&way, &text)));
                seen += 1;
                assert_plain(&format!("the answer of {method} {path}"), answer.text.as_bytes());
                // Before a login, a whole body may not be as long as this text.
                let is_too_long = answer.status == 413 && text.len() > LONGEST_OF_STRANGERS;
                let names_it = is_too_long || answer.text.contains(&name(&way));
                if !(400..500).contains(&answer.status) || !names_it {
                    let text: String = text.chars().take(10).collect();
                    wrong.push(format!("{method} {path} {} {text:?}: {}", name(&way), answer.text));
                }
            }
        }
        let large = json!({ "a": "x".repeat(1 << 20) });
        let large =
            server.send(server.request(method.clone(), &path).header("X-Heliostat", "1").json(&large));
        assert_eq!(large.status, 413, "{method} {path}: {}", large.text);
        let broken = server.request(method.clone(), &path).header("Content-Type", "application/json");
        let answer = server.send(broken.header("X-Heliostat", "1").body(b"{\"a\": \"\xff\"}".to_vec()));
        assert_eq!(answer.status, 400, "{method} {path}: {}", answer.text);
    }
    assert!(wrong.is_empty(), "{} of {seen}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen > 500, "{seen}");
    assert_eq!(before, [server.get("/api/v1/projects").text, server.get("/api/v1/users").text]);
}

#[test]
fn no_name_of_a_field_and_no_query_takes_what_is_not_plain() {
    let (server, upstream) = (Server::start(""), Upstream::start(1));
    server.project("p", &upstream.url("data"), &json!({}));
    for text in texts().iter().take(9) {
        let labels = Value::Object(Map::from_iter([(text.clone(), json!("x"))]));
        let request = server.request(Method::PATCH, "/api/v1/projects/p").json(&json!({ "labels": labels }));
        let answer = server.send(request);
        assert_eq!(answer.status, 422, "{}", answer.text);
        assert_plain("an answer", answer.text.as_bytes());

        let answer = server.send(server.request(Method::GET, "/api/v1/runs").query(&[("state", text)]));
        assert!(answer.status == 400 && answer.text.contains("`state` in the query"), "{}", answer.text);
        assert_plain("an answer", answer.text.as_bytes());
    }
}

#[test]
fn what_a_slave_says_is_shown_escaped() {
    let (server, upstream) = (Server::start(""), Upstream::start(1));
    server.project("p", &upstream.url("data"), &json!({}));
    let run = server.sync("p");
    server.ended(&run);
    let node = server.post("/api/v1/nodes", &json!({"name": "leaf"})).json();
    let token = node["token"].as_str().unwrap().to_owned();
    let created = server.get("/api/v1/projects/p").json()["created"].clone();
    let schemas = server.get("/openapi.json").json()["components"]["schemas"].clone();
    let mut found = BTreeSet::new();
    places(&schemas, &schemas["NodeReport"], &[], &mut found);

    let client = reqwest::blocking::Client::new();
    let mut taken = 0;
    for (number, (way, text)) in
        found.iter().flat_map(|way| texts().into_iter().map(move |text| (way, text))).enumerate()
    {
        let mut report = json!({
            "project": "p", "created": created, "run": format!("01JF0000000000000000{number:06}"), "state": "failed",
            "reason": "r", "ended": "2026-01-01T00:00:00Z", "took_ms": 1, "received": 1,
        });
        let [Step::Key(key)] = way.as_slice() else { panic!("{way:?}") };
        report[key] = json!(text);
        let request = client.post(server.url("/api/v1/nodes/self/report")).bearer_auth(&token).json(&report);
        let answer = server.send(request);
        assert_plain("an answer", answer.text.as_bytes());
        taken += u32::from(answer.status == 204);
        assert!(answer.status < 500, "{}", answer.text);
        assert_plain("a slave", server.get("/api/v1/nodes/leaf").text.as_bytes());
    }
    assert!(taken > 10, "{taken}");
    assert_every_document_is_plain(&server, &[("id", "leaf"), ("run", run.as_str()), ("name", "jane")]);
    for words in [&["node", "list"][..], &["node", "show", "leaf"], &["status"]] {
        super::assert_output_is_plain(words, &server.command(words));
    }
}
