//! A policy beside the clockwork: its order and its waits count, within bounds that it cannot leave.

use super::*;
use crate::policy::Suggestion;
use crate::queue::HostBudget;

/// A bench that asks, with these projects queued; two may go at once.
fn asking(names: &[&str]) -> (Bench, Vec<RunId>) {
    let mut bench = Bench::new();
    bench.core = clockwork().asking(true, true);
    let runs = names.iter().map(|name| {
        bench.create(project(name, name, &format!("/d/{name}")));
        bench.sync(name)
    });
    let runs = runs.collect();
    (bench, runs)
}

impl Bench {
    fn pick(&mut self, picks: Option<&[usize]>) {
        let (number, question) = self.questions.pop().unwrap();
        let runs = picks.map(|picks| picks.iter().map(|at| question.runs[*at]).collect());
        self.input(Input::Picked(number, runs));
    }

    fn plan(&mut self, minutes: u64) {
        let plan = self.plans.pop().unwrap();
        let suggestion = Suggestion { by: "adaptive".to_owned(), delay: Duration::from_mins(minutes) };
        self.input(Input::Planned(plan.project.id.clone(), plan.run, suggestion));
    }
}

#[test]
fn the_order_is_the_policys_and_the_bounds_are_ours() {
    let (mut bench, runs) = asking(&["a", "b", "c", "d"]);
    assert!(bench.started.is_empty());
    // The first question was about the first run alone; what came since is in the next one.
    bench.questions.truncate(1);
    bench.pick(Some(&[]));
    let (_, question) = bench.questions.last().unwrap();
    assert_eq!(question.runs, runs);
    assert_eq!(question.view.free_slots, 2);
    bench.pick(Some(&[3, 1, 0, 2]));
    assert_eq!(bench.started, [runs[3], runs[1]], "two may go at once");
    assert!(bench.questions.is_empty(), "nobody else could start");
    bench.end(runs[3], Verdict::Done, 1);
    bench.pick(None);
    assert_eq!(bench.started[2..], [runs[0]], "without an answer the built-in order holds");
}

#[test]
fn a_policy_that_says_nothing_holds_up_the_queue_for_ten_seconds() {
    let (mut bench, runs) = asking(&["a"]);
    bench.at(9);
    assert!(bench.started.is_empty());
    bench.at(10);
    assert_eq!(bench.started, runs);
    // An answer that comes after that is none.
    bench.pick(Some(&[0]));
    assert_eq!(bench.started, runs);
}

#[test]
fn who_is_left_out_is_asked_about_again_and_starts_after_an_hour() {
    let (mut bench, runs) = asking(&["a"]);
    bench.pick(Some(&[]));
    for minute in 1..60 {
        bench.at(60 * minute);
        bench.pick(Some(&[]));
        assert!(bench.started.is_empty(), "minute {minute}");
    }
    bench.at(3600);
    assert_eq!(bench.started, runs);
}

#[test]
fn a_host_in_its_quiet_hours_holds_up_nobody_else_and_is_asked_about_when_they_are_over() {
    // The clock of these tests begins at midnight.
    let quiet = HostBudget { quiet: vec!["00:00-02:00".parse().unwrap()], ..HostBudget::default() };
    let hosts = BTreeMap::from([("a".to_owned(), quiet)]);
    let mut bench = Bench::new();
    bench.core = clockwork().asking(true, true);
    let tool =
        Tool { program: "rsync".into(), limits: Limits::default(), commands: std::sync::Arc::default() };
    bench.input(Input::Site(Bounds { hosts, ..Bounds::default() }, tool));
    bench.create(project("a", "a", "/d/a"));
    let waits = bench.sync("a");
    assert!(
        bench.questions.is_empty() && bench.core.next_wake() == Some(at(7200)),
        "{:?}",
        bench.core.next_wake()
    );
    bench.create(Project { priority: -500, ..project("b", "b", "/d/b") });
    let other = bench.sync("b");
    bench.pick(Some(&[]));
    bench.at(3660);
    assert_eq!(bench.started, [other]);
    bench.at(7200);
    assert_eq!(bench.started, [other, waits], "it has waited for more than an hour");
}

#[test]
fn what_was_cancelled_or_changed_meanwhile_does_not_start() {
    let (mut bench, runs) = asking(&["a", "b"]);
    bench.ask(Command::Cancel { run: runs[0], by: "ann".to_owned() }).unwrap();
    bench.questions.truncate(1);
    bench.pick(Some(&[0]));
    assert!(bench.started.is_empty());
    bench.pick(Some(&[0]));
    assert_eq!(bench.started, [runs[1]]);
}

fn scheduled() -> Bench {
    let mut bench = Bench::new();
    bench.core = clockwork().asking(false, true);
    bench.create(Project { schedule: every_five_minutes(), ..project("p", "h", "/d/p") });
    bench.at(300);
    let run = bench.started[0];
    bench.end(run, Verdict::Done, 1);
    bench
}

fn next(bench: &Bench) -> Option<DateTime<Utc>> {
    bench.core.entry(&"p".parse().unwrap()).unwrap().next
}

#[test]
fn a_policy_says_when_a_project_is_due_again_and_a_crash_does_not_forget_it() {
    let mut bench = scheduled();
    assert_eq!(next(&bench), Some(at(600)), "until it has said something, the schedule holds");
    let finished = &bench.plans[0].finished;
    assert_eq!((finished.default_delay_ms, finished.min_delay_ms), (300_000, 60_000));
    bench.plan(42);
    assert_eq!(next(&bench), Some(at(300 + 42 * 60)));
    bench.crash();
    bench.core = std::mem::replace(&mut bench.core, clockwork()).asking(false, true);
    assert_eq!(next(&bench), Some(at(300 + 42 * 60)));
    bench.at(600);
    assert!(bench.started.is_empty());
    bench.at(300 + 42 * 60);
    assert_eq!(bench.started.len(), 1);
    assert_eq!(bench.standing("p").planned, None);
    // No time of the schedule in between is made up for.
    let run = bench.started[0];
    bench.end(run, Verdict::Done, 0);
    assert_eq!(next(&bench), Some(at(300 + 45 * 60)));
}

#[test]
fn a_wait_has_bounds_and_ends_with_the_schedule_that_it_stood_beside() {
    for (minutes, seconds) in [(0, 60), (60 * 24 * 30, 7 * 24 * 3600)] {
        let mut bench = scheduled();
        bench.plan(minutes);
        assert_eq!(next(&bench), Some(at(300 + seconds)));
    }
    let mut bench = scheduled();
    bench.plan(42);
    let known = Project::clone(&bench.core.entry(&"p".parse().unwrap()).unwrap().project);
    let hourly = Schedule { rule: Rule::Every(Duration::from_hours(1)), ..manual() };
    let changed = Project { schedule: hourly, ..known };
    bench.ask(Command::Replace { project: Box::new(changed), if_version: None }).unwrap();
    assert_eq!(next(&bench), Some(at(300 + 3600)));
    assert_eq!(bench.standing("p").planned, None);
}

#[test]
fn a_run_by_hand_ends_a_wait_and_makes_up_for_nothing() {
    let mut bench = scheduled();
    bench.plan(42);
    bench.at(1000);
    let run = bench.sync("p");
    bench.end(run, Verdict::Done, 0);
    assert_eq!(next(&bench), Some(at(1200)));
    assert_eq!(bench.started.len(), 2);
}

#[test]
fn what_is_said_of_a_run_that_is_not_the_last_any_more_counts_no_more() {
    let mut bench = scheduled();
    let plan = bench.plans.pop().unwrap();
    let run = bench.sync("p");
    let suggestion = Suggestion { by: "x".to_owned(), delay: Duration::from_hours(5) };
    bench.input(Input::Planned("p".parse().unwrap(), plan.run, suggestion.clone()));
    bench.end(run, Verdict::Done, 1);
    bench.input(Input::Planned("p".parse().unwrap(), plan.run, suggestion));
    assert_eq!(next(&bench), Some(at(600)));
}
