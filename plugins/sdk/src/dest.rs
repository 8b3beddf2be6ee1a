//! The files below the project's destination, as far as they were granted with `dest_read` and `dest_write`.
//!
//! Paths are relative, with `/` between their parts, and never lead through a symlink.

use crate::host::dest;

#[doc(inline)]
pub use crate::bindings::imports::heliostat::plugin::dest::{Error, Kind, Metadata};

/// What stands at a path: its kind, size and time of change.
pub fn stat(path: &str) -> Result<Metadata, Error> {
    dest::stat(path)
}

/// At most `limit` entries of a folder, each with its kind.
pub fn read_dir(path: &str, limit: u32) -> Result<Vec<(String, Kind)>, Error> {
    dest::read_dir(path, limit)
}

/// At most `max` bytes of a file from `offset` on; never more than 1 MiB.
pub fn read(path: &str, offset: u64, max: u32) -> Result<Vec<u8>, Error> {
    dest::read(path, offset, max)
}

/// The first `max` bytes of a file as text; what is not UTF-8 in it is replaced.
pub fn read_text(path: &str, max: u32) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(&dest::read(path, 0, max)?).into_owned())
}

/// Replaces a file in one step: whoever looks sees the old one or the new one, whole. Folders above it are made.
pub fn put(path: &str, data: impl AsRef<[u8]>) -> Result<(), Error> {
    dest::put(path, data.as_ref())
}
