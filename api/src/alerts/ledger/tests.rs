//! Years of alerts in milliseconds: settling, grouping, flapping, restarts, clocks that jump.

use super::*;
use crate::alerts::condition::Kind;
use crate::alerts::message::Topic;

const SETTLE: Duration = Duration::from_mins(1);

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn failing(project: &str, host: &str) -> Condition {
    Condition {
        key: Key { kind: Kind::Failing, subject: project.to_owned() },
        group: Group::Upstream(host.to_owned()),
        project: Some(project.to_owned()),
        run: None,
        since: None,
        lasting_since: None,
        reason: "no route".to_owned(),
    }
}

/// How many began and how many ended, for each message.
fn counts(messages: &[Message]) -> Vec<(usize, usize)> {
    let count = |message: &Message| match &message.topic {
        Topic::Changes { opened, over, .. } => (opened.len(), over.len()),
        Topic::Digest | Topic::Test => (0, 0),
    };
    messages.iter().map(count).collect()
}

#[test]
fn what_begins_is_told_once_after_the_settling_time_and_once_when_it_is_over() {
    let mut ledger = Ledger::default();
    let wrong = [failing("a", "h")];
    assert!(ledger.update(at(0), SETTLE, &wrong).is_empty());
    assert_eq!(ledger.next(SETTLE), Some(at(60)));
    assert_eq!(counts(&ledger.update(at(60), SETTLE, &wrong)), [(1, 0)]);
    for minute in 2..100 {
        assert!(ledger.update(at(minute * 60), SETTLE, &wrong).is_empty());
    }
    assert_eq!(ledger.open().len(), 1);
    assert!(ledger.update(at(6000), SETTLE, &[]).is_empty());
    assert_eq!(counts(&ledger.update(at(6060), SETTLE, &[])), [(0, 1)]);
    assert!(ledger.open().is_empty());
    ledger.update(at(200_000), SETTLE, &[]);
    assert_eq!(ledger, Ledger::default(), "nothing is kept for ever of what is over");
}

#[test]
fn what_fails_together_is_one_message_and_another_host_is_another() {
    let mut ledger = Ledger::default();
    let mut wrong: Vec<_> = (0..10).map(|n| failing(&format!("p{n}"), "h")).collect();
    wrong.push(failing("other", "elsewhere"));
    ledger.update(at(0), SETTLE, &wrong[..3]);
    ledger.update(at(50), SETTLE, &wrong);
    let messages = ledger.update(at(60), SETTLE, &wrong);
    assert_eq!(counts(&messages), [(10, 0)], "those that came within the time go with the first");
    assert_eq!(counts(&ledger.update(at(110), SETTLE, &wrong)), [(1, 0)]);
}

#[test]
fn what_passes_within_the_settling_time_is_not_told() {
    let mut ledger = Ledger::default();
    let wrong = [failing("a", "h")];
    ledger.update(at(0), SETTLE, &wrong);
    ledger.update(at(30), SETTLE, &[]);
    assert!(ledger.update(at(3600), SETTLE, &[]).is_empty());
    ledger.update(at(7200), SETTLE, &wrong);
    assert_eq!(ledger.update(at(7260), SETTLE, &wrong).len(), 1);
    ledger.update(at(7300), SETTLE, &[]);
    ledger.update(at(7330), SETTLE, &wrong);
    assert!(ledger.update(at(9000), SETTLE, &wrong).is_empty(), "a moment of health is none");
}

#[test]
fn what_comes_and_goes_all_day_is_told_a_few_times_only() {
    let mut ledger = Ledger::default();
    let wrong = [failing("a", "h")];
    let mut told = 0;
    for five_minutes in 0..288 {
        let now: &[Condition] = if five_minutes % 2 == 0 { &wrong } else { &[] };
        told += ledger.update(at(five_minutes * 300), SETTLE, now).len();
        told += ledger.update(at(five_minutes * 300 + 60), SETTLE, now).len();
    }
    assert!((1..12).contains(&told), "it was told {told} times");
    assert_eq!(ledger.open().len(), 1);
    // Once it is over for good, that is said.
    let over = (0..100).map(|hour| ledger.update(at(86_400 + hour * 3600), SETTLE, &[]).len()).sum::<usize>();
    assert_eq!(over, 1);
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn a_restart_tells_nothing_twice_and_forgets_nothing() {
    let mut ledger = Ledger::default();
    let wrong = [failing("a", "h"), failing("b", "h")];
    ledger.update(at(0), SETTLE, &wrong[..1]);
    ledger.update(at(60), SETTLE, &wrong[..1]);
    ledger.update(at(70), SETTLE, &wrong);
    let stored = serde_json::to_vec(&ledger).unwrap();
    let mut again: Ledger = serde_json::from_slice(&stored).unwrap();
    assert_eq!(again, ledger);
    assert_eq!(counts(&again.update(at(500), SETTLE, &wrong)), [(1, 0)], "b had not been told");
    // What is over by the time of the next start is told as over.
    let mut later: Ledger = serde_json::from_slice(&serde_json::to_vec(&again).unwrap()).unwrap();
    later.update(at(9000), SETTLE, &wrong[1..]);
    assert_eq!(counts(&later.update(at(9060), SETTLE, &wrong[1..])), [(0, 1)]);
}

#[test]
fn a_clock_that_goes_back_holds_nothing_up() {
    let mut ledger = Ledger::default();
    let wrong = [failing("a", "h")];
    ledger.update(at(86_400), SETTLE, &wrong);
    ledger.update(at(0), SETTLE, &wrong);
    assert_eq!(ledger.update(at(60), SETTLE, &wrong).len(), 1);
}

#[test]
fn the_most_urgent_comes_first() {
    let mut ledger = Ledger::default();
    let mut held = failing("held", "h");
    held.key.kind = Kind::Held;
    let mut disk = failing("/data", "h");
    disk.key.kind = Kind::DiskFull;
    ledger.update(at(0), SETTLE, &[failing("a", "h"), held, disk]);
    let kinds: Vec<_> = ledger.open().iter().map(|alert| alert.key.kind).collect();
    assert_eq!(kinds, [Kind::DiskFull, Kind::Held, Kind::Failing]);
}
