//! The destination beside the upstream's file list: each entry that is here and not there.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use engine::protocol::Entry;
use engine::{EntryKind, ListFilters};
use sha2::{Digest, Sha256};

/// The names of an upstream's list, each with whether it is a folder, in 16 bytes.
#[derive(Default)]
pub(super) struct UpstreamNames(Vec<[u8; 16]>);

impl UpstreamNames {
    pub(super) fn add(&mut self, entry: &Entry) {
        self.0.push(digest(&entry.name, entry.kind == EntryKind::Directory));
    }

    /// The same, ready for questions.
    pub(super) fn sorted(mut self) -> Self {
        self.0.sort_unstable();
        self
    }

    fn has(&self, path: &[u8], is_folder: bool) -> bool {
        self.0.binary_search(&digest(path, is_folder)).is_ok()
    }
}

/// Half of a SHA-256 digest: nobody finds two names with the same one.
fn digest(path: &[u8], is_folder: bool) -> [u8; 16] {
    let hash = Sha256::new().chain_update([u8::from(is_folder)]).chain_update(path);
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// Walks over the destination, never through a link, and gives out each entry that the upstream has
/// not, in the same order every time. Returns the number of entries that the upstream has.
///
/// A folder in the place of a file, or the other way round, counts as gone: rsync makes way for it.
///
/// # Errors
/// When a folder cannot be read: nobody knows then what would be deleted.
pub(super) fn walk(
    dest: &Path,
    filters: &ListFilters,
    names: &UpstreamNames,
    mut gone: impl FnMut(&[u8], bool),
) -> io::Result<u64> {
    let mut kept = 0;
    // Folders that are still to be looked at, and whether they themselves go.
    let mut folders = vec![(Vec::new(), false)];

    while let Some((folder, goes)) = folders.pop() {
        for (path, is_folder) in entries(dest, &folder)? {
            if filters.is_protected(&path, is_folder) {
                continue;
            }
            let stays = !goes && names.has(&path, is_folder);
            if stays {
                kept += 1;
            } else {
                gone(&path, is_folder);
            }
            if is_folder {
                folders.push((path, !stays));
            }
        }
    }
    Ok(kept)
}

/// The entries of a folder, sorted: paths below the destination, with a mark for folders.
fn entries(dest: &Path, folder: &[u8]) -> io::Result<Vec<(Vec<u8>, bool)>> {
    let mut entries = Vec::new();

    for entry in fs::read_dir(dest.join(OsStr::from_bytes(folder)))? {
        let entry = entry?;
        let name = entry.file_name().into_vec();
        let path = if folder.is_empty() { name } else { [folder, &name].join(&b'/') };
        entries.push((path, entry.file_type()?.is_dir()));
    }
    entries.sort_unstable();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(entries: &[(&str, bool)]) -> UpstreamNames {
        let names = entries.iter().map(|(name, is_folder)| digest(name.as_bytes(), *is_folder));
        UpstreamNames(names.collect()).sorted()
    }

    #[test]
    fn all_that_the_upstream_has_not_is_named_with_what_is_below_it() {
        let dest = tempfile::tempdir().unwrap();
        for path in ["kept/a", "kept/old", "gone/deep/x", "was-folder/y", ".~tmp~/part", "kept/.~tmp~/part"] {
            fs::create_dir_all(dest.path().join(path).parent().unwrap()).unwrap();
            fs::write(dest.path().join(path), "x").unwrap();
        }
        fs::write(dest.path().join("was-file"), "x").unwrap();
        std::os::unix::fs::symlink("gone", dest.path().join("link")).unwrap();
        let names = upstream(&[
            ("kept", true),
            ("kept/a", false),
            ("was-folder", false),
            ("was-file", true),
            ("link", false),
            ("new", false),
        ]);
        let filters = ListFilters::read(&["--exclude=.~tmp~/".into()]).unwrap();
        let mut gone = Vec::new();
        let kept = walk(dest.path(), &filters, &names, |path, is_folder| {
            gone.push((String::from_utf8(path.to_vec()).unwrap(), is_folder));
        });
        gone.sort();
        let expected = [
            ("gone", true),
            ("gone/deep", true),
            ("gone/deep/x", false),
            ("kept/old", false),
            ("was-file", false),
            ("was-folder", true),
            ("was-folder/y", false),
        ];
        assert_eq!(gone, expected.map(|(path, is_folder)| (path.to_owned(), is_folder)));
        assert_eq!(kept.unwrap(), 3);
        assert!(walk(&dest.path().join("was-file"), &filters, &names, |_, _| {}).is_err());
    }
}
