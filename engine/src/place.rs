//! A destination as an open folder: found once, without following a link, and not looked up by its path again.
//!
//! Whoever may rename a destination could put a link in its place after it was looked at, and lead rsync out of the
//! allowed roots. So a destination is opened with `openat2` (`RESOLVE_NO_SYMLINKS`), the guardian enters what it has
//! opened, and rsync and commands start there and know it as `.`.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// An open folder without a link on the way to it.
#[derive(Debug)]
pub struct DestinationFolder {
    folder: OwnedFd,
}

/// Device and inode of a folder, by which it is known under any path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderIdentity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl DestinationFolder {
    /// Opens the folder at `place`, an absolute path with every link resolved.
    ///
    /// # Errors
    /// When it is missing, or something on the way is a link or not a folder.
    pub fn open(place: &Path) -> io::Result<Self> {
        let folder = open_folder(CWD, place, ResolveFlags::empty());
        Ok(Self { folder: folder.map_err(|error| in_words(error, place))? })
    }

    /// The same, and makes what is missing on the way.
    ///
    /// # Errors
    /// As [`DestinationFolder::open`], or when the system refuses.
    pub fn open_or_make(place: &Path) -> io::Result<Self> {
        let folder = make(place).map_err(|error| in_words(error, place))?;
        Ok(Self { folder })
    }

    /// The identity of the folder.
    ///
    /// # Errors
    /// When the system cannot say it.
    pub fn identity(&self) -> io::Result<FolderIdentity> {
        identity_of(&self.folder)
    }

    /// A path that leads to this folder, for this process only and for as long as this value lives, whatever stands
    /// at its place by then.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.folder.as_raw_fd()))
    }

    /// Makes it the working directory of this process.
    pub(crate) fn enter(&self) -> io::Result<()> {
        Ok(rustix::process::fchdir(&self.folder)?)
    }

    /// Replaces a file below the folder in one step. Folders on the way are made, and no link is followed.
    ///
    /// # Errors
    /// When the path leads out, through a link, or the system refuses.
    pub fn replace(&self, path: &Path, text: &str) -> io::Result<()> {
        let (above, name) = split(path)?;
        let folder = make_below(&self.folder, above)?;
        let fresh = format!(".{}.heliostat", name.display());
        // Left by somebody who was killed.
        let _ = rustix::fs::unlinkat(&folder, &fresh, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, &fresh, flags, Mode::from_raw_mode(0o666))?;
        File::from(file).write_all(text.as_bytes())?;
        Ok(rustix::fs::renameat(&folder, &fresh, &folder, name)?)
    }

    /// Removes a file below the folder, if it is there. No link is followed.
    ///
    /// # Errors
    /// When the path leads out, through a link, or the system refuses.
    pub fn remove_file(&self, path: &Path) -> io::Result<()> {
        remove_below(self.folder.as_fd(), path)
    }
}

impl AsFd for DestinationFolder {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

impl From<DestinationFolder> for OwnedFd {
    fn from(folder: DestinationFolder) -> Self {
        folder.folder
    }
}

/// The identity of an open folder.
pub(crate) fn identity_of(folder: impl AsFd) -> io::Result<FolderIdentity> {
    let stat = rustix::fs::fstat(folder)?;
    Ok(FolderIdentity { device: stat.st_dev, inode: stat.st_ino })
}

/// Removes a file below an open folder, if it is there. No link is followed.
pub(crate) fn remove_below(folder: impl AsFd, path: &Path) -> io::Result<()> {
    let (above, name) = split(path)?;
    let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
    let removed = open_folder(folder, above, ResolveFlags::BENEATH)
        .and_then(|folder| rustix::fs::unlinkat(&folder, name, AtFlags::empty()));
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn open_folder(at: impl AsFd, path: &Path, more: ResolveFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | more;
    rustix::fs::openat2(at, path, flags, Mode::empty(), resolve)
}

/// Opens a folder, made from the topmost part that is missing downwards.
fn make(place: &Path) -> Result<OwnedFd, Errno> {
    match open_folder(CWD, place, ResolveFlags::empty()) {
        Err(Errno::NOENT) => match (place.parent(), place.file_name()) {
            (Some(above), Some(name)) => make_in(&make(above)?, Path::new(name)),
            _ => Err(Errno::NOENT),
        },
        opened => opened,
    }
}

/// The same for a path below an open folder.
fn make_below(folder: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let mut folder = open_folder(folder, Path::new("."), ResolveFlags::BENEATH)?;
    for part in path {
        folder = make_in(&folder, Path::new(part))?;
    }
    Ok(folder)
}

fn make_in(folder: &OwnedFd, name: &Path) -> Result<OwnedFd, Errno> {
    match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => open_folder(folder, name, ResolveFlags::BENEATH),
        Err(error) => Err(error),
    }
}

/// The folder of a relative path without `..`, and the name in it.
fn split(path: &Path) -> io::Result<(&Path, &Path)> {
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    match (path.parent(), path.file_name()) {
        (Some(above), Some(name)) if is_plain => Ok((above, Path::new(name))),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Explains errors whose own text helps nobody: of a link it is "too many levels of symbolic links".
fn in_words(error: Errno, place: &Path) -> io::Error {
    let why = match error {
        Errno::LOOP => format!(
            "a symbolic link stands on the way to {}, where there was none when the project was saved",
            place.display()
        ),
        Errno::NOSYS => "openat2 is missing: Heliostat needs Linux 5.6 or newer".to_owned(),
        error => return error.into(),
    };
    io::Error::new(io::Error::from(error).kind(), why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A folder with a tree, somebody else's folder, and links to that.
    fn site() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("tree/sub")).unwrap();
        fs::create_dir(root.join("outside")).unwrap();
        fs::write(root.join("outside/file"), "precious").unwrap();
        symlink(root.join("outside"), root.join("link")).unwrap();
        symlink(root.join("outside"), root.join("tree/way")).unwrap();
        symlink(root.join("nowhere"), root.join("dangling")).unwrap();
        (folder, root)
    }

    #[test]
    fn no_link_is_followed_on_the_way_to_a_folder_or_below_it() {
        let (_folder, root) = site();
        for place in ["link", "link/new", "link/new/deep", "dangling", "dangling/new"] {
            let error = DestinationFolder::open_or_make(&root.join(place)).unwrap_err().to_string();
            assert!(error.contains("a symbolic link stands on the way"), "{place}: {error}");
        }
        let file = DestinationFolder::open_or_make(&root.join("outside/file/x")).unwrap_err();
        assert_eq!(file.kind(), io::ErrorKind::NotADirectory);
        let made = DestinationFolder::open_or_make(&root.join("new/and/deep")).unwrap();
        assert!(root.join("new/and/deep").is_dir());
        assert_ne!(made.identity().unwrap(), DestinationFolder::open(&root).unwrap().identity().unwrap());

        let tree = DestinationFolder::open(&root.join("tree")).unwrap();
        for path in ["way/file", "../outside/file", "/etc/file", "", "way/new/file"] {
            assert!(tree.replace(Path::new(path), "x").is_err(), "{path}");
            assert!(tree.remove_file(Path::new(path)).is_err(), "{path}");
        }
        assert_eq!(fs::read_to_string(root.join("outside/file")).unwrap(), "precious");
        assert_eq!(fs::read_dir(root.join("outside")).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_was_opened_stays_the_same_whatever_takes_its_place() {
        let (_folder, root) = site();
        let tree = DestinationFolder::open(&root.join("tree")).unwrap();
        fs::rename(root.join("tree"), root.join("away")).unwrap();
        symlink(root.join("outside"), root.join("tree")).unwrap();
        tree.replace(Path::new("sub/new/file"), "one").unwrap();
        tree.replace(Path::new("sub/new/file"), "two").unwrap();
        assert_eq!(fs::read_to_string(root.join("away/sub/new/file")).unwrap(), "two");
        assert!(tree.path().join("sub/new").is_dir());
        tree.remove_file(Path::new("sub/new/file")).unwrap();
        tree.remove_file(Path::new("sub/new/file")).unwrap();
        assert_eq!(fs::read_dir(root.join("away/sub/new")).unwrap().count(), 0);
    }
}
