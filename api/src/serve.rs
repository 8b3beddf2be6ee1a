//! The server: puts the parts together, runs them, and takes them apart in order.
//!
//! Stopping has phases, each with a deadline: no new connection and no new run, rsyncs are ended, what ended is
//! recorded, the store is closed. A second signal skips all of that; the guardians end their rsyncs even then.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::Utc;
use engine::rsync::version::Support;
use engine::{DelegatedGroup, Engine, Limits};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use scheduler::core::Tool;
use scheduler::destination::Landing;
use scheduler::disk::Reserve;
use scheduler::retention::Retention;
use scheduler::{Bounds, Scheduler, Settings};
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::alerts::{self, Alerts};
use crate::app::{App, Shared};
use crate::auth::Gate;
use crate::auth::accounts::{Accounts, PasswordFrom};
use crate::config::{self, Config, Loaded, LogFormat, Role};
use crate::host::Host;
use crate::http::{self, FrontDoor};
use crate::metrics::Metrics;
use crate::nodes::Nodes;
use crate::pages::Pages;
use crate::reload::{self, Reloader};
use crate::slave::Slave;
use crate::slave::contact::MasterContact;
use crate::slave::told::ToldSlave;
use crate::telemetry::Telemetry;
use crate::tls::Certificate;

/// Open files that are not connections: the store, pipes of rsyncs, logs.
const OTHER_FILES: usize = 512;
/// How often the last use of tokens is stored.
const USES_EVERY: Duration = Duration::from_mins(1);
/// How long a stop waits for changes that are being made.
const CHANGES_DEADLINE: Duration = Duration::from_secs(2);
/// How long everything together may take to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(18);
/// Longest time for closing the store behind that.
const CLOSE_DEADLINE: Duration = Duration::from_secs(6);

/// `heliostat serve`: 0 after a stop, 1 when it cannot run, 2 for a wrong configuration.
#[must_use]
pub fn main(explicit: Option<&Path>) -> ExitCode {
    let loaded = match Config::load(explicit) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprint!("{}", config::check_report(&errors));
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("heliostat: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(serve(loaded, explicit.map(Path::to_owned)));
    // After a second signal something may still be blocked; it must not hold up the end.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("heliostat: {}", in_full(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes, without those that the text before them names already.
fn in_full(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

async fn serve(loaded: Loaded, explicit: Option<PathBuf>) -> anyhow::Result<()> {
    let config = loaded.config.clone();
    let ended = Box::pin(run(loaded, explicit)).await;
    if let Err(error) = &ended {
        alerts::could_not_start(&config, &in_full(error)).await;
    }
    ended
}

async fn run(loaded: Loaded, explicit: Option<PathBuf>) -> anyhow::Result<()> {
    let Loaded { config, path, warnings } = loaded;
    let telemetry = Telemetry::start(&config.log.level, config.log.format == LogFormat::Json)?;
    report_configuration(&config, path.as_deref(), &warnings);

    let mut signals = Signals::listen()?;
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; if another server has it, stop that one or choose another `listen`",
            config.listen
        )
    })?;
    let data_dir = std::path::absolute(&config.data_dir)?;
    engine::durable::make_private_folder(&data_dir)
        .with_context(|| format!("cannot make {}", data_dir.display()))?;
    let host = Host::load(&config, &data_dir).await?;
    let scheduler = start_scheduler(&config, path.as_deref(), data_dir.clone(), &host).await?;
    host.connect(&scheduler);
    let (accounts, from) = Accounts::load(scheduler.store().clone(), &data_dir)?;
    tell_password(&from);
    if let Err(error) = accounts.settle_starts(&scheduler.board().projects()).await {
        tracing::warn!("tokens of projects that are gone are still listed: {error}");
    }
    let part = Part::of(&config, &accounts, &scheduler)?;
    let certificate = config.tls.as_ref().map(Certificate::load).transpose()?.map(Arc::new);
    let stop = CancellationToken::new();
    let max_body = usize::try_from(config.http.max_body.0).unwrap_or(usize::MAX);
    let connections = allowed_connections(config.http.max_connections);
    let door = FrontDoor::new(certificate.clone(), &config.http, connections);
    let shared = Shared {
        scheduler: scheduler.clone(),
        gate: Gate::new(accounts),
        reloader: Reloader::new(explicit, config, telemetry, certificate.clone()),
        host,
        nodes: part.nodes(),
        told: part.told(),
        contact: part.contact(),
        alerts: Alerts::load(scheduler.store()),
        metrics: Metrics::default(),
        started: Utc::now(),
        pages: Pages::default(),
        documents: Pages::default(),
        max_body,
        changes: TaskTracker::new(),
        stop: stop.clone(),
    };
    let app = App::new(shared);
    let scheme = if certificate.is_some() { "https" } else { "http" };
    tracing::info!("listening on {scheme}://{}", listener.local_addr()?);
    let web = http::serve(listener, app.clone().router(), door, stop.clone());
    hide_memory();
    notify(&[NotifyState::Ready]);
    let work = async {
        let stopping = stop_in_order(&mut signals, &app);
        tokio::join!(web, stopping, remember_uses(&app), part.play(&app), app.alerts.run(&app));
        // Last, since each of these may have something left to store. Without it, the next start is slower.
        if tokio::time::timeout(CLOSE_DEADLINE, scheduler.close()).await.is_err() {
            tracing::error!("the store could not be closed in time; nothing of it is lost");
        }
    };
    let forced = Signals::listen()?;
    tokio::select! {
        () = work => tracing::info!("stopped"),
        () = forced.second() => tracing::warn!("a second signal: ending at once"),
    }
    Ok(())
}

/// Logs which configuration applies, and what an administrator should change in it.
fn report_configuration(config: &Config, path: Option<&Path>, warnings: &[String]) {
    // A line of the log is one line.
    for warning in warnings.iter().flat_map(|warning| warning.lines()) {
        tracing::warn!("{warning}");
    }
    match path {
        Some(path) => tracing::info!("configuration: {}", path.display()),
        None => tracing::info!("configuration: none found, the built-in one applies"),
    }
    if config.allowed_roots.is_empty() && matches!(config.role, Role::Master(_)) {
        tracing::warn!(
            "`allowed_roots` is empty: only root may say where the tree of a project lands; name the folders below \
             which others may"
        );
    }
}

/// Waits for a signal that ends the server, then lets changes be made to their end and ends the rsyncs.
async fn stop_in_order(signals: &mut Signals, app: &App) {
    signals.first(app).await;
    tracing::info!("stopping: rsyncs are ended and recorded; a second signal ends at once");
    notify(&[NotifyState::Stopping]);
    app.stop.cancel();

    app.changes.close();
    if tokio::time::timeout(CHANGES_DEADLINE, app.changes.wait()).await.is_err() {
        tracing::warn!("stopping while changes are being made: who asked for them is not answered");
    }
    app.gate.accounts.store_uses().await;
    if tokio::time::timeout(STOP_DEADLINE, app.scheduler.stop()).await.is_err() {
        tracing::error!("something did not end in time; the next start will find and end it");
    }
}

/// What this server does beside mirroring.
enum Part {
    /// It feeds slaves.
    Master(Arc<Nodes>),
    /// It follows a master.
    Slave(Box<Slave>),
    /// It does what a master of 2014 tells it.
    Told(Arc<ToldSlave>),
}

impl Part {
    fn of(config: &Config, accounts: &Accounts, scheduler: &Scheduler) -> anyhow::Result<Self> {
        let data_dir = scheduler.settings().data_dir;
        Ok(match &config.role {
            Role::Master(master) => {
                let nodes = Nodes::load(config, master, accounts, &data_dir)?;
                nodes.look(scheduler);
                Self::Master(Arc::new(nodes))
            }
            Role::Slave(slave) => match &slave.of_2014 {
                None => Self::Slave(Box::new(Slave::new(slave, &data_dir, scheduler.clone())?)),
                Some(of_2014) => {
                    Self::Told(Arc::new(ToldSlave::new(slave, of_2014, &data_dir, scheduler.clone())?))
                }
            },
        })
    }

    fn nodes(&self) -> Option<Arc<Nodes>> {
        match self {
            Self::Master(nodes) => Some(Arc::clone(nodes)),
            Self::Slave(_) | Self::Told(_) => None,
        }
    }

    fn told(&self) -> Option<Arc<ToldSlave>> {
        match self {
            Self::Told(slave) => Some(Arc::clone(slave)),
            Self::Master(_) | Self::Slave(_) => None,
        }
    }

    fn contact(&self) -> Option<Arc<MasterContact>> {
        match self {
            Self::Slave(slave) => Some(slave.contact()),
            Self::Master(_) | Self::Told(_) => None,
        }
    }

    async fn play(&self, app: &App) {
        match self {
            Self::Master(nodes) => {
                let locks = app.scheduler.settings().data_dir.join("locks");
                nodes.run(&app.scheduler, &app.gate.accounts, &locks, &app.stop).await;
            }
            Self::Slave(slave) => Box::pin(slave.run(&app.stop)).await,
            Self::Told(slave) => slave.run(&app.stop).await,
        }
    }
}

async fn start_scheduler(
    config: &Config,
    file: Option<&Path>,
    data_dir: PathBuf,
    host: &Host,
) -> anyhow::Result<Scheduler> {
    let program = found(&config.rsync.program);
    let engine = Engine::new(program.clone(), engine::guardian::argv(), &data_dir)
        .context("cannot use the data folder")?;
    let engine = engine
        .with_nursery()
        .with_group(find_group())
        .with_grace(config.stop_grace)
        .with_memory_max(config.rsync.memory_max.0);
    check_version(&engine, config.rsync.allow_old).await?;
    let mut settings = Settings {
        bounds: Bounds::default(),
        tool: Tool { program, limits: Limits::default(), commands: Arc::default() },
        landing: Landing::default(),
        retention: Retention::default(),
        reserve: Reserve::default(),
        max_log: config.history.max_log.0,
        data_dir,
        hooks: host.hooks(),
        policy: host.policy(),
        trace: None,
    };
    reload::apply(&mut settings, config, file);
    Ok(Scheduler::start(settings, engine).await?)
}

/// Finds the cgroup below which the memory of whole attempts is bounded, and tells where that is left out.
fn find_group() -> Option<DelegatedGroup> {
    match DelegatedGroup::find() {
        Ok(group) => {
            tracing::info!(
                "the memory of each attempt is bounded as a whole below {}",
                group.folder().display()
            );
            Some(group)
        }
        Err(reason) => {
            tracing::info!("the memory of an attempt is bounded for each of its processes alone: {reason}");
            None
        }
    }
}

/// Raises the bound on open files as far as the system lets us, and leaves enough of them for the store and the rsyncs.
fn allowed_connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let most = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let most = most.map_or(wanted, |most| {
        usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(OTHER_FILES).max(1)
    });
    if most < wanted {
        tracing::warn!(
            "only {most} connections at once: raise the limit on open files (LimitNOFILE, ulimit -n)"
        );
    }
    wanted.min(most)
}

/// Hides the memory and the open files of this process from the other processes of its user: both hold secrets. There is
/// no core dump either. What it starts can be examined as before (`PR_SET_DUMPABLE` ends with `execve(2)`), so the sweep
/// for leftovers finds it.
fn hide_memory() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!("other processes of this user can read the server's memory: {error}");
    }
}

/// Stores now and then when tokens were used last.
async fn remember_uses(app: &App) {
    while app.stop.run_until_cancelled(tokio::time::sleep(USES_EVERY)).await.is_some() {
        app.gate.accounts.store_uses().await;
    }
}

/// A program's full path, where its name is one of our `PATH`: the attempts run with another one.
pub(crate) fn found(program: &Path) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    let plain = program.components().count() == 1;
    plain.then(|| places.find(|place| place.is_file())).flatten().unwrap_or_else(|| program.to_owned())
}

/// Old rsyncs can be taken over by a malicious upstream.
async fn check_version(engine: &Engine, allow_old: bool) -> anyhow::Result<()> {
    let version = engine.version().await?;
    match version.support() {
        Support::Supported => tracing::info!("rsync {version}"),
        Support::Refused if !allow_old => bail!(
            "rsync {version} has holes that a malicious upstream can use; 3.4.1 is the oldest that is accepted, and \
             3.5.0 is recommended. A distribution that has mended them under an old number: set \
             `rsync: (allow_old: true)`"
        ),
        Support::Old | Support::Refused => {
            tracing::warn!("rsync {version} is older than 3.5.0, which closed 33 holes: update it");
        }
    }
    Ok(())
}

fn tell_password(from: &PasswordFrom) {
    match from {
        PasswordFrom::Environment => tracing::info!("root's password comes from the environment"),
        PasswordFrom::Store => tracing::info!("root's password was changed, and is known by its hash alone"),
        PasswordFrom::File(path) => tracing::info!("root's password is in {}", path.display()),
        // On the terminal, once, and never in the log.
        PasswordFrom::Made(password, path) => {
            eprintln!(
                "\n  The first user is `root`, the password is  {}\n  (also in {})\n",
                password.expose(),
                path.display()
            );
        }
    }
}

/// Tells the service manager, where there is one.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!("the service manager was not told: {error}");
    }
}

/// The signals that a server obeys.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the first TERM or INT; a HUP on the way reads the configuration again.
    async fn first(&mut self, app: &App) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    if let Err(report) = app.reload().await {
                        tracing::error!("the configuration was not read again, and nothing was changed:");
                        report.lines().for_each(|line| tracing::error!("{line}"));
                    }
                }
            }
        }
    }

    /// Waits for the second TERM or INT.
    async fn second(mut self) {
        for _ in 0..2 {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
        }
    }
}
