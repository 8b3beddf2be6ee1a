//! What one call can see and reach; it is made for the call and goes with it.

mod wasi;

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::ResourceLimiter;

use crate::imports::dest::Dest;
use crate::imports::http::Client;
use crate::imports::kv::Kv;
use crate::imports::log::Log;
use crate::runtime::Quota;
use crate::settings::Grants;
use wasi::Wasi;

/// The data of a store.
pub(crate) struct State {
    pub(crate) quota: Quota,
    pub(crate) log: Log,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) kv: Kv,
    pub(crate) dest: Dest,
    pub(crate) http: Arc<Client>,
    pub(crate) grants: Arc<Grants>,
    /// The time, for guests that must not look at a clock.
    pub(crate) frozen: Option<u64>,
    /// Made when it is first needed: most guests never ask.
    pub(crate) wasi: Option<Box<Wasi>>,
}

impl State {
    pub(crate) fn quota(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.quota
    }
}
