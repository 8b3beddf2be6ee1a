//! What clients see: the JSON of projects, runs, events and the rest.
//!
//! These structures are the API's, not the scheduler's: a domain type that changes does not change an answer by
//! accident. Times are RFC 3339 in UTC, sizes bytes, durations seconds.

mod alert;
mod disk;
mod event;
mod feed;
mod generation;
mod hold;
mod project;
mod published;
mod queue;
mod run;
mod status;

pub(crate) use alert::channel;
pub use alert::{AlertView, ChannelView, alert};
pub use disk::{DiskView, disks};
pub use event::event;
pub use feed::atom;
pub use generation::{GenerationView, generation};
pub use project::{ProjectView, project, settings};
pub use published::{Published, badge};
pub use queue::{QueueView, queue};
pub use run::{ChangeView, Live, RunView, change, run};
pub use status::StatusView;
pub(crate) use status::status;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

/// One page of a list.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Give this as `cursor` for the next page; none on the last.
    pub next: Option<String>,
}

/// A time as clients read it.
#[must_use]
pub fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A number of bytes for people.
#[must_use]
pub fn human(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}
