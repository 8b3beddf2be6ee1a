//! A folder below which projects may land: its path alone, or with what is expected of it.

use super::reader::Reader;
use super::tree::{Kind, Node};
use super::value::{Shown, Value, record};
use std::path::PathBuf;

/// A folder below which projects may land.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedRoot {
    /// The folder.
    pub path: PathBuf,
    /// Set if a file system must be mounted on it.
    pub expect_mount: bool,
}

/// The same where it is written as a group.
struct RootGroup {
    path: PathBuf,
    expect_mount: bool,
}

record!(RootGroup { expect_mount = false; path = PathBuf::new() });

impl Value for AllowedRoot {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if let Kind::Group { .. } = node.kind {
            let RootGroup { path, expect_mount } = RootGroup::read(node, reader)?;
            return Some(Self { path, expect_mount });
        }
        PathBuf::read(node, reader).map(|path| Self { path, expect_mount: false })
    }

    fn shown(&self) -> Shown {
        if self.expect_mount {
            RootGroup { path: self.path.clone(), expect_mount: true }.shown()
        } else {
            self.path.shown()
        }
    }
}
