//! The supervisor's side: starting a guardian, hearing what it says, and asking it to stop.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::wire::{Order, Report, Spec};

/// A guardian and what it guards. Dropping it closes the socket, which ends everything below.
#[derive(Debug)]
pub(crate) struct Guarded {
    child: Child,
    hear: BufReader<OwnedReadHalf>,
    speak: OwnedWriteHalf,
    line: Vec<u8>,
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

impl Guarded {
    /// Starts a guardian with this argv, and tells it what to start. Gives rsync's standard output and error too.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) async fn spawn(
        guardian: &[OsString],
        spec: &Spec,
    ) -> Result<(Self, Option<ChildStdout>, Option<ChildStderr>), SpawnError> {
        let (program, args) =
            guardian.split_first().map_or((OsString::new(), &[][..]), |(first, rest)| (first.clone(), rest));
        let started = async {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            let mut child = Command::new(&program)
                .args(args)
                .env_clear()
                .current_dir("/")
                .stdin(Stdio::from(OwnedFd::from(theirs)))
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
            let (hear, speak) = UnixStream::from_std(ours)?.into_split();
            let mut guarded = Self { child, hear: BufReader::new(hear), speak, line: Vec::new() };
            let mut line = serde_json::to_vec(spec)?;
            line.push(b'\n');
            guarded.speak.write_all(&line).await?;
            Ok((guarded, stdout, stderr))
        };
        started.await.map_err(|source| SpawnError { program: program.clone(), source })
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
        let _ = self.child.start_kill();
    }

    /// Waits until the guardian itself has ended.
    pub(crate) async fn wait(mut self) {
        // Its own exit code says nothing that it has not said.
        let _ = self.child.wait().await;
    }
}
