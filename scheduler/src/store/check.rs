//! Reading everything once, to know that everything can be read and fits together.

use std::collections::BTreeSet;
use std::path::Path;

use super::folder::StorePaths;
use super::inspection::{StoreState, inspect};
use super::keys::{self, Table};
use super::tables::{Still, Tables};
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
    /// When the database is missing. A table or a record that cannot be read is a problem in the answer.
    pub fn check(&self) -> Result<Checked, StoreError> {
        self.open.read(|tables| {
            let mut check = StoreCheck::new(tables)?;
            check.read_all();
            for table in Table::ALL {
                match check.unreadable.iter().find(|error| is_of(error, table)) {
                    Some(error) => self.open.health.note_error(error),
                    None => self.open.health.note_readable(table.name()),
                }
            }
            Ok(check.found)
        })
    }
}

/// Checks the store in `folder` while no server has it open. Nothing in the folder is changed.
///
/// # Errors
/// When a server has it open, when it cannot be read at all, or when it is older than what was acknowledged.
pub fn check(folder: &Path) -> Result<Checked, StoreError> {
    let paths = StorePaths::new(folder);
    let _lock = paths.lock()?;
    match inspect(&paths.folder) {
        Ok(StoreState::Made) => {}
        Ok(StoreState::Damaged { file, fault }) => {
            return Err(StoreError::Damaged { file, fault: fault.to_owned() });
        }
        Ok(StoreState::Absent | StoreState::HalfMade) => {
            let fault = "nothing was ever stored there".to_owned();
            return Err(StoreError::Damaged { file: paths.folder, fault });
        }
        Err(error) => {
            let why = error.to_string();
            return Err(StoreError::Failed { path: paths.folder, doing: "opening", why });
        }
    }
    let tables = Tables::open_shadow(&paths.folder)?;
    super::compare_with_mark(&paths.folder, tables.newest_commit()?)?;
    let mut check = StoreCheck::new(&tables)?;
    check.read_all();
    Ok(check.found)
}

fn is_of(error: &StoreError, wanted: Table) -> bool {
    matches!(error, StoreError::Unreadable { table, .. } if *table == wanted.name())
}

/// A check that is under way.
struct StoreCheck<'a> {
    still: Still<'a>,
    found: Checked,
    /// The errors of tables that could not be read to their end.
    unreadable: Vec<StoreError>,
}

impl<'a> StoreCheck<'a> {
    fn new(tables: &'a Tables) -> Result<Self, StoreError> {
        let still = tables.still();
        let found = Checked { commit: still.newest_commit()?, ..Checked::default() };
        Ok(Self { still, found, unreadable: Vec::new() })
    }

    fn read_all(&mut self) {
        let projects = self.read_projects();
        self.read_standings(projects.as_ref());
        self.read_values(projects.as_ref());
        self.read_runs();
        for table in [
            Table::Users,
            Table::Tokens,
            Table::Nodes,
            Table::Audit,
            Table::Members,
            Table::Holdings,
            Table::Notes,
            Table::Counts,
        ] {
            self.read(table, |_, _, _| {});
        }
    }

    /// Reads a table to its end, or to the first block that cannot be read; returns whether it came to the end.
    fn read(&mut self, table: Table, mut each: impl FnMut(&mut Checked, Vec<u8>, Vec<u8>)) -> bool {
        for pair in self.still.all(table) {
            match pair {
                Ok((key, value)) => each(&mut self.found, key, value),
                Err(error) => {
                    self.found.problems.push(error.to_string());
                    self.unreadable.push(error);
                    return false;
                }
            }
        }
        true
    }

    /// The keys of all projects; none, if not all of them can be read.
    fn read_projects(&mut self) -> Option<BTreeSet<Vec<u8>>> {
        let mut projects = BTreeSet::new();
        let is_whole = self.read(Table::Projects, |found, key, value| {
            found.projects += 1;
            if let Err(error) = record::decode_project(&value) {
                found.problems.push(format!("project {}: {error}", text(&key)));
            }
            projects.insert(key);
        });
        is_whole.then_some(projects)
    }

    fn read_standings(&mut self, projects: Option<&BTreeSet<Vec<u8>>>) {
        self.read(Table::Standings, |found, key, value| {
            if let Err(error) = record::decode_standing(&value) {
                found.problems.push(format!("standing of {}: {error}", text(&key)));
            }
            if projects.is_some_and(|projects| !projects.contains(&key)) {
                found.problems.push(format!("standing of {}: there is no such project", text(&key)));
            }
        });
    }

    fn read_values(&mut self, projects: Option<&BTreeSet<Vec<u8>>>) {
        self.read(Table::Values, |found, key, _| {
            let mut parts = key.split(|byte| *byte == 0);
            let (project, plugin) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            if projects.is_some_and(|projects| !projects.contains(project)) {
                let (plugin, project) = (text(plugin), text(project));
                found
                    .problems
                    .push(format!("a value of plugin {plugin} for {project}: there is no such project"));
            }
        });
    }

    /// Reads the runs, and compares the lists of runs with them.
    fn read_runs(&mut self) {
        let (mut listed, mut live) = (BTreeSet::new(), BTreeSet::new());
        let is_whole = self.read(Table::Runs, |found, key, value| {
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
        });
        self.found.live = live.len();
        for (table, what, wanted) in [
            (Table::ByProject, "the list of runs by project", listed),
            (Table::Live, "the list of runs that go on", live),
        ] {
            let mut there = BTreeSet::new();
            let list_is_whole = self.read(table, |_, key, _| {
                there.insert(key);
            });
            if !(is_whole && list_is_whole) {
                continue;
            }
            let lacks = wanted.difference(&there).map(|key| format!("{what} lacks {}", name(key)));
            let dangles =
                there.difference(&wanted).map(|key| format!("{what} names {}, which is not one", name(key)));
            self.found.problems.extend(lacks.chain(dangles));
        }
    }
}

/// The run that a key names.
fn name(key: &[u8]) -> String {
    keys::run_id(key).map_or_else(|| text(key), |run| run.to_string())
}
