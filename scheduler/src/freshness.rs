//! How old an upstream is, and whether it has moved: by its marker, a small file that it writes whenever it changes.
//!
//! A marker is compared by path, size and time; where there is none, a project can have its upstream's whole list
//! compared. What is remembered was read *before* the rsync that made our copy began: an upstream that moves meanwhile is
//! then found to have moved, and never missed. Only `question` asks.

mod age;
mod question;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use engine::protocol::Fingerprint;

use crate::project::{Project, Standing};
use crate::run::{Run, Trigger};
pub use age::{Course, Sighting, as_of, course, is_stale, is_too_old};
pub use question::Question;

/// What a person wants to be known of a project's freshness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshness {
    /// Which file tells that the upstream has moved.
    pub marker: MarkerRule,
    /// What is compared where no marker is.
    pub compare: Compare,
    /// A whole run follows at least this often, whatever the marker says.
    pub verify_every: Duration,
    /// How old the upstream may be by its marker; none: it may be of any age.
    pub target: Option<Duration>,
}

impl Default for Freshness {
    /// Whatever marker is found and nothing else, a whole run once a day, and any age.
    fn default() -> Self {
        Self {
            marker: MarkerRule::Auto,
            compare: Compare::Marker,
            verify_every: Duration::from_hours(24),
            target: None,
        }
    }
}

/// What tells whether an upstream has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Its marker only: without one, every run is a whole one.
    Marker,
    /// The list of all its files where it has no marker.
    List,
}

impl Compare {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Marker, Self::List];

    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Marker => "marker",
            Self::List => "list",
        }
    }

    /// Reads what [`Compare::as_str`] gives.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|compare| compare.as_str() == text)
    }
}

/// Which file is the marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkerRule {
    /// One of those that mirrors are known to have.
    Auto,
    /// None: every run is a whole one.
    None,
    /// This path below the source.
    At(String),
}

impl MarkerRule {
    /// As people write it: `auto`, `none`, or a path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Auto => "auto",
            Self::None => "none",
            Self::At(path) => path,
        }
    }

    /// Reads what [`MarkerRule::as_str`] gives.
    ///
    /// # Errors
    /// A text for people when it is not a plain path.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            path if path.len() <= 512
                && path.split('/').all(plain)
                && !path.chars().any(char::is_control) =>
            {
                Ok(Self::At(path.to_owned()))
            }
            _ => Err(
                "must be \"auto\", \"none\", or the path of a file below the source such as \"project/trace/master\"",
            ),
        }
    }
}

/// A marker as an upstream shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Its path below the source.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written.
    pub modified: DateTime<Utc>,
}

/// What was seen of an upstream before the last good rsync began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// At which upstream.
    pub upstream: String,
    /// What stood there; none: it has no marker.
    pub marker: Option<Marker>,
    /// What its whole list came to; none: it was not asked for, or not told whole.
    pub list: Option<Fingerprint>,
    /// When it was looked at.
    pub at: DateTime<Utc>,
    /// The version of the project's settings then.
    pub version: u64,
}

/// How long an upstream that has no marker is not asked for one again.
const WITHOUT: TimeDelta = TimeDelta::hours(24);

impl Seen {
    /// Whether this still says something of a project that asks this upstream now.
    fn holds(&self, project: &Project, upstream: &str) -> bool {
        self.version == project.version && self.upstream == upstream
    }

    /// Whether the upstream is known to have no marker, so that it need not be asked. Before a whole list is asked for,
    /// the question costs nothing.
    #[must_use]
    pub fn has_none(&self, project: &Project, upstream: &str, now: DateTime<Utc>) -> bool {
        let age = now - self.at;
        let recent = age >= TimeDelta::zero() && age < WITHOUT;
        let by_marker = project.freshness.compare == Compare::Marker;
        self.marker.is_none() && by_marker && self.holds(project, upstream) && recent
    }
}

/// What a run may compare the upstream with to do without rsync; none: it is to be a whole one.
///
/// A whole run follows what a person asked for or approved, whatever did not end well, changed settings, and
/// `verify_every`.
#[must_use]
pub fn comparable<'a>(
    project: &Project,
    standing: &'a Standing,
    run: &Run,
    upstream: &str,
    now: DateTime<Utc>,
) -> Option<&'a Seen> {
    let seen = standing.seen.as_ref()?;
    let age = (now - seen.at).to_std().ok()?;
    let by_itself = matches!(run.trigger, Trigger::Schedule | Trigger::CatchUp) && run.hold.is_none();
    let first = run.attempts.len() <= 1;
    let well = standing.failures == 0
        && standing.unpublished == 0
        && standing.unclean_since.is_none()
        && standing.moving.is_none()
        && standing.last_run.as_ref().is_some_and(|last| last.outcome.is_good());
    let fits = seen.holds(project, upstream) && age < project.freshness.verify_every;
    Some(seen).filter(|_| by_itself && first && well && fits)
}
