//! A server that cannot start tells so before it ends, once for each reason, and that it has started after all.
//!
//! There is no store then, so a file in the data folder remembers. A configuration that cannot be read names no
//! channels: a dead-man's switch is for that.

use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use engine::text::escaped;
use ulid::Ulid;

use super::condition::{Group, Kind};
use super::message::{Line, Message};
use super::{Alerts, deliver, look, site};
use crate::config::Config;

/// What remembers the reason that was told.
const FILE: &str = "start-failure";
/// How long telling may hold up the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tells people why the server ends.
pub(crate) async fn could_not_start(config: &Config, reason: &str) {
    let path = config.data_dir.join(FILE);
    if std::fs::read_to_string(&path).is_ok_and(|told| told == reason) || config.alerts.channels.is_empty() {
        return;
    }
    let now = Utc::now();
    let line = Line {
        kind: Kind::StartFailed,
        subject: "Heliostat".to_owned(),
        project: None,
        run: None,
        reason: reason.to_owned(),
        since: now,
        times: 1,
    };
    let id = Ulid::generate().to_string();
    let message = Message::of_changes(id, now, Group::Server, vec![line], Vec::new(), 0);
    let (message, site) = (&message, &site(config));
    let deliveries = config.alerts.channels.iter().map(|channel| async move {
        let told = tokio::time::timeout(PATIENCE, deliver::deliver(channel, message, site)).await;
        match told.unwrap_or_else(|_| Err("it took too long".to_owned())) {
            Ok(()) => true,
            Err(error) => {
                eprintln!("heliostat: {} was not told: {}", channel.name(), escaped(error.as_bytes()));
                false
            }
        }
    });
    if futures_util::future::join_all(deliveries).await.contains(&true) {
        // Where even that cannot be written, the next try tells again.
        let _ = std::fs::write(&path, reason);
    }
}

/// Notes that people are to hear of this start, if they were told that an earlier one failed.
pub(super) fn has_started(data_dir: &Path, alerts: &Alerts) {
    let path = data_dir.join(FILE);
    let Ok(reason) = std::fs::read_to_string(&path) else { return };
    let condition = look::of_server(Kind::StartFailed, "Heliostat", reason);
    alerts.state().ledger.was_told(&condition, Utc::now());
    let _ = std::fs::remove_file(&path);
}
