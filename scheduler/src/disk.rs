//! File systems below projects: how full they are, and when nothing may start on them.
//!
//! A [`Survey`] is what was seen at one moment; [`Disks`] is what the clockwork makes of it, as a function of what it is
//! told. Below the reserve nothing starts on a file system; above the resume level it goes on. A run that found no space
//! stops it likewise, until a survey finds enough. Looking itself is in [`survey`], the past in [`history`], which
//! file system a path is on in [`mounts`], by what one is known again in `identity`.

pub mod history;
pub(crate) mod identity;
pub mod mounts;
pub mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

pub use history::Trend;
pub use mounts::Mounts;

/// A file system, by the place where it is mounted.
pub type DiskId = Arc<Path>;

/// A part of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Hundredths of its bytes, and of its inodes.
    Percent(u8),
    /// So many bytes; some inodes.
    Bytes(u64),
}

impl Share {
    /// How many bytes of a file system that is.
    #[must_use]
    pub fn bytes(self, total: u64) -> u64 {
        match self {
            Self::Percent(percent) => hundredths(total, percent),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// How many inodes of a file system that is; one that has no bound on them has none in its total.
    #[must_use]
    pub fn inodes(self, total: u64) -> u64 {
        match self {
            Self::Percent(percent) => hundredths(total, percent),
            Self::Bytes(_) => total.min(1),
        }
    }
}

fn hundredths(total: u64, percent: u8) -> u64 {
    let part = u128::from(total) * u128::from(percent) / 100;
    u64::try_from(part).unwrap_or(u64::MAX)
}

/// How full file systems may become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// Nothing starts with less free than this.
    pub reserve: Share,
    /// It goes on with so much free.
    pub resume: Share,
    /// How often is looked.
    pub every: Duration,
}

impl Default for Reserve {
    fn default() -> Self {
        Self { reserve: Share::Percent(1), resume: Share::Percent(2), every: Duration::from_secs(10) }
    }
}

/// How full a file system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that we may still write.
    pub free_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
    /// Files that may still be made.
    pub free_inodes: u64,
    /// Files in all; 0 where there is no such bound.
    pub total_inodes: u64,
}

impl Room {
    /// Whether at least this share is free.
    #[must_use]
    pub fn has(&self, share: Share) -> bool {
        let inodes = self.total_inodes == 0 || self.free_inodes >= share.inodes(self.total_inodes);
        self.free_bytes >= share.bytes(self.total_bytes) && inodes
    }
}

/// What was seen at one moment.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// Which file system a path is on.
    pub mounts: Arc<Mounts>,
    /// How full those below projects are.
    pub rooms: BTreeMap<DiskId, Room>,
    /// What is to be expected of them.
    pub trends: BTreeMap<DiskId, Trend>,
}

/// Why nothing starts on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Less than the reserve is free.
    Reserve,
    /// A run found no space.
    NoSpace,
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reserve => "less than its reserve is free (disk.reserve)",
            Self::NoSpace => "a run found no space on it",
        })
    }
}

/// A file system as readers see it.
#[derive(Debug, Clone)]
pub struct Disk {
    /// Where it is mounted.
    pub id: DiskId,
    /// How full it is.
    pub room: Room,
    /// What is to be expected of it; none: not enough is known.
    pub trend: Option<Trend>,
    /// Since when nothing starts on it, and why.
    pub stopped: Option<(DateTime<Utc>, Stopped)>,
    /// Bytes that must be free before something starts again, or may start at all.
    pub reserve_bytes: u64,
    /// Bytes that must be free before a stopped one goes on.
    pub resume_bytes: u64,
}

/// The file systems below projects as readers see them.
#[derive(Debug, Clone, Default)]
pub struct Ground {
    mounts: Arc<Mounts>,
    /// Each of them.
    pub disks: Vec<Disk>,
}

impl Ground {
    /// Which of them a path is on.
    #[must_use]
    pub fn disk_of(&self, place: &Path) -> Option<&Disk> {
        let id = self.mounts.disk_of(place)?;
        self.disks.iter().find(|disk| disk.id == id)
    }
}

/// What the clockwork knows of file systems.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disks {
    survey: Survey,
    reserve: Reserve,
    stopped: BTreeMap<DiskId, (DateTime<Utc>, Stopped)>,
}

/// What has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) stopped: Vec<(DiskId, Stopped)>,
    pub(crate) resumed: Vec<DiskId>,
}

impl Disks {
    /// Takes what was seen.
    pub(crate) fn observe(&mut self, now: DateTime<Utc>, survey: Survey, reserve: Reserve) -> Changed {
        let mut changed = Changed::default();
        for (id, room) in &survey.rooms {
            let is_stopped = self.stopped.contains_key(id);
            if !is_stopped && !room.has(reserve.reserve) {
                self.stopped.insert(Arc::clone(id), (now, Stopped::Reserve));
                changed.stopped.push((Arc::clone(id), Stopped::Reserve));
            } else if is_stopped && room.has(reserve.resume) && room.has(reserve.reserve) {
                self.stopped.remove(id);
                changed.resumed.push(Arc::clone(id));
            }
        }
        // One that no project is on any more, or that is not mounted, holds up nobody.
        let gone: Vec<DiskId> =
            self.stopped.keys().filter(|id| !survey.rooms.contains_key(*id)).cloned().collect();
        for id in gone {
            self.stopped.remove(&id);
            changed.resumed.push(id);
        }
        (self.survey, self.reserve) = (survey, reserve);
        changed
    }

    /// Takes that a run found no space at this place.
    pub(crate) fn found_full(&mut self, now: DateTime<Utc>, place: &Path) -> Changed {
        let mut changed = Changed::default();
        if let Some(id) = self.survey.mounts.disk_of(place)
            && self.survey.rooms.contains_key(&id)
            && !self.stopped.contains_key(&id)
        {
            self.stopped.insert(Arc::clone(&id), (now, Stopped::NoSpace));
            changed.stopped.push((id, Stopped::NoSpace));
        }
        changed
    }

    /// Which file system a path is on.
    pub(crate) fn mounts(&self) -> Arc<Mounts> {
        Arc::clone(&self.survey.mounts)
    }

    /// Those on which nothing starts.
    pub(crate) fn full(&self) -> BTreeSet<DiskId> {
        self.stopped.keys().cloned().collect()
    }

    /// All of it as readers see it.
    pub(crate) fn shown(&self) -> Ground {
        let shown = |(id, room): (&DiskId, &Room)| Disk {
            id: Arc::clone(id),
            room: *room,
            trend: self.survey.trends.get(id).copied(),
            stopped: self.stopped.get(id).copied(),
            reserve_bytes: self.reserve.reserve.bytes(room.total_bytes),
            resume_bytes: self.reserve.resume.bytes(room.total_bytes),
        };
        Ground { mounts: self.mounts(), disks: self.survey.rooms.iter().map(shown).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(free: u64) -> Survey {
        let mounts =
            Mounts::parse("36 35 8:1 / / rw - ext4 /dev/sda1 rw\n40 36 8:17 / /data rw - xfs /dev/sdb1 rw\n");
        let room = Room { free_bytes: free, total_bytes: 1000, free_inodes: 500, total_inodes: 1000 };
        Survey {
            mounts: Arc::new(mounts),
            rooms: BTreeMap::from([(Path::new("/data").into(), room)]),
            trends: BTreeMap::new(),
        }
    }

    fn reserve() -> Reserve {
        Reserve { reserve: Share::Percent(5), resume: Share::Percent(10), ..Reserve::default() }
    }

    #[test]
    fn it_stops_below_the_reserve_and_goes_on_above_the_resume_level_only() {
        let mut disks = Disks::default();
        let mut look = |free| {
            let changed = disks.observe(Utc::now(), survey(free), reserve());
            (changed.stopped.len(), changed.resumed.len(), disks.full().len())
        };
        assert_eq!(look(50), (0, 0, 0));
        assert_eq!(look(49), (1, 0, 1));
        assert_eq!(look(99), (0, 0, 1), "between the two, it stays as it was");
        assert_eq!(look(100), (0, 1, 0));
        assert_eq!(look(51), (0, 0, 0));
    }

    #[test]
    fn a_run_that_found_no_space_stops_it_until_a_look_finds_enough() {
        let mut disks = Disks::default();
        disks.observe(Utc::now(), survey(80), reserve());
        let changed = disks.found_full(Utc::now(), Path::new("/data/debian"));
        assert_eq!(changed.stopped, [(Path::new("/data").into(), Stopped::NoSpace)]);
        assert_eq!(disks.found_full(Utc::now(), Path::new("/data/other")), Changed::default());
        assert_eq!(disks.found_full(Utc::now(), Path::new("/elsewhere")), Changed::default());
        assert!(disks.observe(Utc::now(), survey(80), reserve()).resumed.is_empty());
        assert_eq!(disks.observe(Utc::now(), survey(100), reserve()).resumed.len(), 1);
    }

    #[test]
    fn one_that_runs_out_of_inodes_is_full_too_and_one_that_is_gone_holds_up_nobody() {
        let mut disks = Disks::default();
        let mut full = survey(900);
        full.rooms.values_mut().for_each(|room| room.free_inodes = 3);
        assert_eq!(disks.observe(Utc::now(), full, reserve()).stopped.len(), 1);
        let gone = Survey { rooms: BTreeMap::new(), ..survey(900) };
        assert_eq!(disks.observe(Utc::now(), gone, reserve()).resumed.len(), 1);
        assert!(disks.full().is_empty());
    }
}
