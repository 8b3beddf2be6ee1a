//! Hashing passwords with Argon2id (RFC 9106), and never so many at once that it hurts.

use std::sync::{Arc, OnceLock};

use argon2::password_hash::SaltString;
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use engine::Secret;
use tokio::sync::Semaphore;

/// Memory of one hash in KiB, and passes over it: the first choice of OWASP's password storage cheat sheet.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
/// How many hashes are worked out at once: 40 MiB and two cores at most, whoever floods us.
const AT_ONCE: usize = 2;
/// The longest password that is hashed, in bytes.
pub(super) const LONGEST: usize = 1024;

/// Works out hashes.
#[derive(Debug, Clone)]
pub(super) struct Passwords {
    slots: Arc<Semaphore>,
    /// Verified against when there is no such user, so that it takes as long as if there were. Worked out when it is
    /// needed first: a start should not wait for it.
    nobody: Arc<OnceLock<Secret>>,
}

impl Passwords {
    pub(super) fn new() -> Self {
        Self { slots: Arc::new(Semaphore::new(AT_ONCE)), nobody: Arc::default() }
    }

    /// The hash of a password.
    pub(super) async fn hash(&self, password: Secret) -> Option<Secret> {
        self.work(move || hash(&password)).await.flatten()
    }

    /// Whether a password is the one of a hash; with none, it takes as long and is not.
    pub(super) async fn verify(&self, password: Secret, known: Option<Secret>) -> bool {
        let exists = known.is_some();
        let nobody = Arc::clone(&self.nobody);
        let verified = self.work(move || {
            let known = known.unwrap_or_else(|| {
                nobody.get_or_init(|| hash(&Secret::new("nobody")).unwrap_or_else(|| Secret::new(""))).clone()
            });
            verify(&password, &known)
        });
        verified.await.unwrap_or(false) && exists
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let _slot = self.slots.acquire().await.ok()?;
        tokio::task::spawn_blocking(work).await.ok()
    }
}

fn argon2() -> Option<Argon2<'static>> {
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(MEMORY_KIB, PASSES, 1, None).ok()?))
}

fn hash(password: &Secret) -> Option<Secret> {
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).ok()?;
    let hash = argon2()?.hash_password(password.expose().as_bytes(), &salt).ok()?;
    Some(Secret::new(hash.to_string()))
}

fn verify(password: &Secret, known: &Secret) -> bool {
    PasswordHash::new(known.expose())
        .is_ok_and(|known| Argon2::default().verify_password(password.expose().as_bytes(), &known).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_knows_its_own_password_and_no_other() {
        let passwords = Passwords::new();
        let known = passwords.hash(Secret::new("correct")).await.unwrap();
        assert!(known.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(passwords.verify(Secret::new("correct"), Some(known.clone())).await);
        assert!(!passwords.verify(Secret::new("wrong"), Some(known)).await);
        assert!(!passwords.verify(Secret::new("nobody"), None).await);
        assert!(!passwords.verify(Secret::new("x"), Some(Secret::new("no hash"))).await);
    }
}
