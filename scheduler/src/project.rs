//! A project: one upstream tree that we mirror, and how it stands.
//!
//! [`Project`] is what a person decided; [`Standing`] is what its runs have found. They are stored apart, so that a
//! run that ends never overwrites a setting, and a changed setting never forgets history.

mod hooks;
mod stages;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::{Attempt, Limits, Options, RetryPolicy, Secret, Source};

pub use hooks::ProjectHook;
pub use stages::Repository;

use crate::core::Commands;
use crate::freshness::{Freshness, Seen, Sighting};
use crate::guard::ExpectedTree;
use crate::publish::Publish;
use crate::refusal::RehearsalRefusal;
use crate::relocation::Relocation;
use crate::run::{Outcome, RunId};
use crate::schedule::Schedule;
use crate::tree::KnownTree;

/// What a person decided about one mirrored tree.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its name in every address, log line and record; never changes but by a rename.
    pub id: ProjectId,
    /// The name that people see.
    pub name: String,
    /// Whether its schedule fires. A disabled project can still be started by hand.
    pub enabled: bool,
    /// Free `key: value` marks, for filters and for bounds such as "two at once on array 1".
    pub labels: BTreeMap<String, String>,
    /// The user who created it.
    pub owner: String,
    /// When that user was added: another one of the same name owns nothing of it. None: it is root's, or was stored
    /// before that was noted.
    pub owner_since: Option<DateTime<Utc>>,
    /// Where it is pulled from.
    pub source: Source,
    /// The upstream's password, if it wants one.
    pub password: Option<Secret>,
    /// Where else it can be pulled from, in order, when that fails.
    pub upstreams: Vec<Upstream>,
    /// Exactly where the tree lands, as it was given.
    pub dest: PathBuf,
    /// The folder above `dest` as the API of 2014 was given it, which gives it back so.
    pub given_dest: Option<String>,
    /// Where `dest` really is, every symlink resolved; bounds on nesting are checked on this.
    pub place: PathBuf,
    /// What the project asks of rsync.
    pub options: Options,
    /// Whether it is brought in two stages, the index last.
    pub stages: Option<Repository>,
    /// The plugins that it names itself.
    pub hooks: Vec<ProjectHook>,
    /// When it is due.
    pub schedule: Schedule,
    /// How often and how fast a failed attempt is tried again.
    pub retry: RetryPolicy,
    /// The longest that one attempt may take.
    pub timeout: Duration,
    /// The longest that an attempt may go without a byte or a file.
    pub stall: Duration,
    /// How much one run may delete.
    pub guard: Guard,
    /// What its source is said to hold, on a slave; none: the guard alone decides.
    pub expected: Option<ExpectedTree>,
    /// Set if another file system than that of `/` must be mounted at `dest` or above it.
    pub expect_mount: bool,
    /// Who goes first when slots are scarce: higher first, but each point is worth a bounded wait.
    pub priority: i32,
    /// Whether slaves pull it after a new generation.
    pub fan_out: bool,
    /// When they put it in place.
    pub publish: Publish,
    /// What is to be known of its freshness.
    pub freshness: Freshness,
    /// When it was created.
    pub created: DateTime<Utc>,
    /// When a person last changed it.
    pub updated: DateTime<Utc>,
    /// Grows by one with every change of these settings; the basis of the `ETag`.
    pub version: u64,
}

impl Project {
    /// The most files that the next run may delete: the guard's count, or its share of what is there, whichever is
    /// smaller. Before the first good run only the count is known.
    #[must_use]
    pub fn max_delete(&self, standing: &Standing) -> u64 {
        match standing.files {
            0 => self.guard.max_delete,
            _ if self.guard.max_delete_percent >= 100 => self.guard.max_delete,
            files => {
                let share = files.saturating_mul(u64::from(self.guard.max_delete_percent)).div_ceil(100);
                self.guard.max_delete.min(share.max(crate::guard::SMALL))
            }
        }
    }
}

impl Project {
    /// Returns whether it belongs to the user of this name who was added at `since`; none: the user who is always there.
    #[must_use]
    pub fn is_owned_by(&self, name: &str, since: Option<DateTime<Utc>>) -> bool {
        let same_life = match (self.owner_since, since) {
            (_, None) => true,
            (Some(then), Some(since)) => then == since,
            (None, Some(since)) => since <= self.created,
        };
        self.owner == name && same_life
    }

    /// Makes this the settings of a project that is there: what is decided at its creation stays.
    pub(crate) fn keep_life_of(&mut self, known: &Self) {
        self.created = known.created;
        self.owner.clone_from(&known.owner);
        self.owner_since = known.owner_since;
    }

    /// The version of these settings.
    #[must_use]
    pub fn settings_version(&self) -> SettingsVersion {
        SettingsVersion { number: self.version, life: Some(self.created.timestamp_micros()) }
    }

    /// Every upstream with its password, in order; the first is `source`.
    pub fn sources(&self) -> impl Iterator<Item = (&Source, Option<&Secret>)> {
        let others = self.upstreams.iter().map(|other| (&other.source, other.password.as_ref()));
        std::iter::once((&self.source, self.password.as_ref())).chain(others)
    }

    /// The upstream with this number; 0 is `source`.
    #[must_use]
    pub fn source_of(&self, upstream: usize) -> (&Source, Option<&Secret>) {
        self.sources().nth(upstream).unwrap_or((&self.source, self.password.as_ref()))
    }

    /// What the next attempt asks of the engine and of this upstream; `limits` and `commands` are the site's, the guard
    /// is the project's.
    #[must_use]
    pub fn attempt(
        &self,
        upstream: usize,
        standing: &Standing,
        limits: &Limits,
        commands: &Commands,
    ) -> Attempt {
        let (source, password) = self.source_of(upstream);
        // A slave deletes what its source has not, unless a plan shows that the source has lost much.
        let max_delete = match self.expected {
            Some(_) => Guard::NO_COUNT,
            None => self.max_delete(standing),
        };
        let mut command = source.command_name().and_then(|name| commands.get(name)).cloned();
        if let Some(command) = &mut command {
            // One command can serve many projects.
            command.environment.push(("HELIOSTAT_PROJECT".to_owned(), Secret::new(self.id.as_str())));
        }
        Attempt {
            source: source.clone(),
            command,
            password: password.cloned(),
            dest: self.place.clone(),
            folder: None,
            options: self.options.clone(),
            limits: Limits { max_delete, ..limits.clone() },
            time_limit: Some(self.timeout),
            stall: Some(self.stall),
            unclean_since: standing.unclean_since.map(Into::into),
            stages: self.stages.as_ref().and_then(Repository::stages),
        }
    }
}

/// Version of a project's settings, on which a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingsVersion {
    /// Counts the changes of one project.
    pub number: u64,
    /// When that project was created, in microseconds: the next one of its name counts from 1 again. None: whichever is
    /// there.
    pub life: Option<i64>,
}

impl SettingsVersion {
    /// Returns whether a project is at this version.
    #[must_use]
    pub fn is_of(self, project: &Project) -> bool {
        let same_life = self.life.is_none_or(|life| life == project.created.timestamp_micros());
        same_life && self.number == project.version
    }
}

/// One life of a project's name, to which a token is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectLife {
    /// The project that was created at this time.
    Created(DateTime<Utc>),
    /// The project that was there at this time, where no more was noted.
    At(DateTime<Utc>),
}

impl ProjectLife {
    /// The life of a project that is there.
    #[must_use]
    pub fn of(project: &Project) -> Self {
        Self::Created(project.created)
    }

    /// Returns whether a project is the one that is meant.
    #[must_use]
    pub fn is_of(self, project: &Project) -> bool {
        match self {
            Self::Created(at) => project.created == at,
            Self::At(at) => project.created <= at,
        }
    }
}

/// One place that a tree can be pulled from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where.
    pub source: Source,
    /// Its password, if it wants one.
    pub password: Option<Secret>,
}

impl Upstream {
    /// Both together.
    #[must_use]
    pub fn new(source: &Source, password: Option<&Secret>) -> Self {
        Self { source: source.clone(), password: password.cloned() }
    }
}

/// How much one run may delete without a person. It is judged by a plan before anything is changed (see [`crate::guard`]),
/// and rsync is given the count as `--max-delete` besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// The largest share of the project's files, 0 to 100.
    pub max_delete_percent: u8,
    /// The largest number of files.
    pub max_delete: u64,
}

impl Default for Guard {
    /// 20 percent, and Debian's ftpsync's 40,000 files.
    fn default() -> Self {
        Self { max_delete_percent: 20, max_delete: 40_000 }
    }
}

/// What a project's runs have found and decided so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// Grows by one with every successful run that changed something.
    pub generation: u64,
    /// The newest schedule time that was decided on (run, or skipped): nothing at or before it fires again.
    pub fired: Option<DateTime<Utc>>,
    /// The newest run that ended.
    pub last_run: Option<LastRun>,
    /// When the newest good run ended.
    pub last_success: Option<DateTime<Utc>>,
    /// Runs that failed since the last good one.
    pub failures: u32,
    /// Paths changed since the newest generation by runs that did not end well; the next good run publishes them.
    pub unpublished: u64,
    /// Schedule times that started no run: one was still going, or they were too long ago to catch up.
    pub skipped: u64,
    /// Bytes in the tree, by the newest statistics.
    pub size_bytes: u64,
    /// Entries in the tree, by the newest statistics.
    pub files: u64,
    /// Generation that stood when `files` and `size_bytes` were counted.
    pub counted_at: u64,
    /// Since when an attempt may have left temporary files in the destination; cleared by the next good run.
    pub unclean_since: Option<DateTime<Utc>>,
    /// Where its tree is still to move after the project was renamed.
    pub moving: Option<Relocation>,
    /// The upstreams that failed and were not seen to answer since, in the order of their failures; only of a project
    /// that has more than one.
    pub failed_upstreams: Vec<FailedUpstream>,
    /// When it is due next, as a policy has it.
    pub planned: Option<Planned>,
    /// What was seen of the upstream's marker before the newest good rsync began.
    pub seen: Option<Seen>,
    /// What the upstream has shown of its age when it was asked last.
    pub sighting: Option<Sighting>,
    /// Place of the tree after the newest good run.
    pub tree: Option<KnownTree>,
    /// Upstreams that refused a rehearsal, one entry each.
    pub refusals: Vec<RehearsalRefusal>,
}

/// A next time that a policy has set in place of the schedule's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// When.
    pub at: DateTime<Utc>,
    /// Which policy.
    pub by: String,
}

/// An upstream that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedUpstream {
    /// Its address.
    pub url: String,
    /// When it failed last.
    pub at: DateTime<Utc>,
    /// In which way, in `engine::Class`'s spelling.
    pub class: String,
}

/// The short story of the newest run that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct LastRun {
    /// Which run.
    pub id: RunId,
    /// How it ended.
    pub outcome: Outcome,
    /// When its first attempt started; none: it never did.
    pub started: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended: DateTime<Utc>,
    /// Why, in one sentence.
    pub reason: Option<String>,
}

/// The name of a project: 1 to 64 of `A-Z a-z 0-9 . _ + -`, beginning with a letter or a digit.
///
/// It stands in addresses, file names and log lines, so it holds nothing that would need quoting there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(Arc<str>);

impl ProjectId {
    /// The longest name, in bytes.
    pub const MAX: usize = 64;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProjectId {
    type Err = ProjectIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
        match text.chars().next() {
            None => Err(ProjectIdError::Empty),
            Some(first) if !first.is_ascii_alphanumeric() => Err(ProjectIdError::First(first)),
            Some(_) if text.len() > Self::MAX => Err(ProjectIdError::TooLong(text.len())),
            Some(_) => match text.chars().find(|c| !good(*c)) {
                Some(c) => Err(ProjectIdError::Character(c)),
                None => Ok(Self(Arc::from(text))),
            },
        }
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for ProjectId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Why a text is not the name of a project.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProjectIdError {
    /// Nothing was given.
    #[error("is empty: give a short name such as `debian`")]
    Empty,
    /// It begins with something else than a letter or a digit.
    #[error("begins with {0:?}: begin with a letter or a digit")]
    First(char),
    /// It holds a character that addresses and file names would have to quote.
    #[error("contains {0:?}: use letters, digits, and . _ + - only")]
    Character(char),
    /// It is longer than [`ProjectId::MAX`].
    #[error("is {0} bytes long: use at most 64")]
    TooLong(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_holds_only_what_needs_no_quoting() {
        for good in ["debian", "debian-cd", "0ad", "a.b_c+d", &"x".repeat(64)] {
            assert_eq!(good.parse::<ProjectId>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "-rf", "a/b", "a b", "a\nb", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<ProjectId>().is_err(), "{bad:?} was accepted");
        }
    }
}
