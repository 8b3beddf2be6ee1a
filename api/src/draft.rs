//! From the JSON that a client sends to a project, with every wrong field named at once.
//!
//! The same reader serves POST, PUT and PATCH (a merge patch is applied to the settings' JSON first) and `apply`.
//! What is not given has the configuration's default. What only the server writes (`generation`, `last_run`…) may
//! stand in the input, as it does when a client sends back what it read, and is passed over.

pub(crate) mod fields;
mod freshness;
mod hooks;
mod publish;
mod schedule;
mod source;
mod stages;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::rsync::options::take_port;
use engine::text::is_plain;
use engine::{Options, RetryPolicy};
use scheduler::destination::Landing;
use scheduler::{Guard, Project, ProjectId};
use serde_json::Value;

use crate::problem::FieldError;
use fields::Fields;
pub(crate) use source::source;

/// What a project has that says nothing else.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// rsync's options.
    pub options: Options,
    /// How failed attempts are tried again.
    pub retry: RetryPolicy,
    /// The longest attempt.
    pub timeout: Duration,
    /// The longest silence.
    pub stall: Duration,
    /// The most that may be deleted.
    pub guard: Guard,
    /// The commands that a source can name.
    pub commands: Vec<String>,
    /// The plugins that a project can name.
    pub plugins: Vec<String>,
}

/// What the server writes and a client may send back.
const READ_ONLY: [&str; 23] = [
    "as_of",
    "upstream_seen",
    "next_by",
    "marker",
    "stale",
    "owner",
    "state",
    "generation",
    "next_run",
    "last_run",
    "last_success",
    "running",
    "held",
    "queued",
    "failures",
    "failed_upstreams",
    "rehearsal_refusals",
    "skipped",
    "size_bytes",
    "files",
    "schedule_text",
    "created",
    "updated",
];
/// The same, for what only a single project shows.
const READ_ONLY_IN_FULL: [&str; 2] = ["next_runs", "command"];
/// Whether only the server writes this field of a project.
#[must_use]
pub fn is_read_only(field: &str) -> bool {
    READ_ONLY.contains(&field) || READ_ONLY_IN_FULL.contains(&field)
}

/// The longest name and label.
const MAX_TEXT: usize = 200;
/// The most labels.
const MAX_LABELS: usize = 32;
/// The most attempts of a run.
const MAX_ATTEMPTS: u64 = 100;

/// Reads a project.
///
/// `known` is the project that it replaces, if it does: its password stays unless the input says otherwise.
/// `owner` is the user who creates it.
///
/// # Errors
/// Every wrong field.
pub fn project(
    input: &Value,
    known: Option<&Project>,
    owner: &str,
    defaults: &Defaults,
    landing: &Landing,
) -> Result<Project, Vec<FieldError>> {
    let mut fields = Fields::root(input);
    let id = id(&mut fields, known);
    let seed = id.as_ref().map(ToString::to_string).unwrap_or_default();
    let name = fields.text("name", MAX_TEXT).unwrap_or_else(|| seed.clone());
    // A port among the options is the source's, and decides whom a password goes to.
    let (options, port) = options(&mut fields, &defaults.options);
    let (source, password) = source(&mut fields, known, port);
    if let Some(source) = &source {
        source::named(&mut fields, source, known, &defaults.commands);
    }
    let upstreams = source::upstreams(&mut fields, source.as_ref(), known, port);
    source::check_port(&mut fields, source.as_ref(), port);
    let dest = fields.required_text("dest").map(PathBuf::from);
    let place = dest
        .as_ref()
        .and_then(|dest| landing.resolve(dest).map_err(|error| fields.error("dest", error.to_string())).ok());
    let enabled = fields.bool("enabled").unwrap_or(true);
    let labels = labels(&mut fields);
    let stages = stages::read(&mut fields, options.as_ref());
    if stages.is_some() && source.as_ref().is_some_and(|source| source.command_name().is_some()) {
        fields.error("stages", "are rsync's: leave them out where a command brings the tree");
    }
    let schedule = schedule::read(&mut fields, &seed);
    let retry = retry(&mut fields, &defaults.retry);
    let timeout = fields.duration("timeout").unwrap_or(defaults.timeout);
    let stall = fields.duration("stall").unwrap_or(defaults.stall);
    let guard = guard(&mut fields, defaults.guard);
    let priority = fields.integer("priority", -1000, 1000).and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
    let fan_out = fields.bool("fan_out").unwrap_or(true);
    let expect_mount = fields.bool("expect_mount").unwrap_or(false);
    let publish = publish::read(&mut fields);
    let freshness = freshness::read(&mut fields);
    let hooks = hooks::read(&mut fields, known, &defaults.plugins);
    fields.pass_over(&READ_ONLY);
    fields.pass_over(&READ_ONLY_IN_FULL);
    // What the API of 2014 was given holds for as long as it says where the tree is.
    let given_dest = known
        .and_then(|known| known.given_dest.clone())
        .filter(|given| dest.as_ref().is_some_and(|dest| Path::new(given).join(&name) == *dest));
    let errors = fields.finish();
    let (Some(id), Some(source), Some(dest), Some(place), Some(options), Some(schedule), true) =
        (id, source, dest, place, options, schedule, errors.is_empty())
    else {
        return Err(errors);
    };
    Ok(Project {
        id,
        name,
        enabled,
        labels,
        owner: known.map_or_else(|| owner.to_owned(), |known| known.owner.clone()),
        owner_since: known.and_then(|known| known.owner_since),
        source,
        password,
        upstreams,
        dest,
        given_dest,
        place,
        options,
        stages,
        hooks,
        schedule,
        retry,
        timeout,
        stall,
        guard,
        // Known on slaves only, by what their master offers.
        expected: None,
        priority,
        fan_out,
        expect_mount,
        publish,
        freshness,
        // The scheduler sets these when it accepts the project.
        created: DateTime::<Utc>::UNIX_EPOCH,
        updated: DateTime::<Utc>::UNIX_EPOCH,
        version: 0,
    })
}

/// The id, or the name in its place.
fn id(fields: &mut Fields<'_>, known: Option<&Project>) -> Option<ProjectId> {
    let (field, text) = match fields.text("id", ProjectId::MAX * 4) {
        Some(id) => ("id", id),
        None if known.is_some() => return known.map(|known| known.id.clone()),
        None => (
            "name",
            fields.peek_text("name").or_else(|| {
                fields.error("id", "is missing: give the project a short name such as `debian`");
                None
            })?,
        ),
    };
    let id = ProjectId::from_str(&text).map_err(|error| fields.error(field, error.to_string())).ok()?;
    match known {
        Some(known) if known.id != id => {
            fields.error(
                "id",
                format!("is `{id}`, but the address names `{}`: a project keeps its id", known.id),
            );
            None
        }
        _ => Some(id),
    }
}

fn labels(fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let Some(given) = fields.object("labels") else { return labels };
    if given.len() > MAX_LABELS {
        fields.error("labels", format!("are {}: at most {MAX_LABELS} are kept", given.len()));
    }
    for (key, value) in given {
        let plain = |text: &str| !text.is_empty() && text.len() <= MAX_TEXT && is_plain(text);
        match value.as_str() {
            Some(value) if plain(value) && plain(key) && !key.contains('=') => {
                labels.insert(key.clone(), value.to_owned());
            }
            _ => fields.error(
                &format!("labels.{key}"),
                "must be a text of 1 to 200 characters, under a key without `=`",
            ),
        }
    }
    labels
}

/// The options, and the port that stood among them.
fn options(fields: &mut Fields<'_>, defaults: &Options) -> (Option<Options>, Option<u16>) {
    let (mut base, mut basic) = (defaults.defaults().to_vec(), defaults.basic().to_vec());
    let mut delete = defaults.delete().map(|mode| mode.to_string()).unwrap_or_default();
    if let Some(value) = fields.take("options").filter(|value| !value.is_null()) {
        let mut parts = fields.inside("options", value);
        base = parts.texts("defaults").unwrap_or(base);
        basic = parts.texts("basic").unwrap_or(basic);
        delete = parts.text("delete", MAX_TEXT).unwrap_or(delete);
        fields.leave(parts);
    }

    // As rsync takes it, the last one counts.
    let (first, last) = (take_port(&mut base), take_port(&mut basic));
    let read = Options::new(&base, &basic, &delete);
    let options = read
        .map_err(|errors| errors.into_iter().for_each(|error| fields.error(&error.field, error.message)))
        .ok();
    (options, last.or(first))
}

fn retry(fields: &mut Fields<'_>, defaults: &RetryPolicy) -> RetryPolicy {
    let Some(value) = fields.take("retry").filter(|value| !value.is_null()) else { return *defaults };
    let mut parts = fields.inside("retry", value);
    let attempts = parts.integer("attempts", 1, i64::try_from(MAX_ATTEMPTS).unwrap_or(i64::MAX));
    let base = parts.duration("base").unwrap_or(defaults.base);
    let cap = parts.duration("cap").unwrap_or_else(|| defaults.cap.max(base));
    if cap < base {
        parts.error("cap", "is smaller than `base`: no wait could be both");
    }
    fields.leave(parts);
    RetryPolicy {
        attempts: attempts.and_then(|n| u32::try_from(n).ok()).unwrap_or(defaults.attempts),
        base,
        cap,
    }
}

fn guard(fields: &mut Fields<'_>, defaults: Guard) -> Guard {
    let Some(value) = fields.take("guard").filter(|value| !value.is_null()) else { return defaults };
    let mut parts = fields.inside("guard", value);
    let percent = parts.integer("max_delete_percent", 0, 100).and_then(|n| u8::try_from(n).ok());
    let count = parts.integer("max_delete", 0, i64::from(i32::MAX)).and_then(|n| u64::try_from(n).ok());
    fields.leave(parts);
    Guard {
        max_delete_percent: percent.unwrap_or(defaults.max_delete_percent),
        max_delete: count.unwrap_or(defaults.max_delete),
    }
}
