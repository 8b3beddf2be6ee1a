//! Slaves: who they are, and what each of them holds.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::Output;
use super::client::{Client, segment};
use super::failure::Failure;
use super::hold::{Decision, asked};
use super::table::{bytes, distance, seconds, table, text};
use super::terminal::{document, plain, say};

/// Rows that are asked for at once.
const ROWS: usize = 10_000;

#[derive(Debug, Subcommand)]
pub(super) enum NodeCommand {
    /// Add a machine that pulls with an rsync of its own, and print its password: the only time that it is shown
    #[command(
        after_help = "Example: heliostat node add ftp-nyc\n\nA slave of Heliostat joins by itself: it needs the \
                            master's enrolment secret in its configuration, and no command."
    )]
    Add {
        /// Its name, also its user at the rsync daemon
        name: String,
    },
    /// List the slaves, and what each holds of each project
    #[command(after_help = "Example: heliostat node list")]
    List,
    /// Show one slave: each project with its last result
    #[command(after_help = "Example: heliostat node show ftp-nyc")]
    Show {
        /// Its name
        name: String,
    },
    /// End its token, its rsync access and its transfers at once; its files stay
    #[command(after_help = "Example: heliostat node remove ftp-nyc")]
    Remove {
        /// Its name
        name: String,
    },
    /// Let a pull that a slave holds back go on: the slave then deletes what the master has not
    #[command(after_help = "Example: heliostat node approve ftp-nyc debian")]
    Approve {
        /// Its name
        name: String,
        /// The project that it holds back
        project: String,
        /// Approve without being asked
        #[arg(long)]
        yes: bool,
    },
    /// Let it sync every project anew
    #[command(after_help = "Example: heliostat node sync ftp-nyc")]
    Sync {
        /// Its name
        name: String,
    },
}

pub(super) async fn run(client: &Client, command: NodeCommand) -> Result<(), Failure> {
    match command {
        NodeCommand::Add { name } => {
            let node = client.submit(Method::POST, "/api/v1/nodes", &json!({ "name": name })).await?;
            let rsync = &node["rsync"];
            let words = format!(
                "{} is added\nrsync port      {}\nrsync user      {}\nrsync password  {}",
                text(&node["id"]),
                text(&rsync["port"]),
                text(&rsync["user"]),
                text(&rsync["password"])
            );
            told(client, &node, &words)
        }
        NodeCommand::List => {
            let page = every_node(client).await?;
            told(client, &page, &matrix(&page))
        }
        NodeCommand::Show { name } => {
            let node = client.get(&format!("/api/v1/nodes/{}", segment(&name))).await?;
            told(client, &node, &details(&node))
        }
        NodeCommand::Remove { name } => {
            client.delete(&format!("/api/v1/nodes/{}", segment(&name))).await?;
            told(client, &json!({ "id": name }), &format!("{} is removed; its files stay", plain(&name)))
        }
        NodeCommand::Approve { name, project, yes } => approve(client, &name, &project, yes).await,
        NodeCommand::Sync { name } => {
            let node = client.post(&format!("/api/v1/nodes/{}/sync", segment(&name))).await?;
            told(client, &node, &format!("{} is to sync every project anew", plain(&name)))
        }
    }
}

/// Every slave with all of its projects, asked for page by page.
async fn every_node(client: &Client) -> Result<Value, Failure> {
    let mut items: Vec<Value> = Vec::new();
    let mut after = String::new();
    loop {
        let query = if after.is_empty() { String::new() } else { format!("&after={}", segment(&after)) };
        let mut page = client.get(&format!("/api/v1/nodes?limit={ROWS}{query}")).await?;
        for mut node in page["items"].as_array_mut().map(std::mem::take).unwrap_or_default() {
            match items.last_mut().filter(|last| last["id"] == node["id"]) {
                // A slave goes on where the page before ended.
                Some(last) => {
                    let more = node["projects"].as_array_mut().map(std::mem::take).unwrap_or_default();
                    if let Some(projects) = last["projects"].as_array_mut() {
                        projects.extend(more);
                    }
                }
                None => items.push(node),
            }
        }
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => return Ok(json!({ "items": items, "next": null })),
        }
    }
}

/// Shows why a slave holds a project back, asks, and approves the plan that was shown.
async fn approve(client: &Client, name: &str, project: &str, yes: bool) -> Result<(), Failure> {
    let path = format!("/api/v1/nodes/{}", segment(name));
    let node = client.get(&path).await?;
    let mut projects = node["projects"].as_array().into_iter().flatten();
    let held = projects.find(|held| held["project"] == project && held["plan"].is_string());
    let Some(held) = held else {
        return Err(Failure::Failed(format!(
            "{} does not hold {} back: there is nothing to approve",
            plain(name),
            plain(project)
        )));
    };
    if client.output == Output::Table {
        say(&format!("{} holds {} back: {}", plain(name), plain(project), text(&held["reason"])))?;
    }
    if !yes && !asked(Decision::Approve)? {
        return Err(Failure::Failed("nothing was decided: it is held back as before".to_owned()));
    }

    let path = format!("{path}/projects/{}/approve", segment(project));
    let request = client.request(Method::POST, &path).query(&[("plan", held["plan"].as_str())]);
    let node = client.fetch(request).await?;
    told(client, &node, &format!("{} may go on with {}", plain(name), plain(project)))
}

/// A row for each slave and project.
fn matrix(page: &Value) -> String {
    let mut rows = Vec::new();
    for node in page["items"].as_array().into_iter().flatten() {
        let state = match (node["connected"].as_bool(), node["last_heard"].is_null()) {
            (Some(true), _) => "connected".to_owned(),
            (_, true) => "not heard yet".to_owned(),
            _ => format!("last heard {}", distance(&node["last_heard"])),
        };
        let projects = node["projects"].as_array().map(Vec::as_slice).unwrap_or_default();
        if projects.is_empty() {
            rows.push(vec![text(&node["id"]), state.clone()]);
        }
        for held in projects {
            let mut row = vec![text(&node["id"]), state.clone()];
            row.extend(cells(held));
            rows.push(row);
        }
    }
    for row in &mut rows {
        row.resize(9, String::new());
    }
    table(&["node", "state", "project", ">holds", ">of", ">behind", "is from", "result", "reported"], rows)
}

fn cells(held: &Value) -> Vec<String> {
    let behind = match held["lag"].as_u64() {
        Some(0) | None => "-".to_owned(),
        Some(lag) => format!("{lag}, {}", seconds(&held["lag_seconds"])),
    };
    let behind = if held["late"] == true { format!("{behind}, too far") } else { behind };
    let behind = if held["left_behind"] == true { format!("{behind}, left behind") } else { behind };
    let from = distance(&held["as_of"]);
    let ahead = held["staged"].as_u64().filter(|staged| Some(*staged) > held["generation"].as_u64());
    let holds = ahead.map_or_else(
        || text(&held["generation"]),
        |staged| format!("{} ({staged} fetched)", text(&held["generation"])),
    );
    vec![
        text(&held["project"]),
        holds,
        text(&held["master_generation"]),
        behind,
        if held["stale"] == true { format!("{from}, too old") } else { from },
        text(&held["state"]),
        distance(&held["reported"]),
    ]
}

fn details(node: &Value) -> String {
    let rows = node["projects"].as_array().into_iter().flatten().map(|held| {
        let mut row = cells(held);
        row.extend([seconds(&held["duration"]), bytes(&held["received"]), text(&held["reason"])]);
        row
    });
    let headings = [
        "project",
        ">holds",
        ">of",
        ">behind",
        "is from",
        "result",
        "reported",
        ">took",
        ">received",
        "reason",
    ];
    format!(
        "{}  joined {}, last heard {}\n\n{}",
        text(&node["id"]),
        distance(&node["joined"]),
        distance(&node["last_heard"]),
        table(&headings, rows)
    )
}

fn told(client: &Client, answer: &Value, words: &str) -> Result<(), Failure> {
    match client.output {
        Output::Json => document(answer),
        Output::Table => say(words),
    }
}
