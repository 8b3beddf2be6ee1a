//! The database: its keyspaces, opening it, writing a batch, and reading a keyspace whole.
//!
//! The only module that knows fjall. Which bytes stand under which key is the business of [`super::keys`].

use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};

use super::keys::{self, Entry, Table};
use super::{SCHEMA, StoreError};

/// Memory for blocks that were read: the working set of a master with thousands of projects.
const CACHE_BYTES: u64 = 32 << 20;
/// Memory for what was written last, per keyspace.
const MEMTABLE_BYTES: u64 = 8 << 20;

/// One key and its value.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// The database and its keyspaces.
pub(super) struct Tables {
    path: PathBuf,
    database: Database,
    meta: Keyspace,
    /// One for each of [`Table::ALL`], in that order.
    keyspaces: Vec<Keyspace>,
}

impl Tables {
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let failed = |error: &fjall::Error| StoreError::Failed {
            path: folder.to_owned(),
            doing: "opening",
            why: in_words(error),
        };
        let database = Database::builder(folder)
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .max_cached_files(Some(64))
            .open()
            .map_err(|error| match error {
                fjall::Error::Locked => StoreError::Locked(folder.to_owned()),
                other => failed(&other),
            })?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let open = |name| database.keyspace(name, options).map_err(|error| failed(&error));
        let keyspaces = Table::ALL.into_iter().map(|table| open(table.name())).collect::<Result<_, _>>()?;
        let tables = Self { meta: open("meta")?, keyspaces, path: folder.to_owned(), database };
        match tables.number(keys::SCHEMA)? {
            None | Some(SCHEMA) => Ok(tables),
            Some(found) => Err(StoreError::Schema { path: folder.to_owned(), found }),
        }
    }

    /// The number of the newest commit.
    pub(super) fn newest_commit(&self) -> Result<u64, StoreError> {
        Ok(self.number(keys::COMMIT)?.unwrap_or(0))
    }

    /// Commits all of it or nothing, with this number, and waits until the disk has it.
    pub(super) fn write(&self, commit: u64, entries: &[Entry]) -> Result<(), StoreError> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for (table, key, value) in entries {
            match value {
                Some(value) => batch.insert(self.keyspace(*table), key.as_slice(), value.as_slice()),
                None => batch.remove(self.keyspace(*table), key.as_slice()),
            }
        }
        batch.insert(&self.meta, keys::COMMIT, commit.to_be_bytes());
        batch.insert(&self.meta, keys::SCHEMA, SCHEMA.to_be_bytes());
        batch.commit().map_err(|error| self.failed("writing", &error))
    }

    /// The id of the history that these records tell; none for the first of a store.
    pub(super) fn history(&self) -> Result<Option<String>, StoreError> {
        let bytes = self.meta.get(keys::HISTORY).map_err(|error| self.failed("reading", &error))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Begins another history under a new id, and waits until the disk has it.
    pub(super) fn begin_history(&self) -> Result<(), StoreError> {
        let id = format!("{:032x}", rand::random::<u128>());
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&self.meta, keys::HISTORY, id.as_bytes());
        batch.commit().map_err(|error| self.failed("writing", &error))
    }

    /// One value.
    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = self.keyspace(table).get(key).map_err(|error| self.failed("reading", &error))?;
        Ok(bytes.map(|bytes| bytes.to_vec()))
    }

    /// The newest key.
    pub(super) fn last_key(&self, table: Table) -> Result<Option<Vec<u8>>, StoreError> {
        let last = self.keyspace(table).last_key_value().map(fjall::Guard::key).transpose();
        Ok(last.map_err(|error| self.failed("reading", &error))?.map(|key| key.to_vec()))
    }

    /// The first key from `from` on.
    pub(super) fn key_from(&self, table: Table, from: Vec<u8>) -> Result<Option<Vec<u8>>, StoreError> {
        let next = self.keyspace(table).range(from..).next().map(fjall::Guard::key).transpose();
        Ok(next.map_err(|error| self.failed("reading", &error))?.map(|key| key.to_vec()))
    }

    /// Keys within a range, the greatest first.
    pub(super) fn newest_keys(
        &self,
        table: Table,
        range: keys::Range,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let keys = self.keyspace(table).range(range).rev().take(limit).map(fjall::Guard::key);
        keys.map(|key| key.map(|key| key.to_vec()).map_err(|error| self.failed("reading", &error))).collect()
    }

    /// Every pair within a range.
    pub(super) fn within(&self, table: Table, range: keys::Range) -> Result<Vec<Pair>, StoreError> {
        self.pairs(self.keyspace(table).range(range)).collect()
    }

    /// Every pair of a keyspace.
    pub(super) fn all(&self, table: Table) -> Result<Vec<Pair>, StoreError> {
        self.pairs(self.keyspace(table).iter()).collect()
    }

    /// The database as it is now, whatever is written meanwhile.
    pub(super) fn still(&self) -> Still<'_> {
        Still { tables: self, snapshot: self.database.snapshot() }
    }

    /// Writes everything out, so that the next start is fast.
    pub(super) fn flush(&self) {
        for table in self.keyspaces.iter().chain([&self.meta]) {
            // The journal has everything already; this only saves the next start from reading it again.
            let _ = table.rotate_memtable_and_wait();
        }
    }

    /// What went wrong, for a person.
    pub(super) fn failed(&self, doing: &'static str, error: &fjall::Error) -> StoreError {
        StoreError::Failed { path: self.path.clone(), doing, why: in_words(error) }
    }

    fn keyspace(&self, table: Table) -> &Keyspace {
        // `Table::ALL` is in the order of the variants, which a test holds.
        &self.keyspaces[table as usize]
    }

    fn number(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let bytes = self.meta.get(key).map_err(|error| self.failed("opening", &error))?;
        Ok(bytes.and_then(|bytes| bytes.as_ref().try_into().ok().map(u64::from_be_bytes)))
    }

    fn pairs(&self, items: fjall::Iter) -> impl Iterator<Item = Result<Pair, StoreError>> + use<'_> {
        items.map(|item| {
            let pair = item.into_inner().map_err(|error| self.failed("reading", &error))?;
            Ok((pair.0.to_vec(), pair.1.to_vec()))
        })
    }
}

/// The database as it was at one moment.
pub(super) struct Still<'a> {
    tables: &'a Tables,
    snapshot: Snapshot,
}

impl Still<'_> {
    /// The number of its newest commit.
    pub(super) fn newest_commit(&self) -> Result<u64, StoreError> {
        let bytes = self.snapshot.get(&self.tables.meta, keys::COMMIT);
        let bytes = bytes.map_err(|error| self.tables.failed("reading", &error))?;
        Ok(bytes.and_then(|bytes| bytes.as_ref().try_into().ok().map(u64::from_be_bytes)).unwrap_or(0))
    }

    /// Every pair of a keyspace.
    pub(super) fn all(&self, table: Table) -> impl Iterator<Item = Result<Pair, StoreError>> {
        self.tables.pairs(self.snapshot.iter(self.tables.keyspace(table)))
    }
}

/// What the database says, without its own vocabulary where a person needs none.
fn in_words(error: &fjall::Error) -> String {
    match error {
        fjall::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}
