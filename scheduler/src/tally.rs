//! What has come about since the store was made, counted in the same commit as what it counts.
//!
//! So a crash neither loses a run from the counts nor counts one twice, and a graph of them has no steps at restarts.

use std::collections::BTreeMap;

use crate::core::Effect;
use crate::event::EventKind;
use crate::run::Run;

/// One thing that is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Count {
    /// Runs that ended.
    Runs {
        /// How, as the API spells it.
        result: String,
        /// The class of the last attempt; `none` without one.
        class: String,
    },
    /// Attempts that failed and are followed by another.
    Retries,
    /// Schedule times that were passed over.
    Skipped,
    /// Runs that the guard held.
    Holds,
    /// Bytes that rsync received in runs that ended.
    Received,
    /// Files that were transferred in runs that ended.
    Transferred,
    /// Paths that were deleted in runs that ended.
    Deleted,
}

impl Count {
    /// Its key in the store: words with zero bytes between them.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Runs { result, class } => format!("runs\0{result}\0{class}"),
            Self::Retries => "retries".to_owned(),
            Self::Skipped => "skipped".to_owned(),
            Self::Holds => "holds".to_owned(),
            Self::Received => "received".to_owned(),
            Self::Transferred => "transferred".to_owned(),
            Self::Deleted => "deleted".to_owned(),
        }
    }

    /// What a key in the store stands for; none: a newer program counts it.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        let mut words = key.split('\0');
        let count = match (words.next()?, words.next(), words.next()) {
            ("runs", Some(result), Some(class)) => {
                Self::Runs { result: result.to_owned(), class: class.to_owned() }
            }
            ("retries", None, None) => Self::Retries,
            ("skipped", None, None) => Self::Skipped,
            ("holds", None, None) => Self::Holds,
            ("received", None, None) => Self::Received,
            ("transferred", None, None) => Self::Transferred,
            ("deleted", None, None) => Self::Deleted,
            _ => return None,
        };
        words.next().is_none().then_some(count)
    }
}

/// The counts.
pub type Tally = BTreeMap<Count, u64>;

/// The counts that these effects change, with their new values.
pub(crate) fn after(tally: &Tally, effects: &[Effect]) -> Tally {
    let mut changed = Tally::new();
    let mut add = |count: Count, by: u64| {
        if by > 0 {
            let value =
                changed.entry(count.clone()).or_insert_with(|| tally.get(&count).copied().unwrap_or(0));
            *value = value.saturating_add(by);
        }
    };
    for effect in effects {
        let Effect::Publish(_, kind) = effect else { continue };
        match kind {
            EventKind::RunEnded(run) => ended(run, &mut add),
            EventKind::RunRetry(_) => add(Count::Retries, 1),
            EventKind::RunHeld(_) => add(Count::Holds, 1),
            EventKind::ScheduleSkipped { .. } => add(Count::Skipped, 1),
            _ => {}
        }
    }
    changed
}

fn ended(run: &Run, add: &mut impl FnMut(Count, u64)) {
    let ends = || run.attempts.iter().filter_map(|attempt| attempt.end.as_ref());
    let class = ends().next_back().map_or_else(|| "none".to_owned(), |end| end.class.clone());
    add(Count::Runs { result: run.state.as_str().to_owned(), class }, 1);
    for end in ends() {
        if let Some(stats) = &end.stats {
            add(Count::Received, stats.received);
            add(Count::Transferred, stats.transferred);
        }
        add(Count::Deleted, end.changes.deleted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_read_as_it_is_written() {
        let runs = Count::Runs { result: "failed".to_owned(), class: "network".to_owned() };
        for count in [
            runs,
            Count::Retries,
            Count::Skipped,
            Count::Holds,
            Count::Received,
            Count::Transferred,
            Count::Deleted,
        ] {
            assert_eq!(Count::of_key(&count.key()), Some(count));
        }
        for strange in ["", "runs", "runs\0a", "runs\0a\0b\0c", "news"] {
            assert_eq!(Count::of_key(strange), None, "{strange:?}");
        }
    }
}
