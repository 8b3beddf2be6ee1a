//! What must hold, noted by someone who knows nothing of the clockwork's inside.
//!
//! The ledger sees what is committed, what people are told and which processes start. It keeps its own account of
//! them, and has its own idea of when each calendar comes round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use scheduler::core::{Core, Write};
use scheduler::{
    Answer, CatchUp, Command, Outcome, ProjectId, Rule, Run, RunId, RunState, Standing, Trigger,
};

use crate::disk::Disk;
use crate::script::calendar;

/// What is wrong, in one sentence.
pub(crate) type Violation = String;

/// A command that was carried out, in what the ledger needs to know of it.
pub(crate) enum Wish {
    Create(ProjectId, String),
    Replace(ProjectId, String),
    Enable(ProjectId, bool),
    Delete(ProjectId),
    Sync,
    Cancel(RunId),
    Approve(RunId),
}

impl Wish {
    pub(crate) fn of(command: &Command) -> Self {
        match command {
            Command::Create(project) => Self::Create(project.id.clone(), project.name.clone()),
            Command::Replace { project, .. } => Self::Replace(project.id.clone(), project.name.clone()),
            Command::Enable { id, enabled } => Self::Enable(id.clone(), *enabled),
            Command::Delete { id, .. } => Self::Delete(id.clone()),
            Command::Cancel { run, .. } | Command::Reject { run, .. } => Self::Cancel(*run),
            Command::Approve { run, .. } => Self::Approve(*run),
            Command::Noted { command, .. } => Self::of(command),
            _ => Self::Sync,
        }
    }

    fn changes(&self) -> Option<&ProjectId> {
        match self {
            Self::Create(id, _) | Self::Replace(id, _) | Self::Enable(id, _) | Self::Delete(id) => Some(id),
            Self::Sync | Self::Cancel(_) | Self::Approve(_) => None,
        }
    }
}

/// One commit, with what people are told of it.
pub(crate) struct Commit<'a> {
    /// What the clock showed when the first of it was decided.
    pub(crate) began: DateTime<Utc>,
    pub(crate) now: DateTime<Utc>,
    pub(crate) writes: &'a [Write],
    pub(crate) done: &'a [(Wish, Answer)],
    /// How many schedule times of each project were said to be passed over.
    pub(crate) skips: &'a BTreeMap<ProjectId, u64>,
}

/// The ledger's own account.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Version, name, and whether it is enabled when a person said so last.
    projects: BTreeMap<ProjectId, (u64, String)>,
    standings: BTreeMap<ProjectId, Standing>,
    live: BTreeMap<RunId, Arc<Run>>,
    ended: usize,
    /// From when on each project's calendar counts.
    since: BTreeMap<ProjectId, DateTime<Utc>>,
    /// Counts the times that a calendar began anew; a key is unique in between.
    epoch: BTreeMap<ProjectId, u64>,
    keys: BTreeSet<(ProjectId, u64, DateTime<Utc>)>,
    cancelled: BTreeSet<RunId>,
    attempts: BTreeSet<(RunId, usize, usize)>,
    /// How often each run went back to waiting without an attempt.
    looks: BTreeMap<RunId, usize>,
    /// What people let through; it stays so until another plan is found.
    approved: BTreeSet<RunId>,
}

impl Ledger {
    /// How many schedule decisions have led to a run.
    pub(crate) fn decisions(&self) -> usize {
        self.keys.len()
    }

    /// Checks a commit against what was there, and notes it.
    pub(crate) fn commit(&mut self, disk: &Disk, commit: &Commit<'_>) -> Result<(), Violation> {
        let fresh: BTreeSet<&ProjectId> = commit.done.iter().filter_map(|(wish, _)| wish.changes()).collect();
        for id in &fresh {
            self.begin_anew(id, commit.now);
        }
        self.decisions_are_keyed(disk, commit, &fresh)?;
        self.the_interrupted_are_queued_again_once(commit)?;
        for write in commit.writes {
            match write {
                Write::Run(run) => self.run(run)?,
                Write::Standing(id, standing) => {
                    self.standings.insert(id.clone(), Standing::clone(standing));
                }
                Write::ForgetProject(id) => {
                    self.standings.remove(id);
                }
                Write::Project(_) | Write::RenameRuns { .. } | Write::Audit(_) | Write::Count(..) => {}
            }
        }
        for (wish, answer) in commit.done {
            self.wish(wish, answer)?;
        }
        Ok(())
    }

    /// A new key exactly when a new run or a skip, and the reverse.
    fn decisions_are_keyed(
        &mut self,
        disk: &Disk,
        commit: &Commit<'_>,
        fresh: &BTreeSet<&ProjectId>,
    ) -> Result<(), Violation> {
        let mut begun: BTreeMap<&ProjectId, Vec<&Run>> = BTreeMap::new();
        let mut last: BTreeMap<&ProjectId, &Standing> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for write in commit.writes {
            match write {
                Write::Run(run) if !self.live.contains_key(&run.id) && seen.insert(run.id) => {
                    if matches!(run.trigger, Trigger::Schedule | Trigger::CatchUp) {
                        begun.entry(&run.project).or_default().push(run);
                    }
                }
                Write::Standing(id, standing) => {
                    last.insert(id, standing);
                }
                _ => {}
            }
        }
        let concerned: BTreeSet<&ProjectId> = begun.keys().chain(last.keys()).copied().collect();
        for id in concerned.into_iter().filter(|id| !fresh.contains(id)) {
            let Some(before) = self.standings.get(id).cloned() else { continue };
            let Some(project) = disk.projects.get(id) else {
                return Err(format!("{id} decides, and is not there"));
            };
            let after = last.get(id).map_or(&before, |standing| standing);
            let runs = begun.get(id).map_or(&[][..], Vec::as_slice);
            let skips = after.skipped.wrapping_sub(before.skipped);
            if skips != commit.skips.get(id).copied().unwrap_or_default() {
                return Err(format!("{id} skips {skips} times and tells something else"));
            }
            let mut old = before.fired;
            if old.is_some_and(|fired| fired - commit.began > TimeDelta::seconds(5)) {
                self.begin_anew(id, commit.began);
                old = None;
            }
            let wrong = |what: &str| {
                Err(format!(
                    "{what}: {id} at {}: key {old:?} -> {:?}, {skips} skips, {runs:?}",
                    commit.now, after.fired
                ))
            };
            let pauses = matches!(project.schedule.rule, Rule::Every(_));
            let by_policy = before.planned.is_some() || Self::is_planned(id, commit);
            let lost = !by_policy && old.is_some() && after.fired != old;
            match (runs, skips) {
                ([], 0) if lost && !Self::looks_again(id, commit) => return wrong("a lost decision"),
                ([], 0) => {}
                ([run], 0) if run.scheduled != after.fired => return wrong("a run without its key"),
                ([run], 0) => self.key(id, run, pauses)?,
                ([], 1) if !pauses && after.fired == old => return wrong("a skip without its key"),
                ([], 1) => {
                    let busy = self.live.values().any(|run| run.project == *id)
                        || commit
                            .writes
                            .iter()
                            .any(|write| matches!(write, Write::Run(run) if run.project == *id));
                    let late = commit.now - after.fired.unwrap_or_default();
                    let may = match project.schedule.catch_up {
                        _ if busy || pauses => true,
                        CatchUp::Once => false,
                        CatchUp::None => late > TimeDelta::minutes(1),
                        CatchUp::Within(_) => late > TimeDelta::hours(6),
                    };
                    if !may {
                        return wrong("a skip without a reason");
                    }
                }
                _ => return wrong("more than one decision"),
            }
            if !pauses && old.is_some() && after.fired < old {
                return wrong("a key that goes back");
            }
            let times = calendar(&project.schedule.rule).filter(|_| !by_policy);
            if let (Some((period, offset)), Some(run)) = (times, runs.first()) {
                let time = run.scheduled.unwrap_or_default().timestamp();
                if (time - offset) % period != 0 {
                    return wrong("a time that the calendar does not have");
                }
            }
        }
        Ok(())
    }

    /// Whether a policy has set a time of a project, which is on no calendar and leaves out those before it.
    fn is_planned(id: &ProjectId, commit: &Commit<'_>) -> bool {
        let planned =
            |write: &Write| matches!(write, Write::Standing(of, to) if of == id && to.planned.is_some());
        commit.writes.iter().any(planned)
    }

    /// Whether the held run of a project is queued to look at its upstream, which answers a schedule time.
    fn looks_again(id: &ProjectId, commit: &Commit<'_>) -> bool {
        let queued = |write: &Write| match write {
            Write::Run(run) => run.project == *id && run.hold.is_some() && run.state == RunState::Queued,
            _ => false,
        };
        commit.writes.iter().any(queued)
    }

    fn key(&mut self, id: &ProjectId, run: &Run, pauses: bool) -> Result<(), Violation> {
        let epoch = self.epoch.get(id).copied().unwrap_or_default();
        let key = (id.clone(), epoch, run.scheduled.unwrap_or_default());
        if !self.keys.insert(key) && !pauses {
            return Err(format!("a doubled decision: {run:?}"));
        }
        Ok(())
    }

    fn the_interrupted_are_queued_again_once(&self, commit: &Commit<'_>) -> Result<(), Violation> {
        for write in commit.writes {
            let Write::Run(run) = write else { continue };
            if outcome(run) != Some(Outcome::Interrupted) {
                continue;
            }
            let of_it = |other: &&Run| other.project == run.project && other.id != run.id;
            // One that was cancelled and still ends is of a project that was removed, and came back.
            let waits = |other: &&Run| of_it(other) && other.cancelled_by.is_none();
            let waited = self.live.values().map(AsRef::as_ref).filter(waits).count();
            let again: BTreeSet<RunId> = commit
                .writes
                .iter()
                .filter_map(|write| match write {
                    Write::Run(run) if run.trigger == Trigger::Recovery => Some(run.as_ref()),
                    _ => None,
                })
                .filter(of_it)
                .filter(|other| !self.live.contains_key(&other.id))
                .map(|other| other.id)
                .collect();
            let mut heirs = commit.writes.iter().filter_map(|write| match write {
                Write::Run(heir) if again.contains(&heir.id) => Some(heir),
                _ => None,
            });
            if heirs.next_back().is_some_and(|heir| heir.hold != run.hold) {
                return Err(format!("{run:?} was held or approved, and what repeats it is not"));
            }
            if again.len() != usize::from(waited == 0) {
                return Err(format!("{run:?} was interrupted, {waited} waited, and {again:?} follow"));
            }
        }
        Ok(())
    }

    fn run(&mut self, run: &Arc<Run>) -> Result<(), Violation> {
        let before = self.live.get(&run.id).map(|run| &run.state);
        let good = match (before, &run.state) {
            (None | Some(RunState::BackingOff { .. } | RunState::Held), RunState::Queued)
            | (Some(RunState::Queued), RunState::Running)
            | (Some(RunState::Running), RunState::BackingOff { .. } | RunState::Held)
            | (Some(_), RunState::Ended { .. }) => true,
            (Some(RunState::Running), RunState::Running) => run.cancelled_by.is_some(),
            (Some(RunState::BackingOff { until, .. }), RunState::BackingOff { until: now, .. }) => {
                now < until
            }
            _ => false,
        };
        if !good {
            return Err(format!("a run goes from {before:?} to {run:?}"));
        }
        if self.cancelled.contains(&run.id) {
            let ended = outcome(run);
            let obeyed =
                run.state == RunState::Running && self.live[&run.id].attempts.len() == run.attempts.len();
            if !obeyed && ended.is_none_or(|ended| matches!(ended, Outcome::Failed | Outcome::Interrupted)) {
                return Err(format!("a cancelled run goes on: {run:?}"));
            }
        }
        let before = self.live.get(&run.id).map_or(0, |before| before.attempts.len());
        self.holds_are_kept(run)?;
        if before > run.attempts.len() {
            *self.looks.entry(run.id).or_default() += 1;
        }
        if run.state.is_ended() {
            self.live.remove(&run.id);
            self.ended += 1;
        } else {
            self.live.insert(run.id, Arc::clone(run));
        }
        Ok(())
    }

    /// A hold says why, and an approval is not forgotten but by a new plan.
    fn holds_are_kept(&mut self, run: &Run) -> Result<(), Violation> {
        if run.state == RunState::Held {
            self.approved.remove(&run.id);
            if run.open_hold().is_none() {
                return Err(format!("held, and nobody knows why: {run:?}"));
            }
        }
        let approved = run.hold.as_ref().is_some_and(|hold| hold.approved_by().is_some());
        match self.approved.contains(&run.id) && !approved {
            true => Err(format!("an approval is forgotten: {run:?}")),
            false => Ok(()),
        }
    }

    fn wish(&mut self, wish: &Wish, answer: &Answer) -> Result<(), Violation> {
        match (wish, answer) {
            (Wish::Create(id, name), Answer::Project(_)) => {
                self.projects.insert(id.clone(), (1, name.clone()));
            }
            (Wish::Replace(id, name), Answer::Project(_)) => {
                let known =
                    self.projects.get_mut(id).ok_or_else(|| format!("{id} was replaced, and never there"))?;
                *known = (known.0 + 1, name.clone());
            }
            (Wish::Enable(id, enabled), Answer::Project(project)) if project.enabled == *enabled => {
                self.projects.get_mut(id).ok_or_else(|| format!("{id} was enabled, and never there"))?.0 += 1;
            }
            (Wish::Delete(id), Answer::Deleted) => {
                self.projects.remove(id);
            }
            (Wish::Cancel(run), Answer::Run(_)) => {
                self.cancelled.insert(*run);
            }
            (Wish::Approve(run), Answer::Run(answer)) if answer.id == *run => {
                self.approved.insert(*run);
            }
            (Wish::Sync, Answer::Run(_)) => {}
            (_, answer) => return Err(format!("an answer that was not asked for: {answer:?}")),
        }
        Ok(())
    }

    /// Checks that an rsync may start now, beside those that are going.
    pub(crate) fn start(&mut self, disk: &Disk, run: RunId, number: usize) -> Result<(), Violation> {
        let stored = disk.runs.get(&run).ok_or_else(|| format!("{run} starts, and is not stored"))?;
        if stored.state != RunState::Running || stored.attempts.len() != number {
            return Err(format!("attempt {number} starts, and stored is {stored:?}"));
        }
        // What started no rsync was no attempt, and its number is used again.
        let looked = self.looks.get(&run).copied().unwrap_or_default();
        if !self.attempts.insert((run, number, looked)) {
            return Err(format!("attempt {number} of {run} starts twice"));
        }
        match self.cancelled.contains(&run) {
            true => Err(format!("{run} was cancelled, and starts")),
            false => Ok(()),
        }
    }

    /// Checks that the disk holds what was acknowledged, and memory the same.
    pub(crate) fn is_on(&self, disk: &Disk, core: &Core) -> Result<(), Violation> {
        for (id, (version, name)) in &self.projects {
            match disk.projects.get(id) {
                Some(project) if project.version == *version && project.name == *name => {}
                other => return Err(format!("{id} should be {name} at version {version}, and is {other:?}")),
            }
        }
        if disk.projects.len() != self.projects.len() || core.entries().count() != self.projects.len() {
            return Err("there are projects that nobody created".to_owned());
        }
        if disk.standings != self.standings {
            return Err(format!("the standings are {:?} and not {:?}", disk.standings, self.standings));
        }
        let same = |id: &RunId, run: &Run| disk.runs.get(id).is_some_and(|stored| stored.state == run.state);
        if let Some((_, run)) = self.live.iter().find(|(id, run)| !disk.live.contains(id) || !same(id, run)) {
            return Err(format!("stored differently: {run:?}"));
        }
        if disk.live.len() != self.live.len() || disk.runs.len() != self.live.len() + self.ended {
            return Err("runs were lost, or came from nowhere".to_owned());
        }
        for (id, entry) in core.entries() {
            if self.standings.get(id) != Some(&entry.standing) {
                return Err(format!(
                    "memory says {:?} of {id}, the disk {:?}",
                    entry.standing,
                    disk.standings.get(id)
                ));
            }
        }
        if core.live_runs().any(|run| self.live.get(&run.id).is_none_or(|stored| stored.state != run.state)) {
            return Err("memory and disk differ about a run".to_owned());
        }
        Ok(())
    }

    /// Checks that every calendar time that must have been decided by now is. `noticed` is when the server last saw
    /// that it had not been there.
    pub(crate) fn nothing_is_overdue(
        &self,
        disk: &Disk,
        now: DateTime<Utc>,
        noticed: DateTime<Utc>,
    ) -> Result<(), Violation> {
        for (id, project) in disk.projects.iter().filter(|(_, project)| project.enabled) {
            let Some((period, offset)) = calendar(&project.schedule.rule) else { continue };
            let jitter = TimeDelta::from_std(project.schedule.jitter).unwrap();
            if now < noticed + jitter {
                continue;
            }
            let newest_at = |at: i64| at - (at - offset).rem_euclid(period);
            if let Some(planned) = &disk.standings[id].planned {
                // The calendar waits for it; a calendar time behind it is decided with it, after its own jitter.
                if planned.at.timestamp().max(newest_at(now.timestamp())) < (now - jitter).timestamp() {
                    return Err(format!("{id} has lost {planned:?} at {now}"));
                }
                continue;
            }
            let newest = DateTime::from_timestamp(newest_at((now - jitter).timestamp()), 0).unwrap();
            let counts = self.since.get(id).is_some_and(|since| newest > *since);
            if counts && disk.standings[id].fired.is_none_or(|fired| fired < newest) {
                return Err(format!("{id} has lost {newest} at {now}: {:?}", disk.standings[id]));
            }
        }
        Ok(())
    }

    /// Checks that nothing is left to be done.
    pub(crate) fn is_at_rest(&self) -> Result<(), Violation> {
        match self.live.values().next() {
            Some(run) => Err(format!("{} never came to rest, among them {run:?}", self.live.len())),
            None => Ok(()),
        }
    }

    fn begin_anew(&mut self, id: &ProjectId, now: DateTime<Utc>) {
        *self.epoch.entry(id.clone()).or_default() += 1;
        self.since.insert(id.clone(), now);
    }
}

fn outcome(run: &Run) -> Option<Outcome> {
    match &run.state {
        RunState::Ended { outcome, .. } => Some(*outcome),
        _ => None,
    }
}
