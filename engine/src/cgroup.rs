//! Memory of whole attempts: a cgroup for each, below one that the service manager has delegated to us (`Delegate=memory`,
//! `systemd.resource-control(5)`).
//!
//! `RLIMIT_DATA` bounds each process for itself. Where a group is delegated, `memory.max` bounds all processes of an attempt
//! together as well. Where none is, nothing is done, and the reason is told.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Mount point of the unified hierarchy.
const MOUNT: &str = "/sys/fs/cgroup";
/// Attributes by which systemd marks a group that it has delegated: one for users, one for root.
const MARKS: [&str; 2] = ["user.delegate", "trusted.delegate"];
/// Name of the group of the server itself: a group with members of its own may have no bounded ones below it.
const SERVER: &str = "server";
/// Beginning of the names of the groups of attempts.
const ATTEMPT: &str = "attempt-";

/// A group that was delegated to this server.
#[derive(Debug)]
pub struct DelegatedGroup {
    folder: PathBuf,
    next: AtomicU64,
}

/// Reason why attempts are not bounded as a whole.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The process is in no unified group.
    #[error("this system has no unified cgroups")]
    NoHierarchy,
    /// Nobody has delegated the group.
    #[error("the cgroup {0} is not delegated: `Delegate=memory` in the unit does that")]
    NotDelegated(PathBuf),
    /// The group cannot bound memory.
    #[error("the cgroup {0} has no memory controller")]
    NoController(PathBuf),
    /// The system refused.
    #[error("the cgroup {path} cannot be used: {source}")]
    Failed {
        /// The file that was to be read or written.
        path: PathBuf,
        /// Reason of the system.
        source: io::Error,
    },
}

/// The group of one attempt. Dropping it removes the group, once its last process has ended.
#[derive(Debug)]
pub(crate) struct AttemptGroup {
    folder: PathBuf,
}

impl DelegatedGroup {
    /// Takes over the group of this process, if it was delegated. Call it before anything is started.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn find() -> Result<Self, GroupError> {
        let own = Path::new("/proc/self/cgroup");
        let listed = fs::read_to_string(own).map_err(|_| GroupError::NoHierarchy)?;
        Self::take_over(Path::new(MOUNT), &listed)
    }

    /// The same with another mount point, and with a list of groups as `/proc/PID/cgroup` has it.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn take_over(mount: &Path, listed: &str) -> Result<Self, GroupError> {
        let own = listed.lines().find_map(|line| line.strip_prefix("0::/")).ok_or(GroupError::NoHierarchy)?;
        let mut folder = mount.join(own);
        if folder.ends_with(SERVER) {
            // A unit with `DelegateSubgroup=server`, or a server that has executed itself.
            folder.pop();
        }
        if !is_delegated(&folder) {
            return Err(GroupError::NotDelegated(folder));
        }
        let controllers = read(&folder.join("cgroup.controllers"))?;
        if !controllers.split_ascii_whitespace().any(|controller| controller == "memory") {
            return Err(GroupError::NoController(folder));
        }

        let group = Self { folder, next: AtomicU64::new(0) };
        group.remove_left();
        make(&group.folder.join(SERVER))?;
        write(&group.folder.join(SERVER).join("cgroup.procs"), "0")?;
        write(&group.folder.join("cgroup.subtree_control"), "+memory")?;
        Ok(group)
    }

    /// Removes the groups of an earlier server. Those that still have processes stay.
    fn remove_left(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            if entry.file_name().to_string_lossy().starts_with(ATTEMPT) {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }

    /// Folder of the group.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a group whose processes together may have this much memory.
    fn make_group(&self, bytes: u64) -> Result<AttemptGroup, GroupError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let group = AttemptGroup { folder: self.folder.join(format!("{ATTEMPT}{number}")) };
        make(&group.folder)?;
        write(&group.folder.join("memory.max"), &bytes.to_string())?;
        Ok(group)
    }
}

impl AttemptGroup {
    /// File into which a process writes `0` to become a member.
    pub(crate) fn members(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }
}

impl Drop for AttemptGroup {
    fn drop(&mut self) {
        // One that still has a process is removed by the next start.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Makes a group for an attempt whose processes together may have this much memory, where that is possible.
pub(crate) fn bound_together(delegated: Option<&DelegatedGroup>, bytes: Option<u64>) -> Option<AttemptGroup> {
    match delegated?.make_group(bytes?) {
        Ok(group) => Some(group),
        Err(error) => {
            tracing::warn!("the memory of an attempt is bounded for each process alone: {error}");
            None
        }
    }
}

/// Returns true if a service manager has marked a group as delegated.
fn is_delegated(folder: &Path) -> bool {
    let mut value = [0; 8];
    MARKS.iter().any(|mark| rustix::fs::getxattr(folder, *mark, &mut value).is_ok_and(|_| value[0] == b'1'))
}

fn read(path: &Path) -> Result<String, GroupError> {
    fs::read_to_string(path).map_err(|source| GroupError::Failed { path: path.to_owned(), source })
}

fn write(path: &Path, text: &str) -> Result<(), GroupError> {
    fs::write(path, text).map_err(|source| GroupError::Failed { path: path.to_owned(), source })
}

fn make(folder: &Path) -> Result<(), GroupError> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(|source| GroupError::Failed { path: folder.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder in the place of the hierarchy, with one delegated group.
    fn fake(controllers: &str) -> tempfile::TempDir {
        let mount = tempfile::tempdir().unwrap();
        let group = mount.path().join("system.slice/heliostat.service");
        fs::create_dir_all(&group).unwrap();
        fs::write(group.join("cgroup.controllers"), controllers).unwrap();
        rustix::fs::setxattr(&group, "user.delegate", b"1", rustix::fs::XattrFlags::empty()).unwrap();
        mount
    }

    const LISTED: &str = "1:name=systemd:/x\n0::/system.slice/heliostat.service\n";

    #[test]
    fn an_attempt_gets_a_bounded_group_below_a_delegated_one() {
        let mount = fake("cpu memory pids\n");
        let left = mount.path().join("system.slice/heliostat.service/attempt-7");
        fs::create_dir(&left).unwrap();
        let group = DelegatedGroup::take_over(mount.path(), LISTED).unwrap();
        let text = |name: &str| fs::read_to_string(group.folder().join(name)).unwrap();
        assert_eq!(
            (text("server/cgroup.procs"), text("cgroup.subtree_control")),
            ("0".into(), "+memory".into())
        );
        assert!(!left.exists(), "a group of an earlier server is left");

        let attempt = group.make_group(4096).unwrap();
        assert_eq!(text("attempt-0/memory.max"), "4096");
        assert_eq!(attempt.members(), group.folder().join("attempt-0/cgroup.procs"));
        // A real group has no files of its own that would have to be removed.
        fs::remove_file(group.folder().join("attempt-0/memory.max")).unwrap();
        drop(attempt);
        assert!(!group.folder().join("attempt-0").exists());

        // After an exec of the server, and with `DelegateSubgroup=`.
        let again = LISTED.replace(".service", ".service/server");
        assert_eq!(DelegatedGroup::take_over(mount.path(), &again).unwrap().folder(), group.folder());
    }

    #[test]
    fn a_group_that_nobody_delegated_is_left_alone() {
        let mount = fake("cpu memory\n");
        let group = mount.path().join("system.slice/heliostat.service");
        rustix::fs::removexattr(&group, "user.delegate").unwrap();
        let refused = DelegatedGroup::take_over(mount.path(), LISTED).unwrap_err();
        assert!(matches!(refused, GroupError::NotDelegated(_)), "{refused}");
        assert!(!group.join("server").exists());

        let refused = DelegatedGroup::take_over(fake("cpu pids\n").path(), LISTED).unwrap_err();
        assert!(matches!(refused, GroupError::NoController(_)), "{refused}");
        let refused = DelegatedGroup::take_over(mount.path(), "4:memory:/x\n").unwrap_err();
        assert!(matches!(refused, GroupError::NoHierarchy), "{refused}");
    }
}
