//! Why slaves are not served, and why one of them is not answered.

use scheduler::ProjectId;
use scheduler::member::MemberName;

use super::proof;
use crate::auth::accounts::AccountError;
use crate::config::SecretError;

/// Why slaves cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum NodesError {
    /// A secret of the configuration cannot be fetched.
    #[error("role.{key}: {source}")]
    Secret {
        /// Which.
        key: &'static str,
        /// Why not.
        source: SecretError,
    },
    /// The enrolment secret is too short.
    #[error(
        "role.enrolment: must be at least {} bytes long, such as the output of `openssl rand -base64 32`",
        proof::SHORTEST
    )]
    Short,
    /// The external daemon's address cannot be read.
    #[error("role.rsyncd.url: {0}")]
    Url(String),
    /// The daemon's folder cannot be made.
    #[error("cannot use the rsync daemon's folder: {0}")]
    Folder(std::io::Error),
    /// The store cannot be read.
    #[error(transparent)]
    Accounts(#[from] AccountError),
}

/// Why a slave was not let in, or not answered.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// No slave can join.
    #[error("this master has no `enrolment` secret: no slave can join")]
    Closed,
    /// The proof is wrong, old, or was used before.
    #[error("the proof is wrong, too old, or was used before: do both know the same enrolment secret?")]
    Proof,
    /// The name is taken.
    #[error(
        "a node `{0}` is there already: `heliostat node remove {0}` lets another machine take its place, or give this one \
         another name"
    )]
    Exists(MemberName),
    /// There is no such slave.
    #[error("there is no node `{0}`")]
    Unknown(String),
    /// Two machines follow under one name.
    #[error("another process follows as `{0}` at this moment: two machines must not share one identity")]
    Twice(MemberName),
    /// It waits for nobody's approval.
    #[error("node `{0}` does not hold `{1}` back: there is nothing to approve")]
    NotHeld(String, ProjectId),
    /// What it would delete is not what was seen.
    #[error(
        "node `{0}` would delete something else of `{1}` now than what was looked at: look at it again, then approve that"
    )]
    OtherPlan(String, ProjectId),
    /// It says something that cannot be.
    #[error("{0}")]
    Untrue(String),
    /// It could not be made durable.
    #[error(transparent)]
    Accounts(#[from] AccountError),
}
