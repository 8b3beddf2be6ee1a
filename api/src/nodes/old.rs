//! Nodes of 2014: machines that pull by themselves when a message tells them to, and say that they have.
//!
//! After each good sync every one of them is told at once, within a time-out, and none waits for another. What could
//! not be told is told again, later and later, and once more after a restart: what was told is kept with what is held.
//! A message is the same for a node that never answers; [`caller`] sends it.
//!
//! Each of them is a slave in lists too, with a login of its own at the rsync daemon, which travels in the message.

mod caller;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use scheduler::account::Node;
use scheduler::core::Entry;
use scheduler::member::{Holding, Member, MemberName};
use scheduler::{Event, EventKind, ProjectId, RunState, Scheduler};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::known::Seen;
use super::lag::same;
use super::{NodeError, Nodes, new_member, random_secret};
use crate::auth::accounts::{AccountRequest, Accounts};
use caller::Caller;

/// How many messages are on their way at once.
const AT_ONCE: usize = 256;
/// How long to wait before a node that did not answer is told again, the first time.
const AGAIN: Duration = Duration::from_secs(2);
/// How long at most.
const AGAIN_AT_MOST: Duration = Duration::from_mins(10);

/// A node and a project of which it is told.
type Pair = (u32, ProjectId);

/// What a message has come to.
enum Outcome {
    /// The node took it, or there is nothing to say any more.
    Done,
    /// It did not.
    Failed,
}

/// What is to be told, and what waits to be told again.
#[derive(Default)]
struct Plan {
    due: BTreeSet<Pair>,
    on_the_way: HashSet<Pair>,
    /// When it is tried again, and how often it failed.
    failed: HashMap<Pair, (Instant, u32)>,
}

impl Nodes {
    /// Adds a node of 2014, and says whether it is new.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub(crate) async fn add_old<'a>(
        &self,
        accounts: &Accounts,
        hostname: String,
        port: String,
        request: impl FnOnce(&Node) -> AccountRequest<'a>,
    ) -> Result<bool, NodeError> {
        let _turn = self.changing.lock().await;
        let member = |id| new_member(self.name_for(&hostname, id), random_secret());
        let added = accounts.add_node(hostname.clone(), port, member, &random_secret(), request).await?;
        let Some((node, member)) = added else { return Ok(false) };
        self.know_old(node, member);
        Ok(true)
    }

    /// Removes a node of 2014, and says whether there was one.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub(crate) async fn remove_old(
        &self,
        accounts: &Accounts,
        hostname: &str,
        request: AccountRequest<'_>,
    ) -> Result<bool, NodeError> {
        let node = accounts.nodes().into_iter().find(|node| node.hostname == hostname);
        match node.and_then(|node| node.member) {
            Some(member) => self.remove(accounts, member.as_str(), request).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Takes the word of a node of 2014 that it has synced: it then holds what it was told of last.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub(crate) async fn report_old(
        &self,
        accounts: &Accounts,
        node: &Node,
        project: &ProjectId,
        request: AccountRequest<'_>,
    ) -> Result<(), NodeError> {
        let _turn = self.changing.lock().await;
        let member = node.member.clone().ok_or_else(|| NodeError::Unknown(node.hostname.clone()))?;
        self.heard(&member)?;
        // Of another history it was told nothing yet.
        let is_told = |held: &&Holding| held.told.is_some() && held.history == self.history;
        let known = self.known().holdings.get(&member, project).filter(is_told).cloned();
        let now = Utc::now();
        let holding = known.map(|held| Holding {
            generation: held.told,
            state: scheduler::Outcome::Succeeded.as_str().to_owned(),
            reason: None,
            ended: now,
            heard: now,
            ..held
        });
        accounts.remember_holding(holding.as_ref(), request).await?;
        if let Some(holding) = holding {
            self.known().holdings.insert(holding);
        }
        self.reported.send_replace(());
        Ok(())
    }

    /// Tells them until the end.
    pub(super) async fn tell(&self, scheduler: &Scheduler, accounts: &Accounts, stop: &CancellationToken) {
        let Ok(caller) = Caller::new() else {
            tracing::error!("nodes of 2014 are not told: no requests can be made");
            return;
        };
        self.complete(accounts).await;
        let mut events = scheduler.events().subscribe(None).live;
        let mut offer = self.offer.subscribe();
        let mut plan = Plan::default();
        let mut calls = FuturesUnordered::new();
        loop {
            while let Some((pair, member)) = plan.next(|id| self.member_of(id)) {
                let call = async {
                    let outcome = self.call(&caller, scheduler, accounts, member, &pair).await;
                    (pair, outcome)
                };
                calls.push(call);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                Some((pair, outcome)) = calls.next() => {
                    let newer = self.member_of(pair.0).is_some_and(|(_, member)| {
                        scheduler.board().project(&pair.1).is_some_and(|entry| self.is_untold(&member, &entry))
                    });
                    plan.ended(pair.clone(), &outcome);
                    plan.add(newer.then_some(pair));
                }
                Ok(()) = offer.changed() => plan.add(self.untold(scheduler)),
                event = events.recv() => match event {
                    Ok(event) => plan.hurry(self.news_of(scheduler, &event)),
                    Err(RecvError::Lagged(_)) => plan.add(self.untold(scheduler)),
                    Err(RecvError::Closed) => return,
                },
                () = plan.sleep() => {}
            }
        }
    }

    /// Nodes that were added before there were logins get one.
    async fn complete(&self, accounts: &Accounts) {
        let _turn = self.changing.lock().await;
        for node in accounts.nodes().into_iter().filter(|node| node.member.is_none()) {
            let member = new_member(self.name_for(&node.hostname, node.id), random_secret());
            match accounts.complete_node(node, &member, &random_secret()).await {
                Ok(node) => self.know_old(node, member),
                Err(error) => tracing::error!("a node of 2014 cannot be told: {error}"),
            }
        }
    }

    fn know_old(&self, node: Node, member: Member) {
        let seen = Seen { old: Some(node), ..Seen::new(member.clone()) };
        self.known().members.insert(member.name, seen);
        self.write_files();
        self.reported.send_replace(());
        // Whoever tells them looks who is new.
        self.offer.send_modify(|_| {});
    }

    /// The name in lists, which is the login at the rsync daemon too: the host's own where that can be one.
    fn name_for(&self, hostname: &str, id: u32) -> MemberName {
        let free = |name: &MemberName| !self.known().members.contains_key(name);
        let mut numbered =
            (0..).map(|more| if more == 0 { format!("slave-{id}") } else { format!("slave-{id}-{more}") });
        let own = hostname.parse().ok().filter(free);
        own.or_else(|| numbered.find_map(|name| name.parse().ok().filter(free)))
            .unwrap_or_else(|| unreachable!("names with a growing number do not run out"))
    }

    fn member_of(&self, id: u32) -> Option<(Node, Member)> {
        self.known().old().into_iter().find(|(node, _)| node.id == id)
    }

    /// Everything that was not told yet.
    fn untold(&self, scheduler: &Scheduler) -> Vec<Pair> {
        let projects = scheduler.board().projects();
        let mut pairs = Vec::new();
        let old = self.known().old();
        for (node, member) in old {
            let untold = projects.iter().filter(|entry| self.is_untold(&member, entry));
            pairs.extend(untold.map(|entry| (node.id, entry.project.id.clone())));
        }
        pairs
    }

    fn is_untold(&self, member: &Member, entry: &Entry) -> bool {
        let known = self.known();
        let held = known.holdings.get(&member.name, &entry.project.id);
        let held = same(held, entry, self.history());
        is_told_of(entry) && held.and_then(|held| held.told) != Some(entry.standing.generation)
    }

    /// What an event makes worth telling: each good sync.
    fn news_of(&self, scheduler: &Scheduler, event: &Arc<Event>) -> Vec<Pair> {
        let EventKind::RunEnded(run) = &event.kind else { return Vec::new() };
        let good = matches!(run.state, RunState::Ended { outcome, .. } if outcome.is_good());
        let told = scheduler.board().project(&run.project).is_some_and(|entry| is_told_of(&entry));
        if !good || !told {
            return Vec::new();
        }
        self.known().old().into_iter().map(|(node, _)| (node.id, run.project.clone())).collect()
    }

    /// Tells one node of one project.
    async fn call(
        &self,
        caller: &Caller,
        scheduler: &Scheduler,
        accounts: &Accounts,
        (node, member): (Node, Member),
        (_, project): &Pair,
    ) -> Outcome {
        let entry = scheduler.board().project(project).filter(|entry| is_told_of(entry));
        let Some(entry) = entry else { return Outcome::Done };
        // Known before it is sent: the answer to it may be that the node has synced.
        let before = |held: &mut Holding| held.told = Some(entry.standing.generation);
        let name = &member.name;
        if let Err(error) = self.note(accounts, name, &entry, before).await {
            tracing::warn!(node = %name, %project, "a node of 2014 is not told: {error}");
            return Outcome::Failed;
        }
        let told = caller.call(&self.place, &self.offer(), &entry.project, &node, &member.password).await;
        let after = |held: &mut Holding| match &told {
            Ok(()) if held.state == NOT_TOLD => held.state = TOLD.to_owned(),
            Ok(()) => {}
            Err(why) => {
                held.told = None;
                held.state = NOT_TOLD.to_owned();
                held.reason = Some(why.clone());
                held.ended = Utc::now();
            }
        };
        match &told {
            // It may have been removed meanwhile.
            Ok(()) => drop(self.heard(name)),
            Err(why) => tracing::warn!(node = %name, %project, "a node of 2014 was not told: {why}"),
        }
        match (self.note(accounts, name, &entry, after).await, told) {
            (Ok(()), Ok(())) => Outcome::Done,
            _ => Outcome::Failed,
        }
    }

    /// Changes what is known of what a node holds, as long as there is that node.
    async fn note(
        &self,
        accounts: &Accounts,
        member: &MemberName,
        entry: &Entry,
        change: impl FnOnce(&mut Holding),
    ) -> Result<(), NodeError> {
        let _turn = self.changing.lock().await;
        let known = {
            let known = self.known();
            known.find(member.as_str())?;
            known.holdings.get(member, &entry.project.id).cloned()
        };
        let mut holding = match same(known.as_ref(), entry, self.history()).cloned() {
            Some(held) => held,
            None => match nothing(member, entry, self.history()) {
                Some(held) => held,
                None => return Ok(()),
            },
        };
        change(&mut holding);
        if known.as_ref() != Some(&holding) {
            accounts.remember_holding(Some(&holding), AccountRequest::of_server()).await?;
            self.known().holdings.insert(holding);
        }
        Ok(())
    }
}

/// The state of a project that a node was told of and has not reported.
const TOLD: &str = "told";
/// The state of one that it could not be told of.
const NOT_TOLD: &str = "not-told";

/// Whether nodes are told of a project.
fn is_told_of(entry: &Entry) -> bool {
    entry.project.fan_out && entry.standing.generation > 0
}

/// What is known of a node that was never told of a project.
fn nothing(member: &MemberName, entry: &Entry, history: Option<&str>) -> Option<Holding> {
    let now = Utc::now();
    Some(Holding {
        member: member.clone(),
        project: entry.project.id.clone(),
        created: entry.project.created,
        history: history.map(str::to_owned),
        generation: None,
        staged: None,
        told: None,
        run: entry.standing.last_run.as_ref()?.id,
        state: NOT_TOLD.to_owned(),
        reason: None,
        plan: None,
        ended: now,
        took_ms: 0,
        received: 0,
        heard: now,
    })
}

impl Plan {
    /// Lets these be told now; what is on its way is not told twice at once.
    fn add(&mut self, pairs: impl IntoIterator<Item = Pair>) {
        for pair in pairs {
            // One that has just failed keeps its turn.
            if !self.on_the_way.contains(&pair) && !self.failed.contains_key(&pair) {
                self.due.insert(pair);
            }
        }
    }

    /// The same for those that have failed, too.
    fn hurry(&mut self, pairs: Vec<Pair>) {
        self.due.extend(pairs.into_iter().filter(|pair| !self.on_the_way.contains(pair)));
    }

    /// What is to be told now, if there is room; of a node that is no more, nothing.
    fn next(&mut self, find: impl Fn(u32) -> Option<(Node, Member)>) -> Option<(Pair, (Node, Member))> {
        let now = Instant::now();
        let ripe =
            self.failed.iter().filter(|(pair, (at, _))| *at <= now && !self.on_the_way.contains(*pair));
        self.due.extend(ripe.map(|(pair, _)| pair.clone()));
        while self.on_the_way.len() < AT_ONCE {
            let pair = self.due.pop_first()?;
            match find(pair.0) {
                Some(node) => {
                    self.on_the_way.insert(pair.clone());
                    return Some((pair, node));
                }
                None => drop(self.failed.remove(&pair)),
            }
        }
        None
    }

    fn ended(&mut self, pair: Pair, outcome: &Outcome) {
        self.on_the_way.remove(&pair);
        match outcome {
            Outcome::Done => drop(self.failed.remove(&pair)),
            Outcome::Failed => {
                let times = self.failed.get(&pair).map_or(0, |(_, times)| *times);
                let pause = AGAIN.saturating_mul(1 << times.min(12)).min(AGAIN_AT_MOST);
                self.failed.insert(pair, (Instant::now() + pause, times.saturating_add(1)));
            }
        }
    }

    /// Until something is to be told again.
    async fn sleep(&self) {
        let waits = self.failed.iter().filter(|(pair, _)| !self.on_the_way.contains(*pair));
        match waits.map(|(_, (at, _))| *at).min() {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}
