//! The plugins of this server: what they need of it, and what people see of them.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use plugins::{
    Asked, HookOf, KvError, KvStore, LogLine, LogSink, Plugins, ProjectPattern, Report, Services, Tally,
};
use scheduler::hooks::{Hooks, When};
use scheduler::journal::Journal;
use scheduler::policy::Policy;
use scheduler::{Project, ProjectId, Scheduler};
use serde::Serialize;

use crate::config::Config;

/// The plugins, loaded before the scheduler that asks them: none of its runs starts unasked.
pub struct Host {
    plugins: Option<Arc<Plugins>>,
    scheduler: Arc<Late>,
}

/// The scheduler, once it is there: it has the store and the logs.
#[derive(Default)]
struct Late(OnceLock<Scheduler>);

impl Host {
    /// Loads what is configured. Those that are refused are told in the log, and kept with their reason.
    ///
    /// # Errors
    /// When a secret cannot be fetched, WebAssembly cannot run here, or a plugin that is required is refused.
    pub async fn load(config: &Config, data_dir: &Path) -> anyhow::Result<Self> {
        let scheduler = Arc::<Late>::default();
        if config.plugins.load.is_empty() {
            return Ok(Self { plugins: None, scheduler });
        }
        let settings = config.plugins.settings(data_dir);
        let settings = settings
            .map_err(|(plugin, error)| anyhow::Error::new(error).context(format!("plugin {plugin}")))?;
        let services = Services { kv: scheduler.clone(), log: scheduler.clone() };
        let plugins = Plugins::load(settings, services).await.context("the plugins cannot be loaded")?;
        Ok(Self { plugins: Some(Arc::new(plugins)), scheduler })
    }

    /// Who is asked before and after a sync.
    #[must_use]
    pub fn hooks(&self) -> Option<Arc<dyn Hooks>> {
        self.plugins.clone().map(|plugins| plugins as Arc<dyn Hooks>)
    }

    /// Who is asked what runs next; nobody, where no plugin is a policy.
    #[must_use]
    pub fn policy(&self) -> Option<Arc<dyn Policy>> {
        let plugins = self.plugins.clone().filter(|plugins| plugins.picks());
        plugins.map(|plugins| plugins as Arc<dyn Policy>)
    }

    /// From now on values last, and lines are in the runs' logs.
    pub fn connect(&self, scheduler: &Scheduler) {
        // Called once, after the start.
        let _ = self.scheduler.0.set(scheduler.clone());
    }

    /// Looks at every file again. One that is broken is told in the log, and the one before it goes on.
    pub async fn reload(&self) {
        let Some(plugins) = &self.plugins else { return };
        for (plugin, answer) in plugins.reload().await {
            match answer {
                Ok(plugins::Reloaded::Same) => {}
                Ok(plugins::Reloaded::New) => {
                    tracing::info!(target: "plugin", plugin, "a new file is in use");
                }
                Err(error) => tracing::error!(target: "plugin", plugin, "the new file was refused: {error}"),
            }
        }
    }

    /// Who is asked about this project.
    #[must_use]
    pub fn hooks_of(&self, project: &Project) -> Vec<HookView> {
        let known = self.list();
        let state = |plugin: &str| known.iter().find(|one| one.id == plugin).map_or(UNKNOWN, |one| one.state);
        let asked = self.plugins.iter().flat_map(|plugins| plugins.hooks_of(project));
        let missing = project.hooks.iter().filter(|hook| state(&hook.plugin) == UNKNOWN);
        // One that the configuration names no more has its say before the others: where it must agree, nothing is done.
        let missing = missing.map(|hook| HookOf {
            plugin: hook.plugin.clone(),
            when: When::PreSync,
            order: hook.order.unwrap_or_default(),
            closed: hook.closed == Some(true),
            by_project: true,
        });
        let view = |hook: HookOf| HookView {
            state: state(&hook.plugin),
            plugin: hook.plugin,
            hook: hook.when.as_str(),
            order: hook.order,
            failure: if hook.closed { "closed" } else { "open" },
            by: if hook.by_project { "project" } else { "configuration" },
        };
        missing.chain(asked).map(view).collect()
    }

    /// What people see.
    #[must_use]
    pub fn list(&self) -> Vec<PluginView> {
        let projects = self.scheduler.0.get().map(|scheduler| scheduler.board().projects());
        let projects = projects.unwrap_or_default();
        let unmatched = |pattern: &ProjectPattern| {
            !projects.iter().any(|entry| pattern.matches(&entry.project.id, &entry.project.labels))
        };
        let reports = self.plugins.iter().flat_map(|plugins| plugins.list());
        reports.map(|report| PluginView::of(report, unmatched)).collect()
    }
}

impl Late {
    fn get(&self) -> Result<&Scheduler, KvError> {
        self.0.get().ok_or_else(|| KvError("the server is still starting".to_owned()))
    }
}

impl std::fmt::Debug for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Late").finish_non_exhaustive()
    }
}

impl KvStore for Late {
    fn get(&self, plugin: &str, project: &ProjectId, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        KvStore::get(Late::get(self)?.store(), plugin, project, key)
    }

    fn put(&self, plugin: &str, project: &ProjectId, key: &str, value: Option<&[u8]>) -> Result<(), KvError> {
        Late::get(self)?.store().put(plugin, project, key, value)
    }

    fn usage(&self, plugin: &str, project: &ProjectId) -> Result<u64, KvError> {
        Late::get(self)?.store().usage(plugin, project)
    }
}

impl LogSink for Late {
    fn line(&self, line: &LogLine<'_>) {
        let (Some(run), Some(scheduler)) = (line.run, self.0.get()) else { return };
        let mut text = format!("{} {}: {}", line.plugin, line.level.as_str(), line.message);
        for (name, value) in line.fields {
            text.push_str(&format!(" {name}={value}"));
        }
        Journal::open(scheduler.journals(), run).say(&text);
    }
}

/// The state of a plugin that a project names and the configuration does not.
const UNKNOWN: &str = "unknown";

/// A plugin that is asked about a project, in the API.
#[derive(Debug, Serialize)]
pub struct HookView {
    plugin: String,
    /// `pre-sync` or `post-sync`.
    hook: &'static str,
    order: i32,
    failure: &'static str,
    /// Who names it: `project` or `configuration`.
    by: &'static str,
    /// That of the plugin, or `unknown`.
    state: &'static str,
}

/// A plugin in the API.
#[derive(Debug, Serialize)]
pub struct PluginView {
    id: String,
    /// `loaded`, `resting` (a policy that failed too often), `stale` (the newest file was refused), `refused`.
    state: &'static str,
    path: String,
    sha256: Option<String>,
    version: Option<String>,
    world: Option<&'static str>,
    hooks: Vec<&'static str>,
    projects: Vec<String>,
    /// Those of them that fit no project now.
    unmatched: Vec<String>,
    order: i32,
    required: bool,
    failure: FailureView,
    grants: GrantsView,
    refused: Option<String>,
    last_error: Option<String>,
    reloads: u64,
    calls: u64,
    failures: u64,
    traps: u64,
    seconds: f64,
    p50: f64,
    p99: f64,
    by_hook: Vec<HookCalls>,
}

/// How the calls of one kind went since the start.
#[derive(Debug, Serialize)]
pub struct HookCalls {
    /// `pre-sync`, `post-sync`, `pick` or `next-delay`.
    pub hook: &'static str,
    calls: u64,
    failures: u64,
    /// Time in all of them.
    pub seconds: f64,
}

#[expect(clippy::cast_precision_loss, reason = "no plugin is asked 2^52 times")]
impl HookCalls {
    fn of((asked, tally): (Asked, Tally)) -> Self {
        let Tally { calls, failures, total } = tally;
        Self { hook: asked.as_str(), calls, failures, seconds: total.as_secs_f64() }
    }

    /// All of them.
    #[must_use]
    pub fn calls(&self) -> f64 {
        self.calls as f64
    }

    /// Those without an answer.
    #[must_use]
    pub fn failures(&self) -> f64 {
        self.failures as f64
    }
}

#[derive(Debug, Serialize)]
struct FailureView {
    pre: &'static str,
    post: &'static str,
}

#[derive(Debug, Serialize)]
struct GrantsView {
    http: Vec<String>,
    private_addresses: bool,
    dest_read: Vec<String>,
    dest_write: Vec<String>,
    kv_kib: u32,
    /// Their names.
    secrets: Vec<String>,
}

impl PluginView {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether any file of it is in use.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.sha256.is_some()
    }

    /// How its calls went, by what it was asked.
    #[must_use]
    pub fn by_hook(&self) -> &[HookCalls] {
        &self.by_hook
    }

    /// `unmatched` says whether a pattern fits none of the server's projects.
    fn of(report: Report, unmatched: impl Fn(&ProjectPattern) -> bool) -> Self {
        let Report { settings, shape, refused, last_error, resting, reloads, calls, by_hook } = report;
        let state = match (&shape, &refused) {
            (None, _) => "refused",
            (Some(_), Some(_)) => "stale",
            (Some(_), None) if resting => "resting",
            (Some(_), None) => "loaded",
        };
        let has = shape.as_ref().map_or(&[][..], |shape| &shape.parts);
        let used = has.iter().filter(|part| settings.parts.is_empty() || settings.parts.contains(part));
        Self {
            state,
            path: settings.path.display().to_string(),
            hooks: used.map(|part| part.as_str()).collect(),
            sha256: shape.as_ref().map(|shape| shape.digest.to_string()),
            version: shape.as_ref().map(|shape| shape.version.clone()),
            world: shape.as_ref().map(plugins::Shape::world),
            projects: settings
                .misread
                .iter()
                .map(|wrong| wrong.pattern.clone())
                .chain(texts(&settings.projects))
                .collect(),
            unmatched: settings
                .projects
                .iter()
                .filter(|pattern| unmatched(pattern))
                .map(ToString::to_string)
                .collect(),
            order: settings.order,
            required: settings.required,
            failure: FailureView { pre: settings.failure.pre.as_str(), post: settings.failure.post.as_str() },
            grants: GrantsView {
                http: texts(&settings.grants.http),
                private_addresses: settings.grants.private_addresses,
                dest_read: texts(&settings.grants.dest_read),
                dest_write: texts(&settings.grants.dest_write),
                kv_kib: settings.grants.kv_kib,
                secrets: settings.grants.secrets.keys().cloned().collect(),
            },
            id: settings.id,
            refused,
            last_error,
            reloads,
            calls: calls.calls,
            failures: calls.failures,
            traps: calls.traps,
            seconds: calls.total.as_secs_f64(),
            p50: calls.p50.as_secs_f64(),
            p99: calls.p99.as_secs_f64(),
            by_hook: by_hook.into_iter().map(HookCalls::of).collect(),
        }
    }
}

fn texts(list: &[impl ToString]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}
