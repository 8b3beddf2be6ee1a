//! What follows when a file system is full, or has room again.

use chrono::{DateTime, Utc};

use super::{Core, Effect, Step};
use crate::disk::Changed;
use crate::event::EventKind;
use crate::project::ProjectId;

/// What the engine calls an end for want of space.
const NO_SPACE: &str = "no-space";

impl Core {
    /// Takes what has changed over into the queue, and tells of it.
    pub(super) fn disks_changed(&mut self, changed: Changed, step: &mut Step) {
        self.queue.set_disks(self.disks.mounts(), self.disks.full());
        let stopped = changed.stopped.into_iter().map(|(disk, why)| EventKind::DiskFull(disk, why));
        let resumed = changed.resumed.into_iter().map(EventKind::DiskFree);
        step.effects.extend(stopped.chain(resumed).map(Effect::Announce));
    }

    /// An attempt that found no space would not be the last: nothing more starts there until somebody has looked.
    pub(super) fn note_class(&mut self, now: DateTime<Utc>, id: &ProjectId, class: &str, step: &mut Step) {
        if class != NO_SPACE {
            return;
        }
        let Some(entry) = self.entries.get(id) else { return };
        let changed = self.disks.found_full(now, &entry.project.place);
        self.disks_changed(changed, step);
    }
}
