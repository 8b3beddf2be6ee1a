//! The supervisor's side: starting a guardian, hearing what it says, and asking it to stop.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as BlockingStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{ChildStderr, ChildStdout};

use super::ITSELF;
use super::nursery::{NURSERY_WORD, receive, send};
use super::wire::{Order, Report, Spec};

/// Longest wait for a nursery, which answers at once unless it was stopped.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A guardian and what it guards. Dropping it closes the socket, which ends everything below.
#[derive(Debug)]
pub(crate) struct Guarded {
    process: GuardianProcess,
    hear: BufReader<OwnedReadHalf>,
    speak: OwnedWriteHalf,
    line: Vec<u8>,
}

/// The process of a guardian.
#[derive(Debug)]
enum GuardianProcess {
    /// It was started by an exec, and is our child.
    Executed(tokio::process::Child),
    /// It was forked from the nursery, which reaps it.
    Forked(OwnedFd),
}

/// The way in which guardians are started.
#[derive(Debug)]
pub(crate) enum GuardianSource {
    /// Each by an exec of this argv.
    Exec(Vec<OsString>),
    /// Each by a fork.
    Nursery(GuardianNursery),
}

/// The process from which guardians are forked. It is started with the first of them, and again when it is gone.
#[derive(Debug)]
pub(crate) struct GuardianNursery {
    argv: Vec<OsString>,
    current: Arc<Mutex<Option<NurseryProcess>>>,
}

/// A running nursery. Dropping it ends it, and none of its guardians.
#[derive(Debug)]
struct NurseryProcess {
    child: Child,
    socket: BlockingStream,
}

/// What a guardian says, for its supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// It could not be started, for this reason.
    Failed(String),
    /// Somebody else holds the destination.
    Busy,
    /// It runs, as this process.
    Started(u32),
    /// It was asked to end.
    Stopping,
    /// Its group was killed.
    Killed,
    /// It exited with this code, and nothing of it is left.
    Exited(i32),
    /// This signal ended it, and nothing of it is left.
    Signalled(i32),
    /// The guardian itself is gone without a word.
    Gone,
}

/// A guardian could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the guardian {program:?}: {source}")]
pub(crate) struct SpawnError {
    program: OsString,
    source: io::Error,
}

impl SpawnError {
    fn new(argv: &[OsString], source: io::Error) -> Self {
        Self { program: argv.first().cloned().unwrap_or_default(), source }
    }
}

impl Guarded {
    /// Starts a guardian with this argv, and tells it what to start. Gives rsync's standard output and error too.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) async fn spawn(
        guardian: &[OsString],
        spec: &Spec,
    ) -> Result<(Self, Option<ChildStdout>, Option<ChildStderr>), SpawnError> {
        let started = async {
            let (ours, theirs) = BlockingStream::pair()?;
            let mut command = tokio::process::Command::from(command(guardian)?);
            let mut child = command
                .stdin(Stdio::from(OwnedFd::from(theirs)))
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            // The command holds the other end; a guardian that dies must be heard.
            drop(command);
            let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
            let guarded = Self::instruct(GuardianProcess::Executed(child), ours, spec).await?;
            Ok((guarded, stdout, stderr))
        };
        started.await.map_err(|source| SpawnError::new(guardian, source))
    }

    /// Tells a new guardian what to start.
    async fn instruct(process: GuardianProcess, socket: BlockingStream, spec: &Spec) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let (hear, speak) = UnixStream::from_std(socket)?.into_split();
        let mut guarded = Self { process, hear: BufReader::new(hear), speak, line: Vec::new() };
        let mut line = serde_json::to_vec(spec)?;
        line.push(b'\n');
        guarded.speak.write_all(&line).await?;
        Ok(guarded)
    }

    /// The next thing that it says. May be dropped at any await: what was read so far is kept.
    pub(crate) async fn said(&mut self) -> Said {
        // `read_until` keeps what it has in `line` when it is dropped in the middle.
        let read = self.hear.read_until(b'\n', &mut self.line).await;
        let line = std::mem::take(&mut self.line);
        match read.ok().and_then(|_| serde_json::from_slice(&line).ok()) {
            Some(Report::Failed { why }) => Said::Failed(why),
            Some(Report::Busy) => Said::Busy,
            Some(Report::Started { pid }) => Said::Started(pid),
            Some(Report::Stopping) => Said::Stopping,
            Some(Report::Killed) => Said::Killed,
            Some(Report::Ended { code: Some(code), .. }) => Said::Exited(code),
            Some(Report::Ended { code: None, signal }) => Said::Signalled(signal.unwrap_or_default()),
            None => Said::Gone,
        }
    }

    /// Asks it to end what it guards.
    pub(crate) async fn stop(&mut self) {
        // A guardian that is gone has nothing left to stop.
        let _ = self.speak.write_all(Order::Stop.line()).await;
    }

    /// Kills a guardian that does not listen. What it guards is then found by its lock.
    pub(crate) fn kill(&mut self) {
        // One that has ended by itself is what was wanted.
        match &mut self.process {
            GuardianProcess::Executed(child) => drop(child.start_kill()),
            GuardianProcess::Forked(handle) => drop(pidfd_send_signal(handle, Signal::KILL)),
        }
    }

    /// Waits until the guardian itself has ended.
    pub(crate) async fn wait(self) {
        // Its own exit code says nothing that it has not said.
        match self.process {
            GuardianProcess::Executed(mut child) => drop(child.wait().await),
            GuardianProcess::Forked(handle) => {
                drop(tokio::task::spawn_blocking(move || wait_for(&handle)).await);
            }
        }
    }
}

/// Waits until a process has ended.
fn wait_for(handle: &OwnedFd) {
    while poll(&mut [PollFd::new(handle, PollFlags::IN)], None) == Err(Errno::INTR) {}
}

impl GuardianSource {
    /// The same guardians, forked from a process that is kept ready.
    pub(crate) fn kept_ready(self) -> Self {
        match self {
            Self::Exec(argv) => Self::Nursery(GuardianNursery::new(argv)),
            Self::Nursery(_) => self,
        }
    }

    /// Starts a guardian, and tells it what to start. Returns rsync's standard output and error too.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) async fn spawn(&self, spec: &Spec) -> Result<(Guarded, OwnedFd, OwnedFd), SpawnError> {
        let argv = match self {
            Self::Exec(argv) => argv,
            Self::Nursery(nursery) => return nursery.spawn(spec).await,
        };
        let (guarded, stdout, stderr) = Guarded::spawn(argv, spec).await?;
        let failed = |source| SpawnError::new(argv, source);
        let (stdout, stderr) = stdout.zip(stderr).ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        Ok((guarded, stdout.into_owned_fd().map_err(failed)?, stderr.into_owned_fd().map_err(failed)?))
    }
}

impl GuardianNursery {
    /// A nursery that is not started yet. `argv` starts a guardian.
    fn new(argv: Vec<OsString>) -> Self {
        Self { argv, current: Arc::default() }
    }

    /// Forks a guardian, and tells it what to start.
    async fn spawn(&self, spec: &Spec) -> Result<(Guarded, OwnedFd, OwnedFd), SpawnError> {
        let first = self.try_spawn(spec).await;
        let started = match first {
            Ok(started) => Ok(started),
            // By another nursery, and with another socket: a guardian that was forked all the same ends with the first.
            Err(_) => self.try_spawn(spec).await,
        };
        started.map_err(|source| SpawnError::new(&self.argv, source))
    }

    async fn try_spawn(&self, spec: &Spec) -> io::Result<(Guarded, OwnedFd, OwnedFd)> {
        let (ours, theirs) = BlockingStream::pair()?;
        let (stdout, their_stdout) = io::pipe()?;
        let (stderr, their_stderr) = io::pipe()?;
        let (argv, current) = (self.argv.clone(), Arc::clone(&self.current));

        // Away from the event loop, as a nursery can be stopped.
        let forked = tokio::task::spawn_blocking(move || {
            fork_guardian(&current, &argv, [theirs.as_fd(), their_stdout.as_fd(), their_stderr.as_fd()])
        });
        let handle = forked.await.map_err(io::Error::other)??;
        let guarded = Guarded::instruct(GuardianProcess::Forked(handle), ours, spec).await?;
        Ok((guarded, stdout.into(), stderr.into()))
    }
}

/// Has a guardian forked with these descriptors, by the nursery that runs or by a new one. Returns its handle.
fn fork_guardian(
    current: &Mutex<Option<NurseryProcess>>,
    argv: &[OsString],
    descriptors: [BorrowedFd<'_>; 3],
) -> io::Result<OwnedFd> {
    let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
    let nursery = match current.take() {
        Some(nursery) => nursery,
        None => NurseryProcess::start(argv)?,
    };
    // One that fails is dropped with its request.
    send(&nursery.socket, 0, &descriptors)?;
    let handle = nursery.answer()?;
    *current = Some(nursery);
    Ok(handle)
}

impl NurseryProcess {
    fn start(argv: &[OsString]) -> io::Result<Self> {
        let (socket, theirs) = BlockingStream::pair()?;
        socket.set_read_timeout(Some(ANSWER_WITHIN))?;
        socket.set_write_timeout(Some(ANSWER_WITHIN))?;
        let mut command = command(argv)?;
        command.arg(NURSERY_WORD).stdin(Stdio::from(OwnedFd::from(theirs)));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { child, socket })
    }

    /// Hears what became of a request: the handle of a guardian, or the number of the system's error.
    fn answer(&self) -> io::Result<OwnedFd> {
        let (error, mut handles) = receive(&self.socket)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        match handles.pop() {
            Some(handle) => Ok(handle),
            None => Err(io::Error::from_raw_os_error(error.into())),
        }
    }
}

impl Drop for NurseryProcess {
    fn drop(&mut self) {
        // One that has ended by itself is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The start of a guardian's program, with nothing of this process's environment.
fn command(argv: &[OsString]) -> io::Result<Command> {
    let (program, args) = argv.split_first().ok_or(io::ErrorKind::NotFound)?;
    let mut command = Command::new(program);
    command.args(args).env_clear().current_dir("/");
    if program == ITSELF {
        // For who reads a list of processes.
        command.arg0("heliostat");
    }
    Ok(command)
}
