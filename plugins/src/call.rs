//! One call of a guest: in a store of its own, with bounds on what it computes, waits for and keeps.
//!
//! Nothing of a call is left for the next one, so that a guest which traps, or leaves a mess, harms itself only.

use std::time::Duration;

use wasmtime::{Store, Trap, UpdateDeadline};

use crate::guest::{Guest, Question, Said};
use crate::load::cause;
use crate::runtime::{Meter, Metered, Runtime, TooMuchMemory};
use crate::settings::Limits;
use crate::state::State;

/// How much a guest may hand to host functions in one of their calls, in bytes; what it returns counts as well. Without
/// it, a list of many overlapping texts would be small in the guest and without end here.
const HANDED_OVER: usize = 16 * 1024 * 1024;

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It computed for too long.
    #[error("it was stopped when it had used its {} ms of processor time", .0.as_millis())]
    Cpu(Duration),
    /// It took too long, waiting included.
    #[error("it was stopped after {} ms", .0.as_millis())]
    Wall(Duration),
    /// It wanted too much memory.
    #[error("it was stopped when it wanted more than its {0} MiB of memory")]
    Memory(u32),
    /// Its calls went too deep.
    #[error("it was stopped when its calls went too deep")]
    Stack,
    /// It gave up, by a panic for example; its log may say why.
    #[error("it trapped: {0}")]
    Trap(String),
    /// It does not keep to the binary form of the contract.
    #[error("it broke the contract: {0}")]
    Contract(String),
    /// It answered more than may be answered.
    #[error("it answered {0}")]
    TooMuch(String),
    /// As many calls were going as may, and none ended.
    #[error("it was not asked: all of its {0} calls at once were going, and none ended in time")]
    Busy(u32),
    /// It said so itself.
    #[error("it said: {0}")]
    Failed(String),
    /// It said so itself, twice.
    #[error("it said, when asked twice: {0}")]
    Retryable(String),
    /// There is nothing to call.
    #[error("it is not loaded: {0}")]
    NotLoaded(String),
}

/// Its processor time is used up.
#[derive(Debug, thiserror::Error)]
#[error("the processor time is used up")]
struct TimeIsUp;

impl CallError {
    /// Whether the guest's code was at fault, and not its judgement.
    #[must_use]
    pub fn is_trap(&self) -> bool {
        !matches!(self, Self::Failed(_) | Self::Retryable(_) | Self::Busy(_) | Self::NotLoaded(_))
    }
}

/// Asks a guest, with a store that holds `state`, within these limits.
pub(crate) async fn ask<Q: Question>(
    runtime: &Runtime,
    limits: &Limits,
    state: State,
    guest: &Guest,
    question: &Q,
) -> Result<Said<Q::Answer>, CallError> {
    let meter = Meter::default();
    let mut store = Store::new(runtime.engine(), state);
    store.limiter(State::quota);
    store.set_hostcall_fuel(HANDED_OVER);
    store.set_epoch_deadline(1);
    let (account, cpu) = (meter.clone(), limits.cpu);
    store.epoch_deadline_callback(move |_| {
        if account.spent_so_far() >= cpu { Err(TimeIsUp.into()) } else { Ok(UpdateDeadline::Yield(1)) }
    });
    let _time = runtime.ticking();
    let call = Metered::new(meter, question.ask(guest, &mut store));
    match tokio::time::timeout(limits.wall, call).await {
        Ok(answer) => answer.map_err(|error| end(&error, limits)),
        Err(_) => Err(CallError::Wall(limits.wall)),
    }
}

/// What an error of the engine means.
fn end(error: &wasmtime::Error, limits: &Limits) -> CallError {
    if error.is::<TimeIsUp>() {
        return CallError::Cpu(limits.cpu);
    }
    if error.is::<TooMuchMemory>() {
        return CallError::Memory(limits.memory_mib);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => CallError::Stack,
        Some(trap) => CallError::Trap(trap.to_string()),
        None => CallError::Contract(cause(error)),
    }
}
