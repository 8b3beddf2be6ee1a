//! A project of 2014 as the document that `/api/v1` takes, its errors under the old names, and a project as 2014 shows
//! it.
//!
//! What an old project says in one word the new one has in parts: `project` is its name, its login at the upstream and
//! the last part of its destination, `rsync_host` may hold a port, `rsync_module` a path.

use std::path::Path;

use engine::source::DEFAULT_PORT;
use scheduler::{Project, ProjectId, Rule};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::input::{Given, host_and_port, take_port};
use crate::problem::FieldError;

/// What may stand beside the cron fields.
const BESIDE_CRON: [&str; 3] = ["start_date", "end_date", "timezone"];
/// The lists of options.
const LISTS: [&str; 2] = ["basic", "defaults"];

/// What `add_project` and `update_project/basic` give; what is missing is none.
pub(super) struct Basic {
    /// The name.
    pub(super) project: Option<String>,
    host: Option<String>,
    module: Option<String>,
    /// The folder above the destination, as it was given.
    pub(super) dest: Option<String>,
    password: Option<String>,
    /// Without a port.
    options: Option<Map<String, Value>>,
    port: Option<u16>,
}

impl Basic {
    /// Reads what stands in a payload. Keys other than these and `also` are noted as wrong.
    pub(super) fn read(given: &Given, also: &[&str], errors: &mut Vec<FieldError>) -> Self {
        let known = ["project", "rsync_host", "rsync_module", "dest", "rsync_password", "rsync_options"];
        for key in given.keys().filter(|key| !known.contains(&key.as_str()) && !also.contains(&key.as_str()))
        {
            errors.push(FieldError::new(key, "is not known"));
        }
        let mut text = |key: &str| {
            let read = super::input::text(given, key);
            read.map_err(|problem| errors.push(FieldError::new(key, plain(key, &problem.note()))))
                .ok()
                .flatten()
        };
        let project = text("project");
        let (host, module) = (text("rsync_host"), text("rsync_module"));
        let (dest, password) = (text("dest"), text("rsync_password"));
        if let Some(Err(error)) = project.as_deref().map(str::parse::<ProjectId>) {
            errors.push(FieldError::new("project", error.to_string()));
        }
        let (host, of_host) = match host.as_deref().map(host_and_port) {
            None => (None, None),
            Some(Ok((host, port))) => (Some(host), port),
            Some(Err(error)) => {
                errors.push(FieldError::new("rsync_host", error));
                (None, None)
            }
        };
        let (options, of_options) = options(given.get("rsync_options"), errors);
        let port = match (of_host, of_options) {
            (Some(one), Some(other)) if one != other => {
                let message =
                    format!("`--port={other}` is another port than that of `rsync_host`: keep one of them");
                errors.push(FieldError::new("rsync_options", message));
                None
            }
            (of_host, of_options) => of_host.or(of_options),
        };
        Self { project, host, module, dest, password, options, port }
    }

    /// Writes what was given over the settings of a project, or over nothing.
    pub(super) fn write(&self, document: &mut Value) {
        let source = &mut document["source"];
        if let Some(host) = &self.host {
            source["host"] = json!(host);
            // A host without a port is at the usual one, whatever the port of the one before.
            source["port"] = json!(DEFAULT_PORT);
        }
        if let Some(port) = self.port {
            source["port"] = json!(port);
        }
        if let Some(module) = &self.module {
            let tree = module.trim_start_matches('/');
            let (module, path) = tree.split_once('/').unwrap_or((tree, ""));
            source["module"] = json!(module);
            source["path"] = json!(path);
        }
        if let Some(password) = &self.password {
            source["password"] = json!(password);
        }
        for (key, value) in self.options.iter().flatten() {
            document["options"][key] = value.clone();
        }
    }
}

/// The options, and the port that stood among them.
fn options(value: Option<&Value>, errors: &mut Vec<FieldError>) -> (Option<Map<String, Value>>, Option<u16>) {
    let Some(value) = value.filter(|value| !value.is_null()) else { return (None, None) };
    let Some(given) = value.as_object() else {
        errors
            .push(FieldError::new("rsync_options", "must be an object of `basic`, `defaults` and `delete`"));
        return (None, None);
    };
    let (mut options, mut port) = (given.clone(), None);
    for key in LISTS {
        let Some(Value::Array(list)) = options.get_mut(key) else { continue };
        // What is no text is told of by the reader of the document.
        let Some(mut texts) =
            list.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        else {
            continue;
        };
        match take_port(&mut texts) {
            Ok(found) => port = found.or(port),
            Err(error) => errors.push(FieldError::new(format!("rsync_options.{key}"), error)),
        }
        *list = texts.into_iter().map(Value::String).collect();
    }
    (Some(options), port)
}

/// The destination of a project in the folder that was given.
pub(super) fn dest_in(folder: &str, project: &str) -> String {
    format!("{}/{project}", folder.trim_end_matches('/'))
}

/// The folder above a project's destination.
pub(super) fn folder_of(project: &Project) -> String {
    let above = || project.dest.parent().unwrap_or(Path::new("/")).display().to_string();
    project.given_dest.clone().unwrap_or_else(above)
}

/// The schedule that cron fields say, with the dates beside them; none without any of them.
pub(super) fn schedule(given: &Given) -> Value {
    let mut schedule = json!({ "cron": {} });
    for (key, value) in given.iter().filter(|(_, value)| !value.is_null()) {
        match (BESIDE_CRON.contains(&key.as_str()), value) {
            (true, Value::Number(number)) => schedule[key] = json!(number.to_string()),
            (true, value) => schedule[key] = value.clone(),
            (false, value) => schedule["cron"][key] = value.clone(),
        }
    }
    schedule
}

/// Errors of the document under the names that the payload has; `cron` stands before those of the schedule.
pub(super) fn renamed(errors: Vec<FieldError>, cron: &str) -> Vec<FieldError> {
    let rename = |field: &str| match field {
        "source" | "source.host" | "source.port" => "rsync_host".to_owned(),
        "source.module" | "source.path" => "rsync_module".to_owned(),
        "source.password" => "rsync_password".to_owned(),
        "source.user" | "name" => "project".to_owned(),
        "schedule" | "schedule.cron" if cron.is_empty() => "the schedule".to_owned(),
        "schedule" | "schedule.cron" => cron.trim_end_matches('.').to_owned(),
        other => match other.strip_prefix("schedule.cron.").or_else(|| other.strip_prefix("schedule.")) {
            Some(field) => format!("{cron}{field}"),
            None if other.starts_with("options") => format!("rsync_{other}"),
            None => other.to_owned(),
        },
    };
    errors.into_iter().map(|error| FieldError::new(rename(&error.field), error.message)).collect()
}

/// A message without the field's name before it.
fn plain(key: &str, note: &str) -> String {
    note.strip_prefix(key).and_then(|note| note.strip_prefix(": ")).unwrap_or(note).to_owned()
}

/// A project as 2014 shows it, but for its password.
#[derive(Debug, serde::Serialize)]
pub(super) struct ProjectView {
    id: String,
    project: String,
    rsync_host: String,
    rsync_module: String,
    dest: String,
    enabled: bool,
    rsync_options: OptionsView,
    cron_options: CronView,
}

#[derive(Debug, serde::Serialize)]
struct OptionsView {
    basic: Vec<String>,
    defaults: Vec<String>,
    delete: String,
}

/// The eight fields from the year to the second; nothing, when the schedule is of a kind that 2014 did not know.
#[derive(Debug)]
struct CronView(Vec<(&'static str, String)>);

impl Serialize for CronView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, text)| (name, text)))
    }
}

/// A project for the list.
pub(super) fn view(project: &Project) -> ProjectView {
    let source = &project.source;
    let host =
        if source.host().contains(':') { format!("[{}]", source.host()) } else { source.host().to_owned() };
    ProjectView {
        id: project.id.to_string(),
        project: project.name.clone(),
        rsync_host: match source.port() {
            DEFAULT_PORT => host,
            port => format!("{host}:{port}"),
        },
        rsync_module: match source.path() {
            "" => source.module().to_owned(),
            path => format!("{}/{path}", source.module()),
        },
        dest: folder_of(project),
        enabled: project.enabled,
        rsync_options: OptionsView {
            basic: project.options.basic().to_vec(),
            defaults: project.options.defaults().to_vec(),
            delete: project.options.delete().map(|mode| mode.to_string()).unwrap_or_default(),
        },
        cron_options: match &project.schedule.rule {
            Rule::Fields(fields) => CronView(fields.filled().to_vec()),
            Rule::Cron(_) | Rule::Every(_) | Rule::Manual => CronView(Vec::new()),
        },
    }
}
