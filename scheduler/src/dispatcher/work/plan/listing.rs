//! A plan without a rehearsal: the upstream's file list, read by our own client, and the
//! destination.
//!
//! The upstream applies the project's filters to the list, as it does for rsync. Where the two
//! could differ, the plan counts more deletions than rsync would make, and never fewer. Where a
//! list cannot be had at all, or not for these options, the run deletes nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use engine::protocol::{Connection, End, ListLimits, Timeouts, Totals, What};
use engine::{Attempt, Edit, ListFilters, Verdict};
use tokio::time::timeout;

use super::super::{Next, Work};
use super::compare::{UpstreamNames, walk};
use super::draft::Draft;
use super::rehearsal::Unrehearsed;
use super::{PlannedChanges, judged};
use crate::refusal::{RehearsalNews, RehearsalRefusal};
use crate::run::Ending;

/// The longest that the list is read.
const LONGEST: Duration = Duration::from_hours(1);
/// A name is kept in 16 bytes, so this is at most 160 MB.
const LIMITS: ListLimits = ListLimits { entries: 10_000_000, bytes: 4 << 30 };

/// The attempt that may go on, by the upstream's list; without deletions where there is none.
pub(super) async fn plan(
    work: &mut Work<'_>,
    mut attempt: Attempt,
    unrehearsed: Unrehearsed,
) -> Next<Attempt> {
    let began = Instant::now();
    let Unrehearsed { why, is_refused_now, connection } = unrehearsed;
    work.journal.say(&format!("plan: {why}; it is made from the upstream's file list"));

    let connection = match connection {
        Some(connection) => Ok(connection),
        None => connect(work, &attempt).await?,
    };
    if is_refused_now {
        let greeting = connection.as_ref().ok().map(|connection| connection.greeting().as_line());
        let refusal = RehearsalRefusal { upstream: attempt.source.to_string(), greeting, at: Utc::now() };
        work.rehearsal = Some(RehearsalNews::Refused(refusal));
    }
    let counted = match connection {
        Ok(connection) => count(work, &attempt, connection).await?,
        Err(error) => Err(error),
    };
    attempt.time_limit = attempt.time_limit.map(|limit| limit.saturating_sub(began.elapsed()));

    match counted {
        Ok((planned, draft)) => {
            let named = planned.deleted > 0;
            let mut attempt = judged(work, attempt, &planned, draft).await?;
            if !named {
                // What the upstream loses from now on waits for the next plan.
                delete_nothing(&mut attempt)?;
            }
            Ok(attempt)
        }
        Err(error) => withhold(work, attempt, &format!("{why}, and {error}")),
    }
}

/// A connection to the upstream of an attempt; the error is the second half of a sentence.
pub(super) async fn connect(work: &Work<'_>, attempt: &Attempt) -> Next<Result<Connection, String>> {
    let timeouts = timeouts(attempt);
    let opened = work.unless_cancelled(Connection::open(&attempt.source, &timeouts)).await?;
    Ok(opened.map_err(|error| format!("its file list cannot be asked for ({error})")))
}

fn timeouts(attempt: &Attempt) -> Timeouts {
    let list = attempt.time_limit.map_or(LONGEST, |limit| limit.min(LONGEST));
    Timeouts { silence: attempt.limits.io_timeout, list, ..Timeouts::default() }
}

/// Counts what the destination has and the list has not.
async fn count(
    work: &Work<'_>,
    attempt: &Attempt,
    connection: Connection,
) -> Next<Result<(PlannedChanges, Arc<Draft>), String>> {
    let filters = match attempt.list_filters() {
        Ok(filters) => filters,
        Err(option) => {
            return Ok(Err(format!("a file list does not show what rsync would delete with {option}")));
        }
    };
    let reading = timeout(timeouts(attempt).list, read(attempt, connection, &filters));
    let (names, totals) = match work.unless_cancelled(reading).await? {
        Ok(Ok(listed)) => listed,
        Ok(Err(why)) => return Ok(Err(format!("its file list cannot be read ({why})"))),
        Err(_) => return Ok(Err("its file list takes too long".to_owned())),
    };

    let draft = Arc::new(Draft::new(&work.shared.journals, work.start));
    let (into, dest) = (Arc::clone(&draft), attempt.tree());
    let walking = move || walk(&dest, &filters, &names, |path, is_folder| into.add_path(path, is_folder));
    let kept = match tokio::task::spawn_blocking(walking).await {
        Ok(Ok(kept)) => kept,
        Ok(Err(error)) => return Ok(Err(format!("the destination cannot be read ({error})"))),
        Err(panic) => return Ok(Err(format!("the destination cannot be read ({panic})"))),
    };
    let planned = PlannedChanges {
        created: totals.entries().saturating_sub(kept),
        // A list does not show them.
        updated: 0,
        deleted: draft.count(),
        listed: totals.entries(),
        is_upstream_empty: totals.entries() == totals.folders,
    };
    work.journal.say(&format!(
        "plan: the upstream lists {} entries; {} of the destination would be deleted",
        totals.entries(),
        planned.deleted
    ));
    Ok(Ok((planned, draft)))
}

/// Reads the whole list, after the filters.
async fn read(
    attempt: &Attempt,
    connection: Connection,
    filters: &ListFilters,
) -> Result<(UpstreamNames, Totals), String> {
    let session = connection.enter(&attempt.source, attempt.password.as_ref()).await;
    let session = session.map_err(|error| error.to_string())?.with_filters(filters);
    let mut files = session.list(What::Tree, &LIMITS).await.map_err(|error| error.to_string())?;

    let mut names = UpstreamNames::default();
    while let Some(entry) = files.next().await.map_err(|error| error.to_string())? {
        names.add(&entry);
    }
    let totals = files.totals();
    match files.finish().await {
        End::Complete(errors) if errors.unreadable() => {
            Err("the upstream cannot read all of its tree".to_owned())
        }
        End::Complete(_) => Ok((names.sorted(), totals)),
        End::MoreEntries | End::MoreBytes => Err("it is too long".to_owned()),
    }
}

/// Takes the deletions from an attempt, and notes the reason for people. A run that is held stays
/// so: its plan is what a person was shown.
fn withhold(work: &mut Work<'_>, mut attempt: Attempt, why: &str) -> Next<Attempt> {
    let project = &work.start.project.id;
    let reason = format!(
        "nothing was deleted, since no plan could be made: {why}; `heliostat sync {project} --whole` tries the \
         rehearsal again"
    );
    work.journal.say(&format!("plan: {reason}"));
    if work.start.record.open_hold().is_some() {
        return Err(Ending::not_started("incomplete", Verdict::RetrySoon, reason));
    }
    tracing::warn!(run = %work.start.run, %project, "{reason}");
    delete_nothing(&mut attempt)?;
    work.withheld = Some(reason);
    Ok(attempt)
}

fn delete_nothing(attempt: &mut Attempt) -> Next<()> {
    let refused = |error: engine::EditError| {
        Ending::not_started("config", Verdict::ConfigError, format!("deletions cannot be left out: {error}"))
    };
    attempt.edit(&[Edit::NoDelete]).map_err(refused)
}
