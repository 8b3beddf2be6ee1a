//! A tree that moves because its project gets another name: one rename on one file system, so that nothing is fetched
//! twice, and a crash neither loses nor doubles it.
//!
//! The wish is durable before the rename, and forgotten after it. Whoever finds the wish again makes the move again,
//! which does nothing when it was made.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use engine::DestinationFolder;
use rustix::fs::{Access, access, renameat};

/// A move of a tree from one place to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocation {
    /// Where it is.
    pub from: PathBuf,
    /// Where it is to be.
    pub to: PathBuf,
}

/// Why a tree cannot move.
#[derive(Debug, thiserror::Error)]
pub enum RelocationError {
    /// Something is there already.
    #[error("{0} is there already: move it away, or choose another name")]
    Taken(PathBuf),
    /// No rename leads there.
    #[error(
        "{from} cannot become {to} by one rename, since they are on two file systems: move the tree by hand, then set `dest`"
    )]
    Apart {
        /// Where it is.
        from: PathBuf,
        /// Where it was to be.
        to: PathBuf,
    },
    /// The system says no.
    #[error("{path} cannot be moved: {why}")]
    Refused {
        /// What was looked at.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
}

impl Relocation {
    /// What is to be done so that the tree at `from` is at `to`: nothing, when there is no tree yet.
    ///
    /// # Errors
    /// When something stands in the way. What comes there later is found by [`Relocation::perform`].
    pub fn plan(from: &Path, to: &Path) -> Result<Option<Self>, RelocationError> {
        if from == to {
            return Ok(None);
        }
        if exists(to).map_err(|why| refused(to, why))? {
            return Err(RelocationError::Taken(to.to_owned()));
        }
        if !exists(from).map_err(|why| refused(from, why))? {
            return Ok(None);
        }
        for place in [from, to] {
            let above = above(place);
            let meta = fs::metadata(above).map_err(|why| refused(above, why))?;
            // A tree that is a mount of its own is on another file system than the folder above it.
            if meta.dev() != fs::metadata(from).map_err(|why| refused(from, why))?.dev() {
                return Err(RelocationError::Apart { from: from.to_owned(), to: to.to_owned() });
            }
            access(above, Access::WRITE_OK | Access::EXEC_OK).map_err(|why| refused(above, why.into()))?;
        }
        Ok(Some(Self { from: from.to_owned(), to: to.to_owned() }))
    }

    /// Moves the tree, and makes that durable. Nothing happens when it was moved before.
    ///
    /// # Errors
    /// When something is in the new place besides, or the system refuses; the tree is where it was.
    pub fn perform(&self) -> io::Result<()> {
        if exists(&self.from)? {
            if exists(&self.to)? {
                let why = format!("{} is there besides {}", self.to.display(), self.from.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
            }
            // No link is followed on the way to either. Of what comes there now, it replaces nothing but an empty folder.
            let (from, to) = (open_above(&self.from)?, open_above(&self.to)?);
            renameat(&from, name(&self.from)?, &to, name(&self.to)?)?;
        }
        for place in [&self.from, &self.to] {
            rustix::fs::fsync(open_above(place)?)?;
        }
        Ok(())
    }
}

fn exists(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn above(place: &Path) -> &Path {
    place.parent().unwrap_or(place)
}

fn open_above(place: &Path) -> io::Result<DestinationFolder> {
    DestinationFolder::open(above(place))
}

fn name(place: &Path) -> io::Result<&OsStr> {
    place.file_name().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn refused(path: &Path, why: io::Error) -> RelocationError {
    RelocationError::Refused { path: path.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_is_made_once_however_often_it_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("old"), folder.path().join("new"));
        assert!(Relocation::plan(&from, &to).unwrap().is_none(), "there is no tree yet");
        fs::create_dir(&from).unwrap();
        fs::write(from.join("file"), "precious").unwrap();
        let relocation = Relocation::plan(&from, &to).unwrap().unwrap();
        for _ in 0..3 {
            relocation.perform().unwrap();
            assert_eq!(fs::read_to_string(to.join("file")).unwrap(), "precious");
            assert!(!from.exists());
        }
        // What comes to either place later is left alone.
        fs::create_dir(&from).unwrap();
        assert_eq!(relocation.perform().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(from.exists() && to.join("file").exists());
    }

    #[test]
    fn what_is_in_the_way_is_said_before_anything_moves() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("old"), folder.path().join("new"));
        fs::create_dir(&from).unwrap();
        fs::write(&to, "").unwrap();
        assert!(matches!(Relocation::plan(&from, &to), Err(RelocationError::Taken(_))));
        let apart = Relocation::plan(Path::new("/proc/self"), &folder.path().join("x"));
        assert!(
            matches!(apart, Err(RelocationError::Apart { .. } | RelocationError::Refused { .. })),
            "{apart:?}"
        );
        assert!(Relocation::plan(&from, &from).unwrap().is_none());
    }
}
