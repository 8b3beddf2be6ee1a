//! Which waiting run may start next, found without looking at all that wait.
//!
//! Runs that count against the same bounds stand in one lane, in order, so that of each lane only the first can be
//! next. Each lane is listed under one of its bounds, and the bounds that have room are kept in the order of their
//! first lanes. When the first lane of all is held up by another of its bounds, it moves there: that bound is used
//! up, so it happens at most once for each bound that is used up, however many runs wait.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Bounds;
use crate::disk::DiskId;
use crate::run::RunId;

/// A run's place in the order.
pub(super) type Place = (DateTime<Utc>, RunId);

/// What a bound is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Resource {
    /// An upstream host.
    Host(Arc<str>),
    /// A label, as `key=value`.
    Label(Arc<str>),
    /// A file system on which nothing starts.
    Disk(DiskId),
}

/// The bounds that a run counts against: its host's, those of its labels that have one, and a full file system.
pub(super) type Lane = Arc<[Resource]>;

/// The lanes, and what is used of each bound.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    bounds: Bounds,
    waiting: HashMap<Lane, Waiting>,
    /// The lanes by the bound that each is listed under, in the order of their first runs.
    listed: HashMap<Resource, BTreeSet<(Place, Lane)>>,
    /// The bounds that have room, in the order of their first lanes.
    open: BTreeSet<(Place, Resource)>,
    used: HashMap<Resource, usize>,
    /// Hosts from which nothing starts for now.
    closed: HashSet<Arc<str>>,
    /// Hosts that one run at a time may try.
    tried: HashSet<Arc<str>>,
}

/// The runs of one lane.
#[derive(Debug)]
struct Waiting {
    places: BTreeSet<Place>,
    under: Resource,
}

impl Lanes {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// The lane of a run from `host` with `labels`, which would write to a `full` file system, if to one.
    pub(super) fn lane(&self, host: &Arc<str>, labels: &[Arc<str>], full: Option<DiskId>) -> Lane {
        let bounded = labels.iter().filter(|label| self.bounds.per_label.contains_key(&***label));
        std::iter::once(Resource::Host(Arc::clone(host)))
            .chain(bounded.map(|label| Resource::Label(Arc::clone(label))))
            .chain(full.map(Resource::Disk))
            .collect()
    }

    /// Lets a run wait in its lane.
    pub(super) fn push(&mut self, lane: &Lane, place: Place) {
        // A label is shared by more lanes than a host is, so under it fewer have to be looked at.
        let Some(under) = lane.last() else { return };
        self.unlist(lane);
        let waiting = || Waiting { places: BTreeSet::new(), under: under.clone() };
        self.waiting.entry(Arc::clone(lane)).or_insert_with(waiting).places.insert(place);
        self.list(lane);
    }

    /// Takes a run out of its lane.
    pub(super) fn remove(&mut self, lane: &Lane, place: Place) {
        self.unlist(lane);
        if let Some(waiting) = self.waiting.get_mut(lane) {
            waiting.places.remove(&place);
            if waiting.places.is_empty() {
                self.waiting.remove(lane);
            }
        }
        self.list(lane);
    }

    /// The first run in order that no bound holds up; it stays where it is.
    pub(super) fn first(&mut self) -> Option<RunId> {
        loop {
            let (_, resource) = self.open.first()?;
            let (place, lane) = self.listed.get(resource)?.first()?.clone();
            let Some(full) = self.held_up_by(&lane).cloned() else { return Some(place.1) };
            self.unlist(&lane);
            self.waiting.get_mut(&lane)?.under = full;
            self.list(&lane);
        }
    }

    /// The first of a lane's bounds that is used up.
    pub(super) fn held_up_by<'a>(&self, lane: &'a Lane) -> Option<&'a Resource> {
        lane.iter().find(|resource| self.is_full(resource))
    }

    /// How many runs may count against a bound at once.
    pub(super) fn bound(&self, resource: &Resource) -> usize {
        match resource {
            Resource::Host(host) if self.tried.contains(host) => 1,
            Resource::Host(host) => {
                let own = self.bounds.hosts.get(&**host).and_then(|budget| budget.connections);
                own.unwrap_or(self.bounds.per_host)
            }
            Resource::Label(label) => self.bounds.per_label.get(&**label).copied().unwrap_or(usize::MAX),
            Resource::Disk(_) => 0,
        }
    }

    /// Lets nothing start from a host, or lets it again.
    pub(super) fn close_host(&mut self, host: &Arc<str>, closed: bool) {
        let resource = Resource::Host(Arc::clone(host));
        self.close(&resource);
        if closed {
            self.closed.insert(Arc::clone(host));
        } else {
            self.closed.remove(host);
        }
        self.open(&resource);
    }

    /// Lets one run at a time try a host, or as many as its bound says.
    pub(super) fn try_host(&mut self, host: &Arc<str>, tried: bool) {
        let resource = Resource::Host(Arc::clone(host));
        self.close(&resource);
        if tried {
            self.tried.insert(Arc::clone(host));
        } else {
            self.tried.remove(host);
        }
        self.open(&resource);
    }

    /// Counts a run of this lane as going.
    pub(super) fn take(&mut self, lane: &Lane) {
        for resource in lane.iter() {
            self.change(resource, |used| used + 1);
        }
    }

    /// Counts a run of this lane as ended.
    pub(super) fn give_back(&mut self, lane: &Lane) {
        for resource in lane.iter() {
            self.change(resource, |used| used.saturating_sub(1));
        }
    }

    fn change(&mut self, resource: &Resource, change: impl FnOnce(usize) -> usize) {
        self.close(resource);
        let used = change(self.used.get(resource).copied().unwrap_or_default());
        if used == 0 {
            self.used.remove(resource);
        } else {
            self.used.insert(resource.clone(), used);
        }
        self.open(resource);
    }

    fn is_full(&self, resource: &Resource) -> bool {
        let closed = matches!(resource, Resource::Host(host) if self.closed.contains(host));
        closed || self.used.get(resource).copied().unwrap_or_default() >= self.bound(resource)
    }

    /// Takes a lane off the list of its bound, so that its first run may change.
    fn unlist(&mut self, lane: &Lane) {
        let Some((place, under)) = self.head(lane) else { return };
        self.close(&under);
        if let Some(lanes) = self.listed.get_mut(&under) {
            lanes.remove(&(place, Arc::clone(lane)));
            if lanes.is_empty() {
                self.listed.remove(&under);
            }
        }
        self.open(&under);
    }

    fn list(&mut self, lane: &Lane) {
        let Some((place, under)) = self.head(lane) else { return };
        self.close(&under);
        self.listed.entry(under.clone()).or_default().insert((place, Arc::clone(lane)));
        self.open(&under);
    }

    fn head(&self, lane: &Lane) -> Option<(Place, Resource)> {
        let waiting = self.waiting.get(lane)?;
        Some((*waiting.places.first()?, waiting.under.clone()))
    }

    /// Takes a bound out of the order, so that its first lane or its use may change.
    fn close(&mut self, resource: &Resource) {
        if let Some(place) = self.first_under(resource) {
            self.open.remove(&(place, resource.clone()));
        }
    }

    /// Puts a bound that has room back into the order.
    fn open(&mut self, resource: &Resource) {
        if let Some(place) = self.first_under(resource).filter(|_| !self.is_full(resource)) {
            self.open.insert((place, resource.clone()));
        }
    }

    fn first_under(&self, resource: &Resource) -> Option<Place> {
        self.listed.get(resource)?.first().map(|(place, _)| *place)
    }
}
