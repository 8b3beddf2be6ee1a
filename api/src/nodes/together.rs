//! Slaves that publish together: when they may put a generation in place that they have fetched.
//!
//! That follows from what each of them said last, and from when the generation was made, so a restart of either side
//! changes nothing. A slave that is not there is waited for until the deadline only, and not at all once enough others
//! are ready; a master that makes generations faster than they can be fetched lets them go at the deadline too.

use chrono::Utc;
use scheduler::core::Entry;
use scheduler::publish::{Publish, Together};

use super::Nodes;
use super::holdings::HeldGenerations;
use super::lag::same;
use super::since::is_within;

/// What slaves have of a project.
struct Standing {
    /// How many there are.
    all: usize,
    /// How many have the newest generation, in place or not.
    ready: usize,
    /// The newest that any of them has in place.
    placed: u64,
}

impl Nodes {
    /// The generation that slaves may put in place; none: each may at once.
    pub(super) fn released(&self, entry: &Entry) -> Option<u64> {
        let Publish::Together(together) = entry.project.publish else { return None };
        let newest = entry.standing.generation;
        let standing = self.standing(entry);
        let is_free = newest == 0
            || standing.placed >= newest
            || together.quorum.is_reached(standing.ready, standing.all)
            || self.is_over(together, entry, standing.placed);
        Some(if is_free { newest } else { standing.placed })
    }

    fn standing(&self, entry: &Entry) -> Standing {
        let known = self.known();
        let follow = known.members.values().filter(|seen| seen.member.follows && seen.old.is_none());
        let mut standing = Standing { all: 0, ready: 0, placed: 0 };
        for seen in follow {
            let held = same(known.holdings.get(&seen.member.name, &entry.project.id), entry, self.history());
            let held = HeldGenerations::of(held);
            standing.all += 1;
            standing.ready += usize::from(held.ready >= Some(entry.standing.generation));
            standing.placed = standing.placed.max(held.placed.unwrap_or(0));
        }
        standing
    }

    /// Returns whether the first generation that is not in place anywhere has waited long enough. One of which the time
    /// is forgotten has.
    fn is_over(&self, together: Together, entry: &Entry, placed: u64) -> bool {
        let made = self.times.at(entry, placed + 1);
        !made.is_some_and(|at| is_within(together.deadline, at, Utc::now()))
    }
}
