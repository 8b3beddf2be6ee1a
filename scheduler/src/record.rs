//! What stored bytes look like: one version byte, then JSON.
//!
//! The only module that knows it. Each record is a plain structure beside the domain type that it stores, so that a
//! changed domain type never changes old bytes by accident. A field that is added later gets a default here; a change
//! that a default cannot express gets a new version byte and a conversion from the old one.
//!
//! Passwords stand in these bytes as they are, since rsync needs them as they are; the store's folder is readable by
//! the service alone.

mod account;
mod freshness;
mod hold;
mod member;
mod options;
mod project;
mod project_hook;
mod refusal;
mod run;
mod schedule;
mod tree;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::account::{AuditEntry, Node, Token, User};
use crate::member::{Holding, Member};
use crate::project::{Project, Standing};
use crate::run::Run;

/// The version that this program writes.
const VERSION: u8 = 1;

/// Why stored bytes could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// They carry a version that this program does not know.
    #[error(
        "it has version {found}, and this program knows up to {VERSION}: use the newer heliostat that wrote it"
    )]
    Version {
        /// What they carry.
        found: u8,
    },
    /// They are not the JSON that they should be.
    #[error("it is damaged")]
    Damaged(#[source] serde_json::Error),
    /// They say something that is not allowed any more.
    #[error("{field}: {why}")]
    Refused {
        /// Which field.
        field: &'static str,
        /// Why not.
        why: String,
    },
}

/// The bytes of a project's settings.
#[must_use]
pub fn encode_project(project: &Project) -> Vec<u8> {
    encode(&project::ProjectRecord::from(project))
}

/// A project's settings from their bytes.
///
/// # Errors
/// When the bytes are damaged, newer than this program, or no longer allowed.
pub fn decode_project(bytes: &[u8]) -> Result<Project, RecordError> {
    decode::<project::ProjectRecord>(bytes)?.try_into()
}

/// The bytes of a project's standing.
#[must_use]
pub fn encode_standing(standing: &Standing) -> Vec<u8> {
    encode(&project::StandingRecord::from(standing))
}

/// A project's standing from its bytes.
///
/// # Errors
/// When the bytes are damaged, or newer than this program.
pub fn decode_standing(bytes: &[u8]) -> Result<Standing, RecordError> {
    decode::<project::StandingRecord>(bytes)?.try_into()
}

/// The bytes of a run.
#[must_use]
pub fn encode_run(run: &Run) -> Vec<u8> {
    encode(&run::RunRecord::from(run))
}

/// A run from its bytes.
///
/// # Errors
/// When the bytes are damaged, or newer than this program.
pub fn decode_run(bytes: &[u8]) -> Result<Run, RecordError> {
    decode::<run::RunRecord>(bytes)?.try_into()
}

/// The bytes of a user.
#[must_use]
pub fn encode_user(user: &User) -> Vec<u8> {
    encode(&account::UserRecord::from(user))
}

/// A user from its bytes.
///
/// # Errors
/// When the bytes are damaged, or newer than this program.
pub fn decode_user(bytes: &[u8]) -> Result<User, RecordError> {
    decode::<account::UserRecord>(bytes)?.try_into()
}

/// The bytes of a token.
#[must_use]
pub fn encode_token(token: &Token) -> Vec<u8> {
    encode(&account::TokenRecord::from(token))
}

/// A token from its bytes.
///
/// # Errors
/// When the bytes are damaged, or newer than this program.
pub fn decode_token(bytes: &[u8]) -> Result<Token, RecordError> {
    decode::<account::TokenRecord>(bytes)?.try_into()
}

/// The bytes of a count.
#[must_use]
pub fn encode_count(count: u64) -> Vec<u8> {
    encode(&count)
}

/// A count from its bytes.
///
/// # Errors
/// When the bytes are damaged, or newer than this program.
pub fn decode_count(bytes: &[u8]) -> Result<u64, RecordError> {
    decode(bytes)
}

/// The bytes of a note.
#[must_use]
pub fn encode_note(note: &serde_json::Value) -> Vec<u8> {
    encode(note)
}

/// A note from its bytes.
///
/// # Errors
/// When the bytes are damaged, or newer than this program.
pub fn decode_note(bytes: &[u8]) -> Result<serde_json::Value, RecordError> {
    decode(bytes)
}

/// The bytes of a node.
#[must_use]
pub fn encode_node(node: &Node) -> Vec<u8> {
    encode(&account::NodeRecord::from(node))
}

/// A node from its bytes.
///
/// # Errors
/// When the bytes are damaged, or newer than this program.
pub fn decode_node(bytes: &[u8]) -> Result<Node, RecordError> {
    decode::<account::NodeRecord>(bytes)?.try_into()
}

/// The bytes of a slave that joined.
#[must_use]
pub fn encode_member(member: &Member) -> Vec<u8> {
    encode(&member::MemberRecord::from(member))
}

/// A slave that joined from its bytes.
///
/// # Errors
/// When the bytes are damaged, or newer than this program.
pub fn decode_member(bytes: &[u8]) -> Result<Member, RecordError> {
    decode::<member::MemberRecord>(bytes)?.try_into()
}

/// The bytes of what a slave holds.
#[must_use]
pub fn encode_holding(holding: &Holding) -> Vec<u8> {
    encode(&member::HoldingRecord::from(holding))
}

/// What a slave holds from its bytes.
///
/// # Errors
/// When the bytes are damaged, or newer than this program.
pub fn decode_holding(bytes: &[u8]) -> Result<Holding, RecordError> {
    decode::<member::HoldingRecord>(bytes)?.try_into()
}

/// The bytes of a line of the audit trail.
#[must_use]
pub fn encode_audit(line: &AuditEntry) -> Vec<u8> {
    encode(&account::AuditRecord::from(line))
}

/// The line of the audit trail of this number from its bytes.
///
/// # Errors
/// When the bytes are damaged, or newer than this program.
pub fn decode_audit(id: u128, bytes: &[u8]) -> Result<AuditEntry, RecordError> {
    Ok(decode::<account::AuditRecord>(bytes)?.numbered(id))
}

#[expect(clippy::expect_used, reason = "plain structures of texts and numbers always have a JSON form")]
fn encode(record: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, record).expect("a record has a JSON form");
    bytes
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RecordError> {
    match bytes.split_first() {
        Some((&VERSION, json)) => serde_json::from_slice(json).map_err(RecordError::Damaged),
        Some((&found, _)) => Err(RecordError::Version { found }),
        None => Err(RecordError::Version { found: 0 }),
    }
}

/// Reads a text that a type of ours wrote.
fn parse<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<T, RecordError> {
    text.parse().map_err(|_| RecordError::Refused { field, why: format!("`{text}` is not known") })
}
