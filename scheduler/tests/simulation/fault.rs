//! What is broken on purpose, to see that the ledger can fail.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use engine::Limits;
use scheduler::core::{Step, Tool, Write};
use scheduler::{Bounds, ProjectId, Trigger};

use crate::disk::Disk;

/// One thing that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// The disk drops one write in thirty.
    LosesAWrite,
    /// Of a commit that a crash cuts off, the first half is there.
    TearsABatch,
    /// A restart brings an old commit back, over what came later.
    RepeatsABatch,
    /// A crash takes back the newest commit, which people were told of.
    LosesTheNewestCommit,
    /// Processes start before the commit.
    ActsBeforeItCommits,
    /// The processes of a server that died go on.
    LeavesOrphans,
    /// A restart takes what the disk calls running for running.
    BelievesTheDisk,
    /// The clockwork forgets the key of a scheduled run.
    WritesNoKey,
    /// The clockwork notes the key and forgets the run.
    DecidesForNothing,
    /// The clockwork does not queue again what was interrupted.
    ForgetsTheInterrupted,
    /// The clockwork does not tell the run that repeats another one what was approved.
    ForgetsApprovals,
    /// The clockwork goes by other bounds.
    IgnoresBounds,
}

impl Fault {
    /// Every fault there is.
    pub(crate) const ALL: [Self; 12] = [
        Self::LosesAWrite,
        Self::TearsABatch,
        Self::RepeatsABatch,
        Self::LosesTheNewestCommit,
        Self::ActsBeforeItCommits,
        Self::LeavesOrphans,
        Self::BelievesTheDisk,
        Self::WritesNoKey,
        Self::DecidesForNothing,
        Self::ForgetsTheInterrupted,
        Self::ForgetsApprovals,
        Self::IgnoresBounds,
    ];

    /// Breaks what the clockwork has decided.
    pub(crate) fn breaks_step(self, step: &mut Step) {
        let scheduled = |write: &Write| match write {
            Write::Run(run) if run.scheduled.is_some() && run.attempts.is_empty() => {
                Some(run.project.clone())
            }
            _ => None,
        };
        match self {
            Self::WritesNoKey => {
                let fired: HashSet<ProjectId> = step.writes.iter().filter_map(scheduled).collect();
                step.writes.retain(|write| !matches!(write, Write::Standing(id, _) if fired.contains(id)));
            }
            Self::DecidesForNothing => step.writes.retain(|write| scheduled(write).is_none()),
            Self::ForgetsTheInterrupted => step
                .writes
                .retain(|write| !matches!(write, Write::Run(run) if run.trigger == Trigger::Recovery)),
            Self::ForgetsApprovals => {
                for write in &mut step.writes {
                    if let Write::Run(run) = write
                        && run.trigger == Trigger::Recovery
                    {
                        Arc::make_mut(run).hold = None;
                    }
                }
            }
            _ => {}
        }
    }

    /// Breaks the disk while the server is down; `batches` are the newest commits.
    pub(crate) fn breaks_disk(self, disk: &mut Disk, batches: &mut VecDeque<Vec<Write>>) {
        match (self, batches.len()) {
            (Self::RepeatsABatch, 2..) => batches[0].iter().for_each(|write| disk.apply(write)),
            (Self::LosesTheNewestCommit, 1..) => {
                for write in batches.pop_back().unwrap_or_default() {
                    if let Write::Run(run) = write {
                        disk.runs.remove(&run.id);
                        disk.live.remove(&run.id);
                    }
                }
            }
            _ => {}
        }
    }

    /// What the clockwork is told of its site, where these are the bounds.
    pub(crate) fn site(self, bounds: &Bounds) -> (Bounds, Tool) {
        let bounds = match self {
            Self::IgnoresBounds => Bounds { concurrent: 99, per_host: 99, ..Bounds::default() },
            _ => bounds.clone(),
        };
        (bounds, Tool { program: "rsync".into(), limits: Limits::default(), commands: Arc::default() })
    }
}
