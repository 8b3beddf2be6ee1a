//! The paths that a rehearsal has named, so that the rsync behind it need not look at the whole tree once more.
//!
//! They are kept in memory, for trees in which little has changed; where much has, a look at the whole tree costs not much
//! more than a long list. A list is given only where nothing can be missing from it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use engine::{Change, ChangeKind, EntryKind};

use crate::lists;

/// What a rehearsal has left to do.
pub(super) struct Listed {
    /// Paths as `--files-from` takes them.
    pub(super) list: Vec<u8>,
    /// How many.
    pub(super) paths: u64,
    /// Those of them at which nothing will be left.
    pub(super) goes: Vec<PathBuf>,
}

/// What will be at a path. Of what gives way to something else both are named, and the greater one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// Nothing.
    Goes,
    /// Something that is no folder.
    File,
    /// A folder.
    Folder,
}

/// Bytes of paths that are kept at most.
const LONGEST: usize = 16 << 20;

/// What one rehearsal has named.
#[derive(Default)]
pub(super) struct Named(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    paths: BTreeMap<Vec<u8>, Fate>,
    bytes: usize,
    /// Whether there were too many, or one that can be read in two ways.
    unclear: bool,
}

impl Named {
    /// Takes one line of the rehearsal.
    pub(super) fn note(&self, change: &Change<'_>) {
        self.inner().note(change);
    }

    /// The list for rsync; none where it would be no list of everything, or longer than half of `entries`.
    pub(super) fn list(&self, entries: u64) -> Option<Listed> {
        self.inner().list(entries)
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn note(&mut self, change: &Change<'_>) {
        if self.unclear {
            return;
        }
        match change.link.map(|_| change.linked()) {
            // Nobody knows where the name ends.
            Some(None) => self.unclear = true,
            // What a hard link is linked to belongs to it: rsync links what is in its list.
            Some(Some(other)) if change.entry != EntryKind::Symlink => self.add(other, Fate::File),
            _ => {}
        }
        let fate = match (change.kind, change.entry) {
            (ChangeKind::Deleted, _) => Fate::Goes,
            (_, EntryKind::Directory) => Fate::Folder,
            _ => Fate::File,
        };
        self.add(change.path(), fate);
    }

    fn add(&mut self, path: Vec<u8>, fate: Fate) {
        self.bytes += path.len() + 3;
        let known = self.paths.entry(path).or_insert(fate);
        *known = fate.max(*known);
        if self.bytes > LONGEST {
            (self.unclear, self.paths) = (true, BTreeMap::new());
        }
    }

    fn list(&self, entries: u64) -> Option<Listed> {
        if self.unclear {
            return None;
        }
        let (mut list, mut paths, mut goes) = (Vec::with_capacity(self.bytes), 0, Vec::new());
        // What comes and goes in the tree's own folder gives it a new time, which was named only where it had another before.
        // Other folders go with what is named in them.
        if !self.paths.contains_key(&b"."[..]) {
            lists::push(&mut list, b".");
        }
        // What a folder held goes with it; rsync takes a missing parent for an error.
        for (path, fate) in self.paths.iter().filter(|(path, _)| !self.is_below_what_goes(path)) {
            lists::push(&mut list, path);
            paths += 1;
            if *fate == Fate::Goes {
                goes.push(OsString::from_vec(path.clone()).into());
            }
        }
        (paths <= entries / 2).then_some(Listed { list, paths, goes })
    }

    /// Whether something on the way to a path will be no folder any more.
    fn is_below_what_goes(&self, path: &[u8]) -> bool {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        ends.filter_map(|end| path.get(..end))
            .any(|parent| self.paths.get(parent).is_some_and(|fate| *fate != Fate::Folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(lines: &[&str], entries: u64) -> Option<Listed> {
        let named = Named::default();
        for line in lines {
            named.note(&Change::parse(format!("@F|{line}").as_bytes()).unwrap());
        }
        named.list(entries)
    }

    fn list(lines: &[&str], entries: u64) -> Option<Vec<String>> {
        let list = String::from_utf8(listed(lines, entries)?.list).unwrap();
        Some(list.split_terminator('\0').map(str::to_owned).collect())
    }

    #[test]
    fn what_goes_with_its_folder_is_left_out_and_what_a_link_leads_to_is_not() {
        let lines = [
            "*deleting  |0|0|gone/deep/x",
            "*deleting  |0|0|gone/deep/",
            "*deleting  |0|0|gone/",
            "*deleting  |0|0|kept/old",
            "*deleting  |0|0|became-a-file/y",
            ".d..t......|4096|0|./",
            ">f+++++++++|6|0|became-a-file",
            "*deleting  |0|0|became-a-folder",
            "cd+++++++++|6|0|became-a-folder/",
            ">f+++++++++|6|0|became-a-folder/z",
            ".d..t......|4096|0|kept/",
            "hf+++++++++|2|0|kept/link => elsewhere/file",
            "cL+++++++++|2|0|kept/s -> a => b",
        ];
        let expected = [
            "./.",
            "./became-a-file",
            "./became-a-folder",
            "./became-a-folder/z",
            "./elsewhere/file",
            "./gone",
            "./kept",
            "./kept/link",
            "./kept/old",
            "./kept/s",
        ];
        assert_eq!(list(&lines, 1000).unwrap(), expected);
        assert_eq!(listed(&lines, 1000).unwrap().goes, ["gone", "kept/old"].map(PathBuf::from));
    }

    #[test]
    fn there_is_none_where_much_has_changed_or_a_line_can_be_read_in_two_ways() {
        let two = [">f+++++++++|6|0|a", ">f+++++++++|6|0|b"];
        assert!(list(&two, 4).is_some() && list(&two, 3).is_none());
        for arrows in ["hf+++++++++|2|0|a => b => c", "cL+++++++++|2|0|a -> b -> c"] {
            assert!(list(&[arrows], 1000).is_none(), "{arrows}");
        }
        let root = |lines: &[&str]| list(lines, 1000).unwrap().iter().filter(|path| *path == "./.").count();
        assert_eq!(
            (root(&two), root(&[".d..t......|4096|0|./", two[0]])),
            (1, 1),
            "the tree's own folder, once"
        );
        let long = format!(">f+++++++++|6|0|{}", "x".repeat(LONGEST));
        assert!(list(&[&long, ">f+++++++++|6|0|b"], 1000).is_none());
    }
}
