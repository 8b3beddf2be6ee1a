//! `adaptive-schedule`: looks for news when the upstream usually has some, and rarely otherwise.
//!
//! Most upstreams change at certain hours: an archive that is published four times a day, a distribution whose people
//! work by day. From the news that earlier runs found, [`profile`] estimates how likely something new is at each quarter
//! of the day, and how soon after the last news another may come. The runs that the project's own schedule would make
//! are then spent where they are worth most. Until enough has been seen, and after a run that failed, the project's own
//! schedule holds.

use std::time::Duration;

use heliostat_plugin::{Finished, Result, Settings, log, register, time};

use profile::Profile;

mod profile;

register!(next_delay: next_delay);

/// Fewer news than this, and nothing is known.
const ENOUGH_NEWS: usize = 6;

/// News of less than two days, and one day is all that is known.
const ENOUGH_TIME: Duration = Duration::from_secs(2 * 24 * 3600);

/// The settings, as in `docs/plugins/adaptive-schedule.md`.
struct Bounds {
    /// The runs to make, as a share of those that the project's own schedule would make.
    effort: f64,
    shortest: Duration,
    longest: Duration,
}

impl Bounds {
    fn load(run: &Finished) -> Result<Self> {
        let settings = Settings::load();
        settings.only(&["effort_percent", "shortest", "longest"])?;
        let percent = settings.parse::<u16>("effort_percent")?.unwrap_or(70);
        let least = Duration::from_millis(run.min_delay_ms);
        let most = Duration::from_millis(run.max_delay_ms).max(least);
        let longest =
            settings.duration("longest")?.unwrap_or(Duration::from_secs(12 * 3600)).clamp(least, most);
        let shortest =
            settings.duration("shortest")?.unwrap_or(Duration::from_secs(300)).clamp(least, longest);
        Ok(Self { effort: f64::from(percent.clamp(5, 500)) / 100.0, shortest, longest })
    }
}

fn next_delay(run: &Finished) -> Result<Duration> {
    let bounds = Bounds::load(run)?;
    let own = run.default_delay();
    if !run.status.is_good() {
        return Ok(own);
    }
    let Some(profile) = Profile::learn(run) else {
        log::debug!("{}: {} news are not enough to learn from", run.project, run.news.len());
        return Ok(own);
    };
    let delay = profile.next_look(run, own, bounds.effort).clamp(bounds.shortest, bounds.longest);
    log::debug!(
        "{}: the next look is in {}, not in {}",
        run.project,
        time::in_words(delay),
        time::in_words(own)
    );
    Ok(delay)
}

#[cfg(test)]
mod tests;
