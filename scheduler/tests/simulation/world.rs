//! Everything around the clockwork: people, processes, a clock, a disk, and the power switch.
//!
//! It does what the dispatcher does with a step: commit it, then act on it; and what can happen to a dispatcher on
//! the way: it dies before the commit, after it, in the middle of acting, or the commit fails.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use engine::Verdict;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use scheduler::core::{Core, Effect, Input, Step, Write};
use scheduler::{Answer, Bounds, Command, EventKind, ProjectId, RunId, RunState};

use crate::disk::Disk;
use crate::fault::Fault;
use crate::ledger::{Commit, Ledger, Violation, Wish};
use crate::script::{self, How};

/// A going rsync.
struct Process {
    place: PathBuf,
    host: String,
    labels: Vec<String>,
    stopped: bool,
}

/// How an attempt ended: its run, how, and how many files it made.
type End = (RunId, How, u64);

/// What becomes of a step.
enum Fate {
    Done,
    CrashBefore,
    CrashAfter,
    CrashAmid,
    Refused,
}

pub(crate) struct World {
    random: SmallRng,
    now: DateTime<Utc>,
    /// When the server last saw that it had not been there.
    noticed: DateTime<Utc>,
    core: Core,
    disk: Disk,
    batches: VecDeque<Vec<Write>>,
    ledger: Ledger,
    processes: BTreeMap<RunId, Process>,
    bounds: Bounds,
    unsaved: Vec<End>,
    carried: Step,
    /// What the clock showed when that was decided.
    carried_at: Option<DateTime<Utc>>,
    /// What the policy says, which has not been heard yet.
    said: Vec<Input>,
    stopping: bool,
    calm: bool,
    fault: Fault,
    pub(crate) restarts: usize,
}

impl World {
    pub(crate) fn new(seed: u64, fault: Fault) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let now = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
        let bounds = script::bounds(&mut random);
        Self {
            core: clockwork(&bounds, fault, &mut random),
            random,
            now,
            noticed: now,
            disk: Disk::default(),
            batches: VecDeque::new(),
            ledger: Ledger::default(),
            processes: BTreeMap::new(),
            bounds,
            unsaved: Vec::new(),
            carried: Step::default(),
            carried_at: None,
            said: Vec::new(),
            stopping: false,
            calm: false,
            fault,
            restarts: 0,
        }
    }

    /// How many schedule decisions have led to a run.
    pub(crate) fn decisions(&self) -> usize {
        self.ledger.decisions()
    }

    /// Some time passes, and something happens.
    pub(crate) fn turn(&mut self) -> Result<(), Violation> {
        let wake = self.core.next_wake();
        let pass = script::pass(&mut self.random, self.now, wake);
        self.let_pass(pass, wake);
        let going: Vec<(RunId, bool)> =
            self.processes.iter().map(|(run, process)| (*run, process.stopped)).collect();
        let mut ends = Vec::new();
        for (run, stopped) in going {
            if self.random.random_bool(if stopped || self.stopping { 0.6 } else { 0.3 }) {
                let stopped = stopped || self.stopping;
                ends.push(script::end(&mut self.random, run, stopped));
                self.processes.remove(&run);
            }
        }
        let mut live: Vec<RunId> = self.core.live_runs().map(|run| run.id).collect();
        live.sort();
        let commands: Vec<Command> =
            (0..self.random.random_range(0..3)).map(|_| script::command(&mut self.random, &live)).collect();
        let mut inputs = self.heard();
        if self.random.random_bool(0.02) {
            self.bounds = script::bounds(&mut self.random);
            let (bounds, tool) = self.fault.site(&self.bounds);
            inputs.push(Input::Site(bounds, tool));
        }
        if !self.stopping && self.random.random_bool(0.02) {
            self.stopping = true;
            inputs.push(Input::Stop);
        }
        self.round(ends, commands, inputs)?;
        if self.stopping && self.core.is_still() && self.unsaved.is_empty() {
            self.start_again()?;
        }
        Ok(())
    }

    /// Nothing new is asked for, nothing breaks any more, and all that was begun comes to its end.
    pub(crate) fn come_to_rest(&mut self) -> Result<(), Violation> {
        self.calm = true;
        self.start_again()?;
        let ids: Vec<ProjectId> = self.disk.projects.keys().cloned().collect();
        let off = |id| Command::Enable { id, enabled: false };
        self.round(Vec::new(), ids.into_iter().map(off).collect(), Vec::new())?;
        for _ in 0..100 {
            // A person comes, and looks at what is held.
            let held = self.core.live_runs().filter(|run| run.state == RunState::Held).map(|run| run.id);
            let approve = |run| Command::Approve { run, by: "ann".to_owned(), plan: None };
            let approvals: Vec<Command> = held.map(approve).collect();
            let ends = self.processes.keys().map(|run| (*run, How::Ran(Verdict::Done), 0)).collect();
            self.processes.clear();
            let wake = self.core.next_wake();
            let pass = wake.map_or(TimeDelta::minutes(1), |wake| (wake - self.now).max(TimeDelta::zero()));
            self.let_pass(pass, wake);
            let said = self.heard();
            self.round(ends, approvals, said)?;
        }
        self.ledger.is_at_rest()
    }

    fn let_pass(&mut self, pass: TimeDelta, wake: Option<DateTime<Utc>>) {
        // The years stay those in which a schedule can fire.
        let years = TimeDelta::days(20 * 365);
        let begin = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
        self.now = (self.now + pass).clamp(begin - years, begin + years);
        let late = wake.is_some_and(|wake| self.now - wake > TimeDelta::minutes(1));
        if pass < TimeDelta::zero() || late {
            self.noticed = self.now;
        }
    }

    /// What the dispatcher does in one turn of its loop.
    fn round(&mut self, ends: Vec<End>, commands: Vec<Command>, inputs: Vec<Input>) -> Result<(), Violation> {
        let mut step = std::mem::take(&mut self.carried);
        let mut ended = std::mem::take(&mut self.unsaved);
        ended.extend(ends);
        for (run, how, created) in ended.clone() {
            self.core.handle(self.now, script::ended(run, how, created, self.now), &mut step);
        }
        let wishes: Vec<Wish> = commands.iter().map(Wish::of).collect();
        for (ticket, command) in (0..).zip(commands) {
            self.core.handle(self.now, Input::Command { ticket, command }, &mut step);
        }
        for input in inputs {
            self.core.handle(self.now, input, &mut step);
        }
        self.core.settle(self.now, &mut step);
        self.fault.breaks_step(&mut step);
        if self.fault == Fault::ActsBeforeItCommits {
            let starts = |effect: &Effect| matches!(effect, Effect::Start(_));
            let (early, others) = std::mem::take(&mut step.effects).into_iter().partition(starts);
            step.effects = others;
            self.act(early)?;
        }
        match self.fate() {
            Fate::Done => {
                self.commit(&step, wishes)?;
                self.act(step.effects)?;
                self.look()
            }
            Fate::CrashBefore => {
                if self.fault == Fault::TearsABatch {
                    step.writes.iter().take(step.writes.len() / 2).for_each(|write| self.disk.apply(write));
                }
                self.start_again()
            }
            Fate::CrashAfter => {
                self.commit(&step, wishes)?;
                self.start_again()
            }
            Fate::CrashAmid => {
                self.commit(&step, wishes)?;
                let some = self.random.random_range(0..=step.effects.len());
                step.effects.truncate(some);
                self.act(step.effects)?;
                self.start_again()
            }
            Fate::Refused => {
                self.undo(ended);
                Ok(())
            }
        }
    }

    fn fate(&mut self) -> Fate {
        match self.random.random_range(0..100) {
            _ if self.calm => Fate::Done,
            0..10 => Fate::CrashBefore,
            10..20 => Fate::CrashAfter,
            20..28 => Fate::CrashAmid,
            28..33 => Fate::Refused,
            _ => Fate::Done,
        }
    }

    fn commit(&mut self, step: &Step, wishes: Vec<Wish>) -> Result<(), Violation> {
        let mut answers: BTreeMap<u64, &Answer> = BTreeMap::new();
        let mut skips: BTreeMap<ProjectId, u64> = BTreeMap::new();
        for effect in &step.effects {
            match effect {
                Effect::Answer(ticket, answer) => {
                    answers.extend(answer.as_ref().as_ref().ok().map(|good| (*ticket, good)));
                }
                Effect::Publish(id, EventKind::ScheduleSkipped { .. }) => {
                    *skips.entry(id.clone()).or_default() += 1;
                }
                _ => {}
            }
        }
        let done: Vec<(Wish, Answer)> = (0..)
            .zip(wishes)
            .filter_map(|(ticket, wish)| Some((wish, Answer::clone(answers.get(&ticket)?))))
            .collect();
        let began = self.carried_at.take().unwrap_or(self.now).min(self.now);
        let commit = Commit { began, now: self.now, writes: &step.writes, done: &done, skips: &skips };
        self.ledger.commit(&self.disk, &commit)?;
        for write in &step.writes {
            if self.fault != Fault::LosesAWrite || !self.random.random_bool(1.0 / 30.0) {
                self.disk.apply(write);
            }
        }
        self.batches.push_back(step.writes.clone());
        if self.batches.len() > 8 {
            self.batches.pop_front();
        }
        Ok(())
    }

    /// What the policy has said, unless it still thinks.
    fn heard(&mut self) -> Vec<Input> {
        if self.random.random_bool(0.7) { std::mem::take(&mut self.said) } else { Vec::new() }
    }

    fn act(&mut self, effects: Vec<Effect>) -> Result<(), Violation> {
        for effect in effects {
            match effect {
                Effect::Start(start) => {
                    self.ledger.start(&self.disk, start.run, start.number)?;
                    let project = &start.project;
                    let process = Process {
                        place: project.place.clone(),
                        host: project.source.host().to_owned(),
                        labels: project.labels.iter().map(|(key, value)| format!("{key}={value}")).collect(),
                        stopped: false,
                    };
                    self.may_start(start.run, &process)?;
                    self.processes.insert(start.run, process);
                }
                Effect::Cancel(run) => {
                    if let Some(process) = self.processes.get_mut(&run) {
                        process.stopped = true;
                    }
                }
                Effect::Pick(number, question) => {
                    let said = script::picks(&mut self.random, &question.runs);
                    self.said.push(Input::Picked(number, said));
                }
                Effect::Plan(plan) => {
                    let said = script::suggestion(&mut self.random);
                    self.said.push(Input::Planned(plan.project.id.clone(), plan.run, said));
                }
                Effect::Move(..) | Effect::Answer(..) | Effect::Publish(..) | Effect::Announce(_) => {}
            }
        }
        Ok(())
    }

    /// No rsync beside this one in its place, and no more of them than may.
    fn may_start(&self, run: RunId, new: &Process) -> Result<(), Violation> {
        let near =
            |other: &&Process| other.place.starts_with(&new.place) || new.place.starts_with(&other.place);
        if let Some(other) = self.processes.values().find(near) {
            return Err(format!(
                "{run} starts in {}, and in {} one is going",
                new.place.display(),
                other.place.display()
            ));
        }
        let count =
            |like: &dyn Fn(&Process) -> bool| self.processes.values().filter(|other| like(other)).count() + 1;
        let in_all = count(&|_| true) <= self.bounds.concurrent;
        let of_host = count(&|other| other.host == new.host) <= self.bounds.per_host;
        let bounded = |label: &String| self.bounds.per_label.get(label).copied().unwrap_or(usize::MAX);
        let of_labels =
            new.labels.iter().all(|label| count(&|other| other.labels.contains(label)) <= bounded(label));
        match in_all && of_host && of_labels {
            true => Ok(()),
            false => Err(format!("{run} starts, in all {in_all}, of host {of_host}, of labels {of_labels}")),
        }
    }

    fn look(&self) -> Result<(), Violation> {
        self.ledger.is_on(&self.disk, &self.core)?;
        match self.stopping {
            true => Ok(()),
            false => self.ledger.nothing_is_overdue(&self.disk, self.now, self.noticed),
        }
    }

    /// The server is started, perhaps a long time after it ended, and perhaps more than once until it stays.
    fn start_again(&mut self) -> Result<(), Violation> {
        loop {
            self.restarts += 1;
            self.unsaved.clear();
            self.carried = Step::default();
            self.carried_at = None;
            self.stopping = false;
            if self.fault != Fault::LeavesOrphans {
                self.processes.clear();
            }
            self.fault.breaks_disk(&mut self.disk, &mut self.batches);
            let pass = match self.random.random_range(0..4) {
                0 => TimeDelta::zero(),
                1 => TimeDelta::seconds(self.random.random_range(0..600)),
                _ => script::pass(&mut self.random, self.now, None),
            };
            self.let_pass(pass, None);
            self.noticed = self.now;
            self.core = clockwork(&self.bounds, self.fault, &mut self.random);
            let mut step = Step::default();
            let loaded = self.disk.load(self.random.random_ratio(1, 64));
            let mut going = HashSet::new();
            if self.fault == Fault::BelievesTheDisk {
                going.extend(
                    loaded.live.iter().filter(|run| run.state == RunState::Running).map(|run| run.id),
                );
            }
            self.core.recover(self.now, loaded, &going, &mut step);
            self.fault.breaks_step(&mut step);
            match self.fate() {
                Fate::CrashBefore | Fate::Refused => {}
                Fate::CrashAfter | Fate::CrashAmid => self.commit(&step, Vec::new())?,
                Fate::Done => {
                    self.commit(&step, Vec::new())?;
                    self.act(step.effects)?;
                    return self.ledger.is_on(&self.disk, &self.core);
                }
            }
        }
    }

    /// The commit failed: the same server reads the store again.
    fn undo(&mut self, ended: Vec<End>) {
        let mut going: HashSet<RunId> = self.processes.keys().copied().collect();
        going.extend(ended.iter().map(|(run, ..)| *run));
        self.unsaved = ended;
        self.noticed = self.now;
        self.carried_at = Some(self.now);
        let old = std::mem::replace(&mut self.core, clockwork(&self.bounds, self.fault, &mut self.random));
        self.core.inherit(old);
        self.core.recover(self.now, self.disk.load(false), &going, &mut self.carried);
        if self.stopping {
            self.core.handle(self.now, Input::Stop, &mut self.carried);
        }
    }
}

fn clockwork(bounds: &Bounds, fault: Fault, random: &mut SmallRng) -> Core {
    let (bounds, tool) = fault.site(bounds);
    let asks = random.random();
    Core::new(bounds, tool, random.random()).asking(asks, true)
}
