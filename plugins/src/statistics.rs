//! How the calls of a plugin went: counts by what it was asked, and how long the newest took.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::settings::Part;

/// How many calls the percentiles look at.
const NEWEST: usize = 1024;

/// What a plugin was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Its vote before an attempt.
    PreSync,
    /// Its judgement after one.
    PostSync,
    /// Which runs start next.
    Pick,
    /// When a project is due again.
    NextDelay,
}

impl Asked {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::PreSync, Self::PostSync, Self::Pick, Self::NextDelay];

    /// As the contract names its function.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreSync => "pre-sync",
            Self::PostSync => "post-sync",
            Self::Pick => "pick",
            Self::NextDelay => "next-delay",
        }
    }

    /// The part that it asks.
    #[must_use]
    pub fn part(self) -> Part {
        match self {
            Self::PreSync => Part::PreSync,
            Self::PostSync => Part::PostSync,
            Self::Pick | Self::NextDelay => Part::Policy,
        }
    }
}

/// What its calls of one kind come to, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// All of them.
    pub calls: u64,
    /// Those without an answer.
    pub failures: u64,
    /// Time in all of them together.
    pub total: Duration,
}

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
    by_hook: [Tally; Asked::ALL.len()],
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
    pub(crate) fn note(&self, asked: Asked, took: Duration) {
        let mut account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = usize::try_from(account.calls).unwrap_or_default() % NEWEST;
        account.calls += 1;
        account.total += took;
        let tally = &mut account.by_hook[asked as usize];
        tally.calls += 1;
        tally.total += took;
        match account.newest.get_mut(at) {
            Some(old) => *old = took,
            None => account.newest.push(took),
        }
    }

    pub(crate) fn note_failure(&self, asked: Asked, trap: bool) {
        let mut account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        account.failures += 1;
        account.by_hook[asked as usize].failures += 1;
        account.traps += u64::from(trap);
    }

    pub(crate) fn tally(&self, asked: Asked) -> Tally {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_hook[asked as usize]
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
            statistics.note(Asked::PreSync, Duration::from_secs(9));
        }
        for millis in 0..NEWEST {
            statistics.note(Asked::Pick, Duration::from_millis(millis as u64));
        }
        statistics.note_failure(Asked::Pick, true);
        statistics.note_failure(Asked::PreSync, false);
        let latency = statistics.latency();
        assert_eq!((latency.calls, latency.failures, latency.traps), (2048, 2, 1));
        let picks = statistics.tally(Asked::Pick);
        assert_eq!((picks.calls, picks.failures, picks.total), (1024, 1, Duration::from_millis(1023 * 512)));
        assert_eq!(
            (statistics.tally(Asked::PreSync).calls, statistics.tally(Asked::NextDelay)),
            (1024, Tally::default())
        );
        assert_eq!(latency.p50, Duration::from_millis(512));
        assert_eq!(latency.p99, Duration::from_millis(1013));
    }
}
