//! The store as a model: a batch is there as a whole or not at all, unless it is to break that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scheduler::core::Write;
use scheduler::store::Loaded;
use scheduler::{Project, ProjectId, Run, RunId, Standing, record};

/// What is on the disk.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    pub(crate) projects: BTreeMap<ProjectId, Arc<Project>>,
    pub(crate) standings: BTreeMap<ProjectId, Standing>,
    pub(crate) runs: BTreeMap<RunId, Arc<Run>>,
    pub(crate) live: BTreeSet<RunId>,
}

impl Disk {
    pub(crate) fn apply(&mut self, write: &Write) {
        match write {
            Write::Project(project) => {
                self.projects.insert(project.id.clone(), Arc::clone(project));
            }
            Write::Standing(id, standing) => {
                self.standings.insert(id.clone(), Standing::clone(standing));
            }
            Write::ForgetProject(id) => {
                self.projects.remove(id);
                self.standings.remove(id);
            }
            // Nobody renames here.
            Write::RenameRuns { .. } | Write::Audit(_) | Write::Count(..) => {}
            Write::Run(run) => {
                if run.state.is_ended() {
                    self.live.remove(&run.id);
                } else {
                    self.live.insert(run.id);
                }
                self.runs.insert(run.id, Arc::clone(run));
            }
        }
    }

    /// What a start reads; as bytes and back, if it is to be as slow as the real one.
    pub(crate) fn load(&self, as_bytes: bool) -> Loaded {
        let project = |project: &Project| match as_bytes {
            true => record::decode_project(&record::encode_project(project)).unwrap(),
            false => project.clone(),
        };
        let standing = |standing: &Standing| match as_bytes {
            true => record::decode_standing(&record::encode_standing(standing)).unwrap(),
            false => standing.clone(),
        };
        let run = |run: &Run| match as_bytes {
            true => record::decode_run(&record::encode_run(run)).unwrap(),
            false => run.clone(),
        };
        let standing_of = |id: &ProjectId| self.standings.get(id).map(standing).unwrap_or_default();
        Loaded {
            projects: self.projects.iter().map(|(id, known)| (project(known), standing_of(id))).collect(),
            live: self.live.iter().filter_map(|id| self.runs.get(id)).map(|known| run(known)).collect(),
            newest: self.runs.keys().next_back().copied(),
        }
    }
}
