//! Which rsync this is, and whether mirrors can be trusted to it.
//!
//! Only the number is read. Distributions carry fixes back without changing it, so what is refused here can be
//! allowed by whoever configures the server.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The version of an rsync program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The 3 of 3.5.0.
    pub major: u32,
    /// The 5 of 3.5.0.
    pub minor: u32,
    /// The 0 of 3.5.0.
    pub patch: u32,
    /// The newest protocol that it speaks, 32 for 3.5.0.
    pub protocol: u32,
}

/// What to do about a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Nothing is known against it.
    Supported,
    /// Older than 3.5.0: an upstream that means harm can widen deletions or write beyond bounds. Warn.
    Old,
    /// Older than 3.4.1: an upstream can write outside the destination. Do not start without being told to.
    Refused,
}

/// The program did not say a version that we understand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not rsync: expected \"rsync  version X.Y.Z  protocol version N\", got {0:?}; set the path of the rsync program"
)]
pub struct NotRsync(pub String);

impl Version {
    /// Reads what `rsync --version` printed; its first line counts.
    pub fn parse(output: &[u8]) -> Result<Self, NotRsync> {
        let text = String::from_utf8_lossy(output.get(..output.len().min(300)).unwrap_or_default());
        let line = text.lines().next().unwrap_or_default();
        Self::of_line(line).ok_or_else(|| NotRsync(line.to_owned()))
    }

    fn of_line(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("rsync") || words.next() != Some("version") {
            return None;
        }
        let mut numbers = words.next()?.trim_start_matches('v').split('.').map(leading_number);
        let (major, minor) = (numbers.next()??, numbers.next()??);
        let patch = numbers.next().flatten().unwrap_or(0);
        if words.next() != Some("protocol") || words.next() != Some("version") {
            return None;
        }
        Some(Self { major, minor, patch, protocol: words.next()?.parse().ok()? })
    }

    /// Asks a program which rsync it is, with an empty folder as its home. Blocks until it has answered.
    ///
    /// # Errors
    /// When it cannot be started, or is something else.
    pub fn of_program(program: &Path, home: &Path) -> Result<Self, VersionError> {
        let output = std::process::Command::new(program)
            .arg("--version")
            .env("HOME", home)
            .output()
            .map_err(|source| VersionError::Start { program: program.to_owned(), source })?;
        Self::parse(&output.stdout).map_err(VersionError::NotRsync)
    }

    /// Returns true if its daemon keeps each connection within its module, whatever links lead out of there, without
    /// `use chroot`: 3.5.0 opens paths with `openat2`, older ones compare texts.
    #[must_use]
    pub fn confines_modules(&self) -> bool {
        self.support() == Support::Supported
    }

    /// Whether it is new enough.
    #[must_use]
    pub fn support(&self) -> Support {
        match (self.major, self.minor, self.patch) {
            (0..=2, _, _) | (3, 0..=3, _) | (3, 4, 0) => Support::Refused,
            (3, 4, _) => Support::Old,
            _ => Support::Supported,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The number at the start of `0pre1` or `0+ds1`.
fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// The version of rsync could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// It could not be started.
    #[error("cannot start `{program}`: {source}. Install rsync, or name it with `rsync: (program: …)`")]
    Start {
        /// Which program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is something else.
    #[error(transparent)]
    NotRsync(NotRsync),
}

#[cfg(test)]
mod tests {
    use super::{Support, Version};

    fn version(line: &str) -> Version {
        Version::parse(line.as_bytes()).unwrap()
    }

    #[test]
    fn the_first_line_is_read() {
        let version = version("rsync  version 3.5.0  protocol version 32\nCopyright (C) 1996-2026\n");
        assert_eq!(version, Version { major: 3, minor: 5, patch: 0, protocol: 32 });
        assert_eq!(version.to_string(), "3.5.0");
    }

    #[test]
    fn tags_behind_the_number_do_not_matter() {
        assert_eq!(
            version("rsync  version 3.5.1pre1  protocol version 33.PR1".trim_end_matches(".PR1")).patch,
            1
        );
        assert_eq!(version("rsync  version v3.2.7+ds1  protocol version 31").minor, 2);
    }

    #[test]
    fn support_ends_where_the_holes_begin() {
        let support =
            |number: &str| version(&format!("rsync  version {number}  protocol version 31")).support();
        assert_eq!(support("2.6.9"), Support::Refused);
        assert_eq!(support("3.2.7"), Support::Refused);
        assert_eq!(support("3.4.0"), Support::Refused);
        assert_eq!(support("3.4.1"), Support::Old);
        assert_eq!(support("3.4.9"), Support::Old);
        assert_eq!(support("3.5.0"), Support::Supported);
        assert_eq!(support("4.0.0"), Support::Supported);
    }

    #[test]
    fn another_program_is_named_in_the_error() {
        let error = Version::parse(b"openrsync: protocol version 29\n").unwrap_err();
        assert!(error.to_string().contains("openrsync: protocol version 29"), "{error}");
        assert!(Version::parse(b"\xff\xfe").is_err());
        assert!(Version::parse(b"").is_err());
    }
}
