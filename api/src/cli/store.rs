//! `store check|backup|restore`: on this machine, beside a running server or without one.
//!
//! A store that no server has open is opened here; of one that a server has open, the server is asked.

use std::path::{Path, PathBuf};

use chrono::Utc;
use clap::Subcommand;
use reqwest::Method;
use scheduler::store::{self, Store, StoreError};
use serde_json::{Value, json};

use super::Output;
use super::client::Client;
use super::failure::Failure;
use super::table::{count, text, time};
use super::terminal::{document, say};
use crate::config::Config;
use crate::routes::CheckedView;

#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Read every record and compare the lists with what they list; 1 when something is wrong
    #[command(after_help = "Example: heliostat store check")]
    Check {
        /// The configuration that names the data folder; without it the one that `serve` would read
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Write the whole store, as it is at this moment, into a file in this folder
    #[command(
        after_help = "Example: heliostat store backup /var/backups/heliostat\n\nThe file holds upstreams' \
                            passwords and can be read by nobody else. A running server goes on meanwhile."
    )]
    Backup {
        /// Where the file is made
        folder: PathBuf,
        /// The configuration that names the data folder; without it the one that `serve` would read
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Put a backup in the place of the store, while no server runs; the store that was there is set aside
    #[command(
        after_help = "Example: heliostat store restore /var/backups/heliostat   (the newest one there)"
    )]
    Restore {
        /// The backup, or a folder of which the newest is taken
        backup: PathBuf,
        /// The configuration that names the data folder; without it the one that `serve` would read
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

pub(super) async fn run(client: &Client, command: StoreCommand) -> Result<(), Failure> {
    match command {
        StoreCommand::Check { config } => check(client, &folder(config.as_deref())?).await,
        StoreCommand::Backup { folder: to, config } => {
            let to = std::path::absolute(&to).map_err(|error| Failure::Usage(error.to_string()))?;
            backup(client, &folder(config.as_deref())?, &to).await
        }
        StoreCommand::Restore { backup, config } => restore(client, &folder(config.as_deref())?, &backup),
    }
}

/// What the slaves of a restored master do.
const AFTERWARDS: &str = "slaves take what they hold for nothing now, and look at every project whole once; until then \
    `heliostat node list` shows them behind";

/// The store's folder.
fn folder(config: Option<&Path>) -> Result<PathBuf, Failure> {
    let loaded = Config::load(config);
    let loaded = loaded
        .map_err(|errors| Failure::Usage(crate::config::check_report(&errors).trim_end().to_owned()))?;
    let data_dir =
        std::path::absolute(&loaded.config.data_dir).map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(data_dir.join("store"))
}

fn is_there(folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        return Ok(());
    }
    Err(Failure::NotFound(format!(
        "there is no store at {}: name its configuration with --config",
        folder.display()
    )))
}

/// The store, if no server has it.
fn open(folder: &Path) -> Result<Option<Store>, Failure> {
    is_there(folder)?;
    match Store::open(folder) {
        Ok(store) => Ok(Some(store)),
        Err(StoreError::Locked(_)) => Ok(None),
        Err(error) => Err(Failure::Failed(error.to_string())),
    }
}

async fn check(client: &Client, folder: &Path) -> Result<(), Failure> {
    is_there(folder)?;
    let found = match store::check(folder) {
        Ok(checked) => json!(CheckedView::from(checked)),
        Err(StoreError::Locked(_)) => client.post("/api/v1/store/check").await?,
        Err(error) => return Err(Failure::Failed(error.to_string())),
    };
    let problems: Vec<&Value> = found["problems"].as_array().into_iter().flatten().collect();
    if client.output == Output::Json {
        document(&found)?;
    } else {
        let state = if problems.is_empty() { "is sound" } else { "is damaged" };
        say(&format!(
            "{} {state}: {} projects, {} runs, {} of them going on, commit {}",
            folder.display(),
            count(&found["projects"]),
            count(&found["runs"]),
            count(&found["live"]),
            text(&found["commit"])
        ))?;
        for problem in &problems {
            say(&format!("  {}", text(problem)))?;
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::Failed(format!(
            "{} problems; `heliostat store restore` puts a backup in place",
            problems.len()
        ))),
    }
}

async fn backup(client: &Client, folder: &Path, to: &Path) -> Result<(), Failure> {
    let made = match open(folder)? {
        Some(store) => {
            let made = store.backup(to, Utc::now()).map_err(|error| Failure::Failed(error.to_string()))?;
            json!({ "path": made.path, "records": made.records, "commit": made.commit })
        }
        None => client.submit(Method::POST, "/api/v1/store/backup", &json!({ "folder": to })).await?,
    };
    match client.output {
        Output::Json => document(&made),
        Output::Table => say(&format!("{} holds {} records", text(&made["path"]), count(&made["records"]))),
    }
}

fn restore(client: &Client, folder: &Path, backup: &Path) -> Result<(), Failure> {
    let restored =
        store::restore(backup, folder, Utc::now()).map_err(|error| Failure::Failed(error.to_string()))?;
    let shown = json!({
        "from": restored.from, "made": crate::view::time(restored.made), "records": restored.records,
        "set_aside": restored.set_aside,
    });
    if client.output == Output::Json {
        return document(&shown);
    }
    say(&format!("{} records of {} are in place", count(&shown["records"]), time(&shown["made"])))?;
    if let Some(aside) = restored.set_aside {
        say(&format!("the store that was there is now {}: remove it once all is well", aside.display()))?;
    }
    say(AFTERWARDS)
}
