//! One configured plugin: what is loaded of it now, and how its calls have gone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use scheduler::hooks::{Decision, RunContext, RunOutcome, Verdict};
use scheduler::project::ProjectHook;
use scheduler::{ProjectId, RunId};
use tokio::sync::Semaphore;

use crate::call::{self, CallError};
use crate::component::Shape;
use crate::guest::{Guest, NextDelay, Pick, PostSync, PreSync, Question, Refusal, Said, Start};
use crate::imports::Caller;
use crate::imports::dest::Dest;
use crate::imports::http::Client;
use crate::imports::kv::{Kv, KvStore};
use crate::imports::log::{Log, LogSink};
use crate::load::{self, LoadError};
use crate::policy::{self, Breaker, Finished, View};
use crate::runtime::{Quota, Runtime};
use crate::settings::{Grants, Part, PluginSettings};
use crate::state::State;
use crate::statistics::{Asked, Latency, Statistics, Tally};

/// What all plugins share.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) kv: Arc<dyn KvStore>,
    pub(crate) log: Arc<dyn LogSink>,
    pub(crate) http: Arc<Client>,
}

/// A plugin. Its settings never change; what is loaded does.
pub(crate) struct Plugin {
    pub(crate) settings: PluginSettings,
    name: Arc<str>,
    grants: Arc<Grants>,
    loaded: ArcSwapOption<Loaded>,
    /// Why the newest file is not the one that is loaded.
    refused: Mutex<Option<String>>,
    permits: Semaphore,
    writing: Arc<Mutex<()>>,
    statistics: Statistics,
    last_error: Mutex<Option<String>>,
    reloads: AtomicU64,
    pub(crate) breaker: Breaker,
}

/// A file that is in use.
pub(crate) struct Loaded {
    pub(crate) shape: Shape,
    guest: Guest,
}

/// What a reload has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloaded {
    /// The file is the one that is loaded.
    Same,
    /// A new one is loaded.
    New,
}

/// A plugin as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How it is configured.
    pub settings: PluginSettings,
    /// The file that is in use.
    pub shape: Option<Shape>,
    /// Why the newest file is not in use.
    pub refused: Option<String>,
    /// Why the last call that failed did.
    pub last_error: Option<String>,
    /// Whether its policy is left alone for now.
    pub resting: bool,
    /// How often another file was taken while the server ran.
    pub reloads: u64,
    /// How its calls went.
    pub calls: Latency,
    /// The same by what it was asked, for each question that it can be asked.
    pub by_hook: Vec<(Asked, Tally)>,
}

/// About whom a plugin is asked.
#[derive(Debug, Clone)]
struct Subject {
    project: Option<ProjectId>,
    run: Option<RunId>,
    dest: Option<std::path::PathBuf>,
    frozen: Option<u64>,
    /// The project's own settings for its plugins.
    hooks: Vec<ProjectHook>,
}

impl Plugin {
    pub(crate) fn new(settings: PluginSettings) -> Self {
        let permits = usize::try_from(settings.limits.concurrency).unwrap_or(1);
        Self {
            name: settings.id.as_str().into(),
            grants: Arc::new(settings.grants.clone()),
            loaded: ArcSwapOption::empty(),
            refused: Mutex::default(),
            permits: Semaphore::new(permits),
            writing: Arc::default(),
            statistics: Statistics::default(),
            last_error: Mutex::default(),
            reloads: AtomicU64::new(0),
            breaker: Breaker::default(),
            settings,
        }
    }

    /// Takes what the file is now, if it is good; else what was loaded stays, and the reason is kept.
    pub(crate) async fn reload(
        &self,
        around: &Surroundings,
        path: &std::path::Path,
    ) -> Result<Reloaded, LoadError> {
        let answer = self.try_reload(around, path).await;
        *lock(&self.refused) = answer.as_ref().err().map(ToString::to_string);
        answer
    }

    async fn try_reload(&self, around: &Surroundings, path: &std::path::Path) -> Result<Reloaded, LoadError> {
        if let Some(misread) = self.settings.misread.first() {
            return Err(LoadError::Projects(misread.clone()));
        }
        let file = load::read(path).await?;
        let before = self.loaded.load_full();
        if before.as_ref().is_some_and(|loaded| loaded.shape.digest == file.digest) {
            return Ok(Reloaded::Same);
        }
        if let Some(expected) = self.settings.sha256.filter(|expected| *expected != file.digest) {
            return Err(LoadError::Digest { expected, found: file.digest });
        }
        let (shape, guest) = load::compile(&around.runtime, file).await?;
        shape.check_parts(&self.settings.parts)?;
        shape.check_grants(&self.settings.grants)?;
        let state = self.state(around, &Subject::nobody());
        let start = call::ask(&around.runtime, &self.settings.limits, state, &guest, &Start).await;
        start.map(drop).map_err(|error| match error {
            CallError::Contract(why) => LoadError::Misfit(why),
            error => LoadError::Start(error.to_string()),
        })?;
        self.loaded.store(Some(Arc::new(Loaded { shape, guest })));
        self.reloads.fetch_add(u64::from(before.is_some()), Ordering::Relaxed);
        Ok(Reloaded::New)
    }

    pub(crate) fn loaded(&self) -> Option<Arc<Loaded>> {
        self.loaded.load_full()
    }

    /// Whether it is used for this: it has the part, and the configuration does not leave that out. One that is not
    /// loaded has what the configuration says, so that its failure policy can count.
    pub(crate) fn has(&self, part: Part) -> bool {
        let wanted = self.settings.parts.is_empty() || self.settings.parts.contains(&part);
        wanted && self.loaded.load().as_ref().is_none_or(|loaded| loaded.shape.parts.contains(&part))
    }

    pub(crate) async fn pre_sync(
        &self,
        around: &Surroundings,
        context: &RunContext,
    ) -> Result<Decision, CallError> {
        self.ask(around, Subject::of(context), &PreSync(context)).await
    }

    pub(crate) async fn post_sync(
        &self,
        around: &Surroundings,
        context: &RunContext,
        outcome: &RunOutcome,
    ) -> Result<Verdict, CallError> {
        self.ask(around, Subject::of(context), &PostSync(context, outcome)).await
    }

    /// What its policy says.
    pub(crate) async fn answer(
        &self,
        around: &Surroundings,
        question: &policy::Question,
    ) -> Result<policy::Answer, CallError> {
        match question {
            policy::Question::Pick(view) => self.pick(around, view).await.map(policy::Answer::Picks),
            policy::Question::NextDelay(run) => {
                self.next_delay(around, run).await.map(policy::Answer::DelayMs)
            }
        }
    }

    pub(crate) async fn pick(&self, around: &Surroundings, view: &View) -> Result<Vec<u32>, CallError> {
        let subject = Subject { frozen: Some(view.now_ms), ..Subject::nobody() };
        self.ask(around, subject, &Pick(view)).await
    }

    pub(crate) async fn next_delay(&self, around: &Surroundings, run: &Finished) -> Result<u64, CallError> {
        let project = run.project.parse().ok();
        let subject = Subject { project, frozen: Some(run.now_ms), ..Subject::nobody() };
        self.ask(around, subject, &NextDelay(run)).await
    }

    pub(crate) fn report(&self) -> Report {
        let by_hook = Asked::ALL.into_iter().filter(|asked| self.has(asked.part()));
        Report {
            settings: self.settings.clone(),
            shape: self.loaded.load().as_ref().map(|loaded| loaded.shape.clone()),
            refused: lock(&self.refused).clone(),
            last_error: lock(&self.last_error).clone(),
            resting: !self.breaker.is_closed(Instant::now()),
            reloads: self.reloads.load(Ordering::Relaxed),
            calls: self.statistics.latency(),
            by_hook: by_hook.map(|asked| (asked, self.statistics.tally(asked))).collect(),
        }
    }

    /// One question, and once more where the guest says that it may help.
    async fn ask<Q: Question>(
        &self,
        around: &Surroundings,
        subject: Subject,
        question: &Q,
    ) -> Result<Q::Answer, CallError> {
        let Some(loaded) = self.loaded() else {
            let why = lock(&self.refused).clone().unwrap_or_else(|| "nothing was loaded yet".to_owned());
            return Err(CallError::NotLoaded(why));
        };
        let answer = match self.ask_once(around, &subject, &loaded, question).await {
            Ok(Err(Refusal::Retryable(_))) => self.ask_once(around, &subject, &loaded, question).await,
            answer => answer,
        };
        let answer = answer.and_then(|said| {
            said.map_err(|refusal| match refusal {
                Refusal::Failed(why) => CallError::Failed(why),
                Refusal::Retryable(why) => CallError::Retryable(why),
                Refusal::TooMuch(what) => CallError::TooMuch(what),
            })
        });
        if let Err(error) = &answer {
            if let Some(asked) = Q::ASKED {
                self.statistics.note_failure(asked, error.is_trap());
            }
            *lock(&self.last_error) = Some(error.to_string());
            let (project, run) =
                (subject.project.map(|id| id.to_string()), subject.run.map(|id| id.to_string()));
            tracing::warn!(target: "plugin", plugin = %self.name, project, run, "no answer: {error}");
        }
        answer
    }

    async fn ask_once<Q: Question>(
        &self,
        around: &Surroundings,
        subject: &Subject,
        loaded: &Loaded,
        question: &Q,
    ) -> Result<Said<Q::Answer>, CallError> {
        let limits = &self.settings.limits;
        let permit = tokio::time::timeout(limits.wall, self.permits.acquire()).await;
        let Ok(Ok(_permit)) = permit else { return Err(CallError::Busy(limits.concurrency)) };
        let started = Instant::now();
        let state = self.state(around, subject);
        let answer = call::ask(&around.runtime, limits, state, &loaded.guest, question).await;
        if let Some(asked) = Q::ASKED {
            self.statistics.note(asked, started.elapsed());
        }
        answer
    }

    fn state(&self, around: &Surroundings, subject: &Subject) -> State {
        let Subject { project, run, dest, frozen, hooks } = subject;
        let caller = Caller { plugin: Arc::clone(&self.name), project: project.clone(), run: *run };
        let kv = Kv::new(
            Arc::clone(&around.kv),
            Arc::clone(&self.writing),
            Arc::clone(&self.name),
            project.clone(),
            self.settings.grants.kv_kib,
        );
        let mut config = self.settings.config.clone();
        let own = project.as_ref().and_then(|project| self.settings.project_config.get(project));
        let named = hooks.iter().find(|hook| *hook.plugin == *self.name).map(|hook| &hook.config);
        for more in own.into_iter().chain(named) {
            config.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        State {
            quota: Quota::new(self.settings.limits.memory_mib),
            log: Log::new(Arc::clone(&around.log), caller, self.settings.limits.log_lines),
            config,
            kv,
            dest: Dest::new(dest.clone(), Arc::clone(&self.grants)),
            http: Arc::clone(&around.http),
            grants: Arc::clone(&self.grants),
            frozen: *frozen,
            wasi: None,
        }
    }
}

impl Subject {
    fn nobody() -> Self {
        Self { project: None, run: None, dest: None, frozen: None, hooks: Vec::new() }
    }

    fn of(context: &RunContext) -> Self {
        let project = &context.project;
        Self {
            project: Some(project.id.clone()),
            run: Some(context.run),
            dest: Some(project.dest.clone()),
            frozen: None,
            hooks: project.hooks.clone(),
        }
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a call took, as a vote tells it.
pub(crate) async fn timed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let started = Instant::now();
    (call.await, started.elapsed())
}
