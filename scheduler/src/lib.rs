//! Projects and their store, when they run, how many at once, in what order.
//!
//! This crate owns every durable state of a master. Around it there is a store that can be trusted, inside it one
//! dispatcher through which each change of state passes, and at its edge a board that readers look at without
//! disturbing anyone. It knows nothing of HTTP, of configuration files, or of how a hook is written.
//!
//! Invariants that live here:
//!
//! 1. A state is durable before anyone is told of it: [`dispatcher`] commits what [`core`] decided, and only then
//!    starts, answers and publishes.
//! 2. A project has at most one run going and one waiting; destinations never nest ([`core`]).
//! 3. Every schedule decision is a durable key (`Standing::fired`) written before anything starts, so that a crash
//!    neither doubles nor loses one.
//! 4. A run that a crash cut off is recorded as `interrupted` and queued again once ([`recovery`]).
//! 5. Domain types do not derive outside formats: [`record`] alone knows what stored bytes look like, and every
//!    record carries a version.
//!
//! A reader starts with [`core`]: it is the whole clockwork as one function from an input to a step, without a clock
//! or a process.

pub mod account;
pub mod board;
pub mod core;
pub mod cron;
pub mod dates;
pub mod destination;
pub mod disk;
pub mod dispatcher;
pub mod event;
pub mod freshness;
pub mod guard;
pub mod hooks;
pub mod journal;
pub mod lists;
pub mod member;
pub mod pace;
pub mod permit;
pub mod policy;
pub mod project;
pub mod publish;
pub mod queue;
pub mod record;
pub mod recovery;
pub mod refusal;
pub mod relocation;
pub mod retention;
pub mod run;
pub mod schedule;
pub mod store;
pub mod tally;
pub mod timetable;
pub mod tree;

pub use crate::core::{Answer, Command, Refusal};
pub use board::Board;
pub use dispatcher::{Scheduler, Settings, StartError, TraceSite};
pub use event::{Event, EventBus, EventKind};
pub use hooks::Hooks;
pub use policy::Policy;
pub use project::{Guard, Project, ProjectId, Repository, Standing, Upstream};
pub use queue::Bounds;
pub use run::{AttemptRecord, Counts, Ending, Outcome, Run, RunId, RunPhase, RunState, Told, Trigger};
pub use schedule::{CatchUp, Rule, Schedule};
pub use store::{Store, StoreError};
