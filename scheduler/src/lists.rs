//! Lists of paths for runs that need not look at a whole tree: whoever knows what has changed leaves a list for the
//! project's next run, and the first attempt of that run takes it.
//!
//! A list is good for one attempt. One that follows a failure, or that finds a destination in which an attempt was cut
//! off, looks at everything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use engine::{Source, durable};

use crate::project::ProjectId;
use crate::run::RunId;

/// Where the lists are.
#[derive(Debug, Clone)]
pub struct Lists {
    folder: PathBuf,
}

/// A list as rsync reads it for a source.
fn as_read(source: &Source, paths: &[u8]) -> Vec<u8> {
    let to_tree = source.to_tree();
    let lines = paths.split_inclusive(|byte| *byte == 0);
    lines.flat_map(|line| [to_tree.as_bytes(), line]).flatten().copied().collect()
}

/// A list's name as an argument of rsync's.
fn named(list: PathBuf) -> io::Result<String> {
    list.into_os_string().into_string().map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Puts a path at the end of a list.
pub fn push(list: &mut Vec<u8>, path: &[u8]) {
    // Behind `./` no name can be taken for a comment or an option.
    list.extend_from_slice(b"./");
    list.extend_from_slice(path);
    list.push(0);
}

impl Lists {
    /// Those of a server with this folder.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("lists") }
    }

    /// Leaves a list for the project's next run, in the place of an older one: paths below its destination, each with a
    /// zero byte at its end.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn leave(&self, project: &ProjectId, paths: &[u8]) -> io::Result<()> {
        durable::make_private_folder(&self.folder)?;
        // A list that a power cut has emptied would stand for a tree in which nothing has changed.
        durable::replace(&self.of_project(project), paths)
    }

    /// Writes a list for an attempt of the project's that is about to begin. It stays, and gives way to the next one.
    pub(crate) fn only(&self, project: &ProjectId, source: &Source, paths: &[u8]) -> io::Result<String> {
        durable::make_private_folder(&self.folder)?;
        let list = self.folder.join(format!("only-{project}"));
        fs::write(&list, as_read(source, paths))?;
        named(list)
    }

    /// Takes back what no run has taken.
    pub fn withdraw(&self, project: &ProjectId) {
        // There is none most of the time.
        let _ = fs::remove_file(self.of_project(project));
    }

    /// Takes the project's list for the first attempt of a run, which reads from this source; `whole` says that the tree
    /// must be looked at whole.
    pub(crate) fn take(
        &self,
        project: &ProjectId,
        run: RunId,
        source: &Source,
        whole: bool,
    ) -> Option<String> {
        if whole {
            self.withdraw(project);
            self.forget(run);
            return None;
        }
        let taken = self.of_run(run);
        // Without its new name after a power cut, the run would count as one that has looked at the whole tree.
        durable::rename(&self.of_project(project), &taken).ok()?;
        if !source.path().is_empty() {
            fs::write(&taken, as_read(source, &fs::read(&taken).ok()?)).ok()?;
        }
        named(taken).ok()
    }

    /// Whether a run that has ended looked at a list only.
    #[must_use]
    pub fn was_used(&self, run: RunId) -> bool {
        self.of_run(run).exists()
    }

    /// Removes the list of a run.
    pub fn forget(&self, run: RunId) {
        let _ = fs::remove_file(self.of_run(run));
    }

    fn of_project(&self, project: &ProjectId) -> PathBuf {
        self.folder.join(format!("next-{project}"))
    }

    fn of_run(&self, run: RunId) -> PathBuf {
        self.folder.join(format!("run-{run}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_taken_once_and_not_when_everything_must_be_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let lists = Lists::new(folder.path());
        let (id, run): (ProjectId, RunId) =
            ("p".parse().unwrap(), "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap());
        let source: Source = "rsync://h/m".parse().unwrap();
        let take = |whole| lists.take(&id, run, &source, whole);
        assert_eq!(take(false), None);
        lists.leave(&id, b"./a\0").unwrap();
        let taken = take(false).unwrap();
        assert_eq!(fs::read(taken).unwrap(), b"./a\0");
        assert!(lists.was_used(run));
        assert_eq!(take(true), None);
        assert!(!lists.was_used(run));
        lists.leave(&id, b"./b\0").unwrap();
        assert_eq!(take(true), None);
        assert_eq!(take(false), None, "it was for an attempt that could not use it");
    }

    #[test]
    fn a_list_leads_from_the_module_into_the_tree() {
        let folder = tempfile::tempdir().unwrap();
        let lists = Lists::new(folder.path());
        let (id, run): (ProjectId, RunId) =
            ("p".parse().unwrap(), "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap());
        let mut paths = Vec::new();
        push(&mut paths, b"a");
        push(&mut paths, b"new\nline/\xff");
        for (source, expected) in [
            ("rsync://h/m", &b"./a\0./new\nline/\xff\0"[..]),
            ("rsync://h/m/deep/er", b"deep/er/./a\0deep/er/./new\nline/\xff\0"),
        ] {
            let source: Source = source.parse().unwrap();
            lists.leave(&id, &paths).unwrap();
            assert_eq!(fs::read(lists.take(&id, run, &source, false).unwrap()).unwrap(), expected);
            assert_eq!(fs::read(lists.only(&id, &source, &paths).unwrap()).unwrap(), expected);
        }
    }
}
