//! What surrounds each call: a panic leaves its message in the log, and the `log` crate's macros reach the host.

use std::sync::Once;

use crate::bindings::imports::heliostat::plugin::log::Level;
use crate::host;

/// Runs before each call of a hook or a policy.
pub fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        std::panic::set_hook(Box::new(|panic| host::log::write(Level::Error, &panic.to_string(), &[])));
        set_logger();
    });
}

/// The `log` crate's macros write into the host's log. Nothing changes where the plugin has set a logger of its own.
pub fn set_logger() {
    if log::set_logger(&HostLogger).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}

/// Hands lines of the `log` crate, with their key-value pairs, to the host.
struct HostLogger;

impl log::Log for HostLogger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        host::log::enabled(level(metadata.level()))
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let mut fields = Fields(Vec::new());
            // Collecting into a list cannot fail.
            let _ = record.key_values().visit(&mut fields);
            host::log::write(level(record.level()), &record.args().to_string(), &fields.0);
        }
    }

    fn flush(&self) {}
}

struct Fields(Vec<(String, String)>);

impl<'kvs> log::kv::VisitSource<'kvs> for Fields {
    fn visit_pair(
        &mut self,
        key: log::kv::Key<'kvs>,
        value: log::kv::Value<'kvs>,
    ) -> Result<(), log::kv::Error> {
        self.0.push((key.to_string(), value.to_string()));
        Ok(())
    }
}

fn level(level: log::Level) -> Level {
    match level {
        log::Level::Trace => Level::Trace,
        log::Level::Debug => Level::Debug,
        log::Level::Info => Level::Info,
        log::Level::Warn => Level::Warn,
        log::Level::Error => Level::Error,
    }
}
