//! What can go wrong in a conversation with a daemon.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::OLDEST_PROTOCOL;
use super::entries::Malformed;
use super::request::RequestError;
use crate::text::escaped;

/// Part of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Finding the addresses of the host.
    Resolve,
    /// The daemon's first line.
    Greeting,
    /// The list of modules.
    Modules,
    /// From naming the module to the daemon's consent, with a login in between where it wants one.
    Module,
    /// The file list.
    List,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "finding the address",
            Self::Greeting => "waiting for the greeting",
            Self::Modules => "reading the list of modules",
            Self::Module => "asking for the module",
            Self::List => "reading the file list",
        })
    }
}

/// Why a conversation did not lead to what was asked for. Texts that came from the daemon are safe to print.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The host has no address.
    #[error("cannot find an address of {host}")]
    Resolve {
        /// The host's name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// None of its addresses takes a connection.
    #[error("cannot connect to {host}: {}", each(.failures))]
    Connect {
        /// The host's name.
        host: String,
        /// Each address that was tried, and what came of it.
        failures: Vec<(SocketAddr, io::Error)>,
    },
    /// The daemon was too slow.
    #[error("no answer within {limit:?} while {step}")]
    Timeout {
        /// What was waited for.
        step: Step,
        /// How long.
        limit: Duration,
    },
    /// The connection failed.
    #[error("the connection broke while {step}")]
    Io {
        /// What was going on.
        step: Step,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon ended the connection without a word.
    #[error("the upstream closed the connection while {step}")]
    Closed {
        /// What was going on.
        step: Step,
    },
    /// Whatever listens there is no rsync daemon.
    #[error("no rsync daemon answers there; its first line was {line:?}")]
    NotRsync {
        /// What it sent instead of a greeting.
        line: String,
    },
    /// The daemon is older than every protocol that is spoken here.
    #[error("the daemon speaks protocol {offered}; at least {OLDEST_PROTOCOL} is needed (rsync 2.6.0)")]
    TooOld {
        /// Its version.
        offered: u32,
    },
    /// The daemon sent more than it may.
    #[error("the upstream sent more than {limit} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// The daemon wants a login with a digest that is not known here.
    #[error("the daemon takes only these login digests, none of which is known: {}", .offered.join(" "))]
    NoDigest {
        /// What it offers.
        offered: Vec<String>,
    },
    /// The daemon said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The daemon gave up on the file list, and said why.
    #[error("the upstream could not list its files: {}", .0.join("; "))]
    Sender(Vec<String>),
    /// What came is not the protocol.
    #[error("the upstream does not keep to the protocol while {step}: {what}")]
    Malformed {
        /// What was going on.
        step: Step,
        /// What is wrong with it.
        what: Malformed,
    },
    /// What was asked for cannot be asked.
    #[error(transparent)]
    Request(#[from] RequestError),
}

fn each(failures: &[(SocketAddr, io::Error)]) -> String {
    let each = |(address, error): &(SocketAddr, io::Error)| format!("{address}: {error}");
    failures.iter().map(each).collect::<Vec<_>>().join("; ")
}

/// A daemon's no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the upstream refuses: {text}")]
pub struct Refusal {
    /// What it means.
    pub kind: RefusalKind,
    /// What the daemon said, without `@ERROR: `, safe to print.
    pub text: String,
}

/// What a daemon's no means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// It has no such module, or hides it from this address.
    UnknownModule,
    /// It wants a password, and none was given.
    LoginNeeded,
    /// User or password are wrong, or its secrets file cannot be used.
    LoginFailed,
    /// As many clients as it takes are there already.
    TooManyConnections,
    /// This address may not use the module.
    AccessDenied,
    /// Anything else: usually the daemon is not set up well.
    Other,
}

impl Refusal {
    /// Reads the daemon's line, which begins with `@ERROR`.
    pub(super) fn read(line: &[u8]) -> Self {
        let rest = line.strip_prefix(b"@ERROR").unwrap_or(line);
        let text = escaped(rest.strip_prefix(b":").unwrap_or(rest).trim_ascii());
        let lower = text.to_ascii_lowercase();
        // The words of rsync's clientserver.c, unchanged from 2.6.0 to 3.5.0.
        let kinds = [
            ("unknown module", RefusalKind::UnknownModule),
            ("auth failed", RefusalKind::LoginFailed),
            ("max connections", RefusalKind::TooManyConnections),
            ("access denied", RefusalKind::AccessDenied),
        ];
        let kind = kinds
            .iter()
            .find(|(words, _)| lower.starts_with(words))
            .map_or(RefusalKind::Other, |kind| kind.1);
        Self { kind, text }
    }

    pub(super) fn new(kind: RefusalKind, text: &str) -> Self {
        Self { kind, text: text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, RefusalKind};

    #[test]
    fn what_a_daemon_says_has_a_kind_and_is_safe_to_print() {
        for (line, kind) in [
            ("@ERROR: Unknown module 'debain'", RefusalKind::UnknownModule),
            ("@ERROR: max connections (1) reached -- try again later", RefusalKind::TooManyConnections),
            ("@ERROR: access denied to m from h (192.0.2.1)", RefusalKind::AccessDenied),
            ("@ERROR: auth failed on module m", RefusalKind::LoginFailed),
            ("@ERROR: chroot failed", RefusalKind::Other),
            ("@ERROR", RefusalKind::Other),
        ] {
            assert_eq!(Refusal::read(line.as_bytes()).kind, kind, "{line}");
        }
        assert_eq!(Refusal::read(b"@ERROR: \x1b[2J\xff").text, "\\u{1b}[2J\\xff");
    }
}
