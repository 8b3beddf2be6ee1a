//! Files and folders that survive a power cut: the one place that knows which fsync that takes.
//!
//! A file's content is on the disk once the file is synced, its name once the folder is. A rename without both can
//! leave the old file, an empty one or none. Everything that must be there after a power cut is written through this
//! module or in the store; what is made anew at each start, or only read to save work, need not be.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Writes a private file in one piece, and waits until the disk has it. A reader finds the old file or the new one.
///
/// # Errors
/// When the system refuses; the old file is then still there.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    rename(&fresh, path)
}

/// Renames a file or folder whose content is on the disk already, and waits until the disk has the new name.
///
/// # Errors
/// When the system refuses. If only the name could not be synced, the file may have either name after a power cut.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_parent(to)
}

/// Makes a folder that nobody else may enter, and every folder above it that is missing, for good.
///
/// # Errors
/// When the system refuses.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_private_folder(above)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        // Somebody else made it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made?,
    }
    sync_parent(path)
}

/// Waits until the disk has the names in a folder.
///
/// # Errors
/// When the system refuses.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Waits until the disk has the name of a path.
///
/// # Errors
/// When the system refuses.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(above) if above.as_os_str().is_empty() => sync_folder(Path::new(".")),
        Some(above) => sync_folder(above),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use fixtures::forgetful::{DiskImage, ForgetfulDisk, PowerCut};

    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_whole_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root-password");
        let full = || symlink("/dev/full", folder.path().join("root-password.new")).unwrap();
        full();
        assert!(replace(&path, b"secret").is_err());
        assert!(!path.exists());
        fs::remove_file(folder.path().join("root-password.new")).unwrap();
        replace(&path, b"first").unwrap();
        full();
        assert!(replace(&path, b"second").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_is_the_old_or_the_new_one_after_a_power_cut_at_any_step() {
        if !ForgetfulDisk::can_be_mounted() {
            return;
        }
        let disk = ForgetfulDisk::mount(&DiskImage::default(), &PowerCut::ALL).unwrap();
        let path = disk.path().join("a/new/folder/file.conf");
        make_private_folder(path.parent().unwrap()).unwrap();
        for content in 1..=3 {
            replace(&path, content.to_string().repeat(5_000).as_bytes()).unwrap();
            disk.promise(content);
        }
        let (points, steps) = disk.cuts();
        assert!(steps > 12, "{steps} steps");
        for point in points {
            let folder = tempfile::tempdir().unwrap();
            point.image.write_to(folder.path()).unwrap();
            let text = fs::read_to_string(folder.path().join("a/new/folder/file.conf")).unwrap_or_default();
            let content = text.chars().next().map_or(0, |digit| digit.to_digit(10).unwrap() as usize);
            let after = format!("{:?} at step {} ({})", point.cut, point.step, point.after);
            assert!(content >= point.promises, "after {after}: {content}");
            assert_eq!(
                text,
                content.to_string().repeat(if content == 0 { 0 } else { 5_000 }),
                "after {after}"
            );
        }
    }
}
