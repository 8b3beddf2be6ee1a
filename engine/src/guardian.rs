//! The guardian: a small process between the supervisor and one rsync, which ends the rsync when the supervisor dies,
//! however it dies.
//!
//! It is our own binary, forked from a [`nursery`] or re-executed, single-threaded, leader of its own session, and its
//! standard input is a socket to the supervisor. When that socket closes, it ends rsync's process group. It takes the
//! destination's lock and lets rsync inherit it, so that the lock outlives even the guardian for as long as any rsync
//! writes. It reaps whatever rsync leaves (`PR_SET_CHILD_SUBREAPER`), and exits when nothing of it is left.
//!
//! How rsync is asked to end is measured, not guessed: TERM to the main process only (TERM to the whole group leaves
//! the receiver lingering in one of five cases), and after a grace KILL to the whole group (KILL to the main process
//! alone leaves a receiver that goes on writing).

mod child;
mod family;
mod init;
mod leftovers;
mod namespace;
mod nursery;
mod supervisor;
mod wire;

pub(crate) use leftovers::unfinished as is_unfinished;
pub(crate) use supervisor::{Guarded, GuardianSource, Said};
pub(crate) use wire::Spec;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, WaitStatus, set_child_subreaper, setrlimit};

use crate::lock::{DestinationLock, LockError};
use crate::place::{DestinationFolder, FolderIdentity};
use child::GuardedChild;
use family::Pipes;
use nursery::{NURSERY_WORD, NurseryEnd};
use wire::Report;

/// The word that makes our binary a guardian, as its first argument.
pub const WORD: &str = "guardian";
/// The program of a process that starts itself again. Not its path: an update may put another version there while it runs.
const ITSELF: &str = "/proc/self/exe";
/// How long the receiver may linger after rsync's main process has ended.
const LINGER: Duration = Duration::from_secs(5);
/// Time to end in order, and to linger, for a program whose supervisor is gone: all of it is over within five seconds.
const GRACE_OF_ORPHANS: Duration = Duration::from_secs(2);
/// Exits of a first rsync after which the second one follows: what went away meanwhile is not missed.
const DONE: i32 = 0;
const VANISHED: i32 = 24;
/// How often the remaining processes are looked for, when there is no event to wait for.
const LOOK: Duration = Duration::from_millis(5);

/// The whole life of a guardian, or of the nursery of guardians. Call it first thing in `main`, before any thread exists.
#[must_use]
pub fn main() -> ExitCode {
    let is_nursery = std::env::args_os().next_back().is_some_and(|word| word == NURSERY_WORD);
    // For who reads a list of processes; without it the name is `exe`.
    let _ = rustix::thread::set_name(if is_nursery { c"heliostat-nurse" } else { c"heliostat-guard" });
    let end = if is_nursery { nurse() } else { guard() };
    match end {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever started it hears it as a closed socket; there is nobody else to tell.
        Err(_) => ExitCode::FAILURE,
    }
}

/// The argv that starts a guardian from a program whose `main` begins with [`main`].
#[must_use]
pub fn argv() -> Vec<OsString> {
    vec![ITSELF.into(), WORD.into()]
}

/// Forks guardians, and goes on as one in each new process.
fn nurse() -> io::Result<()> {
    match nursery::serve()? {
        NurseryEnd::Closed => Ok(()),
        NurseryEnd::Forked => {
            let _ = rustix::thread::set_name(c"heliostat-guard");
            guard()
        }
    }
}

fn guard() -> io::Result<()> {
    let (control, spec, ordered) = read_spec()?;
    prepare()?;
    bound_memory(&spec)?;
    let pipes = spec.then.as_ref().map(|_| Pipes::keep()).transpose()?;

    if is_closed(&control) {
        // The supervisor died meanwhile, so there is nobody to start anything for.
        return Ok(());
    }

    // Whatever fails from here on, dropping `first` ends it and everything below it.
    let (_lock, first) = match start(&spec) {
        Ok(started) => started,
        Err(report) => return tell(&control, &report),
    };
    release_pipes()?;
    control.set_nonblocking(true)?;
    let (report, stopped) = see_out(&control, &first, &spec, ordered)?;

    let ended_well = matches!(report, Report::Ended { code: Some(DONE | VANISHED), .. });
    let (Some(args), Some(pipes), true, false) = (&spec.then, pipes, ended_well, stopped) else {
        return tell(&control, &report);
    };
    let second = match GuardedChild::start(&spec, args, Some(pipes)) {
        Ok(second) => second,
        Err(error) => return tell(&control, &Report::Failed { why: error.to_string() }),
    };
    let (report, _) = see_out(&control, &second, &spec, false)?;
    tell(&control, &report)
}

/// Reads the specification from the control socket, which is standard input. Returns true beside it if an order came
/// together with it.
fn read_spec() -> io::Result<(UnixStream, Spec, bool)> {
    // As a file of our own the socket closes with us and is not inherited.
    let control = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
    let mut orders = BufReader::new(control.try_clone()?);
    let mut line = String::new();
    orders.read_line(&mut line)?;
    Ok((control, serde_json::from_str(&line)?, !orders.buffer().is_empty()))
}

/// Watches a program to its end, and leaves nothing of it. Returns how it ended, and true if it was asked to end.
fn see_out(
    control: &UnixStream,
    child: &GuardedChild,
    spec: &Spec,
    ordered: bool,
) -> io::Result<(Report, bool)> {
    let ended = watch(control, child, Duration::from_millis(spec.grace_ms), ordered)?;
    child.reap_rest(|| if is_closed(control) { GRACE_OF_ORPHANS } else { LINGER }, LOOK)?;
    Ok(ended)
}

/// Makes this process one that nothing but its own end can separate from its children.
fn prepare() -> io::Result<()> {
    // It fails only for the leader of a group, which is as good.
    let _ = rustix::process::setsid();
    set_child_subreaper(Some(rustix::process::getpid()))?;
    // A crash must not write its memory, and the password in it, into the destination.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    Ok(())
}

/// Bounds the memory of this process and of everything that it starts, each process for itself (`RLIMIT_DATA`,
/// `getrlimit(2)`): an upstream whose list has no end then ends its rsync, and not the server.
fn bound_memory(spec: &Spec) -> io::Result<()> {
    if let Some(members) = &spec.group {
        std::fs::write(members, "0")?;
    }
    if let Some(bytes) = spec.memory_max {
        setrlimit(Resource::Data, Rlimit { current: Some(bytes), maximum: Some(bytes) })?;
    }
    Ok(())
}

fn start(spec: &Spec) -> Result<(Option<DestinationLock>, GuardedChild), Report> {
    let failed = |why: String| Report::Failed { why };
    let lock = match (&spec.locks, &spec.dest) {
        (Some(locks), Some(dest)) => Some(enter(locks, dest, spec.dest_identity)?),
        _ => None,
    };
    let child = GuardedChild::start(spec, &spec.args, None).map_err(|error| failed(error.to_string()))?;
    Ok((lock, child))
}

/// Opens the destination, and makes it this process's working directory and so that of everything below. What the
/// supervisor has looked at must be what is opened.
fn enter(locks: &Path, dest: &Path, looked_at: Option<FolderIdentity>) -> Result<DestinationLock, Report> {
    let failed = |error: io::Error| Report::Failed {
        why: format!("cannot open the destination {}: {error}", dest.display()),
    };
    let folder = DestinationFolder::open_or_make(dest).map_err(failed)?;
    let found = folder.identity().map_err(failed)?;
    if looked_at.is_some_and(|looked_at| looked_at != found) {
        return Err(Report::Failed {
            why: format!(
                "another folder took the place of the destination {} while the run was prepared: find out who \
                 renamed it, then sync again",
                dest.display()
            ),
        });
    }
    folder.enter().map_err(failed)?;
    DestinationLock::take(locks, dest, folder).map_err(|error| match error {
        LockError::Held(_) => Report::Busy,
        LockError::Failed { .. } => Report::Failed { why: error.to_string() },
    })
}

/// rsync has the pipes now; ours would keep the supervisor waiting for their end.
fn release_pipes() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// A stop that is under way.
#[derive(Debug, Clone, Copy)]
struct PendingStop {
    since: Instant,
    grace: Duration,
    /// Set once the supervisor is gone: there is nobody left to listen to.
    is_orphan: bool,
}

impl PendingStop {
    fn new(grace: Duration) -> Self {
        Self { since: Instant::now(), grace, is_orphan: false }
    }

    fn left(&self) -> Duration {
        self.grace.saturating_sub(self.since.elapsed())
    }

    /// Shortens the grace of a program whose supervisor is gone.
    fn orphan(self) -> Self {
        let grace = self.grace.min(self.since.elapsed() + GRACE_OF_ORPHANS);
        Self { grace, is_orphan: true, ..self }
    }
}

/// Waits for the end of a program, ending it when the supervisor says so, has said so, or is gone. Returns how it ended,
/// or why it did not start.
fn watch(
    control: &UnixStream,
    child: &GuardedChild,
    grace: Duration,
    mut ordered: bool,
) -> io::Result<(Report, bool)> {
    let mut stop: Option<PendingStop> = None;
    let mut killed = false;
    loop {
        match child.next_report()? {
            Some(started @ Report::Started { .. }) => {
                // A supervisor that cannot be told is gone; its closed socket then ends the program in order.
                let _ = tell(control, &started);
                continue;
            }
            Some(over) => return Ok((over, stop.is_some())),
            None => {}
        }

        let listen = stop.is_none_or(|stop| !stop.is_orphan).then(|| control.as_fd());
        let wait = stop.map(|stop| stop.left().max(LOOK));
        let spoken = poll_either(child.handle(), listen, if ordered { Some(Duration::ZERO) } else { wait })?;
        ordered |= spoken && has_order(control);
        let is_orphan = spoken && is_closed(control);
        if stop.is_none() && (ordered || is_orphan) {
            stop = Some(PendingStop::new(grace));
            child.ask_to_end();
            // Whoever is left to hear it is told.
            let _ = tell(control, &Report::Stopping);
        }
        if is_orphan {
            stop = stop.map(PendingStop::orphan);
        }
        ordered = false;

        if stop.is_some_and(|stop| stop.left().is_zero()) && !killed {
            killed = true;
            child.kill();
            let _ = tell(control, &Report::Killed);
        }
    }
}

/// Waits for news of a program or a word of who has started us; true when the latter has something to say.
fn poll_either(
    program: BorrowedFd<'_>,
    control: Option<BorrowedFd<'_>>,
    wait: Option<Duration>,
) -> io::Result<bool> {
    let mut fds = vec![PollFd::from_borrowed_fd(program, PollFlags::IN)];
    fds.extend(control.map(|control| PollFd::from_borrowed_fd(control, PollFlags::IN)));
    let wait = wait.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
    match poll(&mut fds, wait.as_ref()) {
        Ok(_) => Ok(fds.get(1).is_some_and(|control| !control.revents().is_empty())),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Takes what the supervisor has said. The one order is "stop".
fn has_order(mut control: &UnixStream) -> bool {
    use io::Read;
    matches!(control.read(&mut [0; 64]), Ok(1..))
}

/// Returns true if the other end of the socket is closed.
fn is_closed(control: &UnixStream) -> bool {
    let mut fds = [PollFd::new(control, PollFlags::RDHUP)];
    // A socket that cannot be asked is of no more use.
    poll(&mut fds, Some(&Timespec::default())).is_err()
        || fds[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR)
}

fn tell(mut control: &UnixStream, report: &Report) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    control.write_all(&line)
}

/// Ends what holds the lock of `dest`, when its guardian was killed.
///
/// # Errors
/// When the processes cannot be listed.
pub(crate) fn end_orphans_of(locks: &Path, dest: &Path, grace: Duration) -> io::Result<Vec<u32>> {
    match DestinationFolder::open(dest) {
        Ok(folder) => crate::sweep::end_holders_of(&crate::lock::lock_path(locks, folder.identity()?), grace),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

impl From<WaitStatus> for Report {
    fn from(status: WaitStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Ended { code: Some(code), signal: None },
            (None, signal) => Self::Ended { code: None, signal },
        }
    }
}
