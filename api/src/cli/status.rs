//! `status`: the whole site on one screen.

use std::time::Duration;

use serde_json::Value;

use super::Output;
use super::client::Client;
use super::failure::Failure;
use super::follow;
use super::runs::{document, runs_table, shortened};
use super::table::{bytes, count, distance, table, text};
use super::terminal::{Colour, is_watched, painted, say};

/// How often the screen is drawn anew.
const REFRESH: Duration = Duration::from_secs(1);
/// Clears the terminal and goes to its upper left corner.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";
/// The share of a disk that is free below which it is told in colour.
const TIGHT_PERCENT: u64 = 10;

pub(super) async fn run(client: &Client, watch: bool) -> Result<(), Failure> {
    loop {
        let status = client.get("/api/v1/status").await?;
        match client.output {
            Output::Json => document(&status)?,
            Output::Table if watch && is_watched() => say(&format!("{CLEAR}{}", screen(&status)))?,
            Output::Table => say(&screen(&status))?,
        }
        if !watch {
            return Ok(());
        }
        tokio::time::sleep(REFRESH).await;
    }
}

fn screen(status: &Value) -> String {
    let counts = &status["counts"];
    let failing = counts["failing"].as_u64().unwrap_or(0);
    let running = items(&status["running"]).count();
    let mut parts = vec![format!(
        "heliostat {} ({}), up since {} · {} projects, {} enabled, {} · {running} of {} running, {} waiting",
        text(&status["version"]),
        text(&status["role"]),
        distance(&status["started"]),
        count(&counts["projects"]),
        count(&counts["enabled"]),
        painted(&format!("{failing} failing"), if failing == 0 { Colour::Good } else { Colour::Bad }),
        text(&status["limits"]["concurrent"]),
        items(&status["queued"]).count(),
    )];
    parts.extend(section("Running", running_table(status)));
    parts.extend(section("Waiting", waiting_table(status)));
    parts.extend(section("Failing", failing_table(status)));
    parts.extend(section("Last", items(&status["last"]).next().map(|_| runs_table(items(&status["last"])))));
    parts.extend(section("Disks", disk_table(status)));
    parts.join("\n")
}

fn section(heading: &str, table: Option<String>) -> Option<String> {
    table.map(|table| format!("\n{heading}\n{table}"))
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn filled(headings: &[&str], rows: Vec<Vec<String>>) -> Option<String> {
    (!rows.is_empty()).then(|| table(headings, rows))
}

fn running_table(status: &Value) -> Option<String> {
    let rows = items(&status["running"]).map(|run| {
        let progress = match run["progress"].is_null() {
            true => "starting".to_owned(),
            false => format!("{}%  {}", text(&run["progress"]["percent"]), follow::shown(&run["progress"])),
        };
        vec![text(&run["project"]), text(&run["id"]), distance(&run["started"]), progress]
    });
    filled(&["project", "run", "started", "progress"], rows.collect())
}

fn waiting_table(status: &Value) -> Option<String> {
    let rows = items(&status["queued"])
        .map(|item| vec![text(&item["project"]), text(&item["run"]), distance(&item["queued"]), text(&item["waits"])]);
    filled(&["project", "run", "since", "why"], rows.collect())
}

fn failing_table(status: &Value) -> Option<String> {
    let rows = items(&status["failing"]).map(|project| {
        let reason = project["reason"].as_str().map(|reason| shortened(reason, 90)).unwrap_or_default();
        let since = if project["since"].is_null() { "never".to_owned() } else { distance(&project["since"]) };
        vec![text(&project["project"]), count(&project["failures"]), since, reason]
    });
    filled(&["project", ">failures", "last success", "reason"], rows.collect())
}

fn disk_table(status: &Value) -> Option<String> {
    let rows = items(&status["disk"]).map(|disk| {
        let (free, total) = (disk["free_bytes"].as_u64().unwrap_or(0), disk["total_bytes"].as_u64().unwrap_or(0));
        let percent = free.saturating_mul(100).checked_div(total).unwrap_or(0);
        let colour = if percent < TIGHT_PERCENT { Colour::Bad } else { Colour::Good };
        let share = painted(&format!("{percent}% free"), colour);
        vec![text(&disk["path"]), bytes(&disk["free_bytes"]), share, items(&disk["projects"]).count().to_string()]
    });
    filled(&["path", ">free", "share", ">projects"], rows.collect())
}
