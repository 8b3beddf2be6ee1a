//! Bytes from the host's generator, good enough for keys.

use crate::host::random;

/// `len` bytes; at most 4096 at once.
#[must_use]
pub fn bytes(len: u32) -> Vec<u8> {
    random::get(len)
}

/// A number.
#[must_use]
pub fn number() -> u64 {
    bytes(8).into_iter().fold(0, |number, byte| (number << 8) | u64::from(byte))
}
