//! Logins that are tried, counted by address and by name, so that nobody can guess for long.
//!
//! A login is counted before it is proved and taken back when it is right: guesses that come at once are bounded too.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::strangers::share::network;

/// Time during which a wrong login counts.
const WINDOW: Duration = Duration::from_mins(1);
/// Number of wrong logins that one address has in that time.
const PER_ADDRESS: u32 = 20;
/// Number of wrong logins that one name has in that time, wherever they come from.
const PER_NAME: u32 = 60;
/// Number of addresses, and of names, that are remembered.
const REMEMBERED: usize = 10_000;

/// The counts.
#[derive(Debug)]
pub(super) struct LoginAttempts {
    tables: Mutex<AttemptTables>,
}

#[derive(Debug)]
struct AttemptTables {
    addresses: CountTable<IpAddr>,
    names: CountTable<String>,
}

/// One login that was counted.
#[derive(Debug)]
pub(super) struct CountedAttempt {
    address: Option<(IpAddr, Instant)>,
    name: Option<(String, Instant)>,
}

impl LoginAttempts {
    pub(super) fn new() -> Self {
        let tables =
            AttemptTables { addresses: CountTable::new(PER_ADDRESS), names: CountTable::new(PER_NAME) };
        Self { tables: Mutex::new(tables) }
    }

    /// How long whoever comes from there must wait; none: not at all.
    pub(super) fn wait(&self, from: Option<IpAddr>) -> Option<Duration> {
        self.lock().addresses.wait(&network(from?), Instant::now())
    }

    /// Counts a login that is to be proved, or says how long it must wait.
    pub(super) fn begin(&self, from: Option<IpAddr>, name: Option<&str>) -> Result<CountedAttempt, Duration> {
        let now = Instant::now();
        let (address, name) = (from.map(network), name.map(shortened));
        let mut tables = self.lock();

        let by_address = address.as_ref().and_then(|address| tables.addresses.wait(address, now));
        let by_name = name.as_ref().and_then(|name| tables.names.wait(name, now));
        if let Some(wait) = by_address.max(by_name) {
            return Err(wait);
        }

        Ok(CountedAttempt {
            address: address.map(|address| (address, tables.addresses.add(&address, now))),
            name: name.map(|name| {
                let since = tables.names.add(&name, now);
                (name, since)
            }),
        })
    }

    /// Takes a login back that was right, or that was not looked at.
    pub(super) fn take_back(&self, attempt: CountedAttempt) {
        let mut tables = self.lock();
        if let Some((address, since)) = attempt.address {
            tables.addresses.take_back(&address, since);
        }
        if let Some((name, since)) = attempt.name {
            tables.names.take_back(&name, since);
        }
    }

    fn lock(&self) -> MutexGuard<'_, AttemptTables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name of bounded length.
pub(super) fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

/// The counts of one kind of key, with a bound on their number.
#[derive(Debug)]
struct CountTable<K> {
    limit: u32,
    counts: HashMap<K, AttemptCount>,
    /// Keys that find no room, because everybody in the table is held off, are counted together.
    others: AttemptCount,
}

/// The logins of one window.
#[derive(Debug, Clone, Copy)]
struct AttemptCount {
    since: Instant,
    tried: u32,
}

impl AttemptCount {
    fn new(now: Instant) -> Self {
        Self { since: now, tried: 0 }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= WINDOW
    }

    /// Counts one more, in a new window where the last one is over.
    fn add(&mut self, now: Instant) -> Instant {
        if self.tried == 0 || self.is_over(now) {
            *self = Self::new(now);
        }
        self.tried += 1;
        self.since
    }

    fn wait(&self, limit: u32, now: Instant) -> Option<Duration> {
        let left = WINDOW.checked_sub(now.saturating_duration_since(self.since))?;
        (self.tried >= limit && !left.is_zero()).then_some(left)
    }
}

impl<K: Clone + Eq + Hash> CountTable<K> {
    fn new(limit: u32) -> Self {
        Self { limit, counts: HashMap::new(), others: AttemptCount::new(Instant::now()) }
    }

    fn wait(&self, key: &K, now: Instant) -> Option<Duration> {
        match self.counts.get(key) {
            Some(count) => count.wait(self.limit, now),
            None if self.counts.len() >= REMEMBERED => self.others.wait(self.limit, now),
            None => None,
        }
    }

    /// Counts a login, and gives the beginning of its window.
    fn add(&mut self, key: &K, now: Instant) -> Instant {
        if let Some(count) = self.counts.get_mut(key) {
            return count.add(now);
        }
        if self.counts.len() >= REMEMBERED {
            self.make_room(now);
        }
        if self.counts.len() >= REMEMBERED {
            return self.others.add(now);
        }
        self.counts.entry(key.clone()).or_insert(AttemptCount::new(now)).add(now)
    }

    fn take_back(&mut self, key: &K, since: Instant) {
        let count = self.counts.get_mut(key).unwrap_or(&mut self.others);
        if count.since == since {
            count.tried = count.tried.saturating_sub(1);
        }
    }

    /// Forgets windows that are over. Where that is not enough, half of the keys go, those with the fewest logins first,
    /// so that a flood forgets itself; a key that is held off stays.
    fn make_room(&mut self, now: Instant) {
        self.counts.retain(|_, count| count.tried > 0 && !count.is_over(now));
        if self.counts.len() < REMEMBERED {
            return;
        }

        let limit = self.limit;
        let free = self.counts.iter().filter(|(_, count)| count.tried < limit);
        let mut free: Vec<(u32, K)> = free.map(|(key, count)| (count.tried, key.clone())).collect();
        free.sort_unstable_by_key(|(tried, _)| *tried);
        for (_, key) in free.iter().take(REMEMBERED / 2) {
            self.counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts a login from this address.
    fn log_in(attempts: &LoginAttempts, from: u32, name: Option<&str>) -> Result<CountedAttempt, Duration> {
        attempts.begin(Some(address(from)), name)
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + number).to_be_bytes())
    }

    #[test]
    fn an_address_that_guesses_has_to_wait_and_others_do_not() {
        let attempts = LoginAttempts::new();
        for _ in 0..PER_ADDRESS {
            assert_eq!(attempts.wait(Some(address(1))), None);
            log_in(&attempts, 1, Some("root")).unwrap();
        }
        assert!(attempts.wait(Some(address(1))).unwrap() <= WINDOW);
        assert!(log_in(&attempts, 1, Some("somebody")).unwrap_err() <= WINDOW);
        for _ in PER_ADDRESS..PER_NAME {
            log_in(&attempts, if attempts.wait(Some(address(2))).is_some() { 3 } else { 2 }, Some("root"))
                .unwrap();
        }
        assert!(log_in(&attempts, 4, Some("root")).is_err());
        assert!(log_in(&attempts, 4, Some("jane")).is_ok());
    }

    #[test]
    fn a_right_login_counts_for_nothing() {
        let attempts = LoginAttempts::new();
        for _ in 0..10 * PER_ADDRESS {
            let right = log_in(&attempts, 1, Some("jane")).unwrap();
            attempts.take_back(right);
        }
        for _ in 0..PER_ADDRESS {
            log_in(&attempts, 1, Some("jane")).unwrap();
        }
        assert!(log_in(&attempts, 1, Some("jane")).is_err());
    }

    #[test]
    fn an_address_of_ipv6_counts_as_its_network() {
        let attempts = LoginAttempts::new();
        let guess = |text: &str| attempts.begin(Some(text.parse().unwrap()), None);
        for number in 0..PER_ADDRESS {
            guess(&format!("2001:db8:1:2:{number:x}::1")).unwrap();
        }
        assert!(guess("2001:db8:1:2:ffff:ffff:ffff:ffff").is_err());
        assert!(guess("2001:db8:1:3::1").is_ok());
        // A socket of both families shows IPv4 in this way.
        for _ in 0..PER_ADDRESS {
            guess("::ffff:192.0.2.1").unwrap();
        }
        assert!(guess("192.0.2.1").is_err() && guess("::ffff:192.0.2.2").is_ok());
    }

    #[test]
    fn a_flood_is_bounded_and_forgets_nobody_who_is_held_off_or_nearly() {
        let attempts = LoginAttempts::new();
        for _ in 0..PER_ADDRESS {
            log_in(&attempts, 0, None).unwrap();
        }
        for number in 0..PER_NAME - 1 {
            log_in(&attempts, 1 + number, Some("jane")).unwrap();
        }
        for number in 0..4 * u32::try_from(REMEMBERED).unwrap() {
            log_in(&attempts, 1000 + number, Some(&format!("name-{number}"))).unwrap();
        }
        assert!(attempts.lock().addresses.counts.len() <= REMEMBERED);
        assert!(attempts.lock().names.counts.len() <= REMEMBERED);
        assert!(attempts.wait(Some(address(0))).is_some());
        log_in(&attempts, 900, Some("jane")).unwrap();
        assert!(log_in(&attempts, 901, Some("jane")).is_err());
    }

    #[test]
    fn who_finds_no_room_is_counted_with_the_others() {
        let mut table = CountTable::new(2);
        let now = Instant::now();
        for number in 0..REMEMBERED {
            table.add(&number, now);
            table.add(&number, now);
        }
        assert_eq!(table.wait(&REMEMBERED, now), None);
        table.add(&REMEMBERED, now);
        table.add(&(REMEMBERED + 1), now);
        assert!(table.wait(&(REMEMBERED + 2), now).is_some() && table.wait(&0, now).is_some());
        assert_eq!(table.counts.len(), REMEMBERED);

        let later = now + WINDOW;
        assert_eq!(table.wait(&(REMEMBERED + 2), later), None);
        table.add(&REMEMBERED, later);
        assert_eq!(table.counts.len(), 1);
    }
}
