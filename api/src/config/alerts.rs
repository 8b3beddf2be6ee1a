//! What can be configured of telling people: where messages go, the sign of life, the weekly digest.

use super::secret::SecretSource;
use super::value::{record, variants, words};
use std::time::Duration;

/// Telling people.
#[derive(Debug, Clone, PartialEq)]
pub struct Alerts {
    /// How long changes are gathered before they are told: what fails together is told together.
    pub settle: Duration,
    /// A project without a good run for so long, and past two of its schedule times, is stale.
    pub stale: Duration,
    /// Where messages go.
    pub channels: Vec<Channel>,
    /// A sign of life to a dead-man's switch such as healthchecks.io.
    pub ping: Option<Ping>,
    /// A message of what has come about in a week.
    pub digest: Option<Digest>,
}

record!(default Alerts {
    settle = Duration::from_mins(1),
    stale = Duration::from_hours(48),
    channels = Vec::new(),
    ping = None,
    digest = None;
});

/// One way to people.
#[derive(Debug, Clone, PartialEq)]
pub enum Channel {
    /// An HTTP request.
    Webhook(Webhook),
    /// E-mail by SMTP.
    Mail(Mail),
    /// A program on this machine.
    Program(Program),
}

variants!(Channel { Webhook(Webhook), Mail(Mail), Program(Program) });

/// Stands in for one that cannot be read; the configuration is then refused.
impl Default for Channel {
    fn default() -> Self {
        Self::Program(Program::unset())
    }
}

impl Channel {
    /// The name that it has in messages, logs and lists.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Webhook(Webhook { name, .. })
            | Self::Mail(Mail { name, .. })
            | Self::Program(Program { name, .. }) => name,
        }
    }
}

/// A POST for each message.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Sent as `Authorization: Bearer …`.
    pub secret: Option<SecretSource>,
    /// What the body looks like.
    pub form: Form,
    /// How long the receiver may take.
    pub timeout: Duration,
    /// The channel's name.
    pub name: String,
    /// Where to; a secret, since some receivers know their senders by it.
    pub url: SecretSource,
}

record!(Webhook { secret = None, form = Form::Json, timeout = Duration::from_secs(10);
    name = String::new(),
    url = SecretSource::Env(String::new()),
});

/// The body of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Everything, as fields.
    Json,
    /// `{"text": ".."}`, as Slack, Mattermost, Rocket.Chat and Discord's `/slack` take it.
    Slack,
}

words!(Form { Json, Slack });

/// A mail for each message.
#[derive(Debug, Clone, PartialEq)]
pub struct Mail {
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// Who logs in; none: nobody does.
    pub user: Option<String>,
    /// Their password.
    pub password: Option<SecretSource>,
    /// How long the server may take.
    pub timeout: Duration,
    /// The channel's name.
    pub name: String,
    /// `host` or `host:port` of the SMTP server.
    pub server: String,
    /// The sender's address.
    pub from: String,
    /// The receivers' addresses.
    pub to: Vec<String>,
}

record!(Mail {
    encryption = Encryption::StartTls, user = None, password = None, timeout = Duration::from_secs(30);
    name = String::new(),
    server = String::new(),
    from = String::new(),
    to = Vec::new(),
});

/// How an SMTP connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// It begins in the clear and must change to TLS before anything is said; port 587.
    StartTls,
    /// TLS from the first byte; port 465.
    Tls,
    /// Not at all; port 25. For a server on this machine.
    None,
}

words!(Encryption { StartTls, Tls, None });

/// A program for each message: it gets the JSON of a webhook on its standard input.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// How long it may take before it and all that it started are ended.
    pub timeout: Duration,
    /// The channel's name.
    pub name: String,
    /// The program by its path, and its arguments. No shell reads them.
    pub command: Vec<String>,
}

record!(Program { timeout = Duration::from_secs(30); name = String::new(), command = Vec::new() });

/// A sign of life.
#[derive(Debug, Clone, PartialEq)]
pub struct Ping {
    /// How often.
    pub every: Duration,
    /// Addresses for single projects: their runs' beginnings and ends.
    pub projects: Vec<ProjectPing>,
    /// Where to; none: only the projects'.
    pub url: Option<SecretSource>,
}

record!(default Ping { every = Duration::from_mins(1), projects = Vec::new(), url = None; });

/// The address for one project.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectPing {
    /// The project.
    pub id: String,
    /// Where to.
    pub url: SecretSource,
}

record!(ProjectPing {; id = String::new(), url = SecretSource::Env(String::new()) });

/// Stands in for one that cannot be read; the configuration is then refused.
impl Default for ProjectPing {
    fn default() -> Self {
        Self::unset()
    }
}

/// A weekly message.
#[derive(Debug, Clone, PartialEq)]
pub struct Digest {
    /// On this day.
    pub day: Day,
    /// At this time of day, `HH:MM`, in UTC.
    pub at: String,
    /// Through these channels; empty: all.
    pub channels: Vec<String>,
}

record!(default Digest { day = Day::Monday, at = "08:00".to_owned(), channels = Vec::new(); });

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

words!(Day { Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday });
