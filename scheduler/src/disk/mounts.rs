//! Which file system a path is on, by the table of mounts: also for one that is not there yet.
//!
//! Format: proc(5), `/proc/[pid]/mountinfo`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::DiskId;

/// The table of mounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mounts {
    /// Where something is mounted, and under which name its file system goes.
    points: BTreeMap<PathBuf, DiskId>,
}

impl Mounts {
    /// As it is now.
    ///
    /// # Errors
    /// When the system does not show it.
    pub fn read() -> io::Result<Self> {
        Ok(Self::parse(&String::from_utf8_lossy(&std::fs::read("/proc/self/mountinfo")?)))
    }

    /// From the system's text; lines that are not understood are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut points = BTreeMap::new();
        // What is mounted later at the same place hides what was there.
        for line in text.lines() {
            let mut fields = line.split(' ').skip(2);
            if let (Some(device), Some(point)) = (fields.next(), fields.nth(1)) {
                points.insert(plain(point), device);
            }
        }
        // A file system that is mounted in several places is one: it goes by its shortest.
        let mut names: BTreeMap<&str, DiskId> = BTreeMap::new();
        let mut places: Vec<_> = points.iter().collect();
        places.sort_by_key(|(point, _)| point.as_os_str().len());
        for (point, device) in places {
            names.entry(*device).or_insert_with(|| Arc::from(point.as_path()));
        }
        let named =
            points.iter().filter_map(|(point, device)| Some((point.clone(), names.get(*device)?.clone())));
        Self { points: named.collect() }
    }

    /// The file system of a path in which no symlink is left.
    #[must_use]
    pub fn disk_of(&self, path: &Path) -> Option<DiskId> {
        path.ancestors().find_map(|place| self.points.get(place)).cloned()
    }
}

/// A path in which blanks, line ends and backslashes are written as `\040`.
pub(crate) fn plain(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let number = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match number {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 28 0:20 / /proc rw,nosuid - proc proc rw
28 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
90 28 8:17 / /data rw,relatime - xfs /dev/sdb1 rw
91 28 8:17 /sub /srv/mirror rw - xfs /dev/sdb1 rw
92 28 0:50 / /mnt/two\\040words rw - nfs server:/x rw
nonsense
";

    #[test]
    fn a_path_is_on_the_nearest_mount_and_one_file_system_has_one_name() {
        let mounts = Mounts::parse(TABLE);
        let disk = |path: &str| mounts.disk_of(Path::new(path)).unwrap().display().to_string();
        assert_eq!(disk("/data/ftp/debian"), "/data");
        assert_eq!(disk("/srv/mirror/not/there/yet"), "/data");
        assert_eq!(disk("/database"), "/");
        assert_eq!(disk("/mnt/two words/x"), "/mnt/two words");
        assert_eq!(Mounts::default().disk_of(Path::new("/x")), None);
    }

    #[test]
    fn the_table_of_this_machine_is_understood() {
        assert!(Mounts::read().unwrap().disk_of(Path::new("/")).is_some());
    }
}
