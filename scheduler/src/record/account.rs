//! The stored forms of users, tokens, nodes and lines of the audit trail.

use chrono::{DateTime, Utc};
use engine::Secret;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{RecordError, parse};
use crate::account::{AuditEntry, Node, Scope, Token, User};
use crate::project::ProjectLife;

#[derive(Serialize, Deserialize)]
pub(super) struct UserRecord {
    name: String,
    role: String,
    hash: String,
    created: DateTime<Utc>,
}

impl From<&User> for UserRecord {
    fn from(user: &User) -> Self {
        Self {
            name: user.name.to_string(),
            role: user.role.to_string(),
            hash: user.hash.expose().to_owned(),
            created: user.created,
        }
    }
}

impl TryFrom<UserRecord> for User {
    type Error = RecordError;

    fn try_from(record: UserRecord) -> Result<Self, RecordError> {
        Ok(Self {
            name: parse("name", &record.name)?,
            role: parse("role", &record.role)?,
            hash: Secret::new(record.hash),
            created: record.created,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct TokenRecord {
    id: String,
    name: String,
    digest: [u8; 32],
    scope: ScopeRecord,
    /// When the project of its scope was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project_created: Option<DateTime<Utc>>,
    owner: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    created: DateTime<Utc>,
    expires: Option<DateTime<Utc>>,
    last_used: Option<DateTime<Utc>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ScopeRecord {
    Role(String),
    Start(String),
    Node(String),
}

impl From<&Token> for TokenRecord {
    fn from(token: &Token) -> Self {
        Self {
            id: token.id.clone(),
            name: token.name.clone(),
            digest: token.digest,
            scope: match &token.scope {
                Scope::Role(role) => ScopeRecord::Role(role.to_string()),
                Scope::Start(project, _) => ScopeRecord::Start(project.to_string()),
                Scope::Node(name) => ScopeRecord::Node(name.to_string()),
            },
            project_created: match &token.scope {
                Scope::Start(_, ProjectLife::Created(at)) => Some(*at),
                _ => None,
            },
            owner: token.owner.to_string(),
            parent: token.parent.clone(),
            created: token.created,
            expires: token.expires,
            last_used: token.last_used,
        }
    }
}

impl TryFrom<TokenRecord> for Token {
    type Error = RecordError;

    fn try_from(record: TokenRecord) -> Result<Self, RecordError> {
        Ok(Self {
            scope: match record.scope {
                ScopeRecord::Role(role) => Scope::Role(parse("scope", &role)?),
                ScopeRecord::Start(project) => {
                    let noted = record.project_created.map(ProjectLife::Created);
                    Scope::Start(parse("scope", &project)?, noted.unwrap_or(ProjectLife::At(record.created)))
                }
                ScopeRecord::Node(name) => Scope::Node(parse("scope", &name)?),
            },
            owner: parse("owner", &record.owner)?,
            parent: record.parent,
            id: record.id,
            name: record.name,
            digest: record.digest,
            created: record.created,
            expires: record.expires,
            last_used: record.last_used,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct NodeRecord {
    id: u32,
    hostname: String,
    port: String,
    #[serde(default)]
    member: Option<String>,
    created: DateTime<Utc>,
}

impl From<&Node> for NodeRecord {
    fn from(node: &Node) -> Self {
        let Node { id, hostname, port, member, created } = node.clone();
        Self { id, hostname, port, member: member.map(|name| name.to_string()), created }
    }
}

impl TryFrom<NodeRecord> for Node {
    type Error = RecordError;

    fn try_from(record: NodeRecord) -> Result<Self, RecordError> {
        let NodeRecord { id, hostname, port, member, created } = record;
        let member = member.map(|name| parse("member", &name)).transpose()?;
        Ok(Self { id, hostname, port, member, created })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct AuditRecord {
    at: DateTime<Utc>,
    by: String,
    from: Option<String>,
    action: String,
    target: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl From<&AuditEntry> for AuditRecord {
    fn from(entry: &AuditEntry) -> Self {
        let AuditEntry { id: _, at, by, from, action, target, before, after } = entry.clone();
        Self { at, by, from, action, target, before, after }
    }
}

impl AuditRecord {
    /// The line of this number, which its key holds.
    pub(super) fn numbered(self, id: u128) -> AuditEntry {
        let Self { at, by, from, action, target, before, after } = self;
        AuditEntry { id, at, by, from, action, target, before, after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_was_stored_before_lives_were_noted_is_bound_to_the_project_of_its_time() {
        let stored = r#"{"id": "1", "name": "push", "digest": [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            "scope": {"start": "debian"}, "owner": "jane", "created": "2026-01-01T00:00:05Z", "expires": null, "last_used": null}"#;
        let token = Token::try_from(serde_json::from_str::<TokenRecord>(stored).unwrap()).unwrap();
        let at = |seconds| crate::core::tests::at(seconds);
        let Scope::Start(project, life) = &token.scope else { panic!("{:?}", token.scope) };
        assert_eq!((project.as_str(), *life), ("debian", ProjectLife::At(at(5))));

        let bound = Token { scope: Scope::Start(project.clone(), ProjectLife::Created(at(1))), ..token };
        let again = serde_json::to_string(&TokenRecord::from(&bound)).unwrap();
        let again = Token::try_from(serde_json::from_str::<TokenRecord>(&again).unwrap()).unwrap();
        assert_eq!(again, bound);
    }
}
