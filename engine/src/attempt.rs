//! One rsync from its command to its verdict: the story that the rest of this crate tells in parts.
//!
//! [`Engine::attempt`] starts a guardian, which starts rsync; reads both pipes to their end, whatever comes; watches
//! that something moves; ends rsync when it is told to, when it takes too long, or when nothing moves; and judges the
//! end. It never fails: an error is a report. Retrying is for who called.

mod leftovers;
mod pipes;
mod reader;
mod report;
mod stall;
mod start;
#[cfg(test)]
mod transcripts;

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::cgroup::{AttemptGroup, DelegatedGroup, bound_together};
use crate::command::{Command, Scan};
use crate::guardian::{self, Guarded, GuardianSource, Said, Spec};
use crate::monitor::Monitor;
use crate::place::DestinationFolder;
use crate::rsync::args::{Limits, shown};
use crate::rsync::edits::{self, Edit, EditError};
use crate::rsync::exit::{Exit, Verdict, judge};
use crate::rsync::filters::ListFilters;
use crate::rsync::options::Options;
use crate::rsync::stages::{self, Stages};
use crate::rsync::version::{Version, VersionError};
use crate::secret::Secret;
use crate::source::Source;
use crate::sweep;
use pipes::Pipes;
use reader::{Found, Reader};
pub use report::{AttemptReport, Changes};
use stall::Watchdog;

/// How long rsync gets to end by itself before its group is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How long output may still come after the last process has ended.
const DRAIN: Duration = Duration::from_secs(2);
/// Time in which a guardian must answer an order to stop. One that does not answer is itself stopped or stuck.
const OBEY_WITHIN: Duration = Duration::from_secs(10);

/// Starts rsyncs. One per server.
#[derive(Debug)]
pub struct Engine {
    program: PathBuf,
    guardians: GuardianSource,
    locks: PathBuf,
    home: PathBuf,
    grace: Duration,
    memory_max: Option<u64>,
    delegated: Option<DelegatedGroup>,
}

/// What one attempt is to do.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Where the tree comes from.
    pub source: Source,
    /// The program that brings it in rsync's place: what the source names where it is a command. With it, only what every
    /// program has counts: destination, time limit and stall.
    pub command: Option<Command>,
    /// The upstream's password, if it wants one.
    pub password: Option<Secret>,
    /// Destination, every symlink resolved; made where it is missing.
    pub dest: PathBuf,
    /// The folder that is there, opened before anything else; none: nothing was there. What takes
    /// its place later gets no rsync.
    pub folder: Option<Arc<DestinationFolder>>,
    /// What the project asks of rsync.
    pub options: Options,
    /// What the supervisor allows it.
    pub limits: Limits,
    /// The longest that it may take.
    pub time_limit: Option<Duration>,
    /// The longest that nothing may move.
    pub stall: Option<Duration>,
    /// Since when an earlier attempt may have left unfinished files; they are swept.
    pub unclean_since: Option<SystemTime>,
    /// Two rsyncs, the first without the index; none: one for all.
    pub stages: Option<Stages>,
}

impl Attempt {
    /// Whether a program brings the tree, and not rsync.
    #[must_use]
    pub fn is_command(&self) -> bool {
        self.source.command_name().is_some()
    }

    /// A path to the tree for whoever reads it during the attempt: that of the folder that was
    /// opened, whatever stands at its place by now.
    #[must_use]
    pub fn tree(&self) -> PathBuf {
        self.folder.as_ref().map_or_else(|| self.dest.clone(), |folder| folder.path())
    }

    /// The destination's folder, made if it is missing.
    ///
    /// # Errors
    /// When something on the way is a link or not a folder, or the system refuses.
    pub fn open_or_make(&self) -> io::Result<Arc<DestinationFolder>> {
        match &self.folder {
            Some(folder) => Ok(Arc::clone(folder)),
            None => DestinationFolder::open_or_make(&self.dest).map(Arc::new),
        }
    }

    /// What is left to do after a rehearsal of this attempt: the paths that it named, each with a zero byte at its end, in a
    /// file. None where only a look at the whole tree does what the options say; see [`Options::rehearsed`].
    #[must_use]
    pub fn rehearsed(&self, list: String, deletions: bool) -> Option<Self> {
        let options = self.options.clone().rehearsed(list, deletions)?;
        Some(Self { options, ..self.clone() })
    }

    /// rsync's arguments, without the program; of two stages, the last one's. Secrets are never among them.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        stages::last(self)
    }

    /// The filter rules by which the upstream lists the tree of this attempt.
    ///
    /// # Errors
    /// The option that stands in the way of a list; see [`ListFilters::read`].
    pub fn list_filters(&self) -> Result<ListFilters, String> {
        ListFilters::read(&self.arguments())
    }

    /// A plain one for tests.
    #[cfg(test)]
    pub(crate) fn trial(dest: &Path) -> Self {
        Self {
            source: Source::new(None, "h", crate::source::DEFAULT_PORT, "m", "").unwrap(),
            command: None,
            password: None,
            dest: dest.to_owned(),
            folder: None,
            options: Options::default(),
            limits: Limits::default(),
            time_limit: None,
            stall: None,
            unclean_since: None,
            stages: None,
        }
    }

    /// Changes this attempt as hooks ask.
    ///
    /// # Errors
    /// At the first edit that cannot be made; those before it were.
    pub fn edit(&mut self, edits: &[Edit]) -> Result<(), EditError> {
        edits.iter().try_for_each(|edit| edits::apply(edit, &mut self.options, &mut self.limits))
    }

    /// The whole command line as a person would type it.
    #[must_use]
    pub fn shown(&self, program: &Path) -> String {
        if self.is_command() {
            return self.command.as_ref().map_or_else(|| self.source.to_string(), Command::shown);
        }
        let last = shown(program, &self.arguments());
        match stages::first(self) {
            Some(first) => format!("{} && {last}", shown(program, &first)),
            None => last,
        }
    }
}

impl Engine {
    /// `guardian` is the argv that starts [`guardian::main`]; `state_dir` is a folder that only we can read, where
    /// locks and an empty home for rsync are made.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn new(program: PathBuf, guardian: Vec<OsString>, state_dir: &Path) -> io::Result<Self> {
        let folder = |name| {
            let path = std::path::absolute(state_dir)?.join(name);
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            path.canonicalize()
        };
        Ok(Self {
            program,
            guardians: GuardianSource::Exec(guardian),
            locks: folder("locks")?,
            home: folder("home")?,
            grace: GRACE,
            memory_max: None,
            delegated: None,
        })
    }

    /// Forks guardians from a process that is kept ready, in place of an exec for each.
    #[must_use]
    pub fn with_nursery(mut self) -> Self {
        self.guardians = self.guardians.kept_ready();
        self
    }

    /// Gives rsync so long to end by itself when it is asked to; five seconds unless told.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Bounds the memory of each process of an rsync or a command, in bytes; no bound unless set.
    #[must_use]
    pub fn with_memory_max(mut self, bytes: u64) -> Self {
        self.memory_max = Some(bytes);
        self
    }

    /// Bounds the memory of all processes of an attempt together as well, by groups below this one.
    #[must_use]
    pub fn with_group(mut self, delegated: Option<DelegatedGroup>) -> Self {
        self.delegated = delegated;
        self
    }

    /// Which rsync this is.
    ///
    /// # Errors
    /// When it cannot be started, or is something else.
    pub async fn version(&self) -> Result<Version, VersionError> {
        let output = tokio::process::Command::new(&self.program)
            .arg("--version")
            .env("HOME", &self.home)
            .output()
            .await
            .map_err(|source| VersionError::Start { program: self.program.clone(), source })?;
        Version::parse(&output.stdout).map_err(VersionError::NotRsync)
    }

    /// Ends every process that an earlier server left with one of our locks. Call it before anything is started, and
    /// only while no other server uses this folder. Blocks for at most twice the grace.
    ///
    /// # Errors
    /// When processes cannot be listed, or one of them holds a lock and cannot be examined.
    pub fn end_orphans(&self, grace: Duration) -> io::Result<Vec<u32>> {
        sweep::end_holders(&self.locks, grace)
    }

    /// Runs one rsync to its end. Dropping the future ends rsync too, a little later.
    pub async fn attempt(
        &self,
        attempt: &Attempt,
        monitor: &dyn Monitor,
        cancel: &CancellationToken,
    ) -> AttemptReport {
        let started = Instant::now();
        if let Some(since) = attempt.unclean_since.filter(|_| !attempt.is_command()) {
            leftovers::sweep_unfinished(attempt, since).await;
        }
        if let (Some(name), None) = (attempt.source.command_name(), &attempt.command) {
            return AttemptReport::unknown_command(name);
        }
        let scan = attempt.command.as_ref().map(Scan::new);
        let mut reader = Reader::new(monitor, attempt.options.is_rehearsal(), scan);
        let exit = self.run(attempt, &mut reader, cancel).await;
        let stage = stages::first(attempt).map(|_| reader.started().max(1));
        let whole = is_whole(attempt, &reader);
        let Found { stats, changes, findings, scan } = reader.finish();
        // A good end of the first stage alone proves nothing.
        let stats = stats.filter(|_| whole || exit != Exit::Code(0));
        let judgement = match &scan {
            Some(scan) => scan.judge(&exit, &findings),
            None => judge(&exit, stats.as_ref(), &findings),
        };
        let all_told = scan.is_none() && changes.are_all(stats.as_ref());
        let stats = scan.map_or(stats, |scan| scan.stats());
        let done = judgement.verdict == Verdict::Done && !attempt.options.is_rehearsal();
        if done && attempt.unclean_since.is_some() && !attempt.is_command() {
            leftovers::sweep_partial(attempt).await;
        }
        // What a command leaves is its own.
        let clean = attempt.is_command()
            || matches!(exit, Exit::Code(0 | 23..=25) | Exit::NotStarted(_) | Exit::Busy);
        let duration = started.elapsed();
        AttemptReport {
            exit,
            judgement,
            stats,
            changes,
            all_told,
            duration,
            stderr_tail: findings.tail(),
            clean,
            stage,
        }
    }

    /// The command line of an attempt, as a person would type it.
    #[must_use]
    pub fn command(&self, attempt: &Attempt) -> String {
        attempt.shown(&self.program)
    }

    /// Starts a guardian with its rsync, and returns how that ended.
    async fn run(&self, attempt: &Attempt, reader: &mut Reader<'_>, cancel: &CancellationToken) -> Exit {
        let deadline = attempt.time_limit.map(|limit| Instant::now() + limit);
        let group = bound_together(self.delegated.as_ref(), self.memory_max);
        let spec = Spec { group: group.as_ref().map(AttemptGroup::members), ..self.spec(attempt) };

        // A guardian starts nothing before it has the whole specification, so one that does not read can be dropped.
        let spawned = tokio::select! {
            biased;
            () = cancel.cancelled() => return Exit::Cancelled,
            () = sleep_until(deadline.unwrap_or_else(far)) => return Exit::TimedOut,
            spawned = self.guardians.spawn(&spec) => spawned,
        };
        match spawned {
            Ok((guarded, stdout, stderr)) => match Pipes::read_both(stdout, stderr) {
                Ok(pipes) => {
                    let stop = StopTriggers { cancel, deadline };
                    self.supervise(attempt, guarded, pipes, reader, stop).await
                }
                Err(error) => Exit::NotStarted(format!("rsync's output cannot be read: {error}")),
            },
            Err(error) => Exit::NotStarted(error.to_string()),
        }
    }

    /// Listens to the guardian and both pipes until everything has ended.
    async fn supervise(
        &self,
        attempt: &Attempt,
        mut guarded: Guarded,
        mut pipes: Pipes,
        reader: &mut Reader<'_>,
        stop: StopTriggers<'_>,
    ) -> Exit {
        let mut watchdog = Watchdog::new(attempt.stall);
        let mut ours: Option<Exit> = None;
        let mut obey_until: Option<Instant> = None;
        let exit = loop {
            let wake = watchdog.next_look().min(stop.deadline.unwrap_or_else(far));
            let reason = tokio::select! {
                said = guarded.said() => {
                    // Only an order that was heard is known to be carried out.
                    obey_until = obey_until.filter(|_| said != Said::Stopping);
                    match reader.hear(said, &mut watchdog) {
                        Some(exit) => break exit,
                        None => None,
                    }
                }
                piece = pipes.next(), if pipes.is_open() => {
                    watchdog.moved(piece.map_or(0, |piece| reader.take(&piece)));
                    None
                }
                () = sleep_until(obey_until.unwrap_or_else(far)), if obey_until.is_some() => {
                    obey_until = None;
                    guarded.kill();
                    None
                }
                () = stop.cancel.cancelled(), if ours.is_none() => Some(Exit::Cancelled),
                () = sleep_until(wake), if ours.is_none() => {
                    if stop.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                        Some(Exit::TimedOut)
                    } else {
                        watchdog.is_stalled().then_some(Exit::Stalled)
                    }
                }
            };
            if let Some(reason) = reason {
                ours = Some(reason);
                obey_until = Some(Instant::now() + OBEY_WITHIN);
                guarded.stop().await;
            }
        };
        self.end_lost(&exit, attempt).await;
        // Everything that writes has ended, so the pipes end too, unless somebody else has hold of them.
        let _ = timeout(DRAIN, async {
            while pipes.is_open() {
                if let Some(piece) = pipes.next().await {
                    reader.take(&piece);
                }
            }
        })
        .await;
        guarded.wait().await;
        match (exit, ours) {
            // It had done all of it before it was asked to end; a command cannot show that.
            (exit @ Exit::Code(0), _) if !attempt.is_command() && is_whole(attempt, reader) => exit,
            (exit, None) => exit,
            (_, Some(reason)) => reason,
        }
    }

    /// A guardian that was killed has left its rsync to us.
    async fn end_lost(&self, exit: &Exit, attempt: &Attempt) {
        if *exit != Exit::Lost {
            return;
        }
        let (locks, dest, grace) = (self.locks.clone(), attempt.dest.clone(), self.grace);
        let ended = tokio::task::spawn_blocking(move || guardian::end_orphans_of(&locks, &dest, grace)).await;
        match ended {
            Ok(Ok(pids)) => tracing::warn!(?pids, "the guardian was killed; its rsync was ended"),
            Ok(Err(error)) => {
                tracing::error!("the guardian was killed; its rsync cannot be looked for: {error}");
            }
            Err(error) => tracing::error!("the guardian was killed; looking for its rsync failed: {error}"),
        }
    }
}

/// Reasons to end an attempt from outside.
#[derive(Debug, Clone, Copy)]
struct StopTriggers<'a> {
    cancel: &'a CancellationToken,
    deadline: Option<Instant>,
}

/// Whether every stage was begun.
fn is_whole(attempt: &Attempt, reader: &Reader<'_>) -> bool {
    stages::first(attempt).is_none() || reader.started() >= 2
}

fn far() -> Instant {
    Instant::now() + Duration::from_hours(24)
}
