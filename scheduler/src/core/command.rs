//! What people ask of the clockwork, and what they are answered.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use engine::Source;

use super::rename::Rename;
use super::{Core, Effect, Entry, Step, Write};
use crate::account::AuditEntry;
use crate::destination::DestinationError;
use crate::event::EventKind;
use crate::permit::{ChangePermit, PermitDenial};
use crate::project::{Project, ProjectId, SettingsVersion, Standing};
use crate::run::{Run, RunId, RunState, Trigger};

/// Something that a person asks for.
#[derive(Debug)]
pub enum Command {
    /// Begin to mirror this tree. Its times and version are set here.
    Create(Box<Project>),
    /// Replace the settings of the project with the same id.
    Replace {
        /// The settings; times and version are set here.
        project: Box<Project>,
        /// Refuse when the project is at another version.
        if_version: Option<SettingsVersion>,
    },
    /// Give the project another name, under which its tree and its history go on.
    Rename(Box<Rename>),
    /// Do this for a person, if they may, and note it in the audit trail in the same write. What is refused is not
    /// noted.
    Noted {
        /// What is to be done.
        command: Box<Command>,
        /// The right to it.
        permit: Arc<dyn ChangePermit>,
        /// The line to note.
        line: Box<AuditEntry>,
    },
    /// Say what `Create` or `Replace` would be answered, and change nothing.
    Check {
        /// The settings.
        project: Box<Project>,
        /// Whether it is to be created.
        new: bool,
        /// As in `Replace`.
        if_version: Option<SettingsVersion>,
    },
    /// Let its schedule fire, or not.
    Enable {
        /// Whose.
        id: ProjectId,
        /// Whether it fires.
        enabled: bool,
    },
    /// Forget the project; its files stay.
    Delete {
        /// Which.
        id: ProjectId,
        /// Refuse when the project is at another version.
        if_version: Option<SettingsVersion>,
    },
    /// Bring it up to date now.
    Sync {
        /// Which.
        id: ProjectId,
        /// Who asks.
        by: String,
        /// Set to look at everything: neither an earlier marker nor a remembered refusal counts.
        whole: bool,
    },
    /// Forgets in every project that the daemon of this upstream refuses rehearsals.
    ForgetUpstream {
        /// A tree of that daemon.
        source: Box<Source>,
    },
    /// Let a held run delete what it plans to.
    Approve {
        /// Which.
        run: RunId,
        /// Who asks.
        by: String,
        /// The digest of the plan that was seen, to refuse another one.
        plan: Option<String>,
    },
    /// End a held run without doing what it plans.
    Reject {
        /// Which.
        run: RunId,
        /// Who asks.
        by: String,
    },
    /// Stop a run.
    Cancel {
        /// Which.
        run: RunId,
        /// Who asks.
        by: String,
    },
}

impl Command {
    /// The project for whose tree this names a place, and the id under which it is known so far.
    pub(crate) fn landing(&self) -> Option<(&Project, &ProjectId)> {
        match self {
            Self::Create(project) | Self::Replace { project, .. } | Self::Check { project, .. } => {
                Some((project, &project.id))
            }
            Self::Rename(rename) => Some((&rename.project, &rename.from)),
            Self::Noted { command, .. } => command.landing(),
            _ => None,
        }
    }
}

/// What was done.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The project is like this now.
    Project(Arc<Project>),
    /// The project is no more.
    Deleted,
    /// The run is like this now.
    Run(Arc<Run>),
    /// Number of projects that remembered what is forgotten now.
    Forgotten(usize),
}

/// Why nothing was done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// Whoever asked may not do that, or no longer.
    #[error(transparent)]
    Denied(PermitDenial),
    /// The id is taken.
    #[error("a project `{0}` exists already: choose another id, or change that one")]
    Exists(ProjectId),
    /// There is no such project.
    #[error("there is no project `{0}`")]
    NoProject(ProjectId),
    /// There is no such live run.
    #[error("run {0} is not going: it has ended, or never was")]
    NoRun(RunId),
    /// It waits for nobody's approval.
    #[error("run {0} is not held: there is nothing to approve or reject")]
    NotHeld(RunId),
    /// Somebody has approved it.
    #[error("run {0} was approved already, by {1}")]
    Approved(RunId, String),
    /// What it would delete is not what was seen.
    #[error(
        "run {0} would delete something else now than what was looked at: look at its plan again, then approve that"
    )]
    OtherPlan(RunId),
    /// Somebody else changed it in between.
    #[error(
        "project `{id}` was changed in between (it is at version {current} now): read it again, and repeat"
    )]
    Stale {
        /// Which.
        id: ProjectId,
        /// The version that it is at.
        current: u64,
    },
    /// The tree may not land there.
    #[error("`dest` {0}")]
    Destination(DestinationError),
    /// It would move the destination away under a running rsync.
    #[error("project `{0}` is being synced: cancel its run, or wait for its end, then change `dest`")]
    Busy(ProjectId),
    /// It has a run, or its tree is still to move.
    #[error("project `{0}` has a run, or is being renamed: wait for its end, or cancel it, then repeat this")]
    Unsettled(ProjectId),
    /// The project has its new name, and its tree is where it was.
    #[error(
        "project `{id}` has its new name, but its tree could not move ({why}); the next sync tries again first"
    )]
    NotMoved {
        /// The new name.
        id: ProjectId,
        /// What the system said.
        why: String,
    },
    /// The server is about to end.
    #[error("the server is stopping: repeat this once it is back")]
    Stopping,
    /// What was decided could not be made durable.
    #[error("the change could not be stored ({0}); nothing was changed")]
    Store(String),
}

impl Core {
    pub(super) fn command(
        &mut self,
        now: DateTime<Utc>,
        command: Command,
        step: &mut Step,
    ) -> Result<Answer, Refusal> {
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        match command {
            Command::Create(project) => self.create(now, *project, step),
            Command::Replace { project, if_version } => self.replace(now, *project, if_version, step),
            Command::Rename(rename) => self.rename(now, *rename, step),
            Command::Noted { command, permit, line } => {
                self.check_permit(&command, permit.as_ref())?;
                let answer = self.command(now, *command, step)?;
                step.writes.push(Write::Audit(line));
                Ok(answer)
            }
            Command::Check { project, new, if_version } => {
                if new {
                    self.may_create(&project)?;
                } else {
                    self.may_replace(&project, if_version)?;
                }
                Ok(Answer::Project(Arc::from(project)))
            }
            Command::Enable { id, enabled } => {
                let mut project = Project::clone(&self.known(&id)?.project);
                project.enabled = enabled;
                self.replace(now, project, None, step)
            }
            Command::Delete { id, if_version } => self.delete(now, &id, if_version, step),
            Command::Sync { id, by, whole } => {
                if whole {
                    self.forget_shortcuts(&id, step);
                }
                self.sync(now, &id, &by, step)
            }
            Command::ForgetUpstream { source } => Ok(self.forget_upstream(&source, step)),
            Command::Approve { run, by, plan } => self.approve(now, run, &by, plan.as_deref(), step),
            Command::Reject { run, by } => self.reject(now, run, &by, step),
            Command::Cancel { run, by } => self.cancel(now, run, &by, step),
        }
    }

    fn create(
        &mut self,
        now: DateTime<Utc>,
        mut project: Project,
        step: &mut Step,
    ) -> Result<Answer, Refusal> {
        self.may_create(&project)?;
        (project.created, project.updated, project.version) = (now, now, 1);
        let (id, project) = (project.id.clone(), Arc::new(project));
        // Schedule times before its creation are nobody's to catch up.
        let standing = Standing { fired: Some(now), ..Standing::default() };
        self.place(Arc::clone(&project), standing.clone());
        self.reschedule(now, &id);
        step.writes.push(Write::Project(Arc::clone(&project)));
        step.store_standing(id.clone(), standing);
        step.effects.push(Effect::Publish(id.clone(), EventKind::ProjectCreated));
        step.touched.insert(id);
        Ok(Answer::Project(project))
    }

    fn may_create(&self, project: &Project) -> Result<(), Refusal> {
        if self.entries.contains_key(&project.id) {
            return Err(Refusal::Exists(project.id.clone()));
        }
        self.may_land(project)
    }

    /// Nowhere near another project, nor near the last rsync of a removed one.
    pub(super) fn may_land(&self, project: &Project) -> Result<(), Refusal> {
        let place = &project.place;
        let leaving = |gone: &&Arc<Project>| gone.place.starts_with(place) || place.starts_with(&gone.place);
        match self.departing.values().find(leaving) {
            Some(gone) => Err(Refusal::Destination(DestinationError::Leaving(gone.id.clone()))),
            None => self.places.check(place, &project.id).map_err(Refusal::Destination),
        }
    }

    fn may_replace(&self, project: &Project, if_version: Option<SettingsVersion>) -> Result<(), Refusal> {
        let entry = self.known(&project.id)?;
        check_version(entry, if_version)?;
        if entry.project.place != project.place && entry.standing.moving.is_some() {
            return Err(Refusal::Unsettled(project.id.clone()));
        }
        if entry.project.place != project.place && self.is_running(entry) {
            return Err(Refusal::Busy(project.id.clone()));
        }
        self.may_land(project)
    }

    fn replace(
        &mut self,
        now: DateTime<Utc>,
        mut project: Project,
        if_version: Option<SettingsVersion>,
        step: &mut Step,
    ) -> Result<Answer, Refusal> {
        self.may_replace(&project, if_version)?;
        let entry = self.known(&project.id)?;
        let retimed = entry.project.schedule != project.schedule || entry.project.enabled != project.enabled;
        if retimed {
            self.fire_before_change(now, &project.id, step);
        }
        let entry = self.known(&project.id)?;
        let moved = (entry.project.place != project.place).then(|| entry.project.place.clone());
        project.keep_life_of(&entry.project);
        (project.updated, project.version) = (now, entry.project.version + 1);
        let (id, project) = (project.id.clone(), Arc::new(project));
        if let Some(old) = moved {
            self.places.remove(&old);
            self.places.insert(project.place.clone(), id.clone());
        }
        if let Some(entry) = self.entries.get_mut(&id) {
            let same = entry.project.sources().eq(project.sources());
            entry.project = Arc::clone(&project);
            if !same && !entry.standing.failed_upstreams.is_empty() {
                // What failed may be mended, or gone.
                entry.standing.failed_upstreams.clear();
                step.store_standing(id.clone(), entry.standing.clone());
            }
        }
        step.writes.push(Write::Project(Arc::clone(&project)));
        if retimed {
            self.begin_anew(now, &id, step);
        }
        self.reorder(now, &id);
        step.effects.push(Effect::Publish(id.clone(), EventKind::ProjectUpdated));
        step.touched.insert(id);
        Ok(Answer::Project(project))
    }

    fn delete(
        &mut self,
        now: DateTime<Utc>,
        id: &ProjectId,
        if_version: Option<SettingsVersion>,
        step: &mut Step,
    ) -> Result<Answer, Refusal> {
        let entry = self.known(id)?;
        check_version(entry, if_version)?;
        let (active, waiting, running) = (entry.active, entry.waiting, self.is_running(entry));
        let project = Arc::clone(&entry.project);
        let leaving = entry.standing.moving.clone();
        for run in waiting.into_iter().chain(active) {
            self.cancel(now, run, "the removal of its project", step)?;
        }
        self.due.set(id, None);
        self.granted.remove(id);
        self.entries.remove(id);
        self.places.remove(&project.place);
        if let Some(relocation) = leaving {
            self.places.remove(&relocation.from);
        }
        if let Some(run) = active.filter(|_| running) {
            self.departing.insert(run, project);
        }
        step.writes.push(Write::ForgetProject(id.clone()));
        step.effects.push(Effect::Publish(id.clone(), EventKind::ProjectDeleted));
        step.touched.insert(id.clone());
        Ok(Answer::Deleted)
    }

    fn sync(
        &mut self,
        now: DateTime<Utc>,
        id: &ProjectId,
        by: &str,
        step: &mut Step,
    ) -> Result<Answer, Refusal> {
        let entry = self.known(id)?;
        let state = entry.active.and_then(|active| self.runs.get(&active)).map(|run| run.state.clone());
        let waiting = entry.waiting;
        let run = match (entry.active, state, waiting) {
            // It looks again; what waits behind it is the same wish too.
            (Some(run), Some(RunState::Held), _) => {
                self.requeue(now, run, step);
                waiting.unwrap_or(run)
            }
            // What waits already is the same wish: the same run comes back.
            (Some(run), Some(RunState::Queued), _) | (_, _, Some(run)) => run,
            (Some(run), Some(RunState::BackingOff { .. }), None) => {
                self.requeue(now, run, step);
                run
            }
            _ => self.create_run(now, id, Trigger::Manual, Some(by.to_owned()), None, step),
        };
        self.answer_run(run)
    }

    fn cancel(
        &mut self,
        now: DateTime<Utc>,
        id: RunId,
        by: &str,
        step: &mut Step,
    ) -> Result<Answer, Refusal> {
        let run = self.runs.get_mut(&id).ok_or(Refusal::NoRun(id))?;
        if run.state == RunState::Running {
            run.cancelled_by.get_or_insert_with(|| by.to_owned());
            step.writes.push(Write::Run(Arc::new(run.clone())));
            step.touched.insert(run.project.clone());
            step.effects.push(Effect::Cancel(id));
            return self.answer_run(id);
        }
        let run =
            self.end_cancelled(now, id, format!("cancelled by {by}"), step).ok_or(Refusal::NoRun(id))?;
        Ok(Answer::Run(run))
    }

    fn answer_run(&self, id: RunId) -> Result<Answer, Refusal> {
        let run = self.runs.get(&id).ok_or(Refusal::NoRun(id))?;
        Ok(Answer::Run(Arc::new(run.clone())))
    }

    pub(super) fn known(&self, id: &ProjectId) -> Result<&Entry, Refusal> {
        self.entries.get(id).ok_or_else(|| Refusal::NoProject(id.clone()))
    }

    fn is_running(&self, entry: &Entry) -> bool {
        entry.active.and_then(|run| self.runs.get(&run)).is_some_and(|run| run.state == RunState::Running)
    }
}

pub(super) fn check_version(entry: &Entry, if_version: Option<SettingsVersion>) -> Result<(), Refusal> {
    let current = entry.project.version;
    match if_version {
        Some(wanted) if !wanted.is_of(&entry.project) => {
            Err(Refusal::Stale { id: entry.project.id.clone(), current })
        }
        _ => Ok(()),
    }
}
