//! What a session is held against: the role of a user now, and a stamp that changes with the password.

use scheduler::account::{Role, UserName};
use sha2::{Digest, Sha256};

use super::Accounts;

impl Accounts {
    /// The user's role, and a digest that is another one as soon as the password is; none: there is no such user.
    pub(in crate::auth) fn stamp(&self, name: &str) -> Option<(Role, [u8; 32])> {
        let known = self.known();
        let plain_root = known.root.as_ref().filter(|_| name == UserName::ROOT);
        let (role, secret) = match plain_root {
            Some(root) => (Role::Root, root.expose()),
            None => known.users.get(name).map(|user| (user.role, user.hash.expose()))?,
        };
        Some((
            role,
            Sha256::new()
                .chain_update(self.salt)
                .chain_update(name)
                .chain_update([0])
                .chain_update(secret)
                .finalize()
                .into(),
        ))
    }
}
