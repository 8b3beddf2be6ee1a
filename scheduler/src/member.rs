//! Slaves that joined by themselves, and what each of them holds, as the master remembers it.
//!
//! What is remembered of a slave is what it said last; how far behind it is follows from that and from the project's
//! own generation, whenever somebody looks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use engine::Secret;

use crate::project::ProjectId;
use crate::run::RunId;

/// The longest name of a slave.
const LONGEST_NAME: usize = 64;

/// The name of a slave. It stands in addresses, in rsync's secrets file and as an rsync user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberName(String);

/// A text that cannot be the name of a slave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {LONGEST_NAME} letters, digits and . _ -, beginning with a letter")]
pub struct NotAMemberName;

impl MemberName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MemberName {
    type Err = NotAMemberName;

    fn from_str(text: &str) -> Result<Self, NotAMemberName> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let right = (1..=LONGEST_NAME).contains(&text.len())
            && text.chars().all(plain)
            && text.starts_with(|c: char| c.is_ascii_alphabetic());
        right.then(|| Self(text.to_owned())).ok_or(NotAMemberName)
    }
}

/// A slave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Unique; also its rsync user.
    pub name: MemberName,
    /// Its password at the master's rsync daemon, which needs it as it is.
    pub password: Secret,
    /// The id of its token.
    pub token: String,
    /// When it joined.
    pub joined: DateTime<Utc>,
    /// Grows with each wish that it look at every project anew.
    pub wish: u64,
    /// It says by itself what it holds, so that it can be said to be behind.
    pub follows: bool,
    /// The projects of which watchers were told that it is too far behind.
    pub late: BTreeSet<ProjectId>,
    /// The projects of which watchers were told that the others have gone on without it.
    pub left: BTreeSet<ProjectId>,
    /// Plans of held pulls that a person has approved, by project, until the slave reports something else.
    pub approved: BTreeMap<ProjectId, ApprovedPlan>,
}

/// The plan of a held pull that a person has approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedPlan {
    /// Its digest, as the slave reported it.
    pub plan: String,
    /// Who approved it.
    pub by: String,
}

/// What a slave said last of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Which slave.
    pub member: MemberName,
    /// Which project.
    pub project: ProjectId,
    /// When that project was created: another one of the same name is another project.
    pub created: DateTime<Utc>,
    /// The history of the master's that its generations are of; none: the first one.
    pub history: Option<String>,
    /// The generation that it has whole; none: nothing yet.
    pub generation: Option<u64>,
    /// The generation of which it has everything that is new, not yet in place; none: nothing.
    pub staged: Option<u64>,
    /// The generation that the master had when it told a node of 2014 to sync last; none: it never did.
    pub told: Option<u64>,
    /// Its run that said so; they grow. Of a node of 2014: the master's run that it was told of.
    pub run: RunId,
    /// How that run ended, in the words of the API.
    pub state: String,
    /// Why, in one sentence.
    pub reason: Option<String>,
    /// The digest of the plan with which that run waits for a person; none: it is not held.
    pub plan: Option<String>,
    /// When that run ended, by the slave's clock.
    pub ended: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Bytes that came over the wire.
    pub received: u64,
    /// When it was heard, by the master's clock.
    pub heard: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::MemberName;

    #[test]
    fn a_slaves_name_needs_no_quoting_and_is_no_number() {
        for good in ["a", "ftp-nyc", "mirror-1.example.org", "X_1"] {
            assert!(good.parse::<MemberName>().is_ok(), "{good}");
        }
        for bad in ["", "1", "-a", ".", "..", "a b", "a:b", "a\n", "a/b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<MemberName>().is_err(), "{bad:?}");
        }
    }
}
