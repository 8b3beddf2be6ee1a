//! What rsync would delete, known before anything is changed: the guard.
//!
//! The plan is a rehearsal: the same rsync with `--dry-run`. So it is right whatever options and filters the project
//! has, and where it finds no change at all, it was the run: an upstream without changes pays once. What cannot delete
//! anything is not rehearsed: no delete mode, an empty destination, a list of paths that a master has approved.
//!
//! A plan that is too large ends the attempt as held, with the list of its deletions beside the run's log. An approved
//! run goes on when it would delete exactly what was approved, or what is left of it, with `--max-delete` as its count.

mod draft;
mod local;
mod named;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use engine::{Attempt, AttemptReport, Exit, Verdict};

use super::sync::ended;
use super::{Next, Rehearsed, Work};
use crate::core::Start;
use crate::guard::Amount;
use crate::lists::Lists;
use crate::run::{Counts, Ending, Plan};
use draft::Draft;
use named::{Listed, Named};

/// The attempt that may go on, or how the story ends before it.
pub(super) async fn plan(work: &mut Work<'_>, mut attempt: Attempt) -> Next<Attempt> {
    if !is_needed(work.start, &attempt).await {
        return Ok(attempt);
    }
    let began = Instant::now();
    let rehearsal = Attempt { options: attempt.options.clone().rehearsal(), ..attempt.clone() };
    work.journal.say(&format!("plan: {}", work.shared.engine.command(&rehearsal)));
    let (draft, named) = (Arc::new(Draft::new(&work.shared.journals, work.start)), Named::default());
    let watch = draft.watched_by(&named, work.journal);
    let report = work.shared.engine.attempt(&rehearsal, &watch, work.cancel).await;
    attempt.time_limit = attempt.time_limit.map(|limit| limit.saturating_sub(began.elapsed()));
    let follows = report.judgement.verdict;
    let nothing = report.changes.created + report.changes.updated + report.changes.deleted == 0;
    let needless = follows == Verdict::Done && nothing && attempt.unclean_since.is_none();
    if needless || !matches!(follows, Verdict::Done | Verdict::Partial) {
        let mut end = ended(report);
        end.changes = Counts::default();
        return Err(Ending::ran(end));
    }
    let attempt = judged(work, attempt, &report, draft).await?;
    work.rehearsed = rehearsed(work, &attempt, &report, &named);
    Ok(attempt)
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
    let dest = attempt.dest.clone();
    // Where that cannot be found out, rsync will say why.
    !tokio::task::spawn_blocking(move || local::is_empty(&dest)).await.unwrap_or(false)
}

async fn judged(
    work: &Work<'_>,
    mut attempt: Attempt,
    report: &AttemptReport,
    draft: Arc<Draft>,
) -> Next<Attempt> {
    let guard = work.start.project.guard;
    let count = report.changes.deleted;
    let stats = report.stats.unwrap_or_default();
    let is_empty = stats.files <= stats.files_dirs && report.exit == Exit::Code(0);
    if guard.is_small(count, is_empty) {
        return Ok(attempt);
    }
    let dest = attempt.dest.clone();
    let (deletions, tree) = measured(work, Arc::clone(&draft), dest, count).await;
    let Some(mut reason) = guard.objection(deletions, tree, is_empty) else { return Ok(attempt) };
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
        created: report.changes.created,
        updated: report.changes.updated,
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
