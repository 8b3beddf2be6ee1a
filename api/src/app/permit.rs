//! The right of an actor to a change, as the dispatcher asks for it in the step that makes the change.

use std::fmt;

use scheduler::permit::{ChangePermit, PermitDenial};
use scheduler::{Command, Project};

use super::App;
use super::admission::{denial, may};
use crate::auth::Actor;
use crate::routes::{Access, may_set};

/// Number of projects of one user who is not root: each has a place in every list that others look at.
const PROJECTS: usize = 1000;

/// The right of an actor to a command: by their login, by the project as it is, and by what only root may say of one.
pub(crate) struct ActorPermit {
    app: App,
    actor: Actor,
    access: Access,
}

impl ActorPermit {
    pub(crate) fn new(app: &App, actor: &Actor, command: &Command) -> Self {
        let access = match command {
            Command::Create(_) | Command::ForgetUpstream { .. } => Access::Create,
            Command::Sync { .. } => Access::Start,
            _ => Access::Change,
        };
        Self { app: app.clone(), actor: actor.clone(), access }
    }

    /// Number of projects that stand in the actor's name.
    fn owned(&self) -> usize {
        let projects = self.app.scheduler.board().projects();
        projects.iter().filter(|entry| entry.project.owner == self.actor.name).count()
    }
}

impl ChangePermit for ActorPermit {
    fn check(&self, before: Option<&Project>, after: Option<&Project>) -> Result<(), PermitDenial> {
        let Self { app, actor, access } = self;
        if !app.gate.accounts.is_login_good(actor) {
            return Err(PermitDenial::LoginEnded);
        }
        if !may(*access, actor, before) {
            return Err(PermitDenial::Forbidden(denial(*access, actor, before)));
        }
        if before.is_none() && after.is_some() && !actor.is_root() && self.owned() >= PROJECTS {
            let sentence =
                format!("`{}` has {PROJECTS} projects, which is the most for one user", actor.name);
            return Err(PermitDenial::Forbidden(sentence));
        }
        match after {
            Some(after) => {
                may_set(app, actor, before, after).map_err(|problem| PermitDenial::Forbidden(problem.note()))
            }
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ActorPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorPermit").field("actor", &self.actor.name).finish_non_exhaustive()
    }
}
