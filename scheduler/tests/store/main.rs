//! The store under kills, power cuts, and disks that fail or are full.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is how a failure is told")]

mod faults;
mod first_start;
mod kit;
mod power_cuts;
mod steps;
