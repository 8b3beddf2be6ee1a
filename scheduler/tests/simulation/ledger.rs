//! What must hold, noted by someone who knows nothing of the clockwork's inside.
//!
//! The ledger sees what is committed, what people are told and which processes start. It keeps its own account of
//! them, and has its own idea of when each calendar comes round.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use scheduler::core::{Core, Start, Write};
use scheduler::{
    Answer, Bounds, CatchUp, Command, Outcome, Project, ProjectId, Rule, Run, RunId, RunState, Trigger,
};

use crate::disk::Disk;
use crate::script::CALENDARS;

/// What is wrong, in one sentence.
pub(crate) type Violation = String;

/// A command, in what the ledger remembers of it.
pub(crate) enum Wish {
    Create(ProjectId, String),
    Replace(ProjectId, String, Option<bool>),
    Delete(ProjectId),
    Sync,
    Cancel(RunId),
}

impl From<&Command> for Wish {
    fn from(command: &Command) -> Self {
        match command {
            Command::Create(project) => Self::Create(project.id.clone(), project.name.clone()),
            Command::Replace { project, .. } => Self::Replace(project.id.clone(), project.name.clone(), None),
            Command::Enable { id, enabled } => Self::Replace(id.clone(), String::new(), Some(*enabled)),
            Command::Delete { id, .. } | Command::Check { project: _, new: _, if_version: _, .. } if false => {
                unreachable!("{id:?}")
            }
            _ => Self::Sync,
        }
    }
}
