//! The guardian's child: rsync itself or, with the privileges for it, the init of a PID namespace with rsync below it.
//!
//! Both are heard in the same way, report by report, and without waiting.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fork::{Fork, fork};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use super::family::{ChildFamily, Pipes};
use super::wire::{Order, Report, Spec};
use super::{init, leftovers, namespace};

/// Pause between two kills of what has left the group.
const STRAYS: Duration = Duration::from_millis(200);
/// Longest report of an init: a sentence about a program that could not be started.
const LONGEST_REPORT: usize = 64 << 10;

/// A program under guard. Dropping it kills and reaps everything below it.
#[derive(Debug)]
pub(super) struct GuardedChild {
    family: ChildFamily,
    link: ChildLink,
    /// Process group of the program, as this process numbers it.
    group: Cell<Option<Pid>>,
    /// Set if this process is in a destination.
    has_dest: bool,
    unfinished: RefCell<Vec<PathBuf>>,
}

/// The way in which the end of the program is heard.
#[derive(Debug)]
enum ChildLink {
    /// It is our own child.
    Direct { handle: OwnedFd, ask_group: bool },
    /// The init of its namespace says so.
    Init { socket: UnixStream, heard: RefCell<Vec<u8>> },
}

impl GuardedChild {
    /// Starts the program of a specification with these arguments, in a PID namespace of its own where that is allowed.
    pub(super) fn start(spec: &Spec, args: &[Vec<u8>], pipes: Option<Pipes>) -> io::Result<Self> {
        if namespace::enter_with_next_child() {
            return Self::start_init(spec, args, pipes);
        }
        let family = ChildFamily::spawn(spec, args, pipes)?;
        let handle = pidfd_open(family.leader(), PidfdFlags::empty())?;
        Ok(Self::new(family, ChildLink::Direct { handle, ask_group: spec.ask_group }, spec))
    }

    /// Forks an init, which runs the program.
    fn start_init(spec: &Spec, args: &[Vec<u8>], pipes: Option<Pipes>) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        // This process has one thread, so all of it is in the new process too.
        let init = match fork()? {
            Fork::Child => {
                // An init that kept this end would not hear that its guardian is gone.
                drop(ours);
                end_init(&init::serve(&theirs, spec, args, pipes));
            }
            Fork::Parent(pid) => Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?,
        };
        let family = ChildFamily::of(init);

        // An init that dies must be heard.
        drop(theirs);
        ours.set_nonblocking(true)?;
        Ok(Self::new(family, ChildLink::Init { socket: ours, heard: RefCell::default() }, spec))
    }

    fn new(family: ChildFamily, link: ChildLink, spec: &Spec) -> Self {
        let (group, unfinished) = (Cell::new(None), RefCell::default());
        Self { family, link, group, has_dest: spec.dest.is_some(), unfinished }
    }

    /// Readable when [`GuardedChild::next_report`] has something to say.
    pub(super) fn handle(&self) -> BorrowedFd<'_> {
        match &self.link {
            ChildLink::Direct { handle, .. } => handle.as_fd(),
            ChildLink::Init { socket, .. } => socket.as_fd(),
        }
    }

    /// Returns the next of: started, failed, ended. Returns `None` while there is nothing new.
    pub(super) fn next_report(&self) -> io::Result<Option<Report>> {
        let report = match &self.link {
            ChildLink::Direct { .. } if self.group.get().is_none() => {
                Some(Report::Started { pid: number(self.family.leader()) })
            }
            ChildLink::Direct { .. } => {
                self.family.reap()?;
                self.family.leader_status().map(Report::from)
            }
            ChildLink::Init { socket, heard } => hear(socket, &mut heard.borrow_mut())?,
        };
        if let Some(Report::Started { pid }) = &report {
            self.group.set(i32::try_from(*pid).ok().and_then(Pid::from_raw));
        }
        Ok(report)
    }

    /// Asks the program to end in order.
    pub(super) fn ask_to_end(&self) {
        match &self.link {
            ChildLink::Direct { ask_group, .. } => self.family.ask_to_end(*ask_group),
            // One that is gone needs no asking; one that does not listen is killed after the grace.
            ChildLink::Init { socket, .. } => drop((&*socket).write_all(Order::Stop.line())),
        }
    }

    /// Kills everything, and remembers the files that a kill leaves unfinished.
    pub(super) fn kill(&self) {
        self.note_unfinished();
        self.family.kill();
    }

    fn note_unfinished(&self) {
        if let Some(group) = self.group.get().filter(|_| self.has_dest) {
            let open = leftovers::open_by_group(group);
            self.unfinished.borrow_mut().extend(open);
        }
    }

    /// Waits for everything that the program has left, kills what lingers for longer than it may now, and removes its
    /// unfinished files.
    pub(super) fn reap_rest(&self, linger: impl Fn() -> Duration, look: Duration) -> io::Result<()> {
        let since = Instant::now();
        let mut killed: Option<Instant> = None;

        while !self.family.reap()? {
            // Again and again: what has left the group becomes our child only once its parents are gone.
            let is_due = killed.map_or(since.elapsed() >= linger(), |killed| killed.elapsed() >= STRAYS);
            if is_due {
                self.kill();
                killed = Some(Instant::now());
            }
            std::thread::park_timeout(look);
        }
        leftovers::remove(self.unfinished.take());
        Ok(())
    }
}

impl Drop for GuardedChild {
    /// Ends what an error has left, and removes the unfinished files that a kill leaves behind.
    fn drop(&mut self) {
        if !self.family.is_gone() {
            self.note_unfinished();
            self.family.end();
        }
        leftovers::remove(self.unfinished.take());
    }
}

/// Reads the next report of an init. One that is gone without a last word was killed, and the kernel has killed
/// everything below it.
fn hear(mut socket: &UnixStream, heard: &mut Vec<u8>) -> io::Result<Option<Report>> {
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = heard.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = heard.drain(..=end).collect();
            return Ok(Some(serde_json::from_slice(&line)?));
        }
        match socket.read(&mut piece) {
            Ok(0) => return Ok(Some(Report::Ended { code: None, signal: Some(Signal::KILL.as_raw()) })),
            Ok(read) if heard.len() + read <= LONGEST_REPORT => heard.extend_from_slice(&piece[..read]),
            Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Ends an init, and with it its namespace.
#[expect(clippy::disallowed_methods, reason = "a return would go on as the guardian that this is a copy of")]
fn end_init(served: &io::Result<()>) -> ! {
    std::process::exit(i32::from(served.is_err()))
}

/// Number of a process, as it travels.
pub(super) fn number(pid: Pid) -> u32 {
    u32::try_from(pid.as_raw_nonzero().get()).unwrap_or_default()
}
