//! `project …`: the mirrors of a site.

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Client, segment};
use super::failure::Failure;
use super::project_flags::Settings;
use super::table::{bytes, count, distance, seconds, table, text, time};
use super::terminal::{document, plain, say, state};
use super::{Output, apply, probe};

#[derive(Debug, Subcommand)]
pub(super) enum ProjectCommand {
    /// Begin to mirror a tree
    #[command(
        after_help = "Example: heliostat project add debian rsync://ftp.example.org/debian /srv/mirror/debian \
                            --cron '*/30 * * * *' --option=--exclude=/dists/sid/"
    )]
    Add {
        /// A short name, such as debian
        id: String,
        /// The upstream: rsync://[user@]host[:port]/module[/path], or command:NAME for a program of the configuration
        source: String,
        /// Where the tree lands: exactly here
        dest: PathBuf,
        #[command(flatten)]
        settings: Box<Settings>,
        /// Let its schedule rest for now
        #[arg(long)]
        disabled: bool,
    },
    /// List the projects
    #[command(after_help = "Example: heliostat project list --label array=1")]
    List {
        /// Only those in this state
        #[arg(long)]
        state: Option<String>,
        /// Only those with this label: KEY or KEY=VALUE
        #[arg(long)]
        label: Option<String>,
        /// Only those whose id or name contains this
        #[arg(long)]
        q: Option<String>,
    },
    /// Show one project in full: its settings, its next ten times, its whole rsync command
    #[command(after_help = "Example: heliostat project show debian")]
    Show {
        /// The project
        id: String,
    },
    /// Change some settings
    #[command(after_help = "Example: heliostat project update debian --every 4h --label array=2")]
    Update {
        /// The project
        id: String,
        /// Another upstream
        #[arg(long)]
        source: Option<String>,
        /// Another place; the files that are at the old one stay there
        #[arg(long)]
        dest: Option<PathBuf>,
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Forget a project; its files stay
    #[command(after_help = "Example: heliostat project remove debian")]
    Remove {
        /// The project
        id: String,
    },
    /// Let its schedule fire
    #[command(after_help = "Example: heliostat project enable debian")]
    Enable {
        /// The project
        id: String,
    },
    /// Let its schedule rest
    #[command(after_help = "Example: heliostat project disable debian")]
    Disable {
        /// The project
        id: String,
    },
    /// Bring the server's projects in line with a file
    #[command(
        after_help = "Example: heliostat project apply -f projects.ron --dry-run\n\nThe file is a list of \
                            projects in RON or JSON (docs/projects.md). Nothing is changed unless all of it is right."
    )]
    Apply {
        /// The file; - is the standard input
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
        /// Remove the projects that the file lacks; their files stay
        #[arg(long)]
        prune: bool,
    },
}

pub(super) async fn run(client: &Client, command: ProjectCommand) -> Result<(), Failure> {
    match command {
        ProjectCommand::Add { id, source, dest, settings, disabled } => {
            let mut body = settings.document(Some(&source))?;
            body.insert("id".to_owned(), json!(id));
            body.insert("dest".to_owned(), json!(absolute(&dest)?));
            body.insert("enabled".to_owned(), json!(!disabled));
            if !settings.no_probe {
                probe::before(client, &body["source"], false).await?;
            }
            let project = client.submit(Method::POST, "/api/v1/projects", &Value::Object(body)).await?;
            told(client, &project, "added")
        }
        ProjectCommand::List { state, label, q } => list(client, state, label, q).await,
        ProjectCommand::Show { id } => {
            let project = client.get(&path(&id)).await?;
            match client.output {
                Output::Json => document(&project),
                Output::Table => say(&in_full(&project)),
            }
        }
        ProjectCommand::Update { id, source, dest, settings } => {
            let mut body = settings.document(source.as_deref())?;
            if let Some(dest) = dest {
                body.insert("dest".to_owned(), json!(absolute(&dest)?));
            }
            if let Some(source) = body.get("source").filter(|_| !settings.no_probe) {
                probe::before(client, source, true).await?;
            }
            update(client, &id, body).await
        }
        ProjectCommand::Remove { id } => {
            client.delete(&path(&id)).await?;
            match client.output {
                Output::Json => Ok(()),
                Output::Table => say(&format!("{} is removed; its files stay where they are", plain(&id))),
            }
        }
        ProjectCommand::Enable { id } => {
            told(client, &client.post(&format!("{}/enable", path(&id))).await?, "enabled")
        }
        ProjectCommand::Disable { id } => {
            told(client, &client.post(&format!("{}/disable", path(&id))).await?, "disabled")
        }
        ProjectCommand::Apply { file, dry_run, prune } => apply::run(client, &file, dry_run, prune).await,
    }
}

async fn update(client: &Client, id: &str, body: Map<String, Value>) -> Result<(), Failure> {
    if body.is_empty() {
        return Err(Failure::Usage(
            "nothing to change: give at least one setting (--help lists them)".to_owned(),
        ));
    }
    let project = client.submit(Method::PATCH, &path(id), &Value::Object(body)).await?;
    told(client, &project, "updated")
}

fn path(id: &str) -> String {
    format!("/api/v1/projects/{}", segment(id))
}

/// A destination as the server needs it; what is typed is meant from the folder where it is typed.
fn absolute(dest: &std::path::Path) -> Result<PathBuf, Failure> {
    std::path::absolute(dest).map_err(|error| Failure::Usage(format!("dest: {error}")))
}

/// Says what has been done to a project.
fn told(client: &Client, project: &Value, what: &str) -> Result<(), Failure> {
    match client.output {
        Output::Json => document(project),
        Output::Table => {
            let next = if project["next_run"].is_null() {
                String::new()
            } else {
                let by =
                    project["next_by"].as_str().map(|by| format!(" (by {})", plain(by))).unwrap_or_default();
                format!(", next run {}{by}", distance(&project["next_run"]))
            };
            say(&format!("{} is {what}: {}{next}", text(&project["id"]), text(&project["schedule_text"])))
        }
    }
}

async fn list(
    client: &Client,
    wanted: Option<String>,
    label: Option<String>,
    q: Option<String>,
) -> Result<(), Failure> {
    let given = [("state", &wanted), ("label", &label), ("q", &q)];
    let query: Vec<(&str, &str)> =
        given.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?))).collect();
    let page = client.all("/api/v1/projects", &query).await?;
    if client.output == Output::Json {
        return document(&page);
    }
    let rows = page["items"].as_array().into_iter().flatten().map(|project| {
        vec![
            text(&project["id"]),
            state(project["state"].as_str().unwrap_or_default()),
            state(project["last_run"]["state"].as_str().unwrap_or("-")),
            distance(&project["last_run"]["ended"]),
            distance(&project["next_run"]),
            count(&project["files"]),
            bytes(&project["size_bytes"]),
            text(&project["schedule_text"]),
            text(&project["dest"]),
        ]
    });
    say(&table(&["project", "state", "last", "when", "next", ">files", ">size", "schedule", "dest"], rows))
}

/// The upstream as it is typed.
pub(super) fn address(source: &Value) -> String {
    if let Some(name) = source["command"].as_str() {
        return format!("command:{}", plain(name));
    }
    let user = source["user"].as_str().map(|user| format!("{}@", plain(user))).unwrap_or_default();
    let port = match source["port"].as_u64() {
        None | Some(873) => String::new(),
        Some(port) => format!(":{port}"),
    };
    let path =
        source["path"].as_str().filter(|path| !path.is_empty()).map(|path| format!("/{}", plain(path)));
    format!(
        "rsync://{user}{}{port}/{}{}",
        text(&source["host"]),
        text(&source["module"]),
        path.unwrap_or_default()
    )
}

/// How old our copy and the upstream are, as far as that is known.
fn ages(project: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    if !project["as_of"].is_null() {
        let stale = if project["stale"] == true { ", older than it may be" } else { "" };
        lines.push(format!(
            "our copy    from {} ({}){stale}",
            time(&project["as_of"]),
            distance(&project["as_of"])
        ));
    }
    if let Some(course) = project["upstream_seen"]["course"].as_str() {
        let from = &project["upstream_seen"]["as_of"];
        lines.push(format!("upstream    {}, from {} ({})", plain(course), time(from), distance(from)));
    }
    lines
}

fn in_full(project: &Value) -> String {
    let words = |list: &Value| list.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(" ");
    let labels = project["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{}={}", plain(key), text(value)));
    let (options, retry, guard, last) =
        (&project["options"], &project["retry"], &project["guard"], &project["last_run"]);
    let password = if project["source"]["has_password"] == true { " (with a password)" } else { "" };
    let mount = if project["expect_mount"] == true { " (a mounted file system is expected)" } else { "" };
    let mut lines = vec![
        format!("project     {} ({})", text(&project["id"]), text(&project["name"])),
        format!("state       {}", state(project["state"].as_str().unwrap_or_default())),
        format!("source      {}{password}", address(&project["source"])),
    ];
    for upstream in project["upstreams"].as_array().into_iter().flatten() {
        let password = if upstream["has_password"] == true { " (with a password)" } else { "" };
        lines.push(format!("or          {}{password}", address(upstream)));
    }
    lines.extend(upstream_troubles(project));
    lines.extend(ages(project));
    lines.extend([
        format!("dest        {}{mount}", text(&project["dest"])),
        format!("schedule    {}", text(&project["schedule_text"])),
        format!(
            "options     {} {} {}",
            words(&options["defaults"]),
            words(&options["basic"]),
            text(&options["delete"])
        ),
        format!("stages      {}", stages(&project["stages"])),
        format!(
            "retry       {} attempts, {} to {} apart",
            text(&retry["attempts"]),
            seconds(&retry["base"]),
            seconds(&retry["cap"])
        ),
        format!(
            "bounds      {} in all, {} of silence",
            seconds(&project["timeout"]),
            seconds(&project["stall"])
        ),
        format!(
            "guard       at most {}% of the files and {} files deleted in a run",
            text(&guard["max_delete_percent"]),
            count(&guard["max_delete"])
        ),
        format!("labels      {}", labels.collect::<Vec<_>>().join(" ")),
        format!("priority    {}", text(&project["priority"])),
        format!("owner       {}", text(&project["owner"])),
        format!(
            "holds       {} files, {}, generation {}",
            count(&project["files"]),
            bytes(&project["size_bytes"]),
            text(&project["generation"])
        ),
        format!("last run    {}", last_run(last)),
    ]);
    if let Some(failures) = project["failures"].as_u64().filter(|failures| *failures > 0) {
        lines.push(format!(
            "failures    {failures} in a row, last success {}",
            distance(&project["last_success"])
        ));
    }
    lines.push(format!("command     {}", text(&project["command"])));
    let next: Vec<String> = project["next_runs"].as_array().into_iter().flatten().map(time).collect();
    if !next.is_empty() {
        lines.push(format!("next (UTC)  {}", next.join("\n            ")));
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// The upstreams that failed, and those that refuse rehearsals.
fn upstream_troubles(project: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for failed in project["failed_upstreams"].as_array().into_iter().flatten() {
        let (upstream, class) = (text(&failed["upstream"]), text(&failed["class"]));
        lines.push(format!("failed      {upstream} ({class}) {}", distance(&failed["at"])));
    }
    for refusal in project["rehearsal_refusals"].as_array().into_iter().flatten() {
        lines.push(format!(
            "refuses     {} refused --dry-run {}; plans are made from its file list until {}",
            text(&refusal["upstream"]),
            distance(&refusal["at"]),
            time(&refusal["until"])
        ));
    }
    lines
}

fn stages(stages: &Value) -> String {
    let patterns = stages["index"].as_array().map(|patterns| patterns.iter().map(text).collect::<Vec<_>>());
    match (stages.as_str(), patterns) {
        (Some(name), _) => format!("two, as for {}", plain(name)),
        (None, Some(patterns)) => format!("two, the last one with {}", patterns.join(" ")),
        (None, None) => "one".to_owned(),
    }
}

fn last_run(last: &Value) -> String {
    if last.is_null() {
        return "none yet".to_owned();
    }
    let reason = last["reason"].as_str().map(|reason| format!(": {}", plain(reason))).unwrap_or_default();
    format!(
        "{} {} ({}){reason}",
        state(last["state"].as_str().unwrap_or_default()),
        distance(&last["ended"]),
        text(&last["id"])
    )
}
