//! What is read as which instant, and what is refused with which reason.

use chrono::SecondsFormat;
use proptest::prelude::*;

use super::*;

fn read(text: &str, zone: Tz) -> String {
    match parse(text, zone) {
        Ok(at) => at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        Err(error) => panic!("{error}"),
    }
}

fn refused(text: &str) -> String {
    match parse(text, Tz::UTC) {
        Ok(at) => panic!("`{text}` was read as {at}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_form_is_read_as_the_instant_that_it_means() {
    for (text, instant) in [
        // The examples of the interface of 2014.
        ("2014-05-7 18:00", "2014-05-07T18:00:00Z"),
        ("2014-03-10 09:30", "2014-03-10T09:30:00Z"),
        ("15th August 2014", "2014-08-15T00:00:00Z"),
        ("Fri Jul 11 03:08:57 IST 2014", "2014-07-10T21:38:57Z"),
        // The command line of 2014 writes its dates so.
        ("2026-01-01 10:00:00", "2026-01-01T10:00:00Z"),
        ("2014-03-10", "2014-03-10T00:00:00Z"),
        ("2014/03/10 9:30", "2014-03-10T09:30:00Z"),
        ("2014-03-10 Europe/Berlin", "2014-03-09T23:00:00Z"),
        ("2014-03-10 09:30 europe/berlin", "2014-03-10T08:30:00Z"),
        ("2014-03-10 09:30 +05:30", "2014-03-10T04:00:00Z"),
        ("2014-03-10 09:30-0800", "2014-03-10T17:30:00Z"),
        ("2014-03-10 09:30Z", "2014-03-10T09:30:00Z"),
        ("2014-03-10 09:30:15 utc", "2014-03-10T09:30:15Z"),
        ("  2014-03-10\t09:30  ", "2014-03-10T09:30:00Z"),
        // RFC 3339.
        ("2014-05-07T18:00:00Z", "2014-05-07T18:00:00Z"),
        ("2014-05-07t18:00:00.25z", "2014-05-07T18:00:00.250Z"),
        ("2014-05-07T18:00:00.1234567891+02:00", "2014-05-07T16:00:00.123456789Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2014-05-07T18:00", "2014-05-07T18:00:00Z"),
        // RFC 2822.
        ("Fri, 11 Jul 2014 03:08:57 +0530", "2014-07-10T21:38:57Z"),
        ("Fri, 11 Jul 2014 03:08 GMT", "2014-07-11T03:08:00Z"),
        ("11 Jul 2014 03:08:57 -0000", "2014-07-11T03:08:57Z"),
        ("Thu, 13 Feb 2014 23:32:54 -0330 (NST)", "2014-02-14T03:02:54Z"),
        ("Fri, 11 Jul 2014 03:08:57 EDT", "2014-07-11T07:08:57Z"),
        // What people and `date` write.
        ("15 Aug 2014 18:00", "2014-08-15T18:00:00Z"),
        ("August 15, 2014", "2014-08-15T00:00:00Z"),
        ("Friday, August 15th, 2014 at 6:30 PM", "2014-08-15T18:30:00Z"),
        ("1st of sept. 2014 12:00 am CEST", "2014-08-31T22:00:00Z"),
        ("Fri 11 Jul 2014 03:08:57 AM CEST", "2014-07-11T01:08:57Z"),
        ("Fri Jul 11 03:08:57 2014", "2014-07-11T03:08:57Z"),
        ("18:00 7 may 2014", "2014-05-07T18:00:00Z"),
        ("29 Feb 2096", "2096-02-29T00:00:00Z"),
    ] {
        assert_eq!(read(text, Tz::UTC), instant, "{text}");
    }
}

#[test]
fn a_text_without_a_zone_is_of_the_default_zone_and_one_with_a_zone_is_not() {
    assert_eq!(read("2014-07-01 12:00", Tz::Europe__Berlin), "2014-07-01T10:00:00Z");
    assert_eq!(read("2014-07-01 12:00 UTC", Tz::Europe__Berlin), "2014-07-01T12:00:00Z");
    assert_eq!(read("2014-07-01 12:00 Asia/Tokyo", Tz::Europe__Berlin), "2014-07-01T03:00:00Z");
}

#[test]
fn a_skipped_time_is_the_end_of_the_gap_and_a_repeated_one_the_first() {
    for (text, instant) in [
        ("2026-03-29 02:30 Europe/Berlin", "2026-03-29T01:00:00Z"),
        ("2026-10-25 02:30 Europe/Berlin", "2026-10-25T00:30:00Z"),
        ("2011-12-30 Pacific/Apia", "2011-12-30T10:00:00Z"),
        ("2011-12-30 23:59:59.5 Pacific/Apia", "2011-12-30T10:00:00Z"),
        ("2018-11-04 America/Sao_Paulo", "2018-11-04T03:00:00Z"),
    ] {
        assert_eq!(read(text, Tz::UTC), instant, "{text}");
    }
}

#[test]
fn what_is_not_certain_is_refused_with_its_reason() {
    for (text, reason) in [
        ("", "is empty"),
        (" \n", "is empty"),
        ("1/2/2014", "has `1/2/2014`, of which nobody knows whether the day or the month comes first"),
        ("01-02-2014 18:00", "has `01-02-2014`, of which nobody"),
        ("1.2.14", "has `1.2.14`, of which nobody"),
        ("2014.03.10", "has `2014.03.10`, which is no part"),
        ("2014-03", "has `2014-03`, which is no part"),
        ("2014-03/10", "has `2014-03/10`, which is no part"),
        ("2014-003-10", "has `2014-003-10`, which is no part"),
        ("20140310", "has `20140310`, which is no part"),
        ("tomorrow", "has `tomorrow`, which is no part"),
        ("-2014-03-10", "has the offset `-2014-03-10`"),
        ("15 Aug", "does not say the year"),
        ("Aug 2014", "does not say the day"),
        ("15 2014", "does not say the month"),
        ("18:00", "does not say the year"),
        ("15 Aug 14", "has `14` as a year, which needs four digits"),
        ("15 Aug 2014 AM", "does not say the time"),
        ("15 Aug 2014 2015", "has more than one year"),
        ("2014-03-10 18", "has more than one day"),
        ("15th 16th Aug 2014", "has more than one day"),
        ("2014-03-10 March", "has more than one month"),
        ("Mon Tue 2014-03-10", "has more than one weekday"),
        ("2014-03-10 1:00 2:00", "has more than one time"),
        ("2014-03-10 1:00Z UTC", "has more than one time zone"),
        ("31 Feb 2014", "has no such day in the calendar: there is no 2014-02-31"),
        ("2014-13-01", "there is no 2014-13-01"),
        ("2014-00-00", "there is no 2014-00-00"),
        ("29 Feb 2100", "there is no 2100-02-29"),
        ("2014-03-10 24:00", "has `24:00` as its time, which no clock shows"),
        ("2014-03-10 18:60", "has `18:60` as its time"),
        ("2014-03-10 18:00:61", "has `18:00:61` as its time"),
        ("2014-03-10 18:5", "has `18:5` as its time"),
        ("2014-03-10 18:00.5", "has `18:00.5` as its time"),
        ("2014-03-10 18:00:00.", "has `18:00:00.` as its time"),
        ("2014-03-10 13:00 PM", "has `13:00` as its time"),
        ("2014-03-10 0:30 AM", "has `0:30` as its time"),
        ("2014-03-10T", "does not say the time"),
        ("Mon Jul 11 03:08:57 IST 2014", "says Monday, but 2014-07-11 is a Friday"),
        (
            "2014-03-10 18:00 CST",
            "has the time zone `CST`, which can mean -06:00 (America/Chicago), +08:00 (Asia/Sh",
        ),
        ("2014-03-10 18:00 bst", "has the time zone `bst`, which can mean +01:00"),
        ("2014-03-10 18:00 XYZ", "has `XYZ`, which is no part"),
        ("2014-03-10 18:00 Europe/Atlantis", "has `Europe/Atlantis`, which is no part"),
        ("2014-03-10 18:00 +5", "has the offset `+5`, which no place has"),
        ("2014-03-10 18:00 +16:00", "has the offset `+16:00`, which no place has"),
        ("2014-03-10 18:00 +05:60", "has the offset `+05:60`"),
        ("2014-03-10 18:00+1é0", "has the offset `+1é0`"),
        ("１５ Aug 2014", "has `１５`, which is no part"),
    ] {
        let refused = refused(text);
        let rest = refused.strip_prefix(&format!("`{text}` ")).unwrap();
        assert!(rest.contains(reason), "{text}: {refused}");
        assert!(refused.contains("; write for example `2014-05-07 18:00`"), "{text}: {refused}");
    }
}

#[test]
fn the_examples_in_the_message_are_read() {
    let message = refused("x");
    let (_, examples) = message.split_once("; write for example ").unwrap();
    let examples: Vec<_> =
        examples.split('`').skip(1).step_by(2).map(|text| read(text, Tz::Europe__Berlin)).collect();
    assert_eq!(examples, ["2014-05-07T16:00:00Z"; 3]);
}

proptest! {
    #[test]
    fn what_both_rfcs_write_is_read_back(seconds in -62_135_596_800_i64..253_402_214_400, minutes in -900_i32..=900) {
        let offset = chrono::FixedOffset::east_opt(minutes * 60).unwrap();
        let at = DateTime::from_timestamp(seconds, 0).unwrap();
        let local = at.with_timezone(&offset);
        prop_assume!((1..=9999).contains(&chrono::Datelike::year(&local)));
        for text in [local.to_rfc3339(), local.to_rfc2822(), local.format("%a %b %e %T %Y %z").to_string()] {
            prop_assert_eq!(parse(&text, Tz::Asia__Tokyo).map_err(|error| error.to_string()), Ok(at));
        }
    }

    #[test]
    fn no_text_is_a_panic(text in "[ 0-9:./,+a-zA-ZéT-]{0,30}|\\PC{0,20}") {
        let _ = parse(&text, Tz::Europe__Berlin);
    }
}
