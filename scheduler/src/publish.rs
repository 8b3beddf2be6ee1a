//! When slaves put a new generation in place: each as soon as it can, or together.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How a project is published on slaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Publish {
    /// Each slave when it has it.
    #[default]
    Each,
    /// First every slave fetches what is new, and puts it in place once enough of them have it.
    Together(Together),
}

/// How many slaves wait for each other, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Together {
    /// How many must have it.
    pub quorum: Quorum,
    /// How long they wait; the rest is left behind then.
    pub deadline: Duration,
}

impl Default for Together {
    /// More than half of them, and an hour.
    fn default() -> Self {
        Self { quorum: Quorum::Percent(51), deadline: Duration::from_hours(1) }
    }
}

/// How many slaves are enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quorum {
    /// So many.
    Count(u32),
    /// So many of a hundred, rounded up.
    Percent(u8),
}

/// A text that is no quorum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a number of slaves, or a share such as \"51%\" (1 to 100)")]
pub struct NotAQuorum;

impl Quorum {
    /// Whether `ready` of `all` slaves are enough. All of them always are.
    #[must_use]
    pub fn is_reached(self, ready: usize, all: usize) -> bool {
        let needed = match self {
            Self::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Self::Percent(percent) => all.saturating_mul(usize::from(percent)).div_ceil(100),
        };
        ready >= needed.min(all)
    }
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for Quorum {
    type Err = NotAQuorum;

    fn from_str(text: &str) -> Result<Self, NotAQuorum> {
        let quorum = match text.strip_suffix('%') {
            Some(percent) => {
                percent.parse().ok().filter(|percent| (1..=100).contains(percent)).map(Self::Percent)
            }
            None => text.parse().ok().filter(|count| *count > 0).map(Self::Count),
        };
        quorum.ok_or(NotAQuorum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up_and_all_are_always_enough() {
        let half: Quorum = "51%".parse().unwrap();
        assert!(!half.is_reached(1, 3) && half.is_reached(2, 3));
        assert!(!half.is_reached(5, 10) && half.is_reached(6, 10));
        assert!(Quorum::Count(5).is_reached(3, 3) && !Quorum::Count(2).is_reached(1, 3));
        assert!(half.is_reached(0, 0), "nobody waits for nobody");
    }

    #[test]
    fn a_quorum_is_read_as_it_is_written() {
        for text in ["3", "51%", "100%"] {
            assert_eq!(text.parse::<Quorum>().unwrap().to_string(), text);
        }
        for text in ["", "0", "0%", "101%", "-1", "half", "%"] {
            assert!(text.parse::<Quorum>().is_err(), "{text}");
        }
    }
}
