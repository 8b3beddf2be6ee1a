//! Cron fields against the program that defined them: every answer must be that of the real `APScheduler` 3.
//!
//! It comes from `PyPI` at test time. Without Python, pip or the network the comparison says so and is left out, unless
//! `HELIOSTAT_REQUIRE_ORACLE` is set. Deliberate differences, each asserted below:
//!
//! - Fields without a single date up to the year 2199 are refused here; `APScheduler` accepts them and never fires.
//! - Text behind a complete expression (`mon-fri/2`) is refused here; `APScheduler` drops it without a word.
//! - No field at all is refused here; to `APScheduler` it is every second.
//! - Digits of other scripts (`٣`) are refused here; Python reads them as numbers.
//! - `H` is only known here.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is how a failure is told")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use scheduler::schedule::{CatchUp, Rule, Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

#[path = "apscheduler/generator.rs"]
mod generator;

const QUESTIONS: usize = 4000;
/// To see that fields never fire takes `APScheduler` a walk through all years: this many are asked for that.
const WALKS: usize = 40;
const REQUIREMENT: &str = "apscheduler>=3.10,<4";

type Fields = BTreeMap<String, String>;

#[derive(Serialize)]
struct Question {
    fields: Fields,
    /// Microseconds since 1970.
    start: i64,
    end: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
struct Reply {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    fires: Vec<i64>,
    #[serde(default)]
    dropped: bool,
}

/// What we say to a question.
enum Ours {
    Fires(Box<Schedule>),
    Never,
    Refused(Vec<ScheduleError>),
}

#[test]
fn every_answer_is_that_of_the_real_apscheduler() {
    let Some(library) = library() else { return };
    let (mut questions, mut walks) = (Vec::new(), 0);
    for (fields, start) in generator::rare().chain(generator::questions(QUESTIONS)) {
        let ours = ours(&fields, start);
        let mut start = start.timestamp_micros();
        if matches!(ours, Ours::Never) {
            if walks == WALKS {
                continue;
            }
            walks += 1;
            start = 0;
        }
        questions.push((Question { fields, start, end: end().timestamp_micros() }, ours));
    }
    let replies = ask(&library, questions.iter().map(|(question, _)| question));
    assert_eq!(replies.len(), questions.len());
    let disagreements: Vec<_> = questions
        .iter()
        .zip(&replies)
        .filter_map(|((question, ours), reply)| compare(question, ours, reply))
        .collect();
    let sample = disagreements.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        disagreements.is_empty(),
        "{} of {} answers differ:\n{sample}",
        disagreements.len(),
        replies.len()
    );
    // A comparison of nothing but refusals, or of none, would show little.
    let (fired, refused) =
        (count(&replies, |it| it.fires.len() == 3), count(&replies, |it| it.error.is_some()));
    let dropped = count(&replies, |it| it.dropped);
    assert!(fired > QUESTIONS / 2, "{fired} fired three times");
    assert!(refused > QUESTIONS / 20, "{refused} were refused by both");
    assert!(dropped > 0 && walks == WALKS, "{dropped} had text dropped, {walks} never fired");
}

fn count(replies: &[Reply], matches: impl Fn(&Reply) -> bool) -> usize {
    replies.iter().filter(|reply| matches(reply)).count()
}

#[test]
fn no_field_and_digits_of_other_scripts_are_refused_here_and_accepted_there() {
    let Some(library) = library() else { return };
    let arabic = Fields::from([("minute".to_owned(), "٣".to_owned())]);
    for (fields, message, fires) in
        [(Fields::new(), "every second", [0, 1, 2]), (arabic, "cannot be read", [180, 3780, 7380])]
    {
        let Ours::Refused(errors) = ours(&fields, DateTime::UNIX_EPOCH) else { panic!("accepted") };
        assert!(errors[0].message.contains(message), "{errors:?}");
        let question = Question { fields, start: 0, end: end().timestamp_micros() };
        assert_eq!(ask(&library, [&question])[0].fires, fires);
    }
}

fn ours(fields: &Fields, start: DateTime<Utc>) -> Ours {
    match scheduler::cron::CronFields::parse(fields, "oracle") {
        Ok(fields) => Ours::Fires(Box::new(Schedule {
            rule: Rule::Fields(fields),
            timezone: chrono_tz::Tz::UTC,
            start: Some(start),
            end: Some(end()),
            jitter: Duration::ZERO,
            catch_up: CatchUp::Once,
        })),
        Err(errors) if errors.iter().any(|error| error.message.starts_with("never fires")) => Ours::Never,
        Err(errors) => Ours::Refused(errors),
    }
}

/// What differs, if anything does.
fn compare(question: &Question, ours: &Ours, reply: &Reply) -> Option<String> {
    let ours = match ours {
        Ours::Fires(schedule) => {
            let start = schedule.start?;
            let fires = schedule.upcoming(start - TimeDelta::days(1), 3);
            let seconds: Vec<_> = fires.iter().map(DateTime::timestamp).collect();
            if reply.error.is_none() && !reply.dropped && seconds == reply.fires {
                return walked_back(schedule, &fires).map(|text| format!("{:?} {text}", question.fields));
            }
            format!("{fires:?}")
        }
        Ours::Never if reply.error.is_none() && reply.fires.is_empty() => return None,
        Ours::Never => "never".to_owned(),
        Ours::Refused(_) if reply.error.is_some() || reply.dropped => return None,
        Ours::Refused(errors) => format!("{errors:?}"),
    };
    Some(format!("{:?} from {}: {ours} but {reply:?}", question.fields, question.start))
}

/// The search backwards must meet the times that the search forwards found.
fn walked_back(schedule: &Schedule, fires: &[DateTime<Utc>]) -> Option<String> {
    fires.windows(2).find_map(|pair| {
        let before = pair[1] - TimeDelta::microseconds(1);
        let latest = schedule.latest_at_or_before(before, DateTime::UNIX_EPOCH);
        (latest != Some(pair[0]))
            .then(|| format!("before {before} it fired at {latest:?}, not at {}", pair[0]))
    })
}

/// The last second that is searched here.
fn end() -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(2199, 12, 31).unwrap().and_hms_opt(23, 59, 59).unwrap().and_utc()
}

/// Lets the real one answer. Questions go through a file, so that no pipe can fill while the other is not read.
fn ask<'a>(library: &Path, questions: impl IntoIterator<Item = &'a Question>) -> Vec<Reply> {
    let lines: String =
        questions.into_iter().map(|question| serde_json::to_string(question).unwrap() + "\n").collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), lines).unwrap();
    let output = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle.py"))
        .env("PYTHONPATH", library)
        .stdin(File::open(file.path()).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let replies = String::from_utf8(output.stdout).unwrap();
    replies.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The folder with the real one, fetched once for each target folder; none if that cannot be had.
fn library() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("apscheduler-3");
    let reason = if folder.join("apscheduler").is_dir() { None } else { install(&folder).err() };
    let Some(reason) = reason else { return Some(folder) };
    assert!(
        std::env::var_os("HELIOSTAT_REQUIRE_ORACLE").is_none(),
        "APScheduler is required but missing: {reason}"
    );
    eprintln!("left out: the comparison with APScheduler, which cannot be had: {reason}");
    None
}

/// Installs beside the folder and renames, so that a folder with the right name is always complete.
fn install(folder: &Path) -> Result<(), String> {
    let parent = folder.parent().ok_or("there is no target folder")?;
    let fresh = tempfile::tempdir_in(parent).map_err(|error| error.to_string())?;
    let output = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--retries",
            "1",
        ])
        .arg("--target")
        .arg(fresh.path())
        .arg(REQUIREMENT)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("python3: {error}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(errors.trim_end().lines().next_back().unwrap_or("pip does not say why").to_owned());
    }
    match fs::rename(fresh.path(), folder) {
        // Another test was faster: what it installed is as good.
        Err(_) if folder.join("apscheduler").is_dir() => Ok(()),
        result => result.map_err(|error| error.to_string()),
    }
}
