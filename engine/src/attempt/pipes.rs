//! Both pipes of an rsync, read to their end by a thread of their own.
//!
//! rsync writes one line for each file. On the event loop every one of these lines would wake the server; this thread
//! takes what has gathered meanwhile in one piece. It holds back only after many reads, so that a short run ends as
//! fast as it can, and never when the pipe is full, so that rsync never waits for it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::sync::mpsc;

/// How much of a pipe is read at once: what a pipe holds.
const CHUNK: usize = 64 << 10;
/// How many pieces may wait for the reader.
const WAITING: usize = 4;
/// After how many reads lines are left to gather.
const BUSY: u32 = 64;
/// How long they gather.
const GATHER: Duration = Duration::from_millis(5);
/// How often the thread looks whether anybody still reads, where somebody keeps a pipe open and says nothing.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// What came out of one of them.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    /// Of standard output.
    Stdout(Vec<u8>),
    /// Of standard error.
    Stderr(Vec<u8>),
}

/// The two pipes. Dropping it ends the thread within a second.
#[derive(Debug)]
pub(super) struct Pipes {
    pieces: mpsc::Receiver<Piece>,
    ended: bool,
}

impl Pipes {
    /// Begins to read.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn read_both(stdout: OwnedFd, stderr: OwnedFd) -> io::Result<Self> {
        // One of them says nothing for long: reading it must not keep us from the other.
        rustix::io::ioctl_fionbio(&stdout, true)?;
        rustix::io::ioctl_fionbio(&stderr, true)?;
        let (sender, pieces) = mpsc::channel(WAITING);
        let thread = std::thread::Builder::new().name("pipes".to_owned());
        thread.spawn(move || Work { stdout: Some(stdout), stderr: Some(stderr), sender }.run())?;
        Ok(Self { pieces, ended: false })
    }

    /// Whether more may come.
    pub(super) fn is_open(&self) -> bool {
        !self.ended
    }

    /// The next piece; none when both have ended. May be dropped at its await.
    pub(super) async fn next(&mut self) -> Option<Piece> {
        let piece = self.pieces.recv().await;
        self.ended = piece.is_none();
        piece
    }
}

/// The thread's side.
struct Work {
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    sender: mpsc::Sender<Piece>,
}

impl Work {
    fn run(mut self) {
        let mut reads = 0_u32;
        while (self.stdout.is_some() || self.stderr.is_some()) && !self.sender.is_closed() {
            if !self.wait() {
                continue;
            }
            let mut most = 0;
            for (open, kind) in
                [(&mut self.stdout, Piece::Stdout as fn(Vec<u8>) -> Piece), (&mut self.stderr, Piece::Stderr)]
            {
                let Some(piece) = piece(open) else { continue };
                most = most.max(piece.len());
                if self.sender.blocking_send(kind(piece)).is_err() {
                    return;
                }
            }
            reads = reads.saturating_add(1);
            if reads > BUSY && most < CHUNK {
                std::thread::park_timeout(GATHER);
            }
        }
    }

    /// Waits until one of them can be read; false when that took too long.
    fn wait(&self) -> bool {
        let open = [&self.stdout, &self.stderr].into_iter().flatten();
        let mut fds: Vec<_> = open.map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)).collect();
        poll(&mut fds, Some(&LOOK)).is_ok_and(|ready| ready > 0)
    }
}

/// What a pipe holds now; closes it at its end.
fn piece(open: &mut Option<OwnedFd>) -> Option<Vec<u8>> {
    let mut buffer = Vec::with_capacity(CHUNK);
    match rustix::io::read(open.as_ref()?, rustix::buffer::spare_capacity(&mut buffer)) {
        Ok(1..) => Some(buffer),
        // The descriptor does not block: there is nothing yet.
        Err(Errno::AGAIN | Errno::INTR) => None,
        // The end, or a pipe that broke, which is the same to us.
        Ok(0) | Err(_) => {
            *open = None;
            None
        }
    }
}
