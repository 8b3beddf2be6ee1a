//! What the end of an rsync means, and what follows from it.
//!
//! Codes are those of rsync(1), section EXIT VALUES. The code alone often says too little (23 is a full disk as well
//! as one unreadable file upstream), so what standard error said goes first. Success needs a good exit *and* complete
//! statistics.

use std::fmt;
use std::str::FromStr;

use super::messages::{Findings, Message};
use super::stats::Stats;

/// How an rsync ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// We were asked to end it.
    Cancelled,
    /// It took longer than it may.
    TimedOut,
    /// Nothing moved for longer than it may.
    Stalled,
    /// Another rsync holds the destination.
    Busy,
    /// It could not be started, for this reason.
    NotStarted(String),
    /// Its guardian was killed, and it was ended after it.
    Lost,
}

impl Exit {
    /// A short name in kebab-case.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Code(_) => "code",
            Self::Signal(_) => "signal",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed-out",
            Self::Stalled => "stalled",
            Self::Busy => "busy",
            Self::NotStarted(_) => "not-started",
            Self::Lost => "lost",
        }
    }
}

/// The kind of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// All is well.
    Done,
    /// Files went away upstream while they were read.
    Vanished,
    /// Some entries did not come; mostly the upstream cannot read them itself.
    Partial,
    /// The upstream could not be reached, or the line broke.
    Network,
    /// The upstream serves as many as it wants to.
    UpstreamBusy,
    /// User or password were refused.
    Auth,
    /// The upstream has no such module or path, or does not serve us.
    UpstreamConfig,
    /// The project asks for something impossible.
    Config,
    /// The destination's disk is full.
    NoSpace,
    /// The destination cannot be written.
    LocalDisk,
    /// More was to be deleted than the guard allows.
    DeleteLimit,
    /// rsync's own time-out, or our limit for the attempt.
    Timeout,
    /// Nothing moved for too long.
    Stalled,
    /// The two rsyncs did not understand each other.
    Protocol,
    /// The machine has no processes or descriptors left.
    Resources,
    /// The program needed more memory than it may have.
    Memory,
    /// A signal that was not ours ended it.
    Killed,
    /// Another rsync holds the destination.
    DestinationBusy,
    /// We were asked to end it.
    Cancelled,
    /// It says that all is well, and cannot show it.
    Incomplete,
    /// The program that was to bring the tree in rsync's place says that it failed.
    Command,
    /// A code that rsync does not document.
    Unknown,
}

impl Class {
    /// The class as records and the API spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Vanished => "vanished",
            Self::Partial => "partial",
            Self::Network => "network",
            Self::UpstreamBusy => "upstream-busy",
            Self::Auth => "auth",
            Self::UpstreamConfig => "upstream-config",
            Self::Config => "config",
            Self::NoSpace => "no-space",
            Self::LocalDisk => "local-disk",
            Self::DeleteLimit => "delete-limit",
            Self::Timeout => "timeout",
            Self::Stalled => "stalled",
            Self::Protocol => "protocol",
            Self::Resources => "resources",
            Self::Memory => "memory",
            Self::Killed => "killed",
            Self::DestinationBusy => "destination-busy",
            Self::Cancelled => "cancelled",
            Self::Incomplete => "incomplete",
            Self::Command => "command",
            Self::Unknown => "unknown",
        }
    }

    /// What follows from it.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Done => Verdict::Done,
            Self::Vanished | Self::Partial => Verdict::Partial,
            Self::Network
            | Self::Timeout
            | Self::Stalled
            | Self::Protocol
            | Self::Resources
            | Self::Memory
            | Self::Killed
            | Self::DestinationBusy
            | Self::Incomplete
            | Self::Command
            | Self::Unknown => Verdict::RetrySoon,
            Self::UpstreamBusy => Verdict::RetryLater,
            Self::Auth | Self::UpstreamConfig | Self::Config => Verdict::ConfigError,
            Self::NoSpace | Self::LocalDisk | Self::DeleteLimit => Verdict::GiveUp,
            Self::Cancelled => Verdict::Cancelled,
        }
    }
}

/// What follows from an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Nothing: it is done.
    Done,
    /// Nothing now: the next run gets the rest.
    Partial,
    /// Another attempt, soon.
    RetrySoon,
    /// Another attempt, after the upstream has been left alone.
    RetryLater,
    /// No attempt can help before a person or the next schedule.
    ConfigError,
    /// A person must look.
    GiveUp,
    /// Nothing: it was asked for.
    Cancelled,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::Partial,
        Self::RetrySoon,
        Self::RetryLater,
        Self::ConfigError,
        Self::GiveUp,
        Self::Cancelled,
    ];

    /// The verdict as records and the API spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partial => "partial",
            Self::RetrySoon => "retry-soon",
            Self::RetryLater => "retry-later",
            Self::ConfigError => "config-error",
            Self::GiveUp => "give-up",
            Self::Cancelled => "cancelled",
        }
    }
}

impl FromStr for Verdict {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == text).ok_or(())
    }
}

/// The end of an attempt, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What kind of end it was.
    pub class: Class,
    /// What follows.
    pub verdict: Verdict,
    /// What happened and what to do, in one sentence for a person.
    pub reason: String,
}

/// What was said goes before the code, and what a person must mend before what time may mend.
const SAID: &[(Message, Class)] = &[
    (Message::NoSpace, Class::NoSpace),
    (Message::ReadOnly, Class::LocalDisk),
    (Message::DeleteLimit, Class::DeleteLimit),
    (Message::AuthFailed, Class::Auth),
    (Message::MaxConnections, Class::UpstreamBusy),
    (Message::UnknownModule, Class::UpstreamConfig),
    (Message::AccessDenied, Class::UpstreamConfig),
    (Message::UpstreamBroken, Class::UpstreamConfig),
    (Message::RefusedOption, Class::Config),
    (Message::NoMemory, Class::Memory),
    (Message::Exhausted, Class::Resources),
    (Message::LocalDenied, Class::LocalDisk),
    (Message::ConnectionRefused, Class::Network),
    (Message::NameResolution, Class::Network),
    (Message::NotRsync, Class::Network),
];

/// What decides nothing, and explains an end of this class best.
const HINTS: &[(Message, Class)] = &[
    (Message::UpstreamMissing, Class::UpstreamConfig),
    (Message::UpstreamMissing, Class::Partial),
    (Message::UpstreamUnreadable, Class::Partial),
    (Message::Vanished, Class::Vanished),
];

/// Judges an end by how rsync ended, whether its statistics are complete, and what its standard error said.
#[must_use]
pub fn judge(exit: &Exit, stats: Option<&Stats>, findings: &Findings) -> Judgement {
    let class = classify(exit, stats, findings);
    let mut reason = explain(class, exit);
    let cause = SAID
        .iter()
        .chain(HINTS)
        .filter(|(_, of)| *of == class)
        .find_map(|(message, _)| findings.said(*message));
    if class != Class::Done
        && let Some(said) = cause.or_else(|| findings.telling())
    {
        reason = format!("{reason} (rsync said: {said})");
    }
    Judgement { class, verdict: class.verdict(), reason }
}

/// Judges an end that has no code of the program's own.
pub(crate) fn is_over(exit: &Exit) -> Judgement {
    let class = classify(exit, None, &Findings::default());
    Judgement { class, verdict: class.verdict(), reason: explain(class, exit) }
}

/// What an end of this class means, in words.
pub(crate) fn explain_end(class: Class) -> String {
    words(class).to_owned()
}

fn classify(exit: &Exit, stats: Option<&Stats>, findings: &Findings) -> Class {
    let code = match exit {
        Exit::Cancelled => return Class::Cancelled,
        Exit::TimedOut => return Class::Timeout,
        Exit::Stalled => return Class::Stalled,
        Exit::Busy => return Class::DestinationBusy,
        Exit::NotStarted(_) => return Class::Config,
        Exit::Lost | Exit::Signal(_) => return Class::Killed,
        Exit::Code(code) => *code,
    };
    if code == 0 {
        return if stats.is_some() { Class::Done } else { Class::Incomplete };
    }
    if let Some((_, class)) = SAID.iter().find(|(message, _)| findings.has(*message)) {
        return *class;
    }
    by_code(code, stats, findings)
}

fn by_code(code: i32, stats: Option<&Stats>, findings: &Findings) -> Class {
    let complete = stats.is_some();
    // A tree that is not there gives a list with nothing in it, not even the top folder.
    let nothing = stats.is_none_or(|stats| stats.files == 0);
    match code {
        23 if findings.has(Message::UpstreamMissing) && nothing => Class::UpstreamConfig,
        23 if complete => Class::Partial,
        24 if complete => Class::Vanished,
        23 | 24 => Class::Incomplete,
        25 => Class::DeleteLimit,
        1 | 3 | 4 | 6 | 13 | 127 => Class::Config,
        11 => Class::LocalDisk,
        2 | 12 => Class::Protocol,
        14 | 21 => Class::Resources,
        22 => Class::Memory,
        15 | 16 | 19 => Class::Killed,
        // 20: a signal; ours would be `Cancelled`, so it was somebody's, or the remote side's.
        20 | 5 | 10 | 35 | 124 | 125 | 126 | 255 => Class::Network,
        30 => Class::Timeout,
        _ => Class::Unknown,
    }
}

fn explain(class: Class, exit: &Exit) -> String {
    let text = words(class);
    match exit {
        Exit::NotStarted(why) => why.clone(),
        Exit::Code(0) => text.to_owned(),
        Exit::Code(code) => format!("{text} [rsync exit {code}]"),
        Exit::Signal(signal) => format!("{text} [signal {signal}]"),
        _ => text.to_owned(),
    }
}

fn words(class: Class) -> &'static str {
    match class {
        Class::Done => "all is up to date",
        Class::Vanished => "files went away upstream while they were read; the next run gets it right",
        Class::Partial => {
            "some entries did not come, mostly because the upstream cannot read them itself; the others came"
        }
        Class::Network => "the upstream could not be reached, or the line broke",
        Class::UpstreamBusy => {
            "the upstream serves as many connections as it wants to; it is left alone for a while"
        }
        Class::Auth => {
            "the upstream refused the user or the password: set `source.user` and `source.password`"
        }
        Class::UpstreamConfig => {
            "the upstream has no such module or path, or does not serve this host: check `source`"
        }
        Class::Config => "rsync cannot do what the project asks: check its options",
        Class::NoSpace => {
            "the destination's disk, its inodes or a quota are full: free space, then sync again"
        }
        Class::LocalDisk => {
            "the destination cannot be written: check its owner, its rights and its file system"
        }
        Class::DeleteLimit => {
            "the upstream lost more files than the guard allows, and deleting was stopped: look at the upstream, and \
             raise `guard` if that is meant"
        }
        Class::Timeout => "it took longer than it may; the next attempt goes on where it stopped",
        Class::Stalled => "nothing moved for longer than `stall` allows",
        Class::Protocol => "the two rsyncs lost each other in the middle",
        Class::Resources => "this machine has no processes or descriptors left",
        Class::Memory => {
            "rsync needed more memory than it may have: the upstream's list may be without end; if it is only long, \
             raise `rsync.memory_max`"
        }
        Class::Killed => "somebody's signal ended it",
        Class::DestinationBusy => "another rsync still writes to the destination",
        Class::Cancelled => "it was cancelled",
        Class::Incomplete => "rsync ended without its final statistics, so nothing proves that all came",
        Class::Command => "the command failed",
        Class::Unknown => "rsync ended in a way that it does not document",
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
