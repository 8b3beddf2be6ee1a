//! The runs of a project that has another name from now on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::keys::{self, Entry, Table};
use super::{Store, StoreError};
use crate::core::Write;
use crate::project::ProjectId;
use crate::record;
use crate::run::{Run, RunId};

impl Store {
    /// What the writes mean in keys, the runs of renamed projects included. It has to be committed before any run is
    /// forgotten.
    pub(super) fn entries(&self, writes: &[Write]) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        // Runs as this batch leaves them, which the store does not know yet.
        let mut written: BTreeMap<RunId, Arc<Run>> = BTreeMap::new();
        for write in writes {
            entries.extend(keys::entries(std::slice::from_ref(write)));
            match write {
                Write::Run(run) => {
                    written.insert(run.id, Arc::clone(run));
                }
                Write::RenameRuns { from, to } => {
                    for mut run in self.ended_runs(from, &written)? {
                        entries.push((Table::ByProject, keys::of_project(from, run.id), None));
                        run.project = to.clone();
                        entries.push((
                            Table::Runs,
                            run.id.to_bytes().to_vec(),
                            Some(record::encode_run(&run)),
                        ));
                        entries.push((Table::ByProject, keys::of_project(to, run.id), Some(Vec::new())));
                        written.insert(run.id, Arc::new(run));
                    }
                }
                _ => {}
            }
        }
        Ok(entries)
    }

    fn ended_runs(
        &self,
        project: &ProjectId,
        written: &BTreeMap<RunId, Arc<Run>>,
    ) -> Result<Vec<Run>, StoreError> {
        let stored = self.runs(Some(project), None, usize::MAX)?;
        let mut runs: BTreeMap<RunId, Run> = stored.into_iter().map(|run| (run.id, run)).collect();
        runs.extend(written.iter().map(|(id, run)| (*id, Run::clone(run))));
        Ok(runs.into_values().filter(|run| run.project == *project && run.state.is_ended()).collect())
    }
}
