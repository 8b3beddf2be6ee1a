//! Pulls that are held: the master has lost much of what it says to have, and this slave keeps its tree.
//!
//! A held pull goes on once root has approved its plan on the master, or once a later look finds what the master says to
//! have. Time alone never releases it.

use std::time::Duration;

use chrono::Utc;
use engine::text::clipped;
use scheduler::run::{Hold, RunState};
use scheduler::{Command, ProjectId, RunId};

use super::master::News;
use super::{ASKER, Slave};
use crate::nodes::since::is_within;

/// Pause before a held pull looks at the master's tree again, the first time; it grows with the time that it is held.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// The longest pause.
const LOOK_AGAIN_AT_MOST: Duration = Duration::from_mins(10);

impl Slave {
    /// Lets the held pull of a project go on if its plan is approved, and has it look again from time to time; `changed`
    /// says that the master has something else to say of the project.
    pub(super) async fn review(&self, id: &ProjectId, news: &News, changed: bool) {
        let Some((run, hold)) = self.held_pull(id) else { return };
        let approval = news.approved.get(id.as_str()).filter(|approval| approval.plan == hold.plan.digest);
        if let Some(approval) = approval {
            let by = format!("{} on the master", clipped(&approval.by, 200));
            self.ask(Command::Approve { run, by, plan: Some(hold.plan.digest) }).await;
            return;
        }

        let held_for = (hold.plan.at - hold.since).to_std().unwrap_or_default();
        let pause = held_for.clamp(LOOK_AGAIN, LOOK_AGAIN_AT_MOST);
        if changed || !is_within(pause, hold.plan.at, Utc::now()) {
            self.ask(Command::Sync { id: id.clone(), by: ASKER.to_owned(), whole: false }).await;
        }
    }

    fn held_pull(&self, id: &ProjectId) -> Option<(RunId, Hold)> {
        let board = self.scheduler.board();
        let run = board.run(board.project(id)?.active?)?;
        let hold = run.open_hold().filter(|_| run.state == RunState::Held)?;
        Some((run.id, hold.clone()))
    }
}
