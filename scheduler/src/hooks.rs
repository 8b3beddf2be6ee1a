//! What plugins may say to a run: a vote before each attempt, a judgement after it.
//!
//! This crate knows what is asked and what follows from the answers, and nothing of how a hook is written: [`Hooks`] is
//! implemented elsewhere. A server without plugins has none, and pays nothing.
//!
//! Before an attempt, the first vote that is not to proceed counts, and edits add up. After it, the worst judgement
//! counts, and none can make a result better than it is.

mod context;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

use engine::Edit;

pub use context::{PastRun, ProjectFacts, RunContext, RunOutcome, Status};

use crate::project::Project;

/// An answer that takes its time.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Asks the plugins. Each call is bounded by who implements it, and may be dropped at any time: a run that is cancelled
/// does not wait for it.
pub trait Hooks: Send + Sync + fmt::Debug {
    /// Whether anybody of this project is asked here; when not, nothing is gathered for it.
    fn concerns(&self, project: &Project, when: When) -> bool;

    /// Whether there is a plugin of this name, loaded or not.
    fn knows(&self, plugin: &str) -> bool;

    /// Asked before each attempt. One vote for each hook that was asked, in the order of asking; who asks stops at the
    /// first that is not to proceed.
    fn pre_sync<'a>(&'a self, context: &'a RunContext) -> Answering<'a, Vec<Vote<Decision>>>;

    /// Asked after each attempt, and after a run that ended without one. One vote for each hook.
    fn post_sync<'a>(
        &'a self,
        context: &'a RunContext,
        outcome: &'a RunOutcome,
    ) -> Answering<'a, Vec<Vote<Verdict>>>;
}

/// When hooks are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// Before an attempt.
    PreSync,
    /// After it.
    PostSync,
}

impl FromStr for When {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::PreSync, Self::PostSync].into_iter().find(|when| when.as_str() == text).ok_or(())
    }
}

impl When {
    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreSync => "pre-sync",
            Self::PostSync => "post-sync",
        }
    }
}

/// What one hook said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote<T> {
    /// Which plugin.
    pub plugin: String,
    /// Its word. A hook that failed has the one that its failure policy gives it.
    pub word: T,
    /// Why it failed, when it did.
    pub failure: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// A vote before an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Go on.
    Proceed,
    /// Go on, with these changes.
    ProceedWith(Vec<Edit>),
    /// The run ends as `skipped`; its schedule goes on.
    Skip(String),
    /// The run waits, and is asked again.
    Delay(Duration, String),
    /// The run ends as `failed`, and nothing is tried again.
    Veto(String),
}

/// A judgement after an attempt, from the mildest to the worst.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it seems.
    Accept,
    /// A good end counts as `partial`.
    Degrade(String),
    /// Another attempt follows after this wait, as far as the project's retries go.
    RetryAfter(Duration, String),
    /// A good end counts as `failed`.
    Reject(String),
}

impl Decision {
    /// The shortest and the longest delay.
    pub const DELAY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(24));
    /// How often a run may be delayed; after that, a delay counts as consent.
    pub const MAX_DELAYS: u32 = 10;

    /// As the API spells it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Proceed => "proceed",
            Self::ProceedWith(_) => "proceed-with",
            Self::Skip(_) => "skip",
            Self::Delay(..) => "delay",
            Self::Veto(_) => "veto",
        }
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Proceed | Self::ProceedWith(_) => None,
            Self::Skip(why) | Self::Delay(_, why) | Self::Veto(why) => Some(why),
        }
    }

    /// What all votes together mean; `delays` says how often the run was delayed before.
    #[must_use]
    pub fn merged(votes: &[Vote<Self>], delays: u32) -> Self {
        let mut edits = Vec::new();
        for vote in votes {
            match &vote.word {
                Self::Proceed => {}
                Self::ProceedWith(more) => edits.extend(more.iter().cloned()),
                Self::Delay(..) if delays >= Self::MAX_DELAYS => {}
                Self::Delay(wait, why) => {
                    let (shortest, longest) = Self::DELAY;
                    return Self::Delay((*wait).clamp(shortest, longest), why.clone());
                }
                other => return other.clone(),
            }
        }
        if edits.is_empty() { Self::Proceed } else { Self::ProceedWith(edits) }
    }
}

impl Verdict {
    /// As the API spells it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Degrade(_) => "degrade",
            Self::RetryAfter(..) => "retry-after",
            Self::Reject(_) => "reject",
        }
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Accept => None,
            Self::Degrade(why) | Self::RetryAfter(_, why) | Self::Reject(why) => Some(why),
        }
    }

    fn weight(&self) -> u8 {
        match self {
            Self::Accept => 0,
            Self::Degrade(_) => 1,
            Self::RetryAfter(..) => 2,
            Self::Reject(_) => 3,
        }
    }

    /// The worst of them; of equal ones, the first.
    #[must_use]
    pub fn merged(votes: &[Vote<Self>]) -> Self {
        let worst =
            |worst: Option<&'_ Self>, word: &Self| worst.is_none_or(|worst| word.weight() > worst.weight());
        let mut found: Option<&Self> = None;
        for vote in votes {
            if worst(found, &vote.word) {
                found = Some(&vote.word);
            }
        }
        found.cloned().unwrap_or(Self::Accept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote<T>(word: T) -> Vote<T> {
        Vote { plugin: "p".to_owned(), word, failure: None, took: Duration::ZERO }
    }

    #[test]
    fn the_first_vote_against_counts_and_edits_add_up() {
        let edit = |name: &str| vote(Decision::ProceedWith(vec![Edit::Exclude(name.to_owned())]));
        let skip = || vote(Decision::Skip("s".to_owned()));
        let veto = || vote(Decision::Veto("v".to_owned()));
        assert_eq!(Decision::merged(&[], 0), Decision::Proceed);
        let both = Decision::ProceedWith(vec![Edit::Exclude("a".into()), Edit::Exclude("b".into())]);
        assert_eq!(Decision::merged(&[edit("a"), vote(Decision::Proceed), edit("b")], 0), both);
        assert_eq!(Decision::merged(&[edit("a"), skip(), veto()], 0), Decision::Skip("s".to_owned()));
        assert_eq!(Decision::merged(&[veto(), skip()], 0), Decision::Veto("v".to_owned()));
    }

    #[test]
    fn delays_have_bounds_and_do_not_go_on_for_ever() {
        let delay = |wait| [vote(Decision::Delay(wait, "d".to_owned()))];
        let merged = |wait, delays| Decision::merged(&delay(wait), delays);
        let (shortest, longest) = Decision::DELAY;
        assert_eq!(merged(Duration::ZERO, 0), Decision::Delay(shortest, "d".to_owned()));
        assert_eq!(merged(Duration::MAX, 9), Decision::Delay(longest, "d".to_owned()));
        assert_eq!(merged(Duration::ZERO, Decision::MAX_DELAYS), Decision::Proceed);
    }

    #[test]
    fn the_worst_judgement_counts() {
        let words = [
            vote(Verdict::Accept),
            vote(Verdict::Degrade("d".to_owned())),
            vote(Verdict::Reject("r".to_owned())),
            vote(Verdict::RetryAfter(Duration::ZERO, "again".to_owned())),
        ];
        assert_eq!(Verdict::merged(&words), Verdict::Reject("r".to_owned()));
        assert_eq!(Verdict::merged(&words[..2]), Verdict::Degrade("d".to_owned()));
        assert_eq!(Verdict::merged(&[]), Verdict::Accept);
    }
}
