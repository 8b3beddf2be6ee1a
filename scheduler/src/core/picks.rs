//! Which waiting runs start: in the built-in order, or in the one that a policy gives.
//!
//! A policy is asked once for all that could start, and again when something has changed, or after a minute: it may have
//! left some out. Meanwhile nothing else starts, but only for so long ([`ANSWER`]); and a run that the bounds let through
//! and that has waited for an hour ([`PATIENCE`]) starts whatever anybody says. So a policy can neither hold up
//! the queue nor let a run starve.

use chrono::{DateTime, Offset, TimeDelta, Utc};

use super::{Core, Effect, Entry, Plan, Question, Step};
use crate::policy::{Candidate, Finished, Suggestion, View, millis};
use crate::project::{Planned, Project, ProjectId};
use crate::run::{Outcome, Run, RunId, RunState};
use crate::schedule::Rule;

/// The longest that the queue waits for an answer.
const ANSWER: TimeDelta = TimeDelta::seconds(10);
/// The longest that a run waits which could start.
const PATIENCE: TimeDelta = TimeDelta::hours(1);
/// How soon a policy that left somebody out is asked again, if nothing else happens.
const AGAIN: TimeDelta = TimeDelta::minutes(1);

/// What was asked, and answered.
#[derive(Debug, Default)]
pub(super) struct Picks {
    on: bool,
    number: u64,
    /// Since when an answer is waited for.
    asked: Option<DateTime<Utc>>,
    answer: Option<Answer>,
    /// Something has changed since the last question.
    changed: bool,
    /// When to ask again although nothing has.
    again: Option<DateTime<Utc>>,
}

#[derive(Debug)]
enum Answer {
    Picked(Vec<RunId>),
    /// Nobody could say.
    BuiltIn,
}

impl Picks {
    pub(super) fn asking(on: bool) -> Self {
        // What waited before this clockwork was made is to be asked about.
        Self { on, changed: true, ..Self::default() }
    }

    pub(super) fn are_asked(&self) -> bool {
        self.on
    }

    /// Takes an answer; one to an older question is none.
    pub(super) fn hear(&mut self, number: u64, answer: Option<Vec<RunId>>) {
        if self.asked.is_some() && number == self.number {
            self.asked = None;
            self.answer = Some(answer.map_or(Answer::BuiltIn, Answer::Picked));
        }
    }

    pub(super) fn changed(&mut self) {
        self.changed = true;
    }

    pub(super) fn next_wake(&self) -> Option<DateTime<Utc>> {
        self.asked.map(|asked| asked + ANSWER).or(self.again)
    }

    /// The answer that has come, or that nobody waits for any more.
    fn take(&mut self, now: DateTime<Utc>) -> Option<Answer> {
        // A clock that went back must not make the wait longer.
        if self.asked.is_some_and(|asked| now - asked >= ANSWER || asked > now) {
            self.asked = None;
            return Some(Answer::BuiltIn);
        }
        self.answer.take()
    }

    /// Whether it is time for a question.
    fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.asked.is_none()
            && (self.changed || self.again.is_some_and(|again| again <= now || again - now > AGAIN))
    }
}

impl Core {
    /// Starts what the bounds let through, in the order that counts.
    pub(super) fn start_what_may(&mut self, now: DateTime<Utc>, step: &mut Step) {
        if !self.picks.on {
            while let Some(run) = self.queue.start_next(now) {
                self.start(now, run, step);
            }
            return;
        }
        if self.queue.reopen(now) {
            self.picks.changed();
        }
        for (run, since) in self.queue.startable(usize::MAX, now) {
            if since <= now - PATIENCE && self.queue.start_this(run, now) {
                self.start(now, run, step);
            }
        }
        match self.picks.take(now) {
            Some(Answer::Picked(runs)) => {
                for run in runs {
                    if self.queue.start_this(run, now) {
                        self.start(now, run, step);
                    }
                }
            }
            Some(Answer::BuiltIn) => {
                while let Some(run) = self.queue.start_next(now) {
                    self.start(now, run, step);
                }
            }
            None => {}
        }
        if self.picks.is_due(now) {
            self.ask_which(now, step);
        }
    }

    fn ask_which(&mut self, now: DateTime<Utc>, step: &mut Step) {
        self.picks.changed = false;
        self.picks.again = None;
        let runs = self.queue.startable(View::MAX, now);
        if runs.is_empty() {
            return;
        }
        // They wait for another reason now.
        step.touched
            .extend(runs.iter().filter_map(|(run, _)| self.runs.get(run)).map(|run| run.project.clone()));
        let known = runs.iter().filter_map(|(run, due)| {
            let run = self.runs.get(run)?;
            let entry = self.entries.get(&run.project)?;
            Some((run, candidate(run, entry, *due, now), entry))
        });
        let mut question = Question {
            view: View {
                now_ms: millis(now),
                free_slots: self.queue.free(),
                running: self
                    .runs
                    .values()
                    .filter(|run| run.state == RunState::Running)
                    .map(|run| run.project.to_string())
                    .collect(),
                queue: Vec::new(),
            },
            runs: Vec::new(),
            projects: Vec::new(),
        };
        for (run, candidate, entry) in known {
            question.view.queue.push(candidate);
            question.runs.push(run.id);
            question.projects.push(std::sync::Arc::clone(&entry.project));
        }
        self.picks.number += 1;
        self.picks.asked = Some(now);
        self.picks.again = Some(now + AGAIN);
        step.effects.push(Effect::Pick(self.picks.number, Box::new(question)));
    }

    /// Has the policy asked when a project is due again, once one of its runs has ended.
    pub(super) fn ask_when(&self, now: DateTime<Utc>, run: &Run, step: &mut Step) {
        let Some(entry) = self.entries.get(&run.project).filter(|_| self.has_policy) else { return };
        let RunState::Ended { outcome, .. } = &run.state else { return };
        let (Some(next), None) = (entry.next, entry.active) else { return };
        let Some(status) = crate::hooks::Status::of_run(run).filter(|_| *outcome != Outcome::Interrupted)
        else {
            return;
        };
        let (least, most) = Suggestion::DELAY;
        let short = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let finished = Finished {
            project: run.project.to_string(),
            now_ms: millis(now),
            utc_offset_minutes: offset(&entry.project, now),
            status,
            duration_ms: run.started().map_or(0, |started| millis(now).saturating_sub(millis(started))),
            consecutive_failures: entry.standing.failures,
            default_delay_ms: millis(next).saturating_sub(millis(now)),
            min_delay_ms: short(least),
            max_delay_ms: short(most),
            last_new_ms: None,
            recent: Vec::new(),
            news: Vec::new(),
        };
        let project = std::sync::Arc::clone(&entry.project);
        step.effects.push(Effect::Plan(Box::new(Plan { run: run.id, project, finished })));
    }

    /// Takes what a policy says of the next time, unless something has happened to the project meanwhile.
    pub(super) fn planned(
        &mut self,
        now: DateTime<Utc>,
        id: &ProjectId,
        run: RunId,
        suggestion: Suggestion,
        step: &mut Step,
    ) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let Some(last) = entry.standing.last_run.as_ref().filter(|last| last.id == run) else { return };
        if entry.active.is_some() || !entry.project.enabled || entry.project.schedule.rule == Rule::Manual {
            return;
        }
        let (least, most) = Suggestion::DELAY;
        let delay = TimeDelta::from_std(suggestion.delay.clamp(least, most)).unwrap_or(AGAIN);
        let at = last.ended.min(now) + delay;
        let at = entry.project.schedule.start.map_or(at, |start| start.max(at));
        // After a clock that went back, a time can have been decided that is still to come.
        let decided = entry.standing.fired.is_some_and(|fired| at <= fired);
        if decided || entry.project.schedule.end.is_some_and(|end| end < at) {
            return;
        }
        entry.standing.planned = Some(Planned { at, by: suggestion.by });
        step.store_standing(id.clone(), entry.standing.clone());
        step.touched.insert(id.clone());
        self.reschedule(now, id);
    }
}

fn candidate(run: &Run, entry: &Entry, due: DateTime<Utc>, now: DateTime<Utc>) -> Candidate {
    let (project, standing) = (&entry.project, &entry.standing);
    let took =
        |last: &crate::project::LastRun| Some(millis(last.ended).saturating_sub(millis(last.started?)));
    Candidate {
        project: project.id.to_string(),
        host: project.source.host().to_owned(),
        labels: project.labels.clone(),
        trigger: run.trigger.as_str().to_owned(),
        queued_at_ms: millis(run.queued),
        due_at_ms: millis(run.scheduled.unwrap_or(due)),
        last_duration_ms: standing.last_run.as_ref().and_then(took),
        last_success_ms: standing.last_success.map(millis),
        consecutive_failures: standing.failures,
        priority: project.priority,
        utc_offset_minutes: offset(project, now),
    }
}

/// Minutes east of UTC, now, in the project's time zone.
fn offset(project: &Project, now: DateTime<Utc>) -> i32 {
    now.with_timezone(&project.schedule.timezone).offset().fix().local_minus_utc() / 60
}
