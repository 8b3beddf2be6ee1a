//! What a start makes of what the last one left: nothing is lost, nothing is doubled, nobody is stuck.
//!
//! One predicate decides: a run that the store calls `running` and that no task of this process works for was cut
//! off. It ends as `interrupted` and is queued once more. Whatever waited goes on waiting. A project whose schedule
//! passed while nobody was there gets exactly one catch-up run, however long it was, and the decision is stored with
//! it.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::core::{Core, Step, Write};
use crate::project::ProjectId;
use crate::run::{RunId, RunState, Trigger};
use crate::schedule::Rule;
use crate::store::Loaded;

impl Core {
    /// Fills an empty clockwork from the store. `going` are the runs that a task of this process works for.
    pub fn recover(&mut self, now: DateTime<Utc>, loaded: Loaded, going: &HashSet<RunId>, step: &mut Step) {
        self.resume_after(loaded.newest);
        for (project, standing) in loaded.projects {
            self.place(Arc::new(project), standing);
        }
        let mut cut_off = Vec::new();
        for run in loaded.live {
            let (id, running) = (run.id, run.state == RunState::Running);
            self.adopt(run);
            match (running, going.contains(&id)) {
                (true, true) => self.keep_going(id),
                (true, false) => cut_off.push(id),
                (false, _) => {}
            }
        }
        for id in cut_off {
            self.interrupt(now, id, "the server ended in the middle of it", step);
        }
        let projects: Vec<ProjectId> = self.entries().map(|(id, _)| id.clone()).collect();
        for id in projects {
            self.catch_up(now, &id, step);
            self.reschedule(now, &id);
            step.touched.insert(id);
        }
    }

    /// Queues one run for all the schedule times that passed since the last decision.
    fn catch_up(&mut self, now: DateTime<Utc>, id: &ProjectId, step: &mut Step) {
        let Some(entry) = self.entry(id) else { return };
        let schedule = &entry.project.schedule;
        if !entry.project.enabled || !matches!(schedule.rule, Rule::Fields(_) | Rule::Cron(_)) {
            return;
        }
        let since = entry.standing.fired.unwrap_or(entry.project.created);
        let Some(missed) = schedule.latest_at_or_before(now, since).filter(|missed| *missed > since) else { return };
        let idle = entry.active.is_none();
        let Some(standing) = self.decided(id, missed) else { return };
        step.writes.push(Write::Standing(id.clone(), standing));
        if idle {
            self.create_run(now, id, Trigger::CatchUp, None, Some(missed), step);
        }
    }
}
