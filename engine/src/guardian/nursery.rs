//! The nursery: one process from which guardians are forked, so that a start costs no `execve(2)`.
//!
//! An exec of our binary costs the loading and relocating of all of it, each time. The nursery pays for that once: it is
//! our binary, single-threaded, idle between starts, and holds no secret. Each request is one byte with three
//! descriptors: the control socket of the new guardian, and its standard output and error. The answer is one byte with a
//! handle of the new process. A nursery that dies takes no guardian with it, and ends with the server.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use fork::{Fork, fork};
use rustix::cmsg_space;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, wait};

/// The word that makes a guardian's program a nursery, as its last argument.
pub(super) const NURSERY_WORD: &str = "nursery";
/// Most descriptors of one message.
const DESCRIPTORS: usize = 3;

/// Result of the nursery's loop, which ends twice: here, and in each process that is forked off.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NurseryEnd {
    /// The server is gone.
    Closed,
    /// This process is a new guardian, with its control socket as standard input.
    Forked,
}

/// Forks a guardian for each request on standard input, until that closes.
pub(super) fn serve() -> io::Result<NurseryEnd> {
    let socket = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
    super::release_pipes()?;
    if std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() > 1) {
        return Err(io::Error::other("a process with several threads cannot be forked"));
    }
    // An interrupt from the terminal is for the server. It fails only for the leader of a group, which is as good.
    let _ = rustix::process::setsid();
    let mut guardians: Vec<OwnedFd> = Vec::new();

    loop {
        let requested = {
            let handles = guardians.iter().map(|handle| PollFd::new(handle, PollFlags::IN));
            let mut fds: Vec<_> = [PollFd::new(&socket, PollFlags::IN)].into_iter().chain(handles).collect();
            match poll(&mut fds, None) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            !fds[0].revents().is_empty()
        };
        reap(&mut guardians)?;
        if !requested {
            continue;
        }

        let Some((_, descriptors)) = receive(&socket)? else { return Ok(NurseryEnd::Closed) };
        let [control, stdout, stderr] = &descriptors[..] else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        // This process has one thread, so all of it is in the new process too.
        match fork() {
            Ok(Fork::Child) => {
                rustix::stdio::dup2_stdin(control)?;
                rustix::stdio::dup2_stdout(stdout)?;
                rustix::stdio::dup2_stderr(stderr)?;
                return Ok(NurseryEnd::Forked);
            }
            Ok(Fork::Parent(pid)) => {
                // It is not reaped yet, so the number is still its own.
                let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?;
                let handle = pidfd_open(pid, PidfdFlags::empty())?;
                send(&socket, 0, &[handle.as_fd()])?;
                guardians.push(handle);
            }
            Err(error) => {
                let number = error.raw_os_error().and_then(|number| u8::try_from(number).ok());
                send(&socket, number.unwrap_or(u8::MAX), &[])?;
            }
        }
    }
}

/// Reaps the guardians that have ended, and forgets their handles.
fn reap(guardians: &mut Vec<OwnedFd>) -> io::Result<()> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(Errno::CHILD) => break,
            Err(error) => return Err(error.into()),
        }
    }
    // The handle of a process that has ended is readable for ever.
    let now = rustix::event::Timespec::default();
    guardians.retain(|handle| poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&now)) == Ok(0));
    Ok(())
}

/// Sends one byte and these descriptors.
pub(super) fn send(socket: &UnixStream, byte: u8, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    loop {
        match sendmsg(socket, &[IoSlice::new(&[byte])], &mut ancillary, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            other => {
                other?;
                return Ok(());
            }
        }
    }
}

/// Receives one byte and its descriptors. Returns `None` if the other end is closed.
pub(super) fn receive(socket: &UnixStream) -> io::Result<Option<(u8, Vec<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    if received.bytes == 0 {
        return Ok(None);
    }

    let rights = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => Some(rights),
        _ => None,
    });
    Ok(Some((byte[0], rights.flatten().collect())))
}
