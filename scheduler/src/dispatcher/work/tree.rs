//! Before anything else: the destination is mounted where that is expected, and still holds the
//! tree that the last good run left. Otherwise rsync would fill the disk below the mount point.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chrono::Utc;
use engine::rsync::args::PARTIAL_DIR;
use engine::{DestinationFolder, Verdict};

use super::{Next, Work};
use crate::disk::identity;
use crate::guard::Amount;
use crate::run::{Ending, Plan};
use crate::tree::{KnownTree, SeenTree, TreeLoss};

/// Entries of a folder that holds no tree.
const NO_TREE: [&str; 2] = [PARTIAL_DIR, "lost+found"];

/// Ends the attempt when a file system is missing, and asks a person when the tree is not the one
/// that was left. A project whose guard lets everything through is not asked about.
pub(super) async fn check(work: &mut Work<'_>) -> Next<()> {
    let (project, standing) = (&work.start.project, &work.start.standing);
    let (place, expected) = (project.place.clone(), project.expect_mount);
    let folder = work.folder.clone();
    let roots = work.shared.settings().landing.expected_mounts;

    // A disk that hangs holds up this run, and nobody else's.
    let looking = tokio::task::spawn_blocking(move || look(place, folder.as_deref(), expected, &roots));
    let (seen, is_empty) = match work.unless_cancelled(looking).await? {
        Ok(Ok(looked)) => looked,
        Ok(Err(why)) => return Err(Ending::not_started("local-disk", Verdict::GiveUp, why)),
        Err(panic) => return Err(Ending::not_started("local-disk", Verdict::GiveUp, panic.to_string())),
    };

    let loss = if project.guard.is_off() { None } else { TreeLoss::find(standing, &seen, is_empty) };
    let accepted = match loss {
        None => false,
        Some(loss) if is_approved(work, &loss) => true,
        Some(loss) => return Err(held(work, loss)),
    };
    work.tree = Some(SeenTree { tree: seen, accepted });
    Ok(())
}

/// The destination, and whether it is empty; the error is a missing file system.
fn look(
    place: PathBuf,
    folder: Option<&DestinationFolder>,
    expected: bool,
    roots: &[PathBuf],
) -> Result<(KnownTree, bool), String> {
    let unknown = |error: std::io::Error| format!("the file system of {} : {error}", place.display());

    for root in roots {
        let root = root.canonicalize().unwrap_or_else(|_| root.clone());
        if place.starts_with(&root) && !is_mount_point(&root).map_err(unknown)? {
            let root = root.display();
            return Err(format!(
                "nothing is mounted on {root}, and its `expect_mount` in `allowed_roots` says that \
                 something is: mount it, then sync again"
            ));
        }
    }
    if expected && is_on_root(&place).map_err(unknown)? {
        return Err(format!(
            "{} lies on the file system of /, and the project's `expect_mount` says that another one \
             is mounted there: mount it, then sync again",
            place.display()
        ));
    }
    let file_system = identity::identify(&place).map_err(unknown)?;
    let is_empty = folder.is_none_or(|folder| is_empty(&folder.path()));
    Ok((KnownTree { place, file_system }, is_empty))
}

fn is_mount_point(folder: &Path) -> std::io::Result<bool> {
    Ok(identity::mount_of(folder)?.is_some_and(|mount| mount.point == folder))
}

fn is_on_root(place: &Path) -> std::io::Result<bool> {
    Ok(identity::mount_of(place)?.is_none_or(|mount| mount.point == Path::new("/")))
}

/// Returns true if no tree is there. A folder that cannot be read is left to rsync, which says why.
fn is_empty(dest: &Path) -> bool {
    match fs::read_dir(dest) {
        Ok(mut entries) => entries.all(|entry| {
            entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(|name| NO_TREE.contains(&name)))
        }),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// Returns true if a person has approved exactly this difference.
fn is_approved(work: &Work<'_>, loss: &TreeLoss) -> bool {
    let hold = work.start.record.hold.as_ref();
    hold.is_some_and(|hold| hold.approved_by().is_some() && hold.plan.digest == loss.digest)
}

fn held(work: &Work<'_>, loss: TreeLoss) -> Ending {
    let standing = &work.start.standing;
    work.journal.say(&format!("held: {}", loss.reason));
    Ending::Held(Box::new(Plan {
        digest: loss.digest,
        at: Utc::now(),
        deletions: Amount::default(),
        tree: Amount { entries: standing.files, bytes: standing.size_bytes },
        created: 0,
        updated: 0,
        reason: loss.reason,
        listed_by: work.start.run,
    }))
}
