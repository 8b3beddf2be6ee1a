//! Runs that the guard holds: how one comes to wait for a person, is looked at again, approved, rejected.
//!
//! A held run is live and durable, and takes none of the bounds. A schedule time, or a person who asks for a sync, has
//! it look again: what is harmless by then goes through by itself, what is the same stays held without another word.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Answer, Core, Effect, Entry, Refusal, Step, Write};
use crate::event::EventKind;
use crate::project::ProjectId;
use crate::run::{Hold, Plan, Release, RunId, RunState};

impl Core {
    /// Notes that the guard holds a run. People are told once for each plan.
    pub(super) fn hold(&mut self, now: DateTime<Utc>, id: RunId, plan: Plan, step: &mut Step) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let before = run.open_hold();
        let known = before.is_some_and(|before| before.plan.digest == plan.digest);
        let since = before.map_or(now, |before| before.since);
        run.hold = Some(Hold { since, plan, released: None });
        run.state = RunState::Held;
        let run = Arc::new(run.clone());
        step.touched.insert(run.project.clone());
        step.writes.push(Write::Run(Arc::clone(&run)));
        let project = run.project.clone();
        if !known {
            step.effects.push(Effect::Publish(project.clone(), EventKind::RunHeld(run)));
        }
        self.reschedule_pause(now, &project);
    }

    /// Notes that a run which was held goes on, if this one was: its newest plan was harmless.
    pub(super) fn healed(&mut self, now: DateTime<Utc>, id: RunId, step: &mut Step) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Some(hold) = run.hold.as_mut().filter(|hold| hold.is_open()) else { return };
        hold.released = Some(Release { at: now, by: None });
        let run = Arc::new(run.clone());
        step.effects.push(Effect::Publish(run.project.clone(), EventKind::RunReleased(run)));
    }

    /// The held run of a project.
    pub(super) fn held(&self, entry: &Entry) -> Option<RunId> {
        entry.active.filter(|run| self.runs.get(run).is_some_and(|run| run.state == RunState::Held))
    }

    /// When the held run of a project looked at its upstream last.
    pub(super) fn held_at(&self, id: &ProjectId) -> Option<DateTime<Utc>> {
        let run = self.held(self.entries.get(id)?)?;
        self.runs.get(&run)?.open_hold().map(|hold| hold.plan.at)
    }

    /// Lets exactly the plan of a held run through; `plan` says which one the person has seen.
    pub(super) fn approve(
        &mut self,
        now: DateTime<Utc>,
        id: RunId,
        by: &str,
        plan: Option<&str>,
        step: &mut Step,
    ) -> Result<Answer, Refusal> {
        let hold = self.held_run(id)?;
        if plan.is_some_and(|seen| seen != hold.plan.digest) {
            return Err(Refusal::OtherPlan(id));
        }
        hold.released = Some(Release { at: now, by: Some(by.to_owned()) });
        self.requeue(now, id, step);
        let run = self.runs.get(&id).cloned().map(Arc::new).ok_or(Refusal::NoRun(id))?;
        step.effects.push(Effect::Publish(run.project.clone(), EventKind::RunReleased(Arc::clone(&run))));
        Ok(Answer::Run(run))
    }

    /// Ends a held run: nothing of its plan is done.
    pub(super) fn reject(
        &mut self,
        now: DateTime<Utc>,
        id: RunId,
        by: &str,
        step: &mut Step,
    ) -> Result<Answer, Refusal> {
        self.held_run(id)?;
        let run = self.end_cancelled(now, id, format!("rejected by {by}"), step);
        run.map(Answer::Run).ok_or(Refusal::NoRun(id))
    }

    fn held_run(&mut self, id: RunId) -> Result<&mut Hold, Refusal> {
        let run = self.runs.get_mut(&id).ok_or(Refusal::NoRun(id))?;
        let approved = run.hold.as_ref().and_then(Hold::approved_by).map(str::to_owned);
        let refusal = approved.map_or(Refusal::NotHeld(id), |by| Refusal::Approved(id, by));
        run.hold.as_mut().filter(|_| run.state == RunState::Held).ok_or(refusal)
    }
}
