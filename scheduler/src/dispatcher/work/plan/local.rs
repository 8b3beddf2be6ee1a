//! Looking at the destination itself: is anything there, and how much is it.

use std::fs;
use std::path::Path;

use engine::rsync::args::PARTIAL_DIR;

use crate::guard::Amount;

/// Whether there is nothing that could be deleted.
pub(super) fn is_empty(dest: &Path) -> bool {
    match fs::read_dir(dest) {
        Ok(entries) => entries.flatten().all(|entry| entry.file_name().to_str() == Some(PARTIAL_DIR)),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// How much there is, as far as it can be read; never through a link.
pub(super) fn amount(dest: &Path) -> Amount {
    let mut found = Amount::default();
    let mut folders = vec![dest.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            found.entries += 1;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.bytes += entry.metadata().map_or(0, |meta| meta.len());
            }
        }
    }
    found
}
