//! The handshake in order: greeting, list of modules or one module, login.
//!
//! ```text
//! daemon: @RSYNCD: 32.0 sha512 sha256 sha1 md5 md4      and at once its message of the day, which has no mark
//! client: @RSYNCD: 32.0 sha512 sha256 sha1 md5 md4      the newest protocol that both know
//! client: #list                                         daemon: NAME<tab>COMMENT ... @RSYNCD: EXIT
//!     or: MODULE                                        daemon: @RSYNCD: AUTHREQD CHALLENGE
//! client: USER ANSWER                                   daemon: @RSYNCD: OK, or @ERROR: TEXT
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::digest::{Digest, OFFERED};
use super::entries::Malformed;
use super::error::{ProtocolError, Refusal, RefusalKind, Step};
use super::wire::Wire;
use super::{NEWEST_PROTOCOL, OLDEST_PROTOCOL, Timeouts};
use crate::rsync::filters::ListFilters;
use crate::secret::Secret;
use crate::source::Source;
use crate::text::escaped;

/// The most text that a daemon may send before it says yes or no: message of the day and list of modules.
const MAX_TEXT: usize = 1 << 20;
/// How much of a message of the day is kept.
const MAX_MOTD: usize = 16 << 10;
/// The most modules that are read from a list.
const MAX_MODULES: usize = 10_000;
/// The most digests that are read from a greeting.
const MAX_DIGESTS: usize = 32;
/// The name that rsync gives when it has no user.
const NOBODY: &str = "nobody";

/// A daemon that has greeted, and waits for a module's name.
#[derive(Debug)]
pub struct Connection {
    wire: Wire,
    address: SocketAddr,
    greeting: Greeting,
    connect_took: Duration,
    greeting_took: Duration,
    timeouts: Timeouts,
    text: Text,
}

/// What a daemon says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The newest protocol that it speaks.
    pub protocol: u32,
    /// The version below that; not 0 only in development versions of rsync.
    pub subprotocol: u32,
    /// The login digests that it offers, safe to print; none before rsync 3.2.7.
    pub digests: Vec<String>,
}

/// What a daemon has for everybody to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modules {
    /// Its message of the day, safe to print.
    pub motd: String,
    /// Its modules, those apart that it hides; at most 10,000.
    pub modules: Vec<ModuleLine>,
}

/// A module as a daemon lists it; safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleLine {
    /// Its name.
    pub name: String,
    /// What its owner says about it.
    pub comment: String,
}

/// How a module was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// It is open to everybody.
    NotNeeded,
    /// The daemon took user and password.
    Accepted(Digest),
}

/// A module that can be asked for its files.
#[derive(Debug)]
pub struct Session {
    pub(super) wire: Wire,
    pub(super) source: Source,
    pub(super) timeouts: Timeouts,
    /// The filter rules of a list, as they are sent.
    pub(super) filters: Vec<u8>,
    /// The protocol that is spoken.
    pub(super) protocol: u32,
    /// How it was entered.
    pub login: Login,
    /// The daemon's message of the day, safe to print.
    pub motd: String,
}

impl Connection {
    /// Connects, trying one address of the host after the other, and reads the greeting.
    pub async fn open(source: &Source, timeouts: &Timeouts) -> Result<Self, ProtocolError> {
        let (wire, address, took) = Wire::connect(source, timeouts).await?;
        Self::greet(wire, address, took, timeouts).await
    }

    /// Connects to an address that is known to answer.
    pub(super) async fn open_at(
        host: &str,
        address: SocketAddr,
        timeouts: &Timeouts,
    ) -> Result<Self, ProtocolError> {
        let failed =
            |error| ProtocolError::Connect { host: host.to_owned(), failures: vec![(address, error)] };
        let (wire, took) = Wire::connect_to(address, timeouts).await.map_err(failed)?;
        Self::greet(wire, address, took, timeouts).await
    }

    async fn greet(
        mut wire: Wire,
        address: SocketAddr,
        connect_took: Duration,
        timeouts: &Timeouts,
    ) -> Result<Self, ProtocolError> {
        let begin = Instant::now();
        wire.begin(Step::Greeting, timeouts.handshake);
        let greeting = Greeting::read(&wire.line().await?)?;
        let (greeting_took, timeouts, text) = (begin.elapsed(), *timeouts, Text::default());
        Ok(Self { wire, address, greeting, connect_took, greeting_took, timeouts, text })
    }

    /// The address that took the connection.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the daemon said first.
    #[must_use]
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// How long connecting took, and how long the greeting took after that.
    #[must_use]
    pub fn latency(&self) -> (Duration, Duration) {
        (self.connect_took, self.greeting_took)
    }

    /// Reads the list of modules; the daemon closes the connection after it.
    ///
    /// A daemon does not mark where its message of the day ends. What is taken for modules is every line with a tab
    /// after the last line without one; the empty line that rsync puts after the message is such a line.
    pub async fn modules(mut self) -> Result<Modules, ProtocolError> {
        self.say(Step::Modules, "#list").await?;
        loop {
            let line = self.wire.line().await?;
            if line == b"@RSYNCD: EXIT" {
                return Ok(self.text.modules());
            }
            if line.starts_with(b"@ERROR") {
                return Err(Refusal::read(&line).into());
            }
            self.text.add(&line)?;
        }
    }

    /// Enters the source's module, with its user (`nobody` if it has none) where the daemon wants a login.
    pub async fn enter(
        mut self,
        source: &Source,
        password: Option<&Secret>,
    ) -> Result<Session, ProtocolError> {
        let login = self.knock(source, password).await?;
        let (motd, source, protocol) = (self.text.motd(), source.clone(), self.greeting.spoken());
        let filters = ListFilters::default().to_wire();
        Ok(Session { login, motd, protocol, wire: self.wire, source, timeouts: self.timeouts, filters })
    }

    /// Like [`Connection::enter`], and what the daemon says besides can be read from [`Connection::motd`] however it
    /// ends.
    pub(super) async fn knock(
        &mut self,
        source: &Source,
        password: Option<&Secret>,
    ) -> Result<Login, ProtocolError> {
        self.say(Step::Module, source.module()).await?;
        let mut login = Login::NotNeeded;
        loop {
            let line = self.wire.line().await?;
            if line == b"@RSYNCD: OK" {
                return Ok(login);
            }
            if let Some(challenge) = line.strip_prefix(b"@RSYNCD: AUTHREQD ") {
                if login != Login::NotNeeded {
                    return Err(ProtocolError::Malformed {
                        step: Step::Module,
                        what: Malformed::SecondChallenge,
                    });
                }
                login = Login::Accepted(self.log_in(source, password, challenge).await?);
            } else if line.starts_with(b"@ERROR") {
                return Err(Refusal::read(&line).into());
            } else if line == b"@RSYNCD: EXIT" {
                return Err(Refusal::new(RefusalKind::Other, "the daemon ended the conversation").into());
            } else {
                self.text.add(&line)?;
            }
        }
    }

    /// The message of the day as far as it came, safe to print.
    pub(super) fn motd(&self) -> String {
        self.text.motd()
    }

    /// Answers the greeting, and asks in the same packet.
    async fn say(&mut self, step: Step, word: &str) -> Result<(), ProtocolError> {
        self.wire.begin(step, self.timeouts.handshake);
        let protocol = self.greeting.spoken();
        self.wire.send(format!("@RSYNCD: {protocol}.0 {OFFERED}\n{word}\n").as_bytes()).await
    }

    async fn log_in(
        &mut self,
        source: &Source,
        password: Option<&Secret>,
        challenge: &[u8],
    ) -> Result<Digest, ProtocolError> {
        let needed =
            || Refusal::new(RefusalKind::LoginNeeded, "the module wants a password, and none is set");
        let password = password.ok_or_else(needed)?;
        let offered = &self.greeting.digests;
        let digest = Digest::choose(offered, self.greeting.spoken())
            .ok_or_else(|| ProtocolError::NoDigest { offered: offered.clone() })?;
        let user = source.user().unwrap_or(NOBODY);
        self.wire.send(format!("{user} {}\n", digest.response(password, challenge)).as_bytes()).await?;
        Ok(digest)
    }
}

impl Greeting {
    /// Reads `@RSYNCD: 32.0 sha512 sha256`; versions before 30 have no `.0`, and before 3.2.7 no digests.
    fn read(line: &[u8]) -> Result<Self, ProtocolError> {
        if line.starts_with(b"@ERROR") {
            return Err(Refusal::read(line).into());
        }
        let foreign = || ProtocolError::NotRsync { line: escaped(line.get(..200).unwrap_or(line)) };
        let rest = line.strip_prefix(b"@RSYNCD: ").ok_or_else(foreign)?;
        let rest = escaped(rest);
        let mut words = rest.split_ascii_whitespace();
        let version = words.next().ok_or_else(foreign)?;
        let (protocol, subprotocol) = version.split_once('.').unwrap_or((version, "0"));
        let (Ok(protocol), Ok(subprotocol)) = (protocol.parse::<u32>(), subprotocol.parse::<u32>()) else {
            return Err(foreign());
        };
        let digests = words.take(MAX_DIGESTS).map(str::to_owned).collect();
        let greeting = Self { protocol, subprotocol, digests };
        if greeting.spoken() < OLDEST_PROTOCOL {
            return Err(ProtocolError::TooOld { offered: protocol });
        }
        Ok(greeting)
    }

    /// The greeting as a daemon sends it, without its first word: enough to notice another version.
    #[must_use]
    pub fn as_line(&self) -> String {
        format!("{}.{} {}", self.protocol, self.subprotocol, self.digests.join(" "))
    }

    /// The protocol that is spoken with this daemon: the newest that both know. Of one that is still in the making the
    /// daemon knows only the version before it for sure.
    #[must_use]
    pub fn spoken(&self) -> u32 {
        let finished = self.protocol.saturating_sub(u32::from(self.subprotocol != 0));
        finished.min(NEWEST_PROTOCOL)
    }
}

/// The lines that a daemon sends besides its answers, each with its end.
#[derive(Debug, Default)]
struct Text(Vec<u8>);

impl Text {
    fn add(&mut self, line: &[u8]) -> Result<(), ProtocolError> {
        if self.0.len() + line.len() >= MAX_TEXT {
            return Err(ProtocolError::TooMuch { what: "bytes before its answer", limit: MAX_TEXT });
        }
        self.0.extend_from_slice(line);
        self.0.push(b'\n');
        Ok(())
    }

    fn motd(&self) -> String {
        shown(self.0.get(..MAX_MOTD).unwrap_or(&self.0))
    }

    fn modules(&self) -> Modules {
        let lines: Vec<&[u8]> = self.0.split(|byte| *byte == b'\n').collect();
        // `split` gives one piece more after the last line's end.
        let lines = lines.split_last().map_or(&[][..], |(_, lines)| lines);
        let first =
            lines.iter().rposition(|line| ModuleLine::read(line).is_none()).map_or(0, |last| last + 1);
        let (motd, modules) = lines.split_at(first);
        let motd = motd.join(&b'\n');
        Modules {
            motd: shown(motd.get(..MAX_MOTD).unwrap_or(&motd)),
            modules: modules.iter().filter_map(|line| ModuleLine::read(line)).take(MAX_MODULES).collect(),
        }
    }
}

impl ModuleLine {
    /// Reads `NAME<tab>COMMENT`, the name filled up with blanks.
    fn read(line: &[u8]) -> Option<Self> {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let (name, comment) = line.split_at(tab);
        let name = name.trim_ascii_end();
        let plain = name.first().is_some_and(|byte| !byte.is_ascii_whitespace());
        plain.then(|| Self { name: escaped(name), comment: escaped(comment.trim_ascii()) })
    }
}

fn shown(text: &[u8]) -> String {
    let lines: Vec<String> = text.split(|byte| *byte == b'\n').map(escaped).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Greeting, ModuleLine, Text};
    use crate::protocol::ProtocolError;

    #[test]
    fn greetings_of_all_ages_are_read() {
        let greeting = Greeting::read(b"@RSYNCD: 32.0 sha512 sha256").unwrap();
        assert_eq!(
            (greeting.protocol, greeting.digests),
            (32, vec!["sha512".to_owned(), "sha256".to_owned()])
        );
        let old = Greeting::read(b"@RSYNCD: 29").unwrap();
        assert_eq!((old.protocol, old.subprotocol, old.digests.len()), (29, 0, 0));
    }

    #[test]
    fn what_is_no_greeting_is_said_to_be_none() {
        for line in
            ["", "SSH-2.0-OpenSSH_9.2", "@RSYNCD: ", "@RSYNCD: x.0", "@RSYNCD: 99999999999", "@RSYNCD: -1"]
        {
            let read = Greeting::read(line.as_bytes());
            assert!(matches!(read, Err(ProtocolError::NotRsync { .. })), "{line}: {read:?}");
        }
        assert!(matches!(Greeting::read(b"@RSYNCD: 26"), Err(ProtocolError::TooOld { offered: 26 })));
    }

    #[test]
    fn the_newest_protocol_that_both_know_is_spoken() {
        for (line, spoken) in [
            ("27", 27),
            ("29.0", 29),
            ("30.0", 30),
            ("31.14", 30),
            ("32.0 md5", 32),
            ("33.1", 32),
            ("40.0", 32),
        ] {
            let greeting = Greeting::read(format!("@RSYNCD: {line}").as_bytes()).unwrap();
            assert_eq!(greeting.spoken(), spoken, "{line}");
        }
        let unfinished = Greeting::read(b"@RSYNCD: 27.1");
        assert!(matches!(unfinished, Err(ProtocolError::TooOld { .. })), "{unfinished:?}");
        assert!(matches!(Greeting::read(b"@ERROR: no"), Err(ProtocolError::Refused(_))));
    }

    #[test]
    fn modules_are_told_from_the_message_before_them() {
        let mut text = Text::default();
        for line in
            ["Welcome.\tRead this:", " a\tb", "", "debian         \tDebian \x1b[1m", "a b            \t"]
        {
            text.add(line.as_bytes()).unwrap();
        }
        let read = text.modules();
        assert_eq!(read.motd, "Welcome.\tRead this:\n a\tb");
        let line = |name: &str, comment: &str| ModuleLine { name: name.into(), comment: comment.into() };
        assert_eq!(read.modules, [line("debian", "Debian \\u{1b}[1m"), line("a b", "")]);
        assert_eq!(Text::default().modules().modules, []);
    }
}
