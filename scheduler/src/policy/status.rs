//! How a status is written in a recording: its word, and its number where it has one.

use crate::hooks::Status;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes it.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(status: &Status, serializer: S) -> Result<S::Ok, S::Error> {
    let word = match status {
        Status::Succeeded => "succeeded",
        Status::Unchanged => "unchanged",
        Status::TimedOut => "timed-out",
        Status::Stalled => "stalled",
        Status::Cancelled => "cancelled",
        Status::Interrupted => "interrupted",
        Status::Held => "held",
        Status::Skipped => "skipped",
        Status::Partial(code) => return serializer.collect_str(&format_args!("partial {code}")),
        Status::Failed(code) => return serializer.collect_str(&format_args!("failed {code}")),
        Status::Signalled(signal) => return serializer.collect_str(&format_args!("signalled {signal}")),
        Status::Other(word) => word,
    };
    serializer.serialize_str(word)
}

/// Reads it; a word that is not known is one of ours.
///
/// # Errors
/// Those of the deserializer.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Status, D::Error> {
    let text = String::deserialize(deserializer)?;
    let (word, number) = text.split_once(' ').unwrap_or((&text, ""));
    Ok(match (word, number.parse()) {
        ("succeeded", _) => Status::Succeeded,
        ("unchanged", _) => Status::Unchanged,
        ("timed-out", _) => Status::TimedOut,
        ("stalled", _) => Status::Stalled,
        ("cancelled", _) => Status::Cancelled,
        ("interrupted", _) => Status::Interrupted,
        ("held", _) => Status::Held,
        ("skipped", _) => Status::Skipped,
        ("partial", Ok(code)) => Status::Partial(code),
        ("failed", Ok(code)) => Status::Failed(code),
        ("signalled", Ok(signal)) => Status::Signalled(signal),
        _ => Status::Other(text),
    })
}
