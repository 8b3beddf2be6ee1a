//! The database: its keyspaces, opening it, writing a batch, and reading a keyspace whole.
//!
//! The only module that knows fjall. Which bytes stand under which key is the business of [`super::keys`].

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use engine::durable;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};

use super::inspection::{KEYSPACES, is_made};
use super::keys::{self, Entry, Table};
use super::shadow::ShadowFolder;
use super::torn::TornTail;
use super::{SCHEMA, StoreError};

/// Memory for blocks that were read: the working set of a master with thousands of projects.
const CACHE_BYTES: u64 = 32 << 20;
/// Memory for what was written last to one keyspace, after which fjall writes it out.
const MEMTABLE_BYTES: u64 = 8 << 20;
/// Bytes in all keyspaces together after which all of them are written out. fjall has no such bound: a keyspace that is
/// seldom written keeps its memory, and every journal that it stands in.
pub(super) const UNWRITTEN_BYTES: u64 = 8 << 20;
/// Bytes of journals beside the newest, from which the keyspaces that need the oldest are written out; 64 MiB is the
/// least that fjall takes.
const JOURNAL_BYTES: u64 = 64 << 20;
/// Bytes that a record takes in memory beside its key and value.
const RECORD_BYTES: u64 = 64;

/// Keyspace of the store's own numbers.
const META: &str = "meta";
/// Tables in memory of one keyspace that may wait for the disk; at four fjall stops a writer.
const MOST_SEALED: usize = 2;
/// Pause between two looks at the worker of the database.
const WORKER_PAUSE: Duration = Duration::from_millis(5);

/// One key and its value.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// The database and its keyspaces.
pub(super) struct Tables {
    path: PathBuf,
    database: Database,
    meta: Keyspace,
    /// One for each of [`Table::ALL`], in that order.
    keyspaces: Vec<Keyspace>,
    /// The names of these, as the store lists them.
    names: String,
    /// Whether the store lists them already.
    is_listed: AtomicBool,
    /// Bytes that were written since all keyspaces were written out.
    unwritten: AtomicU64,
    /// The folder in which a copy stands; dropped after the database.
    shadow: Option<ShadowFolder>,
}

impl Tables {
    /// Opens the database in `folder`. One that is not there is not made: that would hide what went wrong.
    ///
    /// # Errors
    /// When there is none, when another process has it, when a newer program wrote it, when it is damaged, or when
    /// the system refuses.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        if !is_made(folder) {
            return Err(damaged(folder, "there is no store".to_owned()));
        }
        let refusal = match Self::make(folder) {
            Err(refusal @ StoreError::Damaged { .. }) => refusal,
            opened => return opened,
        };
        let Some(torn) = find_torn(folder)? else { return Err(refusal) };

        // What is left without it is looked at in a copy, before anything is cut off here.
        let shadow = Self::open_shadow(folder)?;
        super::compare_with_mark(folder, shadow.newest_commit()?)?;
        drop(shadow);
        tracing::warn!(
            "a power cut has torn a commit that nobody was told of: {} ends at byte {} now",
            torn.journal.display(),
            torn.end
        );
        torn.cut().map_err(|error| opening_failed(folder, &error.into()))?;
        Self::make(folder)
    }

    /// Opens the database in `folder`, and makes it where there is none.
    ///
    /// # Errors
    /// As for [`Tables::open`].
    pub(super) fn make(folder: &Path) -> Result<Self, StoreError> {
        // fjall panics where a file is not what it expects.
        let opened = catch_unwind(AssertUnwindSafe(|| Self::open_database(folder)));
        opened
            .unwrap_or_else(|_| Err(damaged(folder, "the database gave up, for the reason above".to_owned())))
    }

    /// Opens a copy of the store for reading; nothing in its own folder is changed.
    ///
    /// # Errors
    /// When the store is damaged, or no file system takes the copy.
    pub(super) fn open_shadow(folder: &Path) -> Result<Self, StoreError> {
        let shadow = ShadowFolder::of(folder)?;
        if !is_made(folder) {
            return Err(damaged(folder, "there is no store".to_owned()));
        }
        let tables = match Self::make(shadow.path()) {
            Err(refusal @ StoreError::Damaged { .. }) => {
                let Some(torn) = find_torn(shadow.path())? else { return Err(refusal) };
                torn.cut().map_err(|error| opening_failed(folder, &error.into()))?;
                Self::make(shadow.path())?
            }
            opened => opened?,
        };
        Ok(Self { path: folder.to_owned(), shadow: Some(shadow), ..tables })
    }

    fn open_database(folder: &Path) -> Result<Self, StoreError> {
        let failed = |error: fjall::Error| opening_failed(folder, &error);
        let database = Database::builder(folder)
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .max_journaling_size(JOURNAL_BYTES)
            .max_cached_files(Some(64))
            .open()
            .map_err(failed)?;
        let there: BTreeSet<String> =
            database.list_keyspace_names().iter().map(ToString::to_string).collect();
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let open = |name| database.keyspace(name, options).map_err(failed);

        // A keyspace that was there once must not come back empty.
        let meta = open(META)?;
        let listed = meta.get(keys::KEYSPACES).map_err(failed)?;
        let listed = listed.map(|names| String::from_utf8_lossy(&names).into_owned()).unwrap_or_default();
        if let Some(lost) = listed.split_terminator('\n').find(|name| !there.contains(*name)) {
            return Err(damaged(folder, format!("the folder of table {lost} below `keyspaces` is missing")));
        }

        let keyspaces = Table::ALL.into_iter().map(|table| open(table.name())).collect::<Result<_, _>>()?;
        if there.len() <= Table::ALL.len() {
            // fjall makes the folder of a keyspace, and does not sync the one that it is in.
            let synced = durable::sync_folder(&folder.join(KEYSPACES));
            synced.map_err(|error| failed(error.into()))?;
        }
        let names = Table::ALL.map(Table::name).join("\n");
        let is_listed = AtomicBool::new(listed == names);
        let tables = Self {
            path: folder.to_owned(),
            database,
            meta,
            keyspaces,
            names,
            is_listed,
            unwritten: AtomicU64::new(0),
            shadow: None,
        };
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
        self.await_room()?;
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for (table, key, value) in entries {
            match value {
                Some(value) => batch.insert(self.keyspace(*table), key.as_slice(), value.as_slice()),
                None => batch.remove(self.keyspace(*table), key.as_slice()),
            }
        }
        batch.insert(&self.meta, keys::COMMIT, commit.to_be_bytes());
        batch.insert(&self.meta, keys::SCHEMA, SCHEMA.to_be_bytes());
        if !self.is_listed.load(Ordering::Acquire) {
            batch.insert(&self.meta, keys::KEYSPACES, self.names.as_bytes());
        }
        batch.commit().map_err(|error| self.failed("writing", &error))?;
        self.is_listed.store(true, Ordering::Release);
        self.bound_memory(entries);
        Ok(())
    }

    /// Has everything written out once much was written. The journal has it already: a failure is the next commit's.
    fn bound_memory(&self, entries: &[Entry]) {
        let size = |(_, key, value): &Entry| key.len() + value.as_ref().map_or(0, Vec::len);
        let bytes: u64 = entries.iter().map(|entry| size(entry) as u64 + RECORD_BYTES).sum();
        if self.unwritten.fetch_add(bytes, Ordering::AcqRel) + bytes < UNWRITTEN_BYTES {
            return;
        }

        self.unwritten.store(0, Ordering::Release);
        for keyspace in self.every_keyspace() {
            if let Err(error) = self.sound().and_then(|()| self.rotate(keyspace)) {
                tracing::warn!("{error}");
                return;
            }
        }
    }

    /// Has what was written last to a keyspace written out, beside what goes on.
    fn rotate(&self, keyspace: &Keyspace) -> Result<(), StoreError> {
        keyspace.rotate_memtable().map(drop).map_err(|error| self.failed("writing out", &error))
    }

    /// Writes what another store says of itself.
    pub(super) fn write_numbers(&self, pairs: Vec<Pair>) -> Result<(), StoreError> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for (key, value) in pairs {
            batch.insert(&self.meta, key, value);
        }
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

    /// Waits until the worker of the database has caught up. fjall itself waits without an end if it has died.
    fn await_room(&self) -> Result<(), StoreError> {
        let is_behind = |keyspace: &Keyspace| keyspace.sealed_memtable_count() > MOST_SEALED;
        while self.every_keyspace().any(is_behind) {
            self.sound()?;
            std::thread::park_timeout(WORKER_PAUSE);
        }
        Ok(())
    }

    /// Returns an error if the database takes no more writes.
    fn sound(&self) -> Result<(), StoreError> {
        self.database.persist(PersistMode::Buffer).map_err(|error| self.failed("writing", &error))
    }

    fn every_keyspace(&self) -> impl Iterator<Item = &Keyspace> {
        self.keyspaces.iter().chain([&self.meta])
    }

    /// One value.
    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = self.keyspace(table).get(key).map_err(|error| self.unreadable(table, &error))?;
        Ok(bytes.map(|bytes| bytes.to_vec()))
    }

    /// The newest key.
    pub(super) fn last_key(&self, table: Table) -> Result<Option<Vec<u8>>, StoreError> {
        let last = self.keyspace(table).last_key_value().map(fjall::Guard::key).transpose();
        Ok(last.map_err(|error| self.unreadable(table, &error))?.map(|key| key.to_vec()))
    }

    /// The first key from `from` on.
    pub(super) fn key_from(&self, table: Table, from: Vec<u8>) -> Result<Option<Vec<u8>>, StoreError> {
        let next = self.keyspace(table).range(from..).next().map(fjall::Guard::key).transpose();
        Ok(next.map_err(|error| self.unreadable(table, &error))?.map(|key| key.to_vec()))
    }

    /// Keys within a range, the greatest first.
    pub(super) fn newest_keys(
        &self,
        table: Table,
        range: keys::Range,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let keys = self.keyspace(table).range(range).rev().take(limit).map(fjall::Guard::key);
        keys.map(|key| key.map(|key| key.to_vec()).map_err(|error| self.unreadable(table, &error))).collect()
    }

    /// Every pair within a range.
    pub(super) fn within(&self, table: Table, range: keys::Range) -> Result<Vec<Pair>, StoreError> {
        self.pairs(table, self.keyspace(table).range(range)).collect()
    }

    /// Every pair of a keyspace.
    pub(super) fn all(&self, table: Table) -> Result<Vec<Pair>, StoreError> {
        self.pairs(table, self.keyspace(table).iter()).collect()
    }

    /// The database as it is now, whatever is written meanwhile.
    pub(super) fn still(&self) -> Still<'_> {
        Still { tables: self, snapshot: self.database.snapshot() }
    }

    /// Writes everything into the tables, and closes the database. Nobody may write any more. Returns the store's folder
    /// if the tables have all that the journals hold; after a failure, the next opening has it from there.
    pub(super) fn close(self) -> Option<PathBuf> {
        let is_whole = self.flush().is_ok();
        let Self { path, database, meta, keyspaces, shadow, .. } = self;
        drop((keyspaces, meta, database));
        (is_whole && shadow.is_none()).then_some(path)
    }

    /// Writes everything into the tables. The journal has it already: a failure changes nothing.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        for keyspace in self.every_keyspace() {
            self.sound()?;
            self.rotate(keyspace)?;
        }
        while self.every_keyspace().any(|keyspace| keyspace.sealed_memtable_count() > 0) {
            self.sound()?;
            std::thread::park_timeout(WORKER_PAUSE);
        }
        self.sound()
    }

    /// Files that hold what was written out of a table.
    #[cfg(test)]
    pub(super) fn table_files(&self, table: Table) -> usize {
        self.keyspace(table).table_count()
    }

    /// What went wrong, for a person.
    pub(super) fn failed(&self, doing: &'static str, error: &fjall::Error) -> StoreError {
        StoreError::Failed { path: self.path.clone(), doing, why: in_words(error) }
    }

    fn unreadable(&self, table: Table, error: &fjall::Error) -> StoreError {
        let inside = self.keyspace(table).path().strip_prefix(self.database_path()).map(Path::to_owned);
        StoreError::Unreadable {
            table: table.name(),
            folder: self.path.join(inside.unwrap_or_default()),
            why: in_words(error),
        }
    }

    /// The folder that the database was opened in: the store's own or that of its copy.
    fn database_path(&self) -> &Path {
        self.shadow.as_ref().map_or(&self.path, ShadowFolder::path)
    }

    fn keyspace(&self, table: Table) -> &Keyspace {
        // `Table::ALL` is in the order of the variants, which a test holds.
        &self.keyspaces[table as usize]
    }

    fn number(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let bytes = self.meta.get(key).map_err(|error| self.failed("opening", &error))?;
        Ok(bytes.and_then(|bytes| bytes.as_ref().try_into().ok().map(u64::from_be_bytes)))
    }

    fn pairs(
        &self,
        table: Table,
        items: fjall::Iter,
    ) -> impl Iterator<Item = Result<Pair, StoreError>> + use<'_> {
        items.map(move |item| {
            let pair = item.into_inner().map_err(|error| self.unreadable(table, &error))?;
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

    /// What the store says of itself, its own number apart.
    pub(super) fn numbers(&self) -> Result<Vec<Pair>, StoreError> {
        let mut pairs = Vec::new();
        for item in self.snapshot.iter(&self.tables.meta) {
            let (key, value) = item.into_inner().map_err(|error| self.tables.failed("reading", &error))?;
            if !keys::OWN.iter().any(|own| own.as_bytes() == &*key) {
                pairs.push((key.to_vec(), value.to_vec()));
            }
        }
        Ok(pairs)
    }

    /// Every pair of a keyspace.
    pub(super) fn all(&self, table: Table) -> impl Iterator<Item = Result<Pair, StoreError>> {
        self.tables.pairs(table, self.snapshot.iter(self.tables.keyspace(table)))
    }
}

/// An opening that failed: for want of room, for a file that is missing or wrong, or for what the system said.
fn opening_failed(folder: &Path, error: &fjall::Error) -> StoreError {
    let path = folder.to_owned();
    match error {
        fjall::Error::Locked => StoreError::Locked(path),
        fjall::Error::Io(io) | fjall::Error::Storage(fjall::LsmError::Io(io)) => {
            let (doing, why) = ("opening", io.to_string());
            match io.kind() {
                ErrorKind::StorageFull
                | ErrorKind::QuotaExceeded
                | ErrorKind::FileTooLarge
                | ErrorKind::ReadOnlyFilesystem => StoreError::NoRoom { path, doing, why },
                _ => StoreError::Failed { path, doing, why },
            }
        }
        other => damaged(folder, format!("a journal, a manifest or a table there cannot be read ({other})")),
    }
}

fn find_torn(folder: &Path) -> Result<Option<TornTail>, StoreError> {
    TornTail::find(folder).map_err(|error| opening_failed(folder, &error.into()))
}

fn damaged(folder: &Path, fault: String) -> StoreError {
    StoreError::Damaged { file: folder.to_owned(), fault }
}

/// What the database says, without its own vocabulary where a person needs none.
fn in_words(error: &fjall::Error) -> String {
    match error {
        fjall::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}
