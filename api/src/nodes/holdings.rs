//! What slaves hold, found by project and slave, and by what waits for a person.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use scheduler::ProjectId;
use scheduler::member::{Holding, MemberName};

/// What each slave said last of each project.
#[derive(Debug, Default)]
pub(super) struct HoldingIndex {
    by_project: HashMap<ProjectId, BTreeMap<MemberName, Holding>>,
    /// The projects and slaves whose pull waits for a person: few, and asked for at each look at what is wrong.
    held_back: BTreeSet<(ProjectId, MemberName)>,
}

/// The generations that a slave has of a project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct HeldGenerations {
    /// The one in place; none: nothing yet.
    pub(crate) placed: Option<u64>,
    /// The newest, in place or not.
    pub(crate) ready: Option<u64>,
}

impl HeldGenerations {
    pub(super) fn of(holding: Option<&Holding>) -> Self {
        let placed = holding.and_then(|holding| holding.generation);
        Self { placed, ready: placed.max(holding.and_then(|holding| holding.staged)) }
    }
}

impl HoldingIndex {
    /// Takes what a slave says of a project, in the place of what it said before.
    pub(super) fn insert(&mut self, holding: Holding) {
        let place = (holding.project.clone(), holding.member.clone());
        if holding.plan.is_some() {
            self.held_back.insert(place);
        } else {
            self.held_back.remove(&place);
        }
        self.by_project.entry(holding.project.clone()).or_default().insert(holding.member.clone(), holding);
    }

    /// Returns what a slave holds of a project.
    pub(super) fn get(&self, member: &MemberName, project: &ProjectId) -> Option<&Holding> {
        self.by_project.get(project)?.get(member)
    }

    /// Returns what a slave holds.
    pub(super) fn of_member(&self, member: &MemberName) -> impl Iterator<Item = &Holding> {
        self.by_project.values().filter_map(move |holdings| holdings.get(member))
    }

    /// Returns what slaves hold of a project.
    pub(super) fn of_project(&self, project: &ProjectId) -> impl Iterator<Item = &Holding> {
        self.by_project.get(project).into_iter().flat_map(BTreeMap::values)
    }

    /// Returns what slaves hold back until a person decides.
    pub(super) fn held_back(&self) -> impl Iterator<Item = &Holding> {
        self.held_back.iter().filter_map(|(project, member)| self.get(member, project))
    }

    /// Forgets all that a slave holds.
    pub(super) fn forget_member(&mut self, member: &MemberName) {
        self.held_back.retain(|(_, owner)| owner != member);
        self.by_project.retain(|_, holdings| {
            holdings.remove(member);
            !holdings.is_empty()
        });
    }
}

impl FromIterator<Holding> for HoldingIndex {
    fn from_iter<T: IntoIterator<Item = Holding>>(holdings: T) -> Self {
        let mut index = Self::default();
        for holding in holdings {
            index.insert(holding);
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use scheduler::RunId;

    use super::*;

    fn holding(member: &str, project: &str, plan: Option<&str>) -> Holding {
        let at = DateTime::UNIX_EPOCH;
        Holding {
            member: member.parse().unwrap(),
            project: project.parse().unwrap(),
            created: at,
            history: None,
            generation: Some(2),
            staged: Some(3),
            told: None,
            run: RunId::after(None, at, 1),
            state: "succeeded".to_owned(),
            reason: None,
            plan: plan.map(str::to_owned),
            ended: at,
            took_ms: 0,
            received: 0,
            heard: at,
        }
    }

    #[test]
    fn what_is_held_back_is_known_until_it_goes_on_or_its_slave_is_gone() {
        let held = |index: &HoldingIndex| -> Vec<String> {
            index.held_back().map(|holding| format!("{} {}", holding.member, holding.project)).collect()
        };
        let plan = Some("a plan");
        let mut index: HoldingIndex =
            [holding("a", "p", plan), holding("b", "p", None), holding("b", "q", plan)].into_iter().collect();
        assert_eq!(held(&index), ["a p", "b q"]);
        index.insert(holding("a", "p", None));
        assert_eq!(held(&index), ["b q"]);

        let (b, p) = ("b".parse().unwrap(), "p".parse().unwrap());
        assert_eq!(
            HeldGenerations::of(index.get(&b, &p)),
            HeldGenerations { placed: Some(2), ready: Some(3) }
        );
        assert_eq!((index.of_member(&b).count(), index.of_project(&p).count()), (2, 2));
        index.forget_member(&b);
        assert_eq!(
            (held(&index).len(), index.of_member(&b).count(), index.of_project(&p).count()),
            (0, 0, 1)
        );
    }
}
