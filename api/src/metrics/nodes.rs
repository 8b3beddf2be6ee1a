//! Slaves: who is there, and how far behind each is.
//!
//! A slave has a series for each project with which it is behind, and one sum of all; where it is not behind, a series
//! that never changes would be there for each project and slave.

use std::time::Duration;

use scheduler::Scheduler;

use super::text::Text;
use crate::nodes::Nodes;
use crate::nodes::lag::Lag;
use crate::slave::contact::MasterContact;

/// Most slaves and projects whose lag one answer holds; the sums count all of them.
const LARGEST: usize = 10_000;

/// A slave that is behind with a project, both by their places in the lists.
struct Behind {
    node: usize,
    project: usize,
    lag: Lag,
    late: bool,
}

impl Behind {
    /// Sorts those first that are late, and then by time.
    fn rank(&self) -> (bool, Duration, u64) {
        (self.late, self.lag.time, self.lag.generations)
    }
}

/// Writes a slave's contact with its master.
pub(super) fn master(text: &mut Text, contact: &MasterContact) {
    let state = contact.state();
    text.family("heliostat_master_connected").sample(&[], u8::from(state.connected == Some(true)));
    text.family("heliostat_master_last_contact_timestamp_seconds");
    if let Some(last) = state.last {
        text.sample(&[], super::text::seconds(last));
    }
}

/// Writes the families of slaves.
pub(super) fn nodes(text: &mut Text, scheduler: &Scheduler, nodes: &Nodes) {
    let members = nodes.members();
    text.family("heliostat_node_connected");
    for (member, connected) in &members {
        text.sample(&[("node", member.name.as_str())], u8::from(*connected));
    }

    let entries = scheduler.board().projects();
    let mut missed = vec![0_u64; members.len()];
    let mut behind: Vec<Behind> = Vec::new();
    for (project, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.project.fan_out) {
        let held = nodes.held_by(members.iter().map(|(member, _)| &member.name), entry);
        for (node, (held, (member, _))) in held.into_iter().zip(&members).enumerate() {
            let lag = nodes.times().lag(entry, held.placed);
            if lag.generations == 0 {
                continue;
            }
            missed[node] = missed[node].saturating_add(lag.generations);
            let late = member.follows && lag.is_over(nodes.lag_limit());
            behind.push(Behind { node, project, lag, late });
        }
        // Never more than twice as many are remembered as are written.
        if behind.len() >= 2 * LARGEST {
            keep_worst(&mut behind);
        }
    }
    keep_worst(&mut behind);
    behind.sort_unstable_by_key(|one| (one.project, one.node));

    text.family("heliostat_node_missed_generations");
    for ((member, _), missed) in members.iter().zip(&missed) {
        text.sample(&[("node", member.name.as_str())], missed);
    }
    let labels = |one: &Behind| {
        let node = members.get(one.node).map_or("", |(member, _)| member.name.as_str());
        let project = entries.get(one.project).map_or("", |entry| entry.project.id.as_str());
        [("node", node), ("project", project)]
    };
    text.family("heliostat_node_lag_generations");
    for one in &behind {
        text.sample(&labels(one), one.lag.generations);
    }
    text.family("heliostat_node_lag_seconds");
    for one in &behind {
        text.sample(&labels(one), one.lag.time.as_secs_f64());
    }
    text.family("heliostat_node_late");
    for one in behind.iter().filter(|one| one.late) {
        text.sample(&labels(one), 1);
    }
}

/// Drops all but those that are farthest behind.
fn keep_worst(behind: &mut Vec<Behind>) {
    if behind.len() > LARGEST {
        behind.select_nth_unstable_by_key(LARGEST, |one| std::cmp::Reverse(one.rank()));
        behind.truncate(LARGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_late_and_the_longest_behind_are_kept() {
        let one = |project: usize| {
            let seconds = u64::try_from(project).unwrap();
            let lag = Lag { generations: 1, time: Duration::from_secs(seconds) };
            Behind { node: 0, project, lag, late: project == 0 }
        };
        let mut behind: Vec<Behind> = (0..=LARGEST + 1).map(one).collect();
        keep_worst(&mut behind);
        let mut kept: Vec<usize> = behind.iter().map(|one| one.project).collect();
        kept.sort_unstable();
        assert_eq!(kept.len(), LARGEST);
        // The first is late; the second and third were behind for the shortest time.
        assert_eq!((kept[0], kept[1]), (0, 3));
    }
}
