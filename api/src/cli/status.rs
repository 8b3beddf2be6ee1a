//! `status`: the whole site on one screen.

use std::time::Duration;

use serde_json::Value;

use super::Output;
use super::client::Client;
use super::failure::Failure;
use super::follow;
use super::runs::{runs_table, shortened};
use super::table::{bytes, count, distance, seconds, table, text, time};
use super::terminal::{CLEAR, Colour, document, is_watched, painted, plain, say};

/// How often the screen is drawn anew.
const REFRESH: Duration = Duration::from_secs(1);
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

/// `status --schedule`: an hour a line, ten minutes a cell; the darker, the more runs start.
pub(super) async fn schedule(client: &Client) -> Result<(), Failure> {
    let load = client.get("/api/v1/schedule/load?hours=24").await?;
    match client.output {
        Output::Json => document(&load),
        Output::Table => say(&heat_map(&load)),
    }
}

fn heat_map(load: &Value) -> String {
    let starts: Vec<u64> = items(&load["starts"]).filter_map(Value::as_u64).collect();
    let most = starts.iter().copied().max().unwrap_or(0);
    let mut lines =
        vec![format!("starts in each ten minutes, from {} UTC; at most {most}", time(&load["from"]))];
    for (hour, slots) in starts.chunks(6).enumerate() {
        let cells: String = slots.iter().map(|starts| shade(*starts, most).repeat(2)).collect();
        lines.push(format!("+{hour:>2}h {cells} {:>5}", slots.iter().sum::<u64>()));
    }
    if load["truncated"] == true {
        lines.push("some projects fire so often that not all of their starts were counted".to_owned());
    }
    lines.join("\n")
}

/// A cell as dark as its share of the most.
fn shade(starts: u64, most: u64) -> &'static str {
    match (starts * 4).div_ceil(most.max(1)) {
        0 => "·",
        1 => "░",
        2 => "▒",
        3 => "▓",
        _ => "█",
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
    parts.extend(master_line(status));
    if let Some(reason) = status["clock"]["reason"].as_str() {
        parts.push(painted(&plain(reason), Colour::Bad));
    }
    parts.extend(section("Running", running_table(status)));
    parts.extend(section("Held, until someone approves", held_table(status)));
    parts.extend(section("Waiting", waiting_table(status)));
    parts.extend(section("Failing", failing_table(status)));
    parts.extend(section("Old, though nothing fails", old_table(status)));
    parts.extend(section("Last", items(&status["last"]).next().map(|_| runs_table(items(&status["last"])))));
    parts.extend(section("Disks", disk_table(status)));
    parts.join("\n")
}

/// A slave's master, where it does not answer.
fn master_line(status: &Value) -> Option<String> {
    let master = status["master"].as_object().filter(|master| master["connected"] != true)?;
    let reason = master["reason"].as_str().map(|reason| format!(": {}", plain(reason))).unwrap_or_default();
    let line = format!(
        "out of touch with the master {} since {}{reason}",
        text(&master["url"]),
        distance(&master["since"])
    );
    Some(painted(&line, Colour::Bad))
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

fn held_table(status: &Value) -> Option<String> {
    let rows = items(&status["held"]).map(|run| {
        let reason = run["reason"].as_str().map(|reason| shortened(reason, 90)).unwrap_or_default();
        vec![text(&run["project"]), text(&run["id"]), distance(&run["hold"]["since"]), reason]
    });
    filled(&["project", "run", "since", "why"], rows.collect())
}

fn waiting_table(status: &Value) -> Option<String> {
    let rows = items(&status["queued"]).map(|item| {
        vec![text(&item["project"]), text(&item["run"]), distance(&item["queued"]), text(&item["waits"])]
    });
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

fn old_table(status: &Value) -> Option<String> {
    let rows = items(&status["old"]).map(|project| {
        let age = |time: &Value| if time.is_null() { "unknown".to_owned() } else { distance(time) };
        let target =
            if project["target"].is_null() { "of any age".to_owned() } else { seconds(&project["target"]) };
        let upstream = match project["course"].as_str() {
            Some(course) => format!("{course}, from {}", age(&project["upstream_as_of"])),
            None => text(&Value::Null),
        };
        vec![text(&project["project"]), age(&project["as_of"]), target, upstream]
    });
    filled(&["project", "our copy is from", "may be", "upstream"], rows.collect())
}

fn disk_table(status: &Value) -> Option<String> {
    let rows = items(&status["disk"]).map(|disk| {
        let (free, total) =
            (disk["free_bytes"].as_u64().unwrap_or(0), disk["total_bytes"].as_u64().unwrap_or(0));
        let percent = free.saturating_mul(100).checked_div(total).unwrap_or(0);
        let stopped = disk["stopped"] == true;
        let colour = if stopped || percent < TIGHT_PERCENT { Colour::Bad } else { Colour::Good };
        let share = painted(&format!("{percent}% free"), colour);
        let full = match (stopped, disk["days_to_full"].as_f64()) {
            (true, _) => format!("nothing starts: {}", text(&disk["reason"])),
            (false, Some(days)) => format!("in {days:.0} days"),
            (false, None) => text(&Value::Null),
        };
        vec![
            text(&disk["path"]),
            bytes(&disk["free_bytes"]),
            share,
            items(&disk["projects"]).count().to_string(),
            full,
        ]
    });
    filled(&["path", ">free", "share", ">projects", "full"], rows.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn the_heat_map_is_darker_where_more_starts() {
        let mut starts = vec![0; 144];
        (starts[0], starts[5], starts[6]) = (8, 4, 1);
        let map =
            super::heat_map(&json!({"from": "2026-11-24T00:00:00Z", "starts": starts, "truncated": false}));
        let lines: Vec<&str> = map.lines().collect();
        assert_eq!(lines.len(), 25);
        assert_eq!(lines[1], "+ 0h ██········▒▒    12");
        assert_eq!(lines[2], "+ 1h ░░··········     1");
    }
}
