//! What the server says of itself: lines on standard output, as text for people or as JSON for machines.
//!
//! Every line about a run carries `run` and `project`. Secrets never get here: the type that holds them prints as
//! `***`. What others say stands in a line as it can be shown, and cannot end it.

use std::io::{self, IsTerminal, Stdout, Write};

use engine::text;
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
        let is_coloured = !json && io::stdout().is_terminal();
        let writer = move || PlainWriter { out: io::stdout(), json, is_coloured };
        if json {
            registry.with(fmt::layer().json().flatten_event(true).with_writer(writer)).try_init()?;
        } else {
            let layer = fmt::layer().with_target(false).with_ansi(is_coloured).with_writer(writer);
            registry.with(layer).try_init()?;
        }
        Ok(Self { filter: handle })
    }

    /// Logs what this filter lets through from now on.
    ///
    /// # Errors
    /// When nothing is logged any more.
    pub fn set_filter(&self, filter: EnvFilter) -> anyhow::Result<()> {
        Ok(self.filter.reload(filter)?)
    }
}

/// The log's way out: each write is one line, in which only its end may be a line break.
struct PlainWriter {
    out: Stdout,
    json: bool,
    is_coloured: bool,
}

impl Write for PlainWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let mut shown = match (self.json, self.is_coloured) {
            (true, _) => text::json(text).into_owned(),
            // The colours of the library; it escapes the character that begins them where others say it.
            (false, true) => {
                let parts: Vec<String> = text.split(|byte| *byte == b'\x1b').map(text::escaped).collect();
                parts.join("\x1b").into_bytes()
            }
            (false, false) => text::escaped(text).into_bytes(),
        };
        shown.extend_from_slice(&line[text.len()..]);
        self.out.write_all(&shown)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The filter for a level. What the store's library says of its own housekeeping is news to nobody, unless it is asked
/// for by name.
///
/// # Errors
/// When the level cannot be read.
pub fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    Ok(EnvFilter::try_new(format!("fjall=warn,lsm_tree=warn,{level}"))?)
}
