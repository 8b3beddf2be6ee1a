//! Where a tree may land: absolute, inside the allowed roots, and never inside or around another project's.
//!
//! The check is on real places, every symlink resolved, so that an alias cannot smuggle two projects into one
//! directory. What resolution cannot see (a bind mount, a symlink that changes later) is caught again by the lock on
//! the directory's inode when an attempt starts.

pub(crate) mod mounted;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};

use crate::project::ProjectId;

/// Why a tree may not land there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// It does not begin with `/`.
    #[error("is relative: give an absolute path such as /data/ftp/debian")]
    Relative,
    /// It holds `..`.
    #[error("contains `..`: write the path that it leads to")]
    Parent,
    /// It holds a control character or a NUL.
    #[error("contains a control character: such a path is a mistake")]
    Control,
    /// It is `/` itself.
    #[error("is the root of the file system: give a directory below it")]
    Root,
    /// Something on its way exists and is not a directory.
    #[error("leads through {0}, which is not a directory")]
    NotADirectory(PathBuf),
    /// The system would not say what is there.
    #[error("cannot be examined at {path}: {why}")]
    Unreadable {
        /// Where it stopped.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// It is outside every allowed root.
    #[error(
        "is outside the allowed roots ({roots}): choose a place below one of them, or extend `allowed_roots`"
    )]
    OutsideRoots {
        /// The roots, as configured.
        roots: String,
    },
    /// It holds our own state, or lies in it.
    #[error("overlaps the server's own data folder {0}: choose another place")]
    OwnState(PathBuf),
    /// It holds something by which this server is ruled, or lies in it.
    #[error("overlaps {what} ({path}): an upstream could rule this server from there; choose another place")]
    Reserved {
        /// Its name for people.
        what: &'static str,
        /// Its path.
        path: PathBuf,
    },
    /// Another project's tree is mounted there, or it is mounted in another project's tree.
    #[error(
        "is the same place as (a part of) the destination of project `{0}`, by a mount: choose another place"
    )]
    Mounted(ProjectId),
    /// Another project lands in the very same directory.
    #[error("is the destination of project `{0}` already: two projects would delete each other's files")]
    Taken(ProjectId),
    /// It lies inside another project's destination.
    #[error(
        "lies inside the destination of project `{0}`, whose sync would delete it: choose a place beside it"
    )]
    Inside(ProjectId),
    /// Another project's destination lies inside it.
    #[error(
        "contains the destination of project `{0}`, which its sync would delete: choose a place beside it"
    )]
    Contains(ProjectId),
    /// The last rsync of a removed project still writes in, around or below it.
    #[error(
        "is still written to by the last run of project `{0}`, which was removed: repeat this once that has ended"
    )]
    Leaving(ProjectId),
}

/// Where trees may land at all.
#[derive(Debug, Clone, Default)]
pub struct Landing {
    /// Where projects may land; empty: anywhere.
    pub allowed_roots: Vec<PathBuf>,
    /// Those of them on which a file system must be mounted.
    pub expected_mounts: Vec<PathBuf>,
    /// The server's own folder, where none may.
    pub data_dir: PathBuf,
    /// Places by which the server is ruled, where none may either.
    pub reserved: Vec<ReservedPlace>,
}

/// A file or folder by which the server is ruled: whoever writes there has its power.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservedPlace {
    /// Its name for people.
    pub what: &'static str,
    /// Its path.
    pub path: PathBuf,
    /// Set if nothing may land below it; else it only must not be in a destination.
    pub whole: bool,
}

impl Landing {
    /// The real place of `dest`, every symlink on its existing part resolved.
    ///
    /// # Errors
    /// When a tree may not land there, whoever else is where.
    pub fn resolve(&self, dest: &Path) -> Result<PathBuf, DestinationError> {
        let place = real(dest)?;
        if place.parent().is_none() {
            return Err(DestinationError::Root);
        }
        let roots: Vec<PathBuf> = self.allowed_roots.iter().filter_map(|root| real(root).ok()).collect();
        if !self.allowed_roots.is_empty()
            && !roots.iter().any(|root| place != *root && place.starts_with(root))
        {
            let roots: Vec<_> = self.allowed_roots.iter().map(|root| root.display().to_string()).collect();
            return Err(DestinationError::OutsideRoots { roots: roots.join(", ") });
        }
        if let Ok(own) = real(&self.data_dir)
            && (place.starts_with(&own) || own.starts_with(&place))
        {
            return Err(DestinationError::OwnState(self.data_dir.clone()));
        }
        match self.reserved.iter().find(|reserved| reserved.meets(&place)) {
            Some(ReservedPlace { what, path, .. }) => {
                Err(DestinationError::Reserved { what, path: path.clone() })
            }
            None => Ok(place),
        }
    }
}

impl ReservedPlace {
    /// Returns true if a tree at `place` could change what this is.
    fn meets(&self, place: &Path) -> bool {
        // As it is written, and where it really is: a link in a destination could be replaced as well.
        let real = std::fs::canonicalize(&self.path).ok();
        let mut both = [Some(&self.path), real.as_ref()].into_iter().flatten();
        both.any(|path| path.starts_with(place) || (self.whole && place.starts_with(path)))
    }
}

/// Resolves the longest part that exists, and appends the rest as it stands.
fn real(path: &Path) -> Result<PathBuf, DestinationError> {
    if !path.is_absolute() {
        return Err(DestinationError::Relative);
    }
    if path.to_string_lossy().chars().any(char::is_control) {
        return Err(DestinationError::Control);
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(DestinationError::Parent);
    }
    for existing in path.ancestors() {
        match std::fs::canonicalize(existing) {
            Ok(place) if !place.is_dir() => return Err(DestinationError::NotADirectory(existing.to_owned())),
            Ok(place) => {
                let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
                return Ok(if rest.as_os_str().is_empty() { place } else { place.join(rest) });
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !dangling(existing) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {}
            Err(error) => {
                return Err(DestinationError::Unreadable {
                    path: existing.to_owned(),
                    why: error.to_string(),
                });
            }
        }
    }
    Err(DestinationError::Root)
}

/// A symlink to nowhere: what will stand there later cannot be checked now.
fn dangling(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink())
}

/// Every project's place, so that a new one is compared with its neighbours only.
#[derive(Debug, Default)]
pub struct Places(BTreeMap<PathBuf, ProjectId>);

impl Places {
    /// Says whether `project` may land at `place`.
    ///
    /// # Errors
    /// When another project is there, above it, or below it.
    pub fn check(&self, place: &Path, project: &ProjectId) -> Result<(), DestinationError> {
        let other = |id: &&ProjectId| *id != project;
        if let Some(id) = self.0.get(place).filter(other) {
            return Err(DestinationError::Taken(id.clone()));
        }
        if let Some(id) = place.ancestors().skip(1).find_map(|above| self.0.get(above).filter(other)) {
            return Err(DestinationError::Inside(id.clone()));
        }
        let mut below = self
            .0
            .range::<Path, _>((Bound::Excluded(place), Bound::Unbounded))
            .take_while(|(other, _)| other.starts_with(place));
        match below.find(|(_, id)| *id != project) {
            Some((_, id)) => Err(DestinationError::Contains(id.clone())),
            None => Ok(()),
        }
    }

    /// Notes that `project` lands at `place`.
    pub fn insert(&mut self, place: PathBuf, project: ProjectId) {
        self.0.insert(place, project);
    }

    /// Forgets who lands at `place`.
    pub fn remove(&mut self, place: &Path) {
        self.0.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symlink_does_not_hide_where_a_tree_lands() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("a")).unwrap();
        std::os::unix::fs::symlink(root.join("a"), root.join("b")).unwrap();
        std::os::unix::fs::symlink(root.join("nowhere"), root.join("c")).unwrap();
        let landing =
            Landing { allowed_roots: vec![root.clone()], data_dir: root.join("state"), ..Landing::default() };
        assert_eq!(landing.resolve(&root.join("b/x/y")), Ok(root.join("a/x/y")));
        assert!(matches!(landing.resolve(&root.join("c/x")), Err(DestinationError::Unreadable { .. })));
        assert!(matches!(landing.resolve(&root), Err(DestinationError::OutsideRoots { .. })));
        assert!(matches!(landing.resolve(&root.join("state/x")), Err(DestinationError::OwnState(_))));
        assert_eq!(landing.resolve(Path::new("x")), Err(DestinationError::Relative));
        assert_eq!(landing.resolve(&root.join("a/../..")), Err(DestinationError::Parent));
        assert!(matches!(Landing::default().resolve(Path::new("/")), Err(DestinationError::Root)));
    }

    #[test]
    fn what_rules_the_server_is_no_destination_and_in_none() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for made in ["etc/keys", "plugins", "archive", "mirror"] {
            std::fs::create_dir_all(root.join(made)).unwrap();
        }
        std::fs::write(root.join("archive/key1"), "").unwrap();
        std::os::unix::fs::symlink(root.join("archive/key1"), root.join("etc/keys/key")).unwrap();
        std::os::unix::fs::symlink(root.join("etc"), root.join("mirror/alias")).unwrap();
        let reserved = |what, path: &str, whole| ReservedPlace { what, path: root.join(path), whole };
        let landing = Landing {
            data_dir: root.join("state"),
            reserved: vec![
                reserved("the key", "etc/keys/key", false),
                reserved("the folder of plugins", "plugins", true),
            ],
            ..Landing::default()
        };
        for (dest, refused) in [
            ("etc/keys", true),
            ("etc", true),
            ("etc/keys/key", true),
            ("archive", true),
            ("plugins", true),
            ("plugins/below/it", true),
            ("mirror/alias", true),
            ("mirror/alias/keys", true),
            ("", true),
            ("etc/mirror", false),
            ("archives", false),
            ("mirror/p", false),
        ] {
            let found = landing.resolve(&root.join(dest));
            assert_eq!(found.is_err(), refused, "{dest}: {found:?}");
        }
    }

    #[test]
    fn destinations_never_nest_and_never_meet() {
        let id = |text: &str| text.parse::<ProjectId>().unwrap();
        let mut places = Places::default();
        places.insert("/d/debian".into(), id("debian"));
        let check = |place: &str, name: &str| places.check(Path::new(place), &id(name));
        assert_eq!(check("/d/debian", "x"), Err(DestinationError::Taken(id("debian"))));
        assert_eq!(check("/d/debian/pool", "x"), Err(DestinationError::Inside(id("debian"))));
        assert_eq!(check("/d", "x"), Err(DestinationError::Contains(id("debian"))));
        assert_eq!(check("/d/debian-cd", "x"), Ok(()));
        assert_eq!(check("/d/debian", "debian"), Ok(()));
        assert_eq!(check("/d", "debian"), Ok(()));
    }
}
