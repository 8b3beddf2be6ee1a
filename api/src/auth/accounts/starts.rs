//! Tokens that start a project: each belongs to one life of the project's name, goes along when that is renamed, and ends
//! with it.

use std::sync::Arc;

use scheduler::account::{AccountWrite, Scope, Token};
use scheduler::core::Entry;
use scheduler::project::ProjectLife;
use scheduler::{Project, ProjectId};

use super::{AccountError, AccountRequest, Accounts, Known};

impl Accounts {
    /// Lets the tokens that start a project start it under its new name.
    ///
    /// # Errors
    /// When that cannot be stored: they have ended then.
    pub async fn follow(&self, from: &ProjectId, project: &Project) -> Result<(), AccountError> {
        let turn = self.changing.lock().await;
        let starts = |token: &Token| match &token.scope {
            Scope::Start(id, life) => id == from && life.is_of(project),
            Scope::Role(_) | Scope::Node(_) => false,
        };
        let scope = Scope::Start(project.id.clone(), ProjectLife::of(project));
        let tokens = self.tokens().into_iter().filter(starts);
        let renamed: Vec<Token> = tokens.map(|token| Token { scope: scope.clone(), ..token }).collect();

        let writes = renamed.iter().cloned().map(AccountWrite::Token).collect();
        let rename = |known: &mut Known| {
            known.tokens.extend(renamed.into_iter().map(|token| (token.digest, token)));
        };
        self.make_change(&turn, AccountRequest::of_server(), writes, rename).await
    }

    /// Forgets the tokens whose project is gone, and binds those of older versions to the project that they start.
    ///
    /// # Errors
    /// When that cannot be stored. They start nothing all the same.
    pub async fn settle_starts(&self, projects: &[Arc<Entry>]) -> Result<(), AccountError> {
        let turn = self.changing.lock().await;
        let (mut bound, mut gone) = (Vec::new(), Vec::new());
        for token in self.tokens() {
            let Scope::Start(id, life) = &token.scope else { continue };
            let mut named = projects.iter().map(|entry| &entry.project).filter(|project| project.id == *id);
            match named.find(|project| life.is_of(project)) {
                None => gone.push(token),
                Some(project) if *life == ProjectLife::of(project) => {}
                Some(project) => {
                    let scope = Scope::Start(id.clone(), ProjectLife::of(project));
                    bound.push(Token { scope, ..token });
                }
            }
        }
        if bound.is_empty() && gone.is_empty() {
            return Ok(());
        }

        let mut writes: Vec<AccountWrite> = bound.iter().cloned().map(AccountWrite::Token).collect();
        writes.extend(gone.iter().map(|token| AccountWrite::ForgetToken(token.id.clone())));
        let settle = |known: &mut Known| {
            known.tokens.extend(bound.into_iter().map(|token| (token.digest, token)));
            for token in gone {
                known.tokens.remove(&token.digest);
            }
        };
        self.make_change(&turn, AccountRequest::of_server(), writes, settle).await
    }
}
