//! `quiet-hours`: at certain times of the day nothing starts, or what starts is slow.
//!
//! As a policy it leaves projects in their quiet hours out when the next run is picked, so that others have the place. As
//! a hook it delays a run that comes to its turn in quiet hours nevertheless, or bounds its bandwidth. What a person or
//! a push asks for starts at any time. Hours are those of each project's time zone.

use std::time::Duration;

use heliostat_plugin::{
    Decision, Result, RsyncEdit, RunContext, Settings, Trigger, View, log, register, time::LocalTime,
};

use hours::Hours;

mod hours;

register!(pre_sync: before, pick: pick);

/// The settings, as in `docs/plugins/quiet-hours.md`.
struct Quiet {
    hours: Hours,
    /// What may start is bounded to this in quiet hours.
    bwlimit_kib: Option<u32>,
    holds_starts: bool,
}

impl Quiet {
    fn load() -> Result<Self> {
        let settings = Settings::load();
        settings.only(&["quiet", "bwlimit_kib", "starts"])?;
        let hours = settings.required("quiet")?.parse()?;
        let bwlimit_kib = settings.parse("bwlimit_kib")?;
        let holds_starts = settings.one_of("starts", &[("hold", true), ("allow", false)])?;
        // Whoever gives a bandwidth wants it to be used.
        Ok(Self { hours, bwlimit_kib, holds_starts: holds_starts.unwrap_or(bwlimit_kib.is_none()) })
    }

    /// Whether a run may not start, and for how long.
    fn holds(&self, trigger: Trigger, time: LocalTime) -> Option<Duration> {
        let is_wanted_now = matches!(trigger, Trigger::Manual | Trigger::Push);
        if is_wanted_now || !self.holds_starts { None } else { self.hours.rest(time) }
    }
}

fn before(run: &RunContext) -> Result<Decision> {
    let quiet = Quiet::load()?;
    let time = run.local_time();
    if let Some(rest) = quiet.holds(run.trigger, time) {
        return Ok(Decision::delay(rest, "quiet hours"));
    }
    let limit = quiet.bwlimit_kib.filter(|_| quiet.hours.rest(time).is_some());
    Ok(Decision::with(limit.map(RsyncEdit::BwlimitKib)))
}

/// The built-in order, without those who are in their quiet hours.
fn pick(view: &View) -> Result<Vec<u32>> {
    let quiet = Quiet::load()?;
    let may_start = (0..).zip(&view.queue).filter(|(_, candidate)| {
        let held = quiet.holds(candidate.trigger, candidate.local_time(view.now_ms)).is_some();
        if held {
            log::debug!("{} is in its quiet hours", candidate.project);
        }
        !held
    });
    Ok(may_start.map(|(index, _)| index).collect())
}

#[cfg(test)]
mod tests;
