//! `freshness-guard`: looks at the age of an upstream and of our copy before a sync, and at the copy's after it.
//!
//! Before: an upstream that is dead, in the middle of its own update, or as old as our copy is left alone. After: a copy
//! that is old although rsync was content is not called good. The ages come from the freshness marker that Heliostat
//! reads of the upstream, and from a file in the mirror. A sync that a person asked for is never held up.

use std::time::Duration;

use heliostat_plugin::time::in_words;
use heliostat_plugin::{
    Decision, Result, RunContext, RunOutcome, Settings, Trigger, Verdict, dest, log, register,
};

mod marker;

register!(pre_sync: before, post_sync: after);

/// What to do about an upstream that is too old.
#[derive(Debug, Clone, Copy, PartialEq)]
enum OnStale {
    Skip,
    Veto,
}

/// What to do about a copy that is too old after a sync that went well.
#[derive(Debug, Clone, Copy, PartialEq)]
enum OnOldCopy {
    Accept,
    Degrade,
    Reject,
}

/// The settings, as in `docs/plugins/freshness-guard.md`.
struct Guard {
    /// Older than this is dead.
    max_age: Option<Duration>,
    /// Younger than this is still being written.
    settle: Option<Duration>,
    /// A copy younger than this is good enough for now.
    fresh: Option<Duration>,
    skip_unchanged: bool,
    on_stale: OnStale,
    on_old_copy: OnOldCopy,
    marker: Option<String>,
}

impl Guard {
    fn load() -> Result<Self> {
        let settings = Settings::load();
        settings.only(&["max_age", "settle", "fresh", "unchanged", "on_stale", "on_old_copy", "marker"])?;
        let on_stale = settings.one_of("on_stale", &[("skip", OnStale::Skip), ("veto", OnStale::Veto)])?;
        let on_old_copy = settings.one_of(
            "on_old_copy",
            &[("accept", OnOldCopy::Accept), ("degrade", OnOldCopy::Degrade), ("reject", OnOldCopy::Reject)],
        )?;
        Ok(Self {
            max_age: settings.duration("max_age")?,
            settle: settings.duration("settle")?,
            fresh: settings.duration("fresh")?,
            skip_unchanged: settings
                .one_of("unchanged", &[("skip", true), ("proceed", false)])?
                .unwrap_or(false),
            on_stale: on_stale.unwrap_or(OnStale::Skip),
            on_old_copy: on_old_copy.unwrap_or(OnOldCopy::Degrade),
            marker: settings.get("marker").map(str::to_owned),
        })
    }

    fn decide(&self, run: &RunContext, copy_age: Option<Duration>) -> Decision {
        if run.trigger == Trigger::Manual {
            return Decision::Proceed;
        }
        if let (Some(age), Some(max)) = (run.upstream_age(), self.max_age)
            && age > max
        {
            let reason =
                format!("the upstream's marker is {} old, more than {}", in_words(age), in_words(max));
            return match self.on_stale {
                OnStale::Skip => Decision::skip(reason),
                OnStale::Veto => Decision::veto(reason),
            };
        }
        // A copy with a failure behind it may lack files, whatever its marker says.
        let is_whole = run.consecutive_failures == 0 && run.last_success_ms.is_some();
        if self.skip_unchanged
            && is_whole
            && let (Some(theirs), Some(ours)) = (run.upstream_marker_ms, run.local_marker_ms)
            && theirs == ours
        {
            return Decision::skip("the upstream's marker is the same as ours");
        }
        if let (Some(age), Some(fresh)) = (copy_age, self.fresh)
            && is_whole
            && age < fresh
        {
            return Decision::skip(format!(
                "our copy is {} old, and {} is fresh enough",
                in_words(age),
                in_words(fresh)
            ));
        }
        if let (Some(age), Some(settle)) = (run.upstream_age(), self.settle)
            && age < settle
        {
            let wait = settle.saturating_sub(age);
            return Decision::delay(
                wait,
                format!("the upstream changed {} ago and may not be done", in_words(age)),
            );
        }
        Decision::Proceed
    }

    fn judge(&self, copy_age: Option<Duration>) -> Verdict {
        let (Some(age), Some(max)) = (copy_age, self.max_age) else { return Verdict::Accept };
        if age <= max {
            return Verdict::Accept;
        }
        let reason = format!("the copy's marker is {} old, more than {}", in_words(age), in_words(max));
        match self.on_old_copy {
            OnOldCopy::Accept => Verdict::Accept,
            OnOldCopy::Degrade => Verdict::degrade(reason),
            OnOldCopy::Reject => Verdict::reject(reason),
        }
    }

    /// How old our copy is by the file that was named, or by what Heliostat knows without one.
    fn copy_age(&self, run: &RunContext) -> Result<Option<Duration>> {
        let Some(path) = &self.marker else { return Ok(run.local_age()) };
        let time = marker::read(path)?;
        if time.is_none() {
            log::warn!("{path} is not there, or holds no time");
        }
        Ok(time.map(|ms| run.age(ms)))
    }
}

fn before(run: &RunContext) -> Result<Decision> {
    let guard = Guard::load()?;
    let copy_age = if guard.fresh.is_some() { guard.copy_age(run)? } else { None };
    Ok(guard.decide(run, copy_age))
}

/// Only a named file is looked at: what the context says of our copy is from before the sync.
fn after(run: &RunContext, outcome: &RunOutcome) -> Result<Verdict> {
    let guard = Guard::load()?;
    if !outcome.is_good() || guard.marker.is_none() {
        return Ok(Verdict::Accept);
    }
    Ok(guard.judge(guard.copy_age(run)?))
}

#[cfg(test)]
mod tests;
