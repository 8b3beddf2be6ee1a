//! One rsync as the guardian's child: started in a group of its own, asked to end, killed, reaped.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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

/// A running rsync, leader of its process group.
#[derive(Debug)]
pub(super) struct Rsync {
    pid: Pid,
    handle: OwnedFd,
    ask_group: bool,
    dest: Option<PathBuf>,
    unfinished: RefCell<Vec<PathBuf>>,
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
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), &spec.input) {
            // It fits into the pipe; an rsync that has ended already says why itself.
            let _ = pipe.write_all(input.as_bytes());
        }
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self {
            pid,
            handle,
            ask_group: spec.ask_group,
            dest: spec.dest.clone(),
            unfinished: RefCell::default(),
        })
    }

    pub(super) fn pid(&self) -> u32 {
        u32::try_from(self.pid.as_raw_nonzero().get()).unwrap_or_default()
    }

    /// Readable when the main process has ended.
    pub(super) fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// How the main process ended, if it has.
    pub(super) fn try_wait(&self) -> io::Result<Option<WaitStatus>> {
        Ok(waitpid(Some(self.pid), WaitOptions::NOHANG)?.map(|(_, status)| status))
    }

    /// TERM to the main process, which ends its receiver in order, or to the group; CONT in case it was stopped.
    pub(super) fn ask_to_end(&self) {
        // Not reaped yet, so the id is still its own; one that has ended needs no asking.
        let _ = if self.ask_group {
            kill_process_group(self.pid, Signal::TERM)
        } else {
            kill_process(self.pid, Signal::TERM)
        };
        let _ = kill_process_group(self.pid, Signal::CONT);
    }

    /// KILL to the whole group: to the main process alone it would leave a receiver that goes on writing.
    pub(super) fn kill_group(&self) {
        let _ = kill_process_group(self.pid, Signal::KILL);
    }

    /// Notes which unfinished files the group has open, since a kill leaves them behind.
    pub(super) fn note_unfinished(&self) {
        if let Some(dest) = &self.dest {
            self.unfinished.replace(leftovers::open_by_group(self.pid, dest));
        }
    }

    pub(super) fn unfinished(&self) -> Vec<PathBuf> {
        self.unfinished.take()
    }

    /// Waits for everything that the main process has left, and kills what lingers.
    pub(super) fn reap_rest(&self, linger: Duration, look: Duration) -> io::Result<()> {
        let since = Instant::now();
        let mut killed = false;
        let mut strays = Instant::now() + linger;
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => continue,
                Err(Errno::CHILD) => return Ok(()),
                Err(Errno::INTR) | Ok(None) => {}
                Err(error) => return Err(error.into()),
            }
            if !killed && since.elapsed() >= linger {
                killed = true;
                self.note_unfinished();
                self.kill_group();
            }
            if strays <= Instant::now() {
                // What has left the group has become our child once its parents were gone.
                kill_children();
                strays = Instant::now() + STRAYS;
            }
            std::thread::park_timeout(look);
        }
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
