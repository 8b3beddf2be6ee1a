//! A bounded table whose rows belong to networks, so that nobody can take the places of others.
//!
//! A network that wants more than its share loses its own oldest row. Where the whole table is full, the network with the
//! largest share loses one, and the oldest row goes first among those with equal shares.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};

/// Returns the network that an address counts as: whoever has one address of IPv6 has its 64 bits.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        IpAddr::V4(address) => IpAddr::V4(address),
    }
}

/// Bounds of a table, in units of weight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShareLimits {
    /// Weight of the rows of one network.
    pub(crate) per_network: usize,
    /// Weight of all rows.
    pub(crate) in_all: usize,
}

/// Rows by network, each found by its key.
#[derive(Debug)]
pub(crate) struct FairTable<K, V> {
    limits: ShareLimits,
    weight: usize,
    /// Number of the next row: rows are in the order of their numbers.
    next: u64,
    numbers: HashMap<K, u64>,
    rows: BTreeMap<u64, FairRow<K, V>>,
    shares: HashMap<IpAddr, NetworkShare>,
    /// The networks by their shares.
    ranks: BTreeSet<ShareRank>,
}

#[derive(Debug)]
struct FairRow<K, V> {
    key: K,
    network: IpAddr,
    weight: usize,
    value: V,
}

#[derive(Debug, Default)]
struct NetworkShare {
    weight: usize,
    rows: BTreeSet<u64>,
}

/// The weight of a network, then the age of its oldest row: the last rank loses a row first.
type ShareRank = (usize, Reverse<u64>, IpAddr);

impl NetworkShare {
    fn rank(&self, network: IpAddr) -> Option<ShareRank> {
        Some((self.weight, Reverse(*self.rows.first()?), network))
    }
}

impl<K: Clone + Eq + Hash, V> FairTable<K, V> {
    /// An empty table.
    pub(crate) fn new(limits: ShareLimits) -> Self {
        Self {
            limits,
            weight: 0,
            next: 0,
            numbers: HashMap::new(),
            rows: BTreeMap::new(),
            shares: HashMap::new(),
            ranks: BTreeSet::new(),
        }
    }

    /// Number of rows.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Adds the newest row of an address, in place of one with the same key. Gives the rows that had to go, which is the
    /// new one itself where it is heavier than all others may be together.
    pub(crate) fn insert(&mut self, from: IpAddr, key: K, weight: usize, value: V) -> Vec<(K, V)> {
        self.remove(&key);
        let (network, number) = (network(from), self.next);
        self.next += 1;
        self.numbers.insert(key.clone(), number);
        self.rows.insert(number, FairRow { key, network, weight, value });
        self.weight += weight;
        self.change(network, |share| {
            share.weight += weight;
            share.rows.insert(number);
        });

        let mut gone = Vec::new();
        while let Some(share) = self.shares.get(&network)
            && share.weight > self.limits.per_network
            && share.rows.len() > 1
            && let Some(oldest) = share.rows.first().copied()
        {
            gone.extend(self.take(oldest));
        }
        while self.weight > self.limits.in_all
            && let Some((_, Reverse(oldest), _)) = self.ranks.last().copied()
        {
            gone.extend(self.take(oldest));
        }
        gone
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let number = *self.numbers.get(key)?;
        self.take(number).map(|(_, value)| value)
    }

    /// Takes out the oldest row if it is one of these.
    pub(crate) fn remove_oldest_if(&mut self, is_over: impl FnOnce(&V) -> bool) -> Option<V> {
        let (number, _) = self.rows.first_key_value().filter(|(_, row)| is_over(&row.value))?;
        let number = *number;
        self.take(number).map(|(_, value)| value)
    }

    /// Takes out the oldest row of the network with the smallest share.
    pub(crate) fn take_turn(&mut self) -> Option<V> {
        let (least, ..) = *self.ranks.first()?;
        let upper = (least + 1, Reverse(u64::MAX), IpAddr::from([0; 4]));
        let (_, Reverse(oldest), _) = *self.ranks.range(..upper).next_back()?;
        self.take(oldest).map(|(_, value)| value)
    }

    fn take(&mut self, number: u64) -> Option<(K, V)> {
        let row = self.rows.remove(&number)?;
        self.numbers.remove(&row.key);
        self.weight -= row.weight;
        self.change(row.network, |share| {
            share.weight -= row.weight;
            share.rows.remove(&number);
        });
        Some((row.key, row.value))
    }

    /// Changes the share of a network, and its rank with it.
    fn change(&mut self, network: IpAddr, change: impl FnOnce(&mut NetworkShare)) {
        let share = self.shares.entry(network).or_default();
        if let Some(rank) = share.rank(network) {
            self.ranks.remove(&rank);
        }

        change(share);
        match share.rank(network) {
            Some(rank) => {
                self.ranks.insert(rank);
            }
            None => {
                self.shares.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn table(per_network: usize, in_all: usize) -> FairTable<u32, u32> {
        FairTable::new(ShareLimits { per_network, in_all })
    }

    /// Adds a row of weight 1, and gives the keys that went.
    fn add(table: &mut FairTable<u32, u32>, from: IpAddr, key: u32) -> Vec<u32> {
        table.insert(from, key, 1, key).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn a_network_loses_its_own_oldest_row_and_no_other_one_does() {
        let mut table = table(3, 100);
        for key in 0..3 {
            assert!(add(&mut table, address(1), key).is_empty());
        }
        assert!(add(&mut table, address(2), 10).is_empty());
        assert_eq!(add(&mut table, address(1), 3), [0]);
        // The row that was used last is the newest.
        assert!(add(&mut table, address(1), 1).is_empty());
        assert_eq!(add(&mut table, address(1), 4), [2]);
        assert_eq!((table.remove(&10), table.remove(&10)), (Some(10), None));
    }

    #[test]
    fn the_largest_share_pays_for_a_full_table_and_then_the_oldest_row() {
        let mut table = table(10, 6);
        for key in 0..4 {
            add(&mut table, address(1), key);
        }
        assert!(add(&mut table, address(2), 10).is_empty());
        assert!(add(&mut table, address(3), 11).is_empty());
        for (last, gone) in [(4, 0), (5, 1), (6, 2)] {
            assert_eq!(add(&mut table, address(last), 10 + u32::from(last)), [gone]);
        }
        // All are equal now.
        assert_eq!(add(&mut table, address(7), 20), [3]);
        assert_eq!(add(&mut table, address(8), 21), [10]);
        assert_eq!(table.len(), 6);
        for key in [11, 14, 15, 16, 20, 21] {
            assert!(table.remove(&key).is_some(), "{key}");
        }
        assert!(table.shares.is_empty() && table.ranks.is_empty() && table.weight == 0);
    }

    #[test]
    fn what_is_too_heavy_goes_itself_and_takes_nobody_with_it() {
        let mut table = table(50, 100);
        assert!(table.insert(address(1), 1, 40, 1).is_empty());
        assert_eq!(table.insert(address(2), 2, 101, 2), [(2, 2)]);
        assert!(table.insert(address(2), 3, 60, 3).is_empty(), "alone, it may be more than a share");
        assert_eq!(table.insert(address(2), 4, 1, 4), [(3, 3)]);
    }

    #[test]
    fn whoever_wants_little_has_the_next_turn() {
        let mut table = table(10, 100);
        for key in 0..5 {
            add(&mut table, address(1), key);
        }
        add(&mut table, address(2), 10);
        add(&mut table, address(3), 11);
        let turns: Vec<u32> = std::iter::from_fn(|| table.take_turn()).collect();
        assert_eq!(turns, [10, 11, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_network_of_ipv6_is_one() {
        let same = |one: &str, other: &str| network(one.parse().unwrap()) == network(other.parse().unwrap());
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1") && !same("192.0.2.1", "192.0.2.2"));
    }
}
