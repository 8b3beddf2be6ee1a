//! The slave role: it follows a master, pulls what it lacks, and says what it holds.
//!
//! Three loops share what is known. [`Slave::listen`] asks the master for news and waits for the answer;
//! [`Slave::follow`] compares what the master has with what is held, and asks the slave's own scheduler for one sync to
//! the newest generation, however many were missed; [`Slave::tell`] reports what has really ended. Each of them starts
//! from a state, never from a message: what was lost, or came while this machine slept, is made up for by the next look.
//!
//! Pulling is the scheduler's: queue, retries, guardian and recovery are those of every project. The generation that a
//! run is worth is the one that the master had *before* its rsync started, so that it is never claimed too early.
//!
//! A slave of a master of 2014 is another one, in [`told`].

pub(crate) mod contact;
pub(crate) mod held;
mod hold;
pub(crate) mod http;
mod link;
mod master;
mod sample;
pub(crate) mod told;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use scheduler::{Answer, Command, EventKind, Outcome, ProjectId, RunId, RunState, Scheduler, Trigger};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::nodes::since::is_within;
use contact::MasterContact;
use held::{Held, Target};
use link::{Link, LinkError};
use master::{AttemptBounds, News, Remote};

/// How often everything is looked at anew, whatever was heard.
const LOOK: Duration = Duration::from_secs(5);
/// How long to wait after a run that failed for good before another is asked for, the first time.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How long at most.
const AFTER_FAILURE_AT_MOST: Duration = Duration::from_mins(10);
/// How long to wait before an unreachable master is asked again, the first time.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// How long at most.
const ASK_AGAIN_AT_MOST: Duration = Duration::from_secs(15);
/// How long when the master knows this slave no more.
const REMOVED: Duration = Duration::from_mins(1);
/// How many runs are looked through for the one that repeats another.
const RUNS: usize = 20;
/// Who asks for the syncs of a slave.
const ASKER: &str = "the master";

/// A slave.
pub struct Slave {
    link: Link,
    contact: Arc<MasterContact>,
    bounds: AttemptBounds,
    public_dir: PathBuf,
    /// How often everything is looked at, whatever has changed.
    whole_every: Duration,
    /// How often some places are compared with the master's.
    sample_every: Duration,
    scheduler: Scheduler,
    held: Mutex<Held>,
    news: watch::Sender<Option<News>>,
    /// Something is to be told.
    untold: Notify,
}

/// Why a slave cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SlaveError {
    /// What it remembers cannot be read or written.
    #[error("cannot use {path}: {source}")]
    File {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificates of `ca` cannot be used.
    #[error(
        "role.ca: {path} cannot be used: {why}. It must be a PEM file of certificates that this user can read"
    )]
    Ca {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// There is no enrolment secret.
    #[error("role.enrolment: is missing: it lets this slave join")]
    NoSecret,
    /// The enrolment secret cannot be fetched.
    #[error("role.enrolment: {0}")]
    Secret(config::SecretError),
    /// No requests can be made.
    #[error("cannot make requests: {0}")]
    Http(reqwest::Error),
}

impl Slave {
    /// Reads what an earlier process of this slave left.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn new(config: &config::Slave, data_dir: &Path, scheduler: Scheduler) -> Result<Self, SlaveError> {
        let link = Link::new(config, data_dir)?;
        Ok(Self {
            contact: Arc::new(MasterContact::new(link.master())),
            bounds: AttemptBounds::of(config),
            link,
            public_dir: config.public_dir.clone(),
            whole_every: config.whole_every,
            sample_every: config.sample_every,
            held: Mutex::new(Held::load(&data_dir.join("held.json"))?),
            scheduler,
            news: watch::Sender::new(None),
            untold: Notify::new(),
        })
    }

    /// The contact with the master, for those who show it.
    #[must_use]
    pub(crate) fn contact(&self) -> Arc<MasterContact> {
        Arc::clone(&self.contact)
    }

    /// Follows the master until the end.
    pub async fn run(&self, stop: &CancellationToken) {
        tokio::join!(self.listen(stop), self.follow(stop), self.tell(stop), self.check(stop));
    }

    /// Asks the master for news, again and again.
    async fn listen(&self, stop: &CancellationToken) {
        let mut pause = ASK_AGAIN;
        loop {
            let known = self.news.borrow().as_ref().map(|news| news.tag.clone());
            let Some(asked) = stop.run_until_cancelled(self.link.news(known.as_deref())).await else {
                return;
            };
            let wait = match asked {
                Ok(news) => {
                    if self.contact.heard() {
                        tracing::info!(master = self.link.master(), "in touch with the master");
                        // What could not be told meanwhile is told now.
                        self.untold.notify_one();
                    }
                    pause = ASK_AGAIN;
                    self.news.send_replace(Some(news));
                    continue;
                }
                Err(error) => {
                    let words = error.to_string();
                    if self.contact.lost(words.clone()) {
                        tracing::warn!(master = self.link.master(), "{words}");
                    }
                    if matches!(error, LinkError::Removed) { REMOVED } else { pause }
                }
            };
            pause = (pause * 2).min(ASK_AGAIN_AT_MOST);
            if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    /// Brings what is held to what the master has.
    async fn follow(&self, stop: &CancellationToken) {
        let mut events = self.scheduler.events().subscribe(None).live;
        let mut news = self.news.subscribe();
        let mut ticks = tokio::time::interval(LOOK);
        loop {
            self.settle();
            let current = news.borrow_and_update().clone();
            if let Some(current) = current
                && stop.run_until_cancelled(self.adopt(&current)).await.is_none()
            {
                return;
            }
            let ended = async {
                loop {
                    match events.recv().await {
                        Ok(event) if is_of_interest(&event.kind) => return,
                        Ok(_) => {}
                        Err(RecvError::Lagged(_)) => return,
                        Err(RecvError::Closed) => std::future::pending().await,
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = ended => {}
                _ = news.changed() => {}
                _ = ticks.tick() => {}
            }
        }
    }

    /// Takes the ends of runs to the account.
    fn settle(&self) {
        let mut targets = self.held().targets();
        while let Some((project, run, target)) = targets.pop() {
            let ended = match self.scheduler.store().run(run) {
                Ok(Some(ended)) if ended.state.is_ended() => ended,
                Ok(Some(live)) => {
                    self.held().note_hold(&project, &live, &target);
                    continue;
                }
                Ok(None) => {
                    self.held().forget(&project, run);
                    continue;
                }
                Err(error) => {
                    tracing::error!("what this slave holds cannot be looked up: {error}");
                    return;
                }
            };
            let cut_off = matches!(ended.state, RunState::Ended { outcome: Outcome::Interrupted, .. });
            let heir = if cut_off { heir(&self.scheduler, &project, run) } else { None };
            let whole = !self.scheduler.lists().was_used(run);
            self.held().settle(&project, &ended, &target, heir, whole);
            self.scheduler.lists().forget(run);
            // It may have ended already, before anybody looked.
            targets.extend(heir.map(|heir| (project, heir, target)));
        }
        self.save();
    }

    /// Makes this slave's projects those of the master, and asks for what they lack.
    async fn adopt(&self, news: &News) {
        let mut wanted = BTreeMap::new();
        for remote in &news.projects {
            match self.link.project(news, remote, &self.public_dir, &self.scheduler) {
                Ok(mut project) => {
                    self.bounds.apply(Some(remote), &mut project);
                    // Nothing that is there may change under a run that puts a generation in place.
                    let stages = remote.is_to_stage() && !self.held().is_publishing(&project.id);
                    let options = match stages {
                        true => master::staging(&remote.index),
                        false if self.held().is_by_content(&project.id) => master::by_content(),
                        false => None,
                    };
                    project.options = options.unwrap_or(project.options);
                    wanted.insert(project.id.clone(), (project, remote));
                }
                Err(why) => tracing::warn!(
                    project = remote.id,
                    "the master offers what this slave cannot take: {why}"
                ),
            }
        }
        for entry in self.scheduler.board().projects() {
            if !wanted.contains_key(&entry.project.id) {
                let id = entry.project.id.clone();
                tracing::info!(project = %id, "the master offers this project no more; its files stay");
                self.ask(Command::Delete { id, if_version: None }).await;
            }
        }
        for (id, (project, remote)) in wanted {
            let known = self.scheduler.board().project(&id);
            let changed = match known {
                None => self.ask(Command::Create(Box::new(project))).await,
                Some(known) if master::differs(&known.project, &project) => {
                    self.ask(Command::Replace { project: Box::new(project), if_version: None }).await
                }
                Some(_) => None,
            };
            self.review(&id, news, changed.is_some()).await;
            self.pull(&id, remote, news.wish).await;
        }
    }

    /// Asks for one sync to the newest generation, unless that is held, under way, or has just failed.
    async fn pull(&self, id: &ProjectId, remote: &Remote, wish: u64) {
        let stage = remote.is_to_stage();
        let target = remote.target(wish, stage);
        let Some(entry) = self.scheduler.board().project(id) else { return };
        let overdue = !self.held().whole_at(id).is_some_and(|at| is_within(self.whole_every, at, Utc::now()));
        if remote.generation == 0 || (self.held().has(id, &target) && !overdue) {
            return;
        }
        if self.held().is_on_the_way(id, &target) || (stage && self.has_enough(id, &target)) {
            return;
        }
        let pause =
            AFTER_FAILURE.saturating_mul(1 << entry.standing.failures.min(12)).min(AFTER_FAILURE_AT_MOST);
        let rests =
            entry.standing.last_run.as_ref().filter(|_| entry.standing.failures > 0).is_some_and(|last| {
                is_within(pause, last.ended, Utc::now()) && self.held().tried(id, &target)
            });
        if rests {
            return;
        }
        // What failed before is not tried in the same way again.
        let whole = (overdue && !stage) || entry.standing.failures > 0 || self.held().tried(id, &target);
        self.narrow(id, &target, whole).await;
        let command = Command::Sync { id: id.clone(), by: ASKER.to_owned(), whole: false };
        if let Some(Answer::Run(run)) = self.ask(command).await {
            self.held().aim(id, run.id, target);
            self.save();
        }
    }

    /// Whether what is to be fetched and not put in place is there already, or must wait for a run that puts something in
    /// place: the two are fetched in different ways.
    fn has_enough(&self, id: &ProjectId, target: &Target) -> bool {
        let held = self.held();
        let placed = held.has(id, &Target { stage: false, ..target.clone() });
        placed || held.has_staged(id, target) || held.is_publishing(id)
    }

    /// Leaves a list of what has changed for the run that is about to be asked for, where that is enough.
    async fn narrow(&self, id: &ProjectId, target: &Target, whole: bool) {
        let lists = self.scheduler.lists();
        let base = if whole { None } else { self.held().base(id, target) };
        let paths = match base {
            Some(base) => self.link.changes(id.as_str(), target, base).await,
            None => None,
        };
        let left = paths.map(|paths| lists.leave(id, &paths));
        if !matches!(left, Some(Ok(()))) {
            // Whatever is left from before leads to an older generation.
            lists.withdraw(id);
        }
    }

    async fn ask(&self, command: Command) -> Option<Answer> {
        match self.scheduler.ask(command).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::warn!("{error}");
                None
            }
        }
    }

    fn save(&self) {
        match self.held().save() {
            Ok(true) => self.untold.notify_one(),
            Ok(false) => {}
            Err(error) => tracing::error!("what this slave holds cannot be stored: {error}"),
        }
    }

    /// Tells the master what has ended, until it has heard it.
    async fn tell(&self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.untold.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            let reports = self.held().untold();
            for (project, report) in reports {
                let Some(told) = stop.run_until_cancelled(self.link.report(&report)).await else { return };
                match told {
                    Ok(()) => self.held().told(&project, &report),
                    Err(error) => {
                        tracing::debug!(%project, "the master did not hear of a run: {error}");
                        break;
                    }
                }
            }
            self.save();
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an event changes what is known of a run: it has ended, or waits for a person.
fn is_of_interest(kind: &EventKind) -> bool {
    matches!(kind, EventKind::RunEnded(_) | EventKind::RunHeld(_))
}

/// The run that repeats one that was cut off.
fn heir(scheduler: &Scheduler, project: &ProjectId, cut_off: RunId) -> Option<RunId> {
    // A store that cannot be read names none, and everything is synced once more.
    let runs = scheduler.store().runs(Some(project), None, RUNS).unwrap_or_default();
    let mut later = runs.into_iter().filter(|run| run.id > cut_off && run.trigger == Trigger::Recovery);
    later.next_back().map(|run| run.id)
}
