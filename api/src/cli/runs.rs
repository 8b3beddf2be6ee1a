//! `sync`, `cancel`, `runs`, `run`, `log`.

use serde_json::Value;

use super::Output;
use super::client::{Client, segment};
use super::failure::Failure;
use super::follow;
use super::table::{between, bytes, count, distance, seconds, table, text, time};
use super::terminal::{LineStream, document, plain, say, state};

/// The states in which a run that was followed is a failure for a script.
const BAD: [&str; 4] = ["failed", "cancelled", "interrupted", "held"];

pub(super) async fn sync(client: &Client, id: &str, follow: bool, whole: bool) -> Result<(), Failure> {
    let query = if whole { "?whole=true" } else { "" };
    let run = client.post(&format!("/api/v1/projects/{}/sync{query}", segment(id))).await?;
    let run_id = run["id"].as_str().unwrap_or_default();
    let json = client.output == Output::Json;
    if !follow {
        return match json {
            true => document(&run),
            false => say(&format!(
                "run {} is {}",
                text(&run["id"]),
                state(run["state"].as_str().unwrap_or_default())
            )),
        };
    }
    let ended = follow::follow(client, id, run_id, json).await?;
    if json {
        document(&ended)?;
    } else {
        say(&summary(&ended))?;
    }
    if BAD.contains(&ended["state"].as_str().unwrap_or_default()) { Err(Failure::BadRun) } else { Ok(()) }
}

/// One line that says how a run ended.
fn summary(run: &Value) -> String {
    let mut line = format!("  {} in {}", state(run["state"].as_str().unwrap_or_default()), lasted(run));
    if let Some(stats) = run["stats"].as_object() {
        line.push_str(&format!(
            ": {} files of {} moved, {} received",
            count(&stats["transferred"]),
            count(&stats["files"]),
            bytes(&stats["received"])
        ));
    }
    let changes = changes(&run["changes"]);
    if changes != "-" {
        line.push_str(&format!(", {changes}"));
    }
    if let Some(reason) = run["reason"].as_str() {
        line.push_str(&format!("\n  {}\n  heliostat log {}", plain(reason), text(&run["id"])));
    }
    line
}

fn lasted(run: &Value) -> String {
    let from = if run["started"].is_null() { &run["queued"] } else { &run["started"] };
    between(from, &run["ended"])
}

/// `+3 ~1 -2`: created, updated, deleted.
pub(super) fn changes(changes: &Value) -> String {
    let parts = [("+", "created"), ("~", "updated"), ("-", "deleted")].into_iter();
    let parts = parts.filter(|(_, key)| changes[key].as_u64().is_some_and(|count| count > 0));
    let words: Vec<String> = parts.map(|(sign, key)| format!("{sign}{}", count(&changes[key]))).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

pub(super) async fn cancel(client: &Client, run: &str) -> Result<(), Failure> {
    let run = client.post(&format!("/api/v1/runs/{}/cancel", segment(run))).await?;
    match client.output {
        Output::Json => document(&run),
        Output::Table if run["ended"].is_null() => say(&format!("run {} is being ended", text(&run["id"]))),
        Output::Table => say(&format!("run {} is cancelled", text(&run["id"]))),
    }
}

pub(super) async fn list(
    client: &Client,
    id: Option<String>,
    wanted: Option<String>,
    limit: usize,
) -> Result<(), Failure> {
    let path = match &id {
        Some(id) => format!("/api/v1/projects/{}/runs", segment(id)),
        None => "/api/v1/runs".to_owned(),
    };
    let limit = limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(wanted.as_deref().map(|state| ("state", state)));
    let request = client.request(reqwest::Method::GET, &path).query(&query);
    let page = client.fetch(request).await?;
    match client.output {
        Output::Json => document(&page),
        Output::Table => say(&runs_table(page["items"].as_array().into_iter().flatten())),
    }
}

/// Runs, one a line.
pub(super) fn runs_table<'a>(runs: impl Iterator<Item = &'a Value>) -> String {
    let rows = runs.map(|run| {
        vec![
            text(&run["id"]),
            text(&run["project"]),
            state(run["state"].as_str().unwrap_or_default()),
            text(&run["trigger"]),
            distance(&run["queued"]),
            lasted(run),
            count(&run["stats"]["transferred"]),
            bytes(&run["stats"]["received"]),
            changes(&run["changes"]),
            run["reason"].as_str().map(|reason| shortened(reason, 60)).unwrap_or_default(),
        ]
    });
    table(
        &["run", "project", "state", "trigger", "when", ">took", ">moved", ">received", "changes", "reason"],
        rows,
    )
}

/// The beginning of a text that would fill the line.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

pub(super) async fn show(client: &Client, run: &str, with_changes: bool) -> Result<(), Failure> {
    let path = format!("/api/v1/runs/{}", segment(run));
    if with_changes {
        let page = client.all(&format!("{path}/changes"), &[]).await?;
        return match client.output {
            Output::Json => document(&page),
            Output::Table => say(&changes_table(&page)),
        };
    }
    let run = client.get(&path).await?;
    match client.output {
        Output::Json => document(&run),
        Output::Table => say(&in_full(&run)),
    }
}

fn changes_table(page: &Value) -> String {
    let rows =
        page["items"].as_array().into_iter().flatten().map(|item| {
            vec![text(&item["op"]), text(&item["type"]), bytes(&item["size"]), text(&item["path"])]
        });
    table(&["change", "type", ">size", "path"], rows)
}

fn in_full(run: &Value) -> String {
    let mut lines = vec![
        format!("run        {}", text(&run["id"])),
        format!("project    {}", text(&run["project"])),
        format!("state      {}", state(run["state"].as_str().unwrap_or_default())),
        format!(
            "trigger    {} {}",
            text(&run["trigger"]),
            run["requested_by"].as_str().map(plain).unwrap_or_default()
        ),
        format!("queued     {}", time(&run["queued"])),
        format!("started    {}", time(&run["started"])),
        format!("ended      {}", time(&run["ended"])),
        format!("changes    {}", changes(&run["changes"])),
        format!("generation {}", text(&run["generation"])),
        format!("log        {}", bytes(&run["log_bytes"])),
    ];
    if let Some(reason) = run["reason"].as_str() {
        lines.push(format!("reason     {}", plain(reason)));
    }
    if !run["progress"].is_null() {
        lines.push(format!("progress   {}", follow::shown(&run["progress"])));
    }
    for attempt in run["attempts"].as_array().into_iter().flatten() {
        lines.push(String::new());
        lines.push(format!(
            "attempt {}: {} at {}, {}, {} ({})",
            text(&attempt["number"]),
            text(&attempt["verdict"]),
            time(&attempt["started"]),
            seconds(&attempt["duration"]),
            text(&attempt["class"]),
            exit(&attempt["exit"]),
        ));
        if let Some(stage) = attempt["stage"].as_u64() {
            lines.push(format!("  ended in stage {stage} of 2"));
        }
        lines.push(format!("  {}", text(&attempt["reason"])));
        if let Some(upstream) = attempt["upstream"].as_str() {
            lines.push(format!("  from {}", plain(upstream)));
        }
        lines.push(format!("  $ {}", text(&attempt["command"])));
        for line in attempt["stderr"].as_array().into_iter().flatten() {
            lines.push(format!("  | {}", text(line)));
        }
    }
    lines.join("\n")
}

fn exit(exit: &Value) -> String {
    match exit.as_object().and_then(|exit| exit.iter().next()) {
        Some((kind, value)) => format!("{kind} {}", text(value)),
        None => "still going".to_owned(),
    }
}

pub(super) async fn log(
    client: &Client,
    run: &str,
    follow: bool,
    tail: Option<usize>,
) -> Result<(), Failure> {
    let tail = tail.map(|lines| lines.to_string());
    let mut query: Vec<(&str, &str)> = tail.iter().map(|lines| ("tail", lines.as_str())).collect();
    if follow {
        query.push(("follow", "true"));
    }
    let mut answer = client.stream(&format!("/api/v1/runs/{}/log", segment(run)), &query, None).await?;
    let mut lines = LineStream::default();
    while let Some(chunk) = answer.chunk().await.map_err(|error| client.unreachable(&error))? {
        lines.push(&chunk)?;
    }
    lines.finish()
}
