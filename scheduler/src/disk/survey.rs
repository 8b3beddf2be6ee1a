//! Looking at the file systems below projects, and remembering how full they were.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::history::History;
use super::{DiskId, Mounts, Room, Survey};
use crate::store::Store;

/// Under which name the past is in the store.
const NOTE: &str = "disks";

/// Whoever looks, with what was seen before.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surveyor {
    history: History,
    /// Something is to be stored.
    changed: bool,
}

impl Surveyor {
    /// One that remembers what the store does. A past that cannot be read begins anew.
    pub(crate) fn load(store: &Store) -> Self {
        let note = match store.note(NOTE) {
            Ok(note) => note,
            Err(error) => {
                tracing::warn!("how full disks were cannot be read, and is gathered anew: {error}");
                None
            }
        };
        let history = note.and_then(|note| serde_json::from_value(note).ok()).unwrap_or_default();
        Self { history, changed: false }
    }

    /// Looks at the file systems of these places. A network file system can hang: call it where blocking is allowed.
    pub(crate) fn look<'a>(
        &mut self,
        now: DateTime<Utc>,
        places: impl Iterator<Item = &'a Path>,
    ) -> std::io::Result<Survey> {
        let mounts = Mounts::read()?;
        let disks: BTreeSet<DiskId> = places.filter_map(|place| mounts.disk_of(place)).collect();
        let rooms: BTreeMap<DiskId, Room> =
            disks.into_iter().filter_map(|disk| Some((Arc::clone(&disk), room(&disk)?))).collect();
        let mut trends = BTreeMap::new();
        for (disk, room) in &rooms {
            self.changed |= self.history.note(disk, now, room.free_bytes);
            if let Some(trend) = self.history.trend(disk, now, room.free_bytes) {
                trends.insert(Arc::clone(disk), trend);
            }
        }
        self.history.forget_old(now);
        Ok(Survey { mounts: Arc::new(mounts), rooms, trends })
    }

    /// Stores the past, if there is something new.
    pub(crate) async fn save(&mut self, store: &Store) {
        if !self.changed {
            return;
        }
        let Ok(note) = serde_json::to_value(&self.history) else { return };
        match store.set_note(NOTE, &note).await {
            Ok(()) => self.changed = false,
            Err(error) => tracing::debug!("how full disks were could not be stored: {error}"),
        }
    }
}

fn room(disk: &Path) -> Option<Room> {
    let system = match rustix::fs::statvfs(disk) {
        Ok(system) => system,
        Err(error) => {
            tracing::warn!(disk = %PathBuf::from(disk).display(), "cannot ask how full it is: {error}");
            return None;
        }
    };
    Some(Room {
        free_bytes: system.f_bavail.saturating_mul(system.f_frsize),
        total_bytes: system.f_blocks.saturating_mul(system.f_frsize),
        free_inodes: system.f_favail,
        total_inodes: system.f_files,
    })
}
