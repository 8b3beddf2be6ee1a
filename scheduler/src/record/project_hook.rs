//! The stored form of a plugin that a project names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::RecordError;
use crate::hooks::When;
use crate::project::ProjectHook;

#[derive(Serialize, Deserialize)]
pub(super) struct HookRecord {
    plugin: String,
    on: Vec<String>,
    order: Option<i32>,
    closed: Option<bool>,
    config: BTreeMap<String, String>,
}

impl From<&ProjectHook> for HookRecord {
    fn from(hook: &ProjectHook) -> Self {
        Self {
            plugin: hook.plugin.clone(),
            on: hook.on.iter().map(|when| when.as_str().to_owned()).collect(),
            order: hook.order,
            closed: hook.closed,
            config: hook.config.clone(),
        }
    }
}

impl HookRecord {
    pub(super) fn read(self) -> Result<ProjectHook, RecordError> {
        let when = |word: &String| {
            word.parse::<When>().map_err(|()| RecordError::Refused { field: "hooks", why: word.clone() })
        };
        Ok(ProjectHook {
            on: self.on.iter().map(when).collect::<Result<_, _>>()?,
            plugin: self.plugin,
            order: self.order,
            closed: self.closed,
            config: self.config,
        })
    }
}
