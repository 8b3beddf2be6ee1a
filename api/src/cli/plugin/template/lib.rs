//! {name}: leaves an upstream alone whose freshness marker is too old.

use std::time::Duration;

use heliostat_plugin::{Decision, Result, RunContext, Settings, log, register, time};

register!(pre_sync: before);

/// The age from which on an upstream counts as dead, unless `max_age` is set.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

fn before(run: &RunContext) -> Result<Decision> {
    let settings = Settings::load();
    settings.only(&["max_age"])?;
    let max_age = settings.duration("max_age")?.unwrap_or(MAX_AGE);
    match run.upstream_age() {
        Some(age) if age > max_age => {
            Ok(Decision::skip(format!("the upstream has not changed for {}", time::in_words(age))))
        }
        age => {
            log::debug!("the upstream of {} is {age:?} old", run.project.id);
            Ok(Decision::Proceed)
        }
    }
}

#[cfg(test)]
mod tests {
    use heliostat_plugin::testing::{Host, NOW_MS, run_context};

    use super::*;

    fn an_upstream_of(hours: u64) -> RunContext {
        RunContext { upstream_marker_ms: Some(NOW_MS - hours * 3_600_000), ..run_context() }
    }

    #[test]
    fn an_old_upstream_is_skipped() {
        let host = Host::new().setting("max_age", "2d");
        let (decision, _) = host.run(|| before(&an_upstream_of(72)));
        assert_eq!(decision.unwrap(), Decision::skip("the upstream has not changed for 3days"));
    }

    #[test]
    fn a_young_one_is_copied() {
        let (decision, _) = Host::new().run(|| before(&an_upstream_of(72)));
        assert_eq!(decision.unwrap(), Decision::Proceed);
    }
}
