//! `probe`, and the look at the upstream before a project is added or changed.

use std::path::PathBuf;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::Output;
use super::client::Client;
use super::failure::Failure;
use super::project_flags::first_line;
use super::table::{distance, table, text, time};
use super::terminal::{document, plain, say, warn};

/// What `probe` is told.
#[derive(Debug, Args)]
pub(super) struct ProbeArguments {
    /// The upstream: `rsync://[user@]host[:port][/module[/path]]`; without a module, its modules are listed
    source: String,
    /// Read the upstream's password from the first line of this file; - is the standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Forget that this daemon refused `--dry-run`, so that the next runs rehearse again
    #[arg(long)]
    forget: bool,
}

pub(super) async fn run(client: &Client, arguments: &ProbeArguments) -> Result<(), Failure> {
    let password = arguments.password_file.as_deref().map(first_line).transpose()?;
    let mut body = json!({ "source": arguments.source, "password": password });
    if arguments.forget {
        body["forget"] = json!(true);
    }
    let found = client.submit(Method::POST, "/api/v1/probe", &body).await?;
    match client.output {
        Output::Json => document(&found)?,
        Output::Table => say(&shown(&arguments.source, &found))?,
    }
    match found["problem"].as_str() {
        Some(problem) => Err(Failure::Failed(plain(problem))),
        None => Ok(()),
    }
}

/// Refuses an upstream that says no, and warns of one that does not answer: it may be there tomorrow. `source` is as the
/// API takes it; for a project that is there already, the server may know a password that this side does not.
pub(super) async fn before(client: &Client, source: &Value, known: bool) -> Result<(), Failure> {
    let is_command = source.as_str().is_some_and(|source| source.starts_with("command:"));
    if is_command || (!source.is_string() && !source["host"].is_string()) {
        return Ok(());
    }
    // What is wrong with the request itself is told, with all the rest, when the project is sent.
    let Ok(found) = client.submit(Method::POST, "/api/v1/probe", &json!({ "source": source })).await else {
        return Ok(());
    };
    let Some(problem) = found["problem"].as_str().map(plain) else { return Ok(()) };
    let login = found["login"] == "refused" && (!known || source["password"].is_string());
    if found["module"] == "missing" || login {
        return Err(Failure::Usage(format!(
            "source: {problem}\nNothing was changed; --no-probe saves it all the same"
        )));
    }
    if found["login"] != "refused" {
        warn(&format!("note: the upstream could not be asked: {problem}"));
    }
    Ok(())
}

fn shown(source: &str, found: &Value) -> String {
    if found["reachable"] != true {
        return format!("{} does not answer", plain(source));
    }
    let mut lines = vec![
        format!("address   {}", text(&found["address"])),
        protocol(found),
        format!(
            "took      {:.1} ms to connect, {:.1} ms to greet",
            millis(found, "connect_ms"),
            millis(found, "greeting_ms")
        ),
    ];
    if found["module"] != "not-asked" {
        lines.push(format!("module    {}", text(&found["module"])));
        lines.push(format!("login     {}", text(&found["login"])));
    }
    if found["problem"].is_null() && found["module"] == "found" {
        lines.push(format!("is from   {}", age(&found["marker"])));
    }
    if let Some(motd) = found["motd"].as_str().filter(|motd| !motd.is_empty()) {
        lines.extend(motd.lines().map(|line| format!("motd      {}", plain(line))));
    }
    let modules: Vec<&Value> = found["modules"].as_array().into_iter().flatten().collect();
    if found["module"] != "found" && !modules.is_empty() {
        let rows = modules.iter().map(|module| vec![text(&module["name"]), text(&module["comment"])]);
        lines.push(table(&["MODULE", "COMMENT"], rows));
    }
    if let Some(projects) = found["forgotten"].as_u64() {
        lines.push(format!("forgotten {projects} projects remembered that it refused --dry-run"));
    }
    lines.join("\n")
}

/// How old it is, and by which file.
fn age(marker: &Value) -> String {
    if marker.is_null() {
        return "unknown: it has no file at its top that tells when it changed".to_owned();
    }
    format!("{}, {}, by {}", time(&marker["modified"]), distance(&marker["modified"]), text(&marker["path"]))
}

/// The upstream's newest protocol, and ours where that is an older one.
fn protocol(found: &Value) -> String {
    let (newest, spoken) = (text(&found["protocol"]), text(&found["spoken"]));
    if newest == spoken {
        format!("protocol  {newest}")
    } else {
        format!("protocol  {newest}, spoken as {spoken}")
    }
}

fn millis(found: &Value, key: &str) -> f64 {
    found[key].as_f64().unwrap_or_default()
}
