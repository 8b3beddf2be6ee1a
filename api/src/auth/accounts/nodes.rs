//! The slaves that are known by name: added, listed, removed.

use chrono::Utc;
use engine::Secret;
use scheduler::account::{AccountWrite, Node};
use scheduler::member::Member;
use tokio::sync::MutexGuard;

use super::members::token_of;
use super::{AccountError, AccountRequest, Accounts, Known};

impl Accounts {
    /// Every node, by number.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        self.known().nodes.clone()
    }

    /// Adds a node, with the slave that it is in lists and that slave's token. One of this name stays as it is, and none
    /// is given.
    ///
    /// # Errors
    /// When it cannot be stored, or there are too many.
    pub async fn add_node<'a>(
        &self,
        hostname: String,
        port: String,
        member: impl FnOnce(u32) -> Member,
        token: &Secret,
        request: impl FnOnce(&Node) -> AccountRequest<'a>,
    ) -> Result<Option<(Node, Member)>, AccountError> {
        let turn = self.changing.lock().await;
        let nodes = self.nodes();
        if nodes.iter().any(|node| node.hostname == hostname) {
            return Ok(None);
        }
        self.has_room_for_node()?;
        let id = nodes.last().map_or(1, |last| last.id.saturating_add(1));
        let member = member(id);
        let node = Node { id, hostname, port, member: Some(member.name.clone()), created: Utc::now() };
        self.keep_node(&turn, request(&node), &node, &member, token).await?;
        Ok(Some((node, member)))
    }

    /// Gives a node that was added before slaves had logins the slave that it is in lists.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn complete_node(
        &self,
        node: Node,
        member: &Member,
        token: &Secret,
    ) -> Result<Node, AccountError> {
        let turn = self.changing.lock().await;
        let node = Node { member: Some(member.name.clone()), ..node };
        self.keep_node(&turn, AccountRequest::of_server(), &node, member, token).await?;
        Ok(node)
    }

    async fn keep_node(
        &self,
        turn: &MutexGuard<'_, ()>,
        request: AccountRequest<'_>,
        node: &Node,
        member: &Member,
        token: &Secret,
    ) -> Result<(), AccountError> {
        let token = token_of(member, token)?;
        let writes = vec![
            AccountWrite::Node(node.clone()),
            AccountWrite::Member(member.clone()),
            AccountWrite::Token(token.clone()),
        ];
        let keep = |known: &mut Known| {
            known.tokens.insert(token.digest, token);
            known.logins.insert(member.name.to_string(), member.password.clone());
            known.nodes.retain(|known| known.id != node.id);
            known.nodes.push(node.clone());
            known.nodes.sort_by_key(|node| node.id);
        };
        self.make_change(turn, request, writes, keep).await
    }
}
