//! What these tests stand on: a daemon with a tree, a scheduler in a folder of its own, and waiting with a bound.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use engine::rsyncd::{Module, Rsyncd};
use engine::{Engine, Limits, Options, RetryPolicy, Source};
use scheduler::core::Tool;
use scheduler::destination::Landing;
use scheduler::policy::Policy;
use scheduler::retention::Retention;
use scheduler::{
    Answer, Bounds, CatchUp, Command, Guard, Hooks, Project, Rule, Run, RunId, Schedule, Scheduler, Settings,
};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_mins(1);

/// A daemon that serves a tree, and a scheduler that mirrors it.
pub(crate) struct Site {
    pub(crate) scheduler: Scheduler,
    upstream: Rsyncd,
    folder: tempfile::TempDir,
}

impl Site {
    /// An upstream with some files, and these plugins.
    pub(crate) async fn new(hooks: Option<Arc<dyn Hooks>>) -> Self {
        Self::with(hooks, None).await
    }

    /// The same, with this policy.
    pub(crate) async fn with(hooks: Option<Arc<dyn Hooks>>, policy: Option<Arc<dyn Policy>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let tree = root.join("upstream");
        for name in ["a", "b", "pool/c"] {
            write(&tree.join(name), name);
        }
        write(&root.join("other/something-else"), "another tree");
        let modules = [Module::new("tree", &tree), Module::new("other", &root.join("other"))];
        let upstream =
            Rsyncd::start(Path::new("rsync"), &guardian(), &root.join("rsyncd"), &modules).await.unwrap();
        let data_dir = root.join("data");
        let settings = Settings {
            landing: Landing { data_dir: data_dir.clone(), ..Landing::default() },
            data_dir,
            bounds: Bounds::default(),
            tool: Tool { program: "rsync".into(), limits: Limits::default(), commands: Arc::default() },
            retention: Retention::default(),
            max_log: 1 << 20,
            reserve: scheduler::disk::Reserve::default(),
            hooks,
            policy,
            trace: None,
        };
        let scheduler = start(&settings).await;
        Self { scheduler, upstream, folder }
    }

    /// Stops, and starts again with this policy.
    pub(crate) async fn restart(self, policy: Option<Arc<dyn Policy>>) -> Self {
        let Self { scheduler, upstream, folder } = self;
        let settings = Settings { policy, ..scheduler.settings() };
        scheduler.stop().await;
        // Its store is locked until it is gone.
        drop(scheduler);
        Self { scheduler: start(&settings).await, upstream, folder }
    }

    /// A path below the tree that the daemon serves.
    pub(crate) fn served(&self, name: &str) -> PathBuf {
        self.folder.path().join("upstream").join(name)
    }

    /// A folder that nobody serves or mirrors.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A module with another tree.
    pub(crate) fn other_module(&self) -> Source {
        format!("rsync://127.0.0.1:{}/other", self.upstream.port()).parse().unwrap()
    }

    /// A path below the project's destination.
    pub(crate) fn local(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("mirror").join(name)
    }

    /// The project `p`, started by hand.
    pub(crate) fn project(&self) -> Project {
        let dest = self.local("");
        let dest = dest.parent().unwrap().join("mirror");
        Project {
            id: "p".parse().unwrap(),
            name: "p".to_owned(),
            enabled: true,
            labels: BTreeMap::new(),
            owner: "root".to_owned(),
            owner_since: None,
            source: format!("rsync://127.0.0.1:{}/tree", self.upstream.port()).parse().unwrap(),
            password: None,
            upstreams: Vec::new(),
            stages: None,
            hooks: Vec::new(),
            place: dest.clone(),
            dest,
            given_dest: None,
            options: Options::default(),
            schedule: Schedule {
                rule: Rule::Manual,
                timezone: chrono_tz::UTC,
                start: None,
                end: None,
                jitter: Duration::ZERO,
                catch_up: CatchUp::Once,
            },
            retry: RetryPolicy {
                attempts: 2,
                base: Duration::from_millis(20),
                cap: Duration::from_millis(20),
            },
            timeout: Duration::from_mins(1),
            stall: Duration::from_mins(1),
            guard: Guard::default(),
            priority: 0,
            expected: None,
            fan_out: true,
            expect_mount: false,
            publish: scheduler::publish::Publish::Each,
            freshness: scheduler::freshness::Freshness::default(),
            created: DateTime::default(),
            updated: DateTime::default(),
            version: 0,
        }
    }

    pub(crate) async fn create(&self, project: Project) {
        self.scheduler.ask(Command::Create(Box::new(project))).await.unwrap();
    }

    /// Asks for a sync of `p`.
    pub(crate) async fn sync(&self) -> RunId {
        let command = Command::Sync { id: "p".parse().unwrap(), by: "ann".to_owned(), whole: false };
        let Ok(Answer::Run(run)) = self.scheduler.ask(command).await else { panic!("the sync was refused") };
        run.id
    }

    /// Syncs `p` to the end.
    pub(crate) async fn synced(&self) -> Run {
        let run = self.sync().await;
        let ended = self.stored(run, |run| run.state.is_ended()).await;
        // The board follows the store a moment later.
        let last = || self.scheduler.board().project(&ended.project)?.standing.last_run.clone();
        wait_for(|| last().filter(|last| last.id == run), || format!("{:?}", last())).await;
        ended
    }

    /// Waits until a run is as it should be, on the disk and for readers, and gives it.
    pub(crate) async fn stored(&self, run: RunId, good: impl Fn(&Run) -> bool) -> Run {
        let read = || self.scheduler.store().run(run).unwrap().unwrap();
        let shown = |stored: &Run| match self.scheduler.board().run(run) {
            Some(live) => live.state == stored.state,
            None => stored.state.is_ended(),
        };
        let both = |stored: &Run| good(stored) && shown(stored);
        wait_for(|| Some(read()).filter(both), || format!("{:?}", read())).await
    }

    /// A run's log.
    pub(crate) fn log(&self, run: RunId) -> String {
        fs::read_to_string(self.scheduler.journals().log(run)).unwrap()
    }
}

/// Waits for something that is to come by itself.
pub(crate) async fn wait_for<T>(mut look: impl FnMut() -> Option<T>, otherwise: impl Fn() -> String) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    let waiting = async {
        loop {
            ticks.tick().await;
            if let Some(found) = look() {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("gave up: {}", otherwise()))
}

pub(crate) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

async fn start(settings: &Settings) -> Scheduler {
    let engine = Engine::new("rsync".into(), guardian(), &settings.data_dir).unwrap();
    Scheduler::start(settings.clone(), engine).await.unwrap()
}

fn guardian() -> Vec<OsString> {
    vec![env!("CARGO_BIN_EXE_scheduler-guardian").into()]
}
