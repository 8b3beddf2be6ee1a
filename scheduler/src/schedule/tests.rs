//! What must hold of every schedule, and of the changes of the clock in every zone.

use chrono::{NaiveDateTime, Offset, TimeZone};
use proptest::prelude::*;

use super::*;

fn fields(fields: &[(&str, &str)], timezone: Tz) -> Schedule {
    let given = fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    plain(Rule::Fields(CronFields::parse(&given, "p").unwrap()), timezone)
}

fn cron(text: &str, timezone: Tz) -> Schedule {
    plain(Rule::Cron(CronText::parse(text, "p").unwrap()), timezone)
}

fn plain(rule: Rule, timezone: Tz) -> Schedule {
    Schedule { rule, timezone, start: None, end: None, jitter: Duration::ZERO, catch_up: CatchUp::Once }
}

fn utc(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap().and_utc()
}

#[test]
fn a_time_in_the_gap_fires_once_right_after_it_for_both_kinds_of_rules() {
    for schedule in [
        fields(&[("hour", "2"), ("minute", "30")], Tz::Europe__Berlin),
        cron("30 2 * * *", Tz::Europe__Berlin),
    ] {
        assert_eq!(
            schedule.upcoming(utc("2026-03-28 00:00:00"), 3),
            [utc("2026-03-28 01:30:00"), utc("2026-03-29 01:00:00"), utc("2026-03-30 00:30:00")]
        );
    }
}

#[test]
fn a_repeated_time_fires_the_first_time_only_for_both_kinds_of_rules() {
    for schedule in [
        fields(&[("hour", "2"), ("minute", "30")], Tz::Europe__Berlin),
        cron("30 2 * * *", Tz::Europe__Berlin),
    ] {
        assert_eq!(
            schedule.upcoming(utc("2026-10-25 00:00:00"), 2),
            [utc("2026-10-25 00:30:00"), utc("2026-10-26 01:30:00")]
        );
    }
}

#[test]
fn every_five_minutes_runs_once_per_wall_time() {
    let schedule = fields(&[("minute", "*/5")], Tz::Europe__Berlin);
    // The hour from 02:00 to 03:00 comes twice: after its first time, nothing is due until 03:00.
    assert_eq!(schedule.next_after(utc("2026-10-25 00:55:00")), Some(utc("2026-10-25 02:00:00")));
    assert_eq!(schedule.next_after(utc("2026-10-25 01:17:03")), Some(utc("2026-10-25 02:00:00")));
    assert_eq!(
        schedule.latest_at_or_before(utc("2026-10-25 01:17:03"), utc("2026-10-01 00:00:00")),
        Some(utc("2026-10-25 00:55:00"))
    );
    // The hour that is skipped ends at 03:00, which fires once.
    assert_eq!(
        schedule.upcoming(utc("2026-03-29 00:50:00"), 3),
        [utc("2026-03-29 00:55:00"), utc("2026-03-29 01:00:00"), utc("2026-03-29 01:05:00")]
    );
}

#[test]
fn start_and_end_are_included_and_nothing_fires_outside_of_them() {
    let mut schedule = fields(&[("minute", "*/5")], Tz::UTC);
    schedule.start = Some(utc("2026-01-01 10:00:00"));
    schedule.end = Some(utc("2026-01-01 10:10:00"));
    let all = [utc("2026-01-01 10:00:00"), utc("2026-01-01 10:05:00"), utc("2026-01-01 10:10:00")];
    assert_eq!(schedule.upcoming(utc("1999-01-01 00:00:00"), 9), all);
    assert_eq!(
        schedule.latest_at_or_before(utc("2030-01-01 00:00:00"), utc("2020-01-01 00:00:00")),
        Some(all[2])
    );
    assert_eq!(schedule.latest_at_or_before(utc("2026-01-01 09:59:59"), utc("2020-01-01 00:00:00")), None);
    assert_eq!(schedule.latest_at_or_before(utc("2026-01-01 10:09:00"), utc("2026-01-01 10:06:00")), None);
    assert_eq!(schedule.latest_at_or_before(utc("2026-01-01 10:05:00"), all[1]), Some(all[1]));
}

#[test]
fn the_ends_of_time_are_no_panic() {
    let schedule = fields(&[("second", "*")], Tz::Pacific__Apia);
    assert_eq!(schedule.next_after(DateTime::<Utc>::MAX_UTC), None);
    assert!(schedule.next_after(DateTime::<Utc>::MIN_UTC).is_some());
    assert!(schedule.latest_at_or_before(DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC).is_some());
    assert_eq!(schedule.latest_at_or_before(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MIN_UTC), None);
    let huge = Schedule { jitter: Duration::MAX, ..schedule };
    assert!(huge.jittered(utc("2026-01-01 00:00:00"), "p") >= utc("2026-01-01 00:00:00"));
}

#[test]
fn a_pause_and_a_rule_by_hand_have_no_times_of_their_own() {
    for (rule, words) in [
        (Rule::Every(Duration::from_mins(30)), "30 minutes after the end of the last run"),
        (
            Rule::Every(Duration::from_secs(90_061)),
            "1 day 1 hour 1 minute 1 second after the end of the last run",
        ),
        (Rule::Manual, "only by hand"),
    ] {
        let schedule = plain(rule, Tz::UTC);
        assert_eq!(schedule.next_after(utc("2026-01-01 00:00:00")), None);
        assert_eq!(schedule.describe(), words);
    }
}

#[test]
fn the_zone_the_jitter_and_the_bounds_are_part_of_the_words() {
    let mut schedule = cron("0 3 * * FRI#L", Tz::Europe__Berlin);
    assert_eq!(schedule.describe(), "03:00 on the last Friday of each month, Europe/Berlin");
    schedule.catch_up = CatchUp::Within(Duration::from_hours(6));
    assert!(schedule.describe().ends_with(", Europe/Berlin, missed times are made up for within 6 hours"));
    schedule.catch_up = CatchUp::None;
    assert!(schedule.describe().ends_with(", Europe/Berlin, missed times are left out"));
    schedule.catch_up = CatchUp::Once;
    schedule.jitter = Duration::from_mins(5);
    schedule.start = Some(utc("2014-05-07 18:00:00"));
    assert!(
        schedule.describe().ends_with(", Europe/Berlin, up to 5 minutes later, from 2014-05-07 18:00 UTC")
    );
}

#[test]
fn jitter_stays_below_its_bound_and_spreads_projects() {
    let schedule = Schedule { jitter: Duration::from_mins(1), ..cron("@daily", Tz::UTC) };
    let at = utc("2026-01-01 00:00:00");
    let delays: std::collections::BTreeSet<_> = (0..500)
        .map(|index| (schedule.jittered(at, &format!("p{index}")) - at).num_milliseconds())
        .inspect(|delay| assert!((0..60_000).contains(delay)))
        .collect();
    assert!(delays.len() > 480, "{}", delays.len());
    assert_eq!(schedule.jittered(at, "p"), schedule.jittered(at, "p"));
    assert_ne!(schedule.jittered(at, "p"), schedule.jittered(utc("2026-01-02 00:00:00"), "p"));
}

/// A change of the offset of a zone: the first second of the new offset, and both offsets.
type Transition = (i64, i64, i64);

/// Every change of a zone between 2000 and 2040 that lasts for at least two weeks.
fn transitions(zone: Tz) -> Vec<Transition> {
    const STEP: i64 = 14 * 86_400;
    let offset = |at: i64| {
        let at = DateTime::from_timestamp(at, 0).unwrap().naive_utc();
        i64::from(zone.offset_from_utc_datetime(&at).fix().local_minus_utc())
    };
    let (mut at, end) = (utc("2000-01-01 00:00:00").timestamp(), utc("2040-01-01 00:00:00").timestamp());
    let mut found = Vec::new();
    let mut old = offset(at);
    while at < end {
        let new = offset(at + STEP);
        if new != old {
            let (mut before, mut after) = (at, at + STEP);
            while after - before > 1 {
                let middle = before.midpoint(after);
                if offset(middle) == old { before = middle } else { after = middle }
            }
            found.push((after, old, new));
        }
        old = new;
        at += STEP;
    }
    found
}

/// When a wall time fires: the first instant at which the clock shows it, or the end of the gap if it never does.
fn firing(wall: i64, (change, before, after): Transition) -> DateTime<Utc> {
    let old = Some(wall - before).filter(|at| *at < change);
    let new = Some(wall - after).filter(|at| *at >= change);
    DateTime::from_timestamp(old.or(new).unwrap_or(change), 0).unwrap()
}

#[test]
fn at_every_change_of_every_clock_a_daily_time_fires_once() {
    const DAY: i64 = 86_400;
    // Zones share most of their changes; what differs between them is only the wall time.
    let mut known = std::collections::HashSet::new();
    for zone in chrono_tz::TZ_VARIANTS {
        for transition in transitions(zone) {
            let (change, before, after) = transition;
            if !known.insert(transition) {
                continue;
            }
            let (low, high) = (before.min(after), before.max(after));
            for wall in [
                change + low - 1,
                change + low,
                change + low.midpoint(high),
                change + high - 1,
                change + high,
            ] {
                let time = DateTime::from_timestamp(wall, 0).unwrap();
                let [hour, minute, second] = ["%H", "%M", "%S"].map(|part| time.format(part).to_string());
                let schedule = fields(&[("hour", &hour), ("minute", &minute), ("second", &second)], zone);
                // A gap of a whole day holds one of these times, so two of them can be close to each other.
                let mut expected: Vec<_> = (-1..=3).map(|day| firing(wall + day * DAY, transition)).collect();
                expected.dedup();
                let begin = expected[0] - TimeDelta::hours(3);
                assert_eq!(schedule.upcoming(begin, expected.len()), expected, "{zone} {time}");
                for pair in expected.windows(2) {
                    assert_eq!(schedule.latest_at_or_before(pair[0], begin), Some(pair[0]), "{zone} {time}");
                    let before_next = pair[1] - TimeDelta::nanoseconds(1);
                    assert_eq!(
                        schedule.latest_at_or_before(before_next, begin),
                        Some(pair[0]),
                        "{zone} {time}"
                    );
                }
            }
        }
    }
    assert!(known.len() > 1000, "only {} changes were found", known.len());
    let skipped_day = (utc("2011-12-30 10:00:00").timestamp(), -10 * 3600, 14 * 3600);
    assert!(known.contains(&skipped_day), "the day that Samoa skipped is among them");
}

#[test]
fn a_day_that_the_calendar_skips_fires_once_with_all_its_times() {
    let hourly = fields(&[("minute", "30")], Tz::Pacific__Apia);
    // The evening of 29 December, the end of the 30th that never was, the night of the 31st.
    let expected = [utc("2011-12-30 09:30:00"), utc("2011-12-30 10:00:00"), utc("2011-12-30 10:30:00")];
    assert_eq!(hourly.upcoming(utc("2011-12-30 09:00:00"), 3), expected);
    let daily = fields(&[("hour", "12")], Tz::Pacific__Apia);
    let expected = [utc("2011-12-29 22:00:00"), utc("2011-12-30 10:00:00"), utc("2011-12-30 22:00:00")];
    assert_eq!(daily.upcoming(utc("2011-12-29 00:00:00"), 3), expected);
}

fn zone() -> impl Strategy<Value = Tz> {
    prop_oneof![
        Just(Tz::UTC),
        Just(Tz::Europe__Berlin),
        Just(Tz::Australia__Lord_Howe),
        Just(Tz::America__Sao_Paulo),
        Just(Tz::Pacific__Apia),
        Just(Tz::Africa__Casablanca),
        (0..chrono_tz::TZ_VARIANTS.len()).prop_map(|index| chrono_tz::TZ_VARIANTS[index]),
    ]
}

fn rule() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("*/5 * * * *".to_owned()),
        Just("*/7 * * * * *".to_owned()),
        Just("@hourly".to_owned()),
        Just("30 2 * * *".to_owned()),
        Just("H H * * *".to_owned()),
        Just("0 0 29 2 *".to_owned()),
        (0u32..60, 0u32..24).prop_map(|(minute, hour)| format!("{minute} {hour} * * MON-FRI")),
    ]
}

proptest! {
    #[test]
    fn next_and_latest_are_each_others_inverse(
        zone in zone(), text in rule(), at in 946_684_800_i64..2_200_000_000,
    ) {
        let schedule = cron(&text, zone);
        let at = DateTime::from_timestamp(at, 500_000_000).unwrap();
        let long_ago = utc("1980-01-01 00:00:00");
        let next = schedule.next_after(at).unwrap();
        prop_assert!(next > at);
        let latest = schedule.latest_at_or_before(at, long_ago).unwrap();
        prop_assert!(latest <= at);
        prop_assert_eq!(schedule.next_after(latest), Some(next));
        prop_assert_eq!(schedule.latest_at_or_before(next, long_ago), Some(next));
        prop_assert_eq!(schedule.latest_at_or_before(next - TimeDelta::nanoseconds(1), long_ago), Some(latest));
    }
}
