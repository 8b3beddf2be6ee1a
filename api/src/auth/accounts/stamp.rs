//! The life of a login: it holds for as long as what it rests on is as it was.
//!
//! A user who is removed, gets another password, or signs out, and a token that ends, take everything along that was
//! opened with them: the accounts tell of each change, and whoever waits looks again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use scheduler::account::{Role, UserName};
use sha2::{Digest, Sha256};

use super::Accounts;
use super::tokens::is_good;
use crate::auth::{Actor, Login};

/// Longest time after which a login with an end is looked at again: clocks are set.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Digest of what an account is: another password, and another account of the same name, have another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountStamp([u8; 32]);

#[cfg(test)]
impl AccountStamp {
    /// A stamp of no account.
    pub(in crate::auth) fn of_tests(byte: u8) -> Self {
        Self([byte; 32])
    }
}

/// State of a login.
enum LoginState {
    /// It has ended.
    Ended,
    /// It holds until something is changed.
    Lasting,
    /// It holds for this time, unless something is changed.
    Until(Duration),
}

impl Accounts {
    /// Role of a user now; none: there is no such user.
    pub(in crate::auth) fn role(&self, name: &str) -> Option<Role> {
        let known = self.known();
        match known.users.get(name) {
            Some(user) => Some(user.role),
            None => (name == UserName::ROOT).then_some(Role::Root),
        }
    }

    /// When a user was added; none: it is the user who is always there, or none at all.
    pub(in crate::auth) fn since(&self, name: &str) -> Option<DateTime<Utc>> {
        let known = self.known();
        known.users.get(name).filter(|_| name != UserName::ROOT).map(|user| user.created)
    }

    /// Stamp of the account that a password opens; none: there is no such user or slave.
    pub(in crate::auth) fn stamp(&self, name: &str) -> Option<AccountStamp> {
        let known = self.known();
        let root = known.root.as_ref().filter(|_| name == UserName::ROOT);
        let user = known.users.get(name).map(|user| &user.hash);
        let node = known.logins.get(name);
        if root.is_none() && user.is_none() && node.is_none() {
            return None;
        }

        let mut digest = Sha256::new().chain_update(self.salt).chain_update(name);
        for secret in [root, user, node] {
            // Each part has its length before it, so that no two accounts look alike.
            let secret = secret.map(engine::Secret::expose).unwrap_or_default();
            digest.update((secret.len() as u64).to_le_bytes());
            digest.update(secret);
        }
        Some(AccountStamp(digest.finalize().into()))
    }

    /// Returns whether a login still holds.
    #[must_use]
    pub fn is_login_good(&self, actor: &Actor) -> bool {
        !matches!(self.login_state(actor), LoginState::Ended)
    }

    /// Waits until a login has ended.
    pub async fn login_ended(&self, actor: &Actor) {
        let mut changes = self.changed.subscribe();
        loop {
            changes.borrow_and_update();
            let patience = match self.login_state(actor) {
                LoginState::Ended => return,
                LoginState::Lasting => None,
                LoginState::Until(left) => Some(left.min(LOOK_AGAIN)),
            };
            let look_again = async {
                match patience {
                    Some(patience) => tokio::time::sleep(patience).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The sender lives as long as the accounts do.
                Ok(()) = changes.changed() => {}
                () = look_again => {}
            }
        }
    }

    /// Ends a session.
    pub(in crate::auth) fn sign_out(&self, cookie: &str) {
        self.sessions.close(cookie);
        self.changed.send_replace(());
    }

    fn login_state(&self, actor: &Actor) -> LoginState {
        match &actor.login {
            Login::Password { stamp } if self.stamp(&actor.name) == Some(*stamp) => LoginState::Lasting,
            Login::Session { stamp, cookie } if self.stamp(&actor.name) == Some(*stamp) => {
                self.sessions.left(cookie).map_or(LoginState::Ended, LoginState::Until)
            }
            Login::Token { digest, .. } => self.token_state(digest),
            Login::Password { .. } | Login::Session { .. } => LoginState::Ended,
        }
    }

    fn token_state(&self, digest: &[u8; 32]) -> LoginState {
        let now = Utc::now();
        let known = self.known();
        let Some(token) = known.tokens.get(digest).filter(|token| is_good(token, now)) else {
            return LoginState::Ended;
        };
        match token.expires {
            None => LoginState::Lasting,
            Some(expires) => LoginState::Until((expires - now).to_std().unwrap_or_default()),
        }
    }
}
