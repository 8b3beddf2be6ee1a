//! The rehearsal before a run: the same rsync with `--dry-run`, where the upstream bears one.

use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use engine::protocol::Connection;
use engine::{Attempt, AttemptReport, Verdict};

use super::super::{Next, Work};
use super::draft::Draft;
use super::listing;
use super::named::Named;
use crate::refusal::{RehearsalNews, RehearsalRefusal};

/// Result of a rehearsal.
pub(super) enum Rehearsal {
    /// It ended, well or not.
    Made(Box<RehearsalMade>),
    /// The upstream does not bear one.
    Impossible(Unrehearsed),
}

/// A rehearsal that ended.
pub(super) struct RehearsalMade {
    pub(super) report: AttemptReport,
    pub(super) draft: Arc<Draft>,
    pub(super) named: Named,
    /// The command line, as a person would type it.
    pub(super) command: String,
}

/// Reason for a plan without a rehearsal.
pub(super) struct Unrehearsed {
    /// The reason, in the middle of a sentence.
    pub(super) why: String,
    /// Set if the upstream refused just now, which is to be remembered.
    pub(super) is_refused_now: bool,
    /// A connection that was opened on the way, for the list that follows.
    pub(super) connection: Option<Connection>,
}

/// Rehearses what an attempt would do. A connection can break by chance, so there is a second try.
pub(super) async fn rehearse(work: &mut Work<'_>, attempt: &mut Attempt) -> Next<Rehearsal> {
    if let Some(unrehearsed) = remembered(work, attempt).await? {
        return Ok(Rehearsal::Impossible(unrehearsed));
    }
    let first = once(work, attempt).await;
    let made = if first.report.is_broken_off() && !work.cancel.is_cancelled() {
        work.journal
            .say(&format!("plan: {}; the rehearsal is made once more", first.report.judgement.reason));
        once(work, attempt).await
    } else {
        first
    };

    let report = &made.report;
    if report.judgement.verdict != Verdict::Done && report.is_rehearsal_refused() {
        let why = "the upstream refuses --dry-run".to_owned();
        return Ok(Rehearsal::Impossible(Unrehearsed { why, is_refused_now: true, connection: None }));
    }
    if report.is_broken_off() && !work.cancel.is_cancelled() {
        let why = format!("the rehearsal (--dry-run) broke off twice ({})", report.judgement.reason);
        return Ok(Rehearsal::Impossible(Unrehearsed { why, is_refused_now: false, connection: None }));
    }
    if matches!(report.judgement.verdict, Verdict::Done | Verdict::Partial) {
        work.rehearsal = Some(RehearsalNews::Accepted(attempt.source.to_string()));
    }
    Ok(Rehearsal::Made(Box::new(made)))
}

/// Looks up a refusal of this upstream that still counts: it is recent, and the daemon is the same.
async fn remembered(work: &Work<'_>, attempt: &Attempt) -> Next<Option<Unrehearsed>> {
    let upstream = attempt.source.to_string();
    let Some(refusal) = work.start.standing.refusal(&upstream, Utc::now()) else { return Ok(None) };

    let connection = listing::connect(work, attempt).await?.ok();
    let greeting = connection.as_ref().map(|connection| connection.greeting().as_line());
    if !refusal.is_same_daemon(greeting.as_deref()) {
        work.journal
            .say("plan: the upstream greets otherwise than when it refused --dry-run; it is asked again");
        return Ok(None);
    }
    let why = refused_before(refusal);
    Ok(Some(Unrehearsed { why, is_refused_now: false, connection }))
}

fn refused_before(refusal: &RehearsalRefusal) -> String {
    format!("the upstream refused --dry-run on {}", refusal.at.format("%Y-%m-%d"))
}

/// One rehearsal; its time is taken from the attempt's.
async fn once(work: &Work<'_>, attempt: &mut Attempt) -> RehearsalMade {
    let began = Instant::now();
    let rehearsal = Attempt { options: attempt.options.clone().rehearsal(), ..attempt.clone() };
    let command = work.shared.engine.command(&rehearsal);
    work.journal.say(&format!("plan: {command}"));

    let (draft, named) = (Arc::new(Draft::new(&work.shared.journals, work.start)), Named::default());
    let watch = draft.watched_by(&named, work.journal);
    let report = work.shared.engine.attempt(&rehearsal, &watch, work.cancel).await;
    attempt.time_limit = attempt.time_limit.map(|limit| limit.saturating_sub(began.elapsed()));
    RehearsalMade { report, draft, named, command }
}
