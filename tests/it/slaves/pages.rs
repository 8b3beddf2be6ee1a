//! The list of slaves where it is too long for one answer.

use serde_json::{Value, json};

use super::master;

/// Slaves and projects of which the list has more rows than one answer holds.
const NODES: usize = 41;
const PROJECTS: usize = 250;

/// Every slave and project in a list.
fn rows(items: &Value) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for node in items.as_array().unwrap() {
        for held in node["projects"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            rows.push((text(&node["id"]), text(&held["project"])));
        }
    }
    rows
}

#[test]
fn a_list_that_is_too_long_for_one_answer_is_read_page_by_page() {
    let master = master();
    for number in 0..PROJECTS {
        master.project(&format!("p{number:03}"), "rsync://127.0.0.1:1/data", &json!({}));
    }
    let add = |number: usize| {
        let answer = master.post("/api/v1/nodes", &json!({"name": format!("n{number:03}")}));
        assert_eq!(answer.status, 201, "{}", answer.text);
    };
    (1..NODES).for_each(add);

    // As many as one answer holds are answered as ever.
    let whole = master.get("/api/v1/nodes").json();
    assert_eq!((rows(&whole["items"]).len(), &whole["next"]), ((NODES - 1) * PROJECTS, &Value::Null));
    add(NODES);
    let refused = master.get("/api/v1/nodes");
    assert_eq!(refused.status, 413);
    assert!(refused.text.contains("`limit`") && refused.text.contains("`after`"), "{}", refused.text);

    // Pages of a size that ends within a slave.
    let (mut read, mut pages, mut after) = (Vec::new(), 0, String::new());
    loop {
        let page = master.get(&format!("/api/v1/nodes?limit=3001{after}")).json();
        let found = rows(&page["items"]);
        assert!(found.len() <= 3001, "{} rows", found.len());
        read.extend(found);
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    let every: Vec<_> = (1..=NODES)
        .flat_map(|node| (0..PROJECTS).map(move |project| (format!("n{node:03}"), format!("p{project:03}"))))
        .collect();
    assert_eq!(pages, every.len().div_ceil(3001));
    assert!(read == every, "a row is missing, twice there, or out of order");

    let listed = master.command(&["node", "list", "--output", "json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert!(rows(&listed["items"]) == every, "the command leaves something out");
    for wrong in ["limit=0", "limit=10001", "limit=x"] {
        assert_eq!(master.get(&format!("/api/v1/nodes?{wrong}")).status, 400, "{wrong}");
    }
}
