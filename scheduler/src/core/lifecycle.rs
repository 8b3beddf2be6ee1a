//! What becomes of a run: queued, started, tried again, ended.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::Verdict;
use rand::Rng;

use super::hosts::within;
use super::upstreams::counted_failures;
use super::{Core, Effect, Start, Step, Write};
use crate::event::EventKind;
use crate::freshness::{Seen, Sighting};
use crate::project::{LastRun, ProjectId, Standing};
use crate::run::{AttemptEnd, AttemptRecord, Ending, Outcome, Run, RunId, RunState, Told, Trigger};

impl Core {
    /// Accepts a run: the project's active one, or the one that waits behind it.
    pub(crate) fn create_run(
        &mut self,
        now: DateTime<Utc>,
        id: &ProjectId,
        trigger: Trigger,
        requested_by: Option<String>,
        scheduled: Option<DateTime<Utc>>,
        step: &mut Step,
    ) -> RunId {
        let run = Run { requested_by, scheduled, ..self.new_run(now, id, trigger) };
        let run_id = run.id;
        self.accept(now, run, step);
        run_id
    }

    fn new_run(&mut self, now: DateTime<Utc>, id: &ProjectId, trigger: Trigger) -> Run {
        Run {
            id: self.new_id(now),
            project: id.clone(),
            trigger,
            requested_by: None,
            scheduled: None,
            queued: now,
            state: RunState::Queued,
            cancelled_by: None,
            began: None,
            attempts: Vec::new(),
            decisions: Vec::new(),
            delays: 0,
            hold: None,
        }
    }

    fn accept(&mut self, now: DateTime<Utc>, run: Run, step: &mut Step) {
        let stored = Arc::new(run.clone());
        self.adopt(now, run);
        step.writes.push(Write::Run(Arc::clone(&stored)));
        step.touched.insert(stored.project.clone());
        step.effects.push(Effect::Publish(stored.project.clone(), EventKind::RunQueued(stored)));
    }

    /// Takes a run that has not ended under the clockwork's care.
    pub(crate) fn adopt(&mut self, now: DateTime<Utc>, run: Run) {
        self.newest = self.newest.max(Some(run.id));
        let departing = self.departing.contains_key(&run.id);
        let mut waits = None;
        if let Some(entry) = self.entries.get_mut(&run.project).filter(|_| !departing) {
            if let Some(attempt) = run.attempts.last() {
                self.queue.note_start(entry.project.source.host(), attempt.started);
            }
            if entry.active.is_none() {
                entry.active = Some(run.id);
                match &run.state {
                    RunState::BackingOff { until, .. } => self.retries.set(&run.id, Some(*until)),
                    RunState::Held => {}
                    _ => waits = Some(run.queued.min(now)),
                }
            } else if run.state == RunState::Running {
                // No project has two runs that are going: the other one is of a removed project of this name.
                entry.active = Some(run.id);
                waits = Some(run.queued.min(now));
            } else {
                entry.waiting = Some(run.id);
            }
        }
        let id = run.id;
        self.runs.insert(id, run);
        if let Some(since) = waits {
            self.enqueue(now, id, since);
        }
    }

    /// Ends the wait of a run that backs off, or is held.
    pub(super) fn requeue(&mut self, now: DateTime<Utc>, id: RunId, step: &mut Step) {
        self.retries.set(&id, None);
        let Some(run) = self.runs.get_mut(&id) else { return };
        run.state = RunState::Queued;
        let project = run.project.clone();
        step.writes.push(Write::Run(Arc::new(run.clone())));
        self.enqueue(now, id, now);
        self.reschedule_pause(now, &project);
        step.touched.insert(project);
    }

    /// Gives a waiting run its place again after its project's priority, upstream or labels changed.
    pub(super) fn reorder(&mut self, now: DateTime<Utc>, id: &ProjectId) {
        let Some(entry) = self.entries.get(id) else { return };
        let Some(run) = entry.active.and_then(|run| self.runs.get(&run)) else { return };
        if run.state == RunState::Queued {
            let (run, since) = (run.id, run.queued.min(now));
            self.queue.remove(run);
            self.enqueue(now, run, since);
        }
    }

    pub(super) fn start(&mut self, now: DateTime<Utc>, id: RunId, step: &mut Step) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Some(entry) = self.entries.get(&run.project) else { return };
        let limits = within(&self.tool.limits, self.queue.bandwidth(id));
        let upstream = self.queue.upstream(id);
        let attempt = entry.project.attempt(upstream, &entry.standing, &limits, &self.tool.commands);
        let command = attempt.shown(&self.tool.program);
        let first = run.attempts.is_empty();
        run.attempts.push(AttemptRecord {
            started: now,
            command,
            upstream: attempt.source.to_string(),
            end: None,
        });
        run.began.get_or_insert(now);
        run.state = RunState::Running;
        let run = Arc::new(run.clone());
        let start = Start {
            run: id,
            number: run.attempts.len(),
            project: Arc::clone(&entry.project),
            attempt,
            relocation: entry.standing.moving.clone(),
            record: Arc::clone(&run),
            ask_again: if first { Self::to_ask_again(entry, upstream) } else { Vec::new() },
            standing: entry.standing.clone(),
        };
        step.touched.insert(run.project.clone());
        step.writes.push(Write::Run(Arc::clone(&run)));
        step.effects.push(Effect::Start(Box::new(start)));
        step.effects.push(Effect::Publish(run.project.clone(), EventKind::RunStarted(run)));
    }

    pub(super) fn attempt_ended(&mut self, now: DateTime<Utc>, id: RunId, told: Told, step: &mut Step) {
        let Told { ending, decisions, clean, seen, sighted, rehearsal, withheld, command, tree } = told;
        self.hear_of_host(now, id, &ending);
        self.queue.finish(id);
        self.departing.remove(&id);
        let Some(run) = self.runs.get_mut(&id) else { return };
        run.note(decisions);
        if let (Some(command), Some(attempt)) = (command, run.attempts.last_mut()) {
            attempt.command = command;
        }
        let project = run.project.clone();
        self.note_sighting(&project, sighted, step);
        self.note_rehearsal(&project, rehearsal, step);
        self.note_tree(id, tree, &ending, step);
        let Some(run) = self.runs.get_mut(&id) else { return };
        // Every attempt makes a move that is left; that it was made is noted like that of any other.
        let moving = self.entries.get(&run.project).and_then(|entry| entry.standing.moving.clone());
        step.effects.extend(moving.map(|relocation| Effect::Move(run.project.clone(), relocation)));
        if !clean {
            self.note_unclean(id);
        }
        match ending {
            Ending::Ran { end, again_after } => {
                self.healed(now, id, step);
                // A tree that still holds what is gone upstream is looked at again.
                let seen = if withheld.is_some() { None } else { seen };
                self.note_seen(id, end.verdict, seen);
                self.rsync_ended(now, id, &end, again_after, withheld, step);
            }
            other => self.no_rsync(now, id, other, step),
        }
    }

    /// What follows when an rsync ended, or could not be started.
    fn rsync_ended(
        &mut self,
        now: DateTime<Utc>,
        id: RunId,
        end: &AttemptEnd,
        again_after: Option<Duration>,
        withheld: Option<String>,
        step: &mut Step,
    ) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let (verdict, reason, class) = (end.verdict, end.reason.clone(), end.class.clone());
        let Some(attempt) = run.attempts.last_mut() else { return };
        attempt.end = Some(end.clone());
        let by = run.cancelled_by.clone();
        let failed = counted_failures(run);
        let project = run.project.clone();
        let elsewhere = self.note_upstream(now, id, end);
        self.note_class(now, &project, &class, step);
        match (verdict, by) {
            (Verdict::Done, _) => self.end(now, id, Outcome::Succeeded, withheld, step),
            (Verdict::Partial, _) => {
                let reason = withheld.map_or(reason.clone(), |why| format!("{reason}; {why}"));
                self.end(now, id, Outcome::Partial, Some(reason), step);
            }
            (_, Some(by)) => self.end(now, id, Outcome::Cancelled, Some(format!("cancelled by {by}")), step),
            _ if self.stopping => self.interrupt(now, id, "the server was stopped", step),
            _ if elsewhere => self.try_elsewhere(now, id, step),
            (Verdict::RetrySoon | Verdict::RetryLater, None) => {
                let jitter = self.random.random();
                let policy = self.entries.get(&project).map(|entry| entry.project.retry);
                match policy.and_then(|policy| policy.delay(failed, verdict, jitter)) {
                    Some(delay) => self.back_off(now, id, again_after.unwrap_or(delay), reason, step),
                    None => self.end(now, id, Outcome::Failed, Some(reason), step),
                }
            }
            (Verdict::ConfigError | Verdict::GiveUp | Verdict::Cancelled, None) => {
                self.end(now, id, Outcome::Failed, Some(reason), step);
            }
        }
    }

    /// Whether an upstream stands still or goes back is told once, and once more when that is over.
    fn note_sighting(&mut self, id: &ProjectId, sighted: Option<Seen>, step: &mut Step) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let before = entry.standing.sighting.as_ref();
        let target = entry.project.freshness.target;
        let Some(now) = sighted.and_then(|seen| Sighting::after(before, &seen, target)) else { return };
        let course = before.map(|before| before.course).unwrap_or_default();
        entry.standing.sighting = Some(now.clone());
        step.store_standing(id.clone(), entry.standing.clone());
        step.touched.insert(id.clone());
        if now.course != course {
            let told = EventKind::UpstreamCourse(now.course, now.in_words(target));
            step.effects.push(Effect::Publish(id.clone(), told));
        }
    }

    /// A good rsync has brought at least what the marker stood for when it was read.
    fn note_seen(&mut self, id: RunId, verdict: Verdict, seen: Option<Seen>) {
        let Some(run) = self.runs.get(&id).filter(|_| verdict == Verdict::Done) else { return };
        let owner = |entry: &&mut super::Entry| entry.active == Some(id);
        if let Some(entry) = self.entries.get_mut(&run.project).filter(owner) {
            entry.standing.seen = seen;
        }
    }

    /// What follows when it did not come to an rsync: that is no attempt.
    fn no_rsync(&mut self, now: DateTime<Utc>, id: RunId, ending: Ending, step: &mut Step) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        run.attempts.pop();
        match (ending, run.cancelled_by.clone()) {
            (Ending::Unchanged { reason }, _) => {
                self.end(now, id, Outcome::Unchanged, Some(reason), step);
            }
            (_, Some(by)) => self.end(now, id, Outcome::Cancelled, Some(format!("cancelled by {by}")), step),
            (Ending::Returns { .. }, None) if self.stopping => {
                self.interrupt(now, id, "the server was stopped", step);
            }
            (Ending::Returns { upstream }, None) => self.upstream_is_back(now, id, &upstream, step),
            (Ending::Skipped { reason }, None) => self.end(now, id, Outcome::Skipped, Some(reason), step),
            (Ending::Delayed { wait, reason }, None) => {
                run.delays += 1;
                self.back_off(now, id, wait, reason, step);
            }
            (Ending::Vetoed { reason }, None) => self.end(now, id, Outcome::Failed, Some(reason), step),
            (Ending::Held(plan), None) => self.hold(now, id, *plan, step),
            // It is another's.
            (Ending::Ran { .. }, None) => {}
        }
    }

    /// Notes that the newest attempt of a run may have left temporary files behind.
    pub(crate) fn note_unclean(&mut self, id: RunId) {
        let Some(run) = self.runs.get(&id) else { return };
        let Some(started) = run.attempts.last().map(|attempt| attempt.started) else { return };
        let owner = |entry: &&mut super::Entry| entry.active == Some(id);
        if let Some(entry) = self.entries.get_mut(&run.project).filter(owner) {
            let since = entry.standing.unclean_since.map_or(started, |since| since.min(started));
            entry.standing.unclean_since = Some(since);
        }
    }

    fn back_off(&mut self, now: DateTime<Utc>, id: RunId, delay: Duration, reason: String, step: &mut Step) {
        let delay = chrono::Duration::from_std(delay).unwrap_or_else(|_| chrono::Duration::days(1));
        let Some(run) = self.runs.get_mut(&id) else { return };
        run.state = RunState::BackingOff { until: now + delay, reason };
        self.retries.set(&id, Some(now + delay));
        let run = Arc::new(run.clone());
        if let Some(entry) = self.entries.get(&run.project) {
            step.store_standing(run.project.clone(), entry.standing.clone());
        }
        step.touched.insert(run.project.clone());
        step.writes.push(Write::Run(Arc::clone(&run)));
        step.effects.push(Effect::Publish(run.project.clone(), EventKind::RunRetry(run)));
    }

    /// Ends a run that the server's own end cut off, and queues it once more for the next start.
    pub(crate) fn interrupt(&mut self, now: DateTime<Utc>, id: RunId, why: &str, step: &mut Step) {
        let Some(run) = self.runs.get(&id) else { return };
        let (project, by, hold) = (run.project.clone(), run.requested_by.clone(), run.hold.clone());
        // A run that waits behind it does the same work; a removed project has none left.
        let alone = |entry: &super::Entry| entry.active == Some(id) && entry.waiting.is_none();
        let again = self.entries.get(&project).is_some_and(alone);
        self.end(now, id, Outcome::Interrupted, Some(why.to_owned()), step);
        if again {
            // What a person approved stays approved in the run that repeats this one.
            let run = self.new_run(now, &project, Trigger::Recovery);
            self.accept(now, Run { requested_by: by, hold, ..run }, step);
        }
    }

    pub(crate) fn end_cancelled(
        &mut self,
        now: DateTime<Utc>,
        id: RunId,
        reason: String,
        step: &mut Step,
    ) -> Option<Arc<Run>> {
        self.end(now, id, Outcome::Cancelled, Some(reason), step);
        step.writes.iter().rev().find_map(|write| match write {
            Write::Run(run) if run.id == id => Some(Arc::clone(run)),
            _ => None,
        })
    }

    fn end(
        &mut self,
        now: DateTime<Utc>,
        id: RunId,
        outcome: Outcome,
        reason: Option<String>,
        step: &mut Step,
    ) {
        self.queue.remove(id);
        self.retries.set(&id, None);
        let Some(mut run) = self.runs.remove(&id) else { return };
        // A project that was removed and created again under the same name has nothing to do with this run.
        let owner = |entry: &&mut super::Entry| entry.active == Some(id) || entry.waiting == Some(id);
        let entry = self.entries.get_mut(&run.project).filter(owner);
        let (outcome, generation) = match &entry {
            Some(entry) => judge(&entry.standing, &run, outcome),
            None => (outcome, None),
        };
        run.state = RunState::Ended { at: now, outcome, reason: reason.clone(), generation };
        let run = Arc::new(run);
        step.touched.insert(run.project.clone());
        step.writes.push(Write::Run(Arc::clone(&run)));
        if let Some(entry) = entry {
            let was_active = entry.active == Some(id);
            let behind = entry.waiting.take();
            if was_active {
                entry.active = behind;
            }
            // The policy is asked anew.
            let was_planned = entry.standing.planned.take().is_some();
            if was_planned {
                // What its schedule had meanwhile was the policy's to leave out, and is not made up for.
                entry.standing.fired = entry.standing.fired.max(Some(now));
            }
            note(&mut entry.standing, &run, outcome, generation, now, reason);
            step.store_standing(run.project.clone(), entry.standing.clone());
            let next = entry.active.filter(|_| was_active).and_then(|next| self.runs.get(&next));
            if let Some((next, since)) = next.map(|next| (next.id, next.queued.min(now))) {
                self.enqueue(now, next, since);
            }
            if was_planned {
                self.reschedule(now, &run.project);
            } else {
                self.reschedule_pause(now, &run.project);
            }
            self.ask_when(now, &run, step);
        }
        step.effects.push(Effect::Publish(run.project.clone(), EventKind::RunEnded(run)));
    }

    /// Only a pause after the end moves with the end; a calendar does not.
    pub(super) fn reschedule_pause(&mut self, now: DateTime<Utc>, id: &ProjectId) {
        let pauses =
            |entry: &super::Entry| matches!(entry.project.schedule.rule, crate::schedule::Rule::Every(_));
        if self.entries.get(id).is_some_and(pauses) {
            self.reschedule(now, id);
        }
    }
}

/// What a good end is worth: a new generation when something is new since the last one, `unchanged` otherwise.
fn judge(standing: &Standing, run: &Run, outcome: Outcome) -> (Outcome, Option<u64>) {
    match outcome {
        Outcome::Succeeded if !run.all_told() || run.changes().total() + standing.unpublished > 0 => {
            (Outcome::Succeeded, Some(standing.generation + 1))
        }
        Outcome::Succeeded => (Outcome::Unchanged, None),
        other => (other, None),
    }
}

/// Writes into the standing what the end of a run says.
fn note(
    standing: &mut Standing,
    run: &Run,
    outcome: Outcome,
    generation: Option<u64>,
    now: DateTime<Utc>,
    reason: Option<String>,
) {
    standing.last_run = Some(LastRun { id: run.id, outcome, started: run.started(), ended: now, reason });
    if let Some(generation) = generation {
        standing.generation = generation;
    }
    if outcome.is_good() {
        standing.last_success = Some(now);
        standing.failures = 0;
        standing.unpublished = 0;
        standing.unclean_since = None;
        if let Some(stats) = run.stats_of_tree() {
            standing.size_bytes = stats.total_size;
            standing.files = stats.files;
            standing.counted_at = standing.generation;
        }
    } else {
        standing.unpublished += run.changes().total();
        standing.failures += u32::from(matches!(outcome, Outcome::Failed | Outcome::Partial));
    }
}
