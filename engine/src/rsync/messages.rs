//! What rsync's standard error says more exactly than its exit code does.
//!
//! The texts are those of rsync 3.5.0's source (`errcode.h`, `clientserver.c`, `io.c`, `generator.c`, `receiver.c`) and
//! of the C library's `strerror`, whose number rsync prints in parentheses.

use std::collections::VecDeque;

use crate::text::escaped;

/// How many lines are kept for people.
const TAIL: usize = 50;
/// How much of each.
const TAIL_LINE: usize = 1024;

/// Something that a line of standard error says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Message {
    /// The daemon serves as many as it wants to.
    MaxConnections,
    /// The daemon refused the user or the password.
    AuthFailed,
    /// The daemon has no such module.
    UnknownModule,
    /// The daemon does not serve this host.
    AccessDenied,
    /// The daemon cannot serve the module: its path, chroot, or user is wrong.
    UpstreamBroken,
    /// The daemon refuses one of our options.
    RefusedOption,
    /// Nobody listens there.
    ConnectionRefused,
    /// The host's name leads nowhere.
    NameResolution,
    /// The line did not speak rsync.
    NotRsync,
    /// A path of ours does not exist upstream.
    UpstreamMissing,
    /// Files went away while they were read.
    Vanished,
    /// The upstream could not read something of its own.
    UpstreamUnreadable,
    /// Our disk, or its table of inodes or the quota, is full.
    NoSpace,
    /// Our file system is read-only.
    ReadOnly,
    /// We are not allowed to write something of ours.
    LocalDenied,
    /// We have no more descriptors or processes.
    Exhausted,
    /// Memory could not be had.
    NoMemory,
    /// More was to be deleted than allowed.
    DeleteLimit,
}

/// What one line says, if it is one of those that matter.
#[must_use]
pub fn recognise(line: &[u8]) -> Option<Message> {
    let text = String::from_utf8_lossy(line);
    let has = |part: &str| text.contains(part);
    if let Some(error) = text.split_once("@ERROR: ").map(|(_, error)| error) {
        return daemon(error);
    }
    // The errno of a side's own disk is in parentheses at the line's end, and the side at its beginning.
    let sender = has("[sender]") || has("[sender=");
    match errno(&text) {
        Some(28 | 122) if !sender => return Some(Message::NoSpace),
        Some(30) if !sender => return Some(Message::ReadOnly),
        Some(12) if !sender => return Some(Message::NoMemory),
        Some(11 | 23 | 24) if !sender && !has("socket") => return Some(Message::Exhausted),
        Some(111) => return Some(Message::ConnectionRefused),
        Some(2) if sender => return Some(Message::UpstreamMissing),
        Some(_) if sender => return Some(Message::UpstreamUnreadable),
        Some(1 | 13) => return Some(Message::LocalDenied),
        _ => {}
    }
    let known = [
        ("configured to refuse", Message::RefusedOption),
        ("auth failed on module", Message::AuthFailed),
        ("Name or service not known", Message::NameResolution),
        ("Temporary failure in name resolution", Message::NameResolution),
        ("No address associated with hostname", Message::NameResolution),
        ("did not see server greeting", Message::NotRsync),
        ("rather than greeting", Message::NotRsync),
        ("file has vanished", Message::Vanished),
        ("directory has vanished", Message::Vanished),
        ("out of memory", Message::NoMemory),
        ("Deletions stopped due to --max-delete", Message::DeleteLimit),
    ];
    known.into_iter().find(|(part, _)| has(part)).map(|(_, message)| message)
}

fn daemon(error: &str) -> Option<Message> {
    let known = [
        ("max connections", Message::MaxConnections),
        ("Unknown module", Message::UnknownModule),
        ("access denied", Message::AccessDenied),
        ("auth failed", Message::AuthFailed),
        ("chroot failed", Message::UpstreamBroken),
        ("chdir failed", Message::UpstreamBroken),
        ("invalid uid", Message::UpstreamBroken),
        ("invalid gid", Message::UpstreamBroken),
        ("setgid failed", Message::UpstreamBroken),
        ("setuid failed", Message::UpstreamBroken),
    ];
    known.into_iter().find(|(part, _)| error.starts_with(part)).map(|(_, message)| message)
}

/// The number in parentheses at the end of a line, if the line is about a system call.
fn errno(text: &str) -> Option<u32> {
    let (head, number) = text.trim_end().strip_suffix(')')?.rsplit_once('(')?;
    if head.ends_with("(code ") || number.starts_with("code") {
        return None;
    }
    number.parse().ok()
}

/// What an rsync's standard error has said so far: the messages that matter, and its last lines.
#[derive(Debug, Default)]
pub struct Findings {
    /// Each message once, with the first line that said it.
    messages: Vec<(Message, String)>,
    tail: VecDeque<String>,
}

impl Findings {
    /// Takes one line.
    pub fn line(&mut self, line: &[u8]) {
        let shown = escaped(line.get(..TAIL_LINE).unwrap_or(line));
        if let Some(message) = recognise(line)
            && !self.has(message)
        {
            self.messages.push((message, shown.clone()));
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(shown);
    }

    /// Whether a message was among them.
    #[must_use]
    pub fn has(&self, message: Message) -> bool {
        self.said(message).is_some()
    }

    /// The first line that said this, safe to print.
    #[must_use]
    pub fn said(&self, message: Message) -> Option<&str> {
        self.messages.iter().find(|(known, _)| *known == message).map(|(_, line)| line.as_str())
    }

    /// The last lines, oldest first, safe to print.
    #[must_use]
    pub fn tail(&self) -> Vec<String> {
        self.tail.iter().cloned().collect()
    }

    /// The last line that says what went wrong, rsync's own closing line aside.
    #[must_use]
    pub fn telling(&self) -> Option<&str> {
        let closing = |line: &&String| line.starts_with("rsync error:") || line.starts_with("rsync warning:");
        let lines = || self.tail.iter().filter(|line| !line.trim().is_empty());
        lines().rev().find(|line| !closing(line)).or_else(|| lines().next_back()).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_standard_error_are_recognised() {
        for (line, message) in [
            ("@ERROR: max connections (1) reached -- try again later", Message::MaxConnections),
            ("@ERROR: Unknown module 'x'", Message::UnknownModule),
            ("@ERROR: auth failed on module m", Message::AuthFailed),
            ("@ERROR: access denied to m from h (1.2.3.4)", Message::AccessDenied),
            ("@ERROR: chdir failed", Message::UpstreamBroken),
            ("rsync: The server is configured to refuse --compress (-z)", Message::RefusedOption),
            (
                "rsync: [Receiver] failed to connect to 127.0.0.1 (127.0.0.1): Connection refused (111)",
                Message::ConnectionRefused,
            ),
            ("rsync: [receiver] write failed on \"/d/x\": No space left on device (28)", Message::NoSpace),
            (
                "rsync: [receiver] mkstemp \"/d/.x.Ab12Cd\" failed: Read-only file system (30)",
                Message::ReadOnly,
            ),
            (
                "rsync: [sender] send_files failed to open \"x\" (in m): Permission denied (13)",
                Message::UpstreamUnreadable,
            ),
            (
                "rsync: [generator] recv_generator: mkdir \"/d\" failed: Permission denied (13)",
                Message::LocalDenied,
            ),
            (
                "rsync: [sender] change_dir \"nope\" (in m) failed: No such file or directory (2)",
                Message::UpstreamMissing,
            ),
            ("file has vanished: \"b\" (in vanish)", Message::Vanished),
            ("out of memory", Message::NoMemory),
            ("Deletions stopped due to --max-delete limit (5 skipped)", Message::DeleteLimit),
        ] {
            assert_eq!(recognise(line.as_bytes()), Some(message), "{line}");
        }
        assert_eq!(
            recognise(b"rsync error: some files could not be transferred (code 23) at main.c(1956)"),
            None
        );
    }

    #[test]
    fn the_tail_is_bounded_and_names_the_telling_line() {
        let mut findings = Findings::default();
        for number in 0..1000 {
            findings.line(format!("line {number} {}", "x".repeat(5000)).as_bytes());
        }
        findings.line(b"rsync: [receiver] something");
        findings.line(b"rsync error: closing (code 12) at io.c(1)");
        assert_eq!(findings.tail().len(), TAIL);
        assert!(findings.tail().iter().all(|line| line.len() <= TAIL_LINE));
        assert_eq!(findings.telling(), Some("rsync: [receiver] something"));
    }
}
