//! Changes of accounts that somebody asks for, and the one place where they are made.

use scheduler::account::{AccountWrite, AuditEntry};
use tokio::sync::MutexGuard;

use super::{AccountError, Accounts, Known};
use crate::auth::Actor;

/// A change of accounts as it is asked for: the login by which it may be made, and its line in the audit trail.
#[derive(Debug, Default)]
pub struct AccountRequest<'a> {
    by: Option<&'a Actor>,
    line: Option<AuditEntry>,
}

impl<'a> AccountRequest<'a> {
    /// A change that an actor asks for, with its line.
    #[must_use]
    pub fn noted(by: &'a Actor, line: AuditEntry) -> Self {
        Self { by: Some(by), line: Some(line) }
    }

    /// A change that an actor asks for often, such as the report of a slave: it has no line.
    #[must_use]
    pub fn unnoted(by: &'a Actor) -> Self {
        Self { by: Some(by), line: None }
    }

    /// A change that somebody without a login has proved to be theirs, with its line.
    #[must_use]
    pub fn proved(line: AuditEntry) -> Self {
        Self { by: None, line: Some(line) }
    }

    /// A change that the server makes by itself.
    #[must_use]
    pub fn of_server() -> Self {
        Self::default()
    }
}

impl Accounts {
    /// Makes a change durable, then known, and tells everybody whose login may have ended with it. The login that asks is
    /// looked at here, where nothing else can change any more.
    ///
    /// # Errors
    /// When that login has ended meanwhile, or the change cannot be stored; nothing was changed then.
    pub(super) async fn make_change(
        &self,
        _turn: &MutexGuard<'_, ()>,
        request: AccountRequest<'_>,
        mut writes: Vec<AccountWrite>,
        change: impl FnOnce(&mut Known),
    ) -> Result<(), AccountError> {
        if request.by.is_some_and(|actor| !self.is_login_good(actor)) {
            return Err(AccountError::Ended);
        }

        writes.extend(request.line.map(AccountWrite::Audit));
        self.store.commit_accounts(writes).await?;
        change(&mut self.known());
        self.changed.send_replace(());
        Ok(())
    }
}
