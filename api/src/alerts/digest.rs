//! The weekly message: what failed, what is stale or waits, what grew most, and when disks will be full.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveTime, TimeDelta, Utc, Weekday};
use scheduler::{Outcome, RunState, Scheduler, StoreError};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::ledger::Alert;
use super::message::{Message, Topic};
use crate::app::App;
use crate::config::{Day, Digest};
use crate::view::human;

/// How many lines each part has.
const SHOWN: usize = 10;
/// How many runs are looked through at most.
const MOST_RUNS: usize = 100_000;
/// How many runs are read at once.
const PAGE: usize = 500;

/// What the last digest knew.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Digested {
    /// When it was written, or when the first week began.
    at: Option<DateTime<Utc>>,
    /// The bytes of each project then.
    sizes: BTreeMap<String, u64>,
}

impl Digested {
    /// Whether the next one's time has come. A last one more than a week ahead was written by a clock that was wrong.
    pub(super) fn is_due(&self, digest: &Digest, now: DateTime<Utc>) -> bool {
        self.at.is_some_and(|last| {
            last - now > TimeDelta::weeks(1) || latest(digest, now).is_some_and(|time| time > last)
        })
    }

    /// Begins the first week.
    pub(super) fn begin(&mut self, app: &App, now: DateTime<Utc>) {
        if self.at.is_none() {
            *self = Self { at: Some(now), sizes: sizes(&app.scheduler) };
        }
    }
}

/// The newest time at or before `now` at which a digest is written.
fn latest(digest: &Digest, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let at = NaiveTime::parse_from_str(&digest.at, "%H:%M").ok()?;
    (0..8)
        .filter_map(|days| now.date_naive().checked_sub_days(chrono::Days::new(days)))
        .filter(|date| date.weekday() == weekday(digest.day))
        .map(|date| date.and_time(at).and_utc())
        .find(|time| *time <= now)
}

const fn weekday(day: Day) -> Weekday {
    match day {
        Day::Monday => Weekday::Mon,
        Day::Tuesday => Weekday::Tue,
        Day::Wednesday => Weekday::Wed,
        Day::Thursday => Weekday::Thu,
        Day::Friday => Weekday::Fri,
        Day::Saturday => Weekday::Sat,
        Day::Sunday => Weekday::Sun,
    }
}

/// Writes it; none when the store cannot be read, which is told in another way.
pub(super) async fn write(
    app: &App,
    last: Digested,
    open: Vec<Alert>,
    now: DateTime<Utc>,
) -> Option<(Message, Digested)> {
    let scheduler = app.scheduler.clone();
    let written = tokio::task::spawn_blocking(move || {
        let sizes = sizes(&scheduler);
        let week =
            Week::read(&scheduler, last.at.filter(|last| *last <= now).unwrap_or(now - TimeDelta::weeks(1)))?;
        let disks = crate::view::disks(scheduler.board());
        let text = [
            week.text(),
            list(
                "open",
                open.iter().map(|alert| {
                    format!("{} {}: {}", alert.key.subject, alert.key.kind.says(), alert.reason)
                }),
            ),
            list("grew most", growth(&last.sizes, &sizes)),
            list("disks", disks.iter().map(crate::view::DiskView::in_words)),
        ]
        .concat();
        let title = format!("the week: {} runs, {} failed, {} open", week.runs, week.failed, open.len());
        let id = Ulid::generate().to_string();
        let message = Message { id, time: now, topic: Topic::Digest, title, text };
        Ok::<_, StoreError>((message, Digested { at: Some(now), sizes }))
    });
    match written.await {
        Ok(Ok(written)) => Some(written),
        Ok(Err(error)) => {
            tracing::error!("the weekly message could not be written: {error}");
            None
        }
        Err(error) => {
            tracing::error!("the weekly message could not be written: {error}");
            None
        }
    }
}

fn sizes(scheduler: &Scheduler) -> BTreeMap<String, u64> {
    let projects = scheduler.board().projects();
    projects.iter().map(|entry| (entry.project.id.to_string(), entry.standing.size_bytes)).collect()
}

/// The projects that grew, most first.
fn growth(then: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Vec<String> {
    let grown = |(id, size): (&String, &u64)| {
        let by = size.checked_sub(*then.get(id)?).filter(|by| *by > 0)?;
        Some((by, id.clone(), *size))
    };
    let mut grown: Vec<_> = now.iter().filter_map(grown).collect();
    grown.sort_by(|a, b| b.cmp(a));
    grown.into_iter().map(|(by, id, size)| format!("{id}: {} more, {} now", human(by), human(size))).collect()
}

/// What the runs of a week came to.
#[derive(Debug, Default)]
struct Week {
    runs: usize,
    failed: usize,
    received: u64,
    by_project: BTreeMap<String, usize>,
}

impl Week {
    fn read(scheduler: &Scheduler, since: DateTime<Utc>) -> Result<Self, StoreError> {
        let mut week = Self::default();
        let mut before = None;
        for _ in 0..MOST_RUNS / PAGE {
            let runs = scheduler.store().runs(None, before, PAGE)?;
            let Some(oldest) = runs.last() else { break };
            before = Some(oldest.id);
            for run in &runs {
                let RunState::Ended { at, outcome, .. } = &run.state else { continue };
                if *at < since {
                    continue;
                }
                week.runs += 1;
                week.received += run.stats().map_or(0, |stats| stats.received);
                if matches!(outcome, Outcome::Failed | Outcome::Partial) {
                    week.failed += 1;
                    *week.by_project.entry(run.project.to_string()).or_default() += 1;
                }
            }
            if before.is_some_and(|oldest| oldest.time() < since) {
                break;
            }
        }
        Ok(week)
    }

    fn text(&self) -> String {
        let mut failed: Vec<_> = self.by_project.iter().map(|(id, number)| (*number, id)).collect();
        failed.sort_by(|a, b| b.cmp(a));
        format!("{} runs, {} received\n", self.runs, human(self.received))
            + &list("failed", failed.into_iter().map(|(number, id)| format!("{id}: {number} times")))
    }
}

/// A part with a heading; nothing where there is nothing to list.
fn list(heading: &str, lines: impl IntoIterator<Item = String>) -> String {
    let lines: Vec<_> = lines.into_iter().collect();
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{heading}:\n");
    for line in lines.iter().take(SHOWN) {
        text += &format!("  {line}\n");
    }
    if lines.len() > SHOWN {
        text += &format!("  and {} more\n", lines.len() - SHOWN);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_digest_comes_once_a_week_and_one_that_was_missed_comes_late() {
        let digest = Digest { day: Day::Monday, at: "08:00".to_owned(), channels: Vec::new() };
        let last = |text| Digested { at: Some(at(text)), sizes: BTreeMap::new() };
        // The 23rd of November 2026 is a Monday.
        let monday = last("2026-11-23T08:00:05Z");
        for (now, due) in [
            ("2026-11-23T08:00:06Z", false),
            ("2026-11-30T07:59:59Z", false),
            ("2026-11-30T08:00:00Z", true),
            ("2026-12-02T00:00:00Z", true),
        ] {
            assert_eq!(monday.is_due(&digest, at(now)), due, "{now}");
        }
        // The clock was in 2031 when the last one was written, and is right again.
        assert!(last("2031-01-06T08:00:00Z").is_due(&digest, at("2026-11-25T00:00:00Z")));
        assert!(!Digested::default().is_due(&digest, at("2026-11-30T08:00:00Z")), "no week has begun");
    }

    #[test]
    fn what_grew_most_comes_first() {
        let then = BTreeMap::from([("a".to_owned(), 5), ("b".to_owned(), 100), ("c".to_owned(), 7)]);
        let now = BTreeMap::from([
            ("a".to_owned(), 10),
            ("b".to_owned(), 50),
            ("c".to_owned(), 2055),
            ("new".to_owned(), 9),
        ]);
        assert_eq!(growth(&then, &now), ["c: 2.05 kB more, 2.06 kB now", "a: 5 B more, 10 B now"]);
    }
}
