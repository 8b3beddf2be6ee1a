//! Trees to mirror, and what makes two of them the same.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Makes `files` small files in some folders, a symlink, an empty folder, and names that are hard to handle.
pub(crate) fn grow(root: &Path, files: usize) {
    fs::create_dir_all(root.join("empty")).unwrap();
    for number in 0..files {
        let folder = root.join(format!("d{:02}", number % 20));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("file-{number}")), format!("{number} ").repeat(50 + number % 100))
            .unwrap();
    }
    fs::write(root.join("a name with spaces, ümläuts and \u{1b}[31m"), "x").unwrap();
    let _ = std::os::unix::fs::symlink("d00", root.join("link"));
}

/// Every path below `root` with its kind, mode and content.
pub(crate) fn fingerprint(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root).min_depth(1) {
        let entry = entry.unwrap();
        let name = entry.path().strip_prefix(root).unwrap().to_owned();
        let meta = entry.path().symlink_metadata().unwrap();
        let mode = meta.permissions().mode();
        let what = if meta.is_symlink() {
            format!("link to {}", fs::read_link(entry.path()).unwrap().display())
        } else if meta.is_dir() {
            format!("{mode:o} folder")
        } else {
            format!("{mode:o} {:?}", fs::read(entry.path()).unwrap())
        };
        found.insert(name, what);
    }
    found
}
