//! How each upstream host is doing, and until when nothing starts from it.
//!
//! A host that says that it is full, or that several projects in a row cannot reach, is left alone for a growing time;
//! then one run tries it, and the others follow once that one was served. Gaps and quiet hours are kept here too.
//! Nobody is counted here: how many may go at once is for `lanes`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::budget::{HostBudget, Patience, quiet_until};
use crate::project::ProjectId;

/// So many projects have to fail to reach a host, with no other one served in between, before it is the host's fault.
const SEVERAL: usize = 2;

/// What an attempt has learned of its upstream's host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// It served us.
    Served,
    /// It says that it has as many connections as it wants.
    Full,
    /// It could not be reached.
    Not,
    /// Nothing: the end had other reasons.
    Unknown,
}

/// Why nothing starts from a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It is full.
    Busy,
    /// It cannot be reached.
    Down,
    /// The last start was not long enough ago.
    Gap,
    /// These are its quiet hours.
    Quiet,
}

/// The hosts that there is something to say of.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<Arc<str>, Host>);

#[derive(Debug, Default)]
struct Host {
    last_start: Option<DateTime<Utc>>,
    /// The projects that could not reach it since it last served one.
    failing: BTreeSet<ProjectId>,
    trouble: Option<Trouble>,
    /// Grows with each wait: what started before the newest one says nothing new by failing.
    waits: u64,
}

#[derive(Debug)]
struct Trouble {
    why: Closed,
    failures: u32,
    until: DateTime<Utc>,
    wait: TimeDelta,
}

impl Hosts {
    /// Why and until when nothing starts from this host.
    pub(super) fn closed(
        &self,
        host: &str,
        budget: Option<&HostBudget>,
        now: DateTime<Utc>,
    ) -> Option<(Closed, DateTime<Utc>)> {
        let known = self.0.get(host);
        let trouble = known.and_then(|host| host.trouble.as_ref()).map(|it| (it.why, it.until));
        let last = known.and_then(|host| host.last_start);
        let gap = budget.and_then(|budget| TimeDelta::from_std(budget.gap).ok());
        let gap = last.zip(gap).map(|(last, gap)| (Closed::Gap, last + gap));
        let quiet = budget.and_then(|budget| quiet_until(budget, now)).map(|until| (Closed::Quiet, until));
        [trouble, gap, quiet].into_iter().flatten().filter(|(_, until)| *until > now).max_by_key(|it| it.1)
    }

    /// What is wrong with this host, as long as only one run at a time may try it.
    pub(super) fn trouble(&self, host: &str) -> Option<Closed> {
        self.0.get(host)?.trouble.as_ref().map(|trouble| trouble.why)
    }

    /// The hosts that are in trouble.
    pub(super) fn troubled(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().filter(|(_, host)| host.trouble.is_some()).map(|(name, _)| name)
    }

    /// Notes a start; gives what [`Self::heard`] wants to know of it.
    pub(super) fn started(&mut self, host: &Arc<str>, at: DateTime<Utc>) -> u64 {
        let host = self.0.entry(Arc::clone(host)).or_default();
        host.last_start = host.last_start.max(Some(at));
        host.waits
    }

    /// Takes what an attempt has learned, which began after `waits` waits; true when the host is in other trouble now.
    pub(super) fn heard(
        &mut self,
        name: &Arc<str>,
        (project, waits): (&ProjectId, u64),
        reached: Reached,
        (patience, jitter): (Patience, f64),
        now: DateTime<Utc>,
    ) -> bool {
        let host = self.0.entry(Arc::clone(name)).or_default();
        let why = match reached {
            Reached::Unknown => return false,
            Reached::Served => {
                host.failing.clear();
                return host.trouble.take().is_some();
            }
            Reached::Full => Closed::Busy,
            Reached::Not => {
                host.failing.insert(project.clone());
                if host.trouble.is_none() && host.failing.len() < SEVERAL {
                    return false;
                }
                Closed::Down
            }
        };
        if host.trouble.is_some() && waits < host.waits {
            return false;
        }
        let failures = host.trouble.as_ref().map_or(0, |trouble| trouble.failures) + 1;
        let wait = patience.wait(failures, jitter);
        host.trouble = Some(Trouble { why, failures, until: now + wait, wait });
        host.waits += 1;
        tracing::info!(host = %name, failures, "an upstream is left alone for {} s", wait.num_seconds());
        true
    }

    /// After a clock has gone back: nothing has started in the future, and no wait is longer than it was to be.
    pub(super) fn none_after(&mut self, now: DateTime<Utc>) {
        for host in self.0.values_mut() {
            host.last_start = host.last_start.map(|last| last.min(now));
            if let Some(trouble) = &mut host.trouble {
                trouble.until = trouble.until.min(now + trouble.wait);
            }
        }
    }
}
