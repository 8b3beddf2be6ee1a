//! What the server says of itself: lines on standard output, as text for people or as JSON for machines.
//!
//! Every line about a run carries `run` and `project`. Secrets never get here: the type that holds them prints as
//! `***`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

/// Changes what is said while the server runs.
#[derive(Clone)]
pub struct Telemetry {
    filter: Handle<EnvFilter, Registry>,
}

impl Telemetry {
    /// Begins to speak. `level` is a level or a filter such as `info,scheduler=debug`.
    ///
    /// # Errors
    /// When the filter cannot be read, or the program speaks already.
    pub fn start(level: &str, json: bool) -> anyhow::Result<Self> {
        let (filter, handle) = reload::Layer::new(filter(level)?);
        let registry = tracing_subscriber::registry().with(filter);
        if json {
            registry.with(fmt::layer().json().flatten_event(true)).try_init()?;
        } else {
            registry
                .with(fmt::layer().with_target(false).with_ansi(std::io::stdout().is_terminal()))
                .try_init()?;
        }
        Ok(Self { filter: handle })
    }

    /// Speaks at another level from now on.
    ///
    /// # Errors
    /// When the filter cannot be read.
    pub fn set_level(&self, level: &str) -> anyhow::Result<()> {
        Ok(self.filter.reload(filter(level)?)?)
    }
}

/// The filter for a level. What the store's library says of its own housekeeping is news to nobody, unless it is asked
/// for by name.
fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    Ok(EnvFilter::try_new(format!("fjall=warn,lsm_tree=warn,{level}"))?)
}
