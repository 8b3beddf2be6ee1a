//! What everybody may know of what was told: the newest changes of projects, for the Atom feed.
//!
//! Only that a project fails, is stale, or is well again; no reasons, no nodes, no disks.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use super::condition::Kind;
use super::message::{Line, Message, Topic};

/// How many changes are kept.
const KEPT: usize = 100;

/// The newest changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feed {
    /// The feed's own name, a UUID, for ever.
    pub id: String,
    /// When it began.
    pub begun: DateTime<Utc>,
    /// Newest first.
    pub changes: VecDeque<Change>,
}

/// One change of one project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// 16 bytes in the form of a UUID, the same for ever.
    pub id: String,
    /// When people were told.
    pub time: DateTime<Utc>,
    /// Which project.
    pub project: String,
    /// What was or is wrong with it.
    pub kind: Kind,
    /// Whether it no longer is.
    pub over: bool,
}

impl Default for Feed {
    fn default() -> Self {
        Self { id: uuid(&Ulid::generate().to_bytes()), begun: Utc::now(), changes: VecDeque::new() }
    }
}

impl Feed {
    /// Takes what a message says of projects.
    pub(super) fn take(&mut self, message: &Message) {
        let Topic::Changes { opened, over, .. } = &message.topic else { return };
        let lines = opened.iter().map(|line| (line, false)).chain(over.iter().map(|line| (line, true)));
        for (line, over) in lines {
            let Some(change) = public(message, line, over) else { continue };
            self.changes.push_front(change);
        }
        self.changes.truncate(KEPT);
    }

    /// When it changed last.
    #[must_use]
    pub fn updated(&self) -> DateTime<Utc> {
        self.changes.front().map_or(self.begun, |change| change.time)
    }
}

fn public(message: &Message, line: &Line, over: bool) -> Option<Change> {
    let is_public = matches!(line.kind, Kind::Failing | Kind::Stale);
    let project = line.project.clone().filter(|_| is_public)?;
    let name = format!("{} {} {project} {over}", message.id, line.kind.as_str());
    Some(Change { id: uuid(&Sha256::digest(name)), time: message.time, project, kind: line.kind, over })
}

/// The first 16 bytes as a UUID of version 8, which says only that its maker knows what is in it (RFC 9562).
fn uuid(bytes: &[u8]) -> String {
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(bytes) {
        *to = *from;
    }
    id[6] = id[6] & 0x0f | 0x80;
    id[8] = id[8] & 0x3f | 0x80;
    super::ping::uuid(u128::from_be_bytes(id))
}
