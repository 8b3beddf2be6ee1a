//! Why a run still waits, in a sentence.

use chrono::{DateTime, SecondsFormat, Utc};

use super::Closed;
use crate::disk::DiskId;

/// Why a run still waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waits {
    /// It is its turn; it starts at once.
    ForNothing,
    /// Nothing holds it up but a policy, which is being asked or has left it out for now.
    ForPolicy,
    /// As many runs are going as may.
    ForSlot {
        /// How many that is.
        bound: usize,
    },
    /// As many runs from its upstream host are going as may.
    ForHost {
        /// The upstream's host.
        host: String,
        /// How many that is.
        bound: usize,
    },
    /// Nothing starts from its upstream host for a while.
    ForUpstream {
        /// The upstream's host.
        host: String,
        /// Why.
        why: Closed,
        /// Until when.
        until: DateTime<Utc>,
    },
    /// Its upstream host is in trouble, and another run tries it.
    ForTrial {
        /// The upstream's host.
        host: String,
    },
    /// Too little is free where it would write.
    ForSpace {
        /// The file system.
        disk: DiskId,
    },
    /// As many runs with its label are going as may.
    ForLabel {
        /// The label, as `key=value`.
        label: String,
        /// How many that is.
        bound: usize,
    },
}

impl std::fmt::Display for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ForNothing => write!(f, "it is next"),
            Self::ForPolicy => write!(f, "a policy has other runs start first (for an hour at most)"),
            Self::ForSlot { bound } => write!(f, "all {bound} slots are taken (rsync.concurrent)"),
            Self::ForHost { host, bound } => {
                write!(f, "{bound} at once from {host} are going already (rsync.per_host, rsync.hosts)")
            }
            Self::ForUpstream { host, why, until } => {
                let until = until.to_rfc3339_opts(SecondsFormat::Secs, true);
                match why {
                    Closed::Busy => write!(f, "waits for {host}, which is busy, until {until}"),
                    Closed::Down => write!(f, "waits for {host}, which cannot be reached, until {until}"),
                    Closed::Gap => write!(f, "waits for the gap between starts from {host}, until {until}"),
                    Closed::Quiet => {
                        write!(f, "waits for the end of the quiet hours of {host}, until {until}")
                    }
                }
            }
            Self::ForTrial { host } => write!(f, "waits for the run that tries whether {host} serves again"),
            Self::ForSpace { disk } => {
                write!(f, "waits for space on {} (disk.reserve)", disk.display())
            }
            Self::ForLabel { label, bound } => {
                write!(f, "{bound} at once with {label} are going already (rsync.per_label)")
            }
        }
    }
}
