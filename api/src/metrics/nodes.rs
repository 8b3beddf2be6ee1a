//! Slaves: who is there, and how far behind each is.

use scheduler::Scheduler;

use super::text::Text;
use crate::nodes::Nodes;
use crate::nodes::lag::{Made, same};

/// Writes the families of slaves.
pub(super) fn nodes(text: &mut Text, scheduler: &Scheduler, nodes: &Nodes) {
    let shown = nodes.shown();
    text.family("heliostat_node_connected");
    for node in &shown {
        text.sample(&[("node", node.member.name.as_str())], u8::from(node.connected));
    }
    let mut made = Made::new(scheduler.store());
    let entries = scheduler.board().projects();
    let mut lags = Vec::new();
    for entry in entries.iter().filter(|entry| entry.project.fan_out) {
        for node in &shown {
            let holding = same(node.holdings.get(&entry.project.id), entry);
            let lag = made.lag(entry, holding.and_then(|holding| holding.generation));
            let late = node.member.follows && lag.is_over(nodes.lag_limit());
            lags.push((
                [("node", node.member.name.as_str()), ("project", entry.project.id.as_str())],
                lag,
                late,
            ));
        }
    }
    text.family("heliostat_node_lag_generations");
    for (labels, lag, _) in &lags {
        text.sample(labels, lag.generations);
    }
    text.family("heliostat_node_lag_seconds");
    for (labels, lag, _) in &lags {
        text.sample(labels, lag.time.as_secs_f64());
    }
    text.family("heliostat_node_late");
    for (labels, _, late) in &lags {
        text.sample(labels, u8::from(*late));
    }
}
