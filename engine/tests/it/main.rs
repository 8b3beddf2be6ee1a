//! Attempts as they are: real guardians, a real rsync daemon, real signals.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here, with the line")]

mod attempts;
mod deaths;
mod destinations;
mod faults;
mod kit;
mod locks;
mod secrets;
mod stops;
