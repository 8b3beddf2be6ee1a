//! When each project is due next: one sorted set, so that equal times never overwrite each other.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use chrono::{DateTime, Utc};

/// Keys and the one time at which each is due.
#[derive(Debug)]
pub struct Timetable<K> {
    by_time: BTreeSet<(DateTime<Utc>, K)>,
    by_key: HashMap<K, DateTime<Utc>>,
}

impl<K: Clone + Ord + Hash> Default for Timetable<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: HashMap::new() }
    }
}

impl<K: Clone + Ord + Hash> Timetable<K> {
    /// Replaces the time of `key`; none takes it off the table.
    pub fn set(&mut self, key: &K, due: Option<DateTime<Utc>>) {
        if let Some(old) = self.by_key.remove(key) {
            self.by_time.remove(&(old, key.clone()));
        }
        if let Some(due) = due {
            self.by_key.insert(key.clone(), due);
            self.by_time.insert((due, key.clone()));
        }
    }

    /// When `key` is due.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<DateTime<Utc>> {
        self.by_key.get(key).copied()
    }

    /// Takes the earliest key that is due at `now`, with its time.
    pub fn pop_due(&mut self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, K)> {
        let first = self.by_time.first().filter(|(due, _)| *due <= now)?.clone();
        self.by_time.remove(&first);
        self.by_key.remove(&first.1);
        Some(first)
    }

    /// The earliest time on the table.
    #[must_use]
    pub fn next(&self) -> Option<DateTime<Utc>> {
        self.by_time.first().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_keys_due_at_one_instant_both_come_out() {
        let now = Utc::now();
        let mut table = Timetable::default();
        table.set(&"a", Some(now));
        table.set(&"b", Some(now));
        table.set(&"b", Some(now + chrono::Duration::seconds(1)));
        table.set(&"c", Some(now));
        table.set(&"c", None);
        assert_eq!(table.pop_due(now), Some((now, "a")));
        assert_eq!(table.pop_due(now), None);
        assert_eq!(table.next(), Some(now + chrono::Duration::seconds(1)));
        assert_eq!(table.get(&"c"), None);
    }
}
