//! Proof by password, and the memory of it: who sends a password with each request waits for one hash only.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use engine::Secret;
use engine::secret::LONGEST_PASSWORD;
use scheduler::account::{Role, UserName};
use scheduler::member::MemberName;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Accounts, Known};
use crate::auth::Power;
use crate::auth::queue::QueueFull;
use crate::strangers::share::network;

/// Time after its last use for which a proved login is taken without working out the hash again.
const PROVED_FOR: Duration = Duration::from_mins(5);
/// Number of such logins of one user that are remembered: one for each address.
const PROVED_PER_USER: usize = 100;

/// A name and a password, and where they come from.
#[derive(Clone, Copy)]
pub struct PasswordLogin<'a> {
    /// The name of a user, or of a slave.
    pub name: &'a str,
    /// The password that was given.
    pub password: &'a str,
    /// The address that it came from.
    pub from: Option<IpAddr>,
}

/// A login that was proved.
#[derive(Debug)]
pub(super) struct ProvedLogin {
    name: String,
    used: Instant,
    power: Power,
}

impl Accounts {
    /// What a login is remembered by. Another address proves it anew, so that nobody can try what others have proved.
    pub(in crate::auth) fn login_digest(&self, login: PasswordLogin<'_>) -> [u8; 32] {
        let length = (login.name.len() as u64).to_le_bytes();
        let from = login.from.map(|from| network(from).to_string()).unwrap_or_default();
        Sha256::new()
            .chain_update(self.salt)
            .chain_update(from)
            .chain_update([0])
            .chain_update(length)
            .chain_update(login.name)
            .chain_update(login.password)
            .finalize()
            .into()
    }

    /// What somebody may whose login was proved from the same address a short time ago.
    pub(in crate::auth) fn proved(&self, digest: &[u8; 32]) -> Option<Power> {
        let mut known = self.known();
        let login = known.proved.get_mut(digest).filter(|login| login.used.elapsed() < PROVED_FOR)?;
        login.used = Instant::now();
        Some(login.power.clone())
    }

    /// What the user or slave may whose password this is; none: it is nobody's.
    pub(in crate::auth) async fn prove(
        &self,
        login: PasswordLogin<'_>,
        digest: [u8; 32],
    ) -> Result<Option<Power>, QueueFull> {
        let PasswordLogin { name, password, from } = login;
        let user = {
            let mut known = self.known();
            if name == UserName::ROOT
                && let Some(root) = &known.root
            {
                let right = bool::from(password.as_bytes().ct_eq(root.expose().as_bytes()));
                return Ok(right.then(|| known.remember_proof(login, digest, Power::Role(Role::Root))));
            }
            if let Some(node) = known.node_login(name, password) {
                return Ok(Some(known.remember_proof(login, digest, Power::Node(node))));
            }
            known.users.get(name).cloned()
        };
        if password.len() > LONGEST_PASSWORD {
            return Ok(None);
        }

        let hash = user.as_ref().map(|user| user.hash.clone());
        let right = self.passwords.verify(from, Secret::new(password), hash.clone()).await?;
        let Some(user) = user.filter(|_| right) else { return Ok(None) };

        // While the hash was worked out, the user may have been removed or changed.
        let mut known = self.known();
        if known.users.get(name).map(|user| &user.hash) != hash.as_ref() {
            return Ok(None);
        }
        Ok(Some(known.remember_proof(login, digest, Power::Role(user.role))))
    }
}

impl Known {
    /// The node of 2014 that logs in with its name and its password at the rsync daemon.
    fn node_login(&self, name: &str, password: &str) -> Option<MemberName> {
        let right = self.logins.get(name)?.expose();
        let same = bool::from(right.as_bytes().ct_eq(password.as_bytes()));
        let mut members = self.nodes.iter().filter_map(|node| node.member.as_ref());
        members.find(|member| same && member.as_str() == name).cloned()
    }

    /// Remembers a proof. A user's own proofs make room for the next where there are many: nobody's push out anybody else's.
    fn remember_proof(&mut self, login: PasswordLogin<'_>, digest: [u8; 32], power: Power) -> Power {
        self.proved.retain(|_, login| login.used.elapsed() < PROVED_FOR);
        let own = self.proved.iter().filter(|(_, proved)| proved.name == login.name);
        let mut own: Vec<(Instant, [u8; 32])> = own.map(|(digest, proved)| (proved.used, *digest)).collect();
        own.sort_unstable();
        for (_, oldest) in own.iter().take((own.len() + 1).saturating_sub(PROVED_PER_USER)) {
            self.proved.remove(oldest);
        }

        let proved = ProvedLogin { name: login.name.to_owned(), used: Instant::now(), power: power.clone() };
        self.proved.insert(digest, proved);
        power
    }
}
