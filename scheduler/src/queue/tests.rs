//! Who goes first, and that no shortcut to finding them changes who it is.

use proptest::prelude::*;

use super::*;
use crate::core::tests::{at, project};

fn queue(concurrent: usize, per_host: usize) -> Queue {
    let per_label = BTreeMap::from([("array=1".to_owned(), 1)]);
    Queue::new(Bounds { concurrent, per_host, per_label, ..Bounds::default() })
}

fn run(number: u128) -> RunId {
    RunId::after(None, at(0), number)
}

#[test]
fn a_run_that_its_host_blocks_lets_others_pass() {
    let mut queue = queue(3, 1);
    queue.push(run(1), &project("a", "h1", "/d/a"), 0, at(0));
    queue.push(run(2), &project("b", "H1", "/d/b"), 0, at(1));
    queue.push(run(3), &project("c", "h2", "/d/c"), 0, at(2));
    assert_eq!(queue.start_next(at(0)), Some(run(1)));
    assert_eq!(queue.start_next(at(0)), Some(run(3)));
    assert_eq!(queue.start_next(at(0)), None);
    assert_eq!(queue.items(9, at(0))[0].waits, Waits::ForHost { host: "h1".to_owned(), bound: 1 });
    queue.finish(run(1));
    assert_eq!(queue.start_next(at(0)), Some(run(2)));
}

#[test]
fn a_label_bounds_the_projects_that_carry_it() {
    let mut queue = queue(9, 9);
    let labelled = |name: &str, array: &str| {
        let mut project = project(name, name, &format!("/d/{name}"));
        project.labels.insert("array".to_owned(), array.to_owned());
        project
    };
    queue.push(run(1), &labelled("a", "1"), 0, at(0));
    queue.push(run(2), &labelled("b", "1"), 0, at(1));
    queue.push(run(3), &labelled("c", "2"), 0, at(2));
    assert_eq!(
        [queue.start_next(at(0)), queue.start_next(at(0)), queue.start_next(at(0))],
        [Some(run(1)), Some(run(3)), None]
    );
    assert_eq!(queue.items(9, at(0))[0].waits, Waits::ForLabel { label: "array=1".to_owned(), bound: 1 });
}

#[test]
fn a_higher_priority_goes_first_but_a_long_wait_outweighs_it() {
    let mut queue = queue(1, 1);
    let urgent = |name: &str| Project { priority: 2, ..project(name, name, &format!("/d/{name}")) };
    queue.push(run(1), &project("old", "a", "/d/1"), 0, at(0));
    queue.push(run(2), &project("patient", "b", "/d/2"), 0, at(100));
    queue.push(run(3), &urgent("soon"), 0, at(200));
    queue.push(run(4), &urgent("late"), 0, at(100 + 2 * AGE_PER_POINT_SECONDS + 1));
    let mut order = Vec::new();
    while let Some(next) = queue.start_next(at(0)) {
        queue.finish(next);
        order.push(next);
    }
    assert_eq!(order, [run(3), run(1), run(2), run(4)]);
}

/// What can happen to a queue.
#[derive(Debug, Clone)]
enum Event {
    /// A run of this priority comes at this time, from one of a few hosts, with one of a few labels.
    Push {
        host: u8,
        array: u8,
        disk: u8,
        priority: i32,
        since: i64,
    },
    Start,
    Finish(prop::sample::Index),
    Remove(prop::sample::Index),
    Bounds {
        concurrent: usize,
        per_host: usize,
        array: usize,
        disk: usize,
    },
    ClockBack(i64),
    Pass(i64),
    /// A going run learns something of its host, and ends.
    Hear(prop::sample::Index, Reached),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..3u8, 0..3u8, 0..3u8, -2..3i32, 0..3000i64)
            .prop_map(|(host, array, disk, priority, since)| Event::Push { host, array, disk, priority, since }),
        6 => Just(Event::Start),
        4 => any::<prop::sample::Index>().prop_map(Event::Finish),
        2 => any::<prop::sample::Index>().prop_map(Event::Remove),
        1 => (0..5usize, 0..3usize, 0..3usize, 0..3usize)
            .prop_map(|(concurrent, per_host, array, disk)| Event::Bounds { concurrent, per_host, array, disk }),
        1 => (0..3000i64).prop_map(Event::ClockBack),
        4 => (0..200i64).prop_map(Event::Pass),
        3 => (any::<prop::sample::Index>(), reached()).prop_map(|(which, reached)| Event::Hear(which, reached)),
    ]
}

fn reached() -> impl Strategy<Value = Reached> {
    prop_oneof![Just(Reached::Served), Just(Reached::Full), Just(Reached::Not), Just(Reached::Unknown)]
}

/// One host is to be started from once in a minute, another one has a bound of its own.
fn hosts() -> BTreeMap<String, HostBudget> {
    let gap = HostBudget { gap: std::time::Duration::from_mins(1), ..HostBudget::default() };
    let own = HostBudget { connections: Some(2), ..HostBudget::default() };
    BTreeMap::from([("h0".to_owned(), gap), ("h1".to_owned(), own)])
}

proptest! {
    #[test]
    fn the_next_run_is_always_the_first_in_order_that_waits_for_nothing(
        events in prop::collection::vec(event(), 1..120),
    ) {
        let mut queue = queue(3, 1);
        let mut now = at(3000);
        let mut going: Vec<RunId> = Vec::new();
        for (number, event) in (1..).zip(events) {
            match event {
                Event::Push { host, array, disk, priority, since } => {
                    let name = format!("p{number}");
                    let mut project = project(&name, &format!("h{host}"), &format!("/d/{name}"));
                    project.priority = priority;
                    project.labels.insert("array".to_owned(), array.to_string());
                    project.labels.insert("disk".to_owned(), disk.to_string());
                    queue.push(run(number), &project, 0, at(since));
                }
                Event::Start => {
                    queue.reopen(now);
                    let first = queue.items(usize::MAX, now).into_iter().find(|item| item.waits == Waits::ForNothing);
                    let next = queue.start_next(now);
                    prop_assert_eq!(next, first.map(|item| item.run));
                    going.extend(next);
                }
                Event::Finish(which) if !going.is_empty() => {
                    queue.finish(going.swap_remove(which.index(going.len())));
                }
                Event::Remove(which) => {
                    let waiting = queue.items(usize::MAX, now);
                    if !waiting.is_empty() {
                        queue.remove(waiting[which.index(waiting.len())].run);
                    }
                }
                Event::Bounds { concurrent, per_host, array, disk } => {
                    let per_label = BTreeMap::from([("array=1".to_owned(), array), ("disk=2".to_owned(), disk)]);
                    queue.set_bounds(Bounds { concurrent, per_host, per_label, hosts: hosts(), ..Bounds::default() });
                }
                Event::ClockBack(back) => {
                    now = at(back);
                    queue.none_since_after(now);
                }
                Event::Pass(seconds) => now += Duration::seconds(seconds),
                Event::Hear(which, reached) if !going.is_empty() => {
                    let run = going.swap_remove(which.index(going.len()));
                    queue.hear(run, reached, 0.5, now);
                    queue.finish(run);
                }
                Event::Finish(_) | Event::Hear(..) => {}
            }
            prop_assert_eq!(queue.going(), going.len());
        }
    }
}

#[test]
fn nothing_starts_on_a_full_disk_and_others_pass_it_by() {
    let table = "1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /d/full rw - ext4 b rw\n";
    let mounts = std::sync::Arc::new(crate::disk::Mounts::parse(table));
    let full: crate::disk::DiskId = std::path::Path::new("/d/full").into();
    let mut queue = queue(8, 8);
    queue.push(run(1), &project("a", "h", "/d/full/a"), 0, at(0));
    queue.push(run(2), &project("b", "h", "/d/b"), 0, at(1));
    queue.set_disks(std::sync::Arc::clone(&mounts), BTreeSet::from([std::sync::Arc::clone(&full)]));
    assert_eq!(queue.start_next(at(9)), Some(run(2)));
    queue.push(run(3), &project("c", "h", "/d/full/c"), 0, at(2));
    assert_eq!(queue.start_next(at(9)), None);
    assert!(queue.items(9, at(9)).iter().all(|item| item.waits == Waits::ForSpace { disk: full.clone() }));
    queue.set_disks(mounts, BTreeSet::new());
    assert_eq!(
        (queue.start_next(at(9)), queue.start_next(at(9)), queue.start_next(at(9))),
        (Some(run(1)), Some(run(3)), None)
    );
}
