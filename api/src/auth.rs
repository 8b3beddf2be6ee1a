//! Who is asking, and what they may do.
//!
//! [`Gate`] turns a request's `Authorization` into an [`Actor`]: a user with a password (HTTP Basic), or whoever bears a
//! token (Bearer, or as the user name of Basic, as in 2014). Which actor may call which route stands in the table of
//! routes. A page has a session instead ([`sessions`]). The accounts themselves, with their rules, are in [`accounts`].

pub mod accounts;
mod attempts;
pub mod foreign;
mod password;
mod proofs;
mod queue;
pub mod sessions;
pub mod slots;

use std::net::IpAddr;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use engine::Secret;
use scheduler::account::{Role, Scope, Token};
use scheduler::member::MemberName;
use scheduler::project::ProjectLife;
use scheduler::{Project, ProjectId};

use accounts::{AccountStamp, Accounts, PasswordLogin};
use attempts::LoginAttempts;
use proofs::RunningProofs;
use slots::UserSlots;

/// Time after which a login is tried again that came while too many others were worked out.
const BUSY: Duration = Duration::from_secs(1);

/// Number of answers that go on at once for one user: each holds a connection.
const STREAMS: usize = 256;
/// Number of probes that go at once for one user: half of those that go at all.
const PROBES: usize = crate::probe::TOGETHER / 2;

/// The environment variable that sets root's password.
pub const PASSWORD_VARIABLE: &str = "HELIOSTAT_ROOT_PASSWORD";

/// Someone who has proved to be who they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The user's name, for records; a token acts in the name of its owner.
    pub name: String,
    /// When that user was added, by which they are told from others of the same name; none: the user who is always there.
    pub since: Option<DateTime<Utc>>,
    /// What they may do.
    pub power: Power,
    /// How they proved it.
    pub login: Login,
    /// Where they call from.
    pub from: Option<IpAddr>,
}

/// Proof that an actor gave, and what it rests on: it ends with that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// A password of their own, with this request.
    Password {
        /// The account that it opened.
        stamp: AccountStamp,
    },
    /// A session that began with a password.
    Session {
        /// The account that the password opened.
        stamp: AccountStamp,
        /// Digest of the cookie.
        cookie: [u8; 32],
    },
    /// The token of this id.
    Token {
        /// Its id.
        id: String,
        /// Its digest.
        digest: [u8; 32],
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
    Start(ProjectId, ProjectLife),
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
            Power::Role(Role::UpstreamUser) => project.is_owned_by(&self.name, self.since),
            Power::Role(Role::Viewer) | Power::Start(..) | Power::Node(_) => false,
        }
    }

    /// Whether they may start this project.
    #[must_use]
    pub fn may_start(&self, project: &Project) -> bool {
        match &self.power {
            Power::Start(id, life) => *id == project.id && life.is_of(project),
            Power::Role(_) | Power::Node(_) => self.may_change(project),
        }
    }

    /// The slave that this is, if it is one.
    #[must_use]
    pub fn node(&self) -> Option<&MemberName> {
        match &self.power {
            Power::Node(name) => Some(name),
            Power::Role(_) | Power::Start(..) => None,
        }
    }

    /// The id of the token that they showed, if they did.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        match &self.login {
            Login::Token { id, .. } => Some(id),
            Login::Password { .. } | Login::Session { .. } => None,
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
}

/// Lets people in.
#[derive(Debug)]
pub struct Gate {
    /// The accounts.
    pub accounts: Accounts,
    attempts: LoginAttempts,
    proofs: RunningProofs,
    /// Answers that go on, such as streams of events.
    pub streams: UserSlots,
    /// Questions to upstreams.
    pub probes: UserSlots,
}

impl Gate {
    /// A gate before these accounts.
    #[must_use]
    pub fn new(accounts: Accounts) -> Self {
        Self {
            accounts,
            attempts: LoginAttempts::new(),
            proofs: RunningProofs::default(),
            streams: UserSlots::new(STREAMS),
            probes: UserSlots::new(PROBES),
        }
    }

    /// The one whom a request's `Authorization`, or else its session, proves.
    ///
    /// # Errors
    /// When it proves nobody, or when too much wrong was tried before.
    pub async fn authenticate(&self, headers: &HeaderMap, from: Option<IpAddr>) -> Result<Actor, Refused> {
        match Credentials::of(headers) {
            Some(given) => self.check(given, from).await,
            None => self.session(headers, from).ok_or(Refused::Unknown),
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
        let actor =
            self.check(Credentials::User(name.to_owned(), password.expose().to_owned()), from).await?;
        // A token is no user, even where it is given as the name of one, and a slave has no page.
        match (&actor.login, &actor.power) {
            (Login::Password { stamp }, Power::Role(_)) => {
                let cookie = self.accounts.sessions.open(name, *stamp);
                Ok((actor, cookie))
            }
            _ => Err(Refused::Unknown),
        }
    }

    /// Ends the session of a request, if it has one.
    pub fn sign_out(&self, headers: &HeaderMap) {
        if let Some(text) = sessions::cookie(headers) {
            self.accounts.sign_out(text);
        }
    }

    fn session(&self, headers: &HeaderMap, from: Option<IpAddr>) -> Option<Actor> {
        let text = sessions::cookie(headers)?;
        let (name, stamp) = self.accounts.sessions.find(text)?;
        let Some(role) = self.accounts.role(&name).filter(|_| self.accounts.stamp(&name) == Some(stamp))
        else {
            self.accounts.sign_out(text);
            return None;
        };
        let login = Login::Session { stamp, cookie: sessions::digest(text) };
        let since = self.accounts.since(&name);
        Some(Actor { name, since, power: Power::Role(role), login, from })
    }

    async fn check(&self, given: Credentials, from: Option<IpAddr>) -> Result<Actor, Refused> {
        let text = match &given {
            Credentials::Token(text) | Credentials::User(text, _) => text,
        };
        // Nobody guesses 256 random bits, so a token never waits behind those who guess.
        if let Some(token) = self.accounts.token(text, Utc::now()) {
            return self.bearer(token, from).ok_or(Refused::Unknown);
        }

        match given {
            Credentials::Token(_) => {
                self.attempts.begin(from, None).map_err(Refused::TooMany)?;
                log_failed_login(from, "", "there is no such token");
                Err(Refused::Unknown)
            }
            Credentials::User(name, password) => {
                // Taken before the proof: a password that changes meanwhile ends this login.
                let stamp = self.accounts.stamp(&name);
                let power = self.prove(PasswordLogin { name: &name, password: &password, from }).await?;
                let stamp = stamp.ok_or(Refused::Unknown)?;
                let since = self.accounts.since(&name);
                Ok(Actor { name, since, power, login: Login::Password { stamp }, from })
            }
        }
    }

    /// Whoever bears a token; none, where the owner is gone. A token may no more than its owner may now.
    fn bearer(&self, token: Token, from: Option<IpAddr>) -> Option<Actor> {
        let name = token.owner.to_string();
        let own = self.accounts.role(&name)?;
        let power = match token.scope {
            Scope::Role(role) => Power::Role(role.min(own)),
            Scope::Start(project, life) => Power::Start(project, life),
            Scope::Node(name) => Power::Node(name),
        };
        let is_whole = power == Power::Role(own);
        let login = Login::Token { id: token.id, digest: token.digest, is_whole };
        let since = self.accounts.since(&name);
        Some(Actor { name, since, power, login, from })
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
