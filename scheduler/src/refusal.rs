//! Upstreams that refuse a rehearsal, remembered so that not every run asks them for one.

use chrono::{DateTime, TimeDelta, Utc};
use engine::Source;

use crate::project::Standing;

/// An upstream's explicit refusal of `--dry-run`. A broken connection is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RehearsalRefusal {
    /// Address of the upstream.
    pub upstream: String,
    /// Greeting of the daemon then; none: it could not be read.
    pub greeting: Option<String>,
    /// Time of the refusal.
    pub at: DateTime<Utc>,
}

/// Result of an attempt to rehearse, as far as it changes what is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RehearsalNews {
    /// The upstream refused.
    Refused(RehearsalRefusal),
    /// The upstream with this address rehearsed.
    Accepted(String),
}

impl RehearsalRefusal {
    /// Time for which a refusal is remembered.
    pub const KEPT: TimeDelta = TimeDelta::days(7);

    /// Returns true if the refusal is recent enough to spare the upstream another question. A
    /// refusal from the future was noted under a wrong clock and proves nothing.
    #[must_use]
    pub fn is_recent(&self, now: DateTime<Utc>) -> bool {
        let age = now - self.at;
        age >= TimeDelta::zero() && age < Self::KEPT
    }

    /// Returns true if the daemon of this source refused.
    #[must_use]
    pub fn is_of_daemon(&self, source: &Source) -> bool {
        let of = self.upstream.parse::<Source>();
        of.is_ok_and(|of| of.host() == source.host() && of.port() == source.port())
    }

    /// Returns true if the daemon greets as it did when it refused. A greeting that could not be
    /// read, then or now, is no change.
    #[must_use]
    pub fn is_same_daemon(&self, greeting: Option<&str>) -> bool {
        match (self.greeting.as_deref(), greeting) {
            (Some(before), Some(now)) => before == now,
            _ => true,
        }
    }
}

impl Standing {
    /// The refusal of this upstream that is still remembered.
    #[must_use]
    pub fn refusal(&self, upstream: &str, now: DateTime<Utc>) -> Option<&RehearsalRefusal> {
        let mut of_upstream = self.refusals.iter().filter(|refusal| refusal.upstream == upstream);
        of_upstream.find(|refusal| refusal.is_recent(now))
    }

    /// Forgets the refusal of this upstream. True when there was one.
    pub fn forget_refusal(&mut self, upstream: &str) -> bool {
        let before = self.refusals.len();
        self.refusals.retain(|refusal| refusal.upstream != upstream);
        self.refusals.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_remembered_for_a_week_and_while_the_daemon_stays_the_same() {
        let (day, at) = (TimeDelta::days(1), DateTime::UNIX_EPOCH);
        let refusal = RehearsalRefusal { upstream: "u".to_owned(), greeting: Some("32".to_owned()), at };
        assert!(refusal.is_recent(at) && refusal.is_recent(at + day * 6));
        assert!(!refusal.is_recent(at + day * 7) && !refusal.is_recent(at - day));
        assert!(refusal.is_same_daemon(Some("32")) && refusal.is_same_daemon(None));
        assert!(!refusal.is_same_daemon(Some("31")));
        let mut standing = Standing { refusals: vec![refusal], ..Standing::default() };
        assert!(standing.refusal("u", at).is_some() && standing.refusal("v", at).is_none());
        assert!(standing.forget_refusal("u") && !standing.forget_refusal("u"));
    }
}
