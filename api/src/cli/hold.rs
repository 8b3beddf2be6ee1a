//! `approve` and `reject`: a person looks at what a held run would delete, and decides.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write as _};

use reqwest::Method;
use serde_json::Value;

use super::Output;
use super::client::{Client, segment};
use super::failure::Failure;
use super::table::{bytes, count, table, text};
use super::terminal::{document, plain, say, state};

/// How many folders are shown.
const FOLDERS: usize = 10;
/// How many of the paths are looked at for them.
const LOOKED_AT: &str = "1000";

/// What a person decides.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decision {
    Approve,
    Reject,
}

impl Decision {
    fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }

    fn question(self) -> &'static str {
        match self {
            Self::Approve => "Delete exactly this?",
            Self::Reject => "End this run, without doing any of it?",
        }
    }
}

/// Shows the plan, asks, and decides.
pub(super) async fn decide(client: &Client, run: &str, decision: Decision, yes: bool) -> Result<(), Failure> {
    let path = format!("/api/v1/runs/{}", segment(run));
    let found = client.get(&path).await?;
    let hold = &found["hold"];
    if found["state"] != "held" {
        let what = text(&found["state"]);
        return Err(Failure::Failed(format!(
            "run {run} is not held (it is {what}): there is nothing to decide"
        )));
    }
    if client.output == Output::Table {
        say(&plan(client, &path, &found).await?)?;
    }
    if !yes && !asked(decision)? {
        return Err(Failure::Failed("nothing was decided: the run is held as before".to_owned()));
    }
    let seen = hold["plan"].as_str().unwrap_or_default();
    let query = match decision {
        Decision::Approve => format!("?plan={seen}"),
        Decision::Reject => String::new(),
    };
    let request = client.request(Method::POST, &format!("{path}/{}{query}", decision.word()));
    let run = client.fetch(request).await?;
    match client.output {
        Output::Json => document(&run),
        Output::Table => {
            say(&format!("run {} is {}", text(&run["id"]), state(run["state"].as_str().unwrap_or_default())))
        }
    }
}

/// Without a terminal nobody can be asked, and nothing is taken for a yes.
pub(super) fn asked(decision: Decision) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "there is no terminal to ask on: say `--yes` to {} without being asked",
            decision.word()
        )));
    }
    let failed = |error: std::io::Error| Failure::Failed(format!("cannot ask: {error}"));
    let mut out = std::io::stdout();
    write!(out, "{} [y/N] ", decision.question()).and_then(|()| out.flush()).map_err(failed)?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(failed)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// The counts, and the folders from which most would go.
async fn plan(client: &Client, path: &str, run: &Value) -> Result<String, Failure> {
    let hold = &run["hold"];
    let request = client.request(Method::GET, &format!("{path}/changes")).query(&[("limit", LOOKED_AT)]);
    let page = client.fetch(request).await?;
    let paths = page["items"].as_array().into_iter().flatten();
    let rows = folders(paths).into_iter().take(FOLDERS);
    let rows = rows.map(|(folder, entries)| vec![plain(&folder), entries.to_string()]);
    let first = if page["next"].is_null() { "" } else { " (by its first 1,000 paths)" };
    Ok(format!(
        "{} is held: {}\n  {} of {} entries would be deleted, {} of {}\n  {} created, {} updated\n\n{}",
        text(&run["project"]),
        plain(hold["reason"].as_str().unwrap_or_default()),
        count(&hold["deletions"]),
        count(&hold["of_entries"]),
        bytes(&hold["deleted_bytes"]),
        bytes(&hold["of_bytes"]),
        count(&hold["created"]),
        count(&hold["updated"]),
        table(&[&format!("folder{first}"), ">deletions"], rows),
    ))
}

/// The folders of some paths, those first that hold most of them.
fn folders<'a>(items: impl Iterator<Item = &'a Value>) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for path in items.filter_map(|item| item["path"].as_str()) {
        let folder = path.rsplit_once('/').map_or(".", |(folder, _)| folder);
        *counts.entry(folder.to_owned()).or_default() += 1;
    }
    let mut sorted: Vec<(String, u64)> = counts.into_iter().collect();
    sorted.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    sorted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::folders;

    #[test]
    fn the_folders_that_lose_most_come_first() {
        let items = ["a", "pool/x/1", "pool/x/2", "pool/y/1"].map(|path| json!({"path": path}));
        let found = folders(items.iter());
        assert_eq!(found[0], ("pool/x".to_owned(), 2));
        assert_eq!(found[1], (".".to_owned(), 1));
    }
}
