//! Weeks of an upstream's life in a moment: the plugin's looks against those of a fixed schedule.

use heliostat_plugin::testing::{Host, NOW_MS, finished};
use heliostat_plugin::{News, Status};

use super::*;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const OWN: u64 = HOUR;

/// Numbers that look like chance, and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What a month of looks came to, its first ten days left out: those are for learning.
#[derive(Debug)]
struct Month {
    looks: usize,
    /// The mean time between a change upstream and the look that found it, in minutes.
    staleness: u64,
}

/// Looks at an upstream that changes at `changes`, first at `start` and then when `delay` says.
fn simulate(changes: &[u64], start: u64, mut delay: impl FnMut(&Finished) -> u64) -> Month {
    let learnt = start + 10 * DAY;
    let end = start + 40 * DAY;
    let (mut now, mut last_look, mut looks) = (start, start, 0);
    let mut waiting = changes.iter().filter(|change| **change >= start).peekable();
    let mut news: Vec<News> = Vec::new();
    let (mut stale, mut found) = (0, 0);
    while now < end {
        let mut new = 0;
        while let Some(change) = waiting.next_if(|change| **change <= now) {
            new += 1;
            if now > learnt {
                stale += now - change;
                found += 1;
            }
        }
        if new > 0 {
            news.insert(0, News { unseen_ms: last_look, found_ms: now, changes: new });
            news.truncate(100);
        }
        let run = Finished {
            now_ms: now,
            default_delay_ms: OWN,
            last_new_ms: news.first().map(|news| news.found_ms),
            news: news.clone(),
            ..finished()
        };
        looks += usize::from(now > learnt);
        last_look = now;
        now += delay(&run);
    }
    assert!(found > 20, "{found} changes are no simulation");
    Month { looks, staleness: stale / found / MINUTE }
}

/// The plugin's month, and that of the project's own schedule: on average over some upstreams of a kind, since it matters
/// at which minute a fixed schedule happens to look.
fn compare(upstream: impl Fn(u64) -> Vec<u64>) -> (Month, Month) {
    let seeds = 1..=8;
    let months = seeds.map(|seed| {
        let changes = upstream(seed);
        let start = NOW_MS + seed * OWN / 8;
        let adaptive = simulate(&changes, start, |run| {
            let (delay, _) = Host::new().run(|| next_delay(run));
            u64::try_from(delay.unwrap().as_millis()).unwrap()
        });
        (adaptive, simulate(&changes, start, |_| OWN))
    });
    let (adaptive, fixed): (Vec<Month>, Vec<Month>) = months.unzip();
    (mean(&adaptive), mean(&fixed))
}

fn mean(months: &[Month]) -> Month {
    let looks = months.iter().map(|month| month.looks).sum::<usize>() / months.len();
    let staleness = months.iter().map(|month| month.staleness).sum::<u64>() / months.len() as u64;
    Month { looks, staleness }
}

/// An archive that is published at fixed hours, give or take some minutes.
fn published_at(hours: &[u64], jitter: u64, seed: u64) -> Vec<u64> {
    let mut chance = Chance(seed);
    let midnight = NOW_MS - NOW_MS % DAY;
    (0..41)
        .flat_map(|day| hours.iter().map(move |hour| midnight + day * DAY + hour * HOUR))
        .map(|time| time + chance.below(jitter))
        .collect()
}

/// People who push at random while they are at work.
fn office(seed: u64) -> Vec<u64> {
    let mut chance = Chance(seed);
    let midnight = NOW_MS - NOW_MS % DAY;
    let mut times: Vec<u64> = (0..41)
        .flat_map(|day| [midnight + day * DAY; 6])
        .map(|day| day + 8 * HOUR + chance.below(10 * HOUR))
        .collect();
    times.sort_unstable();
    times
}

#[test]
fn an_archive_with_its_hours_is_looked_at_less_and_copied_sooner() {
    let (adaptive, fixed) = compare(|seed| published_at(&[2, 8, 14, 20], 20 * MINUTE, seed));
    assert!(adaptive.looks * 4 < fixed.looks * 3, "{adaptive:?} against {fixed:?}");
    assert!(adaptive.staleness * 4 < fixed.staleness * 3, "{adaptive:?} against {fixed:?}");
}

#[test]
fn office_hours_are_looked_at_less_and_copied_sooner() {
    let (adaptive, fixed) = compare(office);
    assert!(adaptive.looks * 5 < fixed.looks * 4, "{adaptive:?} against {fixed:?}");
    assert!(adaptive.staleness < fixed.staleness, "{adaptive:?} against {fixed:?}");
}

#[test]
fn an_upstream_without_habits_costs_fewer_looks_and_is_not_neglected() {
    let (adaptive, fixed) = compare(|seed| {
        let mut chance = Chance(seed);
        let mut changes: Vec<u64> = (0..160).map(|_| NOW_MS + chance.below(40 * DAY)).collect();
        changes.sort_unstable();
        changes
    });
    assert!(adaptive.looks * 5 < fixed.looks * 4, "{adaptive:?} against {fixed:?}");
    assert!(adaptive.staleness < fixed.staleness * 2, "{adaptive:?} against {fixed:?}");
}

#[test]
fn an_upstream_that_changes_its_hours_is_found_again() {
    let (adaptive, fixed) = compare(|seed| {
        let turn = NOW_MS + 20 * DAY;
        let mut changes = published_at(&[2, 14], 10 * MINUTE, seed);
        changes.retain(|time| *time < turn);
        changes
            .extend(published_at(&[7, 19], 10 * MINUTE, seed + 100).into_iter().filter(|time| *time >= turn));
        changes
    });
    assert!(adaptive.looks < fixed.looks, "{adaptive:?} against {fixed:?}");
    assert!(adaptive.staleness < fixed.staleness * 2, "{adaptive:?} against {fixed:?}");
}

#[test]
fn the_own_schedule_holds_until_something_is_known_and_after_failures() {
    let ask = |run: &Finished| Host::new().run(|| next_delay(run)).0.unwrap();
    assert_eq!(ask(&finished()), Duration::from_millis(OWN));
    let week = (0..7).map(|day| News {
        unseen_ms: NOW_MS - day * DAY - HOUR,
        found_ms: NOW_MS - day * DAY,
        changes: 1,
    });
    let known = Finished { news: week.collect(), ..finished() };
    assert_ne!(ask(&known), Duration::from_millis(OWN));
    assert_eq!(ask(&Finished { status: Status::Failed(10), ..known }), Duration::from_millis(OWN));
}

#[test]
fn the_bounds_hold() {
    let week = (0..7).map(|day| News {
        unseen_ms: NOW_MS - day * DAY - HOUR,
        found_ms: NOW_MS - day * DAY,
        changes: 1,
    });
    let run = Finished { news: week.collect(), ..finished() };
    let ask = |host: Host| host.run(|| next_delay(&run)).0.unwrap();
    let rare = Host::new().setting("longest", "90m").setting("effort_percent", "5");
    assert_eq!(ask(rare), Duration::from_secs(90 * 60));
    let often = Host::new().setting("shortest", "20m").setting("effort_percent", "500");
    assert_eq!(ask(often), Duration::from_secs(20 * 60));
}
