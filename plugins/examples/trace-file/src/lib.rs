//! `trace-file`: leaves a Debian-style trace file in the mirror after each good sync, so that the archive's monitoring
//! and people see when it was brought up to date, from where and by whom.
//!
//! Before a sync it excludes its own file, or the next deletion would take it. After a sync that went well it replaces
//! the file in one step. It judges nothing: a trace that cannot be written is an error of the plugin, and the operator's
//! failure policy says what that means for the run.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use heliostat_plugin::{
    Decision, Error, Result, RsyncEdit, RunContext, RunOutcome, Settings, Verdict, dest, log, register,
};

register!(pre_sync: before, post_sync: after);

/// Every setting, as in `docs/plugins/trace-file.md`.
const SETTINGS: [&str; 10] = [
    "name",
    "folder",
    "master",
    "host",
    "maintainer",
    "sponsor",
    "country",
    "location",
    "throughput",
    "architectures",
];

/// More of the archive's own trace than this is not read.
const MASTER_BYTES: u32 = 16 * 1024;

fn before(_: &RunContext) -> Result<Decision> {
    let path = path(&Settings::load())?;
    Ok(Decision::with([RsyncEdit::exclude(format!("/{path}"))]))
}

fn after(run: &RunContext, outcome: &RunOutcome) -> Result<Verdict> {
    if outcome.is_good() {
        let settings = Settings::load();
        let path = path(&settings)?;
        let serial = archive_serial(settings.get("master").unwrap_or("project/trace/master"));
        let text = trace(run, outcome, &settings, serial.as_deref())?;
        dest::put(&path, text)
            .map_err(|error| Error::from(error).while_doing(format_args!("writing {path}")))?;
        log::info!("wrote {path}");
    }
    Ok(Verdict::Accept)
}

/// Where the trace stands: `project/trace/NAME`.
fn path(settings: &Settings) -> Result<String> {
    settings.only(&SETTINGS)?;
    let name = settings.required("name")?;
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    if !is_plain || name.starts_with('.') || name == "master" {
        return Err(Error::new(format_args!(
            "the setting `name` is `{name}`: it must be the mirror's name, such as `ftp.example.net`"
        )));
    }
    let folder = settings.get("folder").unwrap_or("project/trace").trim_matches('/');
    Ok(if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") })
}

/// The archive's serial, from its own trace. An archive without one is no error.
fn archive_serial(master: &str) -> Option<String> {
    let text = dest::read_text(master, MASTER_BYTES)
        .inspect_err(|error| log::debug!("{master}: {}", Error::from(error.clone())))
        .ok()?;
    let serial = text.lines().find_map(|line| line.strip_prefix("Archive serial:"))?.trim();
    (!serial.is_empty()).then(|| serial.to_owned())
}

/// The whole file.
fn trace(
    run: &RunContext,
    outcome: &RunOutcome,
    settings: &Settings,
    serial: Option<&str>,
) -> Result<String> {
    let finished = moment(outcome.finished_at_ms)?;
    let mut text = format!("{}\n", finished.format("%a %b %e %H:%M:%S UTC %Y"));
    let mut line = |key: &str, value: &str| {
        // A line break in a value would begin another key.
        let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key}: {value}");
    };
    line("Date", &finished.to_rfc2822());
    line("Date-Started", &moment(outcome.started_at_ms)?.to_rfc2822());
    if let Some(serial) = serial {
        line("Archive serial", serial);
    }
    line("Creator", concat!("heliostat trace-file ", env!("CARGO_PKG_VERSION")));
    for (key, setting) in [
        ("Running on host", "host"),
        ("Maintainer", "maintainer"),
        ("Sponsor", "sponsor"),
        ("Country", "country"),
        ("Location", "location"),
        ("Throughput", "throughput"),
    ] {
        if let Some(value) = settings.get(setting) {
            line(key, value);
        }
    }
    line("Trigger", run.trigger.word());
    match settings.list("architectures").join(" ") {
        names if names.is_empty() => {}
        names if names == "ALL" => line("Architectures-Configuration", "ALL"),
        names => {
            line("Architectures", &names);
            line("Architectures-Configuration", &format!("INCLUDE {names}"));
        }
    }
    line("Upstream-mirror", &run.project.host);
    line("Rsync-Transport", "plain");
    let seconds = outcome.duration().as_secs();
    let bytes = outcome.stats.map_or(0, |stats| stats.bytes_received);
    line("Total bytes received in rsync", &bytes.to_string());
    line("Total time spent in rsync", &seconds.to_string());
    line("Average rate", &format!("{} B/s", bytes / seconds.max(1)));
    Ok(text)
}

fn moment(ms: u64) -> Result<DateTime<Utc>> {
    let moment = i64::try_from(ms).ok().and_then(DateTime::from_timestamp_millis);
    moment.ok_or_else(|| Error::new(format_args!("{ms} is no time")))
}

#[cfg(test)]
mod tests;
