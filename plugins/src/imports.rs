//! What guests may reach, each import behind its grant, apart from the version of the contract that they speak.

pub(crate) mod dest;
pub(crate) mod http;
pub(crate) mod kv;
pub(crate) mod log;

use std::sync::Arc;

use scheduler::{ProjectId, RunId};

/// For whom a call is made.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) plugin: Arc<str>,
    /// None when a policy is asked about all projects at once.
    pub(crate) project: Option<ProjectId>,
    pub(crate) run: Option<RunId>,
}
