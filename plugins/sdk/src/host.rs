//! The host's functions: the real ones in a component, those of [`testing`](crate::testing) in a native test.

#[cfg(target_arch = "wasm32")]
pub use crate::bindings::imports::heliostat::plugin::{clock, config, dest, http, kv, log, random};

#[cfg(not(target_arch = "wasm32"))]
pub use crate::testing::host::{clock, config, dest, http, kv, log, random};
