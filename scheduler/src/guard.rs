//! Whether a run may delete what it would delete: arithmetic on a plan, and the words for a person who is asked.
//!
//! Nothing here looks at a disk or starts a process; the plan is made where attempts are made.

use crate::project::Guard;

/// Deletions that no share forbids: in a tree of ten files, one is already ten percent.
pub const SMALL: u64 = 10;

/// Entries of a tree, and the bytes in its files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Files, folders, links.
    pub entries: u64,
    /// Bytes in regular files.
    pub bytes: u64,
}

/// The tree that a source is said to hold. Where it is known, a run is held only if it would leave much less than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedTree {
    /// The source's generation of which this is true.
    pub generation: u64,
    /// Its entries and the bytes in its files.
    pub amount: Amount,
}

impl ExpectedTree {
    /// The share of the entries, in percent, that a run must leave.
    const SHARE: u64 = 80;

    /// Returns the reason to hold a run that would leave `left` entries, or `None` if they are enough.
    #[must_use]
    pub fn shortfall(&self, left: u64) -> Option<String> {
        let Amount { entries, bytes } = self.amount;
        let is_enough = u128::from(left) * 100 >= u128::from(entries) * u128::from(Self::SHARE);
        let generation = self.generation;
        (!is_enough).then(|| {
            format!(
                "the master has {left} entries now, and its last whole look (generation {generation}) found \
                 {entries} ({bytes} bytes)"
            )
        })
    }
}

impl Guard {
    /// The count from which on it is no bound: what rsync takes at most.
    pub const NO_COUNT: u64 = i32::MAX as u64;

    /// Whether it lets everything through, so that no plan is needed.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.max_delete_percent >= 100 && self.max_delete >= Self::NO_COUNT
    }

    /// Whether so many deletions can be judged without knowing how large they are, and what they are a share of.
    #[must_use]
    pub fn is_small(&self, deletions: u64, upstream_is_empty: bool) -> bool {
        deletions == 0 || (deletions <= SMALL.min(self.max_delete) && !upstream_is_empty)
    }

    /// Why these deletions are not to be made without a person, in one sentence; none: they may be.
    #[must_use]
    pub fn objection(&self, deletions: Amount, tree: Amount, upstream_is_empty: bool) -> Option<String> {
        let count = deletions.entries;
        if count == 0 {
            return None;
        }
        if upstream_is_empty {
            return Some(format!(
                "the upstream has no files any more, and all {count} entries here would go"
            ));
        }
        if count > self.max_delete {
            return Some(format!(
                "{count} entries would be deleted, and guard.max_delete allows {}",
                self.max_delete
            ));
        }
        if count <= SMALL {
            return None;
        }
        let percent = self.max_delete_percent;
        if exceeds(count, tree.entries, percent) {
            return Some(format!(
                "{count} of {} entries would be deleted, and guard.max_delete_percent allows {percent} %",
                tree.entries
            ));
        }
        if exceeds(deletions.bytes, tree.bytes, percent) {
            return Some(format!(
                "{} of {} bytes would be deleted, and guard.max_delete_percent allows {percent} %",
                deletions.bytes, tree.bytes
            ));
        }
        None
    }
}

fn exceeds(part: u64, whole: u64, percent: u8) -> bool {
    percent < 100 && u128::from(part) * 100 > u128::from(whole) * u128::from(percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD: Guard = Guard { max_delete_percent: 20, max_delete: 1000 };

    fn objects(deleted: (u64, u64), tree: (u64, u64), empty: bool) -> Option<String> {
        let amount = |(entries, bytes)| Amount { entries, bytes };
        GUARD.objection(amount(deleted), amount(tree), empty)
    }

    #[test]
    fn what_is_small_passes_and_what_is_much_does_not() {
        assert_eq!(objects((0, 0), (0, 0), true), None);
        assert_eq!(objects((10, 5000), (12, 6000), false), None, "ten are always few");
        assert_eq!(objects((200, 100), (1000, 1000), false), None, "20 percent are not more than 20");
        for (deleted, tree, why) in [
            ((11, 0), (12, 0), "entries would be deleted, and guard.max_delete_percent"),
            ((201, 0), (1000, 9), "201 of 1000"),
            ((1001, 0), (1_000_000, 9), "guard.max_delete allows 1000"),
            ((50, 900), (1000, 1000), "900 of 1000 bytes"),
            ((11, 1), (0, 0), "11 of 0"),
        ] {
            let said = objects(deleted, tree, false).unwrap_or_default();
            assert!(said.contains(why), "{said:?} should say {why:?}");
        }
        assert!(objects((1, 1), (1_000_000, 1_000_000), true).unwrap().contains("no files any more"));
    }

    #[test]
    fn four_fifths_of_what_is_expected_are_enough() {
        let amount = Amount { entries: 100, bytes: 5000 };
        let expected = ExpectedTree { generation: 7, amount };
        assert_eq!((expected.shortfall(100), expected.shortfall(80)), (None, None));
        let why = expected.shortfall(79).unwrap();
        assert!(why.contains("79 entries now") && why.contains("(generation 7) found 100"), "{why}");
        let emptied = ExpectedTree { generation: 8, amount: Amount { entries: 1, bytes: 0 } };
        assert_eq!(emptied.shortfall(1), None, "an empty tree is its folder");
    }

    #[test]
    fn a_guard_of_zero_lets_nothing_go_and_one_that_is_off_needs_no_plan() {
        let strict = Guard { max_delete_percent: 100, max_delete: 0 };
        assert!(!strict.is_small(1, false) && !strict.is_off());
        assert!(strict.objection(Amount { entries: 1, bytes: 0 }, Amount::default(), false).is_some());
        assert!(Guard { max_delete_percent: u8::MAX, max_delete: Guard::NO_COUNT }.is_off());
        assert!(!GUARD.is_off() && GUARD.is_small(10, false) && !GUARD.is_small(10, true));
    }
}
