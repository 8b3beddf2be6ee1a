//! A component that is ready to be called, whatever version of the contract it speaks.
//!
//! Each minor version has a module with its own bindings and conversions. This is the one place that tells them apart:
//! a version that is added is a variant here, and the old one stays as it is.

use scheduler::hooks::{Decision, RunContext, RunOutcome, Verdict};
use wasmtime::component::Component;
use wasmtime::{Engine, Error, Store};

use crate::component::Shape;
use crate::policy::{Finished, View};
use crate::state::State;
use crate::statistics::Asked;
use crate::v0_1;

/// A guest of any version.
pub(crate) enum Guest {
    V0_1(v0_1::Guest),
}

/// What a guest says; the error is its own, or about what it said.
pub(crate) type Said<T> = Result<T, Refusal>;

/// A guest that has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Failed(String),
    Retryable(String),
    /// Its answer is more than may be answered.
    TooMuch(String),
}

/// What a guest can be asked, in whatever version it speaks.
pub(crate) trait Question: Sync {
    /// What it says.
    type Answer: Send;
    /// What it is counted as; none: it is not counted.
    const ASKED: Option<Asked>;

    /// Asks it, in a fresh instance. An error is the engine's.
    fn ask(
        &self,
        guest: &Guest,
        store: &mut Store<State>,
    ) -> impl Future<Output = Result<Said<Self::Answer>, Error>> + Send;
}

/// Whether it starts and has every function; none is called.
pub(crate) struct Start;
pub(crate) struct PreSync<'a>(pub(crate) &'a RunContext);
pub(crate) struct PostSync<'a>(pub(crate) &'a RunContext, pub(crate) &'a RunOutcome);
pub(crate) struct Pick<'a>(pub(crate) &'a View);
pub(crate) struct NextDelay<'a>(pub(crate) &'a Finished);

impl Guest {
    /// Connects its imports. The shape has said that the version is one of ours.
    pub(crate) fn link(engine: &Engine, component: &Component, shape: &Shape) -> Result<Self, Error> {
        Ok(Self::V0_1(v0_1::Guest::link(engine, component, shape)?))
    }
}

impl Question for Start {
    type Answer = ();
    const ASKED: Option<Asked> = None;

    async fn ask(&self, guest: &Guest, store: &mut Store<State>) -> Result<Said<()>, Error> {
        match guest {
            Guest::V0_1(guest) => guest.try_start(store).await.map(Ok),
        }
    }
}

impl Question for PreSync<'_> {
    type Answer = Decision;
    const ASKED: Option<Asked> = Some(Asked::PreSync);

    async fn ask(&self, guest: &Guest, store: &mut Store<State>) -> Result<Said<Decision>, Error> {
        match guest {
            Guest::V0_1(guest) => guest.pre_sync(store, self.0).await,
        }
    }
}

impl Question for PostSync<'_> {
    type Answer = Verdict;
    const ASKED: Option<Asked> = Some(Asked::PostSync);

    async fn ask(&self, guest: &Guest, store: &mut Store<State>) -> Result<Said<Verdict>, Error> {
        match guest {
            Guest::V0_1(guest) => guest.post_sync(store, self.0, self.1).await,
        }
    }
}

impl Question for Pick<'_> {
    type Answer = Vec<u32>;
    const ASKED: Option<Asked> = Some(Asked::Pick);

    async fn ask(&self, guest: &Guest, store: &mut Store<State>) -> Result<Said<Vec<u32>>, Error> {
        match guest {
            Guest::V0_1(guest) => guest.pick(store, self.0).await,
        }
    }
}

impl Question for NextDelay<'_> {
    type Answer = u64;
    const ASKED: Option<Asked> = Some(Asked::NextDelay);

    async fn ask(&self, guest: &Guest, store: &mut Store<State>) -> Result<Said<u64>, Error> {
        match guest {
            Guest::V0_1(guest) => guest.next_delay(store, self.0).await,
        }
    }
}
