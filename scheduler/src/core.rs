//! The clockwork itself: every decision of the scheduler as one function from an input to a step.
//!
//! [`Core`] holds the projects, the live runs, the timetable and the queue. It has no clock, no process and no store:
//! it is told the time, and what it decides comes out as a [`Step`]: first what must be durable, then what may happen
//! once it is. So tests and simulations drive it through years in milliseconds, and crash it wherever they like.
//!
//! What a person asks for is in [`command`], what is decided when a project is due in [`due`], what a clock that goes back changes in [`clock`], what becomes of a run in
//! [`lifecycle`], which waiting run starts in [`picks`], what becomes of a run that the guard holds in [`hold`], what attempts tell of upstream hosts in [`hosts`], and which
//! upstream each of them asks in [`upstreams`].

mod clock;
mod command;
mod due;
mod full;
mod hold;
mod hosts;
mod lifecycle;
mod permits;
mod picks;
mod rename;
#[cfg(test)]
pub(crate) mod tests;
mod trees;
mod upstreams;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use engine::{Attempt, Limits};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

pub use clock::ClockStep;
pub use command::{Answer, Command, Refusal};
pub use rename::Rename;

use crate::account::AuditEntry;
use crate::destination::Places;
use crate::disk::{Disks, Ground, Reserve, Survey};
use crate::event::EventKind;
use crate::policy::{Finished, Suggestion, View};
use crate::project::{Project, ProjectId, Standing, Upstream};
use crate::queue::{Bounds, Queue, QueueItem, Waits};
use crate::relocation::Relocation;
use crate::run::{Run, RunId, RunState, Told};
use crate::tally::Count;
use crate::timetable::Timetable;

/// The scheduler's whole state of mind.
#[derive(Debug)]
pub struct Core {
    entries: BTreeMap<ProjectId, Entry>,
    /// The runs that have not ended.
    runs: HashMap<RunId, Run>,
    places: Places,
    /// Removed projects whose last rsync has not ended yet.
    departing: HashMap<RunId, Arc<Project>>,
    due: Timetable<ProjectId>,
    /// Projects whose catch-up run was granted, and waits for its share of the jitter.
    granted: HashSet<ProjectId>,
    retries: Timetable<RunId>,
    queue: Queue,
    disks: Disks,
    newest: Option<RunId>,
    random: SmallRng,
    tool: Tool,
    /// The latest that the clock has shown.
    seen: Option<DateTime<Utc>>,
    /// The newest step of the clock into the past.
    clock_step: Option<ClockStep>,
    picks: picks::Picks,
    /// Whether somebody may be asked when a project is due again.
    has_policy: bool,
    stopping: bool,
}

/// How many times, and how many waits, are decided in one step, so that nobody who asks waits behind ten thousand.
const TOGETHER: usize = 256;

/// The rsync of this site.
#[derive(Debug, Clone)]
pub struct Tool {
    /// The program, by name or path.
    pub program: PathBuf,
    /// What holds for every attempt; the count of deletions is each project's own.
    pub limits: Limits,
    /// The programs that projects can name in rsync's place.
    pub commands: Arc<Commands>,
}

/// Programs by the names that projects give.
pub type Commands = BTreeMap<String, engine::Command>;

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
        /// What its task tells.
        told: Box<Told>,
    },
    /// The tree of this project is where it was to move.
    TreeMoved(ProjectId),
    /// The policy has answered this question of [`Effect::Pick`]: these start, in this order; none: the built-in order.
    Picked(u64, Option<Vec<RunId>>),
    /// The policy says when this project is due again after this run.
    Planned(ProjectId, RunId, Suggestion),
    /// The site's bounds and its rsync were changed.
    Site(Bounds, Tool),
    /// Somebody has looked how full the file systems are.
    Space(Survey, Reserve),
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

impl Step {
    /// Stores how a project stands now, and lets readers see it.
    fn store_standing(&mut self, id: ProjectId, standing: Standing) {
        self.touched.insert(id.clone());
        self.writes.push(Write::Standing(id, Box::new(standing)));
    }
}

/// One change of the store.
#[derive(Debug, Clone)]
pub enum Write {
    /// These are the project's settings now.
    Project(Arc<Project>),
    /// This is how it stands now.
    Standing(ProjectId, Box<Standing>),
    /// The project is no more.
    ForgetProject(ProjectId),
    /// This is the run now.
    Run(Arc<Run>),
    /// The ended runs of one project are those of another from here on.
    RenameRuns {
        /// Whose they were.
        from: ProjectId,
        /// Whose they are.
        to: ProjectId,
    },
    /// So much has been counted by now.
    Count(Count, u64),
    /// This was done, for the audit trail.
    Audit(Box<AuditEntry>),
}

/// One thing to do once the writes are durable.
#[derive(Debug)]
pub enum Effect {
    /// Move the tree of a project, before anything starts for it.
    Move(ProjectId, Relocation),
    /// Ask the policy which of these runs start next; the answer carries the same number.
    Pick(u64, Box<Question>),
    /// Ask the policy when a project is due again.
    Plan(Box<Plan>),
    /// Start an rsync.
    Start(Box<Start>),
    /// Stop the rsync of this run.
    Cancel(RunId),
    /// Answer a person.
    Answer(Ticket, Box<Result<Answer, Refusal>>),
    /// Tell the watchers.
    Publish(ProjectId, EventKind),
    /// Tell the watchers what is no single project's.
    Announce(EventKind),
}

/// What the policy is asked of the queue.
#[derive(Debug)]
pub struct Question {
    /// What it is told.
    pub view: View,
    /// The candidates' runs, in the order of the view.
    pub runs: Vec<RunId>,
    /// Their projects.
    pub projects: Vec<Arc<Project>>,
}

/// What the policy is asked of a project of which a run has ended.
#[derive(Debug)]
pub struct Plan {
    /// Which run.
    pub run: RunId,
    /// The project.
    pub project: Arc<Project>,
    /// What is known without the store: the past is still to be filled in.
    pub finished: Finished,
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
    /// Where the project's tree is to move first, if it was not seen to have.
    pub relocation: Option<Relocation>,
    /// The run as it was stored when this started.
    pub record: Arc<Run>,
    /// How the project stood then.
    pub standing: Standing,
    /// Upstreams that come before the one of this attempt and had failed: one that answers again is used instead.
    pub ask_again: Vec<Upstream>,
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
            granted: HashSet::new(),
            retries: Timetable::default(),
            queue: Queue::new(bounds),
            disks: Disks::default(),
            newest: None,
            random: SmallRng::seed_from_u64(seed),
            tool,
            seen: None,
            clock_step: None,
            picks: picks::Picks::default(),
            has_policy: false,
            stopping: false,
        }
    }

    /// Says whether a policy is asked which run starts next, and whether one is asked when projects are due.
    #[must_use]
    pub fn asking(mut self, picks: bool, plans: bool) -> Self {
        self.picks = picks::Picks::asking(picks);
        self.has_policy = plans;
        self
    }

    /// Takes one input. What follows is added to `step`; starting what can start is left to [`Core::settle`].
    pub fn handle(&mut self, now: DateTime<Utc>, input: Input, step: &mut Step) {
        self.watch_clock(now, step);
        match input {
            Input::Command { ticket, command } => {
                let answer = self.command(now, command, step);
                step.effects.push(Effect::Answer(ticket, Box::new(answer)));
            }
            Input::AttemptEnded { run, told } => self.attempt_ended(now, run, *told, step),
            Input::TreeMoved(id) => self.tree_moved(id, step),
            Input::Picked(number, answer) => return self.picks.hear(number, answer),
            Input::Planned(id, run, suggestion) => return self.planned(now, &id, run, suggestion, step),
            Input::Site(bounds, tool) => {
                self.queue.set_bounds(bounds);
                self.tool = tool;
            }
            Input::Space(survey, reserve) => {
                let changed = self.disks.observe(now, survey, reserve);
                self.disks_changed(changed, step);
            }
            Input::Stop => self.stop(step),
        }
        self.picks.changed();
    }

    /// Fires what is due, queues what has backed off, and starts what the bounds let through. When more than a step's
    /// worth is due, [`Core::next_wake`] has passed already, and the rest is for the next call.
    pub fn settle(&mut self, now: DateTime<Utc>, step: &mut Step) {
        self.watch_clock(now, step);
        if self.stopping {
            return;
        }
        for _ in 0..TOGETHER {
            let Some((due, id)) = self.due.pop_due(now) else { break };
            self.fire(now, due, &id, step);
            self.picks.changed();
        }
        for _ in 0..TOGETHER {
            let Some((_, run)) = self.retries.pop_due(now) else { break };
            self.requeue(now, run, step);
            self.picks.changed();
        }
        self.start_what_may(now, step);
    }

    /// When [`Core::settle`] has something to do next, if nothing else happens.
    #[must_use]
    pub fn next_wake(&self) -> Option<DateTime<Utc>> {
        if self.stopping {
            return None;
        }
        let times = [self.due.next(), self.retries.next(), self.queue.next_opening(), self.picks.next_wake()];
        times.into_iter().flatten().min()
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
        self.runs.get(&id)
    }

    /// Every live run, in no order.
    pub fn live_runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }

    /// The file systems below projects.
    pub(crate) fn ground(&self) -> Ground {
        self.disks.shown()
    }

    /// What waits, in order, with the reason; at most `limit` of them.
    #[must_use]
    pub fn queue(&self, limit: usize) -> Vec<QueueItem> {
        let mut items = self.queue.items(limit, self.seen.unwrap_or_default());
        for item in items.iter_mut().filter(|item| self.picks.are_asked() && item.waits == Waits::ForNothing)
        {
            item.waits = Waits::ForPolicy;
        }
        items
    }

    /// Puts a project where recovery or a command says that it is.
    pub(crate) fn place(&mut self, project: Arc<Project>, standing: Standing) {
        self.places.insert(project.place.clone(), project.id.clone());
        if let Some(relocation) = &standing.moving {
            // Nobody else may land where its tree still is.
            self.places.insert(relocation.from.clone(), project.id.clone());
        }
        if let Some(started) = standing.last_run.as_ref().and_then(|last| last.started) {
            self.queue.note_start(project.source.host(), started);
        }
        let entry = Entry { project, standing, active: None, waiting: None, next: None };
        self.entries.insert(entry.project.id.clone(), entry);
    }

    /// Takes over from a clockwork that decided what could not be stored: what no store knows, which is what the going
    /// runs take of the bounds, and who still writes to the places of removed projects. Comes before [`Core::recover`].
    pub fn inherit(&mut self, old: Self) {
        self.queue.inherit(old.queue);
        self.departing = old.departing;
        self.disks = old.disks;
        self.queue.set_disks(self.disks.mounts(), self.disks.full());
        self.seen = old.seen;
        self.clock_step = old.clock_step;
    }

    /// Names of runs grow from here on.
    pub(crate) fn resume_after(&mut self, newest: Option<RunId>) {
        self.newest = self.newest.max(newest);
    }

    /// Keeps in mind which inherited runs of removed projects are still going; a project that is there again was not
    /// removed after all.
    pub(crate) fn keep_departing(&mut self, going: &HashSet<RunId>) {
        let entries = &self.entries;
        let same =
            |gone: &Project| entries.get(&gone.id).is_some_and(|entry| entry.project.created == gone.created);
        self.departing.retain(|run, gone| going.contains(run) && !same(gone));
        for run in self.departing.keys() {
            self.queue.resume(*run);
        }
    }

    /// Takes a run that is going already into the account of the bounds.
    pub(crate) fn keep_going(&mut self, id: RunId) {
        self.queue.resume(id);
    }

    fn stop(&mut self, step: &mut Step) {
        self.stopping = true;
        let going = self.runs.values().filter(|run| run.state == RunState::Running);
        step.effects.extend(going.map(|run| Effect::Cancel(run.id)));
    }

    fn new_id(&mut self, now: DateTime<Utc>) -> RunId {
        let id = RunId::after(self.newest, now, self.random.random());
        self.newest = Some(id);
        id
    }
}
