//! Between our types and those of version 0.1. What comes from a guest is bounded here.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::Edit;
use engine::text::clipped;
use scheduler::hooks::{self, Decision, Verdict};

use super::bindings::exports::heliostat::plugin::policy as wit_policy;
use super::bindings::heliostat::plugin::types as wit;
use crate::guest::{Refusal, Said};
use crate::policy::{Candidate, Finished, News, Past, View};

/// The longest reason, in bytes.
const REASON: usize = 1024;
/// The most edits of one vote.
const EDITS: usize = 256;
/// The most of standard error that a hook is told.
const STDERR: usize = 8 * 1024;

pub(super) fn context(context: &hooks::RunContext) -> wit::RunContext {
    wit::RunContext {
        run_id: context.run.to_string(),
        attempt: u32::try_from(context.attempt).unwrap_or(u32::MAX),
        trigger: trigger(context.trigger.as_str()),
        now_ms: millis(context.now),
        utc_offset_minutes: context.utc_offset_minutes,
        queued_at_ms: millis(context.queued),
        scheduled_at_ms: context.scheduled.map(millis),
        last_success_ms: context.last_success.map(millis),
        consecutive_failures: context.failures,
        delays: context.delays,
        upstream_marker_ms: context.upstream_marker.map(millis),
        local_marker_ms: context.local_marker.map(millis),
        project: project(&context.project),
        rsync_args: context.rsync_args.clone(),
        recent: context.recent.iter().map(|run| past_run(&Past::from(run))).collect(),
        extra: Vec::new(),
    }
}

fn project(project: &hooks::ProjectFacts) -> wit::Project {
    wit::Project {
        id: project.id.to_string(),
        name: project.name.clone(),
        source: project.source.clone(),
        host: project.host.clone(),
        dest: project.dest.display().to_string(),
        labels: labels(&project.labels),
        generation: project.generation,
        size_bytes: project.size_bytes,
        files: project.files,
        freshness_target_ms: None,
    }
}

pub(super) fn outcome(outcome: &hooks::RunOutcome) -> wit::RunOutcome {
    let tail = outcome.stderr_tail.join("\n");
    let from = tail.ceil_char_boundary(tail.len().saturating_sub(STDERR));
    wit::RunOutcome {
        status: status(&outcome.status),
        class: outcome.class.clone(),
        reason: outcome.reason.clone(),
        started_at_ms: millis(outcome.started),
        finished_at_ms: millis(outcome.finished),
        stats: outcome.stats.as_ref().map(stats),
        changes: wit::Changes {
            created: outcome.changes.created,
            updated: outcome.changes.updated,
            deleted: outcome.changes.deleted,
        },
        stderr_tail: tail[from..].to_owned(),
        will_retry: outcome.will_retry,
        previous: outcome.previous.as_ref().map(status),
        extra: Vec::new(),
    }
}

fn stats(stats: &engine::Stats) -> wit::Stats {
    wit::Stats {
        files: stats.files,
        files_created: stats.created,
        files_deleted: stats.deleted,
        files_transferred: stats.transferred,
        bytes_total: stats.total_size,
        bytes_transferred: stats.transferred_size,
        bytes_literal: stats.literal,
        bytes_matched: stats.matched,
        bytes_sent: stats.sent,
        bytes_received: stats.received,
    }
}

pub(super) fn view(view: &View) -> wit_policy::View {
    wit_policy::View {
        now_ms: view.now_ms,
        free_slots: view.free_slots,
        running: view.running.clone(),
        queue: view.queue.iter().map(candidate).collect(),
    }
}

fn candidate(candidate: &Candidate) -> wit_policy::Candidate {
    wit_policy::Candidate {
        project: candidate.project.clone(),
        host: candidate.host.clone(),
        labels: labels(&candidate.labels),
        trigger: trigger(&candidate.trigger),
        queued_at_ms: candidate.queued_at_ms,
        due_at_ms: candidate.due_at_ms,
        last_duration_ms: candidate.last_duration_ms,
        last_success_ms: candidate.last_success_ms,
        consecutive_failures: candidate.consecutive_failures,
        priority: candidate.priority,
        utc_offset_minutes: candidate.utc_offset_minutes,
    }
}

pub(super) fn finished(run: &Finished) -> wit_policy::Finished {
    let news = |news: &News| wit_policy::News {
        unseen_ms: news.unseen_ms,
        found_ms: news.found_ms,
        changes: news.changes,
    };
    wit_policy::Finished {
        project: run.project.clone(),
        now_ms: run.now_ms,
        utc_offset_minutes: run.utc_offset_minutes,
        status: status(&run.status),
        duration_ms: run.duration_ms,
        consecutive_failures: run.consecutive_failures,
        default_delay_ms: run.default_delay_ms,
        min_delay_ms: run.min_delay_ms,
        max_delay_ms: run.max_delay_ms,
        last_new_ms: run.last_new_ms,
        recent: run.recent.iter().map(past_run).collect(),
        news: run.news.iter().map(news).collect(),
    }
}

fn past_run(run: &Past) -> wit::PastRun {
    wit::PastRun {
        started_at_ms: run.started_at_ms,
        ended_at_ms: run.ended_at_ms,
        trigger: trigger(&run.trigger),
        status: status(&run.status),
        found_new: run.found_new,
        changes: run.changes,
        bytes_received: run.bytes_received,
    }
}

fn status(status: &hooks::Status) -> wit::Status {
    use hooks::Status;
    match status {
        Status::Succeeded => wit::Status::Succeeded,
        Status::Unchanged => wit::Status::Unchanged,
        Status::Partial(code) => wit::Status::Partial(*code),
        Status::Failed(code) => wit::Status::Failed(*code),
        Status::Signalled(signal) => wit::Status::Signalled(*signal),
        Status::TimedOut => wit::Status::TimedOut,
        Status::Stalled => wit::Status::Stalled,
        Status::Cancelled => wit::Status::Cancelled,
        Status::Interrupted => wit::Status::Interrupted,
        Status::Held => wit::Status::Held,
        Status::Skipped => wit::Status::Skipped,
        Status::Other(word) => wit::Status::Other(word.clone()),
    }
}

/// By its name: a trigger that this version does not know is told as the usual one.
fn trigger(name: &str) -> wit::Trigger {
    match name {
        "manual" => wit::Trigger::Manual,
        "catch-up" => wit::Trigger::CatchUp,
        "recovery" => wit::Trigger::Recovery,
        "push" => wit::Trigger::Push,
        _ => wit::Trigger::Schedule,
    }
}

pub(super) fn decision(decision: wit::Decision) -> Said<Decision> {
    Ok(match decision {
        wit::Decision::Proceed => Decision::Proceed,
        wit::Decision::ProceedWith(edits) if edits.len() > EDITS => {
            return Err(Refusal::TooMuch(format!("with {} edits, and {EDITS} are the most", edits.len())));
        }
        wit::Decision::ProceedWith(edits) => Decision::ProceedWith(edits.into_iter().map(edit).collect()),
        wit::Decision::Skip(why) => Decision::Skip(reason(&why)),
        wit::Decision::Delay((wait, why)) => Decision::Delay(Duration::from_millis(wait), reason(&why)),
        wit::Decision::Veto(why) => Decision::Veto(reason(&why)),
    })
}

fn edit(edit: wit::RsyncEdit) -> Edit {
    match edit {
        wit::RsyncEdit::AddExclude(pattern) => Edit::Exclude(pattern),
        wit::RsyncEdit::AddInclude(pattern) => Edit::Include(pattern),
        wit::RsyncEdit::BwlimitKib(kib) => Edit::BwlimitKib(kib),
        wit::RsyncEdit::TimeoutSecs(seconds) => Edit::TimeoutSecs(seconds),
        wit::RsyncEdit::MaxDelete(count) => Edit::MaxDelete(count),
        wit::RsyncEdit::NoDelete => Edit::NoDelete,
        wit::RsyncEdit::DeleteAfter => Edit::DeleteAfter,
    }
}

pub(super) fn verdict(verdict: wit::Verdict) -> Verdict {
    match verdict {
        wit::Verdict::Accept => Verdict::Accept,
        wit::Verdict::Degrade(why) => Verdict::Degrade(reason(&why)),
        wit::Verdict::Reject(why) => Verdict::Reject(reason(&why)),
        wit::Verdict::RetryAfter((wait, why)) => {
            Verdict::RetryAfter(Duration::from_millis(wait), reason(&why))
        }
    }
}

pub(super) fn refusal(error: wit::HookError) -> Refusal {
    match error {
        wit::HookError::Failed(why) => Refusal::Failed(reason(&why)),
        wit::HookError::Retryable(why) => Refusal::Retryable(reason(&why)),
    }
}

/// A reason as people will read it.
pub(super) fn reason(why: &str) -> String {
    clipped(why, REASON)
}

fn labels(labels: &BTreeMap<String, String>) -> Vec<(String, String)> {
    labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn millis(time: DateTime<Utc>) -> u64 {
    u64::try_from(time.timestamp_millis()).unwrap_or_default()
}
