//! What is said of projects to everybody: no owners, no paths, no reasons, no users.
//!
//! `tunasync.json` and `mirrorz.json` are formats of others, held to the letter: times that never were are in the year
//! 1, and a status is the letters that the readers of each know.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use scheduler::core::Entry;
use scheduler::{Board, ProjectId, RunState};
use serde_json::{Value, json};

use super::time;
use crate::config::Site;

/// Unix seconds of the year 1: "never" for readers of `tunasync.json`.
const NEVER: i64 = -62_135_596_800;

/// Every project, as everybody may know it.
#[derive(Debug)]
pub struct Published {
    now: DateTime<Utc>,
    projects: Vec<Standing>,
}

#[derive(Debug)]
struct Standing {
    id: String,
    name: String,
    upstream: String,
    status: Status,
    updated: Option<DateTime<Utc>>,
    started: Option<DateTime<Utc>>,
    ended: Option<DateTime<Utc>>,
    next: Option<DateTime<Utc>>,
    size: u64,
    files: u64,
    generation: u64,
}

/// In tunasync's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    None,
    Failed,
    Success,
    Syncing,
    PreSyncing,
    Paused,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Failed => "failed",
            Self::Success => "success",
            Self::Syncing => "syncing",
            Self::PreSyncing => "pre-syncing",
            Self::Paused => "paused",
        }
    }
}

impl Published {
    /// How the projects stand.
    #[must_use]
    pub fn of(board: &Board, now: DateTime<Utc>) -> Self {
        let projects = board.projects();
        Self { now, projects: projects.iter().map(|entry| Standing::of(board, entry)).collect() }
    }

    /// How one project stands; none: there is no such project.
    #[must_use]
    pub fn of_project(board: &Board, id: &ProjectId, now: DateTime<Utc>) -> Option<Self> {
        let entry = board.project(id)?;
        Some(Self { now, projects: vec![Standing::of(board, &entry)] })
    }

    /// `/status.json`.
    #[must_use]
    pub fn status(&self, site: &Site) -> Value {
        let project = |one: &Standing| {
            json!({
                "id": one.id, "name": one.name, "status": one.status.as_str(), "upstream": one.upstream,
                "last_success": one.updated.map(time), "last_started": one.started.map(time),
                "last_ended": one.ended.map(time), "next_run": one.next.map(time),
                "size_bytes": one.size, "files": one.files, "generation": one.generation,
            })
        };
        json!({
            "site": {"url": site.url, "abbr": site.abbr, "name": site.name, "homepage": site.homepage},
            "generated": time(self.now),
            "projects": self.projects.iter().map(project).collect::<Vec<_>>(),
        })
    }

    /// `/status/tunasync.json`.
    #[must_use]
    pub fn tunasync(&self) -> Value {
        let text = |at: Option<DateTime<Utc>>| {
            at.map_or_else(
                || "0001-01-01 00:00:00 +0000".to_owned(),
                |at| at.format("%Y-%m-%d %H:%M:%S %z").to_string(),
            )
        };
        let seconds = |at: Option<DateTime<Utc>>| at.map_or(NEVER, |at| at.timestamp());
        let job = |one: &Standing| {
            json!({
                "name": one.id, "is_master": true, "status": one.status.as_str(),
                "last_update": text(one.updated), "last_update_ts": seconds(one.updated),
                "last_started": text(one.started), "last_started_ts": seconds(one.started),
                "last_ended": text(one.ended), "last_ended_ts": seconds(one.ended),
                "next_schedule": text(one.next), "next_schedule_ts": seconds(one.next),
                "upstream": one.upstream, "size": size(one.size),
            })
        };
        self.projects.iter().map(job).collect()
    }

    /// `/status/mirrorz.json`.
    #[must_use]
    pub fn mirrorz(&self, site: &Site) -> Value {
        let mirror = |one: &Standing| {
            json!({
                "cname": one.id, "desc": one.name, "url": format!("/{}", one.id), "status": one.letters(),
                "help": "", "upstream": one.upstream, "size": size(one.size),
            })
        };
        json!({
            "version": 1.7,
            "site": {
                "url": site.url, "abbr": site.abbr, "name": site.name, "homepage": site.homepage, "email": site.email,
            },
            "info": [],
            "mirrors": self.projects.iter().map(mirror).collect::<Vec<_>>(),
        })
    }
}

impl Standing {
    fn of(board: &Board, entry: &Entry) -> Self {
        let (project, standing) = (&entry.project, &entry.standing);
        let active = entry.active.and_then(|run| board.run(run));
        let last = standing.last_run.as_ref();
        Self {
            id: project.id.to_string(),
            name: project.name.clone(),
            upstream: upstream(&project.source),
            status: match active.as_ref().map(|run| &run.state) {
                Some(RunState::Running) => Status::Syncing,
                Some(RunState::Queued) => Status::PreSyncing,
                Some(RunState::BackingOff { .. }) => Status::Failed,
                // It waits for a person, and is as it was.
                Some(RunState::Held) => Status::Paused,
                _ if !project.enabled => Status::Paused,
                _ if standing.failures > 0 => Status::Failed,
                _ if standing.last_success.is_some() => Status::Success,
                _ => Status::None,
            },
            updated: standing.last_success,
            started: active.and_then(|run| run.started()).or(last.and_then(|last| last.started)),
            ended: last.map(|last| last.ended),
            next: entry.next.filter(|_| project.enabled),
            size: standing.size_bytes,
            files: standing.files,
            generation: standing.generation,
        }
    }

    /// `MirrorZ`'s status: a main letter with its time, then the next run and the last success.
    fn letters(&self) -> String {
        let letter = |letter: char, at: Option<DateTime<Utc>>| match at {
            Some(at) => format!("{letter}{}", at.timestamp()),
            None => letter.to_string(),
        };
        let after =
            |name: char, at: Option<DateTime<Utc>>| at.map(|at| letter(name, Some(at))).unwrap_or_default();
        let main = match self.status {
            Status::Success => letter('S', self.updated),
            Status::Paused => letter('P', self.updated),
            Status::Syncing => letter('Y', self.started) + &after('O', self.updated),
            Status::Failed => letter('F', self.ended) + &after('O', self.updated),
            Status::PreSyncing => "D".to_owned() + &after('O', self.updated),
            Status::None => "U".to_owned(),
        };
        main + &after('X', self.next)
    }

    /// What a badge says, and its colour.
    fn says(&self, now: DateTime<Utc>) -> (String, &'static str) {
        match (self.status, self.updated) {
            (Status::Syncing, _) => ("syncing".to_owned(), "#1f6feb"),
            (Status::PreSyncing, _) => ("queued".to_owned(), "#57606a"),
            (Status::Paused, _) => ("paused".to_owned(), "#57606a"),
            (Status::Failed, _) => ("failing".to_owned(), "#b3261e"),
            (_, Some(at)) => (format!("synced {} ago", span(now - at)), "#1a7f37"),
            (_, None) => ("not yet".to_owned(), "#57606a"),
        }
    }
}

/// A picture of how a project stands; none: there is no such project.
#[must_use]
pub fn badge(published: &Published, id: &str) -> Option<String> {
    let project = published.projects.iter().find(|project| project.id == id)?;
    let (says, colour) = project.says(published.now);
    let width = |text: &str| 12 + 7 * text.chars().count();
    let (left, right) = (width(&project.id), width(&says));
    let mut svg = String::new();
    // An id holds nothing that would have to be quoted, and the rest is ours.
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all}\" height=\"20\" role=\"img\" aria-label=\"{id}: {says}\">\
         <title>{id}: {says}</title><rect width=\"{left}\" height=\"20\" fill=\"#424a53\"/>\
         <rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"{colour}\"/>\
         <g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\" text-anchor=\"middle\">\
         <text x=\"{x}\" y=\"14\" textLength=\"{l}\">{id}</text><text x=\"{y}\" y=\"14\" textLength=\"{r}\">{says}</text></g></svg>",
        all = left + right,
        x = left / 2,
        y = left + right / 2,
        l = left - 12,
        r = right - 12,
    );
    Some(svg)
}

fn upstream(source: &engine::Source) -> String {
    let text = source.to_string();
    // The user of an upstream is nobody's business.
    match (source.user(), text.split_once('@')) {
        (Some(_), Some((_, rest))) => format!("rsync://{rest}"),
        _ => text,
    }
}

/// A size as tunasync writes it: `596G`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn size(bytes: u64) -> String {
    if bytes == 0 {
        return "unknown".to_owned();
    }
    let mut value = bytes as f64;
    let mut unit = "";
    for next in ["K", "M", "G", "T", "P"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if value < 10.0 && !unit.is_empty() { format!("{value:.1}{unit}") } else { format!("{value:.0}{unit}") }
}

fn span(time: chrono::TimeDelta) -> String {
    match time.num_minutes().max(0) {
        minutes @ 0..60 => format!("{minutes} min"),
        minutes @ 60..2880 => format!("{} h", minutes / 60),
        minutes => format!("{} days", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(status: Status) -> Standing {
        let at = |seconds| DateTime::from_timestamp(seconds, 0);
        Standing {
            id: "debian".to_owned(),
            name: "<Debian>".to_owned(),
            upstream: "rsync://h/debian".to_owned(),
            status,
            updated: at(1000),
            started: at(2000),
            ended: at(3000),
            next: at(4000),
            size: 640_000_000_000,
            files: 7,
            generation: 3,
        }
    }

    #[test]
    fn the_letters_are_those_that_mirrorz_makes_of_tunasync() {
        let cases = [
            (Status::Success, "S1000X4000"),
            (Status::Paused, "P1000X4000"),
            (Status::Syncing, "Y2000O1000X4000"),
            (Status::Failed, "F3000O1000X4000"),
            (Status::PreSyncing, "DO1000X4000"),
            (Status::None, "UX4000"),
        ];
        for (status, letters) in cases {
            assert_eq!(standing(status).letters(), letters);
        }
    }

    #[test]
    fn what_never_was_is_in_the_year_one() {
        let never = Standing {
            updated: None,
            started: None,
            ended: None,
            next: None,
            size: 0,
            ..standing(Status::None)
        };
        let jobs = Published { now: DateTime::UNIX_EPOCH, projects: vec![standing(Status::Success), never] }
            .tunasync();
        assert_eq!(jobs[0]["last_update"], "1970-01-01 00:16:40 +0000");
        assert_eq!((&jobs[0]["last_update_ts"], &jobs[0]["size"]), (&json!(1000), &json!("596G")));
        assert_eq!((&jobs[1]["last_ended_ts"], &jobs[1]["size"]), (&json!(NEVER), &json!("unknown")));
        assert_eq!(jobs[1]["next_schedule"], "0001-01-01 00:00:00 +0000");
    }

    #[test]
    fn a_badge_says_the_project_and_its_age() {
        let published = Published {
            now: DateTime::from_timestamp(8200, 0).unwrap(),
            projects: vec![standing(Status::Success)],
        };
        assert!(badge(&published, "debian").unwrap().contains("synced 2 h ago"));
        assert!(badge(&published, "none").is_none());
    }
}
