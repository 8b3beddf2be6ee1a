//! The init of a PID namespace: its first process, with rsync below it.
//!
//! When an init ends, the kernel kills every process of its namespace, and an init ends with its guardian
//! (`PR_SET_PDEATHSIG`). So SIGKILL of server and guardian in one instant leaves nothing either. See
//! `pid_namespaces(7)`.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::{PidfdFlags, Signal, pidfd_open, set_parent_process_death_signal};

use super::child::number;
use super::family::{ChildFamily, Pipes, children};
use super::wire::{Report, Spec};
use super::{LOOK, is_closed, poll_either, release_pipes, tell};

/// Pause between two looks for orphans that have ended.
const REAP_EVERY: Duration = Duration::from_secs(10);

/// Runs the program of a specification to its end. However this function returns, the process then must end, and with it
/// everything in the namespace.
pub(super) fn serve(
    control: &UnixStream,
    spec: &Spec,
    args: &[Vec<u8>],
    pipes: Option<Pipes>,
) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if is_closed(control) {
        // The guardian died before that, so nothing tells us of its death.
        return Ok(());
    }

    let family = match ChildFamily::spawn(spec, args, pipes) {
        Ok(family) => family,
        Err(error) => return tell(control, &Report::Failed { why: error.to_string() }),
    };
    family.leave_to_kernel();
    release_pipes()?;
    control.set_nonblocking(true)?;

    // Not reaped yet, so it is listed, with its number outside of the namespace.
    let pid = children().first().copied().ok_or(io::ErrorKind::NotFound)?;
    tell(control, &Report::Started { pid: number(pid) })?;
    watch(control, &family, spec.ask_group)
}

/// Passes the order to stop on, says how the program ended, and waits for what that has left.
fn watch(control: &UnixStream, family: &ChildFamily, ask_group: bool) -> io::Result<()> {
    let handle = pidfd_open(family.leader(), PidfdFlags::empty())?;
    let status = loop {
        family.reap()?;
        if let Some(status) = family.leader_status() {
            break status;
        }
        if poll_either(handle.as_fd(), Some(control.as_fd()), Some(REAP_EVERY))? {
            match (&*control).read(&mut [0; 64]) {
                Ok(0) => return Ok(()),
                Ok(_) => family.ask_to_end(ask_group),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    };
    tell(control, &Report::from(status))?;

    while !family.reap()? {
        std::thread::park_timeout(LOOK);
    }
    Ok(())
}
