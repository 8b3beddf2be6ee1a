//! A project as an importer makes it: only what the old configuration says, in the form that `project apply` reads.

use std::collections::BTreeMap;

use engine::Source;
use engine::source::DEFAULT_PORT;
use serde_json::{Map, Value, json};

/// A project to be; what is `None` or empty is left to the server's configuration.
#[derive(Debug, Clone, Default)]
pub(super) struct Project {
    pub(super) id: String,
    /// The old name, where it cannot be an id.
    pub(super) name: Option<String>,
    /// Why its schedule is to rest, if it is.
    pub(super) rests: Option<String>,
    pub(super) source: Option<Source>,
    pub(super) password: Option<String>,
    pub(super) dest: String,
    pub(super) schedule: Schedule,
    pub(super) defaults: Option<Vec<String>>,
    pub(super) basic: Vec<String>,
    pub(super) delete: Option<String>,
    /// The kind of repository that is brought in two stages.
    pub(super) stages: Option<&'static str>,
    pub(super) max_delete: Option<u64>,
    pub(super) attempts: Option<u64>,
    pub(super) timeout: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
}

/// When it runs.
#[derive(Debug, Clone, Default)]
pub(super) enum Schedule {
    #[default]
    Manual,
    /// So long after the end of the last run.
    Every(String),
    Cron {
        fields: Vec<(String, String)>,
        timezone: Option<String>,
        start: Option<String>,
        end: Option<String>,
    },
}

/// In which order a person reads a project and its parts; the keys that are not here come last.
pub(super) const ORDER: [&str; 24] = [
    "id",
    "name",
    "enabled",
    "source",
    "host",
    "port",
    "module",
    "path",
    "user",
    "password",
    "dest",
    "schedule",
    "cron",
    "timezone",
    "start_date",
    "options",
    "defaults",
    "basic",
    "delete",
    "stages",
    "retry",
    "timeout",
    "guard",
    "labels",
];

impl Project {
    /// The document that the server reads.
    pub(super) fn document(&self) -> Value {
        let mut document = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                document.insert(key.to_owned(), value);
            }
        };
        put("id", Some(json!(self.id)));
        put("name", self.name.as_ref().map(|name| json!(name)));
        put("enabled", self.rests.as_ref().map(|_| json!(false)));
        put("source", self.source.as_ref().map(|source| self.upstream(source)));
        put("dest", Some(json!(self.dest)));
        put("schedule", Some(self.schedule.document()));
        put("options", self.options());
        put("stages", self.stages.map(|kind| json!(kind)));
        put("retry", self.attempts.map(|attempts| json!({ "attempts": attempts })));
        put("timeout", self.timeout.as_ref().map(|timeout| json!(timeout)));
        put("guard", self.max_delete.map(|most| json!({ "max_delete": most })));
        put("labels", (!self.labels.is_empty()).then(|| json!(self.labels)));
        Value::Object(document)
    }

    fn upstream(&self, source: &Source) -> Value {
        let Some(password) = &self.password else { return json!(source.to_string()) };
        let mut parts = Map::new();
        parts.insert("host".to_owned(), json!(source.host()));
        if source.port() != DEFAULT_PORT {
            parts.insert("port".to_owned(), json!(source.port()));
        }
        parts.insert("module".to_owned(), json!(source.module()));
        if !source.path().is_empty() {
            parts.insert("path".to_owned(), json!(source.path()));
        }
        if let Some(user) = source.user() {
            parts.insert("user".to_owned(), json!(user));
        }
        parts.insert("password".to_owned(), json!(password));
        Value::Object(parts)
    }

    fn options(&self) -> Option<Value> {
        let mut options = Map::new();
        if let Some(defaults) = &self.defaults {
            options.insert("defaults".to_owned(), json!(defaults));
        }
        if !self.basic.is_empty() {
            options.insert("basic".to_owned(), json!(self.basic));
        }
        if let Some(delete) = &self.delete {
            options.insert("delete".to_owned(), json!(delete));
        }
        (!options.is_empty()).then_some(Value::Object(options))
    }
}

impl Schedule {
    fn document(&self) -> Value {
        match self {
            Self::Manual => json!({ "manual": true }),
            Self::Every(pause) => json!({ "every": pause }),
            Self::Cron { fields, timezone, start, end } => {
                let mut schedule = Map::new();
                let cron: Map<_, _> = fields.iter().map(|(key, text)| (key.clone(), json!(text))).collect();
                schedule.insert("cron".to_owned(), Value::Object(cron));
                for (key, text) in [("timezone", timezone), ("start_date", start), ("end_date", end)] {
                    if let Some(text) = text {
                        schedule.insert(key.to_owned(), json!(text));
                    }
                }
                Value::Object(schedule)
            }
        }
    }
}

/// An id from a name that may not be one: what cannot stand in an id becomes `-`.
pub(super) fn id_of(name: &str) -> String {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
    let id: String = name.chars().map(|c| if good(c) { c } else { '-' }).collect();
    id.trim_start_matches(|c: char| !c.is_ascii_alphanumeric())
        .chars()
        .take(scheduler::ProjectId::MAX)
        .collect()
}

/// A path without doubled and trailing slashes, so that two spellings of one place look the same.
pub(super) fn tidy_path(path: &str) -> String {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// Whole minutes in the largest unit that holds them.
pub(super) fn pause_of_minutes(minutes: u64) -> String {
    match minutes {
        _ if minutes.is_multiple_of(1440) => format!("{}d", minutes / 1440),
        _ if minutes.is_multiple_of(60) => format!("{}h", minutes / 60),
        _ => format!("{minutes}m"),
    }
}
