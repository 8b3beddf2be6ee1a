//! What an operator says of the plugins: which files, for which projects, with what rights and bounds.
//!
//! Nothing is read from a disk here; who reads the configuration makes these, and [`PluginSettings::problems`] says what
//! cannot be meant.

mod paths;
mod projects;
mod urls;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use engine::Secret;
use scheduler::ProjectId;
use sha2::{Digest as _, Sha256};

use crate::compiler::CompilerProcess;
pub use paths::{PathGrant, PathGrantError};
pub use projects::{ProjectPattern, ProjectPatternError};
pub use urls::{UrlGrant, UrlGrantError};

/// All plugins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where the files of plugins are, unless their path is absolute.
    pub folder: PathBuf,
    /// Where compiled code is kept between starts; none: compiled at every start.
    pub cache: Option<PathBuf>,
    /// What compiles into that folder; none: this process itself, without bounds.
    pub compiler: Option<CompilerProcess>,
    /// Where the decisions of policies are recorded; none: nowhere.
    pub recording: Option<PathBuf>,
    /// The plugins, in any order.
    pub plugins: Vec<PluginSettings>,
}

/// One plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginSettings {
    /// Its name, in logs, the API and its store of values.
    pub id: String,
    /// The component's file.
    pub path: PathBuf,
    /// What the file must be.
    pub sha256: Option<Digest>,
    /// What of it is used; empty: all that it has.
    pub parts: Vec<Part>,
    /// The projects it is asked about; empty: all.
    pub projects: Vec<ProjectPattern>,
    /// What was to say more of that and could not be understood: the plugin is refused, and could mean any project.
    pub misread: Vec<ProjectPatternError>,
    /// Smaller ones are asked first.
    pub order: i32,
    /// What its failure means.
    pub failure: Failures,
    /// What one call may use.
    pub limits: Limits,
    /// What it may reach.
    pub grants: Grants,
    /// Its settings.
    pub config: BTreeMap<String, String>,
    /// Settings that differ for one project.
    pub project_config: BTreeMap<ProjectId, BTreeMap<String, String>>,
    /// Whether the server must not start without it.
    pub required: bool,
}

/// What a plugin can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A vote before each attempt.
    PreSync,
    /// A judgement after it.
    PostSync,
    /// What runs next, and when a project is due again.
    Policy,
}

/// What it means that a hook failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailurePolicy {
    /// As if it had not been asked.
    #[default]
    Open,
    /// A veto before an attempt; after it, the result is rejected.
    Closed,
}

/// The failure policy of each hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    /// Before an attempt.
    pub pre: FailurePolicy,
    /// After it.
    pub post: FailurePolicy,
}

/// What one call may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Processor time.
    pub cpu: Duration,
    /// Time altogether, waiting included.
    pub wall: Duration,
    /// Memory, of all its memories together.
    pub memory_mib: u32,
    /// Lines in the log.
    pub log_lines: u32,
    /// Calls at once.
    pub concurrency: u32,
}

/// What a plugin may reach beyond its arguments; at first nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    /// Where it may send requests.
    pub http: Vec<UrlGrant>,
    /// Whether those may lead to addresses of this machine or of private networks.
    pub private_addresses: bool,
    /// What it may read below the project's destination.
    pub dest_read: Vec<PathGrant>,
    /// What it may write there.
    pub dest_write: Vec<PathGrant>,
    /// How much it may keep for each project; 0: nothing.
    pub kv_kib: u32,
    /// Secrets that its requests may carry, by the names that it knows them by.
    pub secrets: BTreeMap<String, Secret>,
}

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// A text that is no SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no SHA-256: give 64 hexadecimal digits, as sha256sum prints them")]
pub struct DigestError(String);

impl PluginSettings {
    /// A plugin without rights, for every project, with the usual bounds.
    #[must_use]
    pub fn new(id: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            id: id.into(),
            path: path.into(),
            sha256: None,
            parts: Vec::new(),
            projects: Vec::new(),
            misread: Vec::new(),
            order: 0,
            failure: Failures::default(),
            limits: Limits::default(),
            grants: Grants::default(),
            config: BTreeMap::new(),
            project_config: BTreeMap::new(),
            required: false,
        }
    }

    /// Whether it is asked about this project. One whose projects are not understood is: where it must agree, nothing goes on
    /// that it may have been meant to stop.
    #[must_use]
    pub fn means(&self, id: &ProjectId, labels: &BTreeMap<String, String>) -> bool {
        let all = self.projects.is_empty() || !self.misread.is_empty();
        all || self.projects.iter().any(|pattern| pattern.matches(id, labels))
    }

    /// What cannot be meant: the field and a sentence for each.
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.id.parse::<ProjectId>().is_err() {
            problems.push(("id", format!("`{}` is no name: use 1 to 64 of A-Z a-z 0-9 . _ + -", self.id)));
        }
        problems.extend(self.limits.problems());
        if self.grants.kv_kib > MAX_KV_KIB {
            problems.push(("grants.kv_kib", format!("{MAX_KV_KIB} is the most")));
        }
        if !self.grants.secrets.is_empty() && self.grants.http.is_empty() {
            let why = "secrets are only ever sent with requests: grant `http` too, or take them away";
            problems.push(("grants.secrets", why.to_owned()));
        }
        problems
    }
}

/// The largest quota for values.
const MAX_KV_KIB: u32 = 64 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_millis(200),
            wall: Duration::from_secs(5),
            memory_mib: 32,
            log_lines: 200,
            concurrency: 4,
        }
    }
}

impl Limits {
    fn problems(&self) -> Vec<(&'static str, String)> {
        let (hour, minute) = (Duration::from_hours(1), Duration::from_mins(1));
        let bounds = [
            ("limits.cpu", (Duration::from_millis(1)..=minute).contains(&self.cpu), "1 ms to 1 minute"),
            ("limits.wall", (Duration::from_millis(10)..=hour).contains(&self.wall), "10 ms to 1 hour"),
            ("limits.memory_mib", (1..=4096).contains(&self.memory_mib), "1 to 4096 MiB"),
            ("limits.log_lines", self.log_lines <= 10_000, "at most 10000 lines"),
            ("limits.concurrency", (1..=64).contains(&self.concurrency), "1 to 64 calls at once"),
        ];
        let wrong = bounds.into_iter().filter(|(_, good, _)| !good);
        wrong.map(|(field, _, range)| (field, format!("give {range}"))).collect()
    }
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PreSync, Self::PostSync, Self::Policy];

    /// As the configuration and the API spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreSync => "pre-sync",
            Self::PostSync => "post-sync",
            Self::Policy => "policy",
        }
    }
}

impl FailurePolicy {
    /// As the configuration and the API spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || DigestError(text.to_owned());
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_as_sha256sum_prints_it() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(empty.parse::<Digest>().unwrap(), Digest::of(b""));
        assert_eq!(Digest::of(b"").to_string(), empty);
        for wrong in ["", "e3b0", &empty.replace('e', "g"), &"+1".repeat(32)[..63]] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let mut plugin = PluginSettings::new("a b", "x.wasm");
        plugin.limits.cpu = Duration::ZERO;
        plugin.limits.concurrency = 0;
        plugin.grants.kv_kib = u32::MAX;
        plugin.grants.secrets.insert("token".to_owned(), Secret::new("hunter2"));
        let fields: Vec<_> = plugin.problems().into_iter().map(|(field, _)| field).collect();
        let all = ["id", "limits.cpu", "limits.concurrency", "grants.kv_kib", "grants.secrets"];
        assert_eq!(fields, all);
        assert_eq!(PluginSettings::new("a", "x.wasm").problems(), []);
        assert!(!format!("{plugin:?}").contains("hunter2"));
    }
}
