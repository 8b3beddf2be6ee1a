//! The place of each project's tree, as its runs have found it.

use super::{Core, Step};
use crate::run::{Ending, RunId};
use crate::tree::SeenTree;
use engine::Verdict;

impl Core {
    /// Remembers the place of a tree after a good end, or at once where a person approved the
    /// change.
    pub(super) fn note_tree(&mut self, id: RunId, seen: Option<SeenTree>, ending: &Ending, step: &mut Step) {
        let (Some(run), Some(seen)) = (self.runs.get(&id), seen) else { return };
        let is_good = match ending {
            Ending::Ran { end, .. } => end.verdict == Verdict::Done,
            Ending::Unchanged { .. } => true,
            _ => false,
        };
        let Some(entry) = self.entries.get_mut(&run.project).filter(|entry| entry.active == Some(id)) else {
            return;
        };
        let changed = entry.standing.tree.as_ref() != Some(&seen.tree);
        if changed && (is_good || seen.accepted) {
            entry.standing.tree = Some(seen.tree);
            step.store_standing(run.project.clone(), entry.standing.clone());
        }
    }
}
