//! The project that a command is about, for the right to it.

use super::{Command, Core, Refusal};
use crate::permit::ChangePermit;
use crate::project::Project;
use crate::run::RunId;

impl Core {
    /// Looks at the right to a command, on its project as it is now.
    pub(super) fn check_permit(&self, command: &Command, permit: &dyn ChangePermit) -> Result<(), Refusal> {
        let known = |id| self.known(id).map(|entry| entry.project.as_ref());
        let (before, after) = match command {
            Command::Create(project) => (None, Some(project.as_ref())),
            Command::Replace { project, .. } | Command::Check { project, .. } => {
                (Some(known(&project.id)?), Some(project.as_ref()))
            }
            Command::Rename(rename) => (Some(known(&rename.from)?), Some(&rename.project)),
            Command::Enable { id, .. } | Command::Delete { id, .. } | Command::Sync { id, .. } => {
                (Some(known(id)?), None)
            }
            Command::Approve { run, .. } | Command::Reject { run, .. } | Command::Cancel { run, .. } => {
                (Some(self.project_of_run(*run)?), None)
            }
            Command::Noted { .. } | Command::ForgetUpstream { .. } => (None, None),
        };
        permit.check(before, after).map_err(Refusal::Denied)
    }

    /// The project of a live run: of one that was removed, as it was then, and not the next one of its name.
    fn project_of_run(&self, id: RunId) -> Result<&Project, Refusal> {
        if let Some(gone) = self.departing.get(&id) {
            return Ok(gone);
        }
        let run = self.runs.get(&id).ok_or(Refusal::NoRun(id))?;
        Ok(&self.known(&run.project)?.project)
    }
}
