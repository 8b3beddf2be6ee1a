//! What waits for its turn, in which order, and within which bounds.
//!
//! The order is by priority with ageing: each point of priority is worth ten minutes of waiting. Since every waiting
//! run ages at the same speed, the order never changes while they wait, and one sorted set is enough: a run's place
//! is its queue time, moved back ten minutes per point. Nothing starves, because whoever waits long enough is older
//! than any newcomer's advantage.
//!
//! Who may go first is found by [`lanes`], with an effort that does not grow with what waits behind used-up bounds.
//! What an upstream host is to be spared is in [`budget`], how it is doing in [`hosts`].

mod budget;
mod hosts;
mod lanes;
#[cfg(test)]
mod tests;
mod waits;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};

use crate::disk::{DiskId, Mounts};
use crate::project::{Project, ProjectId};
use crate::run::RunId;
use crate::timetable::Timetable;
pub use budget::{HostBudget, Patience, QuietError, QuietHours, leave_time};
use hosts::Hosts;
pub use hosts::{Closed, Reached};
use lanes::{Lane, Lanes, Place, Resource};
pub use waits::Waits;

/// How long a wait one point of priority outweighs.
const AGE_PER_POINT_SECONDS: i64 = 600;
/// Priorities beyond this, in either direction, count as this.
const MAX_PRIORITY: i32 = 1000;

/// How many runs may be going at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// In all.
    pub concurrent: usize,
    /// From one upstream host.
    pub per_host: usize,
    /// Of the projects that carry a label, written `key=value`.
    pub per_label: BTreeMap<String, usize>,
    /// What single upstream hosts are to be spared, by their names in lower case.
    pub hosts: BTreeMap<String, HostBudget>,
    /// How long a host in trouble is left alone.
    pub patience: Patience,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            concurrent: 8,
            per_host: 2,
            per_label: BTreeMap::new(),
            hosts: BTreeMap::new(),
            patience: Patience::default(),
        }
    }
}

/// The waiting runs, and what the going ones use up.
#[derive(Debug, Default)]
pub struct Queue {
    bounds: Bounds,
    waiting: BTreeSet<Place>,
    claims: HashMap<RunId, Claim>,
    going: HashMap<RunId, Claim>,
    /// What runs took that were started by an earlier queue of this process.
    inherited: HashMap<RunId, Claim>,
    lanes: Lanes,
    hosts: Hosts,
    /// The hosts from which nothing starts, and when that is to be looked at again.
    reopenings: Timetable<Arc<str>>,
    /// Which file system a destination is on.
    mounts: Arc<Mounts>,
    /// Those on which nothing starts.
    full: BTreeSet<DiskId>,
}

/// What a run takes of the bounds while it goes.
#[derive(Debug, Clone)]
struct Claim {
    project: ProjectId,
    since: DateTime<Utc>,
    priority: i32,
    host: Arc<str>,
    labels: Vec<Arc<str>>,
    place: PathBuf,
    lane: Lane,
    /// How often its host had been left alone when it started.
    waits: u64,
    /// Which of its project's upstreams it asks.
    upstream: usize,
}

impl Claim {
    fn place(&self, run: RunId) -> Place {
        (self.since - Duration::seconds(points(self.priority) * AGE_PER_POINT_SECONDS), run)
    }
}

/// One waiting run as a person asks for it.
#[derive(Debug, Clone)]
pub struct QueueItem {
    /// Which run.
    pub run: RunId,
    /// Whose.
    pub project: ProjectId,
    /// The project's priority.
    pub priority: i32,
    /// Why it still waits.
    pub waits: Waits,
}

impl Queue {
    /// An empty queue with these bounds.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { lanes: Lanes::new(bounds.clone()), bounds, ..Self::default() }
    }

    /// Changes the bounds; runs that go already are left to end.
    pub fn set_bounds(&mut self, bounds: Bounds) {
        if bounds != self.bounds {
            self.bounds = bounds;
            self.arrange(|_| {});
        }
    }

    /// Says which file systems there are, and on which of them nothing starts; runs that go already are left to end.
    pub(crate) fn set_disks(&mut self, mounts: Arc<Mounts>, full: BTreeSet<DiskId>) {
        let same = self.full == full && (full.is_empty() || self.mounts == mounts);
        self.mounts = mounts;
        self.full = full;
        if !same {
            self.arrange(|_| {});
        }
    }

    /// Puts a run in its place, which is to ask this upstream of its project; 0 is the first.
    pub fn push(&mut self, run: RunId, project: &Project, upstream: usize, since: DateTime<Utc>) {
        let host = project.source_of(upstream).0.host().to_ascii_lowercase().into();
        let labels: Vec<_> =
            project.labels.iter().map(|(key, value)| format!("{key}={value}").into()).collect();
        let place = project.place.clone();
        let lane = self.lane(&host, &labels, &place);
        let claim = Claim {
            project: project.id.clone(),
            since,
            priority: project.priority,
            host,
            labels,
            place,
            lane,
            waits: 0,
            upstream,
        };
        self.enter(run, claim);
    }

    /// Takes a waiting run out, if it waits.
    pub fn remove(&mut self, run: RunId) {
        self.leave(run);
    }

    /// The first run in order that the bounds let through; it counts as going from now on.
    pub fn start_next(&mut self, now: DateTime<Utc>) -> Option<RunId> {
        self.reopen(now);
        if self.going.len() >= self.bounds.concurrent {
            return None;
        }
        loop {
            let next = self.lanes.first()?;
            let host = Arc::clone(&self.claims.get(&next)?.host);
            let Some((_, until)) = self.closed(&host, now) else {
                self.start(next, now);
                return Some(next);
            };
            // Once for each host, whatever waits for it.
            self.lanes.close_host(&host, true);
            self.reopenings.set(&host, Some(until));
        }
    }

    /// Starts a waiting run out of order, if the bounds let it through; it counts as going from now on.
    pub(crate) fn start_this(&mut self, run: RunId, now: DateTime<Utc>) -> bool {
        let free =
            self.claims.get(&run).is_some_and(|claim| matches!(self.waits(claim, now), Waits::ForNothing));
        if free {
            self.start(run, now);
        }
        free
    }

    /// The waiting runs that could start, in order, at most `limit`, and since when each waits; none while all slots are
    /// taken. Hosts that are found closed wake [`Self::next_opening`].
    pub(crate) fn startable(&mut self, limit: usize, now: DateTime<Utc>) -> Vec<(RunId, DateTime<Utc>)> {
        let mut found = Vec::new();
        if self.going.len() >= self.bounds.concurrent {
            return found;
        }
        let mut closed = HashMap::new();
        for (_, run) in &self.waiting {
            let Some(claim) = self.claims.get(run) else { continue };
            match self.waits(claim, now) {
                Waits::ForNothing if found.len() == limit => break,
                Waits::ForNothing => found.push((*run, claim.since)),
                Waits::ForUpstream { until, .. } => {
                    closed.insert(Arc::clone(&claim.host), until);
                }
                _ => {}
            }
        }
        for (host, until) in closed {
            self.lanes.close_host(&host, true);
            self.reopenings.set(&host, Some(until));
        }
        found
    }

    /// How many more could be going.
    pub(crate) fn free(&self) -> u32 {
        u32::try_from(self.bounds.concurrent.saturating_sub(self.going.len())).unwrap_or(u32::MAX)
    }

    /// Lets those hosts be looked at again that were closed up to now; whether there were any.
    pub(crate) fn reopen(&mut self, now: DateTime<Utc>) -> bool {
        let mut any = false;
        while let Some((_, host)) = self.reopenings.pop_due(now) {
            self.lanes.close_host(&host, false);
            any = true;
        }
        any
    }

    /// When [`Self::start_next`] may find more than now, if nothing else happens.
    #[must_use]
    pub fn next_opening(&self) -> Option<DateTime<Utc>> {
        self.reopenings.next()
    }

    fn closed(&self, host: &str, now: DateTime<Utc>) -> Option<(Closed, DateTime<Utc>)> {
        self.hosts.closed(host, self.bounds.hosts.get(host), now)
    }

    fn start(&mut self, run: RunId, now: DateTime<Utc>) {
        let Some(mut claim) = self.leave(run) else { return };
        self.lanes.take(&claim.lane);
        claim.waits = self.hosts.started(&claim.host, now);
        self.going.insert(run, claim);
    }

    /// A going run's part of what its host is to be spared in KiB per second: an equal one with those that go now. Those
    /// keep what they were given.
    #[must_use]
    pub fn bandwidth(&self, run: RunId) -> Option<u64> {
        let claim = self.going.get(&run)?;
        let whole = self.bounds.hosts.get(&*claim.host)?.bwlimit_kib?;
        let beside = self.going.values().filter(|other| other.host == claim.host).count();
        Some(whole.checked_div(u64::try_from(beside).ok()?)?.max(1))
    }

    /// Which of its project's upstreams a going run asks.
    #[must_use]
    pub fn upstream(&self, run: RunId) -> usize {
        self.going.get(&run).map(|claim| claim.upstream).unwrap_or_default()
    }

    /// Whether a host is left alone because it is full or away.
    #[must_use]
    pub fn is_left_alone(&self, host: &str, now: DateTime<Utc>) -> bool {
        let closed = self.hosts.closed(&host.to_ascii_lowercase(), None, now);
        matches!(closed, Some((Closed::Busy | Closed::Down, _)))
    }

    /// Notes that something was started from this host before this queue was made.
    pub(crate) fn note_start(&mut self, host: &str, at: DateTime<Utc>) {
        self.hosts.started(&host.to_ascii_lowercase().into(), at);
    }

    /// Takes what the attempt of a going run has learned of its host; true when that changes when it is asked again.
    pub fn hear(&mut self, run: RunId, reached: Reached, jitter: f64, now: DateTime<Utc>) -> bool {
        let Some(claim) = self.going.get(&run) else { return false };
        let host = Arc::clone(&claim.host);
        let chance = (self.bounds.patience, jitter);
        let changed = self.hosts.heard(&host, (&claim.project, claim.waits), reached, chance, now);
        if changed {
            self.lanes.close_host(&host, false);
            self.lanes.try_host(&host, self.hosts.trouble(&host).is_some());
            self.reopenings.set(&host, None);
        }
        changed
    }

    /// Takes over what the runs of an earlier queue have taken: their projects may have changed since they started.
    pub(crate) fn inherit(&mut self, old: Self) {
        self.inherited = old.going;
        self.hosts = old.hosts;
        for host in self.hosts.troubled() {
            self.lanes.try_host(host, true);
        }
    }

    /// Counts a run as going that was started before: as what it took then, if that is known.
    pub(crate) fn resume(&mut self, run: RunId) {
        let waiting = self.leave(run);
        if let Some(mut claim) = self.inherited.remove(&run).or(waiting) {
            claim.lane = self.lane(&claim.host, &claim.labels, &claim.place);
            self.lanes.take(&claim.lane);
            self.going.insert(run, claim);
        }
    }

    /// Gives back what a going run took.
    pub fn finish(&mut self, run: RunId) {
        if let Some(claim) = self.going.remove(&run) {
            self.lanes.give_back(&claim.lane);
        }
    }

    /// After a clock has gone back: no waiting run has waited since a time that is still to come, where it would stay
    /// behind every newcomer.
    pub fn none_since_after(&mut self, now: DateTime<Utc>) {
        self.hosts.none_after(now);
        self.arrange(|claim| claim.since = claim.since.min(now));
    }

    /// What a run counts against; a file system only while nothing starts on it.
    fn lane(&self, host: &Arc<str>, labels: &[Arc<str>], place: &Path) -> Lane {
        let full = match self.full.is_empty() {
            true => None,
            false => self.mounts.disk_of(place).filter(|disk| self.full.contains(disk)),
        };
        self.lanes.lane(host, labels, full)
    }

    fn enter(&mut self, run: RunId, claim: Claim) {
        let place = claim.place(run);
        self.waiting.insert(place);
        self.lanes.push(&claim.lane, place);
        self.claims.insert(run, claim);
    }

    fn leave(&mut self, run: RunId) -> Option<Claim> {
        let claim = self.claims.remove(&run)?;
        let place = claim.place(run);
        self.waiting.remove(&place);
        self.lanes.remove(&claim.lane, place);
        Some(claim)
    }

    /// Gives everyone their place anew, after a change to who waits or to the bounds.
    fn arrange(&mut self, change: impl Fn(&mut Claim)) {
        self.lanes = Lanes::new(self.bounds.clone());
        self.reopenings = Timetable::default();
        for host in self.hosts.troubled() {
            self.lanes.try_host(host, true);
        }
        self.waiting.clear();
        let mut going = std::mem::take(&mut self.going);
        for claim in going.values_mut() {
            claim.lane = self.lane(&claim.host, &claim.labels, &claim.place);
            self.lanes.take(&claim.lane);
        }
        self.going = going;
        for (run, mut claim) in std::mem::take(&mut self.claims) {
            change(&mut claim);
            claim.lane = self.lane(&claim.host, &claim.labels, &claim.place);
            self.enter(run, claim);
        }
    }

    /// How many runs are going.
    #[must_use]
    pub fn going(&self) -> usize {
        self.going.len()
    }

    /// The waiting runs in their order, at most `limit`, each with its reason.
    #[must_use]
    pub fn items(&self, limit: usize, now: DateTime<Utc>) -> Vec<QueueItem> {
        let item = |(_, run): &Place| {
            let claim = self.claims.get(run)?;
            Some(QueueItem {
                run: *run,
                project: claim.project.clone(),
                priority: claim.priority,
                waits: self.waits(claim, now),
            })
        };
        self.waiting.iter().filter_map(item).take(limit).collect()
    }

    fn waits(&self, claim: &Claim, now: DateTime<Utc>) -> Waits {
        // Without space it would wait for that even if its upstream and all slots were free.
        if let Some(Resource::Disk(disk)) = claim.lane.last() {
            return Waits::ForSpace { disk: Arc::clone(disk) };
        }
        if let Some((why, until)) = self.closed(&claim.host, now) {
            return Waits::ForUpstream { host: claim.host.to_string(), why, until };
        }
        if self.going.len() >= self.bounds.concurrent {
            return Waits::ForSlot { bound: self.bounds.concurrent };
        }
        let Some(full) = self.lanes.held_up_by(&claim.lane) else { return Waits::ForNothing };
        let bound = self.lanes.bound(full);
        match full {
            Resource::Host(host) if self.hosts.trouble(host).is_some() => {
                Waits::ForTrial { host: host.to_string() }
            }
            Resource::Host(host) => Waits::ForHost { host: host.to_string(), bound },
            Resource::Label(label) => Waits::ForLabel { label: label.to_string(), bound },
            Resource::Disk(disk) => Waits::ForSpace { disk: Arc::clone(disk) },
        }
    }
}

fn points(priority: i32) -> i64 {
    i64::from(priority.clamp(-MAX_PRIORITY, MAX_PRIORITY))
}
