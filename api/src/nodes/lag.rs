//! How far behind slaves are, and who is told of it: once when it is too far, and once when that is over.
//!
//! Too far is what the configuration says, in generations or in time. What watchers were told is kept with the slave,
//! so that a restart neither repeats nor forgets it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use scheduler::core::Entry;
use scheduler::event::NodeLag;
use scheduler::member::{Holding, Member, MemberName};
use scheduler::pace::rest_after;
use scheduler::publish::Publish;
use scheduler::{EventKind, ProjectId, RunState, Scheduler, Store};
use tokio_util::sync::CancellationToken;

use super::Nodes;
use super::together::ready;
use crate::auth::accounts::Accounts;
use crate::config;

/// How often it is looked at who has fallen behind by time alone.
const LOOK: Duration = Duration::from_secs(5);
/// How many runs are looked through for the one that made a generation.
const RUNS: usize = 200;

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

/// When generations were made, as far as the history reaches. Reads the store.
pub(crate) struct Made<'a> {
    store: &'a Store,
    found: BTreeMap<ProjectId, Vec<(u64, DateTime<Utc>)>>,
}

impl<'a> Made<'a> {
    /// Nothing is read yet.
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, found: BTreeMap::new() }
    }

    /// How far somebody who holds this is behind.
    pub(crate) fn lag(&mut self, entry: &Entry, held: Option<u64>) -> Lag {
        let generations = entry.standing.generation.saturating_sub(held.unwrap_or(0));
        let missed = (generations > 0).then(|| self.at(&entry.project.id, held.unwrap_or(0) + 1)).flatten();
        let time = missed.map(|at| (Utc::now() - at).to_std().unwrap_or_default());
        Lag { generations, time: time.unwrap_or_default() }
    }

    /// When this generation was made; where that is forgotten, the oldest that is known since.
    pub(crate) fn at(&mut self, project: &ProjectId, generation: u64) -> Option<DateTime<Utc>> {
        let made = self.found.entry(project.clone()).or_insert_with(|| {
            // A store that cannot be read knows no times.
            let runs = self.store.runs(Some(project), None, RUNS).unwrap_or_default();
            let made = runs.iter().filter_map(|run| match run.state {
                RunState::Ended { at, generation: Some(generation), .. } => Some((generation, at)),
                _ => None,
            });
            made.collect()
        });
        made.iter().filter(|(made, _)| *made >= generation).map(|(_, at)| *at).min()
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
            for crossing in self.crossings(scheduler).await {
                self.cross(scheduler, accounts, crossing).await;
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
        let members: Vec<Member> = {
            let known = self.known();
            known.members.values().map(|seen| seen.member.clone()).filter(|member| member.follows).collect()
        };
        if members.is_empty() {
            return Vec::new();
        }
        let holdings = self.known().holdings.clone();
        let entries = scheduler.board().projects();
        let (store, limit) = (scheduler.store().clone(), self.lag_limit.clone());
        let history = self.history.clone();
        let found = tokio::task::spawn_blocking(move || {
            let mut made = Made::new(&store);
            let mut found = Vec::new();
            for entry in entries.iter().filter(|entry| entry.project.fan_out) {
                for member in &members {
                    let key = (member.name.clone(), entry.project.id.clone());
                    let holding = same(holdings.get(&key), entry, history.as_deref());
                    let held = holding.and_then(|holding| holding.generation);
                    let lag = made.lag(entry, held);
                    let word = match (lag.is_over(&limit), member.late.contains(&key.1)) {
                        (true, false) => Some(Word::Late),
                        (false, true) => Some(Word::CaughtUp),
                        _ => None,
                    };
                    found.extend(word.map(|word| crossing(entry, &key, held, lag, word)));
                    let lag = made.lag(entry, ready(holding));
                    let word = match (is_left(entry, lag), member.left.contains(&key.1)) {
                        (true, false) => Some(Word::Left),
                        (false, true) => Some(Word::Back),
                        _ => None,
                    };
                    found.extend(word.map(|word| crossing(entry, &key, held, lag, word)));
                }
            }
            found
        });
        // It only reads: without an answer there is nothing to tell now.
        found.await.unwrap_or_default()
    }

    /// Keeps that watchers are told, and tells them.
    async fn cross(&self, scheduler: &Scheduler, accounts: &Accounts, crossing: Crossing) {
        let _turn = self.changing.lock().await;
        let Crossing { member: name, project, word, lag } = crossing;
        let found = self.known().members.get(&name).map(|seen| seen.member.clone());
        let Some(mut member) = found else { return };
        let new = match word {
            Word::Late => member.late.insert(project.clone()),
            Word::CaughtUp => member.late.remove(&project),
            Word::Left => member.left.insert(project.clone()),
            Word::Back => member.left.remove(&project),
        };
        if !new {
            return;
        }
        if let Err(error) = accounts.remember(&member, None).await {
            // Told later, once that can be kept.
            tracing::error!(node = %name, %project, "that a slave is behind cannot be stored: {error}");
            return;
        }
        if let Some(seen) = self.known().members.get_mut(&name) {
            seen.member = member;
        }
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

/// Whether the slaves that publish together have gone on without one that is so far behind.
fn is_left(entry: &Entry, lag: Lag) -> bool {
    match entry.project.publish {
        Publish::Each => false,
        Publish::Together(together) => lag.generations > 0 && lag.time >= together.deadline,
    }
}

fn crossing(
    entry: &Entry,
    (member, project): &(MemberName, ProjectId),
    held: Option<u64>,
    lag: Lag,
    word: Word,
) -> Crossing {
    let lag = NodeLag {
        node: member.clone(),
        holds: held,
        generation: entry.standing.generation,
        generations: lag.generations,
        time: lag.time,
    };
    Crossing { member: member.clone(), project: project.clone(), word, lag }
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
