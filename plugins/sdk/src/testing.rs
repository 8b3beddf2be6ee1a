//! A host for `cargo test`: settings, stored values, files and answers as the test says, and what the plugin did.
//!
//! It is there in native builds only, and checks no grants: `heliostat plugin test` runs the component in the real host.
//!
//! ```
//! use heliostat_plugin::testing::{Host, run_context};
//! use heliostat_plugin::{Decision, Result, RunContext, Settings};
//!
//! fn before(run: &RunContext) -> Result<Decision> {
//!     let except = Settings::load().get("except") == Some(&run.project.id);
//!     Ok(if except { Decision::skip("not this one") } else { Decision::Proceed })
//! }
//!
//! let host = Host::new().setting("except", "debian");
//! let (decision, _) = host.run(|| before(&run_context()));
//! assert_eq!(decision.unwrap(), Decision::skip("not this one"));
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::bindings::imports::heliostat::plugin::http as wire;
use crate::{Changes, Finished, Project, RunContext, RunOutcome, Status, Trigger};

pub use wire::{HeaderValue, Request as SentRequest};

pub(crate) mod host;

/// When the samples of this module happen: 2026-11-25 19:16:44 UTC, a Wednesday.
pub const NOW_MS: u64 = 1_795_634_204_000;

/// What a plugin finds, and afterwards what it left.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// The settings.
    pub settings: BTreeMap<String, String>,
    /// The stored values.
    pub values: BTreeMap<String, Vec<u8>>,
    /// The files below the destination, by path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Answers to requests, in order; without one left, a request fails as `transport`.
    pub responses: Vec<Result<(u16, String), crate::http::Error>>,
    /// The requests that were sent.
    pub requests: Vec<SentRequest>,
    /// The lines that were logged, such as `warn: too old`.
    pub log: Vec<String>,
}

impl Host {
    /// A host that has nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a setting.
    #[must_use]
    pub fn setting(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Adds a stored value.
    #[must_use]
    pub fn value(mut self, key: &str, value: &str) -> Self {
        self.values.insert(key.to_owned(), value.as_bytes().to_owned());
        self
    }

    /// Adds a file below the destination.
    #[must_use]
    pub fn file(mut self, path: &str, content: &str) -> Self {
        self.files.insert(path.to_owned(), content.as_bytes().to_owned());
        self
    }

    /// Adds an answer to a request.
    #[must_use]
    pub fn response(mut self, status: u16, body: &str) -> Self {
        self.responses.push(Ok((status, body.to_owned())));
        self
    }

    /// Calls `hook` in this host, on this thread, and gives back what it said and what it left.
    pub fn run<T>(self, hook: impl FnOnce() -> T) -> (T, Self) {
        CURRENT.set(self);
        crate::runtime::set_logger();
        let answer = hook();
        (answer, CURRENT.take())
    }

    /// A stored value as text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).and_then(|value| std::str::from_utf8(value).ok())
    }
}

thread_local! {
    static CURRENT: RefCell<Host> = RefCell::default();
}

/// A scheduled first attempt of a project `debian`, an hour after the last good run.
#[must_use]
pub fn run_context() -> RunContext {
    RunContext {
        run_id: "01KAY0G5QZX3T9V4S8M2J7C6BD".to_owned(),
        attempt: 1,
        trigger: Trigger::Schedule,
        now_ms: NOW_MS,
        utc_offset_minutes: 0,
        queued_at_ms: NOW_MS - 1_000,
        scheduled_at_ms: Some(NOW_MS - 1_000),
        last_success_ms: Some(NOW_MS - 3_600_000),
        consecutive_failures: 0,
        delays: 0,
        upstream_marker_ms: None,
        local_marker_ms: None,
        project: project(),
        rsync_args: vec!["-avH".to_owned(), "--delete".to_owned()],
        recent: Vec::new(),
        extra: Vec::new(),
    }
}

/// A mirror of Debian.
#[must_use]
pub fn project() -> Project {
    Project {
        id: "debian".to_owned(),
        name: "Debian".to_owned(),
        source: "rsync://ftp.example.org/debian".to_owned(),
        host: "ftp.example.org".to_owned(),
        dest: "/data/ftp/debian".to_owned(),
        labels: vec![("tier".to_owned(), "1".to_owned())],
        generation: 17,
        size_bytes: 1_000_000,
        files: 100,
        freshness_target_ms: None,
    }
}

/// An attempt that went well and brought something, in five minutes up to now.
#[must_use]
pub fn run_outcome() -> RunOutcome {
    RunOutcome {
        status: Status::Succeeded,
        class: "done".to_owned(),
        reason: "12 paths changed".to_owned(),
        started_at_ms: NOW_MS - 300_000,
        finished_at_ms: NOW_MS,
        stats: None,
        changes: Changes { created: 7, updated: 4, deleted: 1 },
        stderr_tail: String::new(),
        will_retry: false,
        previous: Some(Status::Succeeded),
        extra: Vec::new(),
    }
}

/// A run of the project `debian` that ended well, just now; its schedule says every hour.
#[must_use]
pub fn finished() -> Finished {
    Finished {
        project: "debian".to_owned(),
        now_ms: NOW_MS,
        utc_offset_minutes: 0,
        status: Status::Succeeded,
        duration_ms: 300_000,
        consecutive_failures: 0,
        default_delay_ms: 3_600_000,
        min_delay_ms: 60_000,
        max_delay_ms: 86_400_000,
        last_new_ms: Some(NOW_MS),
        recent: Vec::new(),
        news: Vec::new(),
    }
}
