//! Trees whose index must not run ahead of its files: which paths belong to the index.

use engine::Stages;

/// A kind of repository that is brought in two stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repository {
    /// Debian, Ubuntu, and what is laid out like them; with the files by which Debian's mirrors know each other.
    Debian,
    /// Repositories of RPM packages.
    Rpm,
    /// Arch Linux.
    Arch,
    /// Whatever these patterns match is the index.
    Other(Stages),
}

/// As Debian's ftpsync leaves it out of its first stage, spelled without includes, which could bring back what the
/// project excludes.
const DEBIAN: &[&str] = &[
    "Packages",
    "Packages.[!d]*",
    "Sources",
    "Sources.[!d]*",
    "*.diff/Index",
    "Release",
    "Release.*",
    "InRelease",
    "i18n/[!b]*",
    "ls-lR*",
];
const RPM: &[&str] = &["repodata/", "repodata.*/"];
const ARCH: &[&str] = &["*.db", "*.db.*", "*.files", "*.files.*", "*.links.tar.gz", "lastupdate", "lastsync"];

impl Repository {
    /// The kinds that have a name.
    pub const NAMES: [&str; 4] = ["debian", "ubuntu", "rpm", "arch"];

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "debian" | "ubuntu" => Some(Self::Debian),
            "rpm" => Some(Self::Rpm),
            "arch" => Some(Self::Arch),
            _ => None,
        }
    }

    /// Its name; none: it has patterns of its own.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Self::Debian => Some("debian"),
            Self::Rpm => Some("rpm"),
            Self::Arch => Some("arch"),
            Self::Other(_) => None,
        }
    }

    /// What the engine needs to know.
    #[must_use]
    pub fn stages(&self) -> Option<Stages> {
        let patterns = match self {
            Self::Debian => DEBIAN,
            Self::Rpm => RPM,
            Self::Arch => ARCH,
            Self::Other(stages) => return Some(stages.clone()),
        };
        Stages::new(patterns.iter().map(|pattern| (*pattern).to_owned()).collect()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_patterns_that_the_engine_takes() {
        for name in Repository::NAMES {
            let stages = Repository::named(name).and_then(|kind| kind.stages());
            assert!(stages.is_some_and(|stages| !stages.index().is_empty()), "{name}");
        }
    }
}
