//! A project that gets another name: its settings, standing and history go on under it, and its tree moves along.
//!
//! All of that is one commit, with a durable note that the tree is still to move ([`Standing::moving`]). The move comes
//! after the commit and before anything starts; the note goes once it was made. A start that finds the note makes the
//! move again, and so does every attempt.
//!
//! [`Standing::moving`]: crate::project::Standing::moving

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::command::check_version;
use super::{Answer, Core, Effect, Refusal, Step, Write};
use crate::event::EventKind;
use crate::project::{Project, ProjectId, SettingsVersion};
use crate::relocation::Relocation;

/// A project's new name, with all that goes with it.
#[derive(Debug)]
pub struct Rename {
    /// The name that it has.
    pub from: ProjectId,
    /// The settings under the new one; times and version are set when it is accepted.
    pub project: Project,
    /// Refuse when the project is at another version.
    pub if_version: Option<SettingsVersion>,
    /// The move of its tree, if there is one.
    pub relocation: Option<Relocation>,
}

impl Core {
    pub(super) fn rename(
        &mut self,
        now: DateTime<Utc>,
        rename: Rename,
        step: &mut Step,
    ) -> Result<Answer, Refusal> {
        let Rename { from, mut project, if_version, relocation } = rename;
        check_version(self.known(&from)?, if_version)?;
        if self.entries.contains_key(&project.id) {
            return Err(Refusal::Exists(project.id));
        }
        self.fire_before_change(now, &from, step);
        let entry = self.known(&from)?;
        if entry.active.is_some() || entry.standing.moving.is_some() {
            return Err(Refusal::Unsettled(from));
        }
        let old = Arc::clone(&entry.project);
        self.places.remove(&old.place);
        if let Err(refusal) = self.may_land(&project) {
            self.places.insert(old.place.clone(), from);
            return Err(refusal);
        }
        let mut standing = self.entries.remove(&from).map(|entry| entry.standing).unwrap_or_default();
        self.due.set(&from, None);
        self.granted.remove(&from);
        standing.moving.clone_from(&relocation);
        project.keep_life_of(&old);
        (project.updated, project.version) = (now, old.version + 1);
        let (id, project) = (project.id.clone(), Arc::new(project));
        self.place(Arc::clone(&project), standing.clone());
        self.reschedule(now, &id);
        step.writes.push(Write::ForgetProject(from.clone()));
        step.writes.push(Write::Project(Arc::clone(&project)));
        step.store_standing(id.clone(), standing);
        step.writes.push(Write::RenameRuns { from: from.clone(), to: id.clone() });
        step.effects.extend(relocation.map(|relocation| Effect::Move(id.clone(), relocation)));
        step.effects.push(Effect::Publish(from.clone(), EventKind::ProjectDeleted));
        step.effects.push(Effect::Publish(id.clone(), EventKind::ProjectCreated));
        step.touched.extend([from, id]);
        Ok(Answer::Project(project))
    }

    /// Forgets that a tree is still to move: it has.
    pub(super) fn tree_moved(&mut self, id: ProjectId, step: &mut Step) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let Some(relocation) = entry.standing.moving.take() else { return };
        step.store_standing(id.clone(), entry.standing.clone());
        step.touched.insert(id);
        self.places.remove(&relocation.from);
    }

    /// Asks again for the moves that were not seen to be made.
    pub(crate) fn move_again(&mut self, step: &mut Step) {
        let moving = |(id, entry): (&ProjectId, &super::Entry)| {
            Some(Effect::Move(id.clone(), entry.standing.moving.clone()?))
        };
        let moves: Vec<Effect> = self.entries.iter().filter_map(moving).collect();
        step.effects.extend(moves);
    }
}
