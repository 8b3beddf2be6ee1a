//! One attempt as a task: a story in steps, and a promise that it has an end whatever happens.
//!
//! [`prepare`] sees whether it may go on and with which options, [`plan`] what it would delete and whether a person is
//! to be asked, [`sync`] runs rsync, [`finish`] lets hooks judge. Each
//! step gives the next one what it needs, or ends the story. What follows from an [`Ending`] is the clockwork's.

mod ask;
mod debian;
mod finish;
mod moved;
mod plan;
mod prepare;
mod sync;
mod tree;
mod upstream;

use std::path::PathBuf;
use std::sync::Arc;

use engine::{Attempt, DestinationFolder, Stats, Verdict};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::core::Start;
use crate::event::EventKind;
use crate::freshness::Seen;
use crate::hooks::RunContext;
use crate::journal::Journal;
use crate::refusal::RehearsalNews;
use crate::run::{Ending, HookDecision, RunId, RunPhase, Told};
use crate::tree::SeenTree;

/// What an attempt tells, on its way to the dispatcher.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) run: RunId,
    pub(super) told: Box<Told>,
}

/// An attempt at work: what its steps share.
struct Work<'a> {
    shared: &'a Shared,
    start: &'a Start,
    journal: &'a Journal,
    cancel: &'a CancellationToken,
    phase: RunPhase,
    decisions: Vec<HookDecision>,
    /// What is written into a tree of Debian's.
    trace: Option<debian::Trace>,
    /// What hooks were told before the attempt; none: none was asked.
    context: Option<RunContext>,
    /// What the upstream's marker was before any rsync began; none: it was not to be read.
    seen: Option<Seen>,
    /// What it showed when it was asked, whatever became of the attempt.
    sighted: Option<Seen>,
    /// What a rehearsal has left to do; none: there was none, or the whole tree is to be looked at.
    rehearsed: Option<Rehearsed>,
    /// News of the upstream's willingness to rehearse.
    rehearsal: Option<RehearsalNews>,
    /// Reason for a run without deletions of a project that deletes.
    withheld: Option<String>,
    /// The command that failed, where it was not the attempt's own.
    command: Option<String>,
    /// Place of the tree, as it was found before anything else.
    tree: Option<SeenTree>,
    /// The destination's folder, which everything else is done in; none: nothing is there yet.
    folder: Option<Arc<DestinationFolder>>,
}

/// An attempt at what a rehearsal has named.
struct Rehearsed {
    attempt: Attempt,
    /// The tree as the rehearsal saw it.
    tree: Stats,
    /// Paths below the destination at which nothing will be left.
    goes: Vec<PathBuf>,
}

/// What a step gives the next one, or how the story ends there.
type Next<T> = Result<T, Ending>;

/// Makes one attempt and reports how it ended.
pub(super) async fn attempt(
    shared: Arc<Shared>,
    start: Start,
    cancel: CancellationToken,
    report: mpsc::UnboundedSender<Ended>,
) {
    let mut promise = Promise { run: start.run, report: Some(report) };
    let journal = Arc::new(Journal::open(&shared.journals, start.run));
    let (run, project) = (start.run, start.project.id.clone());
    tracing::info!(%run, %project, attempt = start.number, "attempt started");
    let work = Work {
        shared: &shared,
        start: &start,
        journal: &journal,
        cancel: &cancel,
        phase: RunPhase::default(),
        decisions: Vec::new(),
        trace: None,
        context: None,
        seen: None,
        sighted: None,
        rehearsed: None,
        rehearsal: None,
        withheld: None,
        command: None,
        tree: None,
        folder: None,
    };
    let told = work.tell().await;
    let (class, reason) = told.ending.in_words();
    journal.say(&format!("attempt {} ended: {class}: {reason}", start.number));
    shared.board.set_progress(run, None);
    tracing::info!(%run, %project, attempt = start.number, class, "attempt ended: {reason}");
    let closing = Arc::clone(&journal);
    // A panic in there has said what it had to say; the end is reported all the same.
    let _ = tokio::task::spawn_blocking(move || closing.close()).await;
    promise.keep(told);
}

impl Work<'_> {
    /// The whole story.
    async fn tell(mut self) -> Told {
        let (ending, clean) = match self.planned().await {
            Ok(attempt) => sync::sync(&mut self, &attempt).await,
            Err(ending) => (plan::still_held(self.start, ending), true),
        };
        let ending = finish::finish(&mut self, ending).await;
        Told {
            ending,
            decisions: self.decisions,
            clean,
            seen: self.seen,
            sighted: self.sighted,
            rehearsal: self.rehearsal,
            withheld: self.withheld,
            command: self.command,
            tree: self.tree,
        }
    }

    /// What rsync is to do, as far as hooks and the guard let it.
    async fn planned(&mut self) -> Next<Attempt> {
        let attempt = prepare::prepare(self).await?;
        plan::plan(self, attempt).await
    }

    /// Shows readers what is done now.
    fn enter(&mut self, phase: RunPhase) {
        if self.phase != phase {
            self.phase = phase;
            let run = self.start.run;
            self.shared.board.set_phase(run, Some(phase));
            self.shared.events.publish(self.start.project.id.clone(), EventKind::RunPhase(run, phase));
        }
    }

    /// Does something that may take its time, unless the run is cancelled meanwhile.
    async fn unless_cancelled<T>(&self, doing: impl Future<Output = T>) -> Next<T> {
        let cancelled = || {
            let reason = "it was asked to end before rsync was started".to_owned();
            Ending::not_started("cancelled", Verdict::Cancelled, reason)
        };
        self.cancel.run_until_cancelled(doing).await.ok_or_else(cancelled)
    }
}

/// The promise that every attempt has an end: one that panics has it too.
struct Promise {
    run: RunId,
    report: Option<mpsc::UnboundedSender<Ended>>,
}

impl Promise {
    fn keep(&mut self, told: Told) {
        if let Some(report) = self.report.take() {
            // The dispatcher outlives its attempts; without it there is nobody to tell.
            let _ = report.send(Ended { run: self.run, told: Box::new(told) });
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let reason = "an error in heliostat itself ended the attempt: please report the server's log";
        let ending = Ending::not_started("internal", Verdict::ConfigError, reason.to_owned());
        self.keep(Told { clean: false, ..Told::new(ending) });
    }
}
