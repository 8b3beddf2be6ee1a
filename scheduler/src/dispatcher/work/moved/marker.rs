//! The upstream's marker, asked without an rsync. One question finds most markers; a second one looks into the folder of
//! traces.

use std::time::Duration;

use chrono::DateTime;
use engine::EntryKind;
use engine::protocol::{Entry, ListLimits, ProtocolError, Timeouts, What, list};
use tokio::time::timeout;

use super::super::{Next, Work};
use crate::freshness::{Marker, MarkerRule};

/// The longest that an upstream is asked for its marker.
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

/// What the upstream shows, or why it could not be asked.
pub(super) async fn look(work: &Work<'_>) -> Next<Result<Option<Marker>, String>> {
    let known = work.start.standing.seen.as_ref().and_then(|seen| seen.marker.as_ref());
    let known = known.map(|marker| marker.path.as_str());
    asked(work, ask(work, known)).await
}

/// The answer to a question, or why there is none.
pub(super) async fn asked(
    work: &Work<'_>,
    question: impl Future<Output = Result<Option<Marker>, ProtocolError>>,
) -> Next<Result<Option<Marker>, String>> {
    Ok(match work.unless_cancelled(timeout(LONGEST, question)).await? {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} seconds", LONGEST.as_secs())),
    })
}

/// The marker of the attempt's upstream.
async fn ask(work: &Work<'_>, known: Option<&str>) -> Result<Option<Marker>, ProtocolError> {
    match (&work.start.project.freshness.marker, known) {
        (MarkerRule::None, _) => Ok(None),
        (MarkerRule::At(path), _) => file(work, path).await,
        (MarkerRule::Auto, Some(path)) => match file(work, path).await? {
            None => search(work).await,
            found => Ok(found),
        },
        (MarkerRule::Auto, None) => search(work).await,
    }
}

/// What stands at this path.
pub(super) async fn file(work: &Work<'_>, path: &str) -> Result<Option<Marker>, ProtocolError> {
    let entries = entries(work, What::Paths(&[path.as_bytes()])).await?;
    Ok(entries.iter().find(|entry| entry.name == path.as_bytes()).and_then(|entry| marker(entry, path)))
}

/// The first marker that mirrors are known to have.
async fn search(work: &Work<'_>) -> Result<Option<Marker>, ProtocolError> {
    let top = entries(work, What::Folder(b"")).await?;
    let named = |name: &str| top.iter().find(|entry| entry.name == name.as_bytes());
    for folder in TRACES.iter().filter(|folder| named(folder).is_some_and(is_folder)) {
        let path = if *folder == "project" { "project/trace" } else { folder };
        if let Some(found) = trace(work, path).await? {
            return Ok(Some(found));
        }
    }
    Ok(TOP.iter().find_map(|name| marker(named(name)?, name)))
}

/// Debian's mirrors leave a trace each; `master` is the archive's own. Without it, the newest one tells of a change.
async fn trace(work: &Work<'_>, folder: &str) -> Result<Option<Marker>, ProtocolError> {
    let traces = entries(work, What::Folder(folder.as_bytes())).await?;
    let as_marker = |entry: &Entry| {
        let name = std::str::from_utf8(&entry.name).ok().filter(|name| !name.starts_with('_'))?;
        marker(entry, &format!("{folder}/{name}"))
    };
    let master = traces.iter().find(|entry| entry.name == b"master").and_then(as_marker);
    Ok(master.or_else(|| traces.iter().filter_map(as_marker).max_by_key(|marker| marker.modified)))
}

async fn entries(work: &Work<'_>, what: What<'_>) -> Result<Vec<Entry>, ProtocolError> {
    let attempt = &work.start.attempt;
    let timeouts = Timeouts { connect: LONGEST / 2, handshake: LONGEST / 2, silence: LONGEST, list: LONGEST };
    let listing = list(&attempt.source, attempt.password.as_ref(), what, &LIMITS, &timeouts).await?;
    Ok(listing.entries)
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
