//! The clockwork itself: every decision of the scheduler as one function from an input to a step.
//!
//! [`Core`] holds the projects, the live runs, the timetable and the queue. It has no clock, no process and no store:
//! it is told the time, and what it decides comes out as a [`Step`]: first what must be durable, then what may happen
//! once it is. So tests and simulations drive it through years in milliseconds, and crash it wherever they like.
//!
//! What a person asks for is in [`command`], what becomes of a run in [`lifecycle`].

mod command;
mod lifecycle;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use engine::{Attempt, Limits};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

pub use command::{Answer, Command, Refusal};

use crate::destination::Places;
use crate::event::EventKind;
use crate::project::{Project, ProjectId, Standing};
use crate::queue::{Bounds, Queue, QueueItem};
use crate::run::{AttemptEnd, Run, RunId};
use crate::schedule::Rule;
use crate::timetable::Timetable;

/// The scheduler's whole state of mind.
#[derive(Debug)]
pub struct Core {
    entries: BTreeMap<ProjectId, Entry>,
    runs: HashMap<RunId, Live>,
    places: Places,
    /// Places of removed projects whose last rsync has not ended yet.
    departing: HashMap<RunId, PathBuf>,
    due: Timetable<ProjectId>,
    retries: Timetable<RunId>,
    queue: Queue,
    newest: Option<RunId>,
    random: SmallRng,
    tool: Tool,
    stopping: bool,
}

/// The rsync of this site.
#[derive(Debug, Clone)]
pub struct Tool {
    /// The program, by name or path.
    pub program: PathBuf,
    /// What holds for every attempt; the count of deletions is each project's own.
    pub limits: Limits,
}

/// A project, how it stands, and its live runs.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What a person decided.
    pub project: Arc<Project>,
    /// What its runs have found.
    pub standing: Standing,
    /// The run that is queued, going or backing off.
    pub active: Option<RunId>,
    /// The run that waits behind it.
    pub waiting: Option<RunId>,
    /// The next schedule time; with jitter, it starts a little later.
    pub next: Option<DateTime<Utc>>,
}

/// A run that has not ended.
#[derive(Debug)]
struct Live {
    run: Run,
    /// Who asked to stop it, if anyone did.
    cancelled_by: Option<String>,
}

/// Something that the core reacts to.
#[derive(Debug)]
pub enum Input {
    /// A person asks for something; the answer carries the same ticket.
    Command {
        /// Where the answer goes.
        ticket: Ticket,
        /// What is asked.
        command: Command,
    },
    /// The attempt that was going for a run has ended.
    AttemptEnded {
        /// Whose attempt.
        run: RunId,
        /// How it ended.
        end: Box<AttemptEnd>,
        /// Whether it can have left nothing behind in the destination.
        clean: bool,
    },
    /// The site's bounds and its rsync were changed.
    Site(Bounds, Tool),
    /// The server is to end: nothing starts any more, and what goes is ended.
    Stop,
}

/// Names one asker.
pub type Ticket = u64;

/// What follows from some inputs: first what must be durable, then what may happen.
#[derive(Debug, Default)]
pub struct Step {
    /// To be committed in one batch, in this order.
    pub writes: Vec<Write>,
    /// To be done, in this order, once the writes are durable.
    pub effects: Vec<Effect>,
    /// The projects of which readers have an old picture now.
    pub touched: BTreeSet<ProjectId>,
}

/// One change of the store.
#[derive(Debug, Clone)]
pub enum Write {
    /// These are the project's settings now.
    Project(Arc<Project>),
    /// This is how it stands now.
    Standing(ProjectId, Standing),
    /// The project is no more.
    ForgetProject(ProjectId),
    /// This is the run now.
    Run(Arc<Run>),
}

/// One thing to do once the writes are durable.
#[derive(Debug)]
pub enum Effect {
    /// Start an rsync.
    Start(Box<Start>),
    /// Stop the rsync of this run.
    Cancel(RunId),
    /// Answer a person.
    Answer(Ticket, Box<Result<Answer, Refusal>>),
    /// Tell the watchers.
    Publish(ProjectId, EventKind),
}

/// What the next attempt of a run needs to know.
#[derive(Debug)]
pub struct Start {
    /// Whose attempt.
    pub run: RunId,
    /// Counts from 1.
    pub number: usize,
    /// The project as it is now.
    pub project: Arc<Project>,
    /// What to ask of the engine.
    pub attempt: Attempt,
}

impl Core {
    /// An empty clockwork; `seed` makes every random choice repeatable.
    #[must_use]
    pub fn new(bounds: Bounds, tool: Tool, seed: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            runs: HashMap::new(),
            places: Places::default(),
            departing: HashMap::new(),
            due: Timetable::default(),
            retries: Timetable::default(),
            queue: Queue::new(bounds),
            newest: None,
            random: SmallRng::seed_from_u64(seed),
            tool,
            stopping: false,
        }
    }

    /// Takes one input. What follows is added to `step`; starting what can start is left to [`Core::settle`].
    pub fn handle(&mut self, now: DateTime<Utc>, input: Input, step: &mut Step) {
        match input {
            Input::Command { ticket, command } => {
                let answer = self.command(now, command, step);
                step.effects.push(Effect::Answer(ticket, Box::new(answer)));
            }
            Input::AttemptEnded { run, end, clean } => self.attempt_ended(now, run, *end, clean, step),
            Input::Site(bounds, tool) => {
                self.queue.set_bounds(bounds);
                self.tool = tool;
            }
            Input::Stop => self.stop(step),
        }
    }

    /// Fires what is due, queues what has backed off, and starts what the bounds let through.
    pub fn settle(&mut self, now: DateTime<Utc>, step: &mut Step) {
        if self.stopping {
            return;
        }
        while let Some((_, id)) = self.due.pop_due(now) {
            self.fire(now, &id, step);
        }
        while let Some((_, run)) = self.retries.pop_due(now) {
            self.requeue(now, run, step);
        }
        while let Some(run) = self.queue.start_next() {
            self.start(now, run, step);
        }
    }

    /// When [`Core::settle`] has something to do next, if nothing else happens.
    #[must_use]
    pub fn next_wake(&self) -> Option<DateTime<Utc>> {
        match (self.due.next(), self.retries.next()) {
            (Some(due), Some(retry)) => Some(due.min(retry)),
            (due, retry) => due.or(retry),
        }
    }

    /// Whether everything has ended after a stop.
    #[must_use]
    pub fn is_still(&self) -> bool {
        self.stopping && self.queue.going() == 0
    }

    /// A project with its live runs.
    #[must_use]
    pub fn entry(&self, id: &ProjectId) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// Every project, by name.
    pub fn entries(&self) -> impl Iterator<Item = (&ProjectId, &Entry)> {
        self.entries.iter()
    }

    /// A live run.
    #[must_use]
    pub fn run(&self, id: RunId) -> Option<&Run> {
        self.runs.get(&id).map(|live| &live.run)
    }

    /// Every live run, in no order.
    pub fn live_runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values().map(|live| &live.run)
    }

    /// What waits, in order, with the reason; at most `limit` of them.
    #[must_use]
    pub fn queue(&self, limit: usize) -> Vec<QueueItem> {
        self.queue.items(limit)
    }

    /// Puts a project where recovery or a command says that it is.
    pub(crate) fn place(&mut self, project: Arc<Project>, standing: Standing) {
        self.places.insert(project.place.clone(), project.id.clone());
        let entry = Entry { project, standing, active: None, waiting: None, next: None };
        self.entries.insert(entry.project.id.clone(), entry);
    }

    /// Works out when a project is due next.
    pub(crate) fn reschedule(&mut self, now: DateTime<Utc>, id: &ProjectId) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let schedule = &entry.project.schedule;
        let next = match &schedule.rule {
            _ if !entry.project.enabled => None,
            Rule::Manual => None,
            Rule::Every(_) if entry.active.is_some() => None,
            Rule::Every(pause) => match &entry.standing.last_run {
                None => Some(schedule.start.map_or(now, |start| start.max(now))),
                Some(last) => chrono::Duration::from_std(*pause).ok().map(|pause| last.ended + pause),
            }
            .filter(|next| schedule.end.is_none_or(|end| *next <= end)),
            Rule::Fields(_) | Rule::Cron(_) => {
                schedule.next_after(entry.standing.fired.map_or(now, |fired| fired.max(now)))
            }
        };
        entry.next = next;
        let due = next.map(|next| schedule.jittered(next, id.as_str()));
        self.due.set(id, due);
    }

    /// Notes that everything up to `scheduled` is decided; gives the standing to store.
    pub(crate) fn decided(&mut self, id: &ProjectId, scheduled: DateTime<Utc>) -> Option<Standing> {
        let entry = self.entries.get_mut(id)?;
        entry.standing.fired = Some(scheduled);
        Some(entry.standing.clone())
    }

    /// Names of runs grow from here on.
    pub(crate) fn resume_after(&mut self, newest: Option<RunId>) {
        self.newest = self.newest.max(newest);
    }

    /// Takes a run that is going already into the account of the bounds.
    pub(crate) fn keep_going(&mut self, id: RunId) {
        self.queue.start(id);
    }

    fn fire(&mut self, now: DateTime<Utc>, id: &ProjectId, step: &mut Step) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let Some(scheduled) = entry.next.take() else { return };
        entry.standing.fired = Some(scheduled);
        step.touched.insert(id.clone());
        if entry.active.is_some() {
            entry.standing.skipped += 1;
            let kind = EventKind::ScheduleSkipped { scheduled };
            step.effects.push(Effect::Publish(id.clone(), kind));
        } else {
            self.create_run(now, id, crate::run::Trigger::Schedule, None, Some(scheduled), step);
        }
        if let Some(entry) = self.entries.get(id) {
            step.writes.push(Write::Standing(id.clone(), entry.standing.clone()));
        }
        self.reschedule(now, id);
    }

    fn stop(&mut self, step: &mut Step) {
        self.stopping = true;
        let going = self.runs.values().filter(|live| live.run.state == crate::run::RunState::Running);
        step.effects.extend(going.map(|live| Effect::Cancel(live.run.id)));
    }

    fn new_id(&mut self, now: DateTime<Utc>) -> RunId {
        let id = RunId::after(self.newest, now, self.random.random());
        self.newest = Some(id);
        id
    }
}
