//! The clockwork with a clock, a store and real processes: the one task that owns every state change.
//!
//! It gathers what has come, lets [`Core`] decide, commits all of it with one fsync, and only then starts, answers
//! and publishes. When a commit fails, nothing of it has happened: the clockwork is read again from the store, who
//! asked is told so, and the ends of attempts, which cannot be asked for again, are kept and tried again.

mod asking;
mod shell;
#[cfg(test)]
mod tests;
mod work;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::Utc;
use engine::Engine;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::board::Board;
use crate::core::{Answer, Command, Core, Refusal, Tool};
use crate::destination::mounted::MountTable;
use crate::destination::{DestinationError, Landing};
use crate::disk::survey::Surveyor;
use crate::disk::{Reserve, Survey};
use crate::event::EventBus;
use crate::hooks::Hooks;
use crate::journal::Journals;
use crate::lists::Lists;
use crate::pace::rest_after;
use crate::policy::{Policy, Suggestion};
use crate::project::{Project, ProjectId};
use crate::queue::Bounds;
use crate::retention::{self, Retention};
use crate::run::RunId;
use crate::store::{Store, StoreError};
use crate::tally::Tally;
use shell::Shell;

/// How many askers may wait for the dispatcher before the next one has to.
const WAITING: usize = 1024;
/// How long leftover processes of an earlier server are given to end.
const ORPHAN_GRACE: Duration = Duration::from_secs(5);
/// The longest that a reader of the queue waits for the clockwork, which may be waiting for a disk.
const READER_PATIENCE: Duration = Duration::from_secs(1);
/// Time after a start at which the past is trimmed for the first time.
const FIRST_SWEEP: Duration = Duration::from_secs(5);
/// Lines of the audit trail that are kept.
const AUDIT_LINES: usize = 100_000;
/// How often the past is trimmed.
const SWEEP_EVERY: Duration = Duration::from_mins(10);
/// Time after a start at which the whole store is read for the first time.
const FIRST_CHECK: Duration = Duration::from_mins(15);
/// Interval at which the whole store is read, so that damage is found.
const CHECK_EVERY: Duration = Duration::from_hours(24);

/// What the scheduler is told by the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder for everything that is ours.
    pub data_dir: PathBuf,
    /// How many runs may be going at once.
    pub bounds: Bounds,
    /// The site's rsync.
    pub tool: Tool,
    /// Where projects may land.
    pub landing: Landing,
    /// How much of the past is kept.
    pub retention: Retention,
    /// How full file systems may become.
    pub reserve: Reserve,
    /// The largest log of one run, in bytes.
    pub max_log: u64,
    /// The plugins, if there are any.
    pub hooks: Option<Arc<dyn Hooks>>,
    /// Who is asked what runs next, if anybody is.
    pub policy: Option<Arc<dyn Policy>>,
    /// Who writes traces into Debian's trees; none: nobody.
    pub trace: Option<TraceSite>,
}

/// How this mirror is known to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSite {
    /// Its host name; the name of its trace.
    pub name: String,
    /// Who runs it; may be empty.
    pub maintainer: String,
}

/// A running scheduler; clones share it.
#[derive(Clone)]
pub struct Scheduler {
    shared: Arc<Shared>,
}

/// What the dispatcher, its workers and the readers share.
pub(crate) struct Shared {
    pub(crate) board: Board,
    pub(crate) store: Store,
    pub(crate) events: EventBus,
    pub(crate) journals: Journals,
    pub(crate) engine: Engine,
    pub(crate) tracker: TaskTracker,
    settings: RwLock<Settings>,
    /// What was counted, as of the last commit.
    pub(crate) tally: RwLock<Tally>,
    asks: mpsc::Sender<Ask>,
    /// Somebody is to look how full the file systems are: a project may be on a new one.
    look: Notify,
    /// Set when nothing is to begin any more.
    stop: CancellationToken,
}

/// What reaches the dispatcher from outside.
pub(crate) enum Ask {
    /// A person asks for something.
    Command(Command, oneshot::Sender<Result<Answer, Refusal>>),
    /// The configuration was read again.
    Site(Bounds, Tool),
    /// Somebody has looked how full the file systems are.
    Space(Survey),
    /// The policy has said which runs start next.
    Picked(u64, Option<Vec<RunId>>),
    /// The policy has said when a project is due again after this run.
    Planned(ProjectId, RunId, Suggestion),
    /// Somebody asks whether anybody is there.
    Alive(oneshot::Sender<()>),
    /// Somebody is about to read the queue.
    Queue(oneshot::Sender<()>),
}

/// Why the scheduler could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder of ours could not be made.
    #[error("cannot use the data folder {path}: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store could not be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Processes of an earlier server could not be looked for.
    #[error("cannot look for rsync processes that an earlier server left: {0}")]
    Orphans(io::Error),
}

impl Scheduler {
    /// Opens the store, ends what an earlier server left behind, recovers, and starts the clockwork.
    ///
    /// # Errors
    /// When the store is in use, damaged or unreadable, or a folder cannot be made.
    pub async fn start(settings: Settings, engine: Engine) -> Result<Self, StartError> {
        let folder = |path: &Path, source| StartError::Folder { path: path.to_owned(), source };
        let data_dir = &settings.data_dir;
        crate::store::private_folder(data_dir).map_err(|error| folder(data_dir, error))?;
        let runs = data_dir.join("runs");
        let journals = Journals::new(&runs, settings.max_log).map_err(|error| folder(&runs, error))?;
        let store = Store::open(&data_dir.join("store"))?;
        // The store's lock is ours now, so whoever still holds a destination was left by a server that is gone.
        let ended = engine.end_orphans(ORPHAN_GRACE).map_err(StartError::Orphans)?;
        if !ended.is_empty() {
            tracing::warn!(processes = ?ended, "ended rsync processes that an earlier server left");
        }
        let mut loaded = store.load()?;
        asking::forget_others(&mut loaded, settings.policy.as_deref());
        let tally = store.counts()?;
        let (asks, inbox) = mpsc::channel(WAITING);
        let shared = Arc::new(Shared {
            board: Board::default(),
            store,
            events: EventBus::new(Utc::now()),
            journals,
            engine,
            tracker: TaskTracker::new(),
            settings: RwLock::new(settings),
            tally: RwLock::new(tally),
            asks,
            look: Notify::new(),
            stop: CancellationToken::new(),
        });
        let mut surveyor = Surveyor::load(&shared.store);
        let mut shell = Shell::new(Arc::clone(&shared), inbox);
        // Before anything can start.
        let places = loaded.projects.iter().map(|(project, _)| project.place.clone()).collect();
        if let Some(survey) = survey(&mut surveyor, places).await {
            shell.survey(survey);
        }
        shell.recover(loaded).await?;
        shared.tracker.spawn(shell.run());
        shared.tracker.spawn(keep_surveying(Arc::clone(&shared), surveyor));
        shared.tracker.spawn(keep_trimmed(Arc::clone(&shared)));
        shared.tracker.spawn(keep_checked(Arc::clone(&shared)));
        Ok(Self { shared })
    }

    /// Asks for something and waits until it is durable.
    ///
    /// # Errors
    /// When it is refused; nothing was changed then.
    pub async fn ask(&self, command: Command) -> Result<Answer, Refusal> {
        if let Some((project, known)) = command.landing() {
            self.check_mounts(project, known).await?;
        }
        let (answer, result) = oneshot::channel();
        self.shared.asks.send(Ask::Command(command, answer)).await.map_err(|_| Refusal::Stopping)?;
        result.await.unwrap_or(Err(Refusal::Stopping))
    }

    /// Refuses a new place that is another project's by a mount. The core sees paths only, and looks at nothing.
    async fn check_mounts(&self, project: &Project, known: &ProjectId) -> Result<(), Refusal> {
        let before = self.shared.board.project(known);
        if before.is_some_and(|before| before.project.place == project.place) {
            return Ok(());
        }
        // Where the mounts are not shown, the lock on the folder is what is left.
        let Ok(Ok(table)) = tokio::task::spawn_blocking(MountTable::read).await else { return Ok(()) };
        match self.shared.board.overlap_by_mount(&table, &project.place, known) {
            Some(other) => Err(Refusal::Destination(DestinationError::Mounted(other))),
            None => Ok(()),
        }
    }

    /// The picture that readers look at.
    #[must_use]
    pub fn board(&self) -> &Board {
        &self.shared.board
    }

    /// Brings the queue of the board up to date. Where the clockwork does not come round in time, the queue stays as it
    /// was made last.
    pub async fn refresh_queue(&self) {
        if !self.shared.board.is_queue_old() {
            return;
        }
        let (answer, answered) = oneshot::channel();
        let asked =
            async { self.shared.asks.send(Ask::Queue(answer)).await.is_ok() && answered.await.is_ok() };
        // An older queue is better than none.
        let _ = tokio::time::timeout(READER_PATIENCE, asked).await;
    }

    /// The past.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// What happens.
    #[must_use]
    pub fn events(&self) -> &EventBus {
        &self.shared.events
    }

    /// What has come about since the store was made.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.shared.tally.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The logs and change lists.
    #[must_use]
    pub fn journals(&self) -> &Journals {
        &self.shared.journals
    }

    /// The lists of paths that runs are to look at.
    #[must_use]
    pub fn lists(&self) -> Lists {
        Lists::new(&self.shared.settings().data_dir)
    }

    /// Where projects may land.
    #[must_use]
    pub fn landing(&self) -> Landing {
        self.shared.settings().landing
    }

    /// The configuration that is in force.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.shared.settings()
    }

    /// Puts what can change live of a new configuration in force.
    pub async fn reconfigure(&self, settings: Settings) {
        self.shared.journals.set_max_log(settings.max_log);
        let site = Ask::Site(settings.bounds.clone(), settings.tool.clone());
        self.shared.look.notify_one();
        *self.shared.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        // A stopping scheduler has no use for it.
        let _ = self.shared.asks.send(site).await;
    }

    /// Whether the clockwork takes its turns: a process can be there while it hangs.
    pub async fn answers_within(&self, patience: Duration) -> bool {
        let (answer, answered) = oneshot::channel();
        let asked =
            async { self.shared.asks.send(Ask::Alive(answer)).await.is_ok() && answered.await.is_ok() };
        tokio::time::timeout(patience, asked).await.unwrap_or(false)
    }

    /// Whether the clockwork is running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.shared.stop.is_cancelled()
    }

    /// Ends: nothing starts any more, what goes is ended and recorded. The store can still be read and written.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        self.shared.tracker.close();
        self.shared.tracker.wait().await;
    }

    /// Closes the store, once the scheduler has ended and nobody else needs it.
    pub async fn close(&self) {
        let store = self.shared.store.clone();
        // A panic in there has said what it had to say.
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }
}

impl Shared {
    pub(crate) fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn clockwork(&self) -> Core {
        let settings = self.settings();
        let policy = settings.policy.as_ref();
        let picks = policy.is_some_and(|policy| policy.picks());
        Core::new(settings.bounds, settings.tool, rand::random()).asking(picks, policy.is_some())
    }
}

/// Trims the past from time to time.
async fn keep_trimmed(shared: Arc<Shared>) {
    // Not with the start, which has enough to read.
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + FIRST_SWEEP, SWEEP_EVERY);
    while shared.stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let projects: HashSet<ProjectId> =
            shared.board.projects().iter().map(|entry| entry.project.id.clone()).collect();
        let live: HashSet<RunId> = shared.board.runs().iter().map(|run| run.id).collect();
        let retention = shared.settings().retention;
        let (store, journals) = (&shared.store, &shared.journals);
        let trimmed =
            retention::sweep(store, journals, &retention, projects, live, Utc::now(), &shared.stop).await;
        match trimmed {
            Ok(0) => {}
            Ok(runs) => tracing::info!(runs, "forgot old runs"),
            Err(error) => tracing::warn!("cannot forget old runs: {error}"),
        }
        if let Err(error) = retention::trim_audit(&shared.store, AUDIT_LINES).await {
            tracing::warn!("cannot forget old lines of the audit trail: {error}");
        }
    }
}

/// Reads the whole store from time to time, so that damage is found before somebody needs what is damaged.
async fn keep_checked(shared: Arc<Shared>) {
    let first = tokio::time::Instant::now() + FIRST_CHECK;
    let mut ticks = tokio::time::interval_at(first, CHECK_EVERY);
    while shared.stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let checking = Arc::clone(&shared);
        let checked = tokio::task::spawn_blocking(move || checking.store.check()).await;
        match checked {
            Ok(Ok(checked)) => {
                for problem in checked.problems {
                    tracing::error!("the store is damaged: {problem}");
                }
            }
            Ok(Err(error)) => tracing::error!("the store cannot be checked: {error}"),
            Err(error) => tracing::error!("the check of the store failed: {error}"),
        }
    }
}

/// Looks from time to time how full the file systems are.
async fn keep_surveying(shared: Arc<Shared>, mut surveyor: Surveyor) {
    loop {
        surveyor.save(&shared.store).await;
        let pause = shared.settings().reserve.every;
        let wait = async {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shared.look.notified() => {}
            }
        };
        if shared.stop.run_until_cancelled(wait).await.is_none() {
            return;
        }
        let begun = Instant::now();
        let places = shared.board.projects().iter().map(|entry| entry.project.place.clone()).collect();
        if let Some(survey) = survey(&mut surveyor, places).await {
            // A stopping scheduler has no use for it.
            let _ = shared.asks.send(Ask::Space(survey)).await;
        }
        // Every project that is saved asks for a look, and a look is at the places of all of them.
        let rest = tokio::time::sleep(rest_after(begun.elapsed(), Duration::ZERO));
        if shared.stop.run_until_cancelled(rest).await.is_none() {
            return;
        }
    }
}

/// One look. A network file system that hangs holds up the next look, and nothing else.
async fn survey(surveyor: &mut Surveyor, places: Vec<PathBuf>) -> Option<Survey> {
    let mut looking = surveyor.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let survey = looking.look(Utc::now(), places.iter().map(PathBuf::as_path));
        (looking, survey)
    });
    let (looking, survey) = looked.await.ok()?;
    *surveyor = looking;
    survey.inspect_err(|error| tracing::warn!("cannot look how full the file systems are: {error}")).ok()
}
