//! Tokens: made, listed, used, ended. A token that was made with another one ends with it, and no later.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use engine::Secret;
use scheduler::account::{AccountWrite, Scope, Token, UserName};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use super::{AccountError, AccountRequest, Accounts, Known};

/// How exactly the last use of a token is known.
const USE_KNOWN_TO: chrono::Duration = chrono::Duration::minutes(1);

/// Number of tokens of one user, so that nobody's fill the table for all. Those of slaves are none of a user's.
const PER_USER: usize = 100;

/// A token that is to be made.
#[derive(Debug)]
pub struct TokenRequest {
    /// What it is for, in its owner's words.
    pub name: String,
    /// What it is good for.
    pub scope: Scope,
    /// In whose name it acts.
    pub owner: UserName,
    /// The token with which it is made; none: it is made with a password.
    pub parent: Option<String>,
    /// When it ends; none: never, or with its parent.
    pub expires: Option<DateTime<Utc>>,
}

impl Accounts {
    /// Every token, the oldest first.
    #[must_use]
    pub fn tokens(&self) -> Vec<Token> {
        let mut tokens: Vec<Token> = self.known().tokens.values().cloned().collect();
        tokens.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        tokens
    }

    /// Makes a token, and gives its text: the only time that anyone sees it.
    ///
    /// # Errors
    /// When it cannot be stored, there are too many, or the parent has ended.
    pub async fn make_token<'a>(
        &self,
        wanted: TokenRequest,
        request: impl FnOnce(&Token) -> AccountRequest<'a>,
    ) -> Result<(Token, Secret), AccountError> {
        let turn = self.changing.lock().await;
        let now = Utc::now();
        let (stale, good): (Vec<Token>, Vec<Token>) =
            self.tokens().into_iter().partition(|token| !is_good(token, now));
        let TokenRequest { name, scope, owner, parent, expires } = wanted;
        let is_own = |token: &&Token| token.owner == owner && !matches!(token.scope, Scope::Node(_));
        if good.iter().filter(is_own).count() >= PER_USER {
            return Err(AccountError::Tokens(owner.to_string()));
        }

        let expires = match &parent {
            Some(parent) => {
                let parent = good.iter().find(|token| token.id == *parent).ok_or(AccountError::Ended)?;
                expires.into_iter().chain(parent.expires).min()
            }
            None => expires,
        };

        let text = Secret::new(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
        let token = Token {
            id: Ulid::generate().to_string(),
            name,
            digest: Sha256::digest(text.expose()).into(),
            scope,
            owner,
            parent,
            created: now,
            expires,
            last_used: None,
        };
        let mut writes = vec![AccountWrite::Token(token.clone())];
        writes.extend(stale.iter().map(|token| AccountWrite::ForgetToken(token.id.clone())));
        let made = token.clone();
        let keep = |known: &mut Known| {
            for token in stale {
                known.tokens.remove(&token.digest);
            }
            known.tokens.insert(made.digest, made);
        };
        self.make_change(&turn, request(&token), writes, keep).await?;
        Ok((token, text))
    }

    /// Ends a token, and every token that was made with it.
    ///
    /// # Errors
    /// When there is none of this id.
    pub async fn revoke(&self, id: &str, request: AccountRequest<'_>) -> Result<(), AccountError> {
        let turn = self.changing.lock().await;
        let ended = family(self.tokens(), id);
        if ended.is_empty() {
            return Err(AccountError::Unknown(format!("token `{id}`")));
        }

        let writes = ended.iter().map(|token| AccountWrite::ForgetToken(token.id.clone())).collect();
        let forget = |known: &mut Known| {
            for token in ended {
                known.tokens.remove(&token.digest);
            }
        };
        self.make_change(&turn, request, writes, forget).await
    }

    /// The token that a text is, if it is a good one. Looked up by its digest, which tells an eavesdropper's clock
    /// nothing of the token.
    pub(in crate::auth) fn token(&self, text: &str, now: DateTime<Utc>) -> Option<Token> {
        let digest: [u8; 32] = Sha256::digest(text).into();
        let mut known = self.known();
        let token = known.tokens.get_mut(&digest).filter(|token| is_good(token, now))?;
        if token.last_used.is_none_or(|last| now - last >= USE_KNOWN_TO) {
            token.last_used = Some(now);
            let id = token.id.clone();
            let token = token.clone();
            known.used.insert(id);
            return Some(token);
        }
        Some(token.clone())
    }

    /// Stores when tokens were used last. Called now and then: no request waits for it.
    pub async fn store_uses(&self) {
        let _turn = self.changing.lock().await;
        let writes: Vec<AccountWrite> = {
            let mut known = self.known();
            let used = std::mem::take(&mut known.used);
            known
                .tokens
                .values()
                .filter(|token| used.contains(&token.id))
                .cloned()
                .map(AccountWrite::Token)
                .collect()
        };
        if let Err(error) = self.store.commit_accounts(writes).await {
            tracing::warn!("the last use of some tokens was not stored: {error}");
        }
    }
}

/// The token of this id and those that were made with it, or with one of those; empty: there is none of this id.
#[must_use]
pub fn family(tokens: Vec<Token>, id: &str) -> Vec<Token> {
    let mut children: HashMap<String, Vec<Token>> = HashMap::new();
    let mut family = Vec::new();
    for token in tokens {
        match token.parent.clone() {
            _ if token.id == id => family.push(token),
            Some(parent) => children.entry(parent).or_default().push(token),
            None => {}
        }
    }

    let mut next = 0;
    while let Some(made) = family.get(next).map(|token| children.remove(&token.id)) {
        family.extend(made.unwrap_or_default());
        next += 1;
    }
    family
}

/// Returns whether a token has not expired.
pub(super) fn is_good(token: &Token, now: DateTime<Utc>) -> bool {
    token.expires.is_none_or(|expires| now < expires)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_a_token_and_all_that_were_made_with_it() {
        let token = |id: &str, parent: Option<&str>| Token {
            id: id.to_owned(),
            name: String::new(),
            digest: [0; 32],
            scope: Scope::Role(scheduler::account::Role::Viewer),
            owner: "jane".parse().unwrap(),
            parent: parent.map(str::to_owned),
            created: DateTime::UNIX_EPOCH,
            expires: None,
            last_used: None,
        };
        let tokens = vec![
            token("grandchild", Some("child")),
            token("other", None),
            token("child", Some("parent")),
            token("parent", Some("gone")),
            token("second", Some("parent")),
        ];
        let ids = |id: &str| family(tokens.clone(), id).into_iter().map(|token| token.id).collect::<Vec<_>>();
        assert_eq!(ids("parent"), ["parent", "child", "second", "grandchild"]);
        assert_eq!(ids("grandchild"), ["grandchild"]);
        assert!(ids("gone").is_empty());
    }
}
