//! The demo's upstream: a tree like a small distribution's, and the daemon that serves it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use engine::rsyncd::{Module, Rsyncd};
use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};

/// How many packages the tree holds.
const PACKAGES: usize = 240;
/// How large a package is, in bytes.
const PACKAGE_BYTES: usize = 60_000;
/// How large the one image is, in bytes.
const IMAGE_BYTES: usize = 6_000_000;

/// A tree that grows and changes.
pub(super) struct Tree {
    path: PathBuf,
}

impl Tree {
    /// Makes the tree, the same one each time.
    pub(super) fn grow(path: &Path) -> std::io::Result<Self> {
        let mut random = SmallRng::seed_from_u64(1);
        let mut write = |name: String, length: usize| {
            let file = path.join(name);
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut bytes = vec![0; length];
            random.fill_bytes(&mut bytes);
            fs::write(file, bytes)
        };
        for number in 0..PACKAGES {
            let letter = char::from(b'a' + u8::try_from(number % 26).unwrap_or(0));
            write(format!("pool/{letter}/package-{number}_1.0.deb"), PACKAGE_BYTES)?;
        }
        write("images/netinst.iso".to_owned(), IMAGE_BYTES)?;
        write("dists/stable/Release".to_owned(), 1_200)?;
        fs::create_dir_all(path.join("empty directories count too"))?;
        std::os::unix::fs::symlink("stable", path.join("dists/current"))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Changes it, and says how.
    pub(super) fn change(&self) -> std::io::Result<Vec<String>> {
        fs::write(self.path.join("pool/a/newcomer_1.0.deb"), vec![7; 90_000])?;
        fs::write(self.path.join("dists/stable/Release"), "a new release\n")?;
        fs::remove_file(self.path.join("pool/b/package-1_1.0.deb"))?;
        let lines = ["+ pool/a/newcomer_1.0.deb", "~ dists/stable/Release", "- pool/b/package-1_1.0.deb"];
        Ok(lines.map(str::to_owned).to_vec())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many files it begins with.
    pub(super) const FILES: usize = PACKAGES + 2;
    /// How many bytes they hold, but for some lists.
    pub(super) const BYTES: usize = PACKAGES * PACKAGE_BYTES + IMAGE_BYTES;
}

/// Serves the tree.
pub(super) async fn daemon(folder: &Path, tree: &Path) -> anyhow::Result<Rsyncd> {
    let guardian = engine::guardian::argv();
    let module = Module::new("distro", tree);
    Ok(Rsyncd::start(Path::new("rsync"), &guardian, &folder.join("rsyncd"), &[module]).await?)
}

/// Every path below `root`, with what stands there.
pub(super) fn fingerprint(root: &Path) -> std::io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
            let name = path.strip_prefix(root).unwrap_or(&path).to_owned();
            if kind.is_symlink() {
                found.insert(name, fs::read_link(&path)?.into_os_string().into_encoded_bytes());
            } else if kind.is_dir() {
                open.push(path);
            } else {
                found.insert(name, fs::read(&path)?);
            }
        }
    }
    Ok(found)
}
