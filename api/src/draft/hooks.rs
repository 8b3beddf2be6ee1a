//! The plugins that a project names: `hooks`.

use std::collections::BTreeMap;

use scheduler::Project;
use scheduler::hooks::When;
use scheduler::project::ProjectHook;
use serde_json::Value;

use super::fields::Fields;

/// The most of one project.
const MAX_HOOKS: usize = 16;
/// The most settings of one hook, and the longest of them.
const MAX_SETTINGS: (usize, usize) = (50, 4096);

/// The hooks; `plugins` are those of the configuration. One that the project names already may be gone from there: that must
/// not keep people from changing something else.
pub(super) fn read(fields: &mut Fields<'_>, known: Option<&Project>, plugins: &[String]) -> Vec<ProjectHook> {
    let has = |plugin: &str| known.is_some_and(|known| known.hooks.iter().any(|hook| hook.plugin == plugin));
    let value = match fields.take("hooks") {
        None | Some(Value::Null) => return Vec::new(),
        Some(value) => value,
    };
    let Some(items) = value.as_array() else {
        fields
            .error("hooks", "must be a list such as [{\"plugin\": \"trace-file\", \"on\": [\"post-sync\"]}]");
        return Vec::new();
    };
    if items.len() > MAX_HOOKS {
        fields.error("hooks", format!("are {}: at most {MAX_HOOKS} are kept", items.len()));
    }
    let mut hooks: Vec<ProjectHook> = Vec::new();
    for (number, item) in items.iter().enumerate().take(MAX_HOOKS) {
        let mut parts = fields.inside(&format!("hooks[{number}]"), item);
        let hook = one(&mut parts, has, plugins);
        if hooks.iter().any(|other| other.plugin == hook.plugin) {
            parts.error("plugin", "stands there already: name each plugin once");
        }
        fields.leave(parts);
        hooks.push(hook);
    }
    hooks
}

fn one(parts: &mut Fields<'_>, has: impl Fn(&str) -> bool, plugins: &[String]) -> ProjectHook {
    let plugin = parts.required_text("plugin").unwrap_or_default();
    if !plugin.is_empty() && !plugins.contains(&plugin) && !has(&plugin) {
        let known = match plugins {
            [] => "it names none: add it there under `plugins`".to_owned(),
            known => format!("it names {}", known.join(", ")),
        };
        parts.error("plugin", format!("is `{plugin}`, which the configuration does not name; {known}"));
    }
    let mut on = Vec::new();
    for word in parts.texts("on").unwrap_or_default() {
        match word.parse::<When>() {
            Ok(when) if !on.contains(&when) => on.push(when),
            Ok(_) => {}
            Err(()) => parts.error("on", format!("holds `{word}`: expected pre-sync or post-sync")),
        }
    }
    let order = parts.integer("order", -1000, 1000).and_then(|order| i32::try_from(order).ok());
    let closed = parts.text("failure", 16).and_then(|word| match word.as_str() {
        "open" => Some(false),
        "closed" => Some(true),
        _ => {
            parts.error("failure", "must be \"open\" or \"closed\"");
            None
        }
    });
    ProjectHook { plugin, on, order, closed, config: config(parts) }
}

fn config(parts: &mut Fields<'_>) -> BTreeMap<String, String> {
    let mut config = BTreeMap::new();
    let Some(given) = parts.object("config") else { return config };
    let (most, longest) = MAX_SETTINGS;
    if given.len() > most {
        parts.error("config", format!("are {} settings: at most {most} are kept", given.len()));
    }
    for (key, value) in given {
        match value.as_str().filter(|value| value.len() <= longest) {
            Some(value) => {
                config.insert(key.clone(), value.to_owned());
            }
            None => parts.error(&format!("config.{key}"), "must be a text"),
        }
    }
    config
}
