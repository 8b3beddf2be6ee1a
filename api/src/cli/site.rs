//! `reload`.

use serde_json::Value;

use super::Output;
use super::client::Client;
use super::failure::Failure;
use super::table::text;
use super::terminal::{document, say};

pub(super) async fn reload(client: &Client) -> Result<(), Failure> {
    let answer = client.post("/api/v1/reload").await?;
    if client.output == Output::Json {
        return document(&answer);
    }
    let keys = |list: &Value| list.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ");
    let (live, later) = (keys(&answer["live"]), keys(&answer["needs_restart"]));
    if live.is_empty() && later.is_empty() {
        return say("nothing has changed");
    }
    if !live.is_empty() {
        say(&format!("in force now: {live}"))?;
    }
    if !later.is_empty() {
        say(&format!("in force after a restart: {later}"))?;
    }
    Ok(())
}
