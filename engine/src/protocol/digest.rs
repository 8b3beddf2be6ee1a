//! The answer to a daemon's challenge: which digest, and how the password goes into it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use md4::Md4;
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use crate::secret::Secret;

/// A digest that a login can use, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Digest {
    /// `sha512`.
    Sha512,
    /// `sha256`.
    Sha256,
    /// `sha1`.
    Sha1,
    /// `md5`.
    Md5,
    /// `md4`, where it was negotiated by name.
    Md4,
    /// MD4 begun with four zero bytes: what protocols before 30 use where nothing is negotiated.
    OldMd4,
}

/// What we offer in our greeting, the strongest first. Both sides take the first that the other one has as well.
pub(super) const OFFERED: &str = "sha512 sha256 sha1 md5 md4";

impl Digest {
    const NAMED: [Self; 5] = [Self::Sha512, Self::Sha256, Self::Sha1, Self::Md5, Self::Md4];

    /// The best digest that the daemon offers as well; `None` when it offers only others. Where it offers none, the
    /// protocol decides.
    pub(super) fn choose(offered: &[String], protocol: u32) -> Option<Self> {
        if offered.is_empty() {
            return Some(if protocol >= 30 { Self::Md5 } else { Self::OldMd4 });
        }
        let has = |digest: &Self| offered.iter().any(|name| name.eq_ignore_ascii_case(digest.name()));
        Self::NAMED.into_iter().find(has)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sha512 => "sha512",
            Self::Sha256 => "sha256",
            Self::Sha1 => "sha1",
            Self::Md5 => "md5",
            Self::Md4 | Self::OldMd4 => "md4",
        }
    }

    /// What proves that we know the password.
    pub(super) fn response(self, password: &Secret, challenge: &[u8]) -> String {
        let parts: [&[u8]; 2] = [password.expose().as_bytes(), challenge];
        match self {
            Self::Sha512 => answer::<Sha512>(&parts),
            Self::Sha256 => answer::<Sha256>(&parts),
            Self::Sha1 => answer::<Sha1>(&parts),
            Self::Md5 => answer::<Md5>(&parts),
            Self::Md4 => answer::<Md4>(&parts),
            Self::OldMd4 => answer::<Md4>(&[&[0; 4], parts[0], parts[1]]),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn answer<D: sha2::Digest>(parts: &[&[u8]]) -> String {
    let digest = parts.iter().fold(D::new(), D::chain_update).finalize();
    STANDARD_NO_PAD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::{Digest, OFFERED};
    use crate::secret::Secret;

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_strongest_common_digest_is_taken_whatever_the_order() {
        assert_eq!(Digest::choose(&names("md4 md5 SHA256"), 32), Some(Digest::Sha256));
        assert_eq!(Digest::choose(&names("md5 md4"), 32), Some(Digest::Md5));
        assert_eq!(Digest::choose(&names("md4"), 32), Some(Digest::Md4));
        assert_eq!(Digest::choose(&names("blake3 crc32"), 32), None);
        assert_eq!(Digest::choose(&[], 30), Some(Digest::Md5));
        assert_eq!(Digest::choose(&[], 29), Some(Digest::OldMd4));
        assert_eq!(names(OFFERED), Digest::NAMED.map(|digest| digest.to_string()));
    }

    #[test]
    fn answers_are_those_of_other_programs() {
        // printf %s secretchallenge | openssl dgst -md5 -binary | base64, and so on; MD4 likewise, OldMd4 after \0\0\0\0.
        let answer = |digest: Digest| digest.response(&Secret::new("secret"), b"challenge");
        for (digest, expected) in ANSWERS {
            assert_eq!(answer(digest), expected, "{digest:?}");
        }
    }

    const ANSWERS: [(Digest, &str); 6] = [
        (
            Digest::Sha512,
            "fpFQjV6h9gfk5thWwm4VeELxEqnf6UV256DBtFnG0tvJzuXc7ACJdFOp7GE06mtnB8/SuVivDnRbZ3d1UieoEg",
        ),
        (Digest::Sha256, "tCv+2QfZ80udU1KQumYRbGeYgJ9+m09eIkTanX3/fqs"),
        (Digest::Sha1, "ObhKrMte5mG1tJgZSao/bjM8Opo"),
        (Digest::Md5, "QEiMMf9XE5h9Y4xG3FmQOA"),
        (Digest::Md4, "JbHKXv/VdlzkkR2P11o+lg"),
        (Digest::OldMd4, "8urh/GYQQALsOR6hIDsnZQ"),
    ];
}
