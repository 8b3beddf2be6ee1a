//! Reading everything once, to know that everything can be read and fits together.

use std::collections::BTreeSet;

use super::keys::{self, Table};
use super::{Store, StoreError, text};
use crate::record;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// The number of the newest commit.
    pub commit: u64,
    /// How many projects there are.
    pub projects: usize,
    /// How many runs there are.
    pub runs: usize,
    /// How many of these have not ended.
    pub live: usize,
    /// Everything that is wrong; nothing, when the store is sound.
    pub problems: Vec<String>,
}

impl Store {
    /// Reads every record, and compares the lists with what they list. What is written meanwhile does not matter.
    ///
    /// # Errors
    /// When the database itself cannot be read. A record that cannot is a problem in the answer.
    pub fn check(&self) -> Result<Checked, StoreError> {
        self.open.read(|tables| {
            let still = tables.still();
            let mut found = Checked { commit: still.newest_commit()?, ..Checked::default() };
            let mut projects = BTreeSet::new();
            for pair in still.all(Table::Projects) {
                let (key, value) = pair?;
                found.projects += 1;
                if let Err(error) = record::decode_project(&value) {
                    found.problems.push(format!("project {}: {error}", text(&key)));
                }
                projects.insert(key);
            }
            for pair in still.all(Table::Standings) {
                let (key, value) = pair?;
                if let Err(error) = record::decode_standing(&value) {
                    found.problems.push(format!("standing of {}: {error}", text(&key)));
                }
                if !projects.contains(&key) {
                    found.problems.push(format!("standing of {}: there is no such project", text(&key)));
                }
            }
            for pair in still.all(Table::Values) {
                let (key, _) = pair?;
                let mut parts = key.split(|byte| *byte == 0);
                let (project, plugin) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                if !projects.contains(project) {
                    let (plugin, project) = (text(plugin), text(project));
                    found
                        .problems
                        .push(format!("a value of plugin {plugin} for {project}: there is no such project"));
                }
            }
            let (mut listed, mut live) = (BTreeSet::new(), BTreeSet::new());
            for pair in still.all(Table::Runs) {
                let (key, value) = pair?;
                found.runs += 1;
                match record::decode_run(&value) {
                    Ok(run) => {
                        listed.insert(keys::of_project(&run.project, run.id));
                        if !run.state.is_ended() {
                            live.insert(key);
                        }
                    }
                    Err(error) => found.problems.push(format!("run {}: {error}", name(&key))),
                }
            }
            found.live = live.len();
            for (table, what, wanted) in [
                (Table::ByProject, "the list of runs by project", listed),
                (Table::Live, "the list of runs that go on", live),
            ] {
                let there: BTreeSet<_> =
                    still.all(table).map(|pair| pair.map(|(key, _)| key)).collect::<Result<_, _>>()?;
                let lacks = wanted.difference(&there).map(|key| format!("{what} lacks {}", name(key)));
                let dangles = there
                    .difference(&wanted)
                    .map(|key| format!("{what} names {}, which is not one", name(key)));
                found.problems.extend(lacks.chain(dangles));
            }
            Ok(found)
        })
    }
}

/// The run that a key names.
fn name(key: &[u8]) -> String {
    keys::run_id(key).map_or_else(|| text(key), |run| run.to_string())
}
