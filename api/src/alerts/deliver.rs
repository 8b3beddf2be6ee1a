//! One message through one channel, with a bound on everything, and an error that holds no secret.

mod mail;
mod program;
mod webhook;

pub(crate) use mail::server;
pub(super) use webhook::{address, ping};

use engine::Secret;

use super::message::Message;
use crate::config::{Channel, SecretSource};

/// Sends a message.
///
/// # Errors
/// When it was not taken: why, in a sentence.
pub(super) async fn deliver(channel: &Channel, message: &Message, site: &str) -> Result<(), String> {
    match channel {
        Channel::Webhook(webhook) => webhook::send(webhook, message, site).await,
        Channel::Mail(mail) => mail::send(mail, message, site).await,
        Channel::Program(program) => program::run(program, message, site).await,
    }
}

/// The kind of a channel, as lists name it.
#[must_use]
pub(super) const fn kind(channel: &Channel) -> &'static str {
    match channel {
        Channel::Webhook(_) => "webhook",
        Channel::Mail(_) => "mail",
        Channel::Program(_) => "program",
    }
}

/// Fetches a secret. Files may be on slow disks, and change: they are read for each message.
pub(super) async fn secret(source: &SecretSource) -> Result<Secret, String> {
    let source = source.clone();
    let resolved = tokio::task::spawn_blocking(move || source.resolve()).await;
    resolved.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}
