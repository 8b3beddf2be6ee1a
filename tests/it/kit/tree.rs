//! Trees to mirror, and what makes two of them the same.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

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

/// Every path below `root` with its kind, mode and content; without those that go while this looks, since it is also
/// asked of trees that an rsync is working on.
pub(crate) fn fingerprint(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root).min_depth(1) {
        let what =
            entry.map_err(io::Error::from).and_then(|entry| Ok((what_is(entry.path())?, entry.into_path())));
        match what {
            Ok((what, path)) => {
                found.insert(path.strip_prefix(root).unwrap().to_owned(), what);
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}"),
        }
    }
    found
}

fn what_is(path: &Path) -> io::Result<String> {
    let meta = path.symlink_metadata()?;
    let mode = meta.permissions().mode();
    Ok(if meta.is_symlink() {
        format!("link to {}", fs::read_link(path)?.display())
    } else if meta.is_dir() {
        format!("{mode:o} folder")
    } else {
        format!("{mode:o} {:?}", fs::read(path)?)
    })
}
