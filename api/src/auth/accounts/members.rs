//! Tokens of slaves: they come with the slave, and end with it.

use chrono::Utc;
use engine::Secret;
use scheduler::account::{AccountWrite, Scope, Token, UserName};
use scheduler::member::{Holding, Member, MemberName};
use scheduler::{ProjectId, Store};
use sha2::{Digest, Sha256};

use super::{AccountError, AccountRequest, Accounts, Known, MOST};

impl Accounts {
    /// Lets a slave in, with this token.
    ///
    /// # Errors
    /// When that cannot be stored, or there are too many slaves.
    pub async fn admit(
        &self,
        member: &Member,
        token: &Secret,
        request: AccountRequest<'_>,
    ) -> Result<(), AccountError> {
        let turn = self.changing.lock().await;
        self.has_room_for_node()?;
        let token = token_of(member, token)?;
        let writes = vec![AccountWrite::Member(member.clone()), AccountWrite::Token(token.clone())];
        self.make_change(&turn, request, writes, |known| drop(known.tokens.insert(token.digest, token))).await
    }

    /// Refuses one more slave where there are too many. What people have made takes none of that room.
    pub(super) fn has_room_for_node(&self) -> Result<(), AccountError> {
        let known = self.known();
        let nodes = known.tokens.values().filter(|token| matches!(token.scope, Scope::Node(_))).count();
        if nodes.max(known.nodes.len()) < MOST {
            return Ok(());
        }
        Err(AccountError::Forbidden("there are too many nodes: remove some"))
    }

    /// Lets a slave in no more, and forgets what it held.
    ///
    /// # Errors
    /// When that cannot be stored; it is still in then.
    pub async fn dismiss(
        &self,
        member: &Member,
        held: &[ProjectId],
        request: AccountRequest<'_>,
    ) -> Result<(), AccountError> {
        let turn = self.changing.lock().await;
        let name: &MemberName = &member.name;
        let mut writes =
            vec![AccountWrite::ForgetMember(name.clone()), AccountWrite::ForgetToken(member.token.clone())];
        writes.extend(held.iter().map(|project| AccountWrite::ForgetHolding(name.clone(), project.clone())));
        let old = self.nodes().into_iter().find(|node| node.member.as_ref() == Some(name));
        writes.extend(old.iter().map(|node| AccountWrite::ForgetNode(node.id)));
        let forget = |known: &mut Known| {
            known.tokens.retain(|_, token| token.id != member.token);
            known.nodes.retain(|node| node.member.as_ref() != Some(name));
            known.logins.remove(name.as_str());
            known.proved.clear();
        };
        self.make_change(&turn, request, writes, forget).await
    }

    /// Remembers what is new of a slave.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub async fn remember(&self, member: &Member, request: AccountRequest<'_>) -> Result<(), AccountError> {
        let turn = self.changing.lock().await;
        self.make_change(&turn, request, vec![AccountWrite::Member(member.clone())], |_| ()).await
    }

    /// Remembers what a slave holds.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub async fn remember_holding(
        &self,
        holding: Option<&Holding>,
        request: AccountRequest<'_>,
    ) -> Result<(), AccountError> {
        let turn = self.changing.lock().await;
        let writes = holding.cloned().map(AccountWrite::Holding).into_iter().collect();
        self.make_change(&turn, request, writes, |_| ()).await
    }

    /// The store that holds them.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The id of the history that the store tells; none for the first one.
    pub(crate) fn history(&self) -> Option<&str> {
        self.store.history()
    }

    /// Every slave that joined, and what each holds.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn members(&self) -> Result<(Vec<Member>, Vec<Holding>), AccountError> {
        let stored = self.store.accounts()?;
        Ok((stored.members, stored.holdings))
    }
}

/// The token of a slave.
pub(super) fn token_of(member: &Member, text: &Secret) -> Result<Token, AccountError> {
    Ok(Token {
        id: member.token.clone(),
        name: format!("slave {}", member.name),
        digest: Sha256::digest(text.expose()).into(),
        scope: Scope::Node(member.name.clone()),
        owner: UserName::ROOT.parse().map_err(|_| AccountError::Hash)?,
        parent: None,
        created: Utc::now(),
        expires: None,
        last_used: None,
    })
}
