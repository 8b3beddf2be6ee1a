//! The slaves that are known by name: added, listed, removed; and tokens that follow a project to its new name.

use chrono::Utc;
use scheduler::ProjectId;
use scheduler::account::{AccountWrite, AuditEntry, Node, Scope, Token};

use super::{AccountError, Accounts, MOST};

impl Accounts {
    /// Every node, by number.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        self.known().nodes.clone()
    }

    /// Adds a node, and says whether it is new: one of this name stays as it is.
    ///
    /// # Errors
    /// When it cannot be stored, or there are too many.
    pub async fn add_node(
        &self,
        hostname: String,
        port: String,
        line: impl FnOnce(&Node) -> AuditEntry,
    ) -> Result<bool, AccountError> {
        let _turn = self.changing.lock().await;
        let nodes = self.nodes();
        if nodes.iter().any(|node| node.hostname == hostname) {
            return Ok(false);
        }
        if nodes.len() >= MOST {
            return Err(AccountError::Forbidden("there are too many nodes: remove some"));
        }
        let id = nodes.last().map_or(1, |last| last.id.saturating_add(1));
        let node = Node { id, hostname, port, created: Utc::now() };
        let writes = vec![AccountWrite::Node(node.clone()), AccountWrite::Audit(line(&node))];
        self.store.commit_accounts(writes).await?;
        self.known().nodes.push(node);
        Ok(true)
    }

    /// Removes a node, and says whether there was one.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub async fn remove_node(&self, hostname: &str, line: AuditEntry) -> Result<bool, AccountError> {
        let _turn = self.changing.lock().await;
        let Some(node) = self.nodes().into_iter().find(|node| node.hostname == hostname) else {
            return Ok(false);
        };
        self.store
            .commit_accounts(vec![AccountWrite::ForgetNode(node.id), AccountWrite::Audit(line)])
            .await?;
        self.known().nodes.retain(|known| known.id != node.id);
        Ok(true)
    }

    /// Lets the tokens that start a project start it under its new name, and nobody else's under the old one.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub async fn follow(&self, from: &ProjectId, to: &ProjectId) -> Result<(), AccountError> {
        let _turn = self.changing.lock().await;
        let starts = |token: &Token| token.scope == Scope::Start(from.clone());
        let tokens: Vec<Token> = self.tokens().into_iter().filter(starts).collect();
        let renamed = tokens.into_iter().map(|token| Token { scope: Scope::Start(to.clone()), ..token });
        let renamed: Vec<Token> = renamed.collect();
        self.store.commit_accounts(renamed.iter().cloned().map(AccountWrite::Token).collect()).await?;
        let mut known = self.known();
        known.tokens.extend(renamed.into_iter().map(|token| (token.digest, token)));
        Ok(())
    }
}
