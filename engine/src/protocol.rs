//! A client of the rsync daemon protocol that reads what a daemon says about itself and its files, without an rsync
//! process: its greeting, its modules, whether a login works, and the list of files in a module.
//!
//! It transfers no file content. It speaks protocols 27 to 32, which are those of rsync 2.6.0 to 3.5, and always the
//! newest that the daemon knows as well: from 30 on times reach back before 1970 and names may have line breaks, from 31
//! on times have nanoseconds. It never asks for compression, for a list that comes folder by folder (which would come
//! only as fast as files are asked for), or for owners, device numbers and hard links.
//!
//! Nothing that a daemon sends is trusted. Every step has a time limit, every line, text, name and list has a bound,
//! names that lead out of the tree are refused, and texts come out with their control characters escaped. Nobody here
//! checks *which* addresses may be contacted; that is for who takes a source from a user.
//!
//! A reader starts with [`Connection`], which tells the handshake in order; [`probe`] and [`list`] are made of it.

mod connection;
mod digest;
mod entries;
mod error;
mod fingerprint;
mod frames;
mod list;
mod numbers;
mod probe;
mod request;
mod stream;
mod wire;

use std::time::Duration;

pub use connection::{Connection, Greeting, Login, ModuleLine, Modules, Session};
pub use digest::Digest;
pub use entries::{Dialect, Entry, Malformed};
pub use error::{ProtocolError, Refusal, RefusalKind, Step};
pub use fingerprint::{Fingerprint, fingerprint};
pub use frames::Messages;
pub use list::{End, FileList, IoErrors, ListLimits, Listing, Totals, list};
pub use probe::{LoginState, ModuleState, Probe, probe};
pub use request::{MAX_PATHS, RequestError, What};
pub use stream::{ListStream, Next};

/// The oldest version of the protocol that is spoken.
pub const OLDEST_PROTOCOL: u32 = 27;
/// The newest one.
pub const NEWEST_PROTOCOL: u32 = 32;

/// How long each part of a conversation may take. Together they bound everything in this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For finding the addresses of a host, and again for connecting to each of them.
    pub connect: Duration,
    /// For the greeting; again for the list of modules, or for a module with its login.
    pub handshake: Duration,
    /// The longest that a file list may stand still. A daemon that looks at a large folder is silent meanwhile.
    pub silence: Duration,
    /// The longest that a whole file list may take.
    pub list: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(15),
            silence: Duration::from_mins(2),
            list: Duration::from_hours(1),
        }
    }
}
