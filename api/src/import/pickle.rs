//! Reading Python pickles, protocols 0 to 4, as plain data.
//!
//! A pickle is a program for a small machine, and Python's own reader runs whatever functions it names. Here nothing
//! runs: a function, a class and a call of either become values that say their names, and what to make of them is the
//! caller's affair. Values stand in one list and name each other by number, so that sharing and loops cost nothing,
//! and no pickle can make more of itself than its own length. Persistent ids and registered extensions are refused.

mod machine;
mod text;
mod value;

pub(super) use machine::read;
pub(super) use value::{Pickle, Value};

/// A larger pickle than this is refused; a job of 2014 has about two thousand bytes.
pub(super) const MAX_BYTES: usize = 1024 * 1024;
/// The most values of one pickle.
const MAX_VALUES: usize = 100_000;

/// Why a pickle is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PickleError {
    /// It is longer than [`MAX_BYTES`].
    #[error("is {0} bytes long; at most {MAX_BYTES} are read")]
    TooLong(usize),
    /// It has more than [`MAX_VALUES`] values.
    #[error("holds more than {MAX_VALUES} values")]
    TooMany,
    /// It ends in the middle, or announces more bytes than it has.
    #[error("ends too early")]
    Truncated,
    /// A protocol that is not read.
    #[error("has protocol {0}; 0 to 4 are read")]
    Protocol(u8),
    /// An instruction that is not known, or refused.
    #[error("has the instruction {0:#04x}, which is not read")]
    Instruction(u8),
    /// It takes a value from where none is, or one of another kind than the instruction needs.
    #[error("is damaged: {0}")]
    Damaged(&'static str),
}

#[cfg(test)]
mod tests;
