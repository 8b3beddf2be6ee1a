//! What rsync would delete, known before anything is changed: the guard.
//!
//! The plan is a rehearsal: the same rsync with `--dry-run`. So it is right whatever options and filters the project
//! has, and where it finds no change at all, it was the run: an upstream without changes pays once. What cannot delete
//! anything is not rehearsed: no delete mode, an empty destination, a list of paths that a master has approved.
//!
//! An upstream that refuses `--dry-run`, or breaks off twice when it reads it, gets no rehearsal: the
//! plan is made from its file list ([`listing`]), and where there is none, the run deletes nothing.
//!
//! A plan that is too large ends the attempt as held, with the list of its deletions beside the run's log. An approved
//! run goes on when it would delete exactly what was approved, or what is left of it, with `--max-delete` as its count.

mod compare;
mod draft;
mod listing;
mod local;
mod named;
mod rehearsal;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::Utc;
use engine::{Attempt, AttemptReport, Changes, Exit, Verdict};

use super::sync::ended;
use super::{Next, Rehearsed, Work};
use crate::core::Start;
use crate::guard::Amount;
use crate::lists::Lists;
use crate::run::{AttemptEnd, Counts, Ending, Plan};
use draft::Draft;
use named::{Listed, Named};
use rehearsal::{Rehearsal, RehearsalMade};

/// The attempt that may go on, or how the story ends before it.
pub(super) async fn plan(work: &mut Work<'_>, mut attempt: Attempt) -> Next<Attempt> {
    if !is_needed(work.start, &attempt).await {
        return Ok(attempt);
    }
    let RehearsalMade { report, draft, named, command } =
        match Box::pin(rehearsal::rehearse(work, &mut attempt)).await? {
            Rehearsal::Made(made) => *made,
            Rehearsal::Impossible(unrehearsed) => {
                return Box::pin(listing::plan(work, attempt, unrehearsed)).await;
            }
        };
    let follows = report.judgement.verdict;
    let nothing = report.changes.created + report.changes.updated + report.changes.deleted == 0;
    let needless = follows == Verdict::Done && nothing && attempt.unclean_since.is_none();
    if needless {
        return Err(Ending::ran(AttemptEnd { changes: Counts::default(), ..ended(report) }));
    }
    if !matches!(follows, Verdict::Done | Verdict::Partial) {
        work.command = Some(command);
        return Err(Ending::ran(failed(report)));
    }
    let planned = PlannedChanges::rehearsed(&report);
    let attempt = judged(work, attempt, &planned, draft).await?;
    work.rehearsed = rehearsed(work, &attempt, &report, &named);
    Ok(attempt)
}

/// Counts of a plan.
struct PlannedChanges {
    created: u64,
    updated: u64,
    deleted: u64,
    /// Entries that the upstream has, folders included.
    listed: u64,
    /// Set if the upstream has no files any more.
    is_upstream_empty: bool,
}

impl PlannedChanges {
    fn rehearsed(report: &AttemptReport) -> Self {
        let stats = report.stats.unwrap_or_default();
        let Changes { created, updated, deleted } = report.changes;
        let is_upstream_empty = stats.files <= stats.files_dirs && report.exit == Exit::Code(0);
        Self { created, updated, deleted, listed: stats.files, is_upstream_empty }
    }
}

/// The end of a rehearsal that failed: it has changed nothing, and says that it was one.
fn failed(report: AttemptReport) -> AttemptEnd {
    let end = ended(report);
    let reason = match end.verdict {
        Verdict::Cancelled => end.reason,
        _ => format!("the rehearsal (--dry-run) failed: {}", end.reason),
    };
    AttemptEnd { reason, changes: Counts::default(), ..end }
}

/// What is left to do, where the rehearsal has named all of it and nothing speaks for another look at the whole tree.
fn rehearsed(work: &Work<'_>, attempt: &Attempt, report: &AttemptReport, named: &Named) -> Option<Rehearsed> {
    // What failed before is not tried in the same way again, and what was cut off is looked for everywhere.
    let plain = work.start.number == 1 && attempt.unclean_since.is_none();
    let tree =
        report.stats.filter(|_| plain && report.judgement.verdict == Verdict::Done && report.all_told)?;
    let Listed { list, paths, goes } = named.list(tree.files)?;
    let lists = Lists::new(&work.shared.settings().data_dir);
    // Where it cannot be written, the whole tree is looked at.
    let list = lists.only(&work.start.project.id, &attempt.source, &list).ok()?;
    let attempt = attempt.rehearsed(list, report.changes.deleted > 0)?;
    work.journal.say(&format!("plan: {paths} paths differ, and only they are looked at now"));
    Some(Rehearsed { attempt, tree, goes })
}

/// A run that was held and could not be looked at stays held: whatever went wrong has changed nothing.
pub(super) fn still_held(start: &Start, ending: Ending) -> Ending {
    let Some(hold) = start.record.open_hold() else { return ending };
    match ending {
        Ending::Ran { end, .. } if end.verdict != Verdict::Done => {
            tracing::info!(run = %start.run, "still held; its plan could not be made again: {}", end.reason);
            Ending::Held(Box::new(Plan { at: Utc::now(), ..hold.plan.clone() }))
        }
        // Another upstream is asked first.
        Ending::Ran { .. } | Ending::Held(_) | Ending::Returns { .. } => ending,
        Ending::Unchanged { .. }
        | Ending::Skipped { .. }
        | Ending::Vetoed { .. }
        | Ending::Delayed { .. } => Ending::Held(Box::new(Plan { at: Utc::now(), ..hold.plan.clone() })),
    }
}

async fn is_needed(start: &Start, attempt: &Attempt) -> bool {
    if attempt.is_command()
        || !attempt.options.deletes()
        || attempt.options.is_narrowed()
        || start.project.guard.is_off()
    {
        return false;
    }
    let dest = attempt.tree();
    // Where that cannot be found out, rsync will say why.
    !tokio::task::spawn_blocking(move || local::is_empty(&dest)).await.unwrap_or(false)
}

async fn judged(
    work: &Work<'_>,
    mut attempt: Attempt,
    planned: &PlannedChanges,
    draft: Arc<Draft>,
) -> Next<Attempt> {
    let guard = work.start.project.guard;
    let (count, is_empty) = (planned.deleted, planned.is_upstream_empty);
    let expected = work.start.project.expected;
    if expected.is_some() {
        // Nothing beyond this plan: the source may lose more meanwhile.
        attempt.limits.max_delete = work.start.project.max_delete(&work.start.standing).max(count);
    }
    if guard.is_small(count, is_empty) {
        return Ok(attempt);
    }
    let dest = attempt.tree();
    let (deletions, tree) = measured(work, Arc::clone(&draft), dest, count).await;
    let Some(mut reason) = guard.objection(deletions, tree, is_empty) else { return Ok(attempt) };
    if let Some(expected) = expected {
        // What goes here has gone there too, as long as the source holds what it is said to.
        let Some(shortfall) = expected.shortfall(planned.listed) else { return Ok(attempt) };
        reason = format!("{reason}; {shortfall}");
    }
    let digest = draft.digest();
    if let Some(hold) = &work.start.record.hold
        && let Some(by) = hold.approved_by()
    {
        let approved = work.shared.journals.plan(hold.plan.listed_by);
        if hold.plan.digest == digest || is_part(Arc::clone(&draft), approved).await {
            work.journal.say(&format!("plan: {count} deletions, as approved by {by}"));
            attempt.limits.max_delete = count;
            return Ok(attempt);
        }
        reason = format!("the plan is not the one that {by} approved: {reason}");
    }
    work.journal.say(&format!("plan: held: {reason}"));
    let keeping = Arc::clone(&draft);
    let kept = tokio::task::spawn_blocking(move || keeping.keep()).await;
    if let Err(error) = kept.unwrap_or_else(|panic| Err(std::io::Error::other(panic))) {
        tracing::warn!(run = %work.start.run, "the list of planned deletions cannot be written: {error}");
    }
    Err(Ending::Held(Box::new(Plan {
        digest,
        at: Utc::now(),
        deletions,
        tree,
        created: planned.created,
        updated: planned.updated,
        reason,
        listed_by: work.start.run,
    })))
}

/// What would go, and what there is: by the newest statistics, or counted where nothing is known yet.
async fn measured(work: &Work<'_>, draft: Arc<Draft>, dest: PathBuf, count: u64) -> (Amount, Amount) {
    let standing = &work.start.standing;
    let known = Amount { entries: standing.files, bytes: standing.size_bytes };
    let measuring = tokio::task::spawn_blocking(move || {
        let deletions = draft.weigh(&dest);
        let tree = if known.entries == 0 { local::amount(&dest) } else { known };
        (deletions, tree)
    });
    // What cannot be measured is no small thing.
    measuring.await.unwrap_or((Amount { entries: count, bytes: u64::MAX }, Amount::default()))
}

/// Whether a plan is what is left of one that was approved.
async fn is_part(draft: Arc<Draft>, approved: PathBuf) -> bool {
    tokio::task::spawn_blocking(move || draft.is_part_of(&approved)).await.unwrap_or(false)
}
