//! The plugins that a project names itself, beside those that are configured for it.

use std::collections::BTreeMap;

use crate::hooks::When;

/// A plugin that is asked about this project, whatever projects the configuration gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectHook {
    /// Which plugin.
    pub plugin: String,
    /// When it is asked; empty: whenever it can be.
    pub on: Vec<When>,
    /// Its place among the others, smaller first; none: the configuration's.
    pub order: Option<i32>,
    /// Whether a run fails without its answer; none: the configuration's.
    pub closed: Option<bool>,
    /// Its settings for this project, which go before those of the configuration.
    pub config: BTreeMap<String, String>,
}

impl ProjectHook {
    /// Whether it is asked then.
    #[must_use]
    pub fn is_asked(&self, when: When) -> bool {
        self.on.is_empty() || self.on.contains(&when)
    }
}
