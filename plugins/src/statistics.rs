//! How the calls of a plugin went: counts, and how long the newest took.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many calls the percentiles look at.
const NEWEST: usize = 1024;

/// The account of one plugin.
#[derive(Debug, Default)]
pub(crate) struct Statistics(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    calls: u64,
    failures: u64,
    traps: u64,
    total: Duration,
    newest: Vec<Duration>,
}

/// What it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// All calls since the start.
    pub calls: u64,
    /// Those without an answer.
    pub failures: u64,
    /// Those among them that were stopped or stopped themselves.
    pub traps: u64,
    /// Time in all calls together.
    pub total: Duration,
    /// The middle of the newest calls.
    pub p50: Duration,
    /// One in a hundred of the newest took longer.
    pub p99: Duration,
}

impl Statistics {
    pub(crate) fn note(&self, took: Duration) {
        let mut account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = usize::try_from(account.calls).unwrap_or_default() % NEWEST;
        account.calls += 1;
        account.total += took;
        match account.newest.get_mut(at) {
            Some(old) => *old = took,
            None => account.newest.push(took),
        }
    }

    pub(crate) fn note_failure(&self, trap: bool) {
        let mut account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        account.failures += 1;
        account.traps += u64::from(trap);
    }

    pub(crate) fn latency(&self) -> Latency {
        let account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Account { calls, failures, traps, total, .. } = *account;
        let mut newest = account.newest.clone();
        drop(account);
        newest.sort_unstable();
        let at = |percent: usize| newest.get(newest.len() * percent / 100).copied().unwrap_or_default();
        Latency { calls, failures, traps, total, p50: at(50), p99: at(99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_newest_calls_and_counts_of_all() {
        let statistics = Statistics::default();
        assert_eq!(statistics.latency(), Latency::default());
        for _ in 0..NEWEST {
            statistics.note(Duration::from_secs(9));
        }
        for millis in 0..NEWEST {
            statistics.note(Duration::from_millis(millis as u64));
        }
        statistics.note_failure(true);
        statistics.note_failure(false);
        let latency = statistics.latency();
        assert_eq!((latency.calls, latency.failures, latency.traps), (2048, 2, 1));
        assert_eq!(latency.p50, Duration::from_millis(512));
        assert_eq!(latency.p99, Duration::from_millis(1013));
    }
}
