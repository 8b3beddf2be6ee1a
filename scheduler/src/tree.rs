//! The tree that the last good run left, so that one that is not there is noticed before a run
//! fills its place anew: a file system that is not mounted, or another one in its place.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::project::Standing;

/// Place of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTree {
    /// Destination with every symlink resolved.
    pub place: PathBuf,
    /// Identity of the file system below it; none: nothing about it is certain to stay the same.
    pub file_system: Option<String>,
}

/// Place of a tree as an attempt found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenTree {
    /// The place.
    pub tree: KnownTree,
    /// Set if a person approved that it differs from that of the last good run.
    pub accepted: bool,
}

/// Difference between a tree and the one that the last good run left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeLoss {
    /// Reason to ask a person, in one sentence.
    pub(crate) reason: String,
    /// Digest of the difference: equal digests are the same difference.
    pub(crate) digest: String,
}

impl TreeLoss {
    /// Compares a tree with the one that the last good run left. `None` if they are the same, or if
    /// nothing is known.
    pub(crate) fn find(standing: &Standing, seen: &KnownTree, is_empty: bool) -> Option<Self> {
        let known = standing.tree.as_ref().filter(|known| known.place == seen.place)?;
        let dest = seen.place.display();

        // The entries of a tree have the tree itself among them.
        if is_empty && standing.files > 1 {
            let reason = format!(
                "{dest} is empty, and had {} entries after the last good run: mount its file system \
                 and sync again, or approve the run to fetch all of them anew",
                standing.files
            );
            return Some(Self { reason, digest: digest(&seen.place, "empty") });
        }
        match (&known.file_system, &seen.file_system) {
            (Some(before), Some(now)) if before != now => {
                let reason = format!(
                    "{dest} lies on another file system ({now}) than after the last good run \
                     ({before}): mount the right one and sync again, or approve the run to go on here"
                );
                Some(Self { reason, digest: digest(&seen.place, now) })
            }
            _ => None,
        }
    }
}

fn digest(place: &Path, what: &str) -> String {
    let place = place.as_os_str().as_encoded_bytes();
    let hash = Sha256::new().chain_update(b"tree\0").chain_update(place).chain_update([0]);
    URL_SAFE_NO_PAD.encode(hash.chain_update(what).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_was_emptied_or_lies_elsewhere_is_noticed_and_an_unknown_one_is_not() {
        let tree = |place: &str, file_system: Option<&str>| KnownTree {
            place: place.into(),
            file_system: file_system.map(str::to_owned),
        };
        let known = Some(tree("/d", Some("one")));
        let standing = Standing { tree: known, files: 5, ..Standing::default() };
        let find = |seen: &KnownTree, is_empty| TreeLoss::find(&standing, seen, is_empty);
        assert_eq!(find(&tree("/d", Some("one")), false), None);
        assert_eq!(find(&tree("/d", None), false), None, "unknown compares as equal");
        assert_eq!(find(&tree("/e", Some("two")), true), None, "it is to land elsewhere now");
        let empty = find(&tree("/d", None), true).unwrap();
        assert!(empty.reason.contains("had 5 entries"), "{empty:?}");
        let moved = find(&tree("/d", Some("two")), false).unwrap();
        assert!(moved.reason.contains("(two)") && moved.reason.contains("(one)"), "{moved:?}");
        assert_ne!(moved.digest, find(&tree("/d", Some("three")), false).unwrap().digest);
        let never_full = Standing { files: 1, ..standing.clone() };
        assert_eq!(TreeLoss::find(&never_full, &tree("/d", Some("one")), true), None);
        assert_eq!(TreeLoss::find(&Standing::default(), &tree("/d", Some("one")), true), None);
    }
}
