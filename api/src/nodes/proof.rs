//! How a slave and a master prove to each other that they know the enrolment secret, without either sending it.
//!
//! Each side throws 256 random bits; a proof is an HMAC-SHA256 over both, the slave's name, and a word that says whose
//! proof it is. So a proof is good once, for one slave, in one direction. The slave's token and its password at the
//! rsync daemon are made in the same way on both sides: nothing secret travels when a slave joins.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The shortest enrolment secret: a stranger can ask for a proof, and try secrets on it at home.
pub(crate) const SHORTEST: usize = 16;
/// The block of SHA-256, in bytes.
const BLOCK: usize = 64;

/// What one side threw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Nonce([u8; 32]);

impl Nonce {
    /// A new one.
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    /// As it travels.
    pub(crate) fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// From how it travels.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(Self(URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?))
    }
}

/// One meeting of a slave and a master.
pub(crate) struct Meeting<'a> {
    /// What both know.
    pub(crate) secret: &'a Secret,
    /// The slave's name.
    pub(crate) name: &'a str,
    /// What the slave threw.
    pub(crate) slave: Nonce,
    /// What the master threw.
    pub(crate) master: Nonce,
}

impl Meeting<'_> {
    /// The master's proof.
    pub(crate) fn master_proof(&self) -> String {
        self.words("master")
    }

    /// The slave's proof.
    pub(crate) fn slave_proof(&self) -> String {
        self.words("slave")
    }

    /// The slave's token, once it has joined.
    pub(crate) fn token(&self) -> Secret {
        Secret::new(self.words("token"))
    }

    /// The slave's password at the rsync daemon, once it has joined.
    pub(crate) fn password(&self) -> Secret {
        Secret::new(self.words("rsync"))
    }

    fn words(&self, whose: &str) -> String {
        // No name holds a zero byte, so no two meetings read the same.
        let parts =
            [b"heliostat join 1", whose.as_bytes(), self.name.as_bytes(), &self.slave.0, &self.master.0];
        URL_SAFE_NO_PAD.encode(hmac(self.secret.expose().as_bytes(), &parts.join(&0)))
    }
}

/// Whether two proofs are the same, in a time that does not tell where they differ.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// HMAC-SHA256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    let short: [u8; 32] = Sha256::digest(key).into();
    let key = if key.len() > BLOCK { &short[..] } else { key };
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    #[test]
    fn the_hmac_is_that_of_rfc_4231() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(&hmac(b"Jefe", b"what do ya want for nothing?")), expected);
        let long = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        assert_eq!(hex(&hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First")), long);
    }

    #[test]
    fn a_proof_is_good_for_one_meeting_one_side_and_one_name_only() {
        let (secret, other) = (Secret::new("a secret of the site"), Secret::new("another secret, wrong"));
        let (slave, master) = (Nonce::random(), Nonce::random());
        let meeting = Meeting { secret: &secret, name: "a", slave, master };
        let proofs = [
            meeting.master_proof(),
            meeting.slave_proof(),
            meeting.token().expose().to_owned(),
            meeting.password().expose().to_owned(),
            Meeting { name: "b", ..meeting }.slave_proof(),
            Meeting { secret: &other, ..meeting }.slave_proof(),
            Meeting { slave: master, master: slave, ..meeting }.slave_proof(),
            Meeting { master: Nonce::random(), ..meeting }.slave_proof(),
        ];
        for (index, one) in proofs.iter().enumerate() {
            assert!(proofs.iter().skip(index + 1).all(|other| !same(one, other)));
        }
        assert!(same(&meeting.slave_proof(), &proofs[1]));
    }

    #[test]
    fn a_nonce_travels_as_text() {
        let nonce = Nonce::random();
        assert_eq!(Nonce::parse(&nonce.text()), Some(nonce));
        assert!(Nonce::parse("short").is_none());
    }
}
