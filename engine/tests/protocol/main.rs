//! The client of the daemon protocol against a real rsync daemon, and against servers that mean no good.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here, with the line")]

mod daemon;
mod handshake;
mod hostile;
mod lists;
mod mutations;
mod recorded;
mod servers;
mod versions;

use std::time::Duration;

use engine::protocol::Timeouts;

/// Long enough for a busy machine.
const PATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(20),
    handshake: Duration::from_secs(20),
    silence: Duration::from_secs(20),
    list: Duration::from_mins(1),
};
