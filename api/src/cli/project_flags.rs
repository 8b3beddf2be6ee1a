//! The settings of a project as flags, and as the document that the API takes.
//!
//! Only what is typed is sent; values go to the server as they are, which knows what is right and says what is wrong.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use engine::secret::LONGEST_PASSWORD;
use engine::{PasswordError, Secret};
use serde_json::{Map, Value, json};

use super::failure::Failure;

/// The settings that `project add` and `project update` share.
#[derive(Debug, Args)]
pub(super) struct Settings {
    /// A name for people
    #[arg(long)]
    name: Option<String>,
    /// An option for rsync beside the defaults; may be given more than once
    #[arg(long = "option", value_name = "OPTION", allow_hyphen_values = true)]
    options: Vec<String>,
    /// An option in place of the configuration's defaults (-avH); may be given more than once
    #[arg(long = "default-option", value_name = "OPTION", allow_hyphen_values = true)]
    default_options: Vec<String>,
    /// How rsync deletes, such as --delete-after; empty: not at all
    #[arg(long, value_name = "MODE", allow_hyphen_values = true)]
    delete: Option<String>,
    /// Read the upstream's password from the first line of this file; - is the standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Another upstream, asked when those before it fail; may be given more than once; an empty one takes them away
    #[arg(long = "upstream", value_name = "URL")]
    upstreams: Vec<String>,
    /// Bring the index last: debian, ubuntu, rpm, arch; empty: all at once
    #[arg(long, value_name = "KIND", conflicts_with = "index")]
    stages: Option<String>,
    /// Bring what matches this pattern last, as the index; may be given more than once
    #[arg(long = "index", value_name = "PATTERN")]
    index: Vec<String>,
    /// A label, such as array=1; may be given more than once; KEY= takes it away
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// Higher ones go first, -1000 to 1000
    #[arg(long, allow_negative_numbers = true)]
    priority: Option<i64>,
    /// Ask this plugin too, at its hooks or at those named, such as trace-file:post-sync; may be given more than once; an
    /// empty one takes them away
    #[arg(long = "hook", value_name = "PLUGIN[:HOOK,HOOK]")]
    hooks: Vec<String>,
    /// Run only while a file system is mounted at the destination or above it; =false takes that back
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    expect_mount: Option<bool>,
    /// Do not ask the upstream first whether it has the module and lets us in
    #[arg(long)]
    pub(super) no_probe: bool,
    #[command(flatten)]
    schedule: ScheduleFlags,
    #[command(flatten)]
    bounds: BoundFlags,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "When")]
struct ScheduleFlags {
    /// A cron text of five or six fields, or @daily and its like
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["every", "manual"])]
    cron: Option<String>,
    /// So long after the end of the last run, such as 6h
    #[arg(long, value_name = "PAUSE", conflicts_with = "manual")]
    every: Option<String>,
    /// Only by hand
    #[arg(long)]
    manual: bool,
    #[command(flatten)]
    fields: CronFlags,
    /// The zone of the wall clock, such as Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Nothing fires before
    #[arg(long, value_name = "DATE", alias = "start_date")]
    start_date: Option<String>,
    /// Nothing fires after
    #[arg(long, value_name = "DATE", alias = "end_date")]
    end_date: Option<String>,
    /// Start each run later by a part of this
    #[arg(long, value_name = "DURATION")]
    jitter: Option<String>,
    /// What becomes of times that passed while nothing ran: once, none, or "within 6h"
    #[arg(long, value_name = "RULE")]
    catch_up: Option<String>,
}

/// The cron fields; what is not given follows the rules in docs/projects.md.
#[derive(Debug, Args)]
#[group(conflicts_with_all = ["cron", "every", "manual"], multiple = true)]
struct CronFlags {
    /// Cron field: 2026
    #[arg(long)]
    year: Option<String>,
    /// Cron field: 1-12, jan-dec
    #[arg(long)]
    month: Option<String>,
    /// Cron field: 1-31, last, 2nd fri
    #[arg(long)]
    day: Option<String>,
    /// Cron field: 1-53
    #[arg(long)]
    week: Option<String>,
    /// Cron field: 0-6 with 0 = Monday, mon-sun
    #[arg(long, alias = "day_of_week")]
    day_of_week: Option<String>,
    /// Cron field: 0-23
    #[arg(long)]
    hour: Option<String>,
    /// Cron field: 0-59, */5
    #[arg(long)]
    minute: Option<String>,
    /// Cron field: 0-59
    #[arg(long)]
    second: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Bounds")]
struct BoundFlags {
    /// Attempts of one run
    #[arg(long)]
    attempts: Option<u32>,
    /// The pause before the second attempt, growing from there
    #[arg(long, value_name = "DURATION")]
    retry_base: Option<String>,
    /// The longest pause between attempts
    #[arg(long, value_name = "DURATION")]
    retry_cap: Option<String>,
    /// The longest attempt
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// The longest silence of an attempt
    #[arg(long, value_name = "DURATION")]
    stall: Option<String>,
    /// The most that one run may delete, in percent of the known files
    #[arg(long, value_name = "PERCENT")]
    max_delete_percent: Option<u8>,
    /// The most files that one run may delete
    #[arg(long, value_name = "FILES")]
    max_delete: Option<u64>,
    /// What tells that the upstream has moved: auto, none, or a file below the source
    #[arg(long, value_name = "PATH")]
    marker: Option<String>,
    /// What is compared where the upstream has no marker: marker (nothing), or list (the list of all its files)
    #[arg(long, value_name = "WHAT")]
    compare: Option<String>,
    /// How often a whole run follows although the upstream has not moved
    #[arg(long, value_name = "DURATION")]
    verify_every: Option<String>,
    /// How old the upstream may be by its marker
    #[arg(long, value_name = "DURATION")]
    freshness_target: Option<String>,
}

impl Settings {
    /// What was typed, as the API takes it. In an update, an address in full may stand in `source`.
    pub(super) fn document(&self, source: Option<&str>) -> Result<Map<String, Value>, Failure> {
        let mut document = Map::new();
        let mut set =
            |key: &str, value: Option<Value>| value.map(|value| document.insert(key.to_owned(), value));
        set("name", self.name.as_ref().map(|name| json!(name)));
        set("source", self.source(source)?);
        set("upstreams", self.upstreams());
        set("stages", self.stages());
        set("options", self.options());
        set("hooks", self.hooks());
        set("labels", self.labels()?);
        set("priority", self.priority.map(Value::from));
        set("expect_mount", self.expect_mount.map(Value::from));
        set("schedule", self.schedule.document());
        let bounds = &self.bounds;
        let (retry, guard) = (bounds.retry(), bounds.guard());
        set("retry", retry);
        set("guard", guard);
        set("freshness", bounds.freshness());
        set("timeout", bounds.timeout.as_ref().map(|text| json!(text)));
        set("stall", bounds.stall.as_ref().map(|text| json!(text)));
        Ok(document)
    }

    /// The source with its password, which an address cannot hold.
    fn source(&self, address: Option<&str>) -> Result<Option<Value>, Failure> {
        let Some(file) = &self.password_file else { return Ok(address.map(|address| json!(address))) };
        let mut parts = Map::new();
        if let Some(address) = address {
            let source: engine::Source =
                address.parse().map_err(|errors: engine::source::SourceErrors| {
                    let errors: Vec<String> =
                        errors.0.iter().map(|error| format!("source: {error}")).collect();
                    Failure::Usage(errors.join("\n"))
                })?;
            if source.command_name().is_some() {
                let why = "source: a command takes no password: give it to the command in heliostat.ron";
                return Err(Failure::Usage(why.to_owned()));
            }
            parts.insert("host".to_owned(), json!(source.host()));
            parts.insert("port".to_owned(), json!(source.port()));
            parts.insert("module".to_owned(), json!(source.module()));
            parts.insert("path".to_owned(), json!(source.path()));
            parts.insert("user".to_owned(), json!(source.user()));
        }
        parts.insert("password".to_owned(), json!(first_line(file)?));
        Ok(Some(Value::Object(parts)))
    }

    fn upstreams(&self) -> Option<Value> {
        let given = self.upstreams.iter().filter(|address| !address.is_empty());
        (!self.upstreams.is_empty()).then(|| given.map(|address| json!(address)).collect())
    }

    fn stages(&self) -> Option<Value> {
        let name = |name: &String| if name.is_empty() { Value::Null } else { json!(name) };
        let index = (!self.index.is_empty()).then(|| json!({ "index": self.index }));
        self.stages.as_ref().map(name).or(index)
    }

    fn hooks(&self) -> Option<Value> {
        let hook = |text: &String| match text.split_once(':') {
            Some((plugin, on)) => json!({ "plugin": plugin, "on": on.split(',').collect::<Vec<_>>() }),
            None => json!({ "plugin": text }),
        };
        let given = self.hooks.iter().filter(|text| !text.is_empty());
        (!self.hooks.is_empty()).then(|| given.map(hook).collect())
    }

    fn options(&self) -> Option<Value> {
        let mut options = Map::new();
        if !self.options.is_empty() {
            options.insert("basic".to_owned(), json!(self.options));
        }
        if !self.default_options.is_empty() {
            options.insert("defaults".to_owned(), json!(self.default_options));
        }
        if let Some(delete) = &self.delete {
            options.insert("delete".to_owned(), json!(delete));
        }
        filled(options)
    }

    fn labels(&self) -> Result<Option<Value>, Failure> {
        let mut labels = Map::new();
        for label in &self.labels {
            let (key, value) = label.split_once('=').ok_or_else(|| {
                Failure::Usage(format!("--label `{label}` is not KEY=VALUE, such as array=1"))
            })?;
            let value = if value.is_empty() { Value::Null } else { json!(value) };
            labels.insert(key.to_owned(), value);
        }
        Ok(filled(labels))
    }
}

impl ScheduleFlags {
    fn document(&self) -> Option<Value> {
        let mut schedule = Map::new();
        if let Some(mut rule) = self.rule() {
            // A new rule replaces the old one as a whole.
            for key in ["cron", "every", "manual"] {
                schedule.insert(key.to_owned(), rule.remove(key).unwrap_or(Value::Null));
            }
        }
        let texts = [
            ("timezone", &self.timezone),
            ("start_date", &self.start_date),
            ("end_date", &self.end_date),
            ("jitter", &self.jitter),
            ("catch_up", &self.catch_up),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                schedule.insert(key.to_owned(), json!(text));
            }
        }
        filled(schedule)
    }

    fn rule(&self) -> Option<Map<String, Value>> {
        let fields = self.fields.document();
        let rule = match (&self.cron, &self.every, self.manual) {
            (Some(cron), ..) => ("cron", json!(cron)),
            (_, Some(every), _) => ("every", json!(every)),
            (_, _, true) => ("manual", json!(true)),
            _ => ("cron", fields?),
        };
        Some(Map::from_iter([(rule.0.to_owned(), rule.1)]))
    }
}

impl CronFlags {
    /// All eight, so that a field of the rule before does not stay.
    fn document(&self) -> Option<Value> {
        let fields = [
            ("year", &self.year),
            ("month", &self.month),
            ("day", &self.day),
            ("week", &self.week),
            ("day_of_week", &self.day_of_week),
            ("hour", &self.hour),
            ("minute", &self.minute),
            ("second", &self.second),
        ];
        let given = fields.iter().any(|(_, text)| text.is_some());
        given.then(|| fields.iter().map(|(key, text)| ((*key).to_owned(), json!(text))).collect())
    }
}

impl BoundFlags {
    fn retry(&self) -> Option<Value> {
        let mut retry = Map::new();
        self.attempts.map(|attempts| retry.insert("attempts".to_owned(), json!(attempts)));
        for (key, text) in [("base", &self.retry_base), ("cap", &self.retry_cap)] {
            text.as_ref().map(|text| retry.insert(key.to_owned(), json!(text)));
        }
        filled(retry)
    }

    fn guard(&self) -> Option<Value> {
        let mut guard = Map::new();
        self.max_delete_percent.map(|percent| guard.insert("max_delete_percent".to_owned(), json!(percent)));
        self.max_delete.map(|files| guard.insert("max_delete".to_owned(), json!(files)));
        filled(guard)
    }
}

impl BoundFlags {
    fn freshness(&self) -> Option<Value> {
        let texts = [
            ("marker", &self.marker),
            ("compare", &self.compare),
            ("verify_every", &self.verify_every),
            ("target", &self.freshness_target),
        ];
        let given = texts.iter().filter_map(|(key, text)| Some(((*key).to_owned(), json!(text.as_ref()?))));
        filled(given.collect())
    }
}

fn filled(map: Map<String, Value>) -> Option<Value> {
    (!map.is_empty()).then_some(Value::Object(map))
}

/// The first line of a file, which is where a password is safe from `ps`.
pub(super) fn first_line(file: &std::path::Path) -> Result<String, Failure> {
    let wrong = |why: String| Failure::Usage(format!("--password-file {}: {why}", file.display()));
    // The longest password, its line end, and one byte that shows that a line is longer.
    let most = LONGEST_PASSWORD as u64 + 3;
    let mut bytes = Vec::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().take(most).read_to_end(&mut bytes),
        _ => std::fs::File::open(file).and_then(|file| file.take(most).read_to_end(&mut bytes)),
    };
    read.map_err(|error| wrong(error.to_string()))?;

    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > LONGEST_PASSWORD {
        return Err(wrong(format!("its first line {}", PasswordError::TooLong)));
    }
    let line = std::str::from_utf8(line);
    let line = line.map_err(|_| wrong("its first line is not UTF-8 text".to_owned()))?;
    if line.is_empty() {
        return Err(wrong("its first line is empty".to_owned()));
    }
    let password = Secret::password(line).map_err(|error| wrong(format!("its first line {error}")))?;
    Ok(password.expose().to_owned())
}
