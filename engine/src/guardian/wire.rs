//! What supervisor and guardian say to each other: JSON, one line each, over one socket.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::place::FolderIdentity;

/// What the guardian is to start.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// The program, by name or path.
    pub(crate) program: PathBuf,
    /// Its arguments, as bytes: a path need not be UTF-8.
    pub(crate) args: Vec<Vec<u8>>,
    /// The arguments of a second one, which follows when the first one ended well.
    pub(crate) then: Option<Vec<Vec<u8>>>,
    /// What is added to its environment, secrets among it.
    pub(crate) environment: Vec<(String, String)>,
    /// Whether all of its group is asked to end, and not its main process alone: a shell waits for what it started.
    pub(crate) ask_group: bool,
    /// An empty folder of ours, its `HOME`.
    pub(crate) home: PathBuf,
    /// What it reads on its standard input; the way of a password.
    pub(crate) input: Option<String>,
    /// The folder of our lock files; with `dest`, the lock is taken.
    pub(crate) locks: Option<PathBuf>,
    /// The destination, which is made where it is missing; the program starts in it. Without one it starts at the root.
    pub(crate) dest: Option<PathBuf>,
    /// The folder that was found there before; none: nothing was.
    pub(crate) dest_identity: Option<FolderIdentity>,
    /// How long it gets to end by itself, in milliseconds.
    pub(crate) grace_ms: u64,
    /// Most bytes of data that each of its processes may have; none: no bound.
    pub(crate) memory_max: Option<u64>,
    /// The file into which it writes `0` to become a member of the cgroup of its attempt.
    pub(crate) group: Option<PathBuf>,
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `input` and `environment` are secret.
        f.debug_struct("Spec")
            .field("program", &self.program)
            .field("dest", &self.dest)
            .finish_non_exhaustive()
    }
}

/// What the supervisor says later.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// End it.
    Stop,
}

impl Order {
    /// Its line.
    #[must_use]
    pub(crate) fn line(self) -> &'static [u8] {
        match self {
            Self::Stop => b"stop\n",
        }
    }
}

/// What the guardian says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Report {
    /// It could not be started.
    Failed { why: String },
    /// Somebody else holds the destination.
    Busy,
    /// It was started.
    Started { pid: u32 },
    /// It was asked to end.
    Stopping,
    /// It did not end in time, and its group was killed.
    Killed,
    /// It has ended, and so has everything that it left.
    Ended { code: Option<i32>, signal: Option<i32> },
}
