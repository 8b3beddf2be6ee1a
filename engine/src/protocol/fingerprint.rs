//! A whole file list as one number: two lists with the same entries have the same one, in whatever order they come.
//!
//! It is the sum of the SHA-256 of each entry, modulo 2^256, so that memory does not grow with the list and a folder that
//! its file system lists in another order changes nothing. Who makes up lists for that purpose can make two with one sum;
//! but an upstream that lies could as well repeat its old list, so nothing is lost.

use sha2::{Digest as _, Sha256};

use super::Timeouts;
use super::connection::Connection;
use super::entries::Entry;
use super::error::ProtocolError;
use super::list::{End, ListLimits};
use super::request::What;
use crate::rsync::output::EntryKind;
use crate::secret::Secret;
use crate::source::Source;

/// What a list comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fingerprint {
    /// How many entries it has, the tree itself among them.
    pub entries: u64,
    /// The sum, its least significant byte first.
    pub sum: [u8; 32],
}

impl Fingerprint {
    /// Adds an entry: all that is read of it, but the size of what is not a file or a link. That is the file system's
    /// own affair.
    pub fn add(&mut self, entry: &Entry) {
        let (kind, size) = match entry.kind {
            EntryKind::File => (b'f', entry.size),
            EntryKind::Directory => (b'd', 0),
            EntryKind::Symlink => (b'L', entry.size),
            EntryKind::Device => (b'D', 0),
            EntryKind::Special => (b'S', 0),
            EntryKind::Unknown => (b'?', 0),
        };
        let target = entry.target.as_deref().unwrap_or_default();
        let mut hash = Sha256::new();
        // The name's length keeps a name and a target apart; all else has a fixed length.
        hash.update((entry.name.len() as u64).to_le_bytes());
        hash.update(&entry.name);
        hash.update([kind]);
        hash.update(size.to_le_bytes());
        hash.update(entry.modified.to_le_bytes());
        hash.update(entry.nanos.to_le_bytes());
        hash.update(entry.permissions.to_le_bytes());
        hash.update(target);
        self.entries += 1;
        let mut carry = false;
        for (byte, more) in self.sum.iter_mut().zip(hash.finalize()) {
            let (part, over) = byte.overflowing_add(more);
            let (part, over_too) = part.overflowing_add(u8::from(carry));
            (*byte, carry) = (part, over || over_too);
        }
    }
}

/// Reads the whole list of what lies below the source's path, and keeps its fingerprint only. What is given besides says
/// whether these are all entries; a fingerprint of some is good for nothing.
///
/// # Errors
/// When the daemon cannot be reached, refuses, gives up, or does not keep to the protocol.
pub async fn fingerprint(
    source: &Source,
    password: Option<&Secret>,
    limits: &ListLimits,
    timeouts: &Timeouts,
) -> Result<(Fingerprint, End), ProtocolError> {
    let session = Connection::open(source, timeouts).await?.enter(source, password).await?;
    let mut files = session.list(What::Tree, limits).await?;
    let mut fingerprint = Fingerprint::default();
    while let Some(entry) = files.next().await? {
        fingerprint.add(&entry);
    }
    Ok((fingerprint, files.finish().await))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Entry {
        let (name, target) = (name.as_bytes().to_vec(), None);
        Entry { name, kind: EntryKind::File, size: 1, modified: 2, nanos: 3, permissions: 0o644, target }
    }

    fn of(entries: &[Entry]) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        for entry in entries {
            fingerprint.add(entry);
        }
        fingerprint
    }

    #[test]
    fn the_order_of_a_list_does_not_matter_and_all_else_does() {
        let (a, b) = (entry("a"), entry("b"));
        let both = of(&[a.clone(), b.clone()]);
        assert_eq!((both, both.entries), (of(&[b.clone(), a.clone()]), 2));
        let with = |change: fn(&mut Entry)| {
            let mut changed = a.clone();
            change(&mut changed);
            of(&[changed, b.clone()])
        };
        let others = [
            of(std::slice::from_ref(&a)),
            of(&[a.clone(), a.clone()]),
            with(|entry| entry.name = b"c".to_vec()),
            with(|entry| entry.size = 2),
            with(|entry| entry.modified = -2),
            with(|entry| entry.nanos = 4),
            with(|entry| entry.permissions = 0o600),
            with(|entry| entry.kind = EntryKind::Symlink),
            with(|entry| entry.target = Some(b"x".to_vec())),
        ];
        for (number, other) in others.iter().enumerate() {
            assert_ne!(&both, other, "{number}");
            assert!(!others[..number].contains(other), "{number}");
        }
        let of_folder = |size| of(&[Entry { kind: EntryKind::Directory, size, ..a.clone() }]);
        assert_eq!(of_folder(4096), of_folder(8192), "a folder's size is its file system's affair");
    }

    #[test]
    fn sums_carry_from_byte_to_byte() {
        let mut sum = Fingerprint::default();
        sum.sum[..31].fill(0xff);
        let alone = of(&[entry("a")]);
        sum.add(&entry("a"));
        // 2^248 - 1 more than the entry alone.
        let mut expected = alone.sum;
        expected[31] = expected[31].wrapping_add(1);
        let borrow = expected[..31].iter_mut().find_map(|byte| {
            let (less, under) = byte.overflowing_sub(1);
            *byte = less;
            (!under).then_some(())
        });
        assert!(borrow.is_some());
        assert_eq!(sum.sum, expected);
    }
}
