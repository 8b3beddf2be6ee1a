//! Where a project is pulled from: its source, the upstreams after it, and their passwords.

use engine::{Secret, Source};
use scheduler::{Project, Upstream};
use serde_json::Value;

use super::fields::Fields;

/// The most upstreams beside the source.
const MAX_UPSTREAMS: usize = 8;

/// The source, and its password. `port` is the one that it has unless it says another.
pub(crate) fn source(
    fields: &mut Fields<'_>,
    known: Option<&Project>,
    port: Option<u16>,
) -> (Option<Source>, Option<Secret>) {
    match fields.take("source") {
        None | Some(Value::Null) => {
            fields.error("source", "is missing: give `rsync://host/module/path`, or its parts");
            (None, None)
        }
        Some(value) => match one(fields, "source", value, known, port) {
            Some(upstream) => (Some(upstream.source), upstream.password),
            None => (None, None),
        },
    }
}

/// A command must be one that the configuration names, or the one that the project has: what was taken out of the
/// configuration must not keep people from changing something else.
pub(super) fn named(fields: &mut Fields<'_>, source: &Source, known: Option<&Project>, commands: &[String]) {
    if known.is_some_and(|known| known.source == *source) {
        return;
    }
    let Some(name) = source.command_name().filter(|name| !commands.iter().any(|known| known == name)) else {
        return;
    };
    let known = match commands {
        [] => "it names none: add it there under `commands`".to_owned(),
        known => format!("it names {}", known.join(", ")),
    };
    fields.error("source.command", format!("is `{name}`, which the configuration does not name; {known}"));
}

/// Refuses a port among the options that is not the source's.
pub(super) fn check_port(fields: &mut Fields<'_>, source: Option<&Source>, port: Option<u16>) {
    if let (Some(port), Some(source)) = (port, source)
        && source.port() != port
    {
        let why = "is another port than that of `source`: leave it out, and give `source.port`";
        fields.error("options", format!("`--port={port}` {why}"));
    }
}

/// The upstreams that come after the source, in order.
pub(super) fn upstreams(
    fields: &mut Fields<'_>,
    first: Option<&Source>,
    known: Option<&Project>,
    port: Option<u16>,
) -> Vec<Upstream> {
    let value = match fields.take("upstreams") {
        None | Some(Value::Null) => return Vec::new(),
        Some(value) => value,
    };
    let Some(items) = value.as_array() else {
        fields.error("upstreams", "must be a list of sources");
        return Vec::new();
    };
    if items.len() > MAX_UPSTREAMS {
        fields.error("upstreams", format!("are {}: at most {MAX_UPSTREAMS} are kept", items.len()));
    }
    let mut found: Vec<Upstream> = Vec::new();
    for (number, item) in items.iter().enumerate().take(MAX_UPSTREAMS) {
        let key = format!("upstreams[{number}]");
        let Some(upstream) = one(fields, &key, item, known, port) else { continue };
        if upstream.source.command_name().is_some()
            || first.is_some_and(|first| first.command_name().is_some())
        {
            fields.error(&key, "cannot stand beside or be a command: upstreams are rsync's");
        }
        let same = |other: &Upstream| other.source == upstream.source;
        if first == Some(&upstream.source) || found.iter().any(same) {
            fields.error(&key, "stands there already: an upstream is asked once");
        }
        found.push(upstream);
    }
    found
}

/// The password that the project has for this login. It stays with the host, port and user that it was given for, and goes
/// to nobody else: else who may change a project could have its password sent to a machine of theirs.
fn kept(known: Option<&Project>, source: &Source) -> Option<Secret> {
    let login = |source: &Source| (source.host().to_owned(), source.port(), source.user().map(str::to_owned));
    known?.sources().find(|(known, _)| login(known) == login(source))?.1.cloned()
}

/// One source, as an address or by its parts.
fn one<'a>(
    fields: &mut Fields<'a>,
    key: &str,
    value: &'a Value,
    known: Option<&Project>,
    port: Option<u16>,
) -> Option<Upstream> {
    let at_port = |source: Source| port.map_or(source.clone(), |port| source.with_default_port(port));
    if let Value::String(text) = value {
        return match text.parse::<Source>().map(at_port) {
            Ok(source) => Some(Upstream { password: kept(known, &source), source }),
            Err(errors) => {
                for error in errors.0 {
                    fields.error(key, error.to_string());
                }
                None
            }
        };
    }
    let mut parts = fields.inside(key, value);
    let source = match parts.text("command", 64) {
        Some(name) => Source::command(&name).map_err(|error| parts.error(error.field, error.message)).ok(),
        None => source_of(&mut parts).map(at_port),
    };
    let has_password = parts.bool("has_password");
    let given = parts.take("password");
    let mentioned = given.is_some();
    let password = match given {
        Some(Value::String(text)) if !text.is_empty() => {
            Secret::password(text.as_str()).map_err(|error| parts.error("password", error.to_string())).ok()
        }
        Some(Value::Null | Value::String(_)) => None,
        Some(_) => {
            parts.error("password", "must be a text");
            None
        }
        None if has_password == Some(false) => None,
        None => source.as_ref().and_then(|source| kept(known, source)),
    };
    let had = known.is_some_and(|known| known.sources().any(|(_, password)| password.is_some()));
    if password.is_none() && source.is_some() && has_password == Some(true) && had && !mentioned {
        parts.error(
            "password",
            "was given for another host, port or user, and is not sent to this one: give it again, or say \"has_password\": false",
        );
    }
    fields.leave(parts);
    source.map(|source| Upstream { source, password })
}

fn source_of(parts: &mut Fields<'_>) -> Option<Source> {
    let host = parts.required_text("host").unwrap_or_default();
    let module = parts.required_text("module").unwrap_or_default();
    let port = parts.integer("port", 1, 65_535).and_then(|port| u16::try_from(port).ok());
    let path = parts.text("path", 4096).unwrap_or_default();
    let user = parts.text("user", 64).filter(|user| !user.is_empty());
    if host.is_empty() || module.is_empty() {
        return None;
    }
    let port = port.unwrap_or(engine::source::DEFAULT_PORT);
    match Source::new(user.as_deref(), &host, port, &module, &path) {
        Ok(source) => Some(source),
        Err(errors) => {
            for error in errors {
                parts.error(error.field, error.message);
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use scheduler::Project;
    use scheduler::destination::Landing;
    use serde_json::{Value, json};

    use super::super::tests::{defaults, errors};
    use crate::problem::FieldError;
    use crate::view;

    fn read(input: &Value, known: Option<&Project>) -> Result<Project, Vec<FieldError>> {
        super::super::project(input, known, "root", &defaults(), &Landing::default())
    }

    fn with(upstreams: &Value) -> Value {
        json!({"id": "p", "source": "rsync://a@one/m", "dest": "/data/p", "upstreams": upstreams})
    }

    #[test]
    fn upstreams_come_in_the_same_forms_as_the_source_each_with_its_own_password() {
        let given =
            json!(["rsync://two/m", {"host": "three", "module": "m", "user": "u", "password": "hunter2"}]);
        let project = read(&with(&given), None).unwrap();
        let urls: Vec<String> = project.sources().map(|(source, _)| source.to_string()).collect();
        assert_eq!(urls, ["rsync://a@one/m", "rsync://two/m", "rsync://u@three/m"]);
        let passwords: Vec<bool> = project.sources().map(|(_, password)| password.is_some()).collect();
        assert_eq!(passwords, [false, false, true]);
        // What is read back and sent again keeps it; another login does not get it.
        let mut shown = view::settings(&project);
        assert!(!shown.to_string().contains("hunter2"));
        assert_eq!(read(&shown, Some(&project)).unwrap().upstreams, project.upstreams);
        shown["upstreams"][1]["host"] = json!("evil");
        let refused = read(&shown, Some(&project)).unwrap_err();
        assert_eq!(refused[0].field, "upstreams[1].password");
        shown["upstreams"][1] = json!("rsync://u@evil/m");
        assert_eq!(read(&shown, Some(&project)).unwrap().upstreams[1].password, None);
    }

    #[test]
    fn a_wrong_upstream_is_named_by_its_place() {
        for (given, field) in [
            (json!("rsync://two/m"), "upstreams"),
            (json!(["http://two/m"]), "upstreams[0]"),
            (json!(["rsync://two/m", {"host": "three"}]), "upstreams[1].module"),
            (json!(["rsync://a@one/m"]), "upstreams[0]"),
            (json!(["rsync://two/m", "rsync://two/m"]), "upstreams[1]"),
            (json!([{"host": "two", "module": "m", "prot": 1}]), "upstreams[0].prot"),
            (json!(vec!["rsync://two/m"; 9]), "upstreams"),
        ] {
            assert!(errors(&with(&given)).iter().any(|(error, _)| error == field), "{given}");
        }
    }
}
