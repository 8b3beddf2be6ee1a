//! A child and everything below it: started in a process group of its own, asked to end, killed, reaped.

use std::cell::Cell;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait};

use super::wire::Spec;

/// Pause between two looks at processes that were killed and are not reaped yet.
const REAP: Duration = Duration::from_millis(5);
/// Time after which killed processes are left to the kernel: a dead disk can hold them for longer.
const REAP_WITHIN: Duration = Duration::from_mins(1);

/// A child and everything below it, from the moment of its spawn. Dropping it kills and reaps all of them, so no error
/// behind the spawn can leave one running.
#[derive(Debug)]
pub(super) struct ChildFamily {
    leader: Pid,
    /// Status of the leader once it is reaped. From then on its number may belong to another process.
    leader_status: Cell<Option<WaitStatus>>,
    /// Set once this process has no child left.
    gone: Cell<bool>,
}

/// The supervisor's pipes, kept for a program that is still to come.
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

    /// Gives both to a program that is about to start.
    fn give_to(self, command: &mut Command) {
        command.stdout(self.stdout).stderr(self.stderr);
    }
}

impl ChildFamily {
    /// Starts the program of a specification with these arguments, as the leader of a process group, and with pipes
    /// that were kept or those that this process has itself.
    pub(super) fn spawn(spec: &Spec, args: &[Vec<u8>], pipes: Option<Pipes>) -> io::Result<Self> {
        let args = args.iter().map(|arg| OsString::from_vec(arg.clone()));
        // This process is in the destination, where nothing may be found that an upstream has put there.
        let program = match spec.program.components().count() {
            0 | 1 => spec.program.clone(),
            _ => Path::new("/").join(&spec.program),
        };
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("HOME", &spec.home)
            .envs(spec.environment.iter().map(|(name, value)| (name, value)))
            .stdin(if spec.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .process_group(0);
        if let Some(pipes) = pipes {
            pipes.give_to(&mut command);
        }

        let mut child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("cannot start {}: {error}", spec.program.display()))
        })?;
        let family = Self::of(Pid::from_child(&child));

        if let (Some(pipe), Some(input)) = (child.stdin.take(), &spec.input) {
            write_at_once(pipe, input.as_bytes())?;
        }
        Ok(family)
    }

    /// Takes charge of a child that was just started.
    pub(super) fn of(leader: Pid) -> Self {
        Self { leader, leader_status: Cell::new(None), gone: Cell::new(false) }
    }

    /// Leaves all of it to the kernel, which kills a PID namespace together with its first process.
    pub(super) fn leave_to_kernel(&self) {
        self.gone.set(true);
    }

    pub(super) fn leader(&self) -> Pid {
        self.leader
    }

    /// Status of the leader, once [`ChildFamily::reap`] has met its end.
    pub(super) fn leader_status(&self) -> Option<WaitStatus> {
        self.leader_status.get()
    }

    /// Returns true once no process is left.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.get()
    }

    /// Sends TERM to the leader, which ends its receiver in order, or to the group; and CONT in case it was stopped.
    pub(super) fn ask_to_end(&self, ask_group: bool) {
        if self.leader_status.get().is_some() {
            return;
        }
        // Not reaped yet, so the number is still its own; one that has ended needs no asking.
        let _ = if ask_group {
            kill_process_group(self.leader, Signal::TERM)
        } else {
            kill_process(self.leader, Signal::TERM)
        };
        let _ = kill_process_group(self.leader, Signal::CONT);
    }

    /// Sends KILL to the group and to every child: to the leader alone it would leave a receiver that goes on writing.
    /// A signal to a process that has just ended is of no use and no harm.
    pub(super) fn kill(&self) {
        if self.leader_status.get().is_none() {
            let _ = kill_process_group(self.leader, Signal::KILL);
        }
        kill_children();
    }

    /// Reaps every process that has ended. Returns true once no child is left.
    pub(super) fn reap(&self) -> io::Result<bool> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if pid == self.leader {
                        self.leader_status.set(Some(status));
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
    pub(super) fn end(&self) {
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

/// Process numbers of the children of this process, as `/proc` counts them: from outside of any namespace below it.
pub(super) fn children() -> Vec<Pid> {
    let listed = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    listed.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// Sends KILL to every child of this process, whichever group it is in.
fn kill_children() {
    for child in children() {
        // It is ours until we reap it, so the number is still its own.
        let _ = kill_process(child, Signal::KILL);
    }
}
