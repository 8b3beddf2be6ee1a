//! PID namespaces: the kernel's own bound around everything that a program starts (`pid_namespaces(7)`).

use std::fs::File;
use std::os::fd::AsFd;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

/// Makes the next child of this process the first process of a new PID namespace. Returns false where that is not
/// allowed: it takes `CAP_SYS_ADMIN`, and a container or a kernel may forbid it all the same.
pub(super) fn enter_with_next_child() -> bool {
    // A namespace whose first process has ended takes no other, so each child begins from our own.
    let own = File::open("/proc/self/ns/pid");
    own.is_ok_and(|own| move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::ProcessID)).is_ok())
        && unshare_pids()
}

#[expect(deprecated, reason = "other flags make this call unsafe (CLONE_FILES); a PID namespace does not")]
fn unshare_pids() -> bool {
    rustix::thread::unshare(UnshareFlags::NEWPID).is_ok()
}
