//! All configured plugins: loaded, listed, reloaded, and asked by the scheduler.
//!
//! A plugin that cannot be loaded is kept with its reason. The server starts without it, unless it is required.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use scheduler::hooks::Answering;
use scheduler::hooks::{Decision, Hooks, ProjectFacts, RunContext, RunOutcome, Verdict, Vote, When};
use scheduler::policy::{Policy, Suggestion};
use scheduler::project::ProjectHook;
use scheduler::{Project, ProjectId};
use tokio::time::timeout_at;

use crate::call::CallError;
use crate::component::Shape;
use crate::imports::kv::{KvStore, MemoryKv};
use crate::imports::log::{LogSink, NoSink};
use crate::load::{self, LoadError};
use crate::plugin::{Loaded, Plugin, Reloaded, Report, Surroundings, timed};
use crate::policy::{Answer, Entry, Finished, Question, Recorder, View};
use crate::runtime::{Runtime, RuntimeError};
use crate::settings::{FailurePolicy, Part, PluginSettings, Settings};

/// The longest that all policies together are asked which run starts next: who asks waits for ten seconds.
const TOGETHER: Duration = Duration::from_secs(8);

/// The plugins of a server.
#[derive(Debug)]
pub struct Plugins {
    folder: PathBuf,
    /// In the order of asking.
    all: Vec<Plugin>,
    around: Surroundings,
    recorder: Option<Recorder>,
}

/// What plugins need of the server.
#[derive(Debug, Clone)]
pub struct Services {
    /// Where their values last.
    pub kv: Arc<dyn KvStore>,
    /// Where their lines go, beside the server's log.
    pub log: Arc<dyn LogSink>,
}

/// A plugin that is asked about a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookOf {
    /// Which plugin.
    pub plugin: String,
    /// When it is asked.
    pub when: When,
    /// Its place, smaller first.
    pub order: i32,
    /// Whether a run fails without its answer.
    pub closed: bool,
    /// The project names it itself; else the configuration does.
    pub by_project: bool,
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum PluginsError {
    /// No plugin can run at all.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// One that is required is not there.
    #[error("plugin {plugin} is required and was refused: {source}")]
    Required {
        /// Which one.
        plugin: String,
        /// Why.
        source: LoadError,
    },
}

impl Default for Services {
    /// Values and lines that nobody keeps, for a try outside a server.
    fn default() -> Self {
        Self { kv: Arc::new(MemoryKv::default()), log: Arc::new(NoSink) }
    }
}

impl Plugins {
    /// Loads what the settings name. Whoever has none needs not call this.
    pub async fn load(settings: Settings, services: Services) -> Result<Self, PluginsError> {
        let Settings { folder, cache, compiler, recording, mut plugins } = settings;
        let runtime = Arc::new(Runtime::start(cache.as_deref(), compiler)?);
        let Services { kv, log } = services;
        let around = Surroundings { runtime, kv, log, http: Arc::default() };
        plugins.sort_by(|a, b| (a.order, &a.id).cmp(&(b.order, &b.id)));
        let plugins = plugins.into_iter().map(Plugin::new).collect();
        let loaded = Self { folder, all: plugins, around, recorder: recording.map(Recorder::new) };
        for (plugin, answer) in loaded.all.iter().zip(loaded.reload().await) {
            match answer.1 {
                Ok(_) => {}
                Err(source) if plugin.settings.required => {
                    return Err(PluginsError::Required { plugin: answer.0, source });
                }
                Err(error) => tracing::error!(target: "plugin", plugin = answer.0, "refused: {error}"),
            }
        }
        Ok(loaded)
    }

    /// Looks at every file again, and takes those that have changed and are good. Calls that are going end as they
    /// began.
    pub async fn reload(&self) -> Vec<(String, Result<Reloaded, LoadError>)> {
        let mut answers = Vec::new();
        for plugin in &self.all {
            let path = self.folder.join(&plugin.settings.path);
            answers.push((plugin.settings.id.clone(), plugin.reload(&self.around, &path).await));
        }
        answers
    }

    /// Every plugin, in the order of asking.
    #[must_use]
    pub fn list(&self) -> Vec<Report> {
        self.all.iter().map(Plugin::report).collect()
    }

    /// The policies that can be asked now.
    fn policies(&self) -> impl Iterator<Item = &Plugin> {
        let now = Instant::now();
        let ready = move |plugin: &&Plugin| {
            plugin.loaded().is_some() && plugin.has(Part::Policy) && plugin.breaker.is_closed(now)
        };
        self.all.iter().filter(ready)
    }

    /// Which of the candidates start, by every policy in turn: each is shown those of its projects that are left, in the
    /// order that they have by now. One that fails changes nothing.
    async fn picked(&self, view: &View, projects: &[Arc<Project>]) -> Option<Vec<usize>> {
        let mut order: Option<Vec<usize>> = None;
        let until = tokio::time::Instant::now() + TOGETHER;
        for plugin in self.policies() {
            let now = order.unwrap_or_else(|| (0..view.queue.len()).collect());
            let its = |at: &usize| projects.get(*at).is_some_and(|it| concerns(plugin, &it.id, it));
            let shown: Vec<usize> = now.iter().copied().filter(its).collect();
            if shown.is_empty() {
                order = Some(now);
                continue;
            }
            let queue = shown.iter().filter_map(|at| view.queue.get(*at).cloned()).collect();
            let part = View { queue, ..view.clone() };
            let asked = plugin.loaded();
            let Ok(answer) = timeout_at(until, plugin.pick(&self.around, &part)).await else {
                plugin.breaker.note(false, Instant::now());
                return Some(now);
            };
            plugin.breaker.note(answer.is_ok(), Instant::now());
            self.record(plugin, asked, Question::Pick(part.clone()), answer.clone().map(Answer::Picks));
            order = Some(match answer {
                Ok(picks) => merged(&now, &shown, &part.usable(&picks)),
                Err(_) => now,
            });
        }
        order
    }

    /// When a project is due again, by every policy of it in turn: each is told what the one before it says.
    async fn delayed(&self, project: &Project, run: &Finished) -> Option<Suggestion> {
        let (mut run, mut said) = (run.clone(), None);
        for plugin in self.policies().filter(|plugin| concerns(plugin, &project.id, project)) {
            let asked = plugin.loaded();
            let answer = plugin.next_delay(&self.around, &run).await;
            plugin.breaker.note(answer.is_ok(), Instant::now());
            let question = Question::NextDelay(Box::new(run.clone()));
            self.record(plugin, asked, question, answer.clone().map(Answer::DelayMs));
            let Ok(delay) = answer else { continue };
            // Whoever says what was to be anyway has set nothing.
            if delay != run.default_delay_ms {
                run.default_delay_ms = run.usable(delay);
                let delay = Duration::from_millis(run.default_delay_ms);
                said = Some(Suggestion { by: plugin.settings.id.clone(), delay });
            }
        }
        said
    }

    /// `asked` is the file that was in use when the question began.
    fn record(
        &self,
        plugin: &Plugin,
        asked: Option<Arc<Loaded>>,
        question: Question,
        answer: Result<Answer, CallError>,
    ) {
        if let (Some(recorder), Some(loaded)) = (&self.recorder, asked) {
            let answer = answer.map_err(|error| error.to_string());
            let digest = loaded.shape.digest.to_string();
            recorder.write(&Entry { plugin: plugin.settings.id.clone(), digest, question, answer });
        }
    }

    /// Those that are asked about this project, in the order of asking, each with what the project itself says of it.
    fn asked<'a>(
        &'a self,
        id: &ProjectId,
        labels: &BTreeMap<String, String>,
        hooks: &'a [ProjectHook],
        when: When,
    ) -> Vec<(&'a Plugin, Option<&'a ProjectHook>)> {
        let own = |plugin: &Plugin| hooks.iter().find(|hook| hook.plugin == plugin.settings.id);
        let part = part(when);
        let meant = |plugin: &'a Plugin| match own(plugin) {
            Some(hook) if hook.is_asked(when) => Some((plugin, Some(hook))),
            Some(_) => None,
            None => plugin.settings.means(id, labels).then_some((plugin, None)),
        };
        let mut asked: Vec<_> = self.all.iter().filter(|plugin| plugin.has(part)).filter_map(meant).collect();
        asked.sort_by_key(|(plugin, own)| own.and_then(|own| own.order).unwrap_or(plugin.settings.order));
        asked
    }

    fn asked_about<'a>(
        &'a self,
        facts: &'a ProjectFacts,
        when: When,
    ) -> Vec<(&'a Plugin, Option<&'a ProjectHook>)> {
        self.asked(&facts.id, &facts.labels, &facts.hooks, when)
    }

    /// Who is asked about this project, before a sync and then after it, in the order of asking.
    #[must_use]
    pub fn hooks_of(&self, project: &Project) -> Vec<HookOf> {
        let each = |when| {
            let asked = self.asked(&project.id, &project.labels, &project.hooks, when);
            asked.into_iter().map(move |(plugin, own)| {
                let PluginSettings { id, order, failure, .. } = &plugin.settings;
                let configured = if when == When::PreSync { failure.pre } else { failure.post };
                HookOf {
                    plugin: id.clone(),
                    when,
                    order: own.and_then(|own| own.order).unwrap_or(*order),
                    closed: failing(own, configured) == FailurePolicy::Closed,
                    by_project: own.is_some(),
                }
            })
        };
        [When::PreSync, When::PostSync].into_iter().flat_map(each).collect()
    }
}

fn part(when: When) -> Part {
    match when {
        When::PreSync => Part::PreSync,
        When::PostSync => Part::PostSync,
    }
}

/// The project's word on failures, else the configuration's.
fn failing(own: Option<&ProjectHook>, configured: FailurePolicy) -> FailurePolicy {
    match own.and_then(|own| own.closed) {
        Some(true) => FailurePolicy::Closed,
        Some(false) => FailurePolicy::Open,
        None => configured,
    }
}

/// The order with those that were shown in the places that they had together, as far as they were picked.
fn merged(order: &[usize], shown: &[usize], picks: &[usize]) -> Vec<usize> {
    let mut picked = picks.iter().filter_map(|pick| shown.get(*pick).copied());
    order.iter().filter_map(|at| if shown.contains(at) { picked.next() } else { Some(*at) }).collect()
}

impl Policy for Plugins {
    fn names(&self) -> Vec<String> {
        let asked = self.all.iter().filter(|plugin| plugin.has(Part::Policy));
        asked.map(|plugin| plugin.settings.id.clone()).collect()
    }

    fn picks(&self) -> bool {
        self.all.iter().any(|plugin| plugin.has(Part::Policy))
    }

    fn concerns(&self, project: &Project) -> bool {
        self.policies().any(|plugin| concerns(plugin, &project.id, project))
    }

    fn pick<'a>(&'a self, view: &'a View, projects: &'a [Arc<Project>]) -> Answering<'a, Option<Vec<usize>>> {
        Box::pin(self.picked(view, projects))
    }

    fn next_delay<'a>(
        &'a self,
        project: &'a Project,
        run: &'a Finished,
    ) -> Answering<'a, Option<Suggestion>> {
        Box::pin(self.delayed(project, run))
    }
}

fn concerns(plugin: &Plugin, id: &ProjectId, project: &Project) -> bool {
    plugin.settings.means(id, &project.labels)
}

impl Hooks for Plugins {
    fn concerns(&self, project: &Project, when: When) -> bool {
        let own = |plugin: &Plugin| project.hooks.iter().find(|hook| hook.plugin == plugin.settings.id);
        let asked = |plugin: &Plugin| match own(plugin) {
            Some(hook) => hook.is_asked(when),
            None => concerns(plugin, &project.id, project),
        };
        self.all.iter().any(|plugin| plugin.has(part(when)) && asked(plugin))
    }

    fn knows(&self, plugin: &str) -> bool {
        self.all.iter().any(|known| known.settings.id == plugin)
    }

    fn pre_sync<'a>(&'a self, context: &'a RunContext) -> Answering<'a, Vec<Vote<Decision>>> {
        Box::pin(async move {
            let mut votes = Vec::new();
            for (plugin, own) in self.asked_about(&context.project, When::PreSync) {
                let (answer, took) = timed(plugin.pre_sync(&self.around, context)).await;
                let vote = vote(
                    plugin,
                    answer,
                    took,
                    failing(own, plugin.settings.failure.pre),
                    Decision::Proceed,
                    Decision::Veto,
                );
                let goes_on = matches!(vote.word, Decision::Proceed | Decision::ProceedWith(_));
                votes.push(vote);
                if !goes_on {
                    break;
                }
            }
            votes
        })
    }

    fn post_sync<'a>(
        &'a self,
        context: &'a RunContext,
        outcome: &'a RunOutcome,
    ) -> Answering<'a, Vec<Vote<Verdict>>> {
        Box::pin(async move {
            let mut votes = Vec::new();
            for (plugin, own) in self.asked_about(&context.project, When::PostSync) {
                let (answer, took) = timed(plugin.post_sync(&self.around, context, outcome)).await;
                votes.push(vote(
                    plugin,
                    answer,
                    took,
                    failing(own, plugin.settings.failure.post),
                    Verdict::Accept,
                    Verdict::Reject,
                ));
            }
            votes
        })
    }
}

/// A vote, with the word of the failure policy where there was no answer.
fn vote<T>(
    plugin: &Plugin,
    answer: Result<T, CallError>,
    took: std::time::Duration,
    policy: FailurePolicy,
    open: T,
    closed: impl FnOnce(String) -> T,
) -> Vote<T> {
    let id = plugin.settings.id.clone();
    match answer {
        Ok(word) => Vote { plugin: id, word, failure: None, took },
        Err(error) => {
            let why = error.to_string();
            let word = match policy {
                FailurePolicy::Open => open,
                FailurePolicy::Closed => closed(format!("plugin {id} must agree, and has no answer: {why}")),
            };
            Vote { plugin: id, word, failure: Some(why), took }
        }
    }
}

/// What a file is and needs, without settings or a server.
pub async fn check(path: &Path) -> Result<Shape, CheckError> {
    let runtime = Arc::new(Runtime::start(None, None)?);
    let (shape, _) = load::compile(&runtime, load::read(path).await?).await?;
    Ok(shape)
}

/// Why a file is no plugin.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// No plugin can run at all.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// This one cannot.
    #[error(transparent)]
    Load(#[from] LoadError),
}
