//! One rsync as the guardian's child: started in a group of its own, asked to end, killed, reaped.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, pidfd_open, wait,
    waitpid,
};

use super::leftovers;
use super::wire::Spec;

/// How often what has left the group is killed.
const STRAYS: Duration = Duration::from_millis(200);
/// Pause between two looks at processes that were killed and are not reaped yet.
const REAP: Duration = Duration::from_millis(5);
/// Time after which killed processes are left to the kernel: a dead disk can hold them for longer.
const REAP_WITHIN: Duration = Duration::from_mins(1);

/// A running rsync, leader of its process group. Dropping it kills and reaps the group.
#[derive(Debug)]
pub(super) struct Rsync {
    family: ChildFamily,
    handle: OwnedFd,
    ask_group: bool,
    dest: Option<PathBuf>,
    unfinished: RefCell<Vec<PathBuf>>,
}

/// A child and everything below it, from the moment of its spawn. Dropping it kills and reaps all of them, so no error
/// behind the spawn can leave one running.
#[derive(Debug)]
struct ChildFamily {
    leader: Pid,
    /// Set once the leader is reaped: its number may then belong to another process.
    leader_reaped: Cell<bool>,
    /// Set once this process has no child left.
    gone: Cell<bool>,
}

/// The supervisor's pipes, kept for an rsync that is still to come.
#[derive(Debug)]
pub(super) struct Pipes {
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Pipes {
    /// Keeps both beside those of this process.
    pub(super) fn keep() -> io::Result<Self> {
        let keep = rustix::io::fcntl_dupfd_cloexec;
        Ok(Self { stdout: keep(rustix::stdio::stdout(), 3)?, stderr: keep(rustix::stdio::stderr(), 3)? })
    }
}

impl Rsync {
    /// Starts it with these arguments, and with pipes that were kept or those that this process has itself.
    pub(super) fn spawn(spec: &Spec, args: &[Vec<u8>], pipes: Option<Pipes>) -> io::Result<Self> {
        let args = args.iter().map(|arg| OsString::from_vec(arg.clone()));
        let mut command = Command::new(&spec.program);
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("HOME", &spec.home)
            .envs(spec.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(spec.folder.as_deref().unwrap_or_else(|| Path::new("/")))
            .stdin(if spec.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .process_group(0);
        if let Some(Pipes { stdout, stderr }) = pipes {
            command.stdout(stdout).stderr(stderr);
        }
        let mut child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("cannot start {}: {error}", spec.program.display()))
        })?;
        let family = ChildFamily::of(&child);

        if let (Some(pipe), Some(input)) = (child.stdin.take(), &spec.input) {
            write_at_once(pipe, input.as_bytes())?;
        }

        let handle = pidfd_open(family.leader, PidfdFlags::empty())?;
        Ok(Self {
            family,
            handle,
            ask_group: spec.ask_group,
            dest: spec.dest.clone(),
            unfinished: RefCell::default(),
        })
    }

    pub(super) fn pid(&self) -> u32 {
        u32::try_from(self.family.leader.as_raw_nonzero().get()).unwrap_or_default()
    }

    /// Readable when the main process has ended.
    pub(super) fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// How the main process ended, if it has.
    pub(super) fn try_wait(&self) -> io::Result<Option<WaitStatus>> {
        let ended = waitpid(Some(self.family.leader), WaitOptions::NOHANG)?;
        if ended.is_some() {
            self.family.leader_reaped.set(true);
        }
        Ok(ended.map(|(_, status)| status))
    }

    /// TERM to the main process, which ends its receiver in order, or to the group; CONT in case it was stopped.
    pub(super) fn ask_to_end(&self) {
        let leader = self.family.leader;
        // Not reaped yet, so the id is still its own; one that has ended needs no asking.
        let _ = if self.ask_group {
            kill_process_group(leader, Signal::TERM)
        } else {
            kill_process(leader, Signal::TERM)
        };
        let _ = kill_process_group(leader, Signal::CONT);
    }

    /// KILL to the whole group: to the main process alone it would leave a receiver that goes on writing.
    pub(super) fn kill_group(&self) {
        self.note_unfinished();
        self.family.kill();
    }

    /// Notes which unfinished files the group has open, since a kill leaves them behind.
    fn note_unfinished(&self) {
        if let Some(dest) = &self.dest {
            let open = leftovers::open_by_group(self.family.leader, dest);
            self.unfinished.borrow_mut().extend(open);
        }
    }

    /// Waits for everything that the main process has left, and kills what lingers.
    pub(super) fn reap_rest(&self, linger: Duration, look: Duration) -> io::Result<()> {
        let since = Instant::now();
        let mut killed = false;
        let mut strays = Instant::now() + linger;

        while !self.family.reap()? {
            if !killed && since.elapsed() >= linger {
                killed = true;
                self.kill_group();
            }
            if strays <= Instant::now() {
                // What has left the group has become our child once its parents were gone.
                kill_children();
                strays = Instant::now() + STRAYS;
            }
            std::thread::park_timeout(look);
        }
        leftovers::remove(self.unfinished.take());
        Ok(())
    }
}

impl Drop for Rsync {
    /// Ends what an error has left, and removes the unfinished files that a kill leaves behind.
    fn drop(&mut self) {
        if !self.family.gone.get() {
            self.note_unfinished();
            self.family.end();
        }
        leftovers::remove(self.unfinished.take());
    }
}

impl ChildFamily {
    fn of(child: &Child) -> Self {
        Self { leader: Pid::from_child(child), leader_reaped: Cell::new(false), gone: Cell::new(false) }
    }

    /// Sends KILL to the group and to every child. A signal to a process that has just ended is of no use and no harm.
    fn kill(&self) {
        if !self.leader_reaped.get() {
            let _ = kill_process_group(self.leader, Signal::KILL);
        }
        kill_children();
    }

    /// Reaps every process that has ended. Returns true once no child is left.
    fn reap(&self) -> io::Result<bool> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, _))) => {
                    if pid == self.leader {
                        self.leader_reaped.set(true);
                    }
                }
                Err(Errno::CHILD) => {
                    self.gone.set(true);
                    return Ok(true);
                }
                Err(Errno::INTR) | Ok(None) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Kills and reaps until nothing is left. Every step is repeated, so one that fails once costs a moment only.
    fn end(&self) {
        let since = Instant::now();
        while since.elapsed() < REAP_WITHIN {
            self.kill();
            if self.reap().unwrap_or(false) {
                return;
            }
            std::thread::park_timeout(REAP);
        }
    }
}

impl Drop for ChildFamily {
    fn drop(&mut self) {
        if !self.gone.get() {
            self.end();
        }
    }
}

/// Writes into a fresh pipe without waiting for its reader: an rsync that reads no password must not hold up the
/// guardian. A fresh pipe takes at least 4,096 bytes (`pipe(7)`), four times the longest password.
fn write_at_once(mut pipe: ChildStdin, bytes: &[u8]) -> io::Result<()> {
    rustix::io::ioctl_fionbio(&pipe, true)?;
    match pipe.write_all(bytes) {
        // An rsync that has ended already says why itself.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            Err(io::Error::new(error.kind(), "the password is longer than a pipe takes at once; shorten it"))
        }
        Ok(()) => Ok(()),
    }
}

/// KILL to every child of this process, whichever group it is in.
fn kill_children() {
    let own = std::process::id();
    let listed = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    let children = listed.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
    for child in children.filter_map(Pid::from_raw) {
        // It is ours until we reap it, so the id is still its own.
        let _ = kill_process(child, Signal::KILL);
    }
}

/// Whether a path is below another.
pub(super) fn below(path: &Path, root: &Path) -> bool {
    path != root && path.starts_with(root)
}
