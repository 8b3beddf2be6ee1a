//! What has changed between two generations, for slaves that need not look at the whole tree.
//!
//! It is put together from the change lists of the runs in between, and given only where nothing can be missing from
//! them: every run's rsync ended by itself, every list is as long as its run counted, every line can be read in one way
//! only, and of every file with several names all names are known. Otherwise there is none, and the slave looks at
//! everything.
//!
//! Of a file with several names rsync tells one when only attributes change. As long as that name is there, the file shows
//! how many it has; once it is gone, or another file's, nobody knows of the others any more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use engine::{Change, ChangeKind, EntryKind};
use scheduler::run::AttemptExit;
use scheduler::{ProjectId, Run, RunState, Scheduler, lists};

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

/// What changed, put together from the newest run to the oldest.
#[derive(Default)]
struct Set {
    paths: BTreeMap<Vec<u8>, Told>,
    bytes: usize,
    /// The number of the run that is being added; the newest is the first.
    run: usize,
}

/// What was told of a path, by the number of the run.
#[derive(Default)]
struct Told {
    /// The run, the oldest so far, that changed nothing but attributes of what is there: perhaps those of other names too.
    attributes: Option<usize>,
    /// The newest run that put something else there, or nothing.
    replaced: Option<usize>,
}

impl Told {
    /// Notes a line; none when the name has gone to something else after attributes of what it was had changed.
    fn note(&mut self, change: &Change<'_>, run: usize) -> Option<()> {
        if only_attributes(change) {
            if self.replaced.is_some_and(|newer| newer < run) {
                return None;
            }
            self.attributes = Some(run);
            // A symlink may be another one by now: what is told of it does not say so.
            if change.entry == EntryKind::Symlink {
                self.replaced.get_or_insert(run);
            }
            return Some(());
        }
        self.replaced.get_or_insert(run);
        (self.attributes != Some(run)).then_some(())
    }
}

/// Whether a file stayed, and is the one that it was. Directories have one name.
fn only_attributes(change: &Change<'_>) -> bool {
    let relinked = change.link.is_some() && change.entry != EntryKind::Symlink;
    let stayed = change.kind == ChangeKind::Updated && !change.content && !relinked;
    stayed && change.entry != EntryKind::Directory
}

impl Set {
    /// Adds what a run has changed; none when that is not known for sure.
    fn add(&mut self, scheduler: &Scheduler, run: &Run) -> Option<()> {
        let mut attempts = run.attempts.iter();
        // Only an rsync that came to its end by itself has said all that it did.
        let clean = attempts.all(|attempt| {
            attempt.end.as_ref().is_some_and(|end| matches!(end.exit, AttemptExit::Code(0 | 23 | 24 | 25)))
        });
        self.run += 1;
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
            (Some(Some(other)), entry) if entry != EntryKind::Symlink => _ = self.told(other),
            _ => {}
        }
        let run = self.run;
        self.told(change.path()).note(change, run)
    }

    fn told(&mut self, path: Vec<u8>) -> &mut Told {
        let length = path.len() + 3;
        let bytes = &mut self.bytes;
        self.paths.entry(path).or_insert_with(|| {
            *bytes += length;
            Told::default()
        })
    }

    /// The list; none when a file has a name that is not in it.
    fn written(&self, root: &Path) -> Option<Vec<u8>> {
        let mut names: HashMap<(u64, u64), (u64, u64)> = HashMap::new();
        let mut list = Vec::with_capacity(self.bytes);
        let gone = |(path, told): (&Vec<u8>, &Told)| {
            told.attributes.is_some() && root.join(OsStr::from_bytes(path)).symlink_metadata().is_err()
        };
        if self.paths.iter().any(gone) {
            return None;
        }
        let mut paths: BTreeSet<&[u8]> = self.paths.keys().map(|path| reached(root, path)).collect();
        // What comes and goes in the tree's own folder gives it a new time, also where none was told.
        paths.insert(b".");
        for path in paths {
            let place = root.join(OsStr::from_bytes(path));
            if let Ok(meta) = place.symlink_metadata()
                && !meta.is_dir()
                && meta.nlink() > 1
            {
                let (known, _) = names.entry((meta.dev(), meta.ino())).or_insert((0, meta.nlink()));
                *known += 1;
            }
            lists::push(&mut list, path);
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
    use super::{Set, reached};
    use engine::Change;

    /// Whether something is known of runs, the newest first, each with the lines of its list.
    fn is_known(runs: &[&[&str]]) -> bool {
        let mut set = Set::default();
        runs.iter().all(|lines| {
            set.run += 1;
            lines.iter().all(|line| set.note(&Change::parse(line.as_bytes()).unwrap()).is_some())
        })
    }

    #[test]
    fn a_name_of_which_only_attributes_were_told_must_have_stayed_what_it_was() {
        let (mode, content) = ("@F|.f...p.....|2|0|a", "@F|>f.st......|9|9|a");
        let (made, gone) = ("@F|>f+++++++++|9|9|a", "@F|*deleting  |0|0|a");
        let linked = "@F|hf+++++++++|2|0|a => b";
        for known in [&[&[mode, mode][..]][..], &[&[mode], &[made]], &[&[content], &[content], &[made]]] {
            assert!(is_known(known), "{known:?}");
        }
        assert!(is_known(&[&[made, mode]]), "the second attempt of a run");
        for later in [content, made, gone, linked] {
            assert!(!is_known(&[&[later], &[mode]]), "{later} in a later run");
            assert!(!is_known(&[&[mode, later]]), "{later} in a later attempt of the same run");
            assert!(!is_known(&[&[mode], &[mode, later]]), "{later}, and attributes once more");
        }
        let touched = "@F|.L..t......|2|0|a -> x";
        assert!(is_known(&[&[touched]]) && !is_known(&[&[touched], &[touched]]));
        assert!(
            is_known(&[&["@F|*deleting  |0|0|a/"], &["@F|.d...p.....|2|0|a/"]]),
            "a directory has one name"
        );
    }

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
