//! The files that an rsync has begun and not finished: `.NAME.XXXXXX` beside `NAME`.
//!
//! rsync removes them itself unless it is killed. So before a kill the guardian notes which of them the group has open,
//! and after it removes exactly those; a name alone would not tell them from an upstream's own file.

use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::process::Pid;

use crate::place::remove_below;

/// How many characters rsync adds behind the last dot (`mkstemp(3)`).
const SUFFIX: usize = 6;

/// The unfinished files below the working directory that the processes of a group have open, as seen from there.
pub(super) fn open_by_group(group: Pid) -> Vec<PathBuf> {
    let Ok(dest) = std::env::current_dir() else { return Vec::new() };
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let member = |entry: &std::fs::DirEntry| group_of(&entry.path()) == Some(group);
    let files = processes
        .flatten()
        .filter(member)
        .filter_map(|entry| std::fs::read_dir(entry.path().join("fd")).ok())
        .flat_map(|open| open.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok()));
    let below = files.filter_map(|path| path.strip_prefix(&dest).ok().map(Path::to_owned));
    below.filter(|path| unfinished(path)).collect()
}

/// The process group of a process, from its folder in `/proc`. `getpgid(2)` is of no use here: the kernel's own threads
/// have group 0, which rustix takes for impossible.
fn group_of(process: &Path) -> Option<Pid> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    // The program's name stands in parentheses and may hold anything; behind it: state, parent, group.
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(2)?.parse().ok().and_then(Pid::from_raw)
}

/// Whether a name is of the form that rsync gives to a file it has not finished.
pub(crate) fn unfinished(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((stem, suffix)) = name.rsplit_once('.') else { return false };
    let random = suffix.len() == SUFFIX && suffix.chars().all(|c| c.is_ascii_alphanumeric());
    random && stem.len() > 1 && stem.starts_with('.')
}

/// Removes them.
pub(super) fn remove(files: Vec<PathBuf>) {
    for file in files {
        // One that is gone already is what was wanted.
        let _ = remove_below(CWD, &file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_every_process_is_read_or_it_has_none() {
        let own = rustix::process::getpgrp();
        assert_eq!(group_of(Path::new("/proc/self")), Some(own));
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let group = group_of(&entry.path());
            assert!(group.is_none_or(|group| group.as_raw_nonzero().get() > 0));
        }
    }

    #[test]
    fn only_names_of_the_form_that_rsync_gives_are_unfinished() {
        for (name, expected) in [
            (".two.gb.aRMxYG", true),
            (".x.000000", true),
            ("two.gb.aRMxYG", false),
            (".aRMxYG", false),
            ("..aRMxYG", false),
            (".x.aRMxY", false),
            (".x.aRMx-G", false),
            (".profile", false),
        ] {
            assert_eq!(unfinished(Path::new(name)), expected, "{name}");
        }
    }
}
