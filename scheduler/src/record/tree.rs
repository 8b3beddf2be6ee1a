//! The stored form of the place of a tree.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::tree::KnownTree;

#[derive(Serialize, Deserialize)]
pub(super) struct TreeRecord {
    place: PathBuf,
    file_system: Option<String>,
}

impl From<&KnownTree> for TreeRecord {
    fn from(tree: &KnownTree) -> Self {
        let KnownTree { place, file_system } = tree.clone();
        Self { place, file_system }
    }
}

impl From<TreeRecord> for KnownTree {
    fn from(TreeRecord { place, file_system }: TreeRecord) -> Self {
        Self { place, file_system }
    }
}
