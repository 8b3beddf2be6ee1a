//! Questions of slaves that wait for their answer, and who asks: two processes under one name are noticed.

use scheduler::member::MemberName;

use super::{NodeError, Nodes};

/// A question that waits for its answer. It ends when the answer is given, or when the slave hangs up.
pub(super) struct Asking<'a> {
    nodes: &'a Nodes,
    name: MemberName,
    pub(super) answered: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut known = self.nodes.known();
        let Some(seen) = known.members.get_mut(&self.name) else { return };
        if let Some((_, asking)) = &mut seen.following {
            *asking = asking.saturating_sub(1);
            seen.gone = !self.answered && *asking == 0;
        }
    }
}

impl Nodes {
    /// Notes that a process asks, for as long as the guard lives.
    pub(super) fn follow<'a>(&'a self, name: &MemberName, process: &str) -> Result<Asking<'a>, NodeError> {
        let mut known = self.known();
        let seen = known.members.get_mut(name).ok_or_else(|| NodeError::Unknown(name.to_string()))?;
        match &mut seen.following {
            Some((who, asking)) if who == process => *asking += 1,
            Some((_, asking)) if *asking > 0 => {
                tracing::warn!(node = %name, "two machines follow under one name: one of them must get a name of its own");
                return Err(NodeError::Twice(name.clone()));
            }
            other => *other = Some((process.to_owned(), 1)),
        }
        Ok(Asking { nodes: self, name: name.clone(), answered: false })
    }
}
