//! What guests say: lines for the run's log and the server's, as many as the plugin may write.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use engine::text::clipped;
use scheduler::{ProjectId, RunId};

use super::Caller;

/// The longest message, in bytes.
const MESSAGE: usize = 2048;
/// The most fields of a line, and the longest name or value.
const FIELDS: usize = 16;
const FIELD: usize = 256;

/// Takes the lines that belong to a run.
pub trait LogSink: Send + Sync + fmt::Debug {
    /// One line. It must return at once.
    fn line(&self, line: &LogLine<'_>);
}

/// A line of a plugin.
#[derive(Debug, Clone, Copy)]
pub struct LogLine<'a> {
    /// Which plugin.
    pub plugin: &'a str,
    /// The project that it was asked about.
    pub project: Option<&'a ProjectId>,
    /// The run that it was asked about.
    pub run: Option<RunId>,
    /// How much it matters.
    pub level: Level,
    /// One line of text.
    pub message: &'a str,
    /// What it says more.
    pub fields: &'a [(String, String)],
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the author only.
    Trace,
    /// For who looks for a mistake.
    Debug,
    /// What happened.
    Info,
    /// What somebody should look at.
    Warn,
    /// What went wrong.
    Error,
}

/// A sink for runs without a log.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSink;

impl LogSink for NoSink {
    fn line(&self, _: &LogLine<'_>) {}
}

/// The log of one call. Clones write to the same.
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<Lines>>);

struct Lines {
    sink: Arc<dyn LogSink>,
    caller: Caller,
    left: u32,
    dropped: u64,
}

impl Log {
    pub(crate) fn new(sink: Arc<dyn LogSink>, caller: Caller, lines: u32) -> Self {
        Self(Arc::new(Mutex::new(Lines { sink, caller, left: lines, dropped: 0 })))
    }

    /// One line, unless the plugin has said enough in this call.
    pub(crate) fn write(&self, level: Level, message: &str, fields: &[(String, String)]) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = lines.left.checked_sub(1) else {
            lines.dropped += 1;
            return;
        };
        lines.left = left;
        let short = |(name, value): &(String, String)| (clipped(name, FIELD), clipped(value, FIELD));
        let fields: Vec<_> = fields.iter().take(FIELDS).map(short).collect();
        lines.say(level, &clipped(message, MESSAGE), &fields);
    }
}

/// Whether anybody would read a line of this level.
pub(crate) fn enabled(level: Level) -> bool {
    level >= Level::Info
        || match level {
            Level::Trace => tracing::enabled!(target: "plugin", tracing::Level::TRACE),
            _ => tracing::enabled!(target: "plugin", tracing::Level::DEBUG),
        }
}

impl Lines {
    fn say(&self, level: Level, message: &str, fields: &[(String, String)]) {
        if !enabled(level) {
            return;
        }
        let Caller { plugin, project, run } = &self.caller;
        let more: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let more = (!more.is_empty()).then(|| more.join(" "));
        let (project_text, run_text) =
            (project.as_ref().map(ToString::to_string), run.map(|run| run.to_string()));
        macro_rules! say {
            ($level:ident) => {
                tracing::event!(
                    target: "plugin",
                    tracing::Level::$level,
                    plugin = %plugin,
                    project = project_text,
                    run = run_text,
                    fields = more,
                    "{message}"
                )
            };
        }
        match level {
            Level::Trace => say!(TRACE),
            Level::Debug => say!(DEBUG),
            Level::Info => say!(INFO),
            Level::Warn => say!(WARN),
            Level::Error => say!(ERROR),
        }
        let line = LogLine { plugin, project: project.as_ref(), run: *run, level, message, fields };
        self.sink.line(&line);
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if self.dropped > 0 {
            let message = format!("{} more lines of this call were left out", self.dropped);
            self.say(Level::Warn, &message, &[]);
        }
    }
}

impl Level {
    /// As people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<String>>);

    impl LogSink for Kept {
        fn line(&self, line: &LogLine<'_>) {
            self.0.lock().unwrap().push(format!(
                "{} {} {:?}",
                line.level.as_str(),
                line.message,
                line.fields
            ));
        }
    }

    #[test]
    fn a_plugin_that_says_too_much_is_told_apart_from_one_that_is_silent() {
        let kept = Arc::new(Kept::default());
        let caller = Caller { plugin: "p".into(), project: None, run: None };
        let log = Log::new(kept.clone(), caller, 2);
        for number in 0..5 {
            log.write(Level::Info, &format!("line {number}"), &[("a".to_owned(), "b".repeat(1000))]);
        }
        drop(log);
        let said = kept.0.lock().unwrap();
        assert_eq!(said.len(), 3);
        assert!(said[0].starts_with("info line 0") && said[0].len() < 300, "{}", said[0]);
        assert_eq!(said[2], "warn 3 more lines of this call were left out []");
    }
}
