//! WASM components as hooks and policies: the only crate that names wasmtime.
//!
//! [`Plugins`] holds what a server's configuration names, and implements the scheduler's hooks. From there inwards:
//! `plugin` is one of them with its statistics, `load` and `component` make one of a file, `call` runs one question with
//! bounds, `guest` and `v0_1` speak the contract, `state` is what a call sees, and `imports` is what it reaches.
//!
//! Invariants that live here:
//!
//! 1. Every call has a store of its own and ends within its limits; nothing of it is left for the next one.
//! 2. A guest reaches what was granted, and nothing else; what comes from it is bounded before anybody looks at it.
//! 3. Only code that this process's engine compiled is run; a file that is refused changes nothing.
//! 4. The folders below `wit/` never change: a guest that was built once is understood for ever.

mod call;
mod compiler;
mod component;
mod context;
mod guest;
mod imports;
mod load;
mod plugin;
mod plugins;
mod policy;
mod runtime;
mod settings;
mod state;
mod statistics;
mod trial;
mod v0_1;

pub use call::CallError;
pub use compiler::{CompileBounds, CompilerProcess, compile_main};
pub use component::{MAX_BYTES, Need, Shape};
pub use imports::kv::{KvError, KvStore, MemoryKv};
pub use imports::log::{Level, LogLine, LogSink, NoSink};
pub use load::LoadError;
pub use plugin::{Reloaded, Report};
pub use plugins::{CheckError, HookOf, Plugins, PluginsError, Services, check};
pub use policy::*;
pub use runtime::RuntimeError;
pub use settings::*;
pub use statistics::{Asked, Latency, Tally};
pub use trial::{Trial, TrialError, Tried, Trying};
