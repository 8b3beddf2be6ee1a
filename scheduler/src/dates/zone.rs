//! The time zone in a date: an offset, an IANA name, or an abbreviation that has one meaning.
//!
//! An abbreviation is accepted if `date` prints it at one offset only, wherever the machine stands. A few more are
//! accepted because of who writes them; each says why.

use chrono::{DateTime, FixedOffset, NaiveDateTime, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::Problem;
use crate::schedule;

/// Where the wall clock of a date hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    Fixed(FixedOffset),
    Named(Tz),
}

impl Zone {
    /// The instant of a wall time; none if it is too far away.
    pub(super) fn instant(self, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
        match self {
            Self::Fixed(offset) => wall.checked_sub_offset(offset).map(|at| at.and_utc()),
            Self::Named(zone) => schedule::instant(zone, wall),
        }
    }
}

/// Abbreviations with one meaning, and their minutes east of UTC.
static ABBREVIATIONS: &[(&str, i32)] = &[
    ("Z", 0),
    ("UT", 0),
    ("UTC", 0),
    ("GMT", 0),
    // America. RFC 2822 gives EST to PDT the meaning they have in the United States. Manila's clock says PST as well,
    // which is left aside because of the RFC.
    ("NST", -210),
    ("NDT", -150),
    ("AST", -240),
    ("ADT", -180),
    ("EST", -300),
    ("EDT", -240),
    ("MST", -420),
    ("MDT", -360),
    ("PST", -480),
    ("PDT", -420),
    ("AKST", -540),
    ("AKDT", -480),
    ("HST", -600),
    // Europe.
    ("WET", 0),
    ("WEST", 60),
    ("CET", 60),
    ("CEST", 120),
    ("EET", 120),
    ("EEST", 180),
    ("MSD", 240),
    // Africa.
    ("WAT", 60),
    ("CAT", 120),
    ("SAST", 120),
    ("EAT", 180),
    // Asia. The interface of 2014 gives `Fri Jul 11 03:08:57 IST 2014` as its example, written in India: IST is
    // Asia/Kolkata here, although Ireland and Israel print it too.
    ("IST", 330),
    ("PKT", 300),
    ("WIB", 420),
    ("WITA", 480),
    ("WIT", 540),
    ("HKT", 480),
    ("JST", 540),
    // Australia and New Zealand.
    ("AWST", 480),
    ("ACST", 570),
    ("ACDT", 630),
    ("AEST", 600),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
];

/// Abbreviations that stand for several offsets, and what to write instead.
static AMBIGUOUS: &[(&str, &str)] = &[
    (
        "CST",
        "-06:00 (America/Chicago), +08:00 (Asia/Shanghai) or -05:00 (America/Havana): write the offset or the name",
    ),
    ("CDT", "-05:00 (America/Chicago) or -04:00 (America/Havana): write the offset or the name"),
    ("BST", "+01:00 (Europe/London) or +06:00 (Asia/Dhaka): write the offset or the name"),
    ("SST", "-11:00 (Pacific/Pago_Pago) or +08:00 (Asia/Singapore): write the offset or the name"),
    ("GST", "+04:00 (Asia/Dubai) or +10:00 (Pacific/Guam): write the offset or the name"),
    ("KST", "+09:00 (Asia/Seoul) or +08:30 (Asia/Pyongyang until 2018): write the offset or the name"),
    ("MSK", "+03:00, or +04:00 from 2011 to 2014: write the offset or Europe/Moscow"),
    ("AMT", "-04:00 (America/Manaus) or +04:00 (Asia/Yerevan): write the offset or the name"),
    ("ECT", "-05:00 (America/Guayaquil) or -04:00 (Eastern Caribbean): write the offset or the name"),
];

/// Reads a zone. Names and abbreviations may be in any case.
pub(super) fn read(word: &str) -> Result<Zone, Problem> {
    if word.starts_with(['+', '-']) {
        return offset(word).map(Zone::Fixed).ok_or_else(|| Problem::Offset(word.to_owned()));
    }
    if let Some((_, meanings)) = AMBIGUOUS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
        return Err(Problem::Ambiguous { name: word.to_owned(), meanings });
    }
    if let Some((_, minutes)) = ABBREVIATIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
        let offset = FixedOffset::east_opt(minutes * 60);
        return offset.map(Zone::Fixed).ok_or_else(|| Problem::Offset(word.to_owned()));
    }
    let zone = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(word));
    zone.copied().map(Zone::Named).ok_or_else(|| Problem::Unknown(word.to_owned()))
}

/// `+05:30` or `+0530`, up to the largest offset that a clock ever had, with room to spare.
fn offset(word: &str) -> Option<FixedOffset> {
    let digits: String = match word.get(1..)?.as_bytes() {
        [a, b, b':', c, d] | [a, b, c, d] => [*a, *b, *c, *d].map(char::from).iter().collect(),
        _ => return None,
    };
    if !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?);
    if hours > 15 || minutes > 59 {
        return None;
    }
    let seconds = (hours * 60 + minutes) * 60;
    FixedOffset::east_opt(if word.starts_with('-') { -seconds } else { seconds })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use chrono::{DateTime, Offset, TimeZone};
    use chrono_tz::OffsetName;

    use super::*;

    /// Every abbreviation that a clock shows in the middle of a month from 2000 to 2040, and its offsets in minutes.
    fn shown() -> BTreeMap<String, BTreeSet<i32>> {
        let mut shown = BTreeMap::<String, BTreeSet<i32>>::new();
        for zone in TZ_VARIANTS {
            for month in 0..480 {
                let at = DateTime::from_timestamp(946_684_800 + 1_209_600 + month * 2_629_746, 0).unwrap();
                let offset = zone.offset_from_utc_datetime(&at.naive_utc());
                if let Some(name) = offset.abbreviation().filter(|name| name.starts_with(char::is_alphabetic))
                {
                    shown.entry(name.to_owned()).or_default().insert(offset.fix().local_minus_utc() / 60);
                }
            }
        }
        shown
    }

    #[test]
    fn an_accepted_abbreviation_has_that_offset_on_every_clock_but_for_the_stated_exceptions() {
        let shown = shown();
        for (name, minutes) in ABBREVIATIONS {
            let others: Vec<_> = shown.get(*name).into_iter().flatten().filter(|it| *it != minutes).collect();
            let exceptions: &[&i32] = match *name {
                "IST" => &[&60, &120],
                "PST" => &[&480],
                _ => &[],
            };
            assert_eq!(others, exceptions, "{name}");
        }
    }

    #[test]
    fn every_abbreviation_with_several_offsets_is_named_in_one_of_the_tables() {
        for (name, offsets) in shown().into_iter().filter(|(_, offsets)| offsets.len() > 1) {
            let known = AMBIGUOUS
                .iter()
                .map(|it| it.0)
                .chain(ABBREVIATIONS.iter().map(|it| it.0))
                .any(|it| it == name);
            assert!(known, "{name} {offsets:?}");
        }
    }
}
