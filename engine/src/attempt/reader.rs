//! Making sense of both pipes: records to the monitor, statistics and findings to the judgement.

use tokio::time::{Duration, Instant};

use super::Changes;
use super::pipes::Piece;
use super::stall::Watchdog;
use crate::command::Scan;
use crate::guardian::Said;
use crate::monitor::{Monitor, Phase};
use crate::rsync::exit::Exit;
use crate::rsync::messages::Findings;
use crate::rsync::output::{ChangeKind, Progress, Record, Splitter};
use crate::rsync::stats::{Stats, StatsReader};

/// How often progress is told at most.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// Reads one rsync's output.
pub(super) struct Reader<'a> {
    monitor: &'a dyn Monitor,
    stdout: Splitter,
    stderr: Splitter,
    seen: Seen,
    told: Option<Instant>,
    started: u8,
    /// With a command, its lines are text whatever they look like.
    scan: Option<Scan<'a>>,
}

/// Everything that was found.
pub(super) struct Found<'a> {
    pub(super) stats: Option<Stats>,
    pub(super) changes: Changes,
    pub(super) findings: Findings,
    pub(super) scan: Option<Scan<'a>>,
}

/// What has come so far.
#[derive(Default)]
struct Seen {
    stats: StatsReader,
    findings: Findings,
    changes: Changes,
    progress: Progress,
    /// The newest progress record, not read yet.
    newest: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(monitor: &'a dyn Monitor, rehearsal: bool, scan: Option<Scan<'a>>) -> Self {
        let (stdout, stderr) = (Splitter::default(), Splitter::default());
        let stats = if rehearsal { StatsReader::of_rehearsal() } else { StatsReader::new() };
        let seen = Seen { stats, ..Seen::default() };
        Self { monitor, stdout, stderr, seen, told: None, started: 0, scan }
    }

    pub(super) fn phase(&mut self, phase: Phase) {
        if matches!(phase, Phase::Started { .. }) {
            self.started = self.started.saturating_add(1);
        }
        self.monitor.phase(phase);
    }

    /// Takes what the guardian says. Returns rsync's end when it is over.
    pub(super) fn hear(&mut self, said: Said, watchdog: &mut Watchdog) -> Option<Exit> {
        match said {
            Said::Started(pid) => {
                watchdog.watch(pid);
                self.phase(Phase::Started { pid });
                None
            }
            Said::Stopping => {
                self.phase(Phase::Stopping);
                None
            }
            Said::Killed => {
                self.phase(Phase::Killed);
                None
            }
            Said::Failed(why) => Some(Exit::NotStarted(why)),
            Said::Busy => Some(Exit::Busy),
            Said::Exited(code) => Some(Exit::Code(code)),
            Said::Signalled(signal) => Some(Exit::Signal(signal)),
            Said::Gone => Some(Exit::Lost),
        }
    }

    /// How many rsyncs were started, one after the other.
    pub(super) fn started(&self) -> u8 {
        self.started
    }

    /// Takes one piece; gives its length.
    pub(super) fn take(&mut self, piece: &Piece) -> usize {
        let Self { monitor, seen, scan, .. } = self;
        match piece {
            Piece::Stdout(piece) => {
                self.stdout.feed(piece, |record| seen.stdout(record, *monitor, scan.as_mut()));
                if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) && self.seen.read_newest() {
                    self.told = Some(Instant::now());
                    self.monitor.progress(&self.seen.progress);
                }
                piece.len()
            }
            Piece::Stderr(piece) => {
                self.stderr.feed(piece, |record| seen.stderr(record, *monitor, scan.as_mut()));
                piece.len()
            }
        }
    }

    /// Reads what is left.
    pub(super) fn finish(self) -> Found<'a> {
        let Self { monitor, mut stdout, mut stderr, mut seen, started, mut scan, .. } = self;
        stdout.finish(|record| seen.stdout(record, monitor, scan.as_mut()));
        stderr.finish(|record| seen.stderr(record, monitor, scan.as_mut()));
        if seen.read_newest() {
            monitor.progress(&seen.progress);
        }
        Found { stats: seen.stats.finish(started), changes: seen.changes, findings: seen.findings, scan }
    }
}

impl Seen {
    fn stdout(&mut self, record: Record<'_>, monitor: &dyn Monitor, scan: Option<&mut Scan<'_>>) {
        if let Some(scan) = scan {
            let (Record::Change(_, line) | Record::Progress(line) | Record::Text(line)) = record;
            scan.line(line);
            monitor.stdout(line);
            return;
        }
        match record {
            Record::Change(change, raw) => {
                match change.kind {
                    ChangeKind::Created => self.changes.created += 1,
                    ChangeKind::Updated => self.changes.updated += 1,
                    ChangeKind::Deleted => self.changes.deleted += 1,
                }
                monitor.change(&change, raw);
            }
            Record::Progress(record) => {
                self.newest.clear();
                self.newest.extend_from_slice(record);
            }
            Record::Text(line) => {
                self.stats.line(line);
                monitor.stdout(line);
            }
        }
    }

    fn stderr(&mut self, record: Record<'_>, monitor: &dyn Monitor, scan: Option<&mut Scan<'_>>) {
        let (Record::Change(_, line) | Record::Progress(line) | Record::Text(line)) = record;
        if let Some(scan) = scan {
            scan.line(line);
        }
        self.findings.line(line);
        monitor.stderr(line);
    }

    /// Reads the newest progress record, if one has come since the last time.
    fn read_newest(&mut self) -> bool {
        let read = Progress::parse(&self.newest, &self.progress);
        self.newest.clear();
        match read {
            Some(progress) => {
                self.progress = progress;
                true
            }
            None => false,
        }
    }
}
