//! The stored form of what is wanted and known of a project's freshness.

use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::protocol::Fingerprint;
use serde::{Deserialize, Serialize};

use super::RecordError;
use crate::freshness::{Compare, Course, Freshness, Marker, MarkerRule, Seen, Sighting};

/// Records from before it could be chosen have none, and mean the default.
#[derive(Serialize, Deserialize)]
pub(super) struct FreshnessRecord {
    marker: String,
    /// Records from before there was a choice have none.
    compare: Option<String>,
    verify_every_seconds: f64,
    target_seconds: Option<f64>,
}

impl Default for FreshnessRecord {
    fn default() -> Self {
        (&Freshness::default()).into()
    }
}

impl From<&Freshness> for FreshnessRecord {
    fn from(freshness: &Freshness) -> Self {
        Self {
            marker: freshness.marker.as_str().to_owned(),
            compare: Some(freshness.compare.as_str().to_owned()),
            verify_every_seconds: freshness.verify_every.as_secs_f64(),
            target_seconds: freshness.target.map(|target| target.as_secs_f64()),
        }
    }
}

impl FreshnessRecord {
    pub(super) fn read(self) -> Result<Freshness, RecordError> {
        let refused = |why: &str| RecordError::Refused { field: "freshness", why: why.to_owned() };
        let seconds = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let compare =
            self.compare.map(|text| Compare::read(&text).ok_or_else(|| refused("is no comparison")));
        Ok(Freshness {
            marker: MarkerRule::read(&self.marker).map_err(refused)?,
            compare: compare.transpose()?.unwrap_or(Compare::Marker),
            verify_every: seconds(self.verify_every_seconds),
            target: self.target_seconds.map(seconds),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct SeenRecord {
    upstream: String,
    marker: Option<MarkerRecord>,
    list: Option<FingerprintRecord>,
    at: DateTime<Utc>,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct FingerprintRecord {
    entries: u64,
    sum: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct MarkerRecord {
    path: String,
    size: u64,
    modified: DateTime<Utc>,
}

impl From<&Seen> for SeenRecord {
    fn from(seen: &Seen) -> Self {
        let marker = seen.marker.clone();
        Self {
            upstream: seen.upstream.clone(),
            marker: marker.map(|Marker { path, size, modified }| MarkerRecord { path, size, modified }),
            list: seen.list.map(|Fingerprint { entries, sum }| FingerprintRecord { entries, sum }),
            at: seen.at,
            version: seen.version,
        }
    }
}

impl From<SeenRecord> for Seen {
    fn from(record: SeenRecord) -> Self {
        let marker =
            record.marker.map(|MarkerRecord { path, size, modified }| Marker { path, size, modified });
        let list = record.list.map(|FingerprintRecord { entries, sum }| Fingerprint { entries, sum });
        Self { upstream: record.upstream, marker, list, at: record.at, version: record.version }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct SightingRecord {
    upstream: String,
    marker: MarkerRecord,
    newest: DateTime<Utc>,
    at: DateTime<Utc>,
    version: u64,
    course: String,
}

impl From<&Sighting> for SightingRecord {
    fn from(sighting: &Sighting) -> Self {
        let Marker { path, size, modified } = sighting.marker.clone();
        Self {
            upstream: sighting.upstream.clone(),
            marker: MarkerRecord { path, size, modified },
            newest: sighting.newest,
            at: sighting.at,
            version: sighting.version,
            course: sighting.course.as_str().to_owned(),
        }
    }
}

impl From<SightingRecord> for Sighting {
    fn from(record: SightingRecord) -> Self {
        let MarkerRecord { path, size, modified } = record.marker;
        Self {
            upstream: record.upstream,
            marker: Marker { path, size, modified },
            newest: record.newest,
            at: record.at,
            version: record.version,
            course: Course::read(&record.course).unwrap_or_default(),
        }
    }
}
