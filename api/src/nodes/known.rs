//! What a master knows of its slaves: who joined, what each said last, and who is there at this moment.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use engine::rsyncd::service::Share;
use scheduler::ProjectId;
use scheduler::account::Node;
use scheduler::member::{Holding, Member, MemberName};

use super::{HEARD_WITHIN, NodeError, Nodes};

/// What one slave holds of a project: its place in a list, when the project was created, and the generation.
pub(crate) type HeldGeneration = (usize, DateTime<Utc>, Option<u64>);

#[derive(Default)]
pub(super) struct Known {
    pub(super) members: BTreeMap<MemberName, Seen>,
    pub(super) holdings: HashMap<(MemberName, ProjectId), Holding>,
    /// What the daemon serves.
    pub(super) shares: Vec<Share>,
}

/// A slave, and what is known of it for as long as this process lives.
pub(super) struct Seen {
    pub(super) member: Member,
    /// When this process began to know it.
    pub(super) known_since: Instant,
    pub(super) heard: Option<(Instant, DateTime<Utc>)>,
    /// It hung up while it waited for an answer.
    pub(super) gone: bool,
    /// The process that follows under this name, and how many of its questions wait for an answer.
    pub(super) following: Option<(String, usize)>,
    /// Where it is told, if it is a node of 2014.
    pub(super) old: Option<Node>,
}

/// A slave, and when it was heard.
pub(crate) struct MemberContact {
    pub(crate) member: Member,
    pub(crate) last_heard: Option<DateTime<Utc>>,
    /// Time since it was heard, or since this process began to know it.
    pub(crate) silent: Duration,
}

/// A slave as lists show it.
pub(crate) struct Shown {
    pub(crate) member: Member,
    pub(crate) last_heard: Option<DateTime<Utc>>,
    pub(crate) connected: bool,
    /// Where it is told, if it is a node of 2014.
    pub(crate) address: Option<String>,
    pub(crate) holdings: BTreeMap<ProjectId, Holding>,
}

impl Seen {
    pub(super) fn new(member: Member) -> Self {
        Self { member, known_since: Instant::now(), heard: None, gone: false, following: None, old: None }
    }

    /// Whether it is there at this moment.
    pub(super) fn is_connected(&self) -> bool {
        !self.gone && self.heard.is_some_and(|(at, _)| at.elapsed() < HEARD_WITHIN)
    }

    fn show(&self, holdings: BTreeMap<ProjectId, Holding>) -> Shown {
        Shown {
            member: self.member.clone(),
            last_heard: self.heard.map(|(_, at)| at),
            connected: self.is_connected(),
            address: self.old.as_ref().map(|node| format!("{}:{}", node.hostname, node.port)),
            holdings,
        }
    }
}

impl Known {
    pub(super) fn find(&self, name: &str) -> Result<&Seen, NodeError> {
        let found = self.members.values().find(|seen| seen.member.name.as_str() == name);
        found.ok_or_else(|| NodeError::Unknown(name.to_owned()))
    }

    pub(super) fn show(&self, seen: &Seen) -> Shown {
        let own = self.holdings.iter().filter(|((owner, _), _)| *owner == seen.member.name);
        seen.show(own.map(|((_, project), holding)| (project.clone(), holding.clone())).collect())
    }

    /// Every slave as lists show it. What all of them hold is gone through once, not once for each.
    pub(super) fn show_all(&self) -> Vec<Shown> {
        let mut holdings: HashMap<&MemberName, BTreeMap<ProjectId, Holding>> = HashMap::new();
        for ((owner, project), holding) in &self.holdings {
            holdings.entry(owner).or_default().insert(project.clone(), holding.clone());
        }
        let own = |seen: &Seen| seen.show(holdings.remove(&seen.member.name).unwrap_or_default());
        self.members.values().map(own).collect()
    }

    /// The nodes of 2014.
    pub(super) fn old(&self) -> Vec<(Node, Member)> {
        let old = self.members.values().filter_map(|seen| Some((seen.old.clone()?, seen.member.clone())));
        old.collect()
    }
}

impl Nodes {
    /// Whether there is a slave at all.
    pub(super) fn has_members(&self) -> bool {
        !self.known().members.is_empty()
    }

    /// The names of all slaves, in order.
    pub(crate) fn names(&self) -> Vec<MemberName> {
        self.known().members.keys().cloned().collect()
    }

    /// Every slave with nothing of what it holds, and when it was heard.
    pub(crate) fn contacts(&self) -> Vec<MemberContact> {
        let contact = |seen: &Seen| MemberContact {
            member: seen.member.clone(),
            last_heard: seen.heard.map(|(_, at)| at),
            silent: seen.heard.map_or(seen.known_since, |(at, _)| at).elapsed(),
        };
        self.known().members.values().map(contact).collect()
    }

    /// Every slave with nothing of what it holds, and whether it is there now.
    pub(crate) fn members(&self) -> Vec<(Member, bool)> {
        let known = self.known();
        known.members.values().map(|seen| (seen.member.clone(), seen.is_connected())).collect()
    }

    /// The projects that slaves hold back, each with the slave and what it reported.
    pub(crate) fn held_back(&self) -> Vec<(MemberName, ProjectId, Holding)> {
        let known = self.known();
        let held = known.holdings.iter().filter(|(_, holding)| holding.plan.is_some());
        held.map(|((owner, project), holding)| (owner.clone(), project.clone(), holding.clone())).collect()
    }

    /// What these slaves hold, by project: the place of the slave in the list, when the project was created, and the
    /// generation.
    pub(crate) fn generations(&self, members: &[(Member, bool)]) -> HashMap<ProjectId, Vec<HeldGeneration>> {
        let places: HashMap<&MemberName, usize> =
            members.iter().enumerate().map(|(place, (member, _))| (&member.name, place)).collect();
        let mut found: HashMap<ProjectId, Vec<HeldGeneration>> = HashMap::new();
        for ((owner, project), holding) in &self.known().holdings {
            let Some(place) = places.get(owner) else { continue };
            if holding.history.as_deref() != self.history() {
                continue;
            }
            let held = (*place, holding.created, holding.generation);
            match found.get_mut(project) {
                Some(all) => all.push(held),
                None => drop(found.insert(project.clone(), vec![held])),
            }
        }
        found
    }
}
