//! The store of mirror-sync-api (2014): two `SQLite` files, opened for reading only.
//!
//! `jobs.sqlite` is the job store of APScheduler 3.0, one pickled job for each project; `master.db` has the users and
//! the slaves. The pickles are read as data ([`super::pickle`]); no Python is needed, and none runs.

mod job;
mod when;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::{ByHand, Content, Entry, Import, ImportError, Note, Weight, pickle};

/// The most rows that are read of a table.
const MAX_ROWS: usize = 100_000;

/// Reads the store in a folder, or in its `master` folder, where the API's own paths put the second file.
///
/// # Errors
/// When there is no job store, or it is not one of APScheduler 3. A single job that cannot be read is a note.
pub fn read(folder: &Path) -> Result<Import, ImportError> {
    if !folder.is_dir() {
        return Err(ImportError::new(folder, "is not a folder: give the one that holds jobs.sqlite"));
    }
    let jobs = find(folder, "jobs.sqlite").ok_or_else(|| {
        ImportError::new(folder, "holds no jobs.sqlite: give the folder in which master.py was started")
    })?;
    let mut import =
        Import { origin: format!("the mirror-sync-api store {}", folder.display()), ..Import::default() };
    for row in job_rows(&jobs)? {
        add_job(&mut import, folder, row);
        import.check_size(&jobs)?;
    }
    match find(folder, "master.db") {
        Some(path) => accounts(&path, &mut import)?,
        None => import.note(
            Weight::Unmapped,
            "master.db",
            None,
            format!(
                "is not in {} nor in its folder `master`: users and slaves are not listed",
                folder.display()
            ),
        ),
    }
    import.note(
        Weight::Unmapped,
        "MASTER_RSYNCD_PASSWORD, MASTER_RSYNCD_MODULE, SLAVE_PUBLIC_DIR",
        None,
        "settings.py is a program and is not read; what slaves pull with stands in heliostat.ron under `rsyncd`",
    );
    import.note(
        Weight::Otherwise,
        "max_instances, coalesce, misfire_grace_time",
        None,
        "a project never overlaps itself, a missed time is caught up once, and none is dropped for being late",
    );
    import.check();
    Ok(import)
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    [folder.join(name), folder.join("master").join(name)].into_iter().find(|path| path.is_file())
}

fn open(path: &Path) -> Result<Connection, ImportError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let store = Connection::open_with_flags(path, flags)
        .map_err(|error| ImportError::new(path, error.to_string()))?;
    // A file from elsewhere must not bring functions and triggers of its own.
    store
        .execute_batch("PRAGMA trusted_schema = OFF; PRAGMA query_only = ON; PRAGMA cell_size_check = ON;")
        .map_err(|error| {
            ImportError::new(path, format!("is not an SQLite file that can be read: {error}"))
        })?;
    Ok(store)
}

/// The columns of a table (not of a view), or none.
fn columns(store: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let is_table = store
        .query_row("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1", [table], |_| Ok(()))
        .optional()?;
    if is_table.is_none() {
        return Ok(Vec::new());
    }
    let mut statement = store.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    names.collect()
}

struct JobRow {
    id: String,
    /// Without a next time it is disabled.
    enabled: bool,
    /// The pickle, unless it is none or too long.
    state: Option<Vec<u8>>,
}

fn job_rows(path: &Path) -> Result<Vec<JobRow>, ImportError> {
    let store = open(path)?;
    let wrong = |error: rusqlite::Error| ImportError::new(path, format!("cannot be read: {error}"));
    let known = columns(&store, "apscheduler_jobs").map_err(wrong)?;
    let has = |name: &str| known.iter().any(|column| column == name);
    if has("func_ref") {
        return Err(ImportError::new(
            path,
            "is a job store of APScheduler 2; the API that kept projects in a file used 3.0, and only that is read",
        ));
    }
    if !(has("id") && has("next_run_time") && has("job_state")) {
        return Err(ImportError::new(path, "has no table `apscheduler_jobs` as APScheduler 3 makes it"));
    }
    let sql = "SELECT CAST(id AS TEXT), next_run_time IS NOT NULL, \
               CASE WHEN typeof(job_state) = 'blob' AND length(job_state) <= ?1 THEN job_state END \
               FROM apscheduler_jobs ORDER BY id";
    let mut statement = store.prepare(sql).map_err(wrong)?;
    let row = |row: &Row<'_>| Ok(JobRow { id: row.get(0)?, enabled: row.get(1)?, state: row.get(2)? });
    let rows =
        statement.query_map([i64::try_from(pickle::MAX_BYTES).unwrap_or_default()], row).map_err(wrong)?;
    rows.take(MAX_ROWS).collect::<Result<_, _>>().map_err(wrong)
}

fn add_job(import: &mut Import, folder: &Path, JobRow { id, enabled, state }: JobRow) {
    let mut notes = Vec::new();
    let read = match state {
        None => Err(format!("its state is no pickle of at most {} bytes", pickle::MAX_BYTES)),
        Some(bytes) => pickle::read(&bytes)
            .map_err(|error| format!("its pickle {error}"))
            .and_then(|state| job::project(&id, state.root(), folder, &mut notes)),
    };
    let note = |option: String, value, advice, harmless: bool| Note {
        weight: if harmless { Weight::Otherwise } else { Weight::Unmapped },
        mirror: Some(id.clone()),
        option,
        value,
        advice,
    };
    let content = match read {
        Ok(mut project) => {
            if !enabled {
                project.rests.get_or_insert_with(|| "it was disabled".to_owned());
            }
            import.notes.extend(notes.into_iter().map(|job::JobNote { option, value, advice, harmless }| {
                note(option, value, advice, harmless)
            }));
            Content::Taken(Box::new(project))
        }
        Err(why) => {
            import.notes.push(note("job".to_owned(), None, format!("it is left out: {why}"), false));
            Content::Unmapped(why, Vec::new())
        }
    };
    import.entries.push(Entry { name: id, content });
}

fn accounts(path: &Path, import: &mut Import) -> Result<(), ImportError> {
    let store = open(path)?;
    for (table, kind, name, detail) in
        [("user", "user", "username", "role"), ("slaves", "node", "hostname", "port")]
    {
        let wrong = |error: rusqlite::Error| ImportError::new(path, format!("cannot be read: {error}"));
        let known = columns(&store, table).map_err(wrong)?;
        if ![name, detail].iter().all(|column| known.iter().any(|known| known == column)) {
            import.note(
                Weight::Unmapped,
                "master.db",
                None,
                format!("has no table `{table}` with {name} and {detail}: no {kind}s are listed"),
            );
            continue;
        }
        let sql = format!(
            "SELECT CAST(\"{name}\" AS TEXT), CAST(\"{detail}\" AS TEXT) FROM \"{table}\" \
             WHERE length(\"{name}\") <= 200 ORDER BY 1"
        );
        let mut statement = store.prepare(&sql).map_err(wrong)?;
        let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?));
        for pair in statement.query_map([], row).map_err(wrong)?.take(MAX_ROWS) {
            let (name, value) = pair.map_err(wrong)?;
            let detail = value.unwrap_or_default().chars().take(100).collect();
            import.by_hand.push(ByHand { kind, name, detail });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
