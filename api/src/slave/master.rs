//! What a master says, and the projects that a slave makes of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use engine::text::clipped;
use engine::{Options, RetryPolicy, Secret, Source};
use scheduler::freshness::{Freshness, MarkerRule};
use scheduler::guard::{Amount, ExpectedTree};
use scheduler::publish::Publish;
use scheduler::{CatchUp, Guard, Project, ProjectId, Rule, Schedule};
use serde::Deserialize;
use std::time::Duration;

use super::held::Target;
use crate::config;
use crate::nodes::offer::{OfferedGuard, OfferedTree};

/// Longest name of a project that is taken from a master, in bytes.
const LONGEST_NAME: usize = 200;

/// What a master answers to the question for news.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct News {
    /// Names this answer.
    pub(super) tag: String,
    /// Grows when somebody wishes that everything is synced anew.
    pub(super) wish: u64,
    /// Where to pull from.
    pub(super) rsync: Address,
    /// What there is.
    pub(super) projects: Vec<Remote>,
    /// Plans of held pulls that may go on, by project.
    #[serde(default)]
    pub(super) approved: BTreeMap<String, Approval>,
}

/// An approval of a held pull, as the master tells it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Approval {
    /// The digest of the plan.
    pub(super) plan: String,
    /// Who approved it there.
    pub(super) by: String,
}

/// The rsync daemon.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Address {
    pub(super) host: Option<String>,
    pub(super) port: u16,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

/// A project of the master.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Remote {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created: DateTime<Utc>,
    /// The history that its generations are of; none: the master's first one, or it is too old to say.
    #[serde(default)]
    pub(super) history: Option<String>,
    pub(super) generation: u64,
    /// The generation that slaves may put in place, where they do so together; none: the newest.
    #[serde(default)]
    pub(super) released: Option<u64>,
    /// What of the tree is its index: not even a new one is fetched before that.
    #[serde(default)]
    pub(super) index: Vec<String>,
    pub(super) module: String,
    pub(super) path: String,
    /// How much may be deleted without a person; none: the master is older than this.
    #[serde(default)]
    pub(super) guard: Option<OfferedGuard>,
    /// What there was at its last look at the whole tree; none: it does not say.
    #[serde(default)]
    pub(super) tree: Option<OfferedTree>,
    /// Longest time of an attempt, in seconds; none: an older master does not say.
    #[serde(default)]
    pub(super) timeout: Option<f64>,
    /// Longest time without progress, in seconds; likewise.
    #[serde(default)]
    pub(super) stall: Option<f64>,
}

/// Bounds of an attempt that the slave's own configuration sets in place of the master's.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttemptBounds {
    pub(super) timeout: Option<Duration>,
    pub(super) stall: Option<Duration>,
}

impl AttemptBounds {
    /// Bounds that the configuration of a slave sets.
    pub(super) fn of(config: &config::Slave) -> Self {
        Self { timeout: config.timeout, stall: config.stall }
    }

    /// Sets a project's bounds: those of this slave, else those of the master's project, else what it has.
    pub(super) fn apply(self, remote: Option<&Remote>, project: &mut Project) {
        let offered = |seconds: Option<f64>| Duration::try_from_secs_f64(seconds?).ok().filter(is_bound);
        let timeout = remote.and_then(|remote| offered(remote.timeout));
        let stall = remote.and_then(|remote| offered(remote.stall));
        project.timeout = self.timeout.or(timeout).unwrap_or(project.timeout);
        project.stall = self.stall.or(stall).unwrap_or(project.stall);
    }
}

/// Returns whether a project may have this as a bound.
fn is_bound(bound: &Duration) -> bool {
    (Duration::from_secs(1)..=Duration::from_hours(365 * 24)).contains(bound)
}

/// How a slave logs in where the master's answer does not say it.
pub(super) struct Login<'a> {
    pub(super) host: &'a str,
    pub(super) user: &'a str,
    pub(super) password: &'a Secret,
}

/// The slave's own project for one of the master's. What the master has is what the slave is to have: its guard asks a
/// person only where the master has lost much of what it says to have.
pub(super) fn project(
    news: &News,
    remote: &Remote,
    login: &Login<'_>,
    public_dir: &Path,
    resolve: impl FnOnce(&Path) -> Result<PathBuf, String>,
) -> Result<Project, String> {
    let id: ProjectId = remote.id.parse().map_err(|error| format!("its id {error}"))?;
    let Address { host, port, user, password } = &news.rsync;
    let host = host.as_deref().unwrap_or(login.host);
    let (user, password) = match (user, password) {
        (Some(user), password) => {
            let password = password.as_ref().map(Secret::password).transpose();
            (Some(user.as_str()), password.map_err(|error| format!("its password {error}"))?)
        }
        // A daemon that somebody else runs may ask for nothing; ours always asks.
        (None, _) => (Some(login.user), Some(login.password.clone())),
    };
    let source = Source::new(user, host, *port, &remote.module, &remote.path)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let dest = public_dir.join(id.as_str());
    let place = resolve(&dest)?;
    let options = Options::new(&["-aH".to_owned()], &[], "--delete-delay");
    let options =
        options.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let plain = plain(id, clipped(&remote.name, LONGEST_NAME), source, password, (dest, place), options);
    let (Some(guard), Some(tree)) = (remote.guard, remote.tree) else { return Ok(plain) };
    let OfferedGuard { max_delete_percent, max_delete } = guard;
    let OfferedTree { generation, entries, bytes } = tree;
    Ok(Project {
        guard: Guard { max_delete_percent, max_delete },
        expected: Some(ExpectedTree { generation, amount: Amount { entries, bytes } }),
        ..plain
    })
}

/// A slave's project: started by hand, tried again for long, without a guard of its own. `landing` is where it lands, and
/// where that really is.
pub(super) fn plain(
    id: ProjectId,
    name: String,
    source: Source,
    password: Option<Secret>,
    (dest, place): (PathBuf, PathBuf),
    options: Options,
) -> Project {
    let now = Utc::now();
    Project {
        id,
        name,
        enabled: true,
        labels: std::collections::BTreeMap::new(),
        owner: "root".to_owned(),
        owner_since: None,
        source,
        password,
        upstreams: Vec::new(),
        stages: None,
        hooks: Vec::new(),
        dest,
        given_dest: None,
        place,
        options,
        schedule: Schedule {
            rule: Rule::Manual,
            timezone: Tz::UTC,
            start: None,
            end: None,
            jitter: Duration::ZERO,
            catch_up: CatchUp::default(),
        },
        retry: RetryPolicy { attempts: 20, base: Duration::from_secs(2), cap: Duration::from_mins(5) },
        timeout: Duration::from_hours(24),
        stall: Duration::from_mins(15),
        guard: Guard { max_delete_percent: u8::MAX, max_delete: u64::from(i32::MAX.unsigned_abs()) },
        expected: None,
        priority: 0,
        fan_out: false,
        expect_mount: false,
        publish: Publish::Each,
        // The master says when there is something new.
        freshness: Freshness { marker: MarkerRule::None, ..Freshness::default() },
        created: now,
        updated: now,
        version: 1,
    }
}

impl Remote {
    /// The newest generation, as something that is held, or to be held.
    pub(super) fn target(&self, wish: u64, stage: bool) -> Target {
        let (created, history) = (self.created, self.history.clone());
        Target { created, history, generation: self.generation, wish, stage }
    }

    /// Whether its newest generation is to be fetched, and not put in place yet.
    pub(super) fn is_to_stage(&self) -> bool {
        self.released.is_some_and(|released| released < self.generation)
    }
}

/// How files are fetched that are not to be seen as new yet: nothing that is there changes or goes. Folders get their times
/// with the rest: where a file still stands, rsync would give it the time of the folder that is to take its place.
pub(super) fn staging(index: &[String]) -> Option<Options> {
    let left_out: Vec<String> = index.iter().map(|pattern| format!("--exclude={pattern}")).collect();
    let basic = ["-aH", "--ignore-existing", "--omit-dir-times"].map(str::to_owned);
    Options::new(&basic, &left_out, "").ok()
}

/// How files are compared whose size and time do not tell that they differ.
pub(super) fn by_content() -> Option<Options> {
    Options::new(&["-aH".to_owned(), "--checksum".to_owned()], &[], "--delete-delay").ok()
}

/// Whether a slave's project must be replaced.
pub(super) fn differs(known: &Project, wanted: &Project) -> bool {
    known.source != wanted.source
        || known.password != wanted.password
        || known.dest != wanted.dest
        || known.name != wanted.name
        || known.options != wanted.options
        || (known.timeout, known.stall) != (wanted.timeout, wanted.stall)
        || known.guard != wanted.guard
        || known.expected != wanted.expected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(more: &str) -> Project {
        let offer = format!(
            r#"{{"tag": "t", "wish": 0, "rsync": {{"host": "h", "port": 873, "user": null, "password": null}},
            "projects": [{{"id": "p", "name": "p", "created": "2026-01-01T00:00:00Z", "generation": 3,
            "module": "mirror-p", "path": ""{more}}}]}}"#
        );
        let news: News = serde_json::from_str(&offer).unwrap();
        let password = Secret::new("password");
        let login = Login { host: "h", user: "one", password: &password };
        project(&news, &news.projects[0], &login, Path::new("/srv"), |dest| Ok(dest.to_owned())).unwrap()
    }

    #[test]
    fn a_slave_asks_nobody_where_its_master_is_too_old_to_say_what_it_has() {
        let guard = r#", "guard": {"max_delete_percent": 20, "max_delete": 1000}"#;
        for more in ["", guard] {
            let project = made(more);
            assert!(project.guard.is_off() && project.expected.is_none(), "{more}");
        }
        let project = made(&format!(r#"{guard}, "tree": {{"generation": 2, "entries": 9, "bytes": 7}}"#));
        assert_eq!(project.guard, Guard { max_delete_percent: 20, max_delete: 1000 });
        let amount = Amount { entries: 9, bytes: 7 };
        assert_eq!(project.expected, Some(ExpectedTree { generation: 2, amount }));
        assert!(differs(&made(""), &project) && !differs(&project, &project));
    }
}
