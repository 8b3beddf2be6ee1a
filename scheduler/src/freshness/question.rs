//! Asking an upstream for its marker, by our own client of the protocol. One question finds most markers; a second one
//! looks into the folder of traces.

use std::time::Duration;

use chrono::DateTime;
use engine::protocol::{Entry, ListLimits, ProtocolError, Timeouts, What, list};
use engine::{EntryKind, Secret, Source};

use super::{Marker, MarkerRule};

/// The longest that a list of so little may take.
const LONGEST: Duration = Duration::from_secs(10);
/// The most entries of a folder that are looked through.
const LIMITS: ListLimits = ListLimits { entries: 20_000, bytes: 4 << 20 };

/// Files at the top of a tree that are written whenever it changes, in the order of trust: those of Arch Linux, then what
/// other large archives have.
const TOP: [&str; 9] = [
    "lastupdate",
    "lastsync",
    "timestamp",
    "TIME",
    "mirror-updated-timestamp.txt",
    "sync_timestamp",
    ".lastsync",
    "state",
    "mageia_timestamp",
];
/// Folders of traces: Debian's, and Ubuntu's.
const TRACES: [&str; 2] = ["project", ".trace"];

/// Where to ask, and how to get in.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The tree.
    pub source: &'a Source,
    /// The password that goes with its user.
    pub password: Option<&'a Secret>,
}

impl Question<'_> {
    /// Its marker by this rule; `known` is the path of the one that was found before.
    ///
    /// # Errors
    /// When the upstream cannot be reached, refuses, or does not keep to the protocol.
    pub async fn marker(
        self,
        rule: &MarkerRule,
        known: Option<&str>,
    ) -> Result<Option<Marker>, ProtocolError> {
        match (rule, known) {
            (MarkerRule::None, _) => Ok(None),
            (MarkerRule::At(path), _) => self.file(path).await,
            (MarkerRule::Auto, Some(path)) => match self.file(path).await? {
                None => self.search().await,
                found => Ok(found),
            },
            (MarkerRule::Auto, None) => self.search().await,
        }
    }

    /// The file at this path as if it were the marker.
    ///
    /// # Errors
    /// As for [`Question::marker`].
    pub async fn file(self, path: &str) -> Result<Option<Marker>, ProtocolError> {
        let entries = self.entries(What::Paths(&[path.as_bytes()])).await?;
        Ok(entries.iter().find(|entry| entry.name == path.as_bytes()).and_then(|entry| marker(entry, path)))
    }

    /// The first marker that mirrors are known to have.
    async fn search(self) -> Result<Option<Marker>, ProtocolError> {
        let top = self.entries(What::Folder(b"")).await?;
        let named = |name: &str| top.iter().find(|entry| entry.name == name.as_bytes());
        for folder in TRACES.iter().filter(|folder| named(folder).is_some_and(is_folder)) {
            let path = if *folder == "project" { "project/trace" } else { folder };
            if let Some(found) = self.trace(path).await? {
                return Ok(Some(found));
            }
        }
        Ok(TOP.iter().find_map(|name| marker(named(name)?, name)))
    }

    /// Debian's mirrors leave a trace each; `master` is the archive's own. Without it, the newest one tells of a change.
    async fn trace(self, folder: &str) -> Result<Option<Marker>, ProtocolError> {
        let traces = self.entries(What::Folder(folder.as_bytes())).await?;
        let as_marker = |entry: &Entry| {
            let name = std::str::from_utf8(&entry.name).ok().filter(|name| !name.starts_with('_'))?;
            marker(entry, &format!("{folder}/{name}"))
        };
        let master = traces.iter().find(|entry| entry.name == b"master").and_then(as_marker);
        Ok(master.or_else(|| traces.iter().filter_map(as_marker).max_by_key(|marker| marker.modified)))
    }

    async fn entries(self, what: What<'_>) -> Result<Vec<Entry>, ProtocolError> {
        let timeouts =
            Timeouts { connect: LONGEST / 2, handshake: LONGEST / 2, silence: LONGEST, list: LONGEST };
        Ok(list(self.source, self.password, what, &LIMITS, &timeouts).await?.entries)
    }
}

fn is_folder(entry: &Entry) -> bool {
    entry.kind == EntryKind::Directory
}

/// Only a file has a time of its own.
fn marker(entry: &Entry, path: &str) -> Option<Marker> {
    let modified = DateTime::from_timestamp(entry.modified, entry.nanos)?;
    let is_file = entry.kind == EntryKind::File;
    is_file.then(|| Marker { path: path.to_owned(), size: entry.size, modified })
}
