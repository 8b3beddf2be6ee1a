//! A slave of a master of 2014: it syncs what it is told to, and says so once its rsync has really ended.
//!
//! Such a master proves nothing and gives no login. So a message is taken from the master's own address only, and
//! names nothing but what to pull, from that master, into this slave's folder: who, where and which module stand in
//! this slave's configuration. A pull that would delete more than the guard allows is held, since anybody on the
//! master's machine can send a message. What is still to be said outlives a restart, and is said until the master has heard it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::durable::replace;
use engine::{Options, Secret, Source};
use reqwest::{Client, Url, header};
use scheduler::{
    Answer, Command, EventKind, Guard, Outcome, Project, ProjectId, Refusal, Run, RunId, RunState, Scheduler,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::master::{AttemptBounds, differs, plain};
use super::{ASKER, LOOK, SlaveError, heir, http};
use crate::config;

/// How long the master's answer may take.
const ANSWER: Duration = Duration::from_secs(20);

/// Time for which the addresses of the master are known without asking for them again.
const RESOLVED_FOR: Duration = Duration::from_secs(5);
/// Pause between two warnings that somebody else sent a message.
const WARN_AGAIN: Duration = Duration::from_mins(1);

/// A slave that is told.
pub struct ToldSlave {
    http: Client,
    master: Url,
    config: config::MasterOf2014,
    bounds: AttemptBounds,
    public_dir: PathBuf,
    scheduler: Scheduler,
    path: PathBuf,
    reports: Mutex<BTreeMap<String, Report>>,
    /// Addresses of the master, and the time of the answer: strangers must not cause a question each.
    resolved: tokio::sync::Mutex<Option<(Instant, BTreeSet<IpAddr>)>>,
    /// Time of the newest warning.
    warned: Mutex<Option<Instant>>,
    /// Something was asked for.
    asked: Notify,
}

/// What the master is to hear of a project: its number of this slave, once this run has ended well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Report {
    slave_id: Value,
    run: String,
}

/// A message of the master.
pub(crate) struct Message {
    pub(crate) project: ProjectId,
    pub(crate) host: String,
    /// Port of the rsync daemon; none: the message does not name one.
    pub(crate) port: Option<u16>,
    pub(crate) password: Option<Secret>,
    pub(crate) options: Options,
    pub(crate) slave_id: Value,
}

/// Why a message is not obeyed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToldError {
    /// It names another machine than the master.
    #[error("rsync_host: {0} is not the master: this slave pulls from its own master only")]
    Host(String),
    /// It names another port than that of the master's rsync daemon.
    #[error(
        "rsync_host: port {0} is not that of the master's rsync daemon, which is {1} in this slave's configuration \
         (`of_2014.port`)"
    )]
    Port(u16, u16),
    /// It names what cannot be pulled.
    #[error("{0}")]
    Wrong(String),
    /// The scheduler refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What is to be reported cannot be kept.
    #[error("it could not be stored: {0}")]
    File(#[from] std::io::Error),
}

impl ToldSlave {
    /// Reads what an earlier process of this slave left.
    ///
    /// # Errors
    /// When that cannot be read, or no requests can be made.
    pub fn new(
        config: &config::Slave,
        of_2014: &config::MasterOf2014,
        data_dir: &Path,
        scheduler: Scheduler,
    ) -> Result<Self, SlaveError> {
        let path = data_dir.join("told.json");
        let failed = |source| SlaveError::File { path: path.clone(), source };
        let reports = match std::fs::read(&path) {
            // A file that cannot be understood says nothing: the master tells again.
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(failed(error)),
        };
        Ok(Self {
            http: http::client(config)?,
            master: Url::parse(&config.master).map_err(|error| failed(std::io::Error::other(error)))?,
            config: of_2014.clone(),
            bounds: AttemptBounds::of(config),
            public_dir: config.public_dir.clone(),
            scheduler,
            path,
            reports: Mutex::new(reports),
            resolved: tokio::sync::Mutex::default(),
            warned: Mutex::default(),
            asked: Notify::new(),
        })
    }

    /// Returns true if a message from this address is the master's.
    pub(crate) async fn is_from_master(&self, from: IpAddr) -> bool {
        let mut resolved = self.resolved.lock().await;
        let known = match resolved.take().filter(|(at, _)| at.elapsed() < RESOLVED_FOR) {
            Some(known) => known,
            None => (Instant::now(), addresses(self.master.host_str().unwrap_or_default()).await),
        };
        let is_known = known.1.contains(&from.to_canonical());
        *resolved = Some(known);
        if !is_known {
            self.warn(from);
        }
        is_known
    }

    /// Leaves a line about a message from somebody else, now and then: anybody can send many.
    fn warn(&self, from: IpAddr) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|warned| warned.elapsed() >= WARN_AGAIN) {
            *warned = Some(Instant::now());
            tracing::warn!(%from, "somebody else than the master told this slave to sync: nothing was done");
        }
    }

    /// Does what a message says, and gives the run.
    ///
    /// # Errors
    /// When it cannot be done; nothing has changed then.
    pub(crate) async fn obey(&self, message: Message) -> Result<RunId, ToldError> {
        let own = self.master.host_str().unwrap_or_default();
        let same = message.host == own || !addresses(own).await.is_disjoint(&addresses(&message.host).await);
        if !same {
            return Err(ToldError::Host(message.host));
        }
        if let Some(port) = message.port.filter(|port| *port != self.config.port) {
            return Err(ToldError::Port(port, self.config.port));
        }

        let (id, slave_id) = (message.project.clone(), message.slave_id.clone());
        let project = self.project(message)?;
        match self.scheduler.board().project(&id) {
            None => drop(self.scheduler.ask(Command::Create(Box::new(project))).await?),
            Some(known) if differs(&known.project, &project) => {
                let replace = Command::Replace { project: Box::new(project), if_version: None };
                drop(self.scheduler.ask(replace).await?);
            }
            Some(_) => {}
        }
        let sync = Command::Sync { id: id.clone(), by: ASKER.to_owned(), whole: false };
        let Answer::Run(run) = self.scheduler.ask(sync).await? else {
            return Err(ToldError::Wrong("the scheduler did not answer with a run".to_owned()));
        };
        self.reports().insert(id.to_string(), Report { slave_id, run: run.id.to_string() });
        self.save()?;
        self.asked.notify_one();
        Ok(run.id)
    }

    fn project(&self, message: Message) -> Result<Project, ToldError> {
        let wrong = |errors: Vec<engine::source::SourceError>| {
            ToldError::Wrong(engine::source::SourceErrors(errors).to_string())
        };
        let config::MasterOf2014 { user, module, port } = &self.config;
        let id = message.project;
        let source = Source::new(Some(user), &message.host, *port, module, id.as_str()).map_err(wrong)?;
        let dest = self.public_dir.join(id.as_str());
        let place = self.scheduler.landing().resolve(&dest);
        let place = place.map_err(|error| ToldError::Wrong(format!("`public_dir` {error}")))?;
        let name = id.to_string();
        let mut project = plain(id, name, source, message.password, (dest, place), message.options);
        // A master of 2014 does not say what it has, so its loss shows only in what would go here.
        project.guard = Guard::default();
        self.bounds.apply(None, &mut project);
        Ok(project)
    }

    /// Reports what has ended until the end.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut events = self.scheduler.events().subscribe(None).live;
        loop {
            let waiting: Vec<_> = self.reports().clone().into_iter().collect();
            for (project, report) in waiting {
                let Some(()) = stop.run_until_cancelled(self.settle(&project, &report)).await else { return };
            }
            let ended = async {
                loop {
                    match events.recv().await {
                        Ok(event) if matches!(event.kind, EventKind::RunEnded(_)) => return,
                        Ok(_) => {}
                        Err(RecvError::Lagged(_)) => return,
                        Err(RecvError::Closed) => std::future::pending().await,
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = ended => {}
                () = self.asked.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Takes the end of a run to the master. Only a sync that ended well is one.
    async fn settle(&self, project: &str, report: &Report) {
        let Ok(run) = report.run.parse::<RunId>() else { return self.forget(project, report) };
        let run: Run = match self.scheduler.store().run(run) {
            Ok(Some(run)) if run.state.is_ended() => run,
            Ok(None) => return self.forget(project, report),
            // Not ended, or not to be read now.
            Ok(Some(_)) | Err(_) => return,
        };
        match run.state {
            RunState::Ended { outcome, .. } if outcome.is_good() => {}
            RunState::Ended { outcome: Outcome::Interrupted, .. } => {
                let heir = heir(&self.scheduler, &run.project, run.id);
                let next = heir.map(|heir| Report { run: heir.to_string(), ..report.clone() });
                return self.exchange(project, report, next);
            }
            _ => return self.forget(project, report),
        }
        match self.say(project, &report.slave_id).await {
            Ok(()) => self.forget(project, report),
            Err(why) => tracing::debug!(project, "the master did not hear of a sync: {why}"),
        }
    }

    async fn say(&self, project: &str, slave_id: &Value) -> Result<(), String> {
        let mut url = self.master.clone();
        url.set_path(&format!("{}/slave_rsync_complete/", url.path().trim_end_matches('/')));
        let body = json!({ "slave_id": slave_id, "project": project }).to_string();
        let request = self.http.post(url).timeout(ANSWER).body(body);
        let request =
            request.header(header::CONTENT_TYPE, "application/json").header(header::ACCEPT, "text/plain");
        // A master of 2014 asks for no login; one of today does, and knows this one.
        let known = project.parse().ok().and_then(|id| self.scheduler.board().project(&id));
        let password = known.and_then(|entry| entry.project.password.clone());
        let request = match &password {
            Some(password) => request.basic_auth(&self.config.user, Some(password.expose())),
            None => request,
        };
        let answer = request.send().await.map_err(|error| http::cause(&error))?;
        let status = answer.status();
        // What it refuses now it would refuse again.
        if status.is_client_error() {
            tracing::warn!(project, "the master does not take the report of a sync: {status}");
            return Ok(());
        }
        status.is_success().then_some(()).ok_or_else(|| status.to_string())
    }

    fn forget(&self, project: &str, report: &Report) {
        self.exchange(project, report, None);
    }

    /// Puts another report in the place of one, unless it has been replaced meanwhile.
    fn exchange(&self, project: &str, report: &Report, next: Option<Report>) {
        {
            let mut reports = self.reports();
            if reports.get(project) != Some(report) {
                return;
            }
            match next {
                Some(next) => drop(reports.insert(project.to_owned(), next)),
                None => drop(reports.remove(project)),
            }
        }
        if let Err(error) = self.save() {
            tracing::error!("what the master is to hear cannot be stored: {error}");
        }
    }

    fn save(&self) -> std::io::Result<()> {
        let reports = self.reports();
        replace(&self.path, &serde_json::to_vec(&*reports).unwrap_or_default())
    }

    fn reports(&self) -> MutexGuard<'_, BTreeMap<String, Report>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The addresses of a host; none where it has none.
async fn addresses(host: &str) -> BTreeSet<IpAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match tokio::net::lookup_host((bare, 0)).await {
        Ok(found) => found.map(|address| address.ip().to_canonical()).collect(),
        Err(_) => BTreeSet::new(),
    }
}
