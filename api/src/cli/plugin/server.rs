//! `plugin list`, and what a server knows of a run, as `plugin test` asks about it.

use serde_json::{Map, Value, json};

use crate::cli::Output;
use crate::cli::client::{Client, segment};
use crate::cli::failure::Failure;
use crate::cli::table::{table, text};
use crate::cli::terminal::{document, plain, say};

/// The plugins with their state.
pub(super) async fn list(client: &Client) -> Result<(), Failure> {
    let page = client.get("/api/v1/plugins").await?;
    if client.output == Output::Json {
        return document(&page);
    }
    let items = page["items"].as_array().cloned().unwrap_or_default();
    if items.is_empty() {
        return say("no plugin is configured (plugins.load)");
    }
    say(&table(
        &["plugin", "state", "version", "hooks", "projects", "sha256", ">calls", ">failed", ">p50", ">p99"],
        items.iter().map(row),
    ))?;
    for plugin in &items {
        let granted = grants(&plugin["grants"]);
        if !granted.is_empty() {
            say(&format!("{} may: {granted}", text(&plugin["id"])))?;
        }
        let unmatched = plugin["unmatched"].as_array().into_iter().flatten();
        for pattern in unmatched {
            say(&format!("{}: `{}` fits no project", text(&plugin["id"]), text(pattern)))?;
        }
        for reason in ["refused", "last_error"].iter().filter_map(|key| plugin[key].as_str()) {
            say(&format!("{}: {}", text(&plugin["id"]), plain(reason)))?;
        }
    }
    Ok(())
}

fn row(plugin: &Value) -> Vec<String> {
    let words = |list: &Value| {
        let words: Vec<String> = list.as_array().into_iter().flatten().map(text).collect();
        words.join(" ")
    };
    let projects = words(&plugin["projects"]);
    let digest = plugin["sha256"].as_str().and_then(|digest| digest.get(..12)).unwrap_or("-");
    let millis = |key: &str| format!("{:.1}ms", plugin[key].as_f64().unwrap_or_default() * 1e3);
    vec![
        text(&plugin["id"]),
        text(&plugin["state"]),
        text(&plugin["version"]),
        words(&plugin["hooks"]),
        if projects.is_empty() { "all".to_owned() } else { projects },
        digest.to_owned(),
        text(&plugin["calls"]),
        text(&plugin["failures"]),
        millis("p50"),
        millis("p99"),
    ]
}

/// What was granted, in the configuration's words.
fn grants(grants: &Value) -> String {
    let given = |(key, value): (&String, &Value)| match value {
        Value::Array(list) if !list.is_empty() => {
            Some(format!("{key} {}", list.iter().map(text).collect::<Vec<_>>().join(" ")))
        }
        Value::Bool(true) => Some(key.clone()),
        Value::Number(number) if number.as_u64() != Some(0) => Some(format!("{key} {number}")),
        _ => None,
    };
    let given: Vec<String> = grants.as_object().into_iter().flatten().filter_map(given).collect();
    given.join(", ")
}

/// The context of a run that the server has recorded, as `--context` takes it.
pub(super) async fn context(client: &Client, run: &str) -> Result<Value, Failure> {
    let run = client.get(&format!("/api/v1/runs/{}", segment(run))).await?;
    let id = run["project"].as_str().unwrap_or_default();
    let project = client.get(&format!("/api/v1/projects/{}", segment(id))).await.ok();
    let last = run["attempts"].as_array().and_then(|attempts| attempts.last()).cloned().unwrap_or_default();
    let status = match (run["state"].as_str().unwrap_or_default(), last["exit"]["code"].as_i64()) {
        (state @ ("failed" | "partial"), Some(code)) => format!("{state} {code}"),
        (state, _) => state.to_owned(),
    };
    let outcome = json!({
        "status": status, "class": last["class"], "reason": run["reason"], "started": run["started"],
        "finished": run["ended"], "created": run["changes"]["created"], "updated": run["changes"]["updated"],
        "deleted": run["changes"]["deleted"], "stderr_tail": last["stderr"],
    });
    let mut context = json!({
        "attempt": run["attempts"].as_array().map_or(1, |attempts| attempts.len().max(1)),
        "trigger": run["trigger"], "now": run["ended"], "queued": run["queued"], "scheduled": run["scheduled"],
        "outcome": known(&outcome),
    });
    if let Some(project) = project {
        context["project"] = known(&json!({
            "id": project["id"], "name": project["name"], "source": super::super::project::address(&project["source"]),
            "host": project["source"]["host"], "dest": project["dest"], "labels": project["labels"],
            "generation": project["generation"], "size_bytes": project["size_bytes"], "files": project["files"],
        }));
        context["last_success"] = project["last_success"].clone();
        context["consecutive_failures"] = project["failures"].clone();
        context["upstream_marker"] = project["marker"]["modified"].clone();
    }
    Ok(known(&context))
}

/// Without what is not known, which then has the value for a try.
fn known(value: &Value) -> Value {
    let fields = value.as_object().into_iter().flatten();
    let there = fields.filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone()));
    Value::Object(there.collect::<Map<_, _>>())
}
