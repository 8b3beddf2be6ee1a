//! One attempt as a task: it works, tells the watchers, and answers for its end whatever happens.

use std::sync::Arc;
use std::time::Duration;

use engine::{Attempt, AttemptReport, Change, Changes, Exit, Monitor, Phase, Progress, Verdict};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::core::Start;
use crate::event::EventKind;
use crate::journal::Journal;
use crate::lists::Lists;
use crate::project::ProjectId;
use crate::run::{AttemptEnd, AttemptExit, Counts, RunId};

/// How an attempt ended, on its way to the dispatcher.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) run: RunId,
    pub(super) end: Box<AttemptEnd>,
    pub(super) clean: bool,
}

/// Runs one rsync to its end and reports it.
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
    let elsewhere = match not_moved(&start).await {
        Some(why) => Some(why),
        None => moved(&shared, &start),
    };
    let (end, clean) = match elsewhere {
        Some(why) => (refused(why), true),
        None => {
            let watch = Watch { shared: &shared, journal: &journal, project: &project, run };
            let attempt = narrowed(&shared, &start);
            journal.say(&format!("attempt {}: {}", start.number, shared.engine.command(&attempt)));
            let report = shared.engine.attempt(&attempt, &watch, &cancel).await;
            let clean = report.clean;
            (ended(report), clean)
        }
    };
    journal.say(&format!("attempt {} ended: {}: {}", start.number, end.class, end.reason));
    shared.board.set_progress(run, None);
    tracing::info!(%run, %project, attempt = start.number, class = end.class, "attempt ended: {}", end.reason);
    let closing = Arc::clone(&journal);
    // A panic in there has said what it had to say; the end is reported all the same.
    let _ = tokio::task::spawn_blocking(move || closing.close()).await;
    promise.keep(Ended { run, end: Box::new(end), clean });
}

/// A tree that is still to move does so first: what would be fetched meanwhile would be there twice.
async fn not_moved(start: &Start) -> Option<String> {
    let relocation = start.relocation.clone()?;
    let (from, to) = (relocation.from.display().to_string(), relocation.to.display().to_string());
    let why = match tokio::task::spawn_blocking(move || relocation.perform()).await {
        Ok(Ok(())) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    Some(format!("the tree could not move from {from} to {to}: {why}"))
}

/// The attempt, which looks at some paths only where a list of them was left.
fn narrowed(shared: &Shared, start: &Start) -> Attempt {
    let mut attempt = start.attempt.clone();
    let whole = start.number > 1 || attempt.unclean_since.is_some();
    let list = Lists::new(&shared.settings().data_dir).take(&start.project.id, start.run, whole);
    if let Some(list) = list.and_then(|list| list.into_os_string().into_string().ok()) {
        attempt.options = attempt.options.only(list);
    }
    attempt
}

/// A destination that leads elsewhere than when it was accepted could nest in another project's.
fn moved(shared: &Shared, start: &Start) -> Option<String> {
    let project = &start.project;
    match shared.settings().landing.resolve(&project.dest) {
        Ok(place) if place == project.place => None,
        Ok(place) => Some(format!(
            "{} leads to {} now, and led to {} when the project was saved: save the project again if that is meant",
            project.dest.display(),
            place.display(),
            project.place.display()
        )),
        Err(error) => Some(format!("`dest` {error}")),
    }
}

fn refused(reason: String) -> AttemptEnd {
    AttemptEnd {
        duration: Duration::ZERO,
        exit: AttemptExit::Other("not-started".to_owned()),
        class: "config".to_owned(),
        verdict: Verdict::ConfigError,
        reason,
        stats: None,
        changes: Counts::default(),
        stderr: Vec::new(),
    }
}

fn ended(report: AttemptReport) -> AttemptEnd {
    let Changes { created, updated, deleted } = report.changes;
    let exit = match &report.exit {
        Exit::Code(code) => AttemptExit::Code(*code),
        Exit::Signal(signal) => AttemptExit::Signal(*signal),
        other => AttemptExit::Other(other.as_str().to_owned()),
    };
    AttemptEnd {
        duration: report.duration,
        exit,
        class: report.judgement.class.as_str().to_owned(),
        verdict: report.judgement.verdict,
        reason: report.judgement.reason,
        stats: report.stats,
        changes: Counts { created, updated, deleted },
        stderr: report.stderr_tail,
    }
}

/// Everyone who watches an attempt.
struct Watch<'a> {
    shared: &'a Shared,
    journal: &'a Journal,
    project: &'a ProjectId,
    run: RunId,
}

impl Monitor for Watch<'_> {
    fn phase(&self, phase: Phase) {
        self.journal.phase(phase);
    }

    fn progress(&self, progress: &Progress) {
        self.journal.progress(progress);
        self.shared.board.set_progress(self.run, Some(*progress));
        self.shared.events.publish(self.project.clone(), EventKind::RunProgress(self.run, *progress));
    }

    fn change(&self, change: &Change<'_>, raw: &[u8]) {
        self.journal.change(change, raw);
    }

    fn stdout(&self, line: &[u8]) {
        self.journal.stdout(line);
    }

    fn stderr(&self, line: &[u8]) {
        self.journal.stderr(line);
    }
}

/// The promise that every attempt has an end: one that panics has it too.
struct Promise {
    run: RunId,
    report: Option<mpsc::UnboundedSender<Ended>>,
}

impl Promise {
    fn keep(&mut self, ended: Ended) {
        if let Some(report) = self.report.take() {
            // The dispatcher outlives its attempts; without it there is nobody to tell.
            let _ = report.send(ended);
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let reason = "an error in heliostat itself ended the attempt: please report the server's log";
        let mut end = refused(reason.to_owned());
        end.class = "internal".to_owned();
        let run = self.run;
        self.keep(Ended { run, end: Box::new(end), clean: false });
    }
}
