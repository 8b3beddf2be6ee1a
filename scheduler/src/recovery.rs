//! What a start makes of what the last one left: nothing is lost, nothing is doubled, nobody is stuck.
//!
//! One predicate decides: a run that the store calls `running` and that no task of this process works for was cut
//! off. It ends as `interrupted` and is queued once more, or as `cancelled` when somebody had asked for that. Whatever
//! waited goes on waiting. Schedule times that passed while nobody was there are decided like all others, by
//! [`Core::settle`].

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::core::{Core, Step};
use crate::project::ProjectId;
use crate::run::{Run, RunId, RunState};
use crate::store::Loaded;

impl Core {
    /// Fills an empty clockwork from the store. `going` are the runs that a task of this process works for.
    pub fn recover(&mut self, now: DateTime<Utc>, loaded: Loaded, going: &HashSet<RunId>, step: &mut Step) {
        self.watch_clock(now, step);
        self.resume_after(loaded.newest);
        for (project, standing) in loaded.projects {
            self.place(Arc::new(project), standing);
        }
        self.keep_departing(going);
        self.move_again(step);
        let is_going = |run: &Run| going.contains(&run.id);
        let is_cut_off = |run: &Run| run.state == RunState::Running && !is_going(run);
        // Those first that nothing follows, so that whatever waits behind them moves up.
        let (cancelled, others): (Vec<Run>, Vec<Run>) =
            loaded.live.into_iter().partition(|run| is_cut_off(run) && run.cancelled_by.is_some());
        for run in cancelled {
            let (id, by) = (run.id, run.cancelled_by.clone().unwrap_or_default());
            self.adopt(now, run);
            self.note_unclean(id);
            self.end_cancelled(now, id, format!("cancelled by {by}"), step);
        }
        let cut_off: Vec<RunId> = others.iter().filter(|run| is_cut_off(run)).map(|run| run.id).collect();
        for run in others {
            let (id, running) = (run.id, run.state == RunState::Running);
            self.adopt(now, run);
            if running && going.contains(&id) {
                self.keep_going(id);
            }
        }
        for id in cut_off {
            self.note_unclean(id);
            self.interrupt(now, id, "the server ended in the middle of it", step);
        }
        self.shorten_waits(now, TimeDelta::zero(), step);
        let projects: Vec<ProjectId> = self.entries().map(|(id, _)| id.clone()).collect();
        let mut ahead = TimeDelta::zero();
        for id in projects {
            ahead = ahead.max(self.distrust(now, &id, step));
            self.reschedule(now, &id);
            step.touched.insert(id);
        }
        // While the server was down nobody watched the clock; the stored times tell of a step as well.
        self.tell_of_clock(now, ahead, step);
    }
}
