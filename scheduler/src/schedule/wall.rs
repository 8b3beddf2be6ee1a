//! From wall times to instants and back, in order: the one mapping for all rules.
//!
//! Each wall time has one instant. Of a repeated one it is the first; a skipped one has the end of the gap. So a later
//! wall time never has an earlier instant, and searching among wall times finds the same as searching among instants.

use chrono::offset::LocalResult;
use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::{GapInfo, Tz};

/// The instant of a wall time.
pub(crate) fn instant(zone: Tz, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at.to_utc()),
        LocalResult::None => GapInfo::new(&wall, &zone)?.end.map(|end| end.to_utc()),
    }
}

/// The last whole second of wall time whose instant is at or before `at`.
pub(super) fn reached(zone: Tz, at: DateTime<Utc>) -> NaiveDateTime {
    let local = at.with_timezone(&zone).naive_local();
    let local = local.with_nanosecond(0).unwrap_or(local);
    match zone.from_local_datetime(&local) {
        // The clock shows this for the second time: everything up to the end of the repetition has had its instant.
        LocalResult::Ambiguous(first, second) if second.timestamp() == at.timestamp() => {
            let end = repetition_begins(zone, first.timestamp(), second.timestamp());
            let before = TimeDelta::seconds(first.offset().fix().local_minus_utc().into());
            end.map_or(local, |end| end.naive_utc() + before - TimeDelta::seconds(1))
        }
        _ => local,
    }
}

/// The instant between both (seconds since 1970) at which the clock goes back.
fn repetition_begins(zone: Tz, mut before: i64, mut after: i64) -> Option<DateTime<Utc>> {
    let offset = |at: i64| {
        DateTime::from_timestamp(at, 0).map(|at| zone.offset_from_utc_datetime(&at.naive_utc()).fix())
    };
    let new = offset(after);
    while after - before > 1 {
        let middle = before.midpoint(after);
        if offset(middle) == new { after = middle } else { before = middle }
    }
    DateTime::from_timestamp(after, 0)
}
