//! What needs a person: one condition of one thing, and in which company it is told.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What is wrong, or waits for a person. A new kind is a new variant and a row in each of the tables below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A run waits for somebody to approve it.
    Held,
    /// The newest run of a project failed.
    Failing,
    /// A project has had no good run for too long.
    Stale,
    /// An upstream shows an older marker than it did before.
    RolledBack,
    /// An upstream's marker is older than the project's target.
    Frozen,
    /// A node is behind for too long.
    Lagging,
    /// Nothing is heard of a slave.
    NodeAway,
    /// The master of this slave does not answer.
    MasterAway,
    /// Too little is free on a file system.
    DiskFull,
    /// The store cannot be written: nothing starts.
    StoreReadOnly,
    /// A table of the store cannot be read.
    StoreDamaged,
    /// The server's certificate ends soon, or has ended.
    Certificate,
    /// The configuration could not be read again.
    Configuration,
    /// The server could not start.
    StartFailed,
    /// The clock went back.
    Clock,
}

impl Kind {
    /// Every kind, the most urgent first.
    pub const ALL: [Self; 15] = [
        Self::StoreReadOnly,
        Self::StoreDamaged,
        Self::StartFailed,
        Self::DiskFull,
        Self::Clock,
        Self::MasterAway,
        Self::Held,
        Self::Failing,
        Self::RolledBack,
        Self::Stale,
        Self::Frozen,
        Self::NodeAway,
        Self::Lagging,
        Self::Certificate,
        Self::Configuration,
    ];

    /// The kind as the API spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Failing => "failing",
            Self::Stale => "stale",
            Self::RolledBack => "rolled-back",
            Self::Frozen => "frozen",
            Self::Lagging => "lagging",
            Self::NodeAway => "node-away",
            Self::MasterAway => "master-away",
            Self::DiskFull => "disk-full",
            Self::StoreReadOnly => "store-read-only",
            Self::StoreDamaged => "store-damaged",
            Self::Certificate => "certificate",
            Self::Configuration => "configuration",
            Self::StartFailed => "start-failed",
            Self::Clock => "clock",
        }
    }

    /// What is said of one thing that it holds for.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Held => "waits for approval",
            Self::Failing => "fails",
            Self::Stale => "is stale",
            Self::RolledBack => "has an upstream that went back",
            Self::Frozen => "has an upstream that stands still",
            Self::Lagging => "is behind",
            Self::NodeAway => "is not heard of",
            Self::MasterAway => "is out of touch: nothing new comes from it",
            Self::DiskFull => "is too full: nothing starts on it",
            Self::StoreReadOnly => "cannot be written: nothing starts",
            Self::StoreDamaged => "cannot be read in the store",
            Self::Certificate => "expires soon, or has expired",
            Self::Configuration => "was not read again",
            Self::StartFailed => "could not start",
            Self::Clock => "went back",
        }
    }

    /// What is said once it is over.
    #[must_use]
    pub const fn over(self) -> &'static str {
        match self {
            Self::Held => "is released",
            Self::Failing => "works again",
            Self::Stale => "is up to date again",
            Self::RolledBack => "has an upstream that goes forward again",
            Self::Frozen => "has an upstream that moves again",
            Self::Lagging => "has caught up",
            Self::NodeAway => "is heard of again",
            Self::MasterAway => "is in touch again",
            Self::DiskFull => "has room again",
            Self::StoreReadOnly => "can be written again",
            Self::StoreDamaged => "can be read in the store again",
            Self::Certificate => "is renewed",
            Self::Configuration => "is right again",
            Self::StartFailed => "has started",
            Self::Clock => "is where it was",
        }
    }
}

/// What a condition is told together with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "name")]
pub enum Group {
    /// The projects of one upstream host.
    Upstream(String),
    /// What one node holds.
    Node(String),
    /// One file system.
    Disk(String),
    /// This server.
    Server,
}

impl Group {
    /// The group for a sentence.
    #[must_use]
    pub fn named(&self) -> &str {
        match self {
            Self::Upstream(name) | Self::Node(name) | Self::Disk(name) => name,
            Self::Server => "this server",
        }
    }
}

/// One thing that a kind holds for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// What is wrong.
    pub kind: Kind,
    /// With what: a project, a node, a disk.
    pub subject: String,
}

/// Something that needs a person now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    /// What it is.
    pub key: Key,
    /// What it is told with.
    pub group: Group,
    /// The project that it is about, if one.
    pub project: Option<String>,
    /// The run that it is about, if one.
    pub run: Option<String>,
    /// Since when, where that is known better than by when it was seen first.
    pub since: Option<DateTime<Utc>>,
    /// Time from which it counts as lasting, where that is before it can be noticed.
    pub lasting_since: Option<DateTime<Utc>>,
    /// Why, in a sentence.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_spelt_in_the_store_as_in_the_api_and_listed_once() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        let all: std::collections::BTreeSet<_> = Kind::ALL.into_iter().collect();
        assert_eq!(all.len(), Kind::ALL.len());
        assert_eq!(serde_json::to_string(&Group::Server).unwrap(), r#"{"kind":"server"}"#);
    }
}
