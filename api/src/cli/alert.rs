//! `alert`: what needs a person, and whether they can be reached.

use clap::Subcommand;
use serde_json::Value;

use super::Output;
use super::client::Client;
use super::failure::Failure;
use super::table::{table, text};
use super::terminal::{document, say};

/// What can be done with alerts.
#[derive(Debug, Subcommand)]
pub(super) enum AlertCommand {
    /// List what needs a person now, the most urgent first
    #[command(after_help = "Example: heliostat alert list")]
    List,
    /// List the ways to people, and what waits for each
    #[command(after_help = "Example: heliostat alert channels")]
    Channels,
    /// Send a test message through every channel, and say how each took it
    #[command(after_help = "Example: heliostat alert test   (ends with 1 when a channel did not take it)")]
    Test,
}

pub(super) async fn run(client: &Client, command: AlertCommand) -> Result<(), Failure> {
    match command {
        AlertCommand::List => list(client).await,
        AlertCommand::Channels => channels(client).await,
        AlertCommand::Test => test(client).await,
    }
}

async fn list(client: &Client) -> Result<(), Failure> {
    let page = client.get("/api/v1/alerts").await?;
    if client.output == Output::Json {
        return document(&page);
    }
    let items = items(&page);
    if items.is_empty() {
        return say("nothing needs you");
    }
    let rows = items.iter().map(|alert| {
        vec![text(&alert["since"]), text(&alert["subject"]), text(&alert["says"]), text(&alert["reason"])]
    });
    say(&table(&["since", "what", "is", "why"], rows))
}

async fn channels(client: &Client) -> Result<(), Failure> {
    let page = client.get("/api/v1/alerts/channels").await?;
    if client.output == Output::Json {
        return document(&page);
    }
    let items = items(&page);
    if items.is_empty() {
        return say("no channel is configured (alerts.channels)");
    }
    let rows = items.iter().map(|channel| {
        ["name", "kind", "waiting", "delivered", "error"].map(|key| text(&channel[key])).to_vec()
    });
    say(&table(&["channel", "kind", "waiting", "delivered", "error"], rows))
}

async fn test(client: &Client) -> Result<(), Failure> {
    let page = client.post_patiently("/api/v1/alerts/test").await?;
    let items = items(&page);
    if client.output == Output::Json {
        document(&page)?;
    } else if items.is_empty() {
        return Err(Failure::Failed("no channel is configured (alerts.channels)".to_owned()));
    } else {
        let rows = items.iter().map(|tried| {
            let result = match tried["delivered"].as_bool() {
                Some(true) => "delivered".to_owned(),
                _ => text(&tried["error"]),
            };
            vec![text(&tried["channel"]), text(&tried["kind"]), result]
        });
        say(&table(&["channel", "kind", "result"], rows))?;
    }
    let failed = items.iter().filter(|tried| tried["delivered"] != true).count();
    match failed {
        0 => Ok(()),
        failed => Err(Failure::Failed(format!("{failed} of {} channels did not take it", items.len()))),
    }
}

fn items(page: &Value) -> &[Value] {
    page["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}
