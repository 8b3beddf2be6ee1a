//! Finding and ending what an earlier server left behind: every process that has one of our lock files open.
//!
//! No process id is remembered and trusted: a process is ours because it holds our lock, and it is signalled through a
//! pidfd that was opened before a second look, so that a reused id never hits a stranger.
//!
//! The kernel hides the files of some processes even from their own user: of a program that this user cannot read, or
//! that has more rights than its user. A lock that is held although no holder was found is therefore an error.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Ends every process that has a file in `locks` open, this one excepted: first asked, after `grace` killed. Gives
/// their ids. Blocks for at most twice the grace.
///
/// # Errors
/// When the processes cannot be listed, or one of them holds a lock and cannot be examined.
pub(crate) fn end_holders(locks: &Path, grace: Duration) -> io::Result<Vec<u32>> {
    let ours = |held: &Path| held.parent() == Some(locks);
    let ended = end(&ours, grace)?;

    for entry in std::fs::read_dir(locks)? {
        check_free(&entry?.path())?;
    }
    Ok(ended)
}

/// The same for one lock file.
///
/// # Errors
/// When the processes cannot be listed, or one of them holds the lock and cannot be examined.
pub(crate) fn end_holders_of(lock: &Path, grace: Duration) -> io::Result<Vec<u32>> {
    let ours = |held: &Path| held == lock;
    let ended = end(&ours, grace)?;
    check_free(lock)?;
    Ok(ended)
}

/// Fails if a process holds a lock file although none was found, and names the processes that it may be.
fn check_free(lock: &Path) -> io::Result<()> {
    let file = match File::open(lock) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => Err(io::Error::other(describe_hidden(lock))),
        other => Ok(other?),
    }
}

/// Says which processes may hold a lock, and what to do about them.
fn describe_hidden(lock: &Path) -> String {
    let hidden = list_hidden();
    let suspects = if hidden.is_empty() {
        "a process that belongs to another user".to_owned()
    } else {
        format!("a process whose open files cannot be read: {}", hidden.join(" or "))
    };
    format!(
        "the lock {} is held by {suspects}; it may still write to a mirror: end it, then start again",
        lock.display()
    )
}

/// Returns the processes of this user whose open files cannot be read, each as `pid 123 (rsync)`.
fn list_hidden() -> Vec<String> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut hidden = Vec::new();
    for process in processes.flatten().map(|entry| entry.path()) {
        // The folder of a process that is hidden belongs to root, so its status says whose it is.
        let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let user = field("Uid:").and_then(|ids| ids.split_ascii_whitespace().next()?.parse::<u32>().ok());
        if user != Some(rustix::process::getuid().as_raw()) {
            continue;
        }
        let read = std::fs::read_dir(process.join("fd"));
        if read.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
            let pid = field("Pid:").unwrap_or_default();
            hidden.push(format!("pid {pid} ({})", field("Name:").unwrap_or_default()));
        }
    }
    hidden
}

fn end(ours: &dyn Fn(&Path) -> bool, grace: Duration) -> io::Result<Vec<u32>> {
    let mut ended = Vec::new();
    let mut holders = find(ours)?;
    for signal in [Signal::TERM, Signal::KILL] {
        for (pid, handle) in &holders {
            // One that is gone already has done what was asked.
            let _ = pidfd_send_signal(handle, signal);
            // A stopped process obeys nothing but KILL before it is continued.
            let _ = pidfd_send_signal(handle, Signal::CONT);
            ended.push(u32::try_from(pid.as_raw_nonzero().get()).unwrap_or_default());
        }
        wait_all(&holders, grace)?;
        // rsync's receiver may have taken the lock over from its parent in between.
        holders = find(ours)?;
        if holders.is_empty() {
            break;
        }
    }
    ended.sort_unstable();
    ended.dedup();
    Ok(ended)
}

fn find(ours: &dyn Fn(&Path) -> bool) -> io::Result<Vec<(Pid, OwnedFd)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let raw = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = raw.and_then(Pid::from_raw) else { continue };
        if pid == rustix::process::getpid() || !holds(&entry.path(), ours) {
            continue;
        }
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        // Between the look and the handle the id may have gone to somebody else.
        if holds(&entry.path(), ours) {
            found.push((pid, handle));
        }
    }
    Ok(found)
}

fn holds(process: &Path, ours: &dyn Fn(&Path) -> bool) -> bool {
    let Ok(open) = std::fs::read_dir(process.join("fd")) else { return false };
    open.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|held: PathBuf| ours(&held))
}

/// Waits until all have ended, or the time is over.
fn wait_all(holders: &[(Pid, OwnedFd)], grace: Duration) -> io::Result<()> {
    let deadline = Instant::now() + grace;
    for (_, handle) in holders {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&left)) {
                // The end of some child of ours; what is waited for may still come.
                Err(Errno::INTR) => {}
                other => {
                    other?;
                    break;
                }
            }
        }
    }
    Ok(())
}
