//! What a master knows of its slaves: who joined, what each said last, and who is there at this moment.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use engine::rsyncd::service::Share;
use scheduler::ProjectId;
use scheduler::account::Node;
use scheduler::core::Entry;
use scheduler::member::{Holding, Member, MemberName};

use super::holdings::{HeldGenerations, HoldingIndex};
use super::lag::same;
use super::{HEARD_WITHIN, NodeError, Nodes};

#[derive(Default)]
pub(super) struct Known {
    pub(super) members: BTreeMap<MemberName, Seen>,
    pub(super) holdings: HoldingIndex,
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
        let own = self.holdings.of_member(&seen.member.name);
        seen.show(own.map(|holding| (holding.project.clone(), holding.clone())).collect())
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

    /// Returns whether there is a slave of this name.
    pub(crate) fn has_member(&self, name: &str) -> bool {
        self.known().find(name).is_ok()
    }

    /// What slaves hold back until a person decides.
    pub(crate) fn held_back(&self) -> Vec<Holding> {
        self.known().holdings.held_back().cloned().collect()
    }

    /// What these slaves hold of one project, in their order.
    pub(crate) fn held_by<'a>(
        &self,
        members: impl IntoIterator<Item = &'a MemberName>,
        entry: &Entry,
    ) -> Vec<HeldGenerations> {
        let known = self.known();
        let held = |name| same(known.holdings.get(name, &entry.project.id), entry, self.history());
        members.into_iter().map(|name| HeldGenerations::of(held(name))).collect()
    }

    /// The slaves that hold something of one project, with the generation that each has whole.
    pub(crate) fn holders(&self, entry: &Entry) -> Vec<(MemberName, u64)> {
        let known = self.known();
        let all = known.holdings.of_project(&entry.project.id);
        let own = all.filter_map(|holding| same(Some(holding), entry, self.history()));
        own.filter_map(|holding| Some((holding.member.clone(), holding.generation?))).collect()
    }
}
