//! What becomes of the times that passed while the server was down.

use super::*;

const DAY: i64 = 86_400;

fn daily_at_three() -> Schedule {
    schedule(Rule::Cron(crate::cron::CronText::parse("0 3 * * *", "p").unwrap()))
}

fn bench(schedule: Schedule) -> Bench {
    let mut bench = Bench::new();
    bench.create(Project { schedule, ..project("p", "h", "/d/p") });
    bench
}

impl Bench {
    fn crash_at(&mut self, seconds: i64) {
        self.now = at(seconds);
        self.crash();
    }

    fn only_run(&self) -> &Run {
        assert_eq!(self.started.len(), 1);
        &self.runs[&self.started[0]]
    }
}

#[test]
fn a_project_that_catches_up_nothing_waits_for_its_next_time() {
    let mut bench = bench(Schedule { catch_up: CatchUp::None, ..every_five_minutes() });
    bench.crash_at(40 * DAY + 77);
    assert!(bench.started.is_empty());
    assert_eq!((bench.standing("p").skipped, bench.standing("p").fired), (1, Some(at(40 * DAY))));
    bench.crash_at(40 * DAY + 100);
    assert_eq!(bench.standing("p").skipped, 1, "it was decided once");
    bench.at(40 * DAY + 300);
    assert_eq!(bench.only_run().trigger, Trigger::Schedule);
}

#[test]
fn a_quick_restart_is_no_downtime() {
    let mut bench = bench(Schedule { catch_up: CatchUp::None, ..every_five_minutes() });
    bench.crash_at(310);
    assert_eq!((bench.only_run().trigger, bench.only_run().scheduled), (Trigger::Schedule, Some(at(300))));
}

#[test]
fn a_bounded_catch_up_goes_by_the_newest_of_the_missed_times() {
    let within = || Schedule { catch_up: CatchUp::Within(Duration::from_hours(6)), ..daily_at_three() };
    let mut soon = bench(within());
    soon.crash_at(9 * DAY + 9 * 3600);
    assert_eq!(
        (soon.only_run().trigger, soon.only_run().scheduled),
        (Trigger::CatchUp, Some(at(9 * DAY + 3 * 3600)))
    );
    let mut late = bench(within());
    late.crash_at(9 * DAY + 9 * 3600 + 1);
    assert!(late.started.is_empty());
    assert_eq!(late.standing("p").skipped, 1);
}

#[test]
fn what_a_downtime_gathered_starts_spread_over_the_jitter() {
    let mut bench = Bench::new();
    for number in 0..40 {
        let id = format!("p{number}");
        let schedule = Schedule { jitter: Duration::from_hours(1), ..daily_at_three() };
        bench.create(Project { schedule, ..project(&id, &id, &format!("/d/{id}")) });
    }
    bench.crash_at(9 * DAY + 12 * 3600);
    let mut seen = Vec::new();
    for quarter in 1..=4 {
        bench.at(9 * DAY + 12 * 3600 + quarter * 900);
        seen.push(bench.runs.len());
    }
    assert_eq!(seen[3], 40, "{seen:?}");
    assert!(seen.windows(2).all(|pair| pair[1] > pair[0]), "{seen:?}");
    assert!(bench.runs.values().all(|run| run.trigger == Trigger::CatchUp));
}

#[test]
fn a_time_whose_jitter_has_not_run_out_at_a_restart_is_not_missed() {
    let jitter = Duration::from_hours(1);
    let schedule = Schedule { jitter, catch_up: CatchUp::None, ..daily_at_three() };
    let begins = schedule.jittered(at(3 * 3600), "p");
    let mut bench = bench(schedule);
    bench.crash_at(3 * 3600 + 1);
    assert!(bench.started.is_empty());
    bench.at((begins - at(0)).num_seconds() + 1);
    assert_eq!(
        (bench.only_run().trigger, bench.only_run().scheduled),
        (Trigger::Schedule, Some(at(3 * 3600)))
    );
}

#[test]
fn a_pause_that_is_not_caught_up_begins_again_once_and_not_with_every_restart() {
    let rule = Rule::Every(Duration::from_hours(24));
    let mut bench = bench(Schedule { catch_up: CatchUp::None, ..schedule(rule) });
    bench.end(bench.started[0], Verdict::Done, 0);
    bench.crash_at(3 * DAY);
    for hours in [6, 12, 18, 23] {
        bench.crash_at(3 * DAY + hours * 3600);
        assert!(bench.started.is_empty());
    }
    bench.crash_at(4 * DAY);
    assert_eq!(bench.only_run().trigger, Trigger::Schedule);
    assert_eq!(bench.standing("p").skipped, 1);
}

#[test]
fn a_pause_that_never_began_is_not_missed() {
    let rule = Rule::Every(Duration::from_hours(24));
    let mut bench = Bench::new();
    let project = Project {
        schedule: Schedule { catch_up: CatchUp::None, ..schedule(rule) },
        ..project("p", "h", "/d/p")
    };
    let mut step = Step::default();
    bench.core.handle(
        at(0),
        Input::Command { ticket: 0, command: Command::Create(Box::new(project)) },
        &mut step,
    );
    bench.apply(step);
    bench.crash_at(9 * DAY);
    assert_eq!(bench.only_run().trigger, Trigger::CatchUp);
}

#[test]
fn what_passed_before_a_schedule_was_switched_on_or_changed_is_nobodys() {
    let mut bench = bench(daily_at_three());
    let enable = |enabled| Command::Enable { id: "p".parse().unwrap(), enabled };
    bench.ask(enable(false)).unwrap();
    bench.now = at(30 * DAY);
    bench.ask(enable(true)).unwrap();
    bench.crash();
    assert!(bench.started.is_empty());
    let changed = Project { schedule: every_five_minutes(), ..project("p", "h", "/d/p") };
    bench.now = at(30 * DAY + 299);
    bench.ask(Command::Replace { project: Box::new(changed), if_version: None }).unwrap();
    bench.crash();
    assert!(bench.started.is_empty());
    bench.at(30 * DAY + 300);
    assert_eq!(bench.started.len(), 1);
}

#[test]
fn an_edit_between_a_time_and_its_start_does_not_lose_the_time() {
    let jitter = |hours| Schedule { jitter: Duration::from_hours(hours), ..daily_at_three() };
    for schedule in [jitter(1), jitter(2)] {
        let mut bench = bench(jitter(1));
        bench.now = at(3 * 3600 + 1);
        let edited = Project { schedule, name: "new".to_owned(), ..project("p", "h", "/d/p") };
        bench.ask(Command::Replace { project: Box::new(edited), if_version: None }).unwrap();
        bench.crash();
        let begins = bench.core.next_wake().unwrap();
        assert!(begins > at(3 * 3600 + 1) && begins < at(5 * 3600));
        bench.at((begins - at(0)).num_seconds() + 1);
        assert_eq!(bench.only_run().scheduled, Some(at(3 * 3600)));
    }
    let mut bench = bench(daily_at_three());
    bench.now = at(3 * 3600);
    let edited = Project { schedule: every_five_minutes(), ..project("p", "h", "/d/p") };
    bench.ask(Command::Replace { project: Box::new(edited), if_version: None }).unwrap();
    assert_eq!(bench.started.len(), 1, "it was due before it was changed, within the same moment");
}
