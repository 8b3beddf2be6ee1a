//! A run that the guard holds: what it would delete, since when it waits, and who let it go on.

use chrono::{DateTime, Utc};

use super::RunId;
use crate::guard::Amount;

/// Why a run is held, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Since when; a plan that was made again later does not change it.
    pub since: DateTime<Utc>,
    /// What it would delete, as it was found last.
    pub plan: Plan,
    /// How it came to go on; none: it is still held.
    pub released: Option<Release>,
}

/// How a held run came to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// When.
    pub at: DateTime<Utc>,
    /// Who approved its plan; none: a later plan was harmless.
    pub by: Option<String>,
}

/// What a run would delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// A digest of the paths, and of where they are: equal plans delete the same.
    pub digest: String,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// What would go.
    pub deletions: Amount,
    /// What there is.
    pub tree: Amount,
    /// Paths that would be created.
    pub created: u64,
    /// Paths that would be updated.
    pub updated: u64,
    /// Why a person is asked, in one sentence.
    pub reason: String,
    /// The run whose file lists the paths: this one, or the one that it repeats.
    pub listed_by: RunId,
}

impl Hold {
    /// Whether it waits for a person.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.released.is_none()
    }

    /// Who approved its plan, if anyone did.
    #[must_use]
    pub fn approved_by(&self) -> Option<&str> {
        self.released.as_ref()?.by.as_deref()
    }
}
