//! Users, tokens, nodes and the audit trail in the store.

use super::keys::{Entry, Table};
use super::{Store, StoreError, readable, text};
use crate::account::{AccountWrite, Accounts, AuditEntry};
use crate::member::MemberName;
use crate::project::ProjectId;
use crate::record;

impl Store {
    /// Makes changes of accounts durable, all or none of them.
    ///
    /// # Errors
    /// When they are not durable; none of them is then visible.
    pub async fn commit_accounts(&self, writes: Vec<AccountWrite>) -> Result<(), StoreError> {
        self.writer.commit(writes.iter().map(entry).collect()).await
    }

    /// Reads every user, token, node and slave.
    ///
    /// # Errors
    /// When the database or a record cannot be read.
    pub fn accounts(&self) -> Result<Accounts, StoreError> {
        self.open.read(|tables| {
            let mut accounts = Accounts::default();
            for (key, value) in tables.all(Table::Users)? {
                let user = readable(record::decode_user(&value), || format!("user {}", text(&key)))?;
                accounts.users.push(user);
            }
            for (key, value) in tables.all(Table::Tokens)? {
                let token = readable(record::decode_token(&value), || format!("token {}", text(&key)))?;
                accounts.tokens.push(token);
            }
            for (_, value) in tables.all(Table::Nodes)? {
                accounts.nodes.push(readable(record::decode_node(&value), || "a node".to_owned())?);
            }
            for (key, value) in tables.all(Table::Members)? {
                let member = readable(record::decode_member(&value), || format!("slave {}", text(&key)))?;
                accounts.members.push(member);
            }
            for (_, value) in tables.all(Table::Holdings)? {
                let what = || "what a slave holds".to_owned();
                accounts.holdings.push(readable(record::decode_holding(&value), what)?);
            }
            Ok(accounts)
        })
    }

    /// Lines of the audit trail, newest first, older than `before`, at most `limit`.
    ///
    /// # Errors
    /// When the database or a record cannot be read.
    pub fn audit(&self, before: Option<u128>, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        use std::ops::Bound::{Excluded, Unbounded};
        let end = before.map_or(Unbounded, |before| Excluded(before.to_be_bytes().to_vec()));
        self.open.read(|tables| {
            let mut found = Vec::new();
            for key in tables.newest_keys(Table::Audit, (Unbounded, end), limit)? {
                let Some(id) = key.last_chunk::<16>().map(|bytes| u128::from_be_bytes(*bytes)) else {
                    continue;
                };
                let Some(value) = tables.get(Table::Audit, &key)? else { continue };
                found.push(readable(record::decode_audit(id, &value), || {
                    "a line of the audit trail".to_owned()
                })?);
            }
            Ok(found)
        })
    }

    /// The lines of the audit trail that are older than the newest so many, by their ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn old_audit(&self, newest: usize) -> Result<Vec<u128>, StoreError> {
        use std::ops::Bound::Unbounded;
        let keys =
            self.open.read(|tables| tables.newest_keys(Table::Audit, (Unbounded, Unbounded), usize::MAX))?;
        let old = keys.iter().skip(newest);
        Ok(old.filter_map(|key| key.last_chunk::<16>().map(|bytes| u128::from_be_bytes(*bytes))).collect())
    }
}

/// What a change means in keys.
fn entry(write: &AccountWrite) -> Entry {
    match write {
        AccountWrite::User(user) => {
            (Table::Users, user.name.as_str().as_bytes().to_vec(), Some(record::encode_user(user)))
        }
        AccountWrite::ForgetUser(name) => (Table::Users, name.as_str().as_bytes().to_vec(), None),
        AccountWrite::Token(token) => {
            (Table::Tokens, token.id.as_bytes().to_vec(), Some(record::encode_token(token)))
        }
        AccountWrite::ForgetToken(id) => (Table::Tokens, id.as_bytes().to_vec(), None),
        AccountWrite::Node(node) => {
            (Table::Nodes, node.id.to_be_bytes().to_vec(), Some(record::encode_node(node)))
        }
        AccountWrite::ForgetNode(id) => (Table::Nodes, id.to_be_bytes().to_vec(), None),
        AccountWrite::Member(member) => {
            (Table::Members, member.name.as_str().as_bytes().to_vec(), Some(record::encode_member(member)))
        }
        AccountWrite::ForgetMember(name) => (Table::Members, name.as_str().as_bytes().to_vec(), None),
        AccountWrite::Holding(holding) => {
            let key = holding_key(&holding.member, &holding.project);
            (Table::Holdings, key, Some(record::encode_holding(holding)))
        }
        AccountWrite::ForgetHolding(member, project) => (Table::Holdings, holding_key(member, project), None),
        AccountWrite::Audit(line) => audit_entry(line),
        AccountWrite::ForgetAudit(id) => (Table::Audit, id.to_be_bytes().to_vec(), None),
    }
}

/// The two names with a zero byte between them, which neither contains.
fn holding_key(member: &MemberName, project: &ProjectId) -> Vec<u8> {
    [member.as_str().as_bytes(), project.as_str().as_bytes()].join(&0)
}

/// A line of the audit trail in keys.
pub(super) fn audit_entry(line: &AuditEntry) -> Entry {
    (Table::Audit, line.id.to_be_bytes().to_vec(), Some(record::encode_audit(line)))
}
