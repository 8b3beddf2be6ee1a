//! Files below a project's destination, as far as they were granted.
//!
//! The kernel keeps every path below the destination and off symbolic links (`openat2`), so that no tree can lead a
//! plugin astray, not even one that changes while it is looked at.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use engine::DestinationFolder;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::settings::{Grants, PathGrant};

/// The most bytes of one read or write.
const BYTES: usize = 1024 * 1024;
/// The longest path.
const PATH: usize = 4096;
/// The most entries of one list, and the most that are looked at for it.
const ENTRIES: usize = 10_000;
const LOOKED_AT: usize = 1_000_000;

/// A destination, as a call sees it.
#[derive(Debug, Clone)]
pub(crate) struct Dest {
    root: Option<PathBuf>,
    grants: Arc<Grants>,
}

/// What something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Dir,
    Symlink,
    Other,
}

/// What is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    pub(crate) mtime_ms: i64,
}

/// Why it was not done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    NotFound,
    Denied,
    TooLarge,
    Io(String),
}

impl Dest {
    pub(crate) fn new(root: Option<PathBuf>, grants: Arc<Grants>) -> Self {
        Self { root, grants }
    }

    pub(crate) async fn stat(&self, path: String) -> Result<Metadata, Failure> {
        covered(&path, &[&self.grants.dest_read, &self.grants.dest_write])?;
        self.aside(move |root| {
            let found = open(&root, &path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
            Ok(metadata(&rustix::fs::fstat(&found)?))
        })
        .await
    }

    /// The entries of a folder that were granted.
    pub(crate) async fn read_dir(&self, path: String, limit: u32) -> Result<Vec<(String, Kind)>, Failure> {
        let proper = path.is_empty() || is_proper(&path);
        let grants = Arc::clone(&self.grants);
        if !proper || !grants.dest_read.iter().any(|grant| grant.reaches_into(&path)) {
            return Err(Failure::Denied);
        }
        let most = usize::try_from(limit).unwrap_or(ENTRIES).min(ENTRIES);
        self.aside(move |root| {
            let folder = if path.is_empty() { "." } else { &path };
            let folder = open(&root, folder, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
            let covered = |name: &str| {
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
                grants.dest_read.iter().any(|grant| grant.covers(&path) || grant.reaches_into(&path))
            };
            list(&folder, most, covered)
        })
        .await
    }

    pub(crate) async fn read(&self, path: String, offset: u64, max: u32) -> Result<Vec<u8>, Failure> {
        covered(&path, &[&self.grants.dest_read])?;
        let most = usize::try_from(max).unwrap_or(BYTES).min(BYTES);
        self.aside(move |root| {
            // Without NONBLOCK, opening a pipe would wait for who writes into it.
            let file = open(&root, &path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
            if metadata(&rustix::fs::fstat(&file)?).kind != Kind::File {
                return Err(Failure::Io("it is no file".to_owned()));
            }
            let mut bytes = vec![0; most];
            let mut filled = 0;
            while filled < most {
                match rustix::io::pread(&file, &mut bytes[filled..], offset + filled as u64)? {
                    0 => break,
                    more => filled += more,
                }
            }
            bytes.truncate(filled);
            Ok(bytes)
        })
        .await
    }

    /// Replaces a file in one step; the folders above it are made.
    pub(crate) async fn put(&self, path: String, data: Vec<u8>) -> Result<(), Failure> {
        covered(&path, &[&self.grants.dest_write])?;
        if data.len() > BYTES {
            return Err(Failure::TooLarge);
        }
        self.aside(move |root| put(&root, &path, &data)).await
    }

    /// Work on the destination, away from the threads that must not wait for a disk.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(OwnedFd) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let root = self.root.clone().ok_or(Failure::Denied)?;
        let task = tokio::task::spawn_blocking(move || {
            let folder = DestinationFolder::open(&root);
            work(folder.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::LOOP))?.into())
        });
        task.await.unwrap_or_else(|error| Err(Failure::Io(error.to_string())))
    }
}

/// Whether one of these grants covers the path.
fn covered(path: &str, grants: &[&Vec<PathGrant>]) -> Result<(), Failure> {
    let covered = grants.iter().any(|grants| grants.iter().any(|grant| grant.covers(path)));
    if covered && is_proper(path) { Ok(()) } else { Err(Failure::Denied) }
}

/// Whether a path is relative and has no part that is empty, `.` or `..`.
fn is_proper(path: &str) -> bool {
    path.len() <= PATH && !path.contains('\0') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn open(root: &OwnedFd, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, mode, beneath)
}

fn list(
    folder: &OwnedFd,
    most: usize,
    covered: impl Fn(&str) -> bool,
) -> Result<Vec<(String, Kind)>, Failure> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(folder)?.take(LOOKED_AT) {
        let entry = entry?;
        // A name that is no text cannot be asked for either.
        let Ok(name) = entry.file_name().to_str() else { continue };
        if matches!(name, "." | "..") || !covered(name) {
            continue;
        }
        if entries.len() == most {
            break;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => metadata(&rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?).kind,
            known => kind(known),
        };
        entries.push((name.to_owned(), kind));
    }
    Ok(entries)
}

fn put(root: &OwnedFd, path: &str, data: &[u8]) -> Result<(), Failure> {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let folder = make_folders(root, folders)?;
    let draft = format!(".heliostat-{:016x}", rand::random::<u64>());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let file = open(&folder, &draft, flags, Mode::from_raw_mode(0o644))?;
    let written = write(file, data).and_then(|()| Ok(rustix::fs::renameat(&folder, &draft, &folder, name)?));
    if written.is_err() {
        // What is left of it is nobody's; the next sync would delete it.
        let _ = rustix::fs::unlinkat(&folder, &draft, AtFlags::empty());
    }
    written?;
    Ok(rustix::fs::fsync(&folder)?)
}

fn write(file: OwnedFd, data: &[u8]) -> Result<(), Failure> {
    let mut file = std::fs::File::from(file);
    let written = io::Write::write_all(&mut file, data).and_then(|()| file.sync_all());
    written.map_err(|error| Failure::Io(error.to_string()))
}

/// The folder, made where it is missing, one after the other from the top.
fn make_folders(root: &OwnedFd, folders: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut folder = open(root, ".", flags, Mode::empty())?;
    for name in folders.split('/').filter(|name| !name.is_empty()) {
        match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => folder = open(&folder, name, flags, Mode::empty())?,
            Err(error) => return Err(error),
        }
    }
    Ok(folder)
}

#[expect(clippy::unnecessary_cast, reason = "the fields have other types on other machines")]
fn metadata(stat: &Stat) -> Metadata {
    let millis = i64::try_from(stat.st_mtime_nsec).unwrap_or_default() / 1_000_000;
    Metadata {
        kind: kind(FileType::from_raw_mode(stat.st_mode)),
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        mtime_ms: (stat.st_mtime as i64).saturating_mul(1000).saturating_add(millis),
    }
}

fn kind(file_type: FileType) -> Kind {
    match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    }
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT | Errno::NOTDIR => Self::NotFound,
            // A symbolic link on the way, or a way out.
            Errno::LOOP | Errno::XDEV => Self::Denied,
            error => Self::Io(io::Error::from(error).to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
