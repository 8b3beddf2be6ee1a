//! rsync itself: started, watched by everyone who watches, and its end put into words.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use engine::{
    Attempt, AttemptReport, Change, Changes, Class, DestinationFolder, Exit, Monitor, Phase, Progress,
    Verdict,
};

use super::{Rehearsed, Work};
use crate::dispatcher::Shared;
use crate::event::EventKind;
use crate::journal::Journal;
use crate::project::ProjectId;
use crate::run::{AttemptEnd, AttemptExit, Counts, Ending, RunId, RunPhase};

/// Runs rsync to its end. Gives that, and whether it can have left nothing behind.
pub(super) async fn sync(work: &mut Work<'_>, attempt: &Attempt) -> (Ending, bool) {
    work.enter(RunPhase::Running);
    if let Some(trace) = &mut work.trace {
        let begun = trace.begin(attempt);
        said(work, begun);
    }
    let (end, clean) = match work.rehearsed.take() {
        Some(rehearsed) => by_list(work, attempt, rehearsed).await,
        None => once(work, attempt).await,
    };
    if let Some(trace) = &work.trace {
        said(work, trace.finish(attempt.source.host(), &end));
    }
    (Ending::ran(in_place(attempt, end).await), clean)
}

/// Fails an end whose tree is not at its place any more: slaves and visitors would see what is there instead.
async fn in_place(attempt: &Attempt, end: AttemptEnd) -> AttemptEnd {
    if !matches!(end.verdict, Verdict::Done | Verdict::Partial) {
        return end;
    }
    let (used, dest) = (attempt.folder.clone(), attempt.dest.clone());
    let looking = tokio::task::spawn_blocking(move || {
        let found = DestinationFolder::open(&dest)?.identity()?;
        let used = used.map_or(Ok(found), |used| used.identity())?;
        io::Result::Ok(used == found)
    });
    let why = match looking.await {
        Ok(Ok(true)) => return end,
        Ok(Ok(false)) => "another folder is there".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic.to_string(),
    };
    let reason = format!(
        "the destination {} was taken away while the run was going, and what was fetched went with it: {why}",
        attempt.dest.display()
    );
    AttemptEnd { class: Class::Config.as_str().to_owned(), verdict: Verdict::ConfigError, reason, ..end }
}

/// Does what a rehearsal has named. Where the upstream does not take such a list, or not all of it, the whole tree is looked
/// at after all: it may have moved meanwhile, be too old (rsync 3.1.0, of 2013, brought deletions by a list), or no rsync.
async fn by_list(work: &Work<'_>, whole: &Attempt, rehearsed: Rehearsed) -> (AttemptEnd, bool) {
    let (began, at) = (Instant::now(), SystemTime::now());
    let (end, clean) = once(work, &rehearsed.attempt).await;
    let why = match end.verdict {
        Verdict::Done => match left(&whole.tree(), rehearsed.goes).await {
            Some(path) => format!("{path:?} is still there"),
            None => {
                let stats = end.stats.map(|stats| stats.of_rehearsed(&rehearsed.tree));
                return (AttemptEnd { stats, whole: true, ..end }, clean);
            }
        },
        Verdict::Partial | Verdict::ConfigError => format!("{}: {}", end.class, end.reason),
        Verdict::RetrySoon if end.changes.total() == 0 && matches!(end.exit, AttemptExit::Code(_)) => {
            format!("{}: {}", end.class, end.reason)
        }
        _ => return (end, clean),
    };
    if work.cancel.is_cancelled() {
        return (end, clean);
    }
    work.journal.say(&format!("{why}; the whole tree is looked at"));
    let mut whole = whole.clone();
    whole.time_limit = whole.time_limit.map(|limit| limit.saturating_sub(began.elapsed()));
    if !clean {
        whole.unclean_since = Some(at);
    }
    let (second, clean) = once(work, &whole).await;
    let changes = Counts {
        created: end.changes.created + second.changes.created,
        updated: end.changes.updated + second.changes.updated,
        deleted: end.changes.deleted + second.changes.deleted,
    };
    let (duration, all_told) = (began.elapsed(), end.all_told && second.all_told);
    (AttemptEnd { duration, changes, all_told, ..second }, clean)
}

/// The first of these paths at which there is something, though it was to go: rsync deletes by a list what the upstream has
/// not, and lets what it has under the same name stand in for it, also where the project's options leave that out.
async fn left(dest: &Path, goes: Vec<PathBuf>) -> Option<PathBuf> {
    let dest = dest.to_owned();
    let there = move || goes.into_iter().find(|path| dest.join(path).symlink_metadata().is_ok());
    tokio::task::spawn_blocking(there).await.unwrap_or_default()
}

/// One rsync, or two in stages.
async fn once(work: &Work<'_>, attempt: &Attempt) -> (AttemptEnd, bool) {
    let (shared, start) = (work.shared, work.start);
    let watch = Watch { shared, journal: work.journal, project: &start.project.id, run: start.run };
    work.journal.say(&format!("attempt {}: {}", start.number, shared.engine.command(attempt)));
    let report = shared.engine.attempt(attempt, &watch, work.cancel).await;
    let clean = report.clean;
    if !report.all_told && !attempt.is_command() {
        let (listed, counted) = (report.changes.deleted, report.stats.map_or(0, |stats| stats.deleted));
        work.journal.say(&format!(
            "rsync counted {counted} deletions and named {listed}: slaves will look at the whole tree"
        ));
    }
    (AttemptEnd { whole: !attempt.options.is_narrowed(), ..ended(report) }, clean)
}

/// A trace that could not be written is no reason to fail a run.
fn said(work: &Work<'_>, written: io::Result<()>) {
    if let Err(error) = written {
        work.journal.say(&format!("the files by which Debian's mirrors know each other: {error}"));
    }
}

pub(super) fn ended(report: AttemptReport) -> AttemptEnd {
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
        all_told: report.all_told,
        whole: true,
        stderr: report.stderr_tail,
        stage: report.stage,
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
