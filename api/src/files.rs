//! Small private files that are whole at every moment.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a private file in one piece, and waits until the disk has it.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_whole_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root-password");
        let full =
            || std::os::unix::fs::symlink("/dev/full", folder.path().join("root-password.new")).unwrap();
        full();
        assert!(replace(&path, b"secret").is_err());
        assert!(!path.exists());
        std::fs::remove_file(folder.path().join("root-password.new")).unwrap();
        replace(&path, b"first").unwrap();
        full();
        assert!(replace(&path, b"second").is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
    }
}
