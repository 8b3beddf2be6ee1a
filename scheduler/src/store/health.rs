//! The faults of an open store, as readers see them.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use super::StoreError;

/// The faults of the store that are known now; none: it is sound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreHealth {
    /// The reason why writes are refused.
    pub refusal: Option<String>,
    /// The reason why the high-water mark is behind the newest commit. Writes go on for a minute.
    pub mark: Option<String>,
    /// The tables that could not be read when it was last tried.
    pub unreadable: Vec<UnreadableTable>,
}

/// A table of the store that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableTable {
    /// Its name.
    pub table: &'static str,
    /// The sentence that says where, why, and what to do.
    pub reason: String,
}

/// The one place where faults are noted and looked up.
#[derive(Default)]
pub(super) struct HealthBoard {
    refusal: RwLock<Option<String>>,
    mark: RwLock<Option<String>>,
    unreadable: RwLock<BTreeMap<&'static str, String>>,
}

impl HealthBoard {
    pub(super) fn shown(&self) -> StoreHealth {
        let unreadable = self.unreadable.read().unwrap_or_else(PoisonError::into_inner);
        let unreadable = unreadable.iter();
        StoreHealth {
            refusal: self.refusal.read().unwrap_or_else(PoisonError::into_inner).clone(),
            mark: self.mark.read().unwrap_or_else(PoisonError::into_inner).clone(),
            unreadable: unreadable
                .map(|(table, reason)| UnreadableTable { table, reason: reason.clone() })
                .collect(),
        }
    }

    /// Sets why writes are refused; none: they are taken.
    pub(super) fn set_refusal(&self, reason: Option<String>) {
        *self.refusal.write().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Sets why the mark is behind; none: it is not.
    pub(super) fn set_mark(&self, reason: Option<String>) {
        *self.mark.write().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Remembers which table an error is of, if it is of one.
    pub(super) fn note_error(&self, error: &StoreError) {
        let StoreError::Unreadable { table, .. } = error else { return };
        let reason = error.to_string();
        let mut unreadable = self.unreadable.write().unwrap_or_else(PoisonError::into_inner);
        if unreadable.get(table) != Some(&reason) {
            tracing::error!("{reason}");
            unreadable.insert(table, reason);
        }
    }

    /// Forgets the fault of a table that was read from its first key to its last.
    pub(super) fn note_readable(&self, table: &'static str) {
        self.unreadable.write().unwrap_or_else(PoisonError::into_inner).remove(table);
    }
}
