//! Noticing that nothing moves.
//!
//! rsync's `--timeout` does not see a sender that hangs in the middle of a transfer: the generator's own keep-alives
//! count as traffic (RsyncProject/rsync issues 164, 282). What shows it is what the processes *read*
//! (`/proc/PID/io`, `rchar`): it stands still, while a few written bytes creep on. Output counts as movement too, since
//! a walk through unchanged folders reads nothing.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

/// Looks per stall time.
const LOOKS: u32 = 8;
/// The shortest and the longest time between two looks.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// The most processes that are looked at: rsync has two or three.
const MOST: usize = 256;

/// Watches one rsync.
#[derive(Debug)]
pub(super) struct Watchdog {
    stall: Option<Duration>,
    pid: Option<u32>,
    last_read: u64,
    last_moved: Instant,
    next_look: Instant,
}

impl Watchdog {
    /// `stall` is the longest that nothing may move; none: for ever.
    pub(super) fn new(stall: Option<Duration>) -> Self {
        let now = Instant::now();
        let mut watchdog = Self { stall, pid: None, last_read: 0, last_moved: now, next_look: now };
        watchdog.plan();
        watchdog
    }

    /// From now on this is rsync's main process.
    pub(super) fn watch(&mut self, pid: u32) {
        self.pid = Some(pid);
        self.last_moved = Instant::now();
    }

    /// So many bytes of output came.
    pub(super) fn moved(&mut self, bytes: usize) {
        if bytes > 0 {
            self.last_moved = Instant::now();
        }
    }

    /// When to ask [`Watchdog::is_stalled`] again.
    pub(super) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Whether nothing has moved for too long.
    pub(super) fn is_stalled(&mut self) -> bool {
        self.plan();
        let Some(stall) = self.stall else { return false };
        let read = self.pid.map_or(0, read_by);
        if read != self.last_read {
            self.last_read = read;
            self.last_moved = Instant::now();
        }
        self.last_moved.elapsed() >= stall
    }

    fn plan(&mut self) {
        let pause = self.stall.map_or(LONGEST, |stall| (stall / LOOKS).clamp(SHORTEST, LONGEST));
        self.next_look = Instant::now() + pause;
    }
}

/// How many bytes a process and all below it have read since they began.
fn read_by(pid: u32) -> u64 {
    let (mut family, mut at) = (vec![pid], 0);
    while let Some(&pid) = family.get(at).filter(|_| at < MOST) {
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        family.extend(children.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        at += 1;
    }
    family.into_iter().filter_map(rchar).sum()
}

fn rchar(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(PathBuf::from(format!("/proc/{pid}/io"))).ok()?;
    text.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok())
}
