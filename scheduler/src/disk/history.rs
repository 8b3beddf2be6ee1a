//! How full file systems were, hour by hour for two weeks, and when they will be full if that goes on.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// How far apart two samples are.
const EVERY: TimeDelta = TimeDelta::hours(1);
/// How many are kept.
const KEPT: usize = 14 * 24;
/// Less than this says nothing.
const SHORTEST: TimeDelta = TimeDelta::hours(12);
/// Further ahead than this nobody plans.
const FURTHEST_DAYS: f64 = 3650.0;

/// What is to be expected of a file system.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Bytes that it fills in a day; negative: it empties.
    pub bytes_per_day: f64,
    /// Days until nothing is free; none: not within ten years.
    pub days_to_full: Option<f64>,
}

/// The samples of each file system: when, and the bytes that were free.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    disks: BTreeMap<String, VecDeque<(i64, u64)>>,
}

impl History {
    /// Notes how much is free, if the newest sample is old enough; gives whether it was noted.
    pub fn note(&mut self, disk: &Path, now: DateTime<Utc>, free: u64) -> bool {
        let samples = self.disks.entry(disk.to_string_lossy().into_owned()).or_default();
        // Samples from a future that did not come say nothing.
        while samples.back().is_some_and(|(at, _)| *at > now.timestamp()) {
            samples.pop_back();
        }
        if samples.back().is_some_and(|(at, _)| now.timestamp() - at < EVERY.num_seconds()) {
            return false;
        }
        if samples.len() == KEPT {
            samples.pop_front();
        }
        samples.push_back((now.timestamp(), free));
        true
    }

    /// Forgets file systems of which nothing was noted for as long as anything is kept.
    pub fn forget_old(&mut self, now: DateTime<Utc>) {
        let oldest = now.timestamp() - EVERY.num_seconds() * i64::try_from(KEPT).unwrap_or(i64::MAX);
        self.disks.retain(|_, samples| samples.back().is_some_and(|(at, _)| *at >= oldest));
    }

    /// What is to be expected when so much is free now: the line that fits the samples best.
    #[must_use]
    pub fn trend(&self, disk: &Path, now: DateTime<Utc>, free: u64) -> Option<Trend> {
        let samples = self.disks.get(disk.to_string_lossy().as_ref())?;
        let (first, _) = samples.front()?;
        if now.timestamp() - first < SHORTEST.num_seconds() {
            return None;
        }
        let points: Vec<(f64, f64)> = samples
            .iter()
            .copied()
            .chain([(now.timestamp(), free)])
            .map(|(at, free)| (days(at - first), as_float(free)))
            .collect();
        let slope = slope(&points)?;
        let days_to_full =
            (slope < 0.0).then(|| as_float(free) / -slope).filter(|days| *days <= FURTHEST_DAYS);
        Some(Trend { bytes_per_day: -slope, days_to_full })
    }
}

/// The slope of the line with the least squares of distances.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let number = as_float(u64::try_from(points.len()).ok()?);
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / number;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / number;
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    (variance > 0.0).then(|| covariance / variance)
}

#[expect(clippy::cast_precision_loss, reason = "an estimate is told in days")]
fn as_float(bytes: u64) -> f64 {
    bytes as f64
}

#[expect(clippy::cast_precision_loss, reason = "an estimate is told in days")]
fn days(seconds: i64) -> f64 {
    seconds as f64 / 86_400.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + hours * 3600, 0).unwrap()
    }

    fn filled(hours: i64, free: impl Fn(i64) -> u64) -> History {
        let mut history = History::default();
        for hour in 0..hours {
            history.note(Path::new("/d"), at(hour), free(hour));
        }
        history
    }

    #[test]
    fn a_disk_that_fills_by_a_hundred_a_day_with_a_thousand_free_is_full_in_ten_days() {
        let history = filled(48, |hour| 1_200 - u64::try_from(hour).unwrap() * 100 / 24);
        let trend = history.trend(Path::new("/d"), at(48), 1000).unwrap();
        let days = trend.days_to_full.unwrap();
        assert!((9.8..10.2).contains(&days), "{days}");
        assert!((99.0..101.0).contains(&trend.bytes_per_day), "{trend:?}");
    }

    #[test]
    fn one_that_empties_or_stands_still_is_never_full_and_a_short_past_says_nothing() {
        let growing = filled(48, |hour| 1000 + u64::try_from(hour).unwrap());
        assert_eq!(growing.trend(Path::new("/d"), at(48), 1100).unwrap().days_to_full, None);
        assert_eq!(filled(48, |_| 7).trend(Path::new("/d"), at(48), 7).unwrap().days_to_full, None);
        assert_eq!(filled(5, |_| 7).trend(Path::new("/d"), at(6), 7), None);
        assert_eq!(growing.trend(Path::new("/other"), at(48), 7), None);
    }

    #[test]
    fn the_past_is_bounded_survives_being_stored_and_clocks_that_jump() {
        let mut history = filled(1000, |_| 7);
        assert_eq!(history.disks["/d"].len(), KEPT);
        assert!(!history.note(Path::new("/d"), at(999), 8), "an hour apart");
        let stored: History = serde_json::from_slice(&serde_json::to_vec(&history).unwrap()).unwrap();
        assert_eq!(stored, history);
        assert!(history.note(Path::new("/d"), at(10), 8), "a clock that went back");
        assert!(history.note(Path::new("/d"), at(11), 8));
        history.forget_old(at(11 + i64::try_from(KEPT).unwrap() + 1));
        assert!(history.disks.is_empty());
    }
}
