//! Before rsync: is the destination still where it was, what do hooks say, which paths are to be looked at.

use std::io::ErrorKind;
use std::sync::Arc;

use engine::{Attempt, DestinationFolder, Verdict};

use super::debian::Trace;
use super::moved::{self, Scope};
use super::{Next, Work, ask, tree, upstream};
use crate::core::Start;
use crate::destination::DestinationError;
use crate::destination::mounted::MountTable;
use crate::dispatcher::Shared;
use crate::hooks::Decision;
use crate::lists::{self, Lists};
use crate::run::Ending;

/// What rsync is to do, if it is to do anything.
pub(super) async fn prepare(work: &mut Work<'_>) -> Next<Attempt> {
    let elsewhere = match not_moved(work.start).await {
        Some(why) => Some(why),
        None => moved(work.shared, work.start).or_else(|| wrong_password(work.start)),
    };
    if let Some(why) = elsewhere {
        return refused(why);
    }
    work.folder = open(work).await?;
    tree::check(work).await?;
    upstream::first_that_is_back(work).await?;
    let scope = moved::look(work).await?;
    let decision = ask::before(work).await?;
    if work.start.attempt.is_command() {
        let attempt = of_command(work, decision)?;
        return Ok(Attempt { folder: work.folder.clone(), ..attempt });
    }
    let mut attempt = match scope {
        Scope::Whole => narrowed(work.shared, work.start),
        Scope::Only(file) => only(work.shared, work.start, file)?,
    };
    attempt.folder.clone_from(&work.folder);
    work.trace = Trace::prepare(&work.start.project, work.shared.settings().trace, &mut attempt);
    match decision {
        Decision::Proceed => Ok(attempt),
        Decision::ProceedWith(edits) => match attempt.edit(&edits) {
            Ok(()) => Ok(attempt),
            Err(error) => refused(format!("a hook asks for an edit that is not allowed: {error}")),
        },
        Decision::Skip(reason) => Err(Ending::Skipped { reason }),
        Decision::Veto(reason) => Err(Ending::Vetoed { reason }),
        Decision::Delay(wait, reason) => Err(Ending::Delayed { wait, reason }),
    }
}

/// A command has no options of rsync's that a hook could change, and no index that would come last.
fn of_command(work: &Work<'_>, decision: Decision) -> Next<Attempt> {
    match decision {
        Decision::Proceed => {}
        Decision::ProceedWith(_) => {
            work.journal
                .say("a hook asks for other options of rsync, and a command has none: it goes on as it is");
        }
        Decision::Skip(reason) => return Err(Ending::Skipped { reason }),
        Decision::Veto(reason) => return Err(Ending::Vetoed { reason }),
        Decision::Delay(wait, reason) => return Err(Ending::Delayed { wait, reason }),
    }
    Ok(work.start.attempt.clone())
}

fn refused<T>(why: String) -> Next<T> {
    Err(Ending::not_started("config", Verdict::ConfigError, why))
}

/// Opens the destination's folder, so that everything that follows is done in what was looked at. Nothing is made here:
/// what is missing may be a file system that is not mounted.
async fn open(work: &Work<'_>) -> Next<Option<Arc<DestinationFolder>>> {
    let project = &work.start.project;
    let place = project.place.clone();
    // A disk that hangs holds up this run, and nobody else's.
    let opening = tokio::task::spawn_blocking(move || (DestinationFolder::open(&place), MountTable::read()));
    let (opened, table) = match work.unless_cancelled(opening).await? {
        Ok((opened, table)) => (opened, table.unwrap_or_default()),
        Err(panic) => return refused(format!("the destination cannot be looked at: {panic}")),
    };
    if let Some(other) = work.shared.board.overlap_by_mount(&table, &project.place, &project.id) {
        return refused(format!("`dest` {}", DestinationError::Mounted(other)));
    }
    match opened {
        Ok(folder) => Ok(Some(Arc::new(folder))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            refused(format!("the destination {} cannot be opened: {error}", project.place.display()))
        }
    }
}

/// A tree that is still to move does so first: what would be fetched meanwhile would be there twice.
async fn not_moved(start: &Start) -> Option<String> {
    let relocation = start.relocation.clone()?;
    let (from, to) = (relocation.from.display().to_string(), relocation.to.display().to_string());
    let why = match tokio::task::spawn_blocking(move || relocation.perform()).await {
        Ok(Ok(())) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    Some(format!("the tree could not move from {from} to {to}: {why}"))
}

/// A destination that leads elsewhere than when it was accepted could nest in another project's.
fn moved(shared: &Shared, start: &Start) -> Option<String> {
    let project = &start.project;
    match shared.settings().landing.resolve(&project.dest) {
        Ok(place) if place == project.place => None,
        Ok(place) => Some(format!(
            "{} leads to {} now, and led to {} when the project was saved: save the project again if that is meant",
            project.dest.display(),
            place.display(),
            project.place.display()
        )),
        Err(error) => Some(format!("`dest` {error}")),
    }
}

/// A password that was stored before there was a rule for passwords: rsync would read its first line only.
fn wrong_password(start: &Start) -> Option<String> {
    let error = start.attempt.password.as_ref()?.check_password().err()?;
    Some(format!("the upstream's password {error}; give the project another one as `source.password`"))
}

/// The attempt, which looks at one file only.
fn only(shared: &Shared, start: &Start, file: &str) -> Next<Attempt> {
    let mut paths = Vec::new();
    lists::push(&mut paths, file.as_bytes());
    let list = Lists::new(&shared.settings().data_dir).only(&start.project.id, &start.attempt.source, &paths);
    match list {
        Ok(list) => {
            let options = start.attempt.options.clone().only(list);
            Ok(Attempt { options, ..start.attempt.clone() })
        }
        Err(error) => {
            refused(format!("the list of what to fetch cannot be written into `data_dir`: {error}"))
        }
    }
}

/// The attempt, which looks at some paths only where a list of them was left.
fn narrowed(shared: &Shared, start: &Start) -> Attempt {
    let mut attempt = start.attempt.clone();
    let whole = start.number > 1 || attempt.unclean_since.is_some();
    let list =
        Lists::new(&shared.settings().data_dir).take(&start.project.id, start.run, &attempt.source, whole);
    if let Some(list) = list {
        attempt.options = attempt.options.only(list);
    }
    attempt
}
