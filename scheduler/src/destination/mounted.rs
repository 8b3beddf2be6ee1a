//! Places that are one place by a mount, though no path and no symlink shows it.
//!
//! A bind mount shows a folder of a file system a second time. So each place is also seen as what it is on its file
//! system, together with what is mounted below it, and no two projects may share any of that.
//!
//! Format of the table: proc(5), `/proc/[pid]/mountinfo`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::mounts::plain;
use crate::project::{Project, ProjectId};

/// The mounts of this machine, by the folder on which each stands.
#[derive(Debug, Default)]
pub(crate) struct MountTable(BTreeMap<PathBuf, FileSystemPart>);

/// A folder of a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileSystemPart {
    device: String,
    folder: PathBuf,
}

impl FileSystemPart {
    fn overlaps(&self, other: &Self) -> bool {
        let nested = self.folder.starts_with(&other.folder) || other.folder.starts_with(&self.folder);
        self.device == other.device && nested
    }
}

impl MountTable {
    /// Reads the table of this process.
    ///
    /// # Errors
    /// When the system does not show it.
    pub(crate) fn read() -> io::Result<Self> {
        Ok(Self::parse(&String::from_utf8_lossy(&std::fs::read("/proc/self/mountinfo")?)))
    }

    fn parse(text: &str) -> Self {
        let mut mounts = BTreeMap::new();
        for line in text.lines() {
            let mut fields = line.split(' ').skip(2);
            if let (Some(device), Some(root), Some(point)) = (fields.next(), fields.next(), fields.next()) {
                let part = FileSystemPart { device: device.to_owned(), folder: plain(root) };
                // What is mounted later at the same place hides what was there.
                mounts.insert(plain(point), part);
            }
        }
        Self(mounts)
    }

    /// Returns the project whose tree is partly the same as that of another project at `place`.
    pub(crate) fn find_overlap<'a>(
        &self,
        place: &Path,
        id: &ProjectId,
        others: impl Iterator<Item = &'a Project>,
    ) -> Option<ProjectId> {
        let own = self.parts(place);
        let mut others = others.filter(|other| other.id != *id);
        let other = others.find(|other| {
            self.parts(&other.place).iter().any(|part| own.iter().any(|own| own.overlaps(part)))
        });
        other.map(|other| other.id.clone())
    }

    /// Returns true if no mount shows any of `place` elsewhere, and none stands below it: then its path alone says
    /// whom it meets.
    pub(crate) fn is_plain(&self, place: &Path) -> bool {
        let Some((own, part)) = self.part(place) else { return true };
        self.0
            .iter()
            .all(|(point, mounted)| point == own || !(point.starts_with(place) || mounted.overlaps(&part)))
    }

    /// The file systems' parts that a place shows: its own, and those mounted below it.
    fn parts(&self, place: &Path) -> Vec<FileSystemPart> {
        let below = self.0.iter().filter(|(point, _)| *point != place && point.starts_with(place));
        self.part(place)
            .map(|(_, part)| part)
            .into_iter()
            .chain(below.map(|(_, part)| part.clone()))
            .collect()
    }

    /// The mount that a place lies on, and what the place is on its file system.
    fn part(&self, place: &Path) -> Option<(&Path, FileSystemPart)> {
        let (point, mounted) = place.ancestors().find_map(|point| self.0.get_key_value(point))?;
        let folder = mounted.folder.join(place.strip_prefix(point).ok()?);
        Some((point, FileSystemPart { device: mounted.device.clone(), folder }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
28 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
90 28 8:17 / /data rw,relatime - xfs /dev/sdb1 rw
91 28 8:17 /ftp/debian /srv/alias rw - xfs /dev/sdb1 rw
92 28 8:17 /ftp /home/two\\040words rw - xfs /dev/sdb1 rw
93 28 0:51 / /srv/own/disk rw - tmpfs tmpfs rw
nonsense
";

    #[test]
    fn a_place_is_plain_unless_a_mount_shows_it_twice_or_stands_below_it() {
        let table = MountTable::parse(TABLE);
        for (place, is_plain) in [
            ("/srv/mirror", true),
            ("/data/other/x", true),
            ("/data/ftp/debian", false),
            ("/data/ftp/debian/pool", false),
            ("/data/ftp", false),
            ("/data/ftp/ubuntu", false),
            ("/srv/alias/x", false),
            ("/home/two words/debian", false),
            ("/srv/own", false),
            ("/srv/own/disk/x", true),
        ] {
            assert_eq!(table.is_plain(Path::new(place)), is_plain, "{place}");
        }
        assert!(MountTable::default().is_plain(Path::new("/x")));
        assert!(MountTable::read().unwrap().part(Path::new("/")).is_some());
    }

    #[test]
    fn two_places_overlap_by_what_they_are_and_not_by_their_paths() {
        let table = MountTable::parse(TABLE);
        let overlap = |one: &str, other: &str| {
            let (one, other) = (table.parts(Path::new(one)), table.parts(Path::new(other)));
            one.iter().any(|one| other.iter().any(|other| one.overlaps(other)))
        };
        assert!(overlap("/srv/alias", "/data/ftp/debian"));
        assert!(overlap("/srv/alias/pool", "/data/ftp/debian"));
        assert!(overlap("/data/ftp/debian", "/home/two words/debian/pool"));
        assert!(overlap("/srv", "/data/ftp/debian/pool"), "it is mounted below /srv");
        assert!(!overlap("/srv/alias", "/data/ftp/ubuntu"));
        assert!(!overlap("/srv/own", "/data/ftp"));
        assert!(!overlap("/srv/mirror", "/srv/mirrors"));
    }
}
