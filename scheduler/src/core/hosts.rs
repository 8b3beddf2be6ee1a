//! What the attempts of runs tell of their upstream hosts, and what those let an attempt have.

use chrono::{DateTime, Utc};
use engine::{Class, Limits};
use rand::Rng;

use super::Core;
use crate::project::ProjectId;
use crate::queue::Reached;
use crate::run::{AttemptEnd, AttemptExit, Ending, RunId};

impl Core {
    /// Lets the queue know what an attempt has learned of the host that it asked.
    pub(super) fn hear_of_host(&mut self, now: DateTime<Utc>, id: RunId, ending: &Ending) {
        let reached = match ending {
            Ending::Ran { end, .. } => reached(end),
            // It has told its marker.
            Ending::Unchanged { .. } => Reached::Served,
            // A run that could not be looked at again stays held too.
            Ending::Returns { .. }
            | Ending::Skipped { .. }
            | Ending::Delayed { .. }
            | Ending::Vetoed { .. }
            | Ending::Held(_) => Reached::Unknown,
        };
        if reached != Reached::Unknown {
            let jitter = self.random.random();
            if self.queue.hear(id, reached, jitter, now) {
                self.go_round(now);
            }
        }
    }

    /// Runs whose projects have more than one upstream need not wait for a host that is left alone.
    fn go_round(&mut self, now: DateTime<Utc>) {
        let several = self.entries.values().filter(|entry| !entry.project.upstreams.is_empty());
        let several: Vec<ProjectId> = several.map(|entry| entry.project.id.clone()).collect();
        for id in several {
            self.reorder(now, &id);
        }
    }
}

/// What an end says of the upstream's host; a wrong module or a broken line may have either reason.
fn reached(end: &AttemptEnd) -> Reached {
    let class = |class: Class| end.class == class.as_str();
    let served = [Class::Done, Class::Vanished, Class::Partial, Class::DeleteLimit, Class::Auth];
    if class(Class::UpstreamBusy) {
        Reached::Full
    } else if class(Class::Network) {
        Reached::Not
    } else if class(Class::Timeout) && matches!(end.exit, AttemptExit::Code(_)) {
        // rsync's own time-out: the host was silent. Our limit on the attempt says nothing of it.
        Reached::Not
    } else if end.exit == AttemptExit::Code(0) || served.into_iter().any(class) {
        Reached::Served
    } else {
        Reached::Unknown
    }
}

/// The limits of an attempt whose host is to be spared.
pub(super) fn within(limits: &Limits, host_kib: Option<u64>) -> Limits {
    let ours = limits.bwlimit_kib.filter(|kib| *kib > 0);
    Limits { bwlimit_kib: [ours, host_kib].into_iter().flatten().min(), ..limits.clone() }
}
