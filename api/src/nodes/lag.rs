//! How far behind slaves are, and who is told of it: once when it is too far, and once when that is over.
//!
//! Too far is what the configuration says, in generations or in time. What watchers were told is kept with the slave,
//! so that a restart neither repeats nor forgets it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scheduler::core::Entry;
use scheduler::event::NodeLag;
use scheduler::member::{Holding, Member, MemberName};
use scheduler::pace::rest_after;
use scheduler::publish::Publish;
use scheduler::{EventKind, ProjectId, Scheduler};
use tokio_util::sync::CancellationToken;

use super::Nodes;
use super::holdings::HeldGenerations;
use super::times::GenerationTimes;
use crate::auth::accounts::{AccountRequest, Accounts};
use crate::config;

/// How often it is looked at who has fallen behind by time alone.
const LOOK: Duration = Duration::from_secs(5);
/// Projects that are looked at before others have their turn.
const TOGETHER: usize = 64;

/// How far a slave is behind with one project.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lag {
    pub(crate) generations: u64,
    /// Since the first generation that it misses was made.
    pub(crate) time: Duration,
}

impl Lag {
    /// Whether that is too far.
    pub(crate) fn is_over(&self, limit: &config::Lag) -> bool {
        let many = limit.generations.is_some_and(|most| self.generations > most);
        let long = limit.time.is_some_and(|longest| self.generations > 0 && self.time > longest);
        many || long
    }
}

/// What a slave holds of a project, if it is this project and this history, and not an earlier one of the same name or
/// number.
pub(crate) fn same<'a>(
    holding: Option<&'a Holding>,
    entry: &Entry,
    history: Option<&str>,
) -> Option<&'a Holding> {
    let is_of_project = |holding: &&Holding| holding.created == entry.project.created;
    holding.filter(is_of_project).filter(|holding| holding.history.as_deref() == history)
}

/// What watchers are told of a slave and a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// It is farther behind than the configuration allows.
    Late,
    /// That is over.
    CaughtUp,
    /// The slaves that publish with it have gone on without it.
    Left,
    /// That is over: it is in the lists, and nobody is told.
    Back,
}

/// A slave and a project of which watchers are to be told.
struct Crossing {
    member: MemberName,
    project: ProjectId,
    word: Word,
    lag: NodeLag,
}

impl Nodes {
    /// When generations were made.
    pub(crate) fn times(&self) -> &GenerationTimes {
        &self.times
    }

    /// Tells watchers who is too far behind, until the end.
    pub(super) async fn watch_lag(
        &self,
        scheduler: &Scheduler,
        accounts: &Accounts,
        stop: &CancellationToken,
    ) {
        let (mut offer, mut reported) = (self.offer.subscribe(), self.reported.subscribe());
        loop {
            let begun = Instant::now();
            let mut by_member: BTreeMap<MemberName, Vec<Crossing>> = BTreeMap::new();
            for crossing in self.crossings(scheduler).await {
                by_member.entry(crossing.member.clone()).or_default().push(crossing);
            }
            for (name, crossings) in by_member {
                self.cross(scheduler, accounts, &name, crossings).await;
            }
            // Every slave and project was looked at, so the next look waits in proportion.
            let rest = tokio::time::sleep(rest_after(begun.elapsed(), Duration::ZERO));
            if stop.run_until_cancelled(rest).await.is_none() {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                Ok(()) = offer.changed() => {}
                Ok(()) = reported.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Who is too far behind and was not said to be, and the other way round.
    async fn crossings(&self, scheduler: &Scheduler) -> Vec<Crossing> {
        let members: Arc<[Member]> = {
            let known = self.known();
            known.members.values().map(|seen| seen.member.clone()).filter(|member| member.follows).collect()
        };
        let mut entries = scheduler.board().projects();
        self.times.keep(&entries);
        entries.retain(|entry| entry.project.fan_out);
        if members.is_empty() {
            return Vec::new();
        }

        let mut found = Vec::new();
        for some in entries.chunks(TOGETHER) {
            let pairs: Vec<LagPair> = some.iter().flat_map(|entry| self.pairs(&members, entry)).collect();
            if pairs.is_empty() {
                tokio::task::yield_now().await;
                continue;
            }
            let (members, times, limit) =
                (Arc::clone(&members), Arc::clone(&self.times), self.lag_limit.clone());
            let crossed = tokio::task::spawn_blocking(move || {
                pairs.iter().flat_map(|pair| pair.crossings(&members, &times, &limit)).collect::<Vec<_>>()
            });
            // It only reads: without an answer there is nothing to tell now.
            found.extend(crossed.await.unwrap_or_default());
        }
        found
    }

    /// The slaves of which something may be to tell with this project: those that miss something, or were said to.
    fn pairs(&self, members: &[Member], entry: &Arc<Entry>) -> Vec<LagPair> {
        let held = self.held_by(members.iter().map(|member| &member.name), entry);
        let pair = |(node, held)| LagPair { node, entry: Arc::clone(entry), held };
        let pairs = held.into_iter().enumerate().map(pair);
        pairs.filter(|pair| members.get(pair.node).is_some_and(|member| pair.may_cross(member))).collect()
    }

    /// Keeps that watchers are told of one slave, and tells them. What is kept of a slave names every project with which
    /// it is behind, so it is stored once for all of them.
    async fn cross(
        &self,
        scheduler: &Scheduler,
        accounts: &Accounts,
        name: &MemberName,
        crossings: Vec<Crossing>,
    ) {
        let _turn = self.changing.lock().await;
        let found = self.known().members.get(name).map(|seen| seen.member.clone());
        let Some(mut member) = found else { return };
        let news: Vec<Crossing> =
            crossings.into_iter().filter(|crossing| crossing.note_in(&mut member)).collect();
        if news.is_empty() {
            return;
        }

        if let Err(error) = accounts.remember(&member, AccountRequest::of_server()).await {
            // Told later, once that can be kept.
            tracing::error!(node = %name, "that a slave is behind cannot be stored: {error}");
            return;
        }
        if let Some(seen) = self.known().members.get_mut(name) {
            seen.member = member;
        }
        for crossing in news {
            crossing.tell(scheduler);
        }
    }
}

impl Crossing {
    /// Notes in what is kept of the slave that watchers are told; returns whether that is new.
    fn note_in(&self, member: &mut Member) -> bool {
        match self.word {
            Word::Late => member.late.insert(self.project.clone()),
            Word::CaughtUp => member.late.remove(&self.project),
            Word::Left => member.left.insert(self.project.clone()),
            Word::Back => member.left.remove(&self.project),
        }
    }

    fn tell(self, scheduler: &Scheduler) {
        let Self { member: name, project, word, lag } = self;
        let lag = Arc::new(lag);
        let kind = match word {
            Word::Late => {
                tracing::warn!(node = %name, %project, generations = lag.generations, "a slave is too far behind");
                EventKind::NodeLagging(lag)
            }
            Word::CaughtUp => {
                tracing::info!(node = %name, %project, "a slave is no longer too far behind");
                EventKind::NodeCaughtUp(lag)
            }
            Word::Left => {
                tracing::warn!(node = %name, %project, generation = lag.generation, "a slave is left behind");
                EventKind::NodeLeftBehind(lag)
            }
            Word::Back => return,
        };
        scheduler.events().publish(project, kind);
    }
}

/// A slave, by its place in the list, and a project, with what it holds of that.
struct LagPair {
    node: usize,
    entry: Arc<Entry>,
    held: HeldGenerations,
}

impl LagPair {
    /// Returns whether the slave misses something, or was said to.
    fn may_cross(&self, member: &Member) -> bool {
        let id = &self.entry.project.id;
        let is_behind = self.held.placed.unwrap_or(0) < self.entry.standing.generation;
        is_behind || member.late.contains(id) || member.left.contains(id)
    }

    /// What is to be told. May read the store.
    fn crossings(&self, members: &[Member], times: &GenerationTimes, limit: &config::Lag) -> Vec<Crossing> {
        let Some(member) = members.get(self.node) else { return Vec::new() };
        let (entry, id) = (&self.entry, &self.entry.project.id);
        let lag = times.lag(entry, self.held.placed);
        let late = match (lag.is_over(limit), member.late.contains(id)) {
            (true, false) => Some(Word::Late),
            (false, true) => Some(Word::CaughtUp),
            _ => None,
        };
        let behind = times.lag(entry, self.held.ready);
        let left = match (is_left(entry, behind), member.left.contains(id)) {
            (true, false) => Some(Word::Left),
            (false, true) => Some(Word::Back),
            _ => None,
        };
        let late = late.map(|word| self.crossing(member, word, lag));
        late.into_iter().chain(left.map(|word| self.crossing(member, word, behind))).collect()
    }

    fn crossing(&self, member: &Member, word: Word, lag: Lag) -> Crossing {
        let lag = NodeLag {
            node: member.name.clone(),
            holds: self.held.placed,
            generation: self.entry.standing.generation,
            generations: lag.generations,
            time: lag.time,
        };
        Crossing { member: member.name.clone(), project: self.entry.project.id.clone(), word, lag }
    }
}

/// Whether the slaves that publish together have gone on without one that is so far behind.
fn is_left(entry: &Entry, lag: Lag) -> bool {
    match entry.project.publish {
        Publish::Each => false,
        Publish::Together(together) => lag.generations > 0 && lag.time >= together.deadline,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_in_generations_or_in_time_and_who_misses_nothing_is_never_over_it() {
        let lag = |generations, seconds| Lag { generations, time: Duration::from_secs(seconds) };
        let limit = |generations, seconds: Option<u64>| config::Lag {
            generations,
            time: seconds.map(Duration::from_secs),
        };
        assert!(lag(3, 0).is_over(&limit(Some(2), None)) && !lag(2, 99).is_over(&limit(Some(2), None)));
        assert!(lag(1, 61).is_over(&limit(None, Some(60))) && !lag(1, 60).is_over(&limit(None, Some(60))));
        assert!(!lag(0, 0).is_over(&limit(Some(0), Some(0))) && lag(1, 0).is_over(&limit(Some(0), None)));
        assert!(!lag(99, 999_999).is_over(&limit(None, None)));
    }
}
