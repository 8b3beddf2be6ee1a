//! One run of rsync: its command, its processes, its output, its end.
//!
//! This crate turns "bring this destination up to date from that upstream" into rsync processes that are always
//! watched and always ended, and into numbers, changes and a verdict that a program can act on. It knows nothing of
//! projects, schedules, stores or HTTP.
//!
//! Invariants that live here:
//!
//! 1. At most one rsync writes to a destination: its lock is held by the guardian *and* by every rsync below it, so it
//!    is free only when the last of them has ended.
//! 2. No rsync outlives its supervisor: [`guardian`] ends the process group when the control socket closes, and
//!    [`Engine::end_orphans`] ends what is left when guardian and supervisor were killed together.
//! 3. Reading rsync's output never fails and never blocks rsync: [`rsync::output`] keeps what it does not know as
//!    text, bounds every line, and both pipes are always drained.
//! 4. A [`Secret`] prints as `***`, and reaches rsync through a pipe, never through argv or the environment.
//!
//! A reader starts with [`attempt`], which tells the story of one rsync from its command to its verdict.

pub mod attempt;
mod cgroup;
pub mod command;
pub mod durable;
pub mod guardian;
mod lock;
pub mod monitor;
mod place;
pub mod protocol;
pub mod retry;
pub mod rsync;
pub mod rsyncd;
pub mod secret;
pub mod source;
mod sweep;
pub mod text;

pub use attempt::{Attempt, AttemptReport, Changes, Engine};
pub use cgroup::{DelegatedGroup, GroupError};
pub use command::{Command, Pattern};
pub use monitor::{Monitor, Phase};
pub use place::{DestinationFolder, FolderIdentity};
pub use retry::RetryPolicy;
pub use rsync::args::Limits;
pub use rsync::edits::{Edit, EditError};
pub use rsync::exit::{Class, Exit, Judgement, Verdict};
pub use rsync::filters::ListFilters;
pub use rsync::options::{DeleteMode, Options, OptionsError};
pub use rsync::output::{Change, ChangeKind, EntryKind, Progress};
pub use rsync::stages::Stages;
pub use rsync::stats::Stats;
pub use secret::{PasswordError, Secret};
pub use source::{Source, SourceError};
