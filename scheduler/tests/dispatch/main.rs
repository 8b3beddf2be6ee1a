//! The dispatcher with a real store, a real rsync and a real daemon: what a run does on its way.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is how a failure is told")]

mod clock;
mod guard;
mod hooks;
mod kit;
mod policy;
