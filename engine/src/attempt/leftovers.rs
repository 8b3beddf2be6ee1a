//! Sweeping what an attempt left that did not end well.
//!
//! Before the next attempt: unfinished files, by name, mode and time. Should one of them be the upstream's own after
//! all, the attempt that follows fetches it again. After the next good attempt: folders of partial files, which nobody
//! will continue any more. Links are never followed.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::Attempt;
use crate::guardian::is_unfinished;
use crate::place::DestinationFolder;
use crate::rsync::args::PARTIAL_DIR;

/// Removes unfinished files that were written since then.
pub(super) async fn sweep_unfinished(attempt: &Attempt, since: SystemTime) {
    let old = move |path: &Path, meta: &Metadata| {
        let private = meta.permissions().mode() & 0o777 == 0o600;
        meta.is_file() && private && is_unfinished(path) && meta.modified().is_ok_and(|time| time >= since)
    };
    sweep(attempt, old).await;
}

/// Removes the folders of partial files.
pub(super) async fn sweep_partial(attempt: &Attempt) {
    sweep(attempt, |path, meta| meta.is_dir() && path.file_name() == Some(OsStr::new(PARTIAL_DIR))).await;
}

async fn sweep(attempt: &Attempt, victim: impl Fn(&Path, &Metadata) -> bool + Send + 'static) {
    let (held, dest) = (attempt.folder.clone(), attempt.dest.clone());
    let swept = tokio::task::spawn_blocking(move || {
        let folder = match held {
            Some(folder) => folder,
            None => Arc::new(DestinationFolder::open(&dest)?),
        };
        io::Result::Ok(walk(folder.path(), &victim))
    });
    match swept.await {
        Ok(Ok(0)) => {}
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
        Ok(Err(error)) => tracing::warn!("leftovers were not swept: {error}"),
        Ok(Ok(count)) => tracing::info!(count, "removed leftovers of an attempt that did not end well"),
        Err(error) => tracing::warn!("leftovers were not swept: {error}"),
    }
}

/// Removes what `victim` names below `root`, and counts it. What cannot be read or removed is left.
fn walk(root: PathBuf, victim: &dyn Fn(&Path, &Metadata) -> bool) -> usize {
    let mut removed = 0;
    let mut open = vec![root];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            // `DirEntry::metadata` does not follow links.
            let Ok(meta) = entry.metadata() else { continue };
            if victim(&path, &meta) {
                let result = if meta.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed += usize::from(result.is_ok());
            } else if meta.is_dir() {
                open.push(path);
            }
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn only_fresh_private_files_of_the_right_name_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, mode: u32| {
            let path = folder.path().join(name);
            fs::write(&path, "x").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let victim = write(".a.deb.Ab12Cd", 0o600);
        let kept = [write(".b.deb.Ab12Cd", 0o644), write("c.deb", 0o600), write(".old.deb.Ab12Cd", 0o600)];
        let old = fs::File::options().write(true).open(&kept[2]).unwrap();
        old.set_modified(SystemTime::now() - Duration::from_secs(100)).unwrap();
        let partial = folder.path().join("sub").join(PARTIAL_DIR);
        fs::create_dir_all(&partial).unwrap();
        let attempt = Attempt::trial(&folder.path().canonicalize().unwrap());
        sweep_unfinished(&attempt, SystemTime::now() - Duration::from_secs(50)).await;
        assert!(!victim.exists());
        assert!(kept.iter().all(|path| path.exists()) && partial.exists());
        sweep_partial(&attempt).await;
        assert!(!partial.exists() && folder.path().join("sub").exists());
    }
}
