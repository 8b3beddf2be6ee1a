//! What has changed between two generations, for slaves that need not look at the whole tree.
//!
//! It is put together from the change lists of the runs in between, and given only where nothing can be missing from
//! them: every run's rsync ended by itself, every list is as long as its run counted, every line can be read in one way
//! only, and of every file with several names all names are known. Otherwise there is none, and the slave looks at
//! everything.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use engine::{Change, EntryKind};
use scheduler::run::AttemptExit;
use scheduler::{ProjectId, Run, RunState, Scheduler};

/// How many runs are looked through.
const RUNS: usize = 1000;
/// How many bytes of paths are given; for more, a look at the tree costs no more.
const LONGEST: usize = 32 << 20;

/// The paths that changed after generation `from` up to `to`, each with a zero byte at its end; none where something
/// could be missing. Blocks.
pub(crate) fn between(scheduler: &Scheduler, project: &ProjectId, from: u64, to: u64) -> Option<Vec<u8>> {
    let entry = scheduler.board().project(project)?;
    let mut runs = scheduler.store().runs(Some(project), None, RUNS).ok()?.into_iter();
    let mut set = Set::default();
    runs.by_ref().find(|run| generation(run) == Some(to)).map(|run| set.add(scheduler, &run))??;
    loop {
        let run = runs.next()?;
        if generation(&run) == Some(from) {
            break;
        }
        set.add(scheduler, &run)?;
    }
    set.written(&entry.project.place)
}

fn generation(run: &Run) -> Option<u64> {
    match run.state {
        RunState::Ended { generation, .. } => generation,
        _ => None,
    }
}

#[derive(Default)]
struct Set {
    paths: BTreeSet<Vec<u8>>,
    bytes: usize,
}

impl Set {
    /// Adds what a run has changed; none when that is not known for sure.
    fn add(&mut self, scheduler: &Scheduler, run: &Run) -> Option<()> {
        let mut attempts = run.attempts.iter();
        // Only an rsync that came to its end by itself has said all that it did.
        let clean = attempts.all(|attempt| {
            attempt.end.as_ref().is_some_and(|end| matches!(end.exit, AttemptExit::Code(0 | 23 | 24 | 25)))
        });
        let expected = run.changes().total();
        if !clean || !run.all_told() || !run.state.is_ended() {
            return None;
        }
        if expected == 0 {
            return Some(());
        }
        let mut file = BufReader::new(File::open(scheduler.journals().changes(run.id)).ok()?);
        let (mut line, mut found) = (Vec::new(), 0);
        while file.read_until(b'\n', &mut line).ok()? > 0 {
            let raw = line.strip_suffix(b"\n").unwrap_or(&line);
            if let Some(change) = Change::parse(raw) {
                found += 1;
                self.note(&change)?;
            }
            line.clear();
        }
        (found == expected && self.bytes <= LONGEST).then_some(())
    }

    fn note(&mut self, change: &Change<'_>) -> Option<()> {
        let linked = change.link.map(|_| change.linked());
        match (linked, change.entry) {
            (Some(None), _) => return None,
            // What a hard link is linked to belongs to it.
            (Some(Some(other)), entry) if entry != EntryKind::Symlink => self.insert(other),
            _ => {}
        }
        self.insert(change.path());
        Some(())
    }

    fn insert(&mut self, path: Vec<u8>) {
        let length = path.len() + 3;
        if self.paths.insert(path) {
            self.bytes += length;
        }
    }

    /// The list; none when a file has a name that is not in it.
    fn written(&self, root: &Path) -> Option<Vec<u8>> {
        let mut names: HashMap<(u64, u64), (u64, u64)> = HashMap::new();
        let mut list = Vec::with_capacity(self.bytes);
        let paths: BTreeSet<&[u8]> = self.paths.iter().map(|path| reached(root, path)).collect();
        for path in paths {
            let place = root.join(OsStr::from_bytes(path));
            if let Ok(meta) = place.symlink_metadata()
                && !meta.is_dir()
                && meta.nlink() > 1
            {
                let (known, _) = names.entry((meta.dev(), meta.ino())).or_insert((0, meta.nlink()));
                *known += 1;
            }
            // Behind `./` no name can be taken for a comment or an option.
            list.extend_from_slice(b"./");
            list.extend_from_slice(path);
            list.push(0);
        }
        names.values().all(|(known, all)| known == all).then_some(list)
    }
}

/// A path as far as directories lead to it. Of what a directory held that is gone, or is something else by now, only that
/// directory's own name is left: rsync takes a missing parent for an error, and removes a directory with all it holds.
fn reached<'a>(root: &Path, path: &'a [u8]) -> &'a [u8] {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    for end in ends {
        let parent = path.get(..end).unwrap_or(path);
        let is_dir = root.join(OsStr::from_bytes(parent)).symlink_metadata().is_ok_and(|meta| meta.is_dir());
        if !is_dir {
            return parent;
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::reached;

    #[test]
    fn of_a_directory_that_is_gone_only_its_name_is_left() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        std::fs::write(folder.path().join("a/file"), "").unwrap();
        let reached =
            |path: &'static str| std::str::from_utf8(reached(folder.path(), path.as_bytes())).unwrap();
        assert_eq!(reached("a/b/new"), "a/b/new");
        assert_eq!(reached("a/gone/deep/x"), "a/gone");
        assert_eq!(reached("a/file/x"), "a/file");
        assert_eq!(reached("gone"), "gone");
    }
}
