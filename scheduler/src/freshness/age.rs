//! How old an upstream and our copy of it are, against what a person allows: functions of what was seen.
//!
//! What an upstream has shown is remembered whatever became of the run that asked, and the newest time that a marker ever
//! showed with it: so an upstream that goes back in time is found out, as is one that stands still.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Marker, Seen};
use crate::project::{Project, Standing};

/// How far the clock of an upstream may be ahead of ours. A time beyond that is not remembered: every true one after it
/// would look old.
const AHEAD: TimeDelta = TimeDelta::hours(1);

/// What an upstream has shown of its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Which upstream.
    pub upstream: String,
    /// What stood there.
    pub marker: Marker,
    /// The newest time that a marker of this path has shown, at any of the project's upstreams.
    pub newest: DateTime<Utc>,
    /// When it was looked at.
    pub at: DateTime<Utc>,
    /// The version of the project's settings then.
    pub version: u64,
    /// What came of it, by the settings then; people were told of it.
    pub course: Course,
}

/// Where an upstream is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Course {
    /// Forward, as it should.
    #[default]
    Moving,
    /// Nowhere, for longer than the project's target.
    Frozen,
    /// Back: it showed a newer marker before.
    RolledBack,
}

impl Course {
    /// Every course.
    pub const ALL: [Self; 3] = [Self::Moving, Self::Frozen, Self::RolledBack];

    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Moving => "moving",
            Self::Frozen => "frozen",
            Self::RolledBack => "rolled-back",
        }
    }

    /// Reads what [`Course::as_str`] gives.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|course| course.as_str() == text)
    }
}

impl Sighting {
    /// What this look adds to the one before; none: it found no marker.
    #[must_use]
    pub fn after(before: Option<&Self>, seen: &Seen, target: Option<Duration>) -> Option<Self> {
        let marker = seen.marker.clone()?;
        // Saving the project again is how a person accepts that an upstream went back.
        let known =
            before.filter(|before| before.version == seen.version && before.marker.path == marker.path);
        let known = known.map(|before| before.newest);
        let shown = Some(marker.modified).filter(|shown| *shown <= seen.at + AHEAD);
        let newest = known.max(shown).unwrap_or(marker.modified);
        let mut sighting = Self {
            upstream: seen.upstream.clone(),
            marker,
            newest,
            at: seen.at,
            version: seen.version,
            course: Course::Moving,
        };
        sighting.course = sighting.course_by(target);
        Some(sighting)
    }

    /// Where the upstream was going when it was looked at. One that nobody has asked since does not count as frozen.
    fn course_by(&self, target: Option<Duration>) -> Course {
        let age = (self.at - self.marker.modified).to_std().unwrap_or_default();
        if self.marker.modified < self.newest {
            Course::RolledBack
        } else if target.is_some_and(|target| age > target) {
            Course::Frozen
        } else {
            Course::Moving
        }
    }

    /// All of that in a sentence.
    #[must_use]
    pub fn in_words(&self, target: Option<Duration>) -> String {
        let shown = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M:%S UTC").to_string();
        let (path, upstream, from) = (&self.marker.path, &self.upstream, shown(self.marker.modified));
        match (self.course, target) {
            (Course::RolledBack, _) => {
                let newest = shown(self.newest);
                format!("{path} at {upstream} is from {from}, and one from {newest} was seen before")
            }
            (Course::Frozen, Some(target)) => {
                let target = humantime::format_duration(target);
                format!("{path} at {upstream} is from {from}, and the target is {target}")
            }
            (Course::Frozen | Course::Moving, _) => format!("{path} at {upstream} is from {from}"),
        }
    }
}

/// Where the upstream was going when it was asked last, by the project's settings now; none: it has shown no marker.
#[must_use]
pub fn course(project: &Project, standing: &Standing) -> Option<Course> {
    let sighting = standing.sighting.as_ref()?;
    let accepted = sighting.course == Course::RolledBack && sighting.version != project.version;
    Some(if accepted { Course::Moving } else { sighting.course_by(project.freshness.target) })
}

/// When our copy is from: the time of the marker that the newest good rsync went by, or else when the newest good run ended.
#[must_use]
pub fn as_of(standing: &Standing) -> Option<DateTime<Utc>> {
    let marker = standing.seen.as_ref().and_then(|seen| seen.marker.as_ref());
    marker.map(|marker| marker.modified).or(standing.last_success)
}

/// Whether our copy is older than it may be.
#[must_use]
pub fn is_stale(project: &Project, standing: &Standing, now: DateTime<Utc>) -> bool {
    as_of(standing).is_some_and(|from| is_too_old(project, from, now))
}

/// Whether a copy from this time is older than it may be, wherever it is.
#[must_use]
pub fn is_too_old(project: &Project, from: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let age = (now - from).to_std().ok();
    project.freshness.target.zip(age).is_some_and(|(target, age)| age > target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn seen(marker: i64, minutes: i64, version: u64) -> Seen {
        let marker = Marker { path: "lastupdate".to_owned(), size: 1, modified: at(marker) };
        Seen {
            upstream: "rsync://a/m".to_owned(),
            marker: Some(marker),
            list: None,
            at: at(minutes),
            version,
        }
    }

    #[test]
    fn an_upstream_goes_forward_stands_still_and_goes_back() {
        let target = Some(Duration::from_hours(1));
        let look = |before: Option<&Sighting>, marker, minutes, version| {
            Sighting::after(before, &seen(marker, minutes, version), target).unwrap()
        };
        let first = look(None, 1000, 1010, 1);
        assert_eq!((first.course, first.newest), (Course::Moving, at(1000)));
        let frozen = look(Some(&first), 1000, 1061, 1);
        assert_eq!(frozen.course, Course::Frozen);
        assert!(frozen.in_words(target).ends_with("is from 1970-01-01 16:40:00 UTC, and the target is 1h"));
        let back = look(Some(&frozen), 900, 1062, 1);
        assert_eq!((back.course, back.newest), (Course::RolledBack, at(1000)));
        assert!(back.in_words(None).contains("and one from 1970-01-01 16:40:00 UTC was seen before"));
        assert_eq!(look(Some(&back), 1000, 1063, 1).course, Course::Frozen, "it is where it was");
        assert_eq!(look(Some(&back), 1050, 1063, 1).course, Course::Moving);
        // Who saves the project accepts what is there.
        assert_eq!(look(Some(&back), 900, 910, 2).course, Course::Moving);
    }

    #[test]
    fn a_time_from_the_future_makes_no_later_one_look_old() {
        let future = Sighting::after(None, &seen(90_000, 1000, 1), None).unwrap();
        let past = Sighting::after(Some(&future), &seen(1000, 1001, 1), None).unwrap();
        assert_eq!(future.course, Course::Moving);
        assert_eq!(
            past.course,
            Course::RolledBack,
            "without a time of before, what it showed is all there is"
        );
        let known = Sighting::after(None, &seen(990, 1000, 1), None).unwrap();
        let future = Sighting::after(Some(&known), &seen(90_000, 1001, 1), None).unwrap();
        let past = Sighting::after(Some(&future), &seen(1000, 1002, 1), None).unwrap();
        assert_eq!((future.newest, past.course), (at(990), Course::Moving));
    }
}
