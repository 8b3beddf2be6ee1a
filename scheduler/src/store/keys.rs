//! Which bytes stand where. The only module that knows it.
//!
//! Run names are 16 big-endian bytes, so that the order of keys is the order of time.

use std::ops::Bound;

use crate::core::Write;
use crate::project::ProjectId;
use crate::record;
use crate::run::RunId;

/// The layout's number, in `meta`.
pub(super) const SCHEMA: &str = "schema";
/// The newest commit's number, in `meta`.
pub(super) const COMMIT: &str = "commit";
/// Names of all keyspaces, in `meta`, one a line.
pub(super) const KEYSPACES: &str = "keyspaces";
/// The keys in `meta` that every commit sees to.
pub(super) const OWN: [&str; 3] = [SCHEMA, COMMIT, KEYSPACES];

/// The history's id, in `meta`; none: it is the first of this store.
pub(super) const HISTORY: &str = "history";

/// A keyspace by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Projects,
    Standings,
    Runs,
    ByProject,
    Live,
    Users,
    Tokens,
    Nodes,
    Audit,
    Members,
    Holdings,
    Values,
    Notes,
    Counts,
}

impl Table {
    /// Every keyspace.
    pub(super) const ALL: [Self; 14] = [
        Self::Projects,
        Self::Standings,
        Self::Runs,
        Self::ByProject,
        Self::Live,
        Self::Users,
        Self::Tokens,
        Self::Nodes,
        Self::Audit,
        Self::Members,
        Self::Holdings,
        Self::Values,
        Self::Notes,
        Self::Counts,
    ];

    /// Its name, in the database and in a backup.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Projects => "projects",
            Self::Standings => "standings",
            Self::Runs => "runs",
            Self::ByProject => "runs_by_project",
            Self::Live => "live_runs",
            Self::Users => "users",
            Self::Tokens => "tokens",
            Self::Nodes => "nodes",
            Self::Audit => "audit",
            Self::Members => "members",
            Self::Holdings => "holdings",
            Self::Values => "plugin_values",
            Self::Notes => "notes",
            Self::Counts => "counts",
        }
    }
}

/// One key and what it shall hold; none: it shall be gone.
pub(super) type Entry = (Table, Vec<u8>, Option<Vec<u8>>);

/// What the writes mean in keys.
pub(super) fn entries(writes: &[Write]) -> Vec<Entry> {
    writes.iter().flat_map(entry).collect()
}

fn entry(write: &Write) -> Vec<Entry> {
    match write {
        Write::Project(project) => {
            vec![(Table::Projects, bytes(&project.id), Some(record::encode_project(project)))]
        }
        Write::Standing(id, standing) => {
            vec![(Table::Standings, bytes(id), Some(record::encode_standing(standing)))]
        }
        Write::ForgetProject(id) => {
            vec![(Table::Projects, bytes(id), None), (Table::Standings, bytes(id), None)]
        }
        // What that means depends on what is there: the store knows.
        Write::RenameRuns { .. } => Vec::new(),
        Write::Count(count, value) => {
            vec![(Table::Counts, count.key().into_bytes(), Some(record::encode_count(*value)))]
        }
        Write::Audit(line) => vec![super::accounts::audit_entry(line)],
        Write::Run(run) => {
            let id = run.id.to_bytes().to_vec();
            let live = (!run.state.is_ended()).then(Vec::new);
            vec![
                (Table::Runs, id.clone(), Some(record::encode_run(run))),
                (Table::ByProject, of_project(&run.project, run.id), Some(Vec::new())),
                (Table::Live, id, live),
            ]
        }
    }
}

/// What forgetting a run means in keys.
pub(super) fn forget_run(project: &ProjectId, run: RunId) -> Vec<Entry> {
    let id = run.to_bytes().to_vec();
    vec![
        (Table::Runs, id.clone(), None),
        (Table::ByProject, of_project(project, run), None),
        (Table::Live, id, None),
    ]
}

/// The run that a key names: its last 16 bytes.
pub(super) fn run_id(key: &[u8]) -> Option<RunId> {
    key.last_chunk::<16>().map(|bytes| RunId::from_bytes(*bytes))
}

/// Keys from one to another.
pub(super) type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// All runs older than `before`.
pub(super) fn runs_before(before: Option<RunId>) -> Range {
    let end = before.map_or(Bound::Unbounded, |run| Bound::Excluded(run.to_bytes().to_vec()));
    (Bound::Unbounded, end)
}

/// The runs of one project older than `before`.
pub(super) fn runs_of(project: &ProjectId, before: Option<RunId>) -> Range {
    let mut start = bytes(project);
    start.push(0);
    let end = match before {
        Some(run) => Bound::Excluded(of_project(project, run)),
        None => {
            let mut end = bytes(project);
            end.push(1);
            Bound::Excluded(end)
        }
    };
    (Bound::Included(start), end)
}

/// The project that a key of a run by project names, and the first key after all of that project's.
pub(super) fn project_of(key: &[u8]) -> Option<(Option<ProjectId>, Vec<u8>)> {
    let name = key.split(|byte| *byte == 0).next()?;
    let mut after = name.to_vec();
    after.push(1);
    Some((std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()), after))
}

/// A project's name ends with a zero byte, which no name contains: `debian` is no prefix of `debian-cd`.
pub(super) fn of_project(project: &ProjectId, run: RunId) -> Vec<u8> {
    let mut key = bytes(project);
    key.push(0);
    key.extend(run.to_bytes());
    key
}

/// What a plugin keeps for a project: neither name has a zero byte.
pub(super) fn value(project: &ProjectId, plugin: &str, key: &str) -> Vec<u8> {
    [project.as_str(), plugin, key].join("\0").into_bytes()
}

/// All that plugins keep for a project, or one of them.
pub(super) fn values_of(project: &ProjectId, plugin: Option<&str>) -> Range {
    let mut start = bytes(project);
    if let Some(plugin) = plugin {
        start.push(0);
        start.extend(plugin.as_bytes());
    }
    let mut end = start.clone();
    start.push(0);
    end.push(1);
    (Bound::Included(start), Bound::Excluded(end))
}

/// The key of a value whose project has another name.
pub(super) fn value_elsewhere(key: &[u8], from: &ProjectId, to: &ProjectId) -> Vec<u8> {
    let rest = key.get(from.as_str().len()..).unwrap_or_default();
    [to.as_str().as_bytes(), rest].concat()
}

fn bytes(id: &ProjectId) -> Vec<u8> {
    id.as_str().as_bytes().to_vec()
}
