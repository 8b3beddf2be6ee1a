//! Whether the upstream has moved, asked without an rsync: where it is what it was, there is nothing to do.
//!
//! Its marker is asked for first, which is one file. Where it has none, and the project wants it, its whole list is read and
//! compared by its fingerprint. Whatever goes wrong here is no reason to fail: rsync follows, and says it better.

mod list;
mod marker;
mod pulse;

use chrono::Utc;

use super::{Next, Work};
use crate::freshness::{Compare, MarkerRule, Seen, comparable};
use crate::run::Ending;

/// How much of the upstream rsync is to look at.
pub(super) enum Scope {
    /// All that the project has.
    Whole,
    /// This file: all else is what it was.
    Only(&'static str),
}

/// Ends the attempt when nothing is new; else keeps what was seen for the end of the rsync that follows.
pub(super) async fn look(work: &mut Work<'_>) -> Next<Scope> {
    let start = work.start;
    let (project, standing, upstream) = (&start.project, &start.standing, start.attempt.source.to_string());
    let by_list = project.freshness.compare == Compare::List;
    if start.attempt.is_command()
        || (project.freshness.marker == MarkerRule::None && !by_list)
        || start.attempt.options.is_narrowed()
    {
        return Ok(Scope::Whole);
    }
    let now = Utc::now();
    if let Some(seen) = standing.seen.as_ref().filter(|seen| seen.has_none(project, &upstream, now)) {
        work.seen = Some(seen.clone());
        return Ok(Scope::Whole);
    }
    let marker = match marker::look(work).await? {
        Ok(marker) => marker,
        Err(why) => {
            work.journal.say(&format!("the upstream's marker could not be read: {why}"));
            return Ok(Scope::Whole);
        }
    };
    let mut seen = Seen { upstream, marker, list: None, at: now, version: project.version };
    work.sighted = Some(seen.clone());
    let old = comparable(project, standing, &start.record, &seen.upstream, now);
    if let (Some(old), Some(new)) = (old.and_then(|old| old.marker.as_ref()), &seen.marker)
        && old == new
    {
        let reason = unmoved(&old.path);
        let Some(file) = pulse::to_fetch(work).await? else { return Err(Ending::Unchanged { reason }) };
        work.journal.say(&format!("{reason}; only {file} is fetched"));
        // What was seen before the last whole run still holds, and is no younger for this one.
        work.seen.clone_from(&standing.seen);
        return Ok(Scope::Only(file));
    }
    if by_list && seen.marker.is_none() {
        seen.list = list::look(work).await?;
        if let (Some(old), Some(new)) = (old.and_then(|old| old.list), seen.list)
            && old == new
        {
            return Err(Ending::Unchanged {
                reason: unmoved(&format!("the list of its {} entries", new.entries)),
            });
        }
    }
    work.seen = Some(seen);
    Ok(Scope::Whole)
}

fn unmoved(what: &str) -> String {
    format!("{what} is what it was when the last good run began: the upstream has not moved")
}
