//! The upstream's marker, asked without an rsync: where it is what it was, there is nothing to do.
//!
//! One question finds most markers; a second one looks into the folder of traces. Whatever goes wrong here is no reason
//! to fail: rsync follows, and says it better.

use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::EntryKind;
use engine::protocol::{Entry, ListLimits, ProtocolError, Timeouts, What, list};
use tokio::time::timeout;

use super::{Next, Work};
use crate::freshness::{Marker, MarkerRule, Seen, comparable};
use crate::run::Ending;

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

/// Ends the attempt when nothing is new; else keeps what was seen for the end of the rsync that follows.
pub(super) async fn look(work: &mut Work<'_>) -> Next<()> {
    let start = work.start;
    let (project, standing, upstream) = (&start.project, &start.standing, start.attempt.source.to_string());
    if start.attempt.is_command()
        || project.freshness.marker == MarkerRule::None
        || start.attempt.options.is_narrowed()
    {
        return Ok(());
    }
    let now = Utc::now();
    if let Some(seen) = standing.seen.as_ref().filter(|seen| seen.has_none(project, &upstream, now)) {
        work.seen = Some(seen.clone());
        return Ok(());
    }
    let known =
        standing.seen.as_ref().and_then(|seen| seen.marker.as_ref()).map(|marker| marker.path.as_str());
    let asked = match work.unless_cancelled(timeout(LONGEST, ask(work, known))).await? {
        Ok(asked) => asked.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} seconds", LONGEST.as_secs())),
    };
    let marker = match asked {
        Ok(marker) => marker,
        Err(why) => {
            work.journal.say(&format!("the upstream's marker could not be read: {why}"));
            return Ok(());
        }
    };
    let seen = Seen { upstream: upstream.clone(), marker: marker.clone(), at: now, version: project.version };
    work.sighted = Some(seen.clone());
    let old = comparable(project, standing, &start.record, &upstream, now);
    if let (Some(old), Some(new)) = (old, &marker)
        && old == new
    {
        let reason =
            format!("{} is what it was when the last good run began: the upstream has not moved", old.path);
        return Err(Ending::Unchanged { reason });
    }
    work.seen = Some(seen);
    Ok(())
}

/// The marker of the attempt's upstream.
async fn ask(work: &Work<'_>, known: Option<&str>) -> Result<Option<Marker>, ProtocolError> {
    match (&work.start.project.freshness.marker, known) {
        (MarkerRule::At(path), _) => file(work, path).await,
        (_, Some(path)) => match file(work, path).await? {
            None => search(work).await,
            found => Ok(found),
        },
        (_, None) => search(work).await,
    }
}

async fn file(work: &Work<'_>, path: &str) -> Result<Option<Marker>, ProtocolError> {
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
