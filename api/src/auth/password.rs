//! Hashing passwords with Argon2id (RFC 9106), and never so many at once that it hurts.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use argon2::password_hash::{Output, ParamsString, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, Version};
use engine::Secret;
use tokio::sync::Semaphore;

use super::queue::{HashQueue, QueueFull};

/// Memory of one hash in KiB, and passes over it: the first choice of OWASP's password storage cheat sheet.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
/// Blocks that are reserved for one hash, of which only those that it needs are touched. The C library keeps freed
/// memory of up to 32 MiB for the thread that had it; what is larger goes back to the system when the hash is done.
const RESERVED_BLOCKS: usize = 33 * 1024;

/// Works out hashes.
#[derive(Debug, Clone)]
pub(super) struct Passwords {
    strangers: HashQueue,
    /// The turn of those who have proved who they are: no flood of logins is before them.
    own: Arc<Semaphore>,
    /// Verified against when there is no such user, so that it takes as long as if there were. Worked out when it is
    /// needed first: a start should not wait for it.
    nobody: Arc<OnceLock<Secret>>,
}

impl Passwords {
    pub(super) fn new() -> Self {
        Self { strangers: HashQueue::new(), own: Arc::new(Semaphore::new(1)), nobody: Arc::default() }
    }

    /// The hash of a password. Callers have proved who they are, so they wait for as long as it takes.
    pub(super) async fn hash(&self, password: Secret) -> Option<Secret> {
        let turn = Arc::clone(&self.own).acquire_owned().await.ok()?;
        work(turn, move || hash(&password)).await.flatten()
    }

    /// Whether a password is the one of a hash; with none, it takes as long and is not.
    pub(super) async fn verify(
        &self,
        from: Option<IpAddr>,
        password: Secret,
        known: Option<Secret>,
    ) -> Result<bool, QueueFull> {
        let turn = self.strangers.turn(from).await?;
        let exists = known.is_some();
        let nobody = Arc::clone(&self.nobody);

        let verified = work(turn, move || {
            let known = known.unwrap_or_else(|| {
                nobody.get_or_init(|| hash(&Secret::new("nobody")).unwrap_or_else(|| Secret::new(""))).clone()
            });
            verify(&password, &known)
        });
        Ok(verified.await.flatten().unwrap_or(false) && exists)
    }
}

/// Works something out. The turn is taken until that ends, even if the client that asked is gone by then.
async fn work<T: Send + 'static>(
    turn: impl Send + 'static,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let work = move || {
        let _turn = turn;
        work()
    };
    tokio::task::spawn_blocking(work).await.ok()
}

/// The text that is stored of a password.
fn hash(password: &Secret) -> Option<Secret> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).ok()?;
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).ok()?;
    let shown = ParamsString::try_from(&params).ok()?;

    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let output = fill(&argon2, password, salt.as_salt(), Params::DEFAULT_OUTPUT_LEN)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: shown,
        salt: Some(salt.as_salt()),
        hash: Some(output),
    };
    Some(Secret::new(hash.to_string()))
}

/// Whether this is the password of a hash; none: the hash cannot be read.
fn verify(password: &Secret, known: &Secret) -> Option<bool> {
    let known = PasswordHash::new(known.expose()).ok()?;
    let algorithm = Algorithm::try_from(known.algorithm).ok()?;
    let version = Version::try_from(known.version?).ok()?;
    let (salt, expected) = (known.salt?, known.hash?);

    let argon2 = Argon2::new(algorithm, version, Params::try_from(&known).ok()?);
    // The comparison of outputs takes the same time wherever they differ.
    Some(fill(&argon2, password, salt, expected.len())? == expected)
}

/// One hash, in memory of its own.
fn fill(argon2: &Argon2<'_>, password: &Secret, salt: Salt<'_>, length: usize) -> Option<Output> {
    let mut decoded = [0; Salt::MAX_LENGTH];
    let salt = salt.decode_b64(&mut decoded).ok()?;

    let blocks = argon2.params().block_count();
    let mut memory = Vec::with_capacity(blocks.max(RESERVED_BLOCKS));
    memory.resize(blocks, Block::default());

    let password = password.expose().as_bytes();
    let worked_out = |out: &mut [u8]| {
        argon2.hash_password_into_with_memory(password, salt, out, &mut memory).map_err(Into::into)
    };
    Output::init_with(length, worked_out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_knows_its_own_password_and_no_other() {
        let passwords = Passwords::new();
        let known = passwords.hash(Secret::new("correct")).await.unwrap();
        assert!(known.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(passwords.verify(None, Secret::new("correct"), Some(known.clone())).await, Ok(true));
        assert_eq!(passwords.verify(None, Secret::new("wrong"), Some(known)).await, Ok(false));
        assert_eq!(passwords.verify(None, Secret::new("nobody"), None).await, Ok(false));
        assert_eq!(passwords.verify(None, Secret::new("x"), Some(Secret::new("no hash"))).await, Ok(false));
    }

    #[test]
    fn a_hash_is_the_one_that_the_library_makes() {
        use argon2::{PasswordHasher, PasswordVerifier};

        let salt = SaltString::encode_b64(&[7; 16]).unwrap();
        let stored = Argon2::default().hash_password(b"correct", &salt).unwrap().to_string();
        assert_eq!(verify(&Secret::new("correct"), &Secret::new(stored.as_str())), Some(true));
        assert_eq!(verify(&Secret::new("wrong"), &Secret::new(stored)), Some(false));

        let ours = hash(&Secret::new("correct")).unwrap();
        let ours = PasswordHash::new(ours.expose()).unwrap();
        assert!(Argon2::default().verify_password(b"correct", &ours).is_ok());
    }
}
