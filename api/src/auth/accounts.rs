//! The accounts: users with their passwords, and tokens. Every change is durable, with its line in the audit trail,
//! before it counts.

mod members;
mod nodes;
mod proof;
mod request;
mod stamp;
mod starts;
mod tokens;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use engine::durable::replace;
use engine::secret::LONGEST_PASSWORD;
use engine::{PasswordError, Secret};
use scheduler::Store;
use scheduler::account::{AccountWrite, Node, Role, Token, User, UserName};
use scheduler::member::MemberName;
use tokio::sync::watch;

use super::PASSWORD_VARIABLE;
use super::password::Passwords;
use super::sessions::Sessions;
pub use proof::PasswordLogin;
use proof::ProvedLogin;
pub use request::AccountRequest;
pub use stamp::AccountStamp;
pub use tokens::{TokenRequest, family};

/// The shortest password that is taken.
const SHORTEST: usize = 8;
/// The most users, and the most slaves.
const MOST: usize = 10_000;

/// Users and tokens.
#[derive(Debug)]
pub struct Accounts {
    store: Store,
    passwords: Passwords,
    known: Mutex<Known>,
    /// Makes the digests of proved logins worthless to whoever sees them.
    salt: [u8; 32],
    /// Who is signed in at the page.
    pub(super) sessions: Sessions,
    /// Tells of every change: a login may have ended.
    changed: watch::Sender<()>,
    /// One change at a time: each is decided on what the one before left.
    changing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    users: BTreeMap<String, User>,
    /// By digest.
    tokens: HashMap<[u8; 32], Token>,
    /// By number.
    nodes: Vec<Node>,
    /// The passwords of nodes of 2014, by the name of the slave that each is in lists.
    logins: HashMap<String, Secret>,
    /// Logins that were proved, by their digest.
    proved: HashMap<[u8; 32], ProvedLogin>,
    /// Tokens whose last use is not stored yet.
    used: HashSet<String>,
    /// Root's password, unless it was changed: then root is among the users.
    root: Option<Secret>,
    /// The environment says root's password, whatever the store says.
    fixed_root: bool,
}

/// Where root's password came from, for the first start to tell.
#[derive(Debug)]
pub enum PasswordFrom {
    /// The environment.
    Environment,
    /// The file of an earlier start.
    File(PathBuf),
    /// It was made just now, and is in this file too.
    Made(Secret, PathBuf),
    /// It was changed, and is known by its hash alone.
    Store,
}

/// Why an account was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The name is taken.
    #[error("a user `{0}` exists already")]
    Exists(String),
    /// There is no such user or token.
    #[error("there is no {0}")]
    Unknown(String),
    /// The password cannot be taken.
    #[error("must be {SHORTEST} to {LONGEST_PASSWORD} bytes long")]
    Length,
    /// The password is not one line of text.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The login that asked has ended meanwhile.
    #[error("the login has ended")]
    Ended,
    /// A user has as many tokens as there may be.
    #[error(
        "`{0}` has 100 tokens, which is the most: end some (`heliostat token list`, `heliostat token revoke ID`), or let \
         them expire sooner"
    )]
    Tokens(String),
    /// Something that must not be.
    #[error("{0}")]
    Forbidden(&'static str),
    /// It could not be made durable.
    #[error("the change could not be stored ({0}); nothing was changed")]
    Store(#[from] scheduler::StoreError),
    /// Root's password in the environment cannot be taken.
    #[error("{PASSWORD_VARIABLE} {0}")]
    Environment(PasswordError),
    /// A hash could not be worked out.
    #[error("the password could not be hashed")]
    Hash,
    /// The file of root's password cannot be read or written.
    #[error("root's password cannot be read or written: {0}")]
    File(#[from] io::Error),
}

impl Accounts {
    /// Reads the accounts. Root's password comes from the environment, from the store, from the file of an earlier
    /// start, or is made now.
    ///
    /// # Errors
    /// When the store or the file cannot be read or written.
    pub fn load(store: Store, data_dir: &Path) -> Result<(Self, PasswordFrom), AccountError> {
        let stored = store.accounts()?;
        let is_old = |name: &MemberName| stored.nodes.iter().any(|node| node.member.as_ref() == Some(name));
        let old = stored.members.iter().filter(|member| is_old(&member.name));
        let logins = old.map(|member| (member.name.to_string(), member.password.clone())).collect();
        let mut known = Known {
            logins,
            users: stored.users.into_iter().map(|user| (user.name.to_string(), user)).collect(),
            tokens: stored.tokens.into_iter().map(|token| (token.digest, token)).collect(),
            nodes: stored.nodes,
            ..Known::default()
        };
        let from = match std::env::var(PASSWORD_VARIABLE).ok().filter(|password| !password.is_empty()) {
            Some(password) => {
                known.root = Some(Secret::password(password).map_err(AccountError::Environment)?);
                known.fixed_root = true;
                PasswordFrom::Environment
            }
            None if known.users.contains_key(UserName::ROOT) => PasswordFrom::Store,
            None => {
                let (password, from) = root_password(&data_dir.join("root-password"))?;
                known.root = Some(password);
                from
            }
        };
        let accounts = Self {
            store,
            passwords: Passwords::new(),
            known: Mutex::new(known),
            salt: rand::random(),
            sessions: Sessions::default(),
            changed: watch::Sender::new(()),
            changing: tokio::sync::Mutex::new(()),
        };
        Ok((accounts, from))
    }

    /// Every user but for the hashes, by name; root is always among them.
    #[must_use]
    pub fn users(&self) -> Vec<(String, Role, Option<DateTime<Utc>>)> {
        let known = self.known();
        let mut users: Vec<_> =
            known.users.values().map(|user| (user.name.to_string(), user.role, Some(user.created))).collect();
        if !known.users.contains_key(UserName::ROOT) {
            users.insert(0, (UserName::ROOT.to_owned(), Role::Root, None));
        }
        users
    }

    /// Adds a user.
    ///
    /// # Errors
    /// When the name is taken, or the password is not one.
    pub async fn add_user(
        &self,
        name: UserName,
        role: Role,
        password: Secret,
        request: AccountRequest<'_>,
    ) -> Result<(), AccountError> {
        let hash = self.hash(password).await?;
        let turn = self.changing.lock().await;
        let known = { self.known().users.len() >= MOST || self.has_user(name.as_str()) };
        if known || name.as_str() == UserName::ROOT {
            return Err(AccountError::Exists(name.to_string()));
        }

        let user = User { name, role, hash, created: Utc::now() };
        let writes = vec![AccountWrite::User(user.clone())];
        let add = |known: &mut Known| {
            known.users.insert(user.name.to_string(), user);
        };
        self.make_change(&turn, request, writes, add).await
    }

    /// Removes a user, and every token that acts in their name.
    ///
    /// # Errors
    /// When there is no such user, or it is root.
    pub async fn remove_user(&self, name: &str, request: AccountRequest<'_>) -> Result<(), AccountError> {
        let turn = self.changing.lock().await;
        if name == UserName::ROOT {
            return Err(AccountError::Forbidden("root cannot be removed"));
        }
        let (user, tokens) = {
            let known = self.known();
            let user = known.users.get(name).cloned();
            let tokens: Vec<Token> =
                known.tokens.values().filter(|token| token.owner.as_str() == name).cloned().collect();
            (user.ok_or_else(|| AccountError::Unknown(format!("user `{name}`")))?, tokens)
        };

        let mut writes = vec![AccountWrite::ForgetUser(user.name)];
        writes.extend(tokens.iter().map(|token| AccountWrite::ForgetToken(token.id.clone())));
        let forget = |known: &mut Known| {
            known.users.remove(name);
            known.proved.clear();
            for token in tokens {
                known.tokens.remove(&token.digest);
            }
        };
        self.make_change(&turn, request, writes, forget).await
    }

    /// Gives a user another password.
    ///
    /// # Errors
    /// When there is no such user, or the password is not one, or the environment says root's.
    pub async fn set_password(
        &self,
        name: &str,
        password: Secret,
        request: AccountRequest<'_>,
    ) -> Result<(), AccountError> {
        let hash = self.hash(password).await?;
        let turn = self.changing.lock().await;
        let mut user = {
            let known = self.known();
            if name == UserName::ROOT && known.fixed_root {
                return Err(AccountError::Forbidden(
                    "root's password comes from the environment: change it there",
                ));
            }
            match known.users.get(name) {
                Some(user) => user.clone(),
                None if name == UserName::ROOT => root(),
                None => return Err(AccountError::Unknown(format!("user `{name}`"))),
            }
        };

        user.hash = hash;
        let writes = vec![AccountWrite::User(user.clone())];
        let change = |known: &mut Known| {
            if name == UserName::ROOT {
                known.root = None;
            }
            known.users.insert(name.to_owned(), user);
            known.proved.clear();
        };
        self.make_change(&turn, request, writes, change).await
    }

    async fn hash(&self, password: Secret) -> Result<Secret, AccountError> {
        if !(SHORTEST..=LONGEST_PASSWORD).contains(&password.expose().len()) {
            return Err(AccountError::Length);
        }
        password.check_password()?;
        self.passwords.hash(password).await.ok_or(AccountError::Hash)
    }

    fn has_user(&self, name: &str) -> bool {
        self.known().users.contains_key(name)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::expect_used, reason = "`root` is a name")]
fn root() -> User {
    let name = UserName::ROOT.parse().expect("root is a name");
    User { name, role: Role::Root, hash: Secret::new(""), created: Utc::now() }
}

/// Root's password from its file, which is made where there is none.
fn root_password(path: &Path) -> io::Result<(Secret, PasswordFrom)> {
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => {
            Ok((Secret::new(text.trim()), PasswordFrom::File(path.to_owned())))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => {
            let password = Secret::new(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 18]>()));
            replace(path, format!("{}\n", password.expose()).as_bytes())?;
            Ok((password.clone(), PasswordFrom::Made(password, path.to_owned())))
        }
    }
}
