//! Watching one run to its end: a bar on a terminal, a line now and then elsewhere.
//!
//! A connection that breaks is made again and resumes; the run itself is the truth, the events only say when to look.

use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, HumanCount, ProgressBar, ProgressStyle};
use serde_json::Value;

use super::client::{Client, segment};
use super::events::{Event, Events};
use super::failure::Failure;
use super::table::text;
use super::terminal::{is_watched, say};

/// How often a pipe gets a line of progress.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// How long a server that went away is waited for.
const PATIENCE: Duration = Duration::from_mins(1);
/// The pause between two tries to reach it.
const PAUSE: Duration = Duration::from_millis(500);

/// Watches a run to its end, and gives it.
pub(super) async fn follow(client: &Client, project: &str, run: &str, quiet: bool) -> Result<Value, Failure> {
    let mut screen = Screen::new(quiet);
    let mut last: Option<String> = None;
    let mut lost: Option<Instant> = None;
    loop {
        match watch(client, project, run, &mut screen, &mut last).await {
            Ok(Some(ended)) => {
                screen.clear();
                return Ok(ended);
            }
            Ok(None) => lost = None,
            Err(failure @ Failure::Unreachable(_)) => {
                if lost.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                    return Err(failure);
                }
                screen.note("the server does not answer; trying again")?;
            }
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Watches until the run has ended, or until the connection has.
async fn watch(
    client: &Client,
    project: &str,
    run: &str,
    screen: &mut Screen,
    last: &mut Option<String>,
) -> Result<Option<Value>, Failure> {
    let stream = client.stream("/api/v1/events", &[("project", project)], last.as_deref()).await?;
    let mut events = Events::new(stream);
    let path = format!("/api/v1/runs/{}", segment(run));
    // Asked after the stream has begun: whatever happens from here on is in the one or in the other.
    let now = client.get(&path).await?;
    if !now["ended"].is_null() {
        return Ok(Some(now));
    }
    screen.state(&now)?;
    while let Some(event) = events.next().await.map_err(|error| client.unreachable(&error))? {
        let Event { id, kind, data } = event;
        *last = id.or(last.take());
        match kind.as_str() {
            "resync" => screen.state(&client.get(&path).await?)?,
            _ if data["run"] != run => {}
            "run.progress" => screen.progress(&data["progress"])?,
            "run.ended" => return client.get(&path).await.map(Some),
            _ => screen.state(&data)?,
        }
    }
    Ok(None)
}

/// Where progress is shown.
struct Screen {
    bar: Option<ProgressBar>,
    line: Option<Instant>,
    quiet: bool,
}

impl Screen {
    fn new(quiet: bool) -> Self {
        let bar = (is_watched() && !quiet).then(|| {
            let bar = ProgressBar::new(100);
            // An invalid template would be a mistake of ours; the default bar is good enough for it.
            if let Ok(style) = ProgressStyle::with_template("  {bar:30.green} {percent:>3}%  {wide_msg}") {
                bar.set_style(style.progress_chars("━╸·"));
            }
            bar
        });
        Self { bar, line: None, quiet }
    }

    fn progress(&mut self, progress: &Value) -> Result<(), Failure> {
        let shown = shown(progress);
        match &self.bar {
            Some(bar) => {
                bar.set_position(progress["percent"].as_u64().unwrap_or(0));
                bar.set_message(shown);
                Ok(())
            }
            None if self.line.is_none_or(|line| line.elapsed() >= LINE_EVERY) => {
                self.line = Some(Instant::now());
                self.note(&format!("{:>3}%  {shown}", text(&progress["percent"])))
            }
            None => Ok(()),
        }
    }

    /// What the run does now, where that is not progress.
    fn state(&mut self, run: &Value) -> Result<(), Failure> {
        let note = match run["state"].as_str() {
            Some("queued") => "waits for its turn".to_owned(),
            Some("backing-off") => {
                format!("tries again at {}: {}", super::table::time(&run["retry_at"]), text(&run["reason"]))
            }
            _ => return Ok(()),
        };
        self.note(&note)
    }

    fn note(&mut self, line: &str) -> Result<(), Failure> {
        match &self.bar {
            Some(bar) => {
                bar.set_message(line.to_owned());
                Ok(())
            }
            None if self.quiet => Ok(()),
            None => say(&format!("  {line}")),
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `1,204 files · 12.3 MB · 8.0 MB/s · 340 of 1,500 still to check`
pub(super) fn shown(progress: &Value) -> String {
    let number = |key: &str| progress[key].as_u64().unwrap_or(0);
    let rate = progress["rate"].as_f64().map_or(0, rounded);
    let left = number("total").saturating_sub(number("checked"));
    let growing = if progress["total_known"] == true { "" } else { " (more may come)" };
    format!(
        "{} files · {} · {}/s · {} of {} still to check{growing}",
        HumanCount(number("files")),
        DecimalBytes(number("bytes")),
        DecimalBytes(rate),
        HumanCount(left),
        HumanCount(number("total")),
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for the eye: whole bytes do"
)]
fn rounded(rate: f64) -> u64 {
    rate.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn progress_is_one_line_with_files_bytes_rate_and_what_is_left() {
        let progress = json!({"files": 1204, "bytes": 12_300_000, "rate": 8_000_000.0, "percent": 40,
            "checked": 1160, "total": 1500, "total_known": true});
        assert_eq!(
            super::shown(&progress),
            "1,204 files · 12.30 MB · 8.00 MB/s · 340 of 1,500 still to check"
        );
    }
}
