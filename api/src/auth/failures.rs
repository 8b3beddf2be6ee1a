//! Wrong logins, counted by address and by name, so that nobody can guess for long.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a wrong login counts.
const WINDOW: Duration = Duration::from_mins(1);
/// How many wrong logins one address has in that time.
const PER_ADDRESS: u32 = 20;
/// How many wrong logins one name has in that time, wherever they come from.
const PER_NAME: u32 = 60;
/// How many addresses and names are remembered; beyond that, the oldest are forgotten.
const REMEMBERED: usize = 10_000;

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Failures {
    counts: Mutex<HashMap<Key, Count>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    Name(String),
}

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Instant,
    wrong: u32,
}

impl Failures {
    /// How long whoever comes from there, or with that name, must wait; none: not at all.
    pub(super) fn wait(&self, from: Option<IpAddr>, name: Option<&str>) -> Option<Duration> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = keys(from, name).into_iter().filter_map(|(key, most)| {
            let count = counts.get(&key).filter(|count| count.wrong >= most)?;
            WINDOW.checked_sub(count.since.elapsed())
        });
        waits.max()
    }

    /// Counts a wrong login.
    pub(super) fn note(&self, from: Option<IpAddr>, name: Option<&str>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= REMEMBERED {
            counts.retain(|_, count| count.since.elapsed() < WINDOW);
        }
        if counts.len() >= REMEMBERED {
            counts.clear();
        }
        for (key, _) in keys(from, name) {
            let fresh = Count { since: Instant::now(), wrong: 0 };
            let count = counts.entry(key).or_insert(fresh);
            if count.since.elapsed() >= WINDOW {
                *count = fresh;
            }
            count.wrong += 1;
        }
    }
}

fn keys(from: Option<IpAddr>, name: Option<&str>) -> Vec<(Key, u32)> {
    let address = from.map(|from| (Key::Address(from), PER_ADDRESS));
    let name = name.map(|name| (Key::Name(name.chars().take(64).collect()), PER_NAME));
    address.into_iter().chain(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_guesses_has_to_wait_and_others_do_not() {
        let failures = Failures::default();
        let (bad, good) = (Some(IpAddr::from([10, 0, 0, 1])), Some(IpAddr::from([10, 0, 0, 2])));
        for _ in 0..PER_ADDRESS {
            assert_eq!(failures.wait(bad, Some("root")), None);
            failures.note(bad, Some("root"));
        }
        assert!(failures.wait(bad, Some("somebody")).unwrap() <= WINDOW);
        assert_eq!(failures.wait(good, Some("root")), None);
        for _ in PER_ADDRESS..PER_NAME {
            failures.note(good, Some("root"));
        }
        assert!(failures.wait(Some(IpAddr::from([10, 0, 0, 3])), Some("root")).is_some());
        assert_eq!(failures.wait(Some(IpAddr::from([10, 0, 0, 3])), Some("jane")), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let failures = Failures::default();
        for number in 0..2 * REMEMBERED {
            failures.note(None, Some(&format!("name-{number}")));
        }
        assert!(failures.counts.lock().unwrap().len() <= REMEMBERED);
    }
}
