//! The loop around the clockwork: gather, decide, commit, act.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLockWriteGuard};
use std::time::Duration;

use chrono::Utc;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::asking;
use super::work::{self, Ended};
use super::{Ask, Shared};
use crate::core::{Answer, Core, Effect, Input, Refusal, Step, Ticket, Write};
use crate::disk::Survey;
use crate::event::EventKind;
use crate::project::ProjectId;
use crate::run::RunId;
use crate::store::{Loaded, StoreError};
use crate::tally::{self, Tally};

/// How many askers one commit serves at most.
const TOGETHER: usize = 256;
/// The longest sleep: a clock that jumps is noticed within this.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How soon a failed commit is tried again.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);

/// The dispatcher's own state.
pub(super) struct Shell {
    shared: Arc<Shared>,
    core: Core,
    inbox: mpsc::Receiver<Ask>,
    /// Ends of attempts. Unbounded by type, bounded by the runs that are going: each sends one.
    ends: mpsc::UnboundedReceiver<Ended>,
    report: mpsc::UnboundedSender<Ended>,
    answers: HashMap<Ticket, oneshot::Sender<Result<Answer, Refusal>>>,
    next_ticket: Ticket,
    going: HashMap<RunId, CancellationToken>,
    /// Readers who wait for the queue of this turn.
    readers: Vec<oneshot::Sender<()>>,
    /// Projects whose trees have moved, which is to be noted.
    moved: Vec<ProjectId>,
    /// Ends that could not be made durable yet.
    unsaved: Vec<Ended>,
    /// What reading the store again after a failed commit has led to; the next commit is to hold it.
    recovered: Step,
    /// The store refused the last commit.
    refused: bool,
    /// The picture of the file systems is an old one.
    resurveyed: bool,
    stopping: bool,
}

impl Shell {
    pub(super) fn new(shared: Arc<Shared>, inbox: mpsc::Receiver<Ask>) -> Self {
        let (report, ends) = mpsc::unbounded_channel();
        Self {
            core: shared.clockwork(),
            shared,
            inbox,
            ends,
            report,
            answers: HashMap::new(),
            next_ticket: 0,
            going: HashMap::new(),
            readers: Vec::new(),
            moved: Vec::new(),
            unsaved: Vec::new(),
            recovered: Step::default(),
            refused: false,
            resurveyed: false,
            stopping: false,
        }
    }

    /// Takes what was seen of the file systems, before anything else happens.
    pub(super) fn survey(&mut self, survey: Survey) {
        let reserve = self.shared.settings().reserve;
        self.core.handle(Utc::now(), Input::Space(survey, reserve), &mut self.recovered);
        self.shared.board.set_ground(self.core.ground());
    }

    /// Takes over what the store holds, before anything else happens.
    pub(super) async fn recover(&mut self, loaded: Loaded) -> Result<(), StoreError> {
        let mut step = std::mem::take(&mut self.recovered);
        self.core.recover(Utc::now(), loaded, &HashSet::new(), &mut step);
        let counted = self.count(&mut step);
        match self.shared.store.commit(std::mem::take(&mut step.writes)).await {
            Ok(()) => {
                self.tally().extend(counted);
                self.act(step);
                Ok(())
            }
            Err(error) if self.shared.store.is_writable() => Err(error),
            Err(error) => {
                // A store that takes no writes is served for reading; the next round tries again.
                self.refused = true;
                let touched = step.touched.clone();
                self.undo(&error, Vec::new(), step);
                self.shared.board.refresh(&self.core, touched.iter());
                Ok(())
            }
        }
    }

    /// Runs until everything has ended after a stop.
    pub(super) async fn run(mut self) {
        let mut asks = Vec::with_capacity(TOGETHER);
        let mut ends = Vec::new();
        loop {
            self.round(asks.drain(..), ends.drain(..)).await;
            if self.core.is_still() && self.unsaved.is_empty() {
                return;
            }
            let wake = self.wake();
            tokio::select! {
                biased;
                () = self.shared.stop.cancelled(), if !self.stopping => {}
                _ = self.ends.recv_many(&mut ends, TOGETHER) => {}
                count = self.inbox.recv_many(&mut asks, TOGETHER), if !self.inbox.is_closed() || !self.inbox.is_empty() => {
                    // What ended meanwhile is committed with them.
                    while count > 0 && let Ok(end) = self.ends.try_recv() {
                        ends.push(end);
                    }
                }
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// One turn: everything that has come is decided, committed once, and acted on.
    async fn round(&mut self, asks: impl Iterator<Item = Ask>, ends: impl Iterator<Item = Ended>) {
        let now = Utc::now();
        let mut step = std::mem::take(&mut self.recovered);
        let mut ended = std::mem::take(&mut self.unsaved);
        ended.extend(ends);
        for Ended { run, told } in ended.clone() {
            self.going.remove(&run);
            self.core.handle(now, Input::AttemptEnded { run, told }, &mut step);
        }
        for id in std::mem::take(&mut self.moved) {
            self.core.handle(now, Input::TreeMoved(id), &mut step);
        }
        for ask in asks {
            if let Some(input) = self.input(ask) {
                self.core.handle(now, input, &mut step);
            }
        }
        if !self.stopping && self.shared.stop.is_cancelled() {
            self.stopping = true;
            self.core.handle(now, Input::Stop, &mut step);
        }
        self.core.settle(now, &mut step);
        if step.writes.iter().any(|write| matches!(write, Write::Project(_))) {
            self.shared.look.notify_one();
        }
        let counted = self.count(&mut step);
        match self.shared.store.commit(std::mem::take(&mut step.writes)).await {
            Ok(()) => {
                self.tally().extend(counted);
                self.refused = false;
                for end in &ended {
                    self.shared.board.set_phase(end.run, None);
                }
                self.act(step);
                if !self.readers.is_empty() {
                    self.shared.board.make_queue(&self.core);
                }
            }
            Err(error) => {
                self.refused = true;
                self.undo(&error, ended, step);
            }
        }
        for reader in self.readers.drain(..) {
            // Whoever asked may have gone.
            let _ = reader.send(());
        }
    }

    /// Lets the step's own commit hold what the step adds to the counts.
    fn count(&self, step: &mut Step) -> Tally {
        let counted = tally::after(&self.tally(), &step.effects);
        step.writes.extend(counted.iter().map(|(count, value)| Write::Count(count.clone(), *value)));
        counted
    }

    fn tally(&self) -> RwLockWriteGuard<'_, Tally> {
        self.shared.tally.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn input(&mut self, ask: Ask) -> Option<Input> {
        Some(match ask {
            Ask::Command(command, answer) => {
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                self.answers.insert(ticket, answer);
                Input::Command { ticket, command }
            }
            Ask::Site(bounds, tool) => Input::Site(bounds, tool),
            Ask::Picked(number, runs) => Input::Picked(number, runs),
            Ask::Planned(project, run, suggestion) => Input::Planned(project, run, suggestion),
            Ask::Space(survey) => {
                self.resurveyed = true;
                Input::Space(survey, self.shared.settings().reserve)
            }
            Ask::Alive(answer) => {
                // Whoever asked may have gone.
                let _ = answer.send(());
                return None;
            }
            Ask::Queue(reader) => {
                self.readers.push(reader);
                return None;
            }
        })
    }

    /// What was decided is durable: readers may see it, and the world may feel it.
    fn act(&mut self, step: Step) {
        let touched: HashSet<&ProjectId> = step.touched.iter().collect();
        if !touched.is_empty() {
            self.shared.board.refresh(&self.core, touched.into_iter());
        }
        let disks = |effect: &Effect| {
            matches!(effect, Effect::Announce(EventKind::DiskFull(..) | EventKind::DiskFree(_)))
        };
        let changed = step.effects.iter().any(disks);
        if std::mem::take(&mut self.resurveyed) || changed {
            self.shared.board.set_ground(self.core.ground());
        }
        if changed {
            // Others wait now, or for other reasons.
            self.shared.board.refresh(&self.core, std::iter::empty());
        }
        let mut unmoved: HashMap<ProjectId, String> = HashMap::new();
        for effect in step.effects {
            match effect {
                Effect::Move(id, relocation) => match relocation.perform() {
                    Ok(()) => self.moved.push(id),
                    Err(error) => {
                        let (from, to) = (relocation.from.display(), relocation.to.display());
                        tracing::error!(project = %id, "the tree could not move from {from} to {to}: {error}");
                        unmoved.insert(id, error.to_string());
                    }
                },
                Effect::Pick(number, question) => asking::pick(&self.shared, number, *question),
                Effect::Plan(plan) => asking::plan(&self.shared, *plan),
                Effect::Start(start) => {
                    let token = CancellationToken::new();
                    self.going.insert(start.run, token.clone());
                    let task = work::attempt(Arc::clone(&self.shared), *start, token, self.report.clone());
                    self.shared.tracker.spawn(task);
                }
                Effect::Cancel(run) => {
                    if let Some(token) = self.going.get(&run) {
                        token.cancel();
                    }
                }
                Effect::Answer(ticket, answer) => {
                    let why = answer.as_ref().as_ref().ok().and_then(|answer| match answer {
                        Answer::Project(project) => {
                            Some((project.id.clone(), unmoved.get(&project.id)?.clone()))
                        }
                        _ => None,
                    });
                    self.answer(ticket, why.map_or(*answer, |(id, why)| Err(Refusal::NotMoved { id, why })));
                }
                Effect::Publish(project, kind) => self.shared.events.publish(project, kind),
                Effect::Announce(kind) => {
                    if let EventKind::ClockBack(clock_step) = kind {
                        tracing::warn!("{clock_step}");
                        self.shared.board.set_clock_step(clock_step);
                    }
                    self.shared.events.announce(kind);
                }
            }
        }
    }

    /// Nothing of the step is durable, so nothing of it has happened.
    fn undo(&mut self, error: &StoreError, ended: Vec<Ended>, step: Step) {
        tracing::error!("a change of state could not be stored, and was not made: {error}");
        self.unsaved = ended;
        let mut cancels = Vec::new();
        for effect in step.effects {
            match effect {
                Effect::Answer(ticket, _) => self.answer(ticket, Err(Refusal::Store(error.to_string()))),
                // A stop is not undone: what goes must end even when it cannot be recorded now.
                Effect::Cancel(run) if self.stopping => cancels.push(run),
                _ => {}
            }
        }
        for run in cancels {
            if let Some(token) = self.going.get(&run) {
                token.cancel();
            }
        }
        match self.shared.store.load() {
            Ok(loaded) => {
                let mut going: HashSet<RunId> = self.going.keys().copied().collect();
                going.extend(self.unsaved.iter().map(|end| end.run));
                let old = std::mem::replace(&mut self.core, self.shared.clockwork());
                self.core.inherit(old);
                self.core.recover(Utc::now(), loaded, &going, &mut self.recovered);
                if self.stopping {
                    self.core.handle(Utc::now(), Input::Stop, &mut self.recovered);
                }
            }
            Err(error) => tracing::error!("the store cannot be read: {error}"),
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: Result<Answer, Refusal>) {
        if let Some(asker) = self.answers.remove(&ticket) {
            // Whoever asked may have gone.
            let _ = asker.send(answer);
        }
    }

    fn wake(&self) -> Instant {
        if !self.moved.is_empty() {
            return Instant::now();
        }
        // A store that refuses is not asked again and again: what is due is due a moment later too.
        let sleep = if self.refused {
            COMMIT_AGAIN
        } else {
            let due = self.core.next_wake().map(|due| (due - Utc::now()).to_std().unwrap_or_default());
            due.map_or(LONGEST_SLEEP, |due| due.min(LONGEST_SLEEP))
        };
        Instant::now() + sleep
    }
}
