//! When projects are due, and what is decided once they are.
//!
//! One way leads to every decision, whether its time has just come, or passed while the server was down, while the
//! machine slept, or under a clock that jumped: [`Core::fire`] decides all times up to now together, by the newest of
//! them, with an effort that does not depend on how many they are. The decision is a key (`Standing::fired`) in the
//! same batch as what follows from it, so a crash on either side of the commit neither doubles nor loses it.

use chrono::{DateTime, TimeDelta, Utc};

use super::clock::AHEAD;
use super::{Core, Effect, Entry, Step};
use crate::event::{EventKind, SkipReason};
use crate::project::ProjectId;
use crate::run::Trigger;
use crate::schedule::{ON_TIME, Rule};

/// What is made of a time that has come.
enum Decision {
    /// It starts a run.
    Run(Trigger),
    /// It is passed over.
    Skip(SkipReason),
    /// It is decided at this later time; nothing is noted until then.
    Wait(DateTime<Utc>),
    /// It starts a catch-up run at this later time; nothing is noted until then.
    Grant(DateTime<Utc>),
}

impl Core {
    /// Works out when a project is due next.
    pub(crate) fn reschedule(&mut self, now: DateTime<Utc>, id: &ProjectId) {
        self.granted.remove(id);
        let held_at = self.held_at(id);
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.next = next_time(entry, now, held_at);
        let due = entry.next.map(|next| entry.project.schedule.jittered(next, id.as_str()));
        self.due.set(id, due);
    }

    /// Decides on every time of a project up to now.
    pub(super) fn fire(&mut self, now: DateTime<Utc>, due: DateTime<Utc>, id: &ProjectId, step: &mut Step) {
        let granted = self.granted.remove(id);
        let held = self.entries.get(id).and_then(|entry| self.held(entry));
        let Some(entry) = self.entries.get_mut(id) else { return };
        let Some(planned) = entry.next.take() else { return };
        let pauses = matches!(entry.project.schedule.rule, Rule::Every(_));
        if pauses && entry.active.is_some() && held.is_none() {
            // Its pause begins when that run ends.
            return;
        }
        // A policy's time may be later than any that the schedule has had.
        let newest = entry.project.schedule.latest_at_or_before(now, planned).unwrap_or(planned);
        let scheduled = newest.max(planned);
        step.touched.insert(id.clone());
        let decision = match decide(entry, now, due, scheduled, granted) {
            Decision::Run(_) if held.is_none() && entry.active.is_some() => Decision::Skip(SkipReason::Busy),
            other => other,
        };
        match decision {
            Decision::Wait(until) => return self.postpone(id, scheduled, until),
            Decision::Grant(until) => {
                self.granted.insert(id.clone());
                return self.postpone(id, scheduled, until);
            }
            Decision::Skip(reason) => {
                // A pause begins again from here; a calendar goes by its times.
                entry.standing.fired = Some(if pauses { now } else { scheduled });
                entry.standing.planned = None;
                entry.standing.skipped += 1;
                let kind = EventKind::ScheduleSkipped { scheduled, reason };
                step.effects.push(Effect::Publish(id.clone(), kind));
            }
            Decision::Run(trigger) => {
                entry.standing.fired = Some(scheduled);
                entry.standing.planned = None;
                match held {
                    // It looks at the upstream again, which is what this time is for.
                    Some(held) => self.requeue(now, held, step),
                    None => {
                        self.create_run(now, id, trigger, None, Some(scheduled), step);
                    }
                }
            }
        }
        if let Some(entry) = self.entries.get(id) {
            step.store_standing(id.clone(), entry.standing.clone());
        }
        self.reschedule(now, id);
    }

    fn postpone(&mut self, id: &ProjectId, scheduled: DateTime<Utc>, until: DateTime<Utc>) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.next = Some(scheduled);
            self.due.set(id, Some(until));
        }
    }

    /// Decides what is due under a schedule that is about to be replaced: who comes first within one moment must make
    /// no difference.
    pub(super) fn fire_before_change(&mut self, now: DateTime<Utc>, id: &ProjectId, step: &mut Step) {
        if let Some(due) = self.due.get(id).filter(|due| *due <= now) {
            self.due.set(id, None);
            self.fire(now, due, id, step);
        }
    }

    /// Lets a schedule that was changed or switched on begin: times before that are nobody's. Only one whose jitter
    /// has not run out, and which the new schedule has too, stays due.
    pub(super) fn begin_anew(&mut self, now: DateTime<Utc>, id: &ProjectId, step: &mut Step) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let pauses = matches!(entry.project.schedule.rule, Rule::Every(_));
        // What a policy has set was set beside the schedule before.
        if entry.standing.planned.take().is_some() && pauses {
            step.store_standing(id.clone(), entry.standing.clone());
        }
        if !pauses {
            let has =
                |time: DateTime<Utc>| entry.project.schedule.latest_at_or_before(time, time) == Some(time);
            let pending = entry.next.filter(|next| *next <= now && has(*next));
            entry.standing.fired = Some(pending.map_or(now, |pending| pending - TimeDelta::seconds(1)));
            step.store_standing(id.clone(), entry.standing.clone());
        }
        self.reschedule(now, id);
        let Some(entry) = self.entries.get_mut(id).filter(|_| pauses) else { return };
        // A pause that is over already is over now, and not late.
        if let Some(next) = entry.next.filter(|next| *next < now) {
            entry.next = Some(next.max(now));
            self.due.set(id, Some(entry.project.schedule.jittered(now, id.as_str())));
        }
    }
}

/// What follows when the start of `scheduled`, the newest time that has come, was planned for `due`.
fn decide(
    entry: &Entry,
    now: DateTime<Utc>,
    due: DateTime<Utc>,
    scheduled: DateTime<Utc>,
    granted: bool,
) -> Decision {
    let schedule = &entry.project.schedule;
    if granted {
        return Decision::Run(Trigger::CatchUp);
    }
    if now - due <= ON_TIME {
        return Decision::Run(Trigger::Schedule);
    }
    // Nobody was there when it was due.
    let begins = schedule.jittered(scheduled, entry.project.id.as_str());
    let late = now - begins;
    // A pause that never began has nothing to catch up: the first run is still to come.
    let first = matches!(schedule.rule, Rule::Every(_)) && entry.standing.last_run.is_none();
    if late < TimeDelta::zero() {
        Decision::Wait(begins)
    } else if late <= ON_TIME {
        Decision::Run(Trigger::Schedule)
    } else if !first && !schedule.catch_up.lets(late) {
        Decision::Skip(SkipReason::Late(late))
    } else if begins > scheduled && entry.active.is_none() {
        // What a downtime has gathered starts as spread as it would have without it.
        Decision::Grant(now + (begins - scheduled))
    } else {
        Decision::Run(Trigger::CatchUp)
    }
}

/// The next time of a project, or one that has passed and is still to be decided.
fn next_time(entry: &Entry, now: DateTime<Utc>, held_at: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    let schedule = &entry.project.schedule;
    let decided = entry.standing.fired.unwrap_or(entry.project.created);
    match &schedule.rule {
        _ if !entry.project.enabled => None,
        Rule::Manual => None,
        _ if entry.active.is_none() && entry.standing.planned.is_some() => {
            entry.standing.planned.as_ref().map(|planned| planned.at)
        }
        Rule::Every(_) if entry.active.is_some() && held_at.is_none() => None,
        Rule::Every(pause) => {
            let last = entry.standing.last_run.as_ref().map(|last| last.ended).max(held_at);
            let next = match last {
                None => decided.min(now),
                Some(last) => {
                    let possible = |at: &DateTime<Utc>| *at - now <= AHEAD;
                    let begin = [last, decided].into_iter().filter(possible).max().unwrap_or(now);
                    begin.min(now).checked_add_signed(TimeDelta::from_std(*pause).ok()?)?
                }
            };
            let next = schedule.start.map_or(next, |start| start.max(next));
            Some(next).filter(|next| schedule.end.is_none_or(|end| *next <= end))
        }
        Rule::Fields(_) | Rule::Cron(_) => schedule
            .latest_at_or_before(now, decided)
            .filter(|missed| *missed > decided)
            .or_else(|| schedule.next_after(decided.max(now))),
    }
}
