//! A file by which others see that a mirror is alive: it changes while nothing else does, and is fetched all the same.
//!
//! Arch Linux has one, `lastsync`: its servers write it every minute, and its monitoring takes a mirror whose copy is old
//! for one that is behind, whatever `lastupdate` says.

use std::path::Path;
use std::time::UNIX_EPOCH;

use super::super::{Next, Work};
use super::marker;
use crate::freshness::Marker;
use crate::project::Repository;

const FILE: &str = "lastsync";

/// The file that is to be fetched; none: the project's kind of repository has none, or ours is the same.
pub(super) async fn to_fetch(work: &Work<'_>) -> Next<Option<&'static str>> {
    if work.start.project.stages != Some(Repository::Arch) {
        return Ok(None);
    }
    let upstream = match marker::asked(work, marker::where_to(work).file(FILE)).await? {
        Ok(upstream) => upstream,
        Err(why) => {
            work.journal.say(&format!("the upstream's {FILE} could not be read: {why}"));
            return Ok(None);
        }
    };
    let Some(upstream) = upstream else { return Ok(None) };
    let Some(folder) = work.folder.clone() else { return Ok(Some(FILE)) };
    // A disk that hangs holds up this run, and nobody else's.
    let same = tokio::task::spawn_blocking(move || is_same(&folder.path().join(FILE), &upstream))
        .await
        .unwrap_or(false);
    Ok((!same).then_some(FILE))
}

/// As rsync compares them: by size and second.
fn is_same(ours: &Path, upstream: &Marker) -> bool {
    let Ok(about) = ours.symlink_metadata() else { return false };
    let modified = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified = modified.and_then(|since| i64::try_from(since.as_secs()).ok());
    about.is_file() && about.len() == upstream.size && modified == Some(upstream.modified.timestamp())
}
