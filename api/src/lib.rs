//! The faces of Heliostat, and the one place where the parts meet: main, command line, configuration, HTTP.
//!
//! Nothing here decides when or how a mirror is synced; that is `scheduler` and `engine`. Nothing here knows the
//! store's keys or rsync's output format.
//!
//! A reader starts with [`main`], goes on to [`serve`] for what the server is made of, and to [`routes`] for all that
//! it answers.

pub mod alerts;
mod answer;
pub mod app;
pub mod audit;
pub mod auth;
pub mod cli;
pub mod config;
pub mod dashboard;
pub mod demo;
pub mod draft;
pub mod host;
pub mod http;
pub mod import;
pub mod metrics;
pub mod nodes;
pub mod pages;
pub mod patch;
mod probe;
pub mod problem;
pub mod reload;
pub mod routes;
pub mod serve;
pub mod slave;
pub mod strangers;
pub mod telemetry;
pub mod tls;
pub mod view;

use std::process::ExitCode;

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    // Before anything else: the guardian of an rsync is this same program, and must start in a moment.
    if std::env::args_os().nth(1).is_some_and(|word| word == engine::guardian::WORD) {
        return engine::guardian::main();
    }
    tls::install();
    cli::main()
}
