//! File systems below projects, as clients see them.

use std::collections::BTreeMap;

use scheduler::Board;
use scheduler::disk::Disk;
use serde::Serialize;

use super::{human, time};

/// A file system below destinations.
#[derive(Debug, Serialize)]
pub struct DiskView {
    pub(crate) path: String,
    pub(crate) free_bytes: u64,
    pub(crate) total_bytes: u64,
    pub(crate) free_inodes: u64,
    pub(crate) total_inodes: u64,
    pub(crate) reserve_bytes: u64,
    pub(crate) resume_bytes: u64,
    /// Nothing starts on it.
    pub(crate) stopped: bool,
    pub(crate) stopped_since: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) bytes_per_day: Option<f64>,
    pub(crate) days_to_full: Option<f64>,
    projects: Vec<String>,
}

impl DiskView {
    /// How full it is, in a line for people.
    pub(crate) fn in_words(&self) -> String {
        let percent = self.free_bytes.saturating_mul(100).checked_div(self.total_bytes).unwrap_or(0);
        let full = self.days_to_full.map(|days| format!(", full in {days:.0} days")).unwrap_or_default();
        format!("{}: {} free ({percent}%){full}", self.path, human(self.free_bytes))
    }
}

/// The file systems below the destinations, each once, as somebody looked last.
#[must_use]
pub fn disks(board: &Board) -> Vec<DiskView> {
    let ground = board.ground();
    let mut projects: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for entry in board.projects() {
        if let Some(disk) = ground.disk_of(&entry.project.place) {
            projects.entry(&*disk.id).or_default().push(entry.project.id.to_string());
        }
    }
    ground.disks.iter().map(|disk| view(disk, projects.remove(&*disk.id).unwrap_or_default())).collect()
}

fn view(disk: &Disk, projects: Vec<String>) -> DiskView {
    DiskView {
        path: disk.id.display().to_string(),
        free_bytes: disk.room.free_bytes,
        total_bytes: disk.room.total_bytes,
        free_inodes: disk.room.free_inodes,
        total_inodes: disk.room.total_inodes,
        reserve_bytes: disk.reserve_bytes,
        resume_bytes: disk.resume_bytes,
        stopped: disk.stopped.is_some(),
        stopped_since: disk.stopped.map(|(since, _)| time(since)),
        reason: disk.stopped.map(|(_, why)| why.to_string()),
        bytes_per_day: disk.trend.map(|trend| trend.bytes_per_day),
        days_to_full: disk.trend.and_then(|trend| trend.days_to_full),
        projects,
    }
}
