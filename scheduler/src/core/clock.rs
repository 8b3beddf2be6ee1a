//! Clocks that go back: what was worked out under the other clock is worked out anew, and people
//! are told.
//!
//! Every stored time is in UTC, where no hour comes twice. A time of ours that is ahead of the
//! clock was therefore noted under a wrong clock, and counts for as long as a correction takes: for
//! seconds.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Core, Effect, Step, Write};
use crate::event::EventKind;
use crate::hooks;
use crate::policy::Suggestion;
use crate::project::{ProjectId, Standing};
use crate::run::RunState;

/// A clock that goes back by less is being corrected, and nothing needs to be worked out anew.
const CORRECTION: TimeDelta = TimeDelta::seconds(1);
/// A time that is further ahead of the clock than this was noted under a wrong clock, and binds
/// nobody.
pub(super) const AHEAD: TimeDelta = TimeDelta::seconds(5);
/// The longest that people are told of one step of the clock.
const TOLD: TimeDelta = TimeDelta::hours(24);

/// A step of the clock into the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockStep {
    /// Time that the clock shows since.
    pub at: DateTime<Utc>,
    /// Size of the step.
    pub by: TimeDelta,
}

impl ClockStep {
    /// Returns true until the clock is where it was, for a day at most.
    #[must_use]
    pub fn is_current(&self, now: DateTime<Utc>) -> bool {
        let since = now - self.at;
        since >= -CORRECTION && since < self.by.min(TOLD)
    }
}

impl std::fmt::Display for ClockStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let by = Duration::from_secs(self.by.num_seconds().unsigned_abs());
        write!(
            f,
            "the clock went back by {}; schedules and waits go by the new time, and what ran in \
             between may run again: check that the time is right and that NTP runs",
            humantime::format_duration(by)
        )
    }
}

impl Core {
    /// The newest step of the clock into the past.
    #[must_use]
    pub fn clock_step(&self) -> Option<ClockStep> {
        self.clock_step
    }

    /// Notices a clock that has gone back, and works out anew what was worked out under the other
    /// one.
    pub(crate) fn watch_clock(&mut self, now: DateTime<Utc>, step: &mut Step) {
        let back = self.seen.map_or(TimeDelta::zero(), |seen| seen - now);
        if back <= CORRECTION {
            self.seen = self.seen.max(Some(now));
            return;
        }
        self.seen = Some(now);

        let projects: Vec<ProjectId> = self.entries.keys().cloned().collect();
        for id in projects {
            self.distrust(now, &id, step);
            self.reschedule(now, &id);
            step.touched.insert(id);
        }
        self.shorten_waits(now, back, step);
        self.queue.none_since_after(now);
        self.tell_of_clock(now, back, step);
    }

    /// Tells people of a step of the clock, unless it is a correction.
    pub(crate) fn tell_of_clock(&mut self, now: DateTime<Utc>, by: TimeDelta, step: &mut Step) {
        if by > AHEAD {
            let clock_step = ClockStep { at: now, by };
            self.clock_step = Some(clock_step);
            step.effects.push(Effect::Announce(EventKind::ClockBack(clock_step)));
        }
    }

    /// Replaces the times of a project that a wrong clock noted by the time now. Returns how far
    /// the newest of them was ahead.
    pub(crate) fn distrust(&mut self, now: DateTime<Utc>, id: &ProjectId, step: &mut Step) -> TimeDelta {
        let Some(entry) = self.entries.get_mut(id) else { return TimeDelta::zero() };
        let Standing { fired, last_success, planned, last_run, .. } = &mut entry.standing;
        let ended = last_run.as_ref().map(|last| last.ended);
        let newest = [*fired, *last_success, ended].into_iter().flatten().max();
        let mut changed = false;

        // A policy may have set a time that is far ahead, but not farther than it may.
        let longest = TimeDelta::from_std(Suggestion::DELAY.1).unwrap_or(AHEAD) + AHEAD;
        if planned.as_ref().is_some_and(|planned| planned.at - now > longest) {
            (*planned, changed) = (None, true);
        }
        // An age that is counted from a time in the future would be none for as long.
        for time in [fired, last_success] {
            if time.is_some_and(|time| time - now > AHEAD) {
                (*time, changed) = (Some(now), true);
            }
        }
        if changed {
            step.store_standing(id.clone(), entry.standing.clone());
        }
        newest.map_or(TimeDelta::zero(), |newest| newest - now)
    }

    /// Moves the ends of waits with a clock that went back by so much. No run backs off for longer
    /// than its project's longest wait, whatever the clock was when that began.
    pub(crate) fn shorten_waits(&mut self, now: DateTime<Utc>, back: TimeDelta, step: &mut Step) {
        for run in self.runs.values_mut() {
            let RunState::BackingOff { until, .. } = &mut run.state else { continue };
            let Some(entry) = self.entries.get(&run.project) else { continue };
            // A hook may have asked for more than the project's own waits.
            let most = if run.delays > 0 { hooks::Decision::DELAY.1 } else { Duration::ZERO };
            let cap = TimeDelta::from_std(entry.project.retry.cap.max(most)).unwrap_or(TimeDelta::MAX);
            let latest = now.checked_add_signed(cap).unwrap_or(DateTime::<Utc>::MAX_UTC);
            let moved = (*until - back).min(latest);
            if moved < *until {
                *until = moved;
                self.retries.set(&run.id, Some(*until));
                step.touched.insert(run.project.clone());
                step.writes.push(Write::Run(Arc::new(run.clone())));
            }
        }
    }
}
