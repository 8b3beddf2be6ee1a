//! Asking hooks: gathering what they are told, noting what they say, and what it means together.

use std::sync::Arc;
use std::time::Duration;

use chrono::{Offset, Utc};
use engine::Verdict as Follows;
use tokio::time::timeout;

use super::{Next, Work};
use crate::hooks::{
    Decision, Hooks, PastRun, ProjectFacts, RunContext, RunOutcome, Status, Verdict, Vote, When,
};
use crate::run::{Counts, Ending, HookDecision, RunPhase};

/// How much of the past hooks are told.
const RECENT: usize = 50;
/// The longest that all judgements together are waited for.
const JUDGING: Duration = Duration::from_mins(10);

/// What hooks say before the attempt.
pub(super) async fn before(work: &mut Work<'_>) -> Next<Decision> {
    if let Some(veto) = missing(work) {
        return Ok(veto);
    }
    let Some(hooks) = concerned(work, When::PreSync) else { return Ok(Decision::Proceed) };
    let context = context(work).await;
    let votes = work.unless_cancelled(hooks.pre_sync(&context)).await?;
    work.context = Some(context);
    note(work, When::PreSync, &votes, Decision::as_str, Decision::reason);
    Ok(Decision::merged(&votes, work.start.record.delays))
}

/// What hooks say after it; none: nobody was asked, or the server ends before they have answered.
pub(super) async fn after(work: &mut Work<'_>, ending: &Ending) -> Option<Verdict> {
    let hooks = concerned(work, When::PostSync)?;
    work.enter(RunPhase::Finishing);
    let context = match work.context.take() {
        Some(context) => context,
        None => context(work).await,
    };
    let outcome = outcome(work, ending, &context);
    let judging = timeout(JUDGING, hooks.post_sync(&context, &outcome));
    let Some(Ok(votes)) = work.shared.stop.run_until_cancelled(judging).await else {
        work.journal.say("the hooks after the attempt were not waited for");
        return None;
    };
    note(work, When::PostSync, &votes, Verdict::as_str, Verdict::reason);
    Some(Verdict::merged(&votes))
}

/// A plugin that the project names and that the configuration names no more: where it must agree, nothing is done without it.
fn missing(work: &Work<'_>) -> Option<Decision> {
    let hooks = work.shared.settings().hooks;
    let unknown = |plugin: &str| !hooks.as_ref().is_some_and(|hooks| hooks.knows(plugin));
    let mut veto = None;
    for hook in work.start.project.hooks.iter().filter(|hook| unknown(&hook.plugin)) {
        let why =
            format!("the configuration has no plugin {} any more, which this project names", hook.plugin);
        work.journal.say(&why);
        if hook.closed == Some(true) {
            veto.get_or_insert(Decision::Veto(format!("{why}, and which must agree")));
        }
    }
    veto
}

fn concerned(work: &Work<'_>, when: When) -> Option<Arc<dyn Hooks>> {
    work.shared.settings().hooks.filter(|hooks| hooks.concerns(&work.start.project, when))
}

/// Keeps what was said, in the record and in the log.
fn note<T>(
    work: &mut Work<'_>,
    when: When,
    votes: &[Vote<T>],
    word: impl Fn(&T) -> &'static str,
    reason: impl Fn(&T) -> Option<&str>,
) {
    for vote in votes {
        let reason = vote.failure.as_deref().or_else(|| reason(&vote.word)).map(str::to_owned);
        let said = HookDecision {
            plugin: vote.plugin.clone(),
            when,
            attempt: work.start.number,
            at: Utc::now(),
            decision: word(&vote.word).to_owned(),
            reason,
            took: vote.took,
        };
        let because = said.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let took = said.took.as_secs_f64();
        work.journal.say(&format!(
            "{} by {}: {}{because} ({took:.3} s)",
            said.when.as_str(),
            said.plugin,
            said.decision
        ));
        work.decisions.push(said);
    }
}

async fn context(work: &Work<'_>) -> RunContext {
    let start = work.start;
    let (project, standing, record) = (&start.project, &start.standing, &start.record);
    let now = Utc::now();
    let arguments = start.attempt.arguments();
    RunContext {
        run: start.run,
        attempt: start.number,
        trigger: record.trigger,
        now,
        utc_offset_minutes: now.with_timezone(&project.schedule.timezone).offset().fix().local_minus_utc()
            / 60,
        queued: record.queued,
        scheduled: record.scheduled,
        last_success: standing.last_success,
        failures: standing.failures,
        delays: record.delays,
        upstream_marker: work
            .seen
            .as_ref()
            .and_then(|seen| seen.marker.as_ref())
            .map(|marker| marker.modified),
        local_marker: standing
            .seen
            .as_ref()
            .and_then(|seen| seen.marker.as_ref())
            .map(|marker| marker.modified),
        project: ProjectFacts::new(project, standing),
        rsync_args: arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect(),
        recent: recent(work).await,
    }
}

/// The newest runs before this one; none, when they cannot be read.
async fn recent(work: &Work<'_>) -> Vec<PastRun> {
    let (store, project, run) = (work.shared.store.clone(), work.start.project.id.clone(), work.start.run);
    let read = tokio::task::spawn_blocking(move || store.runs(Some(&project), Some(run), RECENT)).await;
    match read {
        Ok(Ok(runs)) => runs.iter().filter_map(PastRun::of).collect(),
        Ok(Err(error)) => {
            tracing::warn!("hooks are told nothing of the past: {error}");
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}

fn outcome(work: &Work<'_>, ending: &Ending, context: &RunContext) -> RunOutcome {
    let (class, reason) = ending.in_words();
    let ran = match ending {
        Ending::Ran { end, .. } => Some(end),
        _ => None,
    };
    let status = match ending {
        Ending::Ran { end, .. } => Status::of_attempt(end),
        Ending::Unchanged { .. } => Status::Unchanged,
        Ending::Skipped { .. } | Ending::Delayed { .. } | Ending::Returns { .. } => Status::Skipped,
        Ending::Held(_) => Status::Held,
        Ending::Vetoed { .. } => Status::Other("vetoed".to_owned()),
    };
    RunOutcome {
        status,
        class: class.to_owned(),
        reason: reason.to_owned(),
        started: work.start.record.attempts.last().map_or(context.now, |attempt| attempt.started),
        finished: Utc::now(),
        stats: ran.and_then(|end| end.stats),
        changes: ran.map_or_else(Counts::default, |end| end.changes),
        stderr_tail: ran.map(|end| end.stderr.clone()).unwrap_or_default(),
        will_retry: ran.is_some_and(|end| will_retry(work, end.verdict)),
        previous: context.recent.first().map(|past| past.status.clone()),
    }
}

fn will_retry(work: &Work<'_>, follows: Follows) -> bool {
    let failed = work.start.record.failed_attempts() + 1;
    work.start.project.retry.delay(failed, follows, 0.5).is_some()
}
