//! What slaves report of the projects that they pull, and the plans of held pulls that people approve.

use scheduler::ProjectId;
use scheduler::member::{ApprovedPlan, Holding, Member, MemberName};

use super::{NodeError, Nodes};
use crate::auth::accounts::{AccountRequest, Accounts};

impl Nodes {
    /// Takes what a slave says of one project. What it said before is passed over; gives
    /// whether it is new.
    ///
    /// # Errors
    /// When it says what cannot be, or it cannot be stored.
    pub(crate) async fn report(
        &self,
        accounts: &Accounts,
        mut holding: Holding,
        request: AccountRequest<'_>,
    ) -> Result<bool, NodeError> {
        let _turn = self.changing.lock().await;
        let member = self.heard(&holding.member)?;
        let offer = self.offer.borrow().clone();
        // A slave of an older version knows of no histories: it means the one that it is offered.
        holding.history = holding.history.or_else(|| self.history.clone());
        let current = offer.generation(&holding.project, holding.created, holding.history.as_deref());
        let current = current.ok_or_else(|| {
            NodeError::Untrue(format!(
                "there is no project `{}` for slaves, or its history is another one since the store was restored",
                holding.project
            ))
        })?;
        if holding.generation.max(holding.staged).is_some_and(|held| held > current) {
            return Err(NodeError::Untrue(format!(
                "`generation` of {} is {current} here: nobody can hold a later one",
                holding.project
            )));
        }
        let known = self.known().holdings.get(&holding.member, &holding.project).map(|known| known.run);
        if known.is_some_and(|known| known > holding.run) {
            return Ok(false);
        }

        let is_new = known != Some(holding.run);
        accounts.remember_holding(Some(&holding), request).await?;
        let (project, plan) = (holding.project.clone(), holding.plan.clone());
        self.known().holdings.insert(holding);
        self.forget_approval(accounts, member, &project, plan.as_deref()).await?;
        self.reported.send_replace(());
        Ok(is_new)
    }

    /// Lets the held pull of a slave go on with the plan that it reported; `plan` says which one the person has seen.
    ///
    /// # Errors
    /// When that slave does not hold this project back, when it reported another plan, or when it cannot be stored.
    pub(crate) async fn approve(
        &self,
        accounts: &Accounts,
        name: &str,
        project: &ProjectId,
        plan: Option<&str>,
        by: &str,
        request: AccountRequest<'_>,
    ) -> Result<(), NodeError> {
        let _turn = self.changing.lock().await;
        let (mut member, held) = {
            let known = self.known();
            let member = known.find(name)?.member.clone();
            let held = known.holdings.get(&member.name, project).cloned();
            (member, held)
        };

        // What an earlier project of this name waited for is nobody's business any more.
        let offer = self.offer.borrow().clone();
        let held =
            held.filter(|held| offer.generation(project, held.created, held.history.as_deref()).is_some());
        let held = held.and_then(|held| held.plan);
        let held = held.ok_or_else(|| NodeError::NotHeld(name.to_owned(), project.clone()))?;
        if plan.is_some_and(|seen| seen != held) {
            return Err(NodeError::OtherPlan(name.to_owned(), project.clone()));
        }

        member.approved.insert(project.clone(), ApprovedPlan { plan: held, by: by.to_owned() });
        accounts.remember(&member, request).await?;
        self.know_member(member);
        // The slave waits for news: it learns of the approval now.
        self.offer.send_modify(|_| {});
        Ok(())
    }

    /// Forgets the approval of a plan that the slave no longer waits with.
    async fn forget_approval(
        &self,
        accounts: &Accounts,
        mut member: Member,
        project: &ProjectId,
        plan: Option<&str>,
    ) -> Result<(), NodeError> {
        let is_over = |approved: &ApprovedPlan| plan != Some(approved.plan.as_str());
        if !member.approved.get(project).is_some_and(is_over) {
            return Ok(());
        }
        member.approved.remove(project);
        accounts.remember(&member, AccountRequest::of_server()).await?;
        self.know_member(member);
        Ok(())
    }

    fn know_member(&self, member: Member) {
        let name: MemberName = member.name.clone();
        if let Some(seen) = self.known().members.get_mut(&name) {
            seen.member = member;
        }
    }
}
