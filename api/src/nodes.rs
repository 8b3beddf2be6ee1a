//! The master's side of slaves: who joined, what they are offered, and what they hold.
//!
//! A slave asks what there is and is answered when something is new ([`Nodes::wait`]); it compares that with what it
//! holds and pulls by itself. So nothing is lost when a message is: the next answer says it all again. What it says of
//! itself is kept, and is never believed beyond what the master has.
//!
//! [`proof`] is how a slave joins, [`offer`] what is offered, [`report`] what slaves say of themselves, [`rsyncd`] the daemon that slaves pull from, [`old`] the nodes
//! of 2014, [`lag`] who is too far behind, [`together`]
//! when slaves may put in place what they publish together.

mod asking;
pub(crate) mod changes;
mod error;
mod greetings;
mod holdings;
mod known;
pub(crate) mod lag;
pub(crate) mod offer;
mod old;
pub(crate) mod proof;
mod report;
mod rsyncd;
pub(crate) mod sample;
pub(crate) mod since;
mod times;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use engine::Secret;
use scheduler::member::{Member, MemberName};
use scheduler::{ProjectId, Scheduler};
use tokio::sync::watch;
use ulid::Ulid;

use crate::auth::accounts::{AccountRequest, Accounts};
use crate::config::{self, Config, Master};
pub use error::{NodeError, NodesError};
use greetings::OpenGreetings;
use known::{Known, Seen};
pub(crate) use known::{MemberContact, Shown};

use offer::{Offer, Place};
use proof::{Meeting, Nonce};
use rsyncd::Daemon;
use times::GenerationTimes;

/// How often it is looked whether slaves that wait for each other have waited long enough.
const DEADLINES: Duration = Duration::from_secs(1);
/// Pause before the daemon's files are written again after a failure.
const WRITE_AGAIN: Duration = Duration::from_secs(2);
/// Time of rest for each unit of time that making the offer takes: it takes at most a tenth of a core.
const REST_PER_LOOK: u32 = 9;
/// Longest rest, which is how much later slaves hear of something new while much is new.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// How long a slave counts as being there after it was heard.
pub(crate) const HEARD_WITHIN: Duration = Duration::from_secs(75);

/// The slaves of a master.
pub struct Nodes {
    enrolment: Option<Secret>,
    known: Mutex<Known>,
    greetings: OpenGreetings,
    offer: watch::Sender<Arc<Offer>>,
    place: Place,
    daemon: Option<Daemon>,
    lag_limit: config::Lag,
    /// The history that this master's generations are of.
    history: Option<String>,
    /// When its generations were made.
    times: Arc<GenerationTimes>,
    /// Changes whenever a slave has said something.
    reported: watch::Sender<()>,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
    /// One offer at a time.
    looking: Mutex<()>,
}

impl Nodes {
    /// Reads who joined.
    ///
    /// # Errors
    /// When the configuration or the store does not allow it.
    pub fn load(
        config: &Config,
        master: &Master,
        accounts: &Accounts,
        data_dir: &Path,
    ) -> Result<Self, NodesError> {
        let secret = |key, source| NodesError::Secret { key, source };
        let enrolment = master
            .enrolment
            .as_ref()
            .map(|source| source.resolve().map_err(|error| secret("enrolment", error)));
        let enrolment = enrolment.transpose()?;
        if enrolment.as_ref().is_some_and(|secret| secret.expose().len() < proof::SHORTEST) {
            return Err(NodesError::Short);
        }
        let place = Place::of(&master.rsyncd, config)?;
        let daemon = Daemon::of(&master.rsyncd, &config.rsync, data_dir).map_err(NodesError::Folder)?;
        let (members, holdings) = accounts.members()?;
        let old = accounts.nodes();
        let seen = |member: Member| {
            let old = old.iter().find(|node| node.member.as_ref() == Some(&member.name)).cloned();
            (member.name.clone(), Seen { old, ..Seen::new(member) })
        };
        let known = Known {
            members: members.into_iter().map(seen).collect(),
            holdings: holdings.into_iter().collect(),
            shares: Vec::new(),
        };
        Ok(Self {
            enrolment,
            known: Mutex::new(known),
            greetings: OpenGreetings::new(),
            offer: watch::Sender::new(Arc::default()),
            place,
            daemon,
            lag_limit: master.lag.clone(),
            history: accounts.history().map(str::to_owned),
            times: Arc::new(GenerationTimes::new(accounts.store().clone())),
            reported: watch::Sender::new(()),
            changing: tokio::sync::Mutex::new(()),
            looking: Mutex::default(),
        })
    }

    /// Answers a slave's greeting with the master's proof. Nothing is known of the slave yet.
    ///
    /// # Errors
    /// When no slave can join.
    pub(crate) fn greet(
        &self,
        from: IpAddr,
        name: MemberName,
        slave: Nonce,
    ) -> Result<(Nonce, String), NodeError> {
        let secret = self.enrolment.as_ref().ok_or(NodeError::Closed)?;
        let master = Nonce::random();
        let proof = Meeting { secret, name: name.as_str(), slave, master }.master_proof();
        self.greetings.add(from, master, name, slave);
        Ok((master, proof))
    }

    /// Lets a slave in that proves to know the secret.
    ///
    /// # Errors
    /// When it does not, or when its name is taken.
    pub(crate) async fn join<'a>(
        &self,
        accounts: &Accounts,
        master: Nonce,
        proof: &str,
        request: impl FnOnce(&Member) -> AccountRequest<'a>,
    ) -> Result<Member, NodeError> {
        let secret = self.enrolment.as_ref().ok_or(NodeError::Closed)?;
        let greeting = self.greetings.take(&master).ok_or(NodeError::Proof)?;
        let meeting = Meeting { secret, name: greeting.name.as_str(), slave: greeting.slave, master };
        if !proof::same(&meeting.slave_proof(), proof) {
            return Err(NodeError::Proof);
        }
        self.add(accounts, greeting.name.clone(), meeting.password(), &meeting.token(), true, request).await
    }

    /// Adds a slave. One that `follows` says by itself what it holds.
    ///
    /// # Errors
    /// When its name is taken, or it cannot be stored.
    pub(crate) async fn add<'a>(
        &self,
        accounts: &Accounts,
        name: MemberName,
        password: Secret,
        token: &Secret,
        follows: bool,
        request: impl FnOnce(&Member) -> AccountRequest<'a>,
    ) -> Result<Member, NodeError> {
        let _turn = self.changing.lock().await;
        if self.known().members.contains_key(&name) {
            return Err(NodeError::Exists(name));
        }
        let member = Member { follows, ..new_member(name, password) };
        accounts.admit(&member, token, request(&member)).await?;
        self.known().members.insert(member.name.clone(), Seen::new(member.clone()));
        self.write_files();
        // From now on the offer is kept as the projects are.
        self.reported.send_replace(());
        tracing::info!(node = %member.name, "a slave joined");
        Ok(member)
    }

    /// Removes a slave: its token, its rsync user and its connections end before this returns.
    ///
    /// # Errors
    /// When there is none of this name, or it cannot be stored.
    pub(crate) async fn remove(
        &self,
        accounts: &Accounts,
        name: &str,
        request: AccountRequest<'_>,
    ) -> Result<(), NodeError> {
        let _turn = self.changing.lock().await;
        let (member, held) = {
            let known = self.known();
            let member = known.find(name)?.member.clone();
            let held: Vec<ProjectId> =
                known.holdings.of_member(&member.name).map(|holding| holding.project.clone()).collect();
            (member, held)
        };
        accounts.dismiss(&member, &held, request).await?;
        {
            let mut known = self.known();
            known.members.remove(&member.name);
            known.holdings.forget_member(&member.name);
        }
        self.write_files();
        if let Some(daemon) = &self.daemon {
            daemon.cut().await;
        }
        // Whoever waits for news learns that it is out.
        self.offer.send_modify(|_| {});
        tracing::info!(node = %member.name, "a slave was removed");
        Ok(())
    }

    /// Asks a slave to look at every project anew.
    ///
    /// # Errors
    /// When there is none of this name, or it cannot be stored.
    pub(crate) async fn wish(
        &self,
        accounts: &Accounts,
        name: &str,
        request: AccountRequest<'_>,
    ) -> Result<(), NodeError> {
        let _turn = self.changing.lock().await;
        let mut member = self.known().find(name)?.member.clone();
        member.wish += 1;
        accounts.remember(&member, request).await?;
        if let Some(seen) = self.known().members.get_mut(&member.name) {
            seen.member = member;
        }
        self.offer.send_modify(|_| {});
        Ok(())
    }

    /// How far a slave may be behind before watchers are told.
    pub(crate) fn lag_limit(&self) -> &config::Lag {
        &self.lag_limit
    }

    /// The id of the history that this master's generations are of; none for the first one.
    pub(crate) fn history(&self) -> Option<&str> {
        self.history.as_deref()
    }

    /// One slave.
    pub(crate) fn show(&self, name: &str) -> Result<Shown, NodeError> {
        let known = self.known();
        Ok(known.show(known.find(name)?))
    }

    /// What is offered now.
    pub(crate) fn offer(&self) -> Arc<Offer> {
        self.offer.borrow().clone()
    }

    /// Waits until there is something that a slave does not know, or `patience` is over. `known` is the tag of what it
    /// knows, `process` names the process that asks.
    ///
    /// # Errors
    /// When the slave is removed, or another process follows under its name.
    pub(crate) async fn wait(
        &self,
        name: &MemberName,
        process: &str,
        known: Option<&str>,
        patience: Duration,
    ) -> Result<(Arc<Offer>, Member), NodeError> {
        let mut asking = self.follow(name, process)?;
        let deadline = tokio::time::Instant::now() + patience;
        let mut news = self.offer.subscribe();
        loop {
            let member = self.heard(name)?;
            let offer = news.borrow_and_update().clone();
            if known.is_none_or(|known| known != offer.tag_for(&member)) {
                asking.answered = true;
                return Ok((offer, member));
            }
            if !matches!(tokio::time::timeout_at(deadline, news.changed()).await, Ok(Ok(()))) {
                asking.answered = true;
                return Ok((offer, member));
            }
        }
    }

    /// Where slaves find the rsync daemon.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Keeps the offer and the daemon as the projects are, until the end.
    pub async fn run(
        &self,
        scheduler: &Scheduler,
        accounts: &Accounts,
        locks: &Path,
        stop: &tokio_util::sync::CancellationToken,
    ) {
        let watch = self.watch(scheduler, stop);
        let serve = async {
            if let Some(daemon) = &self.daemon {
                let needed = || self.enrolment.is_some() || !self.known().members.is_empty();
                let run = daemon.run(locks, needed, self.offer.subscribe(), stop);
                tokio::join!(run, self.write_again(daemon, stop));
            }
        };
        let lag = self.watch_lag(scheduler, accounts, stop);
        tokio::join!(watch, serve, lag, self.tell(scheduler, accounts, stop));
    }

    /// Makes the offer what the projects are. Done before anybody is answered, and before a slave that was let in is: one
    /// that reports must not hear that its project is not there.
    pub fn look(&self, scheduler: &Scheduler) {
        // An older offer must not take the place of a newer one.
        let _turn = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let projects = scheduler.board().projects();
        let offer = Offer::of(&projects, &self.place, self.history(), |entry| self.released(entry));
        let current = self.offer.borrow().clone();

        // A project that moved is offered as before, but must be served from its new place.
        if current.tag() == offer.tag() && current.shares() == offer.shares() {
            return;
        }

        // The daemon must serve what slaves are about to be offered.
        self.known().shares = offer.shares().to_vec();
        self.write_files();
        self.offer.send_replace(Arc::new(offer));
    }

    async fn watch(&self, scheduler: &Scheduler, stop: &tokio_util::sync::CancellationToken) {
        let mut events = scheduler.events().subscribe(None).live;
        let mut reported = self.reported.subscribe();
        loop {
            // Without a slave nobody reads the offer: it is made again when the first is let in.
            let has_members = self.has_members();
            if has_members {
                let begun = Instant::now();
                self.look(scheduler);
                // The offer names every project, and what changes meanwhile is offered together.
                let rest = begun.elapsed().saturating_mul(REST_PER_LOOK).min(LONGEST_REST);
                if stop.run_until_cancelled(tokio::time::sleep(rest)).await.is_none() {
                    return;
                }
            }
            let (waits, follows_reports) = {
                let offer = self.offer.borrow();
                (offer.waits(), offer.follows_reports() || !has_members)
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = offer::news(&mut events) => {}
                Ok(()) = reported.changed(), if follows_reports => {}
                () = tokio::time::sleep(DEADLINES), if waits => {}
            }
        }
    }

    /// Writes the daemon's files again after each write that failed, until the end.
    async fn write_again(&self, daemon: &Daemon, stop: &tokio_util::sync::CancellationToken) {
        loop {
            let failed = async {
                daemon.failed().await;
                tokio::time::sleep(WRITE_AGAIN).await;
            };
            if stop.run_until_cancelled(failed).await.is_none() {
                return;
            }
            self.write_files();
        }
    }

    fn write_files(&self) {
        let Some(daemon) = &self.daemon else { return };
        // Held until it is written: an older state must not be written after a newer one.
        let known = self.known();
        let users =
            known.members.values().map(|seen| (seen.member.name.to_string(), seen.member.password.clone()));
        // The module for nodes of 2014 is there for them alone.
        let has_old = known.members.values().any(|seen| seen.old.is_some());
        let shares = known.shares.iter().filter(|share| share.only.is_empty() || has_old);
        daemon.write(shares.cloned().collect(), users.collect());
    }

    /// Notes that a slave was heard.
    fn heard(&self, name: &MemberName) -> Result<Member, NodeError> {
        let mut known = self.known();
        let seen = known.members.get_mut(name).ok_or_else(|| NodeError::Unknown(name.to_string()))?;
        seen.heard = Some((Instant::now(), Utc::now()));
        seen.gone = false;
        Ok(seen.member.clone())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Random bits as a text.
pub(crate) fn random_secret() -> Secret {
    Secret::new(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}

/// A slave that has not said anything yet.
fn new_member(name: MemberName, password: Secret) -> Member {
    let token = Ulid::generate().to_string();
    Member {
        name,
        password,
        token,
        joined: Utc::now(),
        wish: 0,
        follows: true,
        late: BTreeSet::new(),
        left: BTreeSet::new(),
        approved: BTreeMap::new(),
    }
}
