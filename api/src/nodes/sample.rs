//! A sample of a tree, for slaves that check by it whether theirs is still the same.
//!
//! A few folders are found by going down at random, so that the cost does not grow with the tree. Of each there are all
//! names, and of some of its files size, time and, where they are small, a digest of the content. Nothing is given
//! while the tree changes. Blocks.

use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use scheduler::{ProjectId, Scheduler};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How many folders are looked at.
const FOLDERS: usize = 8;
/// How many files of each.
const FILES: usize = 16;
/// Of how many of them the content.
const CONTENTS: usize = 4;
/// The largest file of which the content is read.
const LARGEST: u64 = 1 << 20;
/// How deep a folder may be.
const DEEPEST: usize = 64;
/// The most names of a folder that are given.
const NAMES: usize = 2000;

/// What a tree holds at some places.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Of which generation.
    pub(crate) generation: u64,
    pub(crate) folders: Vec<Folder>,
}

/// One folder. Paths and names are bytes in base64url.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Folder {
    pub(crate) path: String,
    /// All its files and folders; none: there are too many.
    pub(crate) names: Option<Vec<String>>,
    pub(crate) files: Vec<Entry>,
}

/// One file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) modified: i64,
    /// SHA-256 of its content, if that was read.
    pub(crate) digest: Option<String>,
}

/// Draws a sample of what slaves pull; none while the tree changes, or where it cannot be read.
pub(crate) fn draw(scheduler: &Scheduler, project: &ProjectId) -> Option<Sample> {
    let entry = scheduler.board().project(project)?;
    let is_still = || {
        let runs = scheduler.board().runs();
        runs.iter().all(|run| run.project != *project || run.state.as_str() == "queued")
    };
    let root = &entry.project.place;
    let generation = entry.standing.generation;
    let folders = is_still().then(|| (0..FOLDERS).filter_map(|_| folder(root)).collect())?;
    let now = scheduler.board().project(project)?.standing.generation;
    (is_still() && now == generation).then_some(Sample { generation, folders })
}

/// A folder somewhere in the tree.
fn folder(root: &Path) -> Option<Folder> {
    let (mut path, mut inside) = (PathBuf::new(), Inside::read(root)?);
    for _ in 0..DEEPEST {
        let Some(next) = inside.folders.choose(&mut rand::rng()).filter(|_| !rand::random_ratio(1, 4)) else {
            break;
        };
        path.push(next);
        inside = Inside::read(&root.join(&path))?;
    }
    let mut files = inside.files;
    files.shuffle(&mut rand::rng());
    let names = files.iter().map(|(name, _)| name).chain(&inside.folders);
    let names: Vec<String> = names.map(|name| text(name)).collect();
    let looked_at = files.iter().take(FILES).enumerate();
    let at = root.join(&path);
    let files = looked_at.map(|(number, (name, meta))| entry(&at, name, meta, number < CONTENTS)).collect();
    Some(Folder { path: text(&path), names: (names.len() <= NAMES).then_some(names), files })
}

/// The files and folders of a folder. What else there may be is no business of samples.
pub(crate) struct Inside {
    pub(crate) files: Vec<(PathBuf, Metadata)>,
    pub(crate) folders: Vec<PathBuf>,
}

impl Inside {
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let mut inside = Self { files: Vec::new(), folders: Vec::new() };
        for entry in fs::read_dir(folder).ok()? {
            let entry = entry.ok()?;
            let (name, meta) = (PathBuf::from(entry.file_name()), entry.metadata().ok()?);
            if meta.is_dir() && name.as_os_str() != engine::rsync::args::PARTIAL_DIR {
                inside.folders.push(name);
            } else if meta.is_file() {
                inside.files.push((name, meta));
            }
        }
        Some(inside)
    }
}

/// What a sample says of a file.
pub(crate) fn entry(folder: &Path, name: &Path, meta: &Metadata, with_content: bool) -> Entry {
    let content = (with_content && meta.len() <= LARGEST).then(|| fs::read(folder.join(name)).ok()).flatten();
    let digest = content.map(|content| URL_SAFE_NO_PAD.encode(Sha256::digest(content)));
    Entry { name: text(name), size: meta.len(), modified: meta.mtime(), digest }
}

/// A path or name as it travels.
pub(crate) fn text(path: &Path) -> String {
    URL_SAFE_NO_PAD.encode(path.as_os_str().as_bytes())
}
