//! Who may come in, as what, and what they did: users, tokens, nodes and the audit trail, as they are remembered.
//!
//! Checking a password or a token is the business of the faces. Here is only what must outlive a restart.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::member::{Holding, Member, MemberName};
use crate::project::{ProjectId, ProjectLife};
use engine::Secret;

/// The longest name of a user.
const LONGEST_NAME: usize = 64;

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sees everything but secrets.
    Viewer,
    /// Sees everything but secrets, creates projects, and changes and starts those that it owns.
    UpstreamUser,
    /// Everything.
    Root,
}

impl Role {
    /// Every role, the weakest first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::UpstreamUser, Self::Root];

    /// Its name, as in 2014.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::UpstreamUser => "upstreamuser",
            Self::Root => "root",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role: choose root, upstreamuser or viewer")]
pub struct NotARole(pub String);

impl FromStr for Role {
    type Err = NotARole;

    fn from_str(text: &str) -> Result<Self, NotARole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| NotARole(text.to_owned()))
    }
}

/// The name of a user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

/// A text that cannot be the name of a user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {LONGEST_NAME} letters, digits and . _ + - @, beginning with a letter or digit")]
pub struct NotAName;

impl UserName {
    /// The user who is always there.
    pub const ROOT: &'static str = "root";

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UserName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-' | '@');
        let right = (1..=LONGEST_NAME).contains(&text.len())
            && text.chars().all(plain)
            && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        right.then(|| Self(text.to_owned())).ok_or(NotAName)
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Unique.
    pub name: UserName,
    /// What they may do.
    pub role: Role,
    /// Their password's hash, in the PHC string format. Not a secret as the password is, and nobody's business either.
    pub hash: Secret,
    /// When they were added.
    pub created: DateTime<Utc>,
}

/// What a token lets its bearer do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// What this role may, as the token's owner.
    Role(Role),
    /// Start this one project, in this life of its name, and nothing else.
    Start(ProjectId, ProjectLife),
    /// Follow this master as that slave, and nothing else.
    Node(MemberName),
}

/// A token. The 256 random bits themselves are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Unique; public.
    pub id: String,
    /// What it is for, in its owner's words.
    pub name: String,
    /// The SHA-256 of the token.
    pub digest: [u8; 32],
    /// What it is good for.
    pub scope: Scope,
    /// Who made it, and in whose name it acts.
    pub owner: UserName,
    /// The token with which it was made: it ends with that one. None: it was made with a password, or joined.
    pub parent: Option<String>,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it ends to be good; none: never.
    pub expires: Option<DateTime<Utc>>,
    /// When it was used last, to within a minute.
    pub last_used: Option<DateTime<Utc>>,
}

/// A slave as `add_slave` of 2014 knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Counts from 1.
    pub id: u32,
    /// Where it answers.
    pub hostname: String,
    /// On which port; a text, as in 2014.
    pub port: String,
    /// The slave that it is in lists, with its login at the rsync daemon; none: it was added before there was one.
    pub member: Option<MemberName>,
    /// When it was added.
    pub created: DateTime<Utc>,
}

/// One line of the audit trail.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Unique, and in the order of time.
    pub id: u128,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub by: String,
    /// From which address.
    pub from: Option<String>,
    /// What was done, such as `project.update`.
    pub action: String,
    /// To what, such as the project's id.
    pub target: String,
    /// What it was before, without secrets.
    pub before: Option<Value>,
    /// What it is now, without secrets.
    pub after: Option<Value>,
}

/// A change of who may come in.
#[derive(Debug, Clone)]
pub enum AccountWrite {
    /// This is the user now.
    User(User),
    /// The user is no more.
    ForgetUser(UserName),
    /// This is the token now.
    Token(Token),
    /// The token is no more.
    ForgetToken(String),
    /// This is the node now.
    Node(Node),
    /// The node is no more.
    ForgetNode(u32),
    /// This is the slave now.
    Member(Member),
    /// The slave is no more.
    ForgetMember(MemberName),
    /// This is what a slave holds now.
    Holding(Holding),
    /// A slave holds nothing of this project any more.
    ForgetHolding(MemberName, ProjectId),
    /// This was done.
    Audit(AuditEntry),
    /// This line of the audit trail is too old.
    ForgetAudit(u128),
}

/// Everything about accounts that a start needs to know.
#[derive(Debug, Default)]
pub struct Accounts {
    /// The users, by name.
    pub users: Vec<User>,
    /// The tokens.
    pub tokens: Vec<Token>,
    /// The nodes, by number.
    pub nodes: Vec<Node>,
    /// The slaves that joined, by name.
    pub members: Vec<Member>,
    /// What they hold.
    pub holdings: Vec<Holding>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_as_they_are_written_and_grow_in_power() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!(Role::Viewer < Role::UpstreamUser && Role::UpstreamUser < Role::Root);
        assert!("admin".parse::<Role>().unwrap_err().to_string().contains("upstreamuser"));
    }

    #[test]
    fn names_are_plain() {
        for good in ["root", "a", "jane.doe@example.org", "x+1_2-3"] {
            assert!(good.parse::<UserName>().is_ok(), "{good}");
        }
        let long = "x".repeat(65);
        for bad in ["", "a b", "a:b", "-x", "\u{1b}", "ä", "a/b", long.as_str()] {
            assert!(bad.parse::<UserName>().is_err(), "{bad:?}");
        }
    }
}
