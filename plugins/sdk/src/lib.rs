//! Plugins for [Heliostat](https://docs.rs/heliostat-plugin), the supervisor of software mirrors, in Rust.
//!
//! A plugin is a WASM component that votes before a sync, judges after it, or decides what runs next. The server runs
//! it in a sandbox: it sees no files, no network and no clock but those that the operator grants, and when it loops,
//! panics or uses too much memory, it is stopped and nobody else notices.
//!
//! # A whole plugin
//!
//! `heliostat plugin new my-plugin` writes a project with this in `src/lib.rs`:
//!
//! ```
//! use std::time::Duration;
//! use heliostat_plugin::{Decision, Result, RunContext, Settings, log, register, time};
//!
//! /// Does not copy an upstream that is dead: what it has may be half gone.
//! fn before(run: &RunContext) -> Result<Decision> {
//!     let settings = Settings::load();
//!     settings.only(&["max_age"])?;
//!     let max_age = settings.duration("max_age")?.unwrap_or(Duration::from_secs(7 * 24 * 3600));
//!     let Some(age) = run.upstream_age() else {
//!         log::debug!("{} has no freshness marker", run.project.id);
//!         return Ok(Decision::Proceed);
//!     };
//!     if age > max_age {
//!         return Ok(Decision::skip(format!("the upstream is {} old", time::in_words(age))));
//!     }
//!     Ok(Decision::Proceed)
//! }
//!
//! register!(pre_sync: before);
//! ```
//!
//! Its `Cargo.toml` says that it is a component:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]
//!
//! [dependencies]
//! heliostat-plugin = "0.1"
//! ```
//!
//! Build it, and look at what it wants:
//!
//! ```sh
//! rustup target add wasm32-wasip2
//! cargo build --release --target wasm32-wasip2
//! heliostat plugin check target/wasm32-wasip2/release/my_plugin.wasm
//! ```
//!
//! # What a plugin can be
//!
//! | function | asked | answers |
//! |---|---|---|
//! | `pre_sync` | before each attempt | [`Decision`]: proceed, with [edits](RsyncEdit) of rsync's options or without, skip, delay, veto |
//! | `post_sync` | after each attempt, and after a run that ended without one | [`Verdict`]: accept, degrade, reject, retry after |
//! | `pick` | when a place is free | the [`View`]'s queue in the order in which it should start |
//! | `next_delay` | when a run has [ended](Finished) | how long until the project is due again |
//!
//! [`register!`] says which functions those are. The first two are hooks: they may use everything in this crate that was
//! granted. The other two are a policy, which has [`Settings`] and [`log`] only: what it needs to know comes in its
//! argument, so that each of its decisions can be asked again later, with the same answer.
//!
//! # What a plugin can use
//!
//! | | needs the grant |
//! |---|---|
//! | [`Settings`], [`log`], [`time`], [`random`] | none |
//! | [`kv`], values that last | `kv_kib` |
//! | [`http`], requests | `http`, and `secrets` for secret headers |
//! | [`dest`], files of the mirror | `dest_read`, `dest_write` |
//!
//! Using one is what asks for the grant: a component that holds a call of [`http::Request::send`] is not loaded without.
//!
//! # When it goes wrong
//!
//! An [`Error`] counts by the failure policy of the plugin, which is the operator's. A panic is logged with its message,
//! and counts likewise. Each call has a fresh memory: what should last goes into [`kv`].
//!
//! # Testing
//!
//! A plugin is ordinary Rust, and `cargo test` runs it on your machine: [`testing`] has a host for that. `heliostat plugin
//! test FILE` then runs the component itself.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod answers;
mod bindings;
pub mod dest;
mod error;
mod host;
pub mod http;
pub mod kv;
pub mod random;
mod register;
mod run;
mod runtime;
mod settings;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod time;

#[doc(inline)]
pub use bindings::imports::heliostat::plugin::types::{
    Changes, Decision, HookError, PastRun, Project, RsyncEdit, RunContext, RunOutcome, Stats, Status,
    Trigger, Verdict,
};
#[doc(inline)]
pub use bindings::policy::exports::heliostat::plugin::policy::{Candidate, Finished, News, View};
pub use error::{Error, Result};
/// The `log` crate: its macros write into the run's log and the server's, with key-value pairs as fields.
pub use log;
#[doc(hidden)]
pub use register::private as __private;
pub use settings::Settings;
