//! Attempts as they are: real guardians, a real rsync daemon, real signals.

mod attempts;
mod deaths;
mod kit;
mod locks;
mod secrets;
mod stops;
