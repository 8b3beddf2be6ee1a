//! The stored form of a project's settings and of its standing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::{RetryPolicy, Secret, Source, Stages};
use serde::{Deserialize, Serialize};

use super::freshness::{FreshnessRecord, SeenRecord, SightingRecord};
use super::options::OptionsRecord;
use super::project_hook::HookRecord;
use super::refusal::RefusalRecord;
use super::schedule::ScheduleRecord;
use super::tree::TreeRecord;
use super::{RecordError, parse};
use crate::guard::{Amount, ExpectedTree};
use crate::project::{FailedUpstream, Guard, LastRun, Planned, Project, Repository, Standing, Upstream};
use crate::publish::{Publish, Together};
use crate::relocation::Relocation;

#[derive(Serialize, Deserialize)]
pub(super) struct ProjectRecord {
    id: String,
    name: String,
    enabled: bool,
    labels: BTreeMap<String, String>,
    owner: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner_since: Option<DateTime<Utc>>,
    source: SourceRecord,
    password: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    upstreams: Vec<UpstreamRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stages: Option<StagesRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hooks: Vec<HookRecord>,
    dest: PathBuf,
    #[serde(default)]
    given_dest: Option<String>,
    place: PathBuf,
    options: OptionsRecord,
    schedule: ScheduleRecord,
    retry: RetryRecord,
    timeout_seconds: f64,
    stall_seconds: f64,
    guard: GuardRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expected: Option<ExpectedRecord>,
    priority: i32,
    fan_out: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    expect_mount: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    publish: Option<TogetherRecord>,
    #[serde(default)]
    freshness: FreshnessRecord,
    created: DateTime<Utc>,
    updated: DateTime<Utc>,
    version: u64,
}

/// None: each slave for itself.
#[derive(Serialize, Deserialize)]
struct TogetherRecord {
    quorum: String,
    deadline_seconds: f64,
}

impl From<&Publish> for Option<TogetherRecord> {
    fn from(publish: &Publish) -> Self {
        match publish {
            Publish::Each => None,
            Publish::Together(Together { quorum, deadline }) => {
                Some(TogetherRecord { quorum: quorum.to_string(), deadline_seconds: deadline.as_secs_f64() })
            }
        }
    }
}

impl TogetherRecord {
    fn read(self) -> Result<Publish, RecordError> {
        let deadline = Duration::try_from_secs_f64(self.deadline_seconds).unwrap_or_default();
        Ok(Publish::Together(Together { quorum: parse("quorum", &self.quorum)?, deadline }))
    }
}

/// A command has its name, and nothing in the other fields.
#[derive(Serialize, Deserialize)]
struct SourceRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    user: Option<String>,
    host: String,
    port: u16,
    module: String,
    path: String,
}

#[derive(Serialize, Deserialize)]
struct UpstreamRecord {
    source: SourceRecord,
    password: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StagesRecord {
    Named(String),
    Index(Vec<String>),
}

#[derive(Serialize, Deserialize)]
struct RetryRecord {
    attempts: u32,
    base_seconds: f64,
    cap_seconds: f64,
}

#[derive(Serialize, Deserialize)]
struct GuardRecord {
    max_delete_percent: u8,
    max_delete: u64,
}

#[derive(Serialize, Deserialize)]
struct ExpectedRecord {
    generation: u64,
    entries: u64,
    bytes: u64,
}

impl From<ExpectedTree> for ExpectedRecord {
    fn from(ExpectedTree { generation, amount: Amount { entries, bytes } }: ExpectedTree) -> Self {
        Self { generation, entries, bytes }
    }
}

impl From<ExpectedRecord> for ExpectedTree {
    fn from(ExpectedRecord { generation, entries, bytes }: ExpectedRecord) -> Self {
        Self { generation, amount: Amount { entries, bytes } }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StandingRecord {
    generation: u64,
    fired: Option<DateTime<Utc>>,
    last_run: Option<LastRunRecord>,
    last_success: Option<DateTime<Utc>>,
    failures: u32,
    unpublished: u64,
    skipped: u64,
    size_bytes: u64,
    files: u64,
    /// None: stored before this was known; the newest generation is the latest that it can be.
    #[serde(default)]
    counted_at: Option<u64>,
    unclean_since: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moving: Option<RelocationRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failed_upstreams: Vec<FailedRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    planned: Option<PlannedRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<SeenRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sighting: Option<SightingRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refusals: Vec<RefusalRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tree: Option<TreeRecord>,
}

#[derive(Serialize, Deserialize)]
struct PlannedRecord {
    at: DateTime<Utc>,
    by: String,
}

#[derive(Serialize, Deserialize)]
struct FailedRecord {
    url: String,
    at: DateTime<Utc>,
    class: String,
}

#[derive(Serialize, Deserialize)]
struct RelocationRecord {
    from: PathBuf,
    to: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct LastRunRecord {
    id: String,
    outcome: String,
    started: Option<DateTime<Utc>>,
    ended: DateTime<Utc>,
    reason: Option<String>,
}

impl From<&Repository> for StagesRecord {
    fn from(kind: &Repository) -> Self {
        match kind {
            Repository::Other(stages) => Self::Index(stages.index().to_vec()),
            named => Self::Named(named.name().unwrap_or_default().to_owned()),
        }
    }
}

impl TryFrom<StagesRecord> for Repository {
    type Error = RecordError;

    fn try_from(record: StagesRecord) -> Result<Self, RecordError> {
        let wrong = |why: String| refused("stages", &[why]);
        match record {
            StagesRecord::Named(name) => Self::named(&name).ok_or_else(|| wrong(name)),
            StagesRecord::Index(index) => Stages::new(index).map(Self::Other).map_err(|(_, why)| wrong(why)),
        }
    }
}

impl From<&Source> for SourceRecord {
    fn from(source: &Source) -> Self {
        Self {
            command: source.command_name().map(str::to_owned),
            user: source.user().map(str::to_owned),
            host: source.host().to_owned(),
            port: source.port(),
            module: source.module().to_owned(),
            path: source.path().to_owned(),
        }
    }
}

impl SourceRecord {
    fn source(self) -> Result<Source, RecordError> {
        let Self { command, user, host, port, module, path } = self;
        if let Some(name) = command {
            return Source::command(&name).map_err(|error| refused("source", &[error]));
        }
        Source::new(user.as_deref(), &host, port, &module, &path).map_err(|errors| refused("source", &errors))
    }
}

impl From<&Project> for ProjectRecord {
    fn from(project: &Project) -> Self {
        let upstream = |other: &Upstream| UpstreamRecord {
            source: SourceRecord::from(&other.source),
            password: other.password.as_ref().map(|secret| secret.expose().to_owned()),
        };
        Self {
            id: project.id.to_string(),
            name: project.name.clone(),
            enabled: project.enabled,
            labels: project.labels.clone(),
            owner: project.owner.clone(),
            owner_since: project.owner_since,
            source: SourceRecord::from(&project.source),
            password: project.password.as_ref().map(|secret| secret.expose().to_owned()),
            upstreams: project.upstreams.iter().map(upstream).collect(),
            stages: project.stages.as_ref().map(StagesRecord::from),
            hooks: project.hooks.iter().map(HookRecord::from).collect(),
            dest: project.dest.clone(),
            given_dest: project.given_dest.clone(),
            place: project.place.clone(),
            options: OptionsRecord::from(&project.options),
            schedule: ScheduleRecord::from(&project.schedule),
            retry: RetryRecord {
                attempts: project.retry.attempts,
                base_seconds: project.retry.base.as_secs_f64(),
                cap_seconds: project.retry.cap.as_secs_f64(),
            },
            timeout_seconds: project.timeout.as_secs_f64(),
            stall_seconds: project.stall.as_secs_f64(),
            guard: GuardRecord {
                max_delete_percent: project.guard.max_delete_percent,
                max_delete: project.guard.max_delete,
            },
            expected: project.expected.map(ExpectedRecord::from),
            priority: project.priority,
            fan_out: project.fan_out,
            expect_mount: project.expect_mount,
            publish: (&project.publish).into(),
            freshness: (&project.freshness).into(),
            created: project.created,
            updated: project.updated,
            version: project.version,
        }
    }
}

impl TryFrom<ProjectRecord> for Project {
    type Error = RecordError;

    fn try_from(record: ProjectRecord) -> Result<Self, RecordError> {
        let (options, port) = record.options.read()?;
        let source = record.source.source()?.with_default_port(port);
        let upstream = |other: UpstreamRecord| -> Result<Upstream, RecordError> {
            let source = other.source.source()?.with_default_port(port);
            Ok(Upstream { source, password: other.password.map(Secret::new) })
        };
        let upstreams = record.upstreams.into_iter().map(upstream).collect::<Result<_, _>>()?;
        Ok(Self {
            schedule: record.schedule.schedule(&record.id)?,
            id: parse("id", &record.id)?,
            name: record.name,
            enabled: record.enabled,
            labels: record.labels,
            owner: record.owner,
            owner_since: record.owner_since,
            source,
            password: record.password.map(Secret::new),
            upstreams,
            stages: record.stages.map(Repository::try_from).transpose()?,
            hooks: record.hooks.into_iter().map(HookRecord::read).collect::<Result<_, _>>()?,
            dest: record.dest,
            given_dest: record.given_dest,
            place: record.place,
            options,
            retry: RetryPolicy {
                attempts: record.retry.attempts,
                base: seconds(record.retry.base_seconds),
                cap: seconds(record.retry.cap_seconds),
            },
            timeout: seconds(record.timeout_seconds),
            stall: seconds(record.stall_seconds),
            guard: Guard {
                max_delete_percent: record.guard.max_delete_percent,
                max_delete: record.guard.max_delete,
            },
            expected: record.expected.map(ExpectedTree::from),
            priority: record.priority,
            fan_out: record.fan_out,
            expect_mount: record.expect_mount,
            publish: record.publish.map(TogetherRecord::read).transpose()?.unwrap_or_default(),
            freshness: record.freshness.read()?,
            created: record.created,
            updated: record.updated,
            version: record.version,
        })
    }
}

impl From<&FailedUpstream> for FailedRecord {
    fn from(failed: &FailedUpstream) -> Self {
        Self { url: failed.url.clone(), at: failed.at, class: failed.class.clone() }
    }
}

impl From<FailedRecord> for FailedUpstream {
    fn from(FailedRecord { url, at, class }: FailedRecord) -> Self {
        Self { url, at, class }
    }
}

impl From<&Standing> for StandingRecord {
    fn from(standing: &Standing) -> Self {
        Self {
            generation: standing.generation,
            fired: standing.fired,
            last_run: standing.last_run.as_ref().map(|last| LastRunRecord {
                id: last.id.to_string(),
                outcome: last.outcome.as_str().to_owned(),
                started: last.started,
                ended: last.ended,
                reason: last.reason.clone(),
            }),
            last_success: standing.last_success,
            failures: standing.failures,
            unpublished: standing.unpublished,
            skipped: standing.skipped,
            size_bytes: standing.size_bytes,
            files: standing.files,
            counted_at: Some(standing.counted_at),
            planned: standing.planned.clone().map(|Planned { at, by }| PlannedRecord { at, by }),
            seen: standing.seen.as_ref().map(SeenRecord::from),
            sighting: standing.sighting.as_ref().map(SightingRecord::from),
            refusals: standing.refusals.iter().map(RefusalRecord::from).collect(),
            tree: standing.tree.as_ref().map(TreeRecord::from),
            unclean_since: standing.unclean_since,
            moving: standing
                .moving
                .as_ref()
                .map(|Relocation { from, to }| RelocationRecord { from: from.clone(), to: to.clone() }),
            failed_upstreams: standing.failed_upstreams.iter().map(FailedRecord::from).collect(),
        }
    }
}

impl TryFrom<StandingRecord> for Standing {
    type Error = RecordError;

    fn try_from(record: StandingRecord) -> Result<Self, RecordError> {
        let last_run = match record.last_run {
            None => None,
            Some(last) => Some(LastRun {
                id: parse("last_run.id", &last.id)?,
                outcome: parse("last_run.outcome", &last.outcome)?,
                started: last.started,
                ended: last.ended,
                reason: last.reason,
            }),
        };
        Ok(Self {
            generation: record.generation,
            fired: record.fired,
            last_run,
            last_success: record.last_success,
            failures: record.failures,
            unpublished: record.unpublished,
            skipped: record.skipped,
            size_bytes: record.size_bytes,
            files: record.files,
            counted_at: record.counted_at.unwrap_or(record.generation),
            planned: record.planned.map(|PlannedRecord { at, by }| Planned { at, by }),
            seen: record.seen.map(Into::into),
            sighting: record.sighting.map(Into::into),
            refusals: record.refusals.into_iter().map(Into::into).collect(),
            tree: record.tree.map(Into::into),
            unclean_since: record.unclean_since,
            failed_upstreams: record.failed_upstreams.into_iter().map(FailedUpstream::from).collect(),
            moving: record.moving.map(|RelocationRecord { from, to }| Relocation { from, to }),
        })
    }
}

pub(super) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO)
}

pub(super) fn refused(field: &'static str, errors: &[impl std::fmt::Display]) -> RecordError {
    let why: Vec<_> = errors.iter().map(ToString::to_string).collect();
    RecordError::Refused { field, why: why.join("; ") }
}
