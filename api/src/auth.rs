//! Who is asking, and what they may do.
//!
//! [`Gate`] turns a request's `Authorization` into an [`Actor`]: a user with a password (HTTP Basic), or whoever bears a
//! token (Bearer, or as the user name of Basic, as in 2014). Which actor may call which route stands in the table of
//! routes. A page has a session instead ([`sessions`]). The accounts themselves, with their rules, are in [`accounts`].

pub mod accounts;
mod attempts;
mod password;
mod proofs;
mod queue;
pub mod sessions;

use std::net::IpAddr;
use std::time::Duration;

use axum::http::{HeaderMap, Method, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use engine::Secret;
use scheduler::account::{Role, Scope, Token};
use scheduler::member::MemberName;
use scheduler::{Project, ProjectId};

use accounts::{Accounts, PasswordLogin};
use attempts::LoginAttempts;
use proofs::RunningProofs;
use sessions::Sessions;

/// Time after which a login is tried again that came while too many others were worked out.
const BUSY: Duration = Duration::from_secs(1);

/// The environment variable that sets root's password.
pub const PASSWORD_VARIABLE: &str = "HELIOSTAT_ROOT_PASSWORD";

/// Someone who has proved to be who they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The user's name, for records; a token acts in the name of its owner.
    pub name: String,
    /// What they may do.
    pub power: Power,
    /// How they proved it.
    pub login: Login,
    /// Where they call from.
    pub from: Option<IpAddr>,
}

/// Proof that an actor gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// A password of their own, with this request or at the beginning of its session.
    Password,
    /// The token of this id.
    Token {
        /// Its id.
        id: String,
        /// It may do all that its owner may.
        is_whole: bool,
    },
}

/// What an actor may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Power {
    /// What the role may.
    Role(Role),
    /// Start one project.
    Start(ProjectId),
    /// Follow this master as that slave.
    Node(MemberName),
}

impl Actor {
    /// Whether they may see things.
    #[must_use]
    pub fn may_read(&self) -> bool {
        matches!(self.power, Power::Role(_))
    }

    /// Whether they may create projects.
    #[must_use]
    pub fn may_create(&self) -> bool {
        matches!(self.power, Power::Role(Role::UpstreamUser | Role::Root))
    }

    /// Whether they may change this project.
    #[must_use]
    pub fn may_change(&self, project: &Project) -> bool {
        match self.power {
            Power::Role(Role::Root) => true,
            Power::Role(Role::UpstreamUser) => project.owner == self.name,
            Power::Role(Role::Viewer) | Power::Start(_) | Power::Node(_) => false,
        }
    }

    /// Whether they may start this project.
    #[must_use]
    pub fn may_start(&self, project: &Project) -> bool {
        self.may_change(project) || self.power == Power::Start(project.id.clone())
    }

    /// The slave that this is, if it is one.
    #[must_use]
    pub fn node(&self) -> Option<&MemberName> {
        match &self.power {
            Power::Node(name) => Some(name),
            Power::Role(_) | Power::Start(_) => None,
        }
    }

    /// The id of the token that they showed, if they did.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        match &self.login {
            Login::Token { id, .. } => Some(id),
            Login::Password => None,
        }
    }

    /// Whether they have all the power of the user in whose name they act. Accounts are changed by that alone.
    #[must_use]
    pub fn has_whole_power(&self) -> bool {
        !matches!(self.login, Login::Token { is_whole: false, .. })
    }

    /// Whether they may do everything.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.power == Power::Role(Role::Root)
    }
}

/// Why someone was not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// They gave nothing, or something wrong.
    Unknown,
    /// Too much wrong has come from there, or for that name: try again after this time.
    TooMany(Duration),
    /// A session was used to change something, by what may be another site.
    Forged,
}

/// Lets people in.
#[derive(Debug)]
pub struct Gate {
    /// The accounts.
    pub accounts: Accounts,
    attempts: LoginAttempts,
    proofs: RunningProofs,
    sessions: Sessions,
}

impl Gate {
    /// A gate before these accounts.
    #[must_use]
    pub fn new(accounts: Accounts) -> Self {
        Self {
            accounts,
            attempts: LoginAttempts::new(),
            proofs: RunningProofs::default(),
            sessions: Sessions::default(),
        }
    }

    /// The one whom a request's `Authorization`, or else its session, proves.
    ///
    /// # Errors
    /// When it proves nobody, or when too much wrong was tried before.
    pub async fn authenticate(
        &self,
        method: &Method,
        headers: &HeaderMap,
        from: Option<IpAddr>,
    ) -> Result<Actor, Refused> {
        match Credentials::of(headers) {
            Some(given) => self.check(given, from).await,
            None => self.session(method, headers, from),
        }
    }

    /// Begins a session of the user whose password this is, and gives the cookie's value.
    ///
    /// # Errors
    /// When it is not, or when too much wrong was tried before.
    pub async fn sign_in(
        &self,
        name: &str,
        password: Secret,
        from: Option<IpAddr>,
    ) -> Result<(Actor, Secret), Refused> {
        // A token is no user, even where it is given as the name of one.
        let stamp = self.accounts.stamp(name);
        let actor =
            self.check(Credentials::User(name.to_owned(), password.expose().to_owned()), from).await?;
        match (stamp, &actor.power) {
            (Some((_, stamp)), Power::Role(_)) if actor.login == Login::Password => {
                Ok((actor, self.sessions.open(name, stamp)))
            }
            _ => Err(Refused::Unknown),
        }
    }

    /// Ends the session of a request, if it has one.
    pub fn sign_out(&self, headers: &HeaderMap) {
        if let Some(text) = sessions::cookie(headers) {
            self.sessions.close(text);
        }
    }

    fn session(&self, method: &Method, headers: &HeaderMap, from: Option<IpAddr>) -> Result<Actor, Refused> {
        let text = sessions::cookie(headers).ok_or(Refused::Unknown)?;
        let (name, stamp) = self.sessions.find(text).ok_or(Refused::Unknown)?;
        let Some((role, _)) = self.accounts.stamp(&name).filter(|(_, now)| *now == stamp) else {
            self.sessions.close(text);
            return Err(Refused::Unknown);
        };
        if !method.is_safe() && !sessions::is_from_page(headers) {
            return Err(Refused::Forged);
        }
        Ok(Actor { name, power: Power::Role(role), login: Login::Password, from })
    }

    async fn check(&self, given: Credentials, from: Option<IpAddr>) -> Result<Actor, Refused> {
        let text = match &given {
            Credentials::Token(text) | Credentials::User(text, _) => text,
        };
        // Nobody guesses 256 random bits, so a token never waits behind those who guess.
        if let Some(token) = self.accounts.token(text, Utc::now()) {
            return Ok(self.bearer(token, from));
        }

        match given {
            Credentials::Token(_) => {
                self.attempts.begin(from, None).map_err(Refused::TooMany)?;
                log_failed_login(from, "", "there is no such token");
                Err(Refused::Unknown)
            }
            Credentials::User(name, password) => {
                let power = self.prove(PasswordLogin { name: &name, password: &password, from }).await?;
                Ok(Actor { name, power, login: Login::Password, from })
            }
        }
    }

    /// Whoever bears a token.
    fn bearer(&self, token: Token, from: Option<IpAddr>) -> Actor {
        let owner = token.owner.to_string();
        let power = match token.scope {
            Scope::Role(role) => Power::Role(role),
            Scope::Start(project) => Power::Start(project),
            Scope::Node(name) => Power::Node(name),
        };
        let is_whole = self.accounts.stamp(&owner).is_some_and(|(role, _)| power == Power::Role(role));
        Actor { name: owner, power, login: Login::Token { id: token.id, is_whole }, from }
    }

    /// What somebody may by their password.
    ///
    /// # Errors
    /// When it is wrong, or when too much wrong was tried before, from there or for that name.
    pub async fn prove(&self, login: PasswordLogin<'_>) -> Result<Power, Refused> {
        // Before anything that tells a right password from a wrong one, what was proved before included.
        if let Some(wait) = self.attempts.wait(login.from) {
            return Err(Refused::TooMany(wait));
        }
        let digest = self.accounts.login_digest(login);
        if let Some(power) = self.accounts.proved(&digest) {
            return Ok(power);
        }
        self.proofs.share(digest, self.prove_anew(login, digest)).await
    }

    async fn prove_anew(&self, login: PasswordLogin<'_>, digest: [u8; 32]) -> Result<Power, Refused> {
        let attempt = self.attempts.begin(login.from, Some(login.name)).map_err(Refused::TooMany)?;
        let power = match self.accounts.prove(login, digest).await {
            Ok(None) => {
                log_failed_login(login.from, login.name, "wrong name or password");
                return Err(Refused::Unknown);
            }
            Ok(Some(power)) => Ok(power),
            Err(queue::QueueFull) => Err(Refused::TooMany(BUSY)),
        };
        self.attempts.take_back(attempt);
        power
    }
}

/// Leaves a line of a login that failed, for programs that watch the log. Its form is documented (docs/security.md).
pub(crate) fn log_failed_login(from: Option<IpAddr>, name: &str, why: &'static str) {
    let address = from.map(|from| from.to_string()).unwrap_or_default();
    tracing::warn!(%address, name = ?attempts::shortened(name), why, "login failed");
}

/// What a request says of who sends it.
enum Credentials {
    Token(String),
    User(String, String),
}

impl Credentials {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, rest) = value.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Token(rest.trim().to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
        let (name, password) = decoded.split_once(':')?;
        Some(Self::User(name.to_owned(), password.to_owned()))
    }
}
