//! Ten thousand projects at once: all of them run, in order, and nobody who asks waits for them.

use super::*;

const CROWD: usize = 10_000;

/// A clockwork with a crowd of projects that are all due at 300.
fn crowd() -> Bench {
    let mut bench = Bench::new();
    let schedule = every_five_minutes();
    for number in 0..CROWD {
        let id = format!("p{number:05}");
        let schedule = schedule.clone();
        bench.create(Project { schedule, ..project(&id, &id, &format!("/d/{id}")) });
    }
    bench
}

#[test]
fn ten_thousand_projects_due_at_once_all_run_in_order_within_the_bounds() {
    let mut bench = crowd();
    bench.at(300);
    for done in 0..CROWD {
        assert!(bench.core.queue.going() <= 2);
        let run = bench.started[done];
        bench.end(run, Verdict::Done, 0);
    }
    assert_eq!(bench.started.len(), CROWD);
    let mut in_order = bench.started.clone();
    in_order.sort();
    assert_eq!(bench.started, in_order);
    let projects: HashSet<_> = bench.started.iter().map(|run| bench.runs[run].project.clone()).collect();
    assert_eq!(projects.len(), CROWD);
    assert!(
        bench.stored.values().all(|(_, standing)| standing.fired == Some(at(300)) && standing.skipped == 0)
    );
}

#[test]
fn one_step_decides_on_a_bounded_number_and_the_rest_follows_at_once() {
    let mut bench = crowd();
    bench.now = at(300);
    let mut rounds = 0;
    while bench.core.next_wake().is_some_and(|wake| wake <= at(300)) {
        let before = bench.runs.len();
        let mut step = Step::default();
        bench.core.settle(bench.now, &mut step);
        bench.apply(step);
        assert!(bench.runs.len() - before <= TOGETHER);
        rounds += 1;
    }
    assert_eq!((rounds, bench.runs.len()), (CROWD.div_ceil(TOGETHER), CROWD));
}
