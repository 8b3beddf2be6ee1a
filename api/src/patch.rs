//! JSON Merge Patch (RFC 7396) on a project's settings.
//!
//! Two things go beyond the RFC: the three ways to say when (`cron`, `every`, `manual`) exclude each other, and so do a
//! command and the parts of an rsync address; a patch that gives one takes the others out.

use serde_json::{Map, Value};

/// The ways to say when.
const RULES: [&str; 3] = ["cron", "every", "manual"];

/// The settings with the patch applied.
#[must_use]
pub fn apply(mut settings: Value, patch: &Value) -> Value {
    if let Some(given) = patch.get("schedule").and_then(Value::as_object)
        && let Some(schedule) = settings.get_mut("schedule").and_then(Value::as_object_mut)
    {
        for rule in RULES.into_iter().filter(|rule| given.get(*rule).is_some_and(|value| !value.is_null())) {
            schedule.retain(|key, _| key == rule || !RULES.contains(&key.as_str()));
        }
    }
    if let Some(given) = patch.get("source").and_then(Value::as_object)
        && let Some(source) = settings.get_mut("source").and_then(Value::as_object_mut)
    {
        let says = |key: &str| given.get(key).is_some_and(|value| !value.is_null());
        if says("command") {
            source.clear();
        } else if says("host") {
            source.remove("command");
        }
    }
    merge(&mut settings, patch);
    settings
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(object) = target else { return };
    for (key, value) in patch {
        if value.is_null() && key != "password" {
            object.remove(key);
        } else {
            merge(object.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_changes_what_it_names_and_null_takes_away() {
        let settings =
            json!({"name": "a", "retry": {"attempts": 3, "base": 30.0}, "labels": {"x": "1", "y": "2"}});
        let patch = json!({"name": "b", "retry": {"attempts": 5}, "labels": {"x": null}});
        let expected = json!({"name": "b", "retry": {"attempts": 5, "base": 30.0}, "labels": {"y": "2"}});
        assert_eq!(apply(settings, &patch), expected);
    }

    #[test]
    fn a_patch_to_a_command_takes_the_address_out_and_one_to_an_address_the_command() {
        let daemon = json!({"source": {"host": "h", "module": "m", "has_password": false}});
        let command = json!({"source": {"command": "git"}});
        assert_eq!(apply(daemon.clone(), &command), command);
        assert_eq!(apply(command.clone(), &daemon), daemon);
        assert_eq!(apply(daemon.clone(), &json!({"source": {"module": "n"}}))["source"]["host"], "h");
    }

    #[test]
    fn a_patch_that_says_when_replaces_the_old_way_to_say_it() {
        let settings = json!({"schedule": {"cron": {"minute": "1"}, "timezone": "UTC"}});
        let every = apply(settings.clone(), &json!({"schedule": {"every": "5m"}}));
        assert_eq!(every, json!({"schedule": {"every": "5m", "timezone": "UTC"}}));
        let cron = apply(settings, &json!({"schedule": {"cron": {"hour": "2"}}}));
        assert_eq!(cron, json!({"schedule": {"cron": {"minute": "1", "hour": "2"}, "timezone": "UTC"}}));
    }
}
