//! `project apply`: a site's projects as a file.
//!
//! The server reads every project of the file first, without taking it (`?dry_run=true`); only when all of them are
//! right is the first one changed. What the file says nothing of has the configuration's defaults, also where the
//! server knows better so far: the file is the whole truth.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use reqwest::Method;
use serde_json::{Map, Value};

use super::Output;
use super::client::{Client, segment};
use super::failure::Failure;
use super::table::text;
use super::terminal::{document, plain, say};
use crate::draft;

/// What is to be done with one project.
struct Step {
    id: String,
    action: Action,
    /// Each setting that changes: its name, before, after.
    changes: Vec<(String, Value, Value)>,
    wanted: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Create,
    Update,
    Keep,
    Remove,
}

pub(super) async fn run(client: &Client, file: &Path, dry_run: bool, prune: bool) -> Result<(), Failure> {
    let wanted = read(file)?;
    let known = client.all("/api/v1/projects", &[]).await?;
    let known: BTreeMap<&str, &Value> = known["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|project| Some((project["id"].as_str()?, project)))
        .collect();
    let mut steps = plan(client, &wanted, &known).await?;
    if prune {
        let gone = known.keys().filter(|id| !wanted.contains_key(**id));
        steps.extend(gone.map(|id| Step {
            id: (*id).to_owned(),
            action: Action::Remove,
            changes: Vec::new(),
            wanted: Value::Null,
        }));
    }
    if !dry_run {
        for action in [Action::Remove, Action::Update, Action::Create] {
            for step in steps.iter().filter(|step| step.action == action) {
                carry_out(client, step).await?;
            }
        }
    }
    tell(client, &steps, dry_run)
}

/// Reads the file: a list of projects in RON or JSON, or a page as the API gives it.
fn read(file: &Path) -> Result<BTreeMap<String, Value>, Failure> {
    let wrong = |error: String| Failure::Usage(format!("{}: {error}", file.display()));
    let mut text = String::new();
    let reading = match file.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text),
        _ => std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    };
    reading.map_err(|error| wrong(error.to_string()))?;
    let is_json =
        text.trim_start().starts_with('{') || file.extension().is_some_and(|extension| extension == "json");
    let document: Value = if is_json {
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?
    } else {
        let options =
            ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
        options.from_str(&text).map_err(|error| wrong(error.to_string()))?
    };
    let items = document.as_array().or_else(|| document["items"].as_array());
    let items = items.ok_or_else(|| {
        wrong("must be a list of projects: [(id: \"debian\", source: …, dest: …)]".to_owned())
    })?;
    let mut projects = BTreeMap::new();
    for (index, project) in items.iter().enumerate() {
        let id = project["id"].as_str().or(project["name"].as_str());
        let id = id.ok_or_else(|| wrong(format!("project {} has no `id`", index + 1)))?;
        if projects.insert(id.to_owned(), project.clone()).is_some() {
            return Err(wrong(format!("`{}` stands there twice", plain(id))));
        }
    }
    Ok(projects)
}

/// Lets the server read all of it, and compares. Everything that is wrong is said at once.
async fn plan(
    client: &Client,
    wanted: &BTreeMap<String, Value>,
    known: &BTreeMap<&str, &Value>,
) -> Result<Vec<Step>, Failure> {
    let (mut steps, mut wrong) = (Vec::new(), Vec::new());
    for (id, project) in wanted {
        let before = known.get(id.as_str()).copied();
        let (method, path) = target(id, before.is_some());
        match client.submit(method, &format!("{path}?dry_run=true"), project).await {
            Ok(after) => {
                let changes = differences(before.unwrap_or(&Value::Null), &after, project);
                let action = match before {
                    None => Action::Create,
                    Some(_) if changes.is_empty() => Action::Keep,
                    Some(_) => Action::Update,
                };
                steps.push(Step { id: id.clone(), action, changes, wanted: project.clone() });
            }
            Err(Failure::Usage(text) | Failure::Failed(text)) => wrong.push(format!("{}: {text}", plain(id))),
            Err(failure) => return Err(failure),
        }
    }
    if wrong.is_empty() {
        Ok(steps)
    } else {
        Err(Failure::Usage(format!("nothing was changed:\n{}", wrong.join("\n"))))
    }
}

fn target(id: &str, exists: bool) -> (Method, String) {
    match exists {
        true => (Method::PUT, format!("/api/v1/projects/{}", segment(id))),
        false => (Method::POST, "/api/v1/projects".to_owned()),
    }
}

/// The settings that differ. A password in the file cannot be compared, so it is set again.
fn differences(before: &Value, after: &Value, given: &Value) -> Vec<(String, Value, Value)> {
    let mut found = Vec::new();
    for (key, value) in after.as_object().into_iter().flatten() {
        if !draft::is_read_only(key) {
            compare(key, &before[key], value, &mut found);
        }
    }
    if given["source"]["password"].is_string() {
        found.push(("source.password".to_owned(), Value::Null, Value::from("(set)")));
    }
    for (number, upstream) in given["upstreams"].as_array().into_iter().flatten().enumerate() {
        if upstream["password"].is_string() {
            found.push((format!("upstreams[{number}].password"), Value::Null, Value::from("(set)")));
        }
    }
    found
}

fn compare(name: &str, before: &Value, after: &Value, found: &mut Vec<(String, Value, Value)>) {
    let nothing = Map::new();
    match (before, after) {
        _ if before == after => {}
        (Value::Object(_), Value::Object(_)) => {
            let (old, new) = (before.as_object().unwrap_or(&nothing), after.as_object().unwrap_or(&nothing));
            let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                compare(&format!("{name}.{key}"), &before[key], &after[key], found);
            }
        }
        _ => found.push((name.to_owned(), before.clone(), after.clone())),
    }
}

async fn carry_out(client: &Client, step: &Step) -> Result<(), Failure> {
    let (method, path) = target(&step.id, step.action != Action::Create);
    match step.action {
        Action::Keep => Ok(()),
        Action::Remove => client.delete(&path).await,
        Action::Create | Action::Update => client.submit(method, &path, &step.wanted).await.map(drop),
    }
}

fn tell(client: &Client, steps: &[Step], dry_run: bool) -> Result<(), Failure> {
    let ids =
        |action: Action| steps.iter().filter(move |step| step.action == action).map(|step| step.id.clone());
    if client.output == Output::Json {
        let list = |action| ids(action).collect::<Vec<_>>();
        return document(&serde_json::json!({
            "dry_run": dry_run, "created": list(Action::Create), "updated": list(Action::Update),
            "removed": list(Action::Remove), "unchanged": list(Action::Keep),
        }));
    }
    let mut lines = Vec::new();
    for step in steps {
        let sign = match step.action {
            Action::Create => '+',
            Action::Update => '~',
            Action::Remove => '-',
            Action::Keep => continue,
        };
        lines.push(format!("{sign} {}", plain(&step.id)));
        if step.action == Action::Update {
            let changes = step.changes.iter();
            lines.extend(changes.map(|(key, before, after)| {
                format!("    {}: {} → {}", plain(key), text(before), text(after))
            }));
        }
    }
    let would = if dry_run { "would be " } else { "" };
    let number = |action| ids(action).count();
    lines.push(format!(
        "{would}created {}, updated {}, removed {}; unchanged {}",
        number(Action::Create),
        number(Action::Update),
        number(Action::Remove),
        number(Action::Keep)
    ));
    say(&lines.join("\n"))
}
