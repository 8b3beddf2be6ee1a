//! Identity of the file system below a path: the same after a remount, a restart and a reboot.
//!
//! ext4 and btrfs derive `f_fsid` from their UUID, so it is taken. XFS makes it of the device
//! number, as `st_dev` is, and both may change with a reboot. Every other file system goes by the
//! UUID of its device, or by type, source and root in the table of mounts. Names such as
//! `/dev/sdb1` may change with a reboot too: such a file system is unknown, and unknown compares as
//! equal.
//!
//! Format of the table: proc(5), `/proc/[pid]/mountinfo`.

use std::io;
use std::path::{Path, PathBuf};

use super::mounts::plain;

/// `f_type` of ext2, ext3 and ext4.
const EXT: u64 = 0xef53;
/// `f_type` of btrfs.
const BTRFS: u64 = 0x9123_683e;
/// Links to devices by the UUID of what is on them.
const BY_UUID: &str = "/dev/disk/by-uuid";

/// One line of the table of mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MountEntry {
    /// Folder on which it is mounted.
    pub(crate) point: PathBuf,
    /// Folder of the file system that is shown there.
    root: PathBuf,
    /// Type, such as `xfs`.
    kind: String,
    /// Device, or address of a network file system.
    source: String,
}

/// Returns the mount that a path without symlinks lies on, also for one that is not there yet.
///
/// # Errors
/// When the system does not show its mounts.
pub(crate) fn mount_of(path: &Path) -> io::Result<Option<MountEntry>> {
    let table = std::fs::read("/proc/self/mountinfo")?;
    Ok(find(&String::from_utf8_lossy(&table), path))
}

/// Returns the identity of the file system below a path, or `None` if nothing about it is certain
/// to stay the same.
///
/// # Errors
/// When the system does not show its mounts, or the path cannot be examined.
pub(crate) fn identify(path: &Path) -> io::Result<Option<String>> {
    let there = path.ancestors().find(|place| place.symlink_metadata().is_ok()).unwrap_or(path);
    let kind = u64::try_from(rustix::fs::statfs(there)?.f_type).unwrap_or_default();
    let fsid = rustix::fs::statvfs(there)?.f_fsid;

    if matches!(kind, EXT | BTRFS) && fsid != 0 {
        return Ok(Some(format!("fsid {fsid:016x}")));
    }
    Ok(mount_of(there)?.and_then(|mount| mount.identity(uuid_of)))
}

impl MountEntry {
    /// Type, source and root, as far as they stay the same; `uuid` finds the UUID of a device.
    fn identity(&self, uuid: impl FnOnce(&str) -> Option<String>) -> Option<String> {
        let source = match uuid(&self.source) {
            Some(uuid) => uuid,
            None if is_renumbered(&self.source) => return None,
            None => self.source.clone(),
        };
        Some(format!("{} {source} {}", self.kind, self.root.display()))
    }
}

/// Returns true if a reboot may give this device another name.
fn is_renumbered(source: &str) -> bool {
    source.starts_with("/dev/") && !source.starts_with("/dev/mapper/")
}

/// The UUID of what is on a device, as far as the system has links for that.
fn uuid_of(source: &str) -> Option<String> {
    let device = Path::new(source).canonicalize().ok().filter(|_| source.starts_with("/dev/"))?;
    let mut links = std::fs::read_dir(BY_UUID).ok()?.flatten();
    let link = links.find(|link| link.path().canonicalize().is_ok_and(|target| target == device))?;
    link.file_name().into_string().ok()
}

/// The nearest mount of a path. A later line hides an earlier one for the same folder.
fn find(table: &str, path: &Path) -> Option<MountEntry> {
    let entries = table.lines().filter_map(entry).filter(|entry| path.starts_with(&entry.point));
    entries.max_by_key(|entry| entry.point.components().count())
}

fn entry(line: &str) -> Option<MountEntry> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let (root, point) = (plain(fields.next()?), plain(fields.next()?));
    let mut words = after.split(' ');
    let (kind, source) = (words.next()?.to_owned(), plain(words.next()?));
    Some(MountEntry { point, root, kind, source: source.to_string_lossy().into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
28 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
90 28 8:17 / /data rw,relatime - xfs /dev/sdb1 rw
91 28 8:17 /sub /srv/mirror rw - xfs /dev/mapper/vg-mirrors rw
92 28 0:50 / /mnt/two\\040words rw - nfs server:/x rw
93 90 0:51 / /data rw - tmpfs tmpfs rw
nonsense
";

    #[test]
    fn the_nearest_and_newest_mount_is_found() {
        let point = |path: &str| find(TABLE, Path::new(path)).unwrap();
        assert_eq!(point("/database").point, Path::new("/"));
        assert_eq!(point("/data/not/there/yet").kind, "tmpfs");
        assert_eq!(point("/mnt/two words/x").point, Path::new("/mnt/two words"));
        assert!(mount_of(Path::new("/")).unwrap().is_some());
    }

    #[test]
    fn what_may_be_another_name_after_a_reboot_is_no_identity() {
        let identity = |path: &str, uuid: Option<&str>| {
            find(TABLE, Path::new(path)).unwrap().identity(|_| uuid.map(str::to_owned))
        };
        assert_eq!(identity("/x", None), None);
        assert_eq!(identity("/x", Some("1-2")).unwrap(), "ext4 1-2 /");
        assert_eq!(identity("/srv/mirror/x", None).unwrap(), "xfs /dev/mapper/vg-mirrors /sub");
        assert_eq!(identity("/mnt/two words", None).unwrap(), "nfs server:/x /");
        let here = tempfile::tempdir().unwrap();
        let known = identify(here.path()).unwrap();
        assert_eq!(identify(&here.path().join("not/there/yet")).unwrap(), known);
    }
}
