//! A project: its settings, how it stands, and when it is due.

use chrono::Utc;
use engine::{Options, Source};
use scheduler::core::{Entry, Tool};
use scheduler::freshness::{Seen, as_of, course, is_stale};
use scheduler::project::{FailedUpstream, LastRun, ProjectHook};
use scheduler::publish::{Publish, Quorum, Together};
use scheduler::refusal::RehearsalRefusal;
use scheduler::{CatchUp, Project, Repository, Rule, Run, RunState, Schedule, Standing};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Live, time};

/// How many of the next times a project shows.
const NEXT_RUNS: usize = 10;

/// A project as clients see it.
#[derive(Debug, Serialize)]
pub struct ProjectView {
    #[serde(flatten)]
    settings: SettingsView,
    state: &'static str,
    generation: u64,
    next_run: Option<String>,
    next_by: Option<String>,
    last_run: Option<LastRunView>,
    last_success: Option<String>,
    running: Option<String>,
    held: Option<String>,
    queued: Option<String>,
    marker: Option<MarkerView>,
    as_of: Option<String>,
    upstream_seen: Option<SightingView>,
    stale: bool,
    failures: u32,
    failed_upstreams: Vec<FailedView>,
    rehearsal_refusals: Vec<RehearsalRefusalView>,
    skipped: u64,
    size_bytes: u64,
    files: u64,
    schedule_text: String,
    created: String,
    updated: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_runs: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
}

/// What a client can set, in the form in which it sets it.
#[derive(Debug, Serialize)]
struct SettingsView {
    id: String,
    name: String,
    enabled: bool,
    labels: std::collections::BTreeMap<String, String>,
    owner: String,
    source: Value,
    upstreams: Vec<Value>,
    dest: String,
    options: OptionsView,
    stages: Value,
    schedule: Value,
    retry: RetryView,
    timeout: f64,
    stall: f64,
    guard: GuardView,
    hooks: Vec<ProjectHookView>,
    priority: i32,
    fan_out: bool,
    expect_mount: bool,
    publish: Value,
    freshness: FreshnessView,
}

#[derive(Debug, Serialize)]
struct ProjectHookView {
    plugin: String,
    on: Vec<&'static str>,
    order: Option<i32>,
    failure: Option<&'static str>,
    config: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct FreshnessView {
    marker: String,
    compare: &'static str,
    verify_every: f64,
    target: Option<f64>,
}

/// How old the upstream was by its marker when it was asked last.
#[derive(Debug, Serialize)]
struct SightingView {
    as_of: String,
    at: String,
    course: &'static str,
}

/// The upstream's marker, as it was before the newest good rsync began.
#[derive(Debug, Serialize)]
struct MarkerView {
    path: String,
    size: u64,
    modified: String,
    seen: String,
}

#[derive(Debug, Serialize)]
struct SourceView {
    host: String,
    port: u16,
    module: String,
    path: String,
    user: Option<String>,
    has_password: bool,
}

/// An upstream that failed, and was not seen to answer since.
#[derive(Debug, Serialize)]
struct FailedView {
    upstream: String,
    at: String,
    class: String,
}

/// An upstream that refused `--dry-run` and is not asked for it again so long: plans come from its file list.
#[derive(Debug, Serialize)]
struct RehearsalRefusalView {
    upstream: String,
    at: String,
    until: String,
}

#[derive(Debug, Serialize)]
struct OptionsView {
    defaults: Vec<String>,
    basic: Vec<String>,
    delete: String,
}

#[derive(Debug, Serialize)]
struct RetryView {
    attempts: u32,
    base: f64,
    cap: f64,
}

#[derive(Debug, Serialize)]
struct GuardView {
    max_delete_percent: u8,
    max_delete: u64,
}

#[derive(Debug, Serialize)]
struct LastRunView {
    id: String,
    state: &'static str,
    started: Option<String>,
    ended: String,
    reason: Option<String>,
}

/// A project for a list; [`ProjectView::in_full`] adds what one alone shows.
#[must_use]
pub fn project(entry: &Entry, active: Option<&Run>, live: Live) -> ProjectView {
    let (project, standing) = (&entry.project, &entry.standing);
    let held = active.is_some_and(|run| run.state == RunState::Held);
    let going = active.is_some_and(|run| run.state == RunState::Running);
    ProjectView {
        settings: settings_view(project),
        state: match active {
            Some(run) => live.state(run),
            None if project.enabled => "idle",
            None => "disabled",
        },
        generation: standing.generation,
        next_run: entry.next.map(time),
        next_by: standing
            .planned
            .as_ref()
            .filter(|planned| entry.next == Some(planned.at))
            .map(|planned| planned.by.clone()),
        last_run: standing.last_run.as_ref().map(last_run),
        last_success: standing.last_success.map(time),
        running: entry.active.filter(|_| going).map(|run| run.to_string()),
        held: entry.active.filter(|_| held).map(|run| run.to_string()),
        queued: entry.active.filter(|_| !going && !held).or(entry.waiting).map(|run| run.to_string()),
        marker: standing.seen.as_ref().and_then(marker),
        as_of: as_of(standing).map(time),
        upstream_seen: standing.sighting.as_ref().map(|sighting| SightingView {
            as_of: time(sighting.marker.modified),
            at: time(sighting.at),
            course: course(project, standing).unwrap_or_default().as_str(),
        }),
        stale: is_stale(project, standing, Utc::now()),
        failures: standing.failures,
        failed_upstreams: standing.failed_upstreams.iter().map(failed).collect(),
        rehearsal_refusals: rehearsal_refusals(standing),
        skipped: standing.skipped,
        size_bytes: standing.size_bytes,
        files: standing.files,
        schedule_text: project.schedule.describe(),
        created: time(project.created),
        updated: time(project.updated),
        next_runs: None,
        command: None,
    }
}

impl ProjectView {
    /// What it does now.
    #[must_use]
    pub fn state(&self) -> &'static str {
        self.state
    }

    /// Adds the next times and the whole command line.
    #[must_use]
    pub fn in_full(mut self, entry: &Entry, tool: &Tool) -> Self {
        let (project, schedule) = (&entry.project, &entry.project.schedule);
        let mut next: Vec<String> = entry.next.map(time).into_iter().collect();
        if let Some(first) = entry.next {
            next.extend(schedule.upcoming(first.max(Utc::now()), NEXT_RUNS - 1).into_iter().map(time));
        }
        self.next_runs = Some(next);
        self.command =
            Some(project.attempt(0, &entry.standing, &tool.limits, &tool.commands).shown(&tool.program));
        self
    }
}

/// The settings alone, as a document that a merge patch can be applied to.
#[must_use]
pub fn settings(project: &Project) -> Value {
    serde_json::to_value(settings_view(project)).unwrap_or_default()
}

fn settings_view(project: &Project) -> SettingsView {
    SettingsView {
        id: project.id.to_string(),
        name: project.name.clone(),
        enabled: project.enabled,
        labels: project.labels.clone(),
        owner: project.owner.clone(),
        source: source(&project.source, project.password.is_some()),
        upstreams: project
            .upstreams
            .iter()
            .map(|other| self::source(&other.source, other.password.is_some()))
            .collect(),
        dest: project.dest.display().to_string(),
        options: options(&project.options),
        stages: match &project.stages {
            None => Value::Null,
            Some(Repository::Other(stages)) => json!({ "index": stages.index() }),
            Some(named) => named.name().into(),
        },
        schedule: schedule(&project.schedule),
        retry: RetryView {
            attempts: project.retry.attempts,
            base: project.retry.base.as_secs_f64(),
            cap: project.retry.cap.as_secs_f64(),
        },
        timeout: project.timeout.as_secs_f64(),
        stall: project.stall.as_secs_f64(),
        guard: GuardView {
            max_delete_percent: project.guard.max_delete_percent,
            max_delete: project.guard.max_delete,
        },
        hooks: project.hooks.iter().map(hook).collect(),
        priority: project.priority,
        fan_out: project.fan_out,
        expect_mount: project.expect_mount,
        publish: publish(&project.publish),
        freshness: FreshnessView {
            marker: project.freshness.marker.as_str().to_owned(),
            compare: project.freshness.compare.as_str(),
            verify_every: project.freshness.verify_every.as_secs_f64(),
            target: project.freshness.target.map(|target| target.as_secs_f64()),
        },
    }
}

fn source(source: &Source, has_password: bool) -> Value {
    if let Some(name) = source.command_name() {
        return json!({ "command": name });
    }
    let view = SourceView {
        host: source.host().to_owned(),
        port: source.port(),
        module: source.module().to_owned(),
        path: source.path().to_owned(),
        user: source.user().map(str::to_owned),
        has_password,
    };
    serde_json::to_value(view).unwrap_or_default()
}

fn hook(hook: &ProjectHook) -> ProjectHookView {
    ProjectHookView {
        plugin: hook.plugin.clone(),
        on: hook.on.iter().map(|when| when.as_str()).collect(),
        order: hook.order,
        failure: hook.closed.map(|closed| if closed { "closed" } else { "open" }),
        config: hook.config.clone(),
    }
}

fn failed(failed: &FailedUpstream) -> FailedView {
    FailedView { upstream: failed.url.clone(), at: time(failed.at), class: failed.class.clone() }
}

fn rehearsal_refusals(standing: &Standing) -> Vec<RehearsalRefusalView> {
    let now = Utc::now();
    let remembered = standing.refusals.iter().filter(|refusal| refusal.is_recent(now));
    let view = |refusal: &RehearsalRefusal| RehearsalRefusalView {
        upstream: refusal.upstream.clone(),
        at: time(refusal.at),
        until: time(refusal.at + RehearsalRefusal::KEPT),
    };
    remembered.map(view).collect()
}

fn options(options: &Options) -> OptionsView {
    OptionsView {
        defaults: options.defaults().to_vec(),
        basic: options.basic().to_vec(),
        delete: options.delete().map(|mode| mode.to_string()).unwrap_or_default(),
    }
}

fn schedule(schedule: &Schedule) -> Value {
    let mut value = match &schedule.rule {
        Rule::Fields(fields) => json!({ "cron": fields.given() }),
        Rule::Cron(cron) => json!({ "cron": cron.text() }),
        Rule::Every(pause) => json!({ "every": humantime::format_duration(*pause).to_string() }),
        Rule::Manual => json!({ "manual": true }),
    };
    value["timezone"] = schedule.timezone.name().into();
    value["start_date"] = schedule.start.map(time).into();
    value["end_date"] = schedule.end.map(time).into();
    value["jitter"] = schedule.jitter.as_secs_f64().into();
    value["catch_up"] = match schedule.catch_up {
        CatchUp::Once => "once".into(),
        CatchUp::None => "none".into(),
        CatchUp::Within(most) => json!({ "within": most.as_secs_f64() }),
    };
    value
}

fn last_run(last: &LastRun) -> LastRunView {
    LastRunView {
        id: last.id.to_string(),
        state: last.outcome.as_str(),
        started: last.started.map(time),
        ended: time(last.ended),
        reason: last.reason.clone(),
    }
}

fn marker(seen: &Seen) -> Option<MarkerView> {
    let marker = seen.marker.as_ref()?;
    let (path, modified) = (marker.path.clone(), time(marker.modified));
    Some(MarkerView { path, size: marker.size, modified, seen: time(seen.at) })
}

fn publish(publish: &Publish) -> Value {
    match publish {
        Publish::Each => json!("each"),
        Publish::Together(Together { quorum, deadline }) => {
            let quorum = match quorum {
                Quorum::Count(count) => json!(count),
                Quorum::Percent(_) => json!(quorum.to_string()),
            };
            json!({ "quorum": quorum, "deadline": deadline.as_secs_f64() })
        }
    }
}
