//! Clocks that jump, and machines that sleep: nothing storms, nothing stalls.

use super::*;
use crate::cron::CronText;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 86_400;
const PROJECTS: usize = 12;

/// A schedule, and how often a project that follows it may run in an hour.
fn schedules() -> Vec<(Schedule, usize)> {
    let cron = |text| schedule(Rule::Cron(CronText::parse(text, "p").unwrap()));
    let half_hour = schedule(Rule::Every(Duration::from_mins(30)));
    vec![
        (cron("*/5 * * * *"), 12),
        (Schedule { jitter: Duration::from_mins(4), ..cron("*/5 * * * *") }, 12),
        (Schedule { jitter: Duration::from_mins(20), ..cron("0 * * * *") }, 2),
        (Schedule { catch_up: CatchUp::None, ..cron("*/10 * * * *") }, 6),
        (Schedule { jitter: Duration::from_mins(5), ..half_hour.clone() }, 2),
        (Schedule { catch_up: CatchUp::None, ..half_hour }, 2),
    ]
}

impl Bench {
    /// Lets the time pass minute by minute; every run that starts ends well at once. Gives the runs of each project.
    fn live(&mut self, from: i64, to: i64) -> BTreeMap<ProjectId, usize> {
        let mut count = BTreeMap::new();
        for minute in (from..=to).step_by(60) {
            self.at(minute);
            while let Some(run) = self.started.pop() {
                *count.entry(self.runs[&run].project.clone()).or_default() += 1;
                self.end(run, Verdict::Done, 0);
            }
        }
        count
    }
}

#[test]
fn after_every_jump_each_project_runs_once_at_most_and_then_goes_on_as_before() {
    let start = 40 * YEAR;
    for (schedule, per_hour) in schedules() {
        for jump in [YEAR, 10 * YEAR, 8 * HOUR, HOUR, 0, -10 * MINUTE, -HOUR, -8 * HOUR, -YEAR, -39 * YEAR] {
            for restart in [false, true] {
                let mut bench = Bench::new();
                bench.now = at(start);
                for number in 0..PROJECTS {
                    let id = format!("p{number}");
                    let schedule = schedule.clone();
                    bench.create(Project { schedule, ..project(&id, &id, &format!("/d/{id}")) });
                }
                bench.live(start, start + 3 * HOUR);
                let after = start + 3 * HOUR + jump;
                let what = format!("{} after {jump} s, restart: {restart}", schedule.describe());
                if restart {
                    bench.now = at(after);
                    bench.crash();
                }
                let at_once = bench.live(after, after);
                assert!(at_once.values().all(|runs| *runs <= 1), "{what}: {at_once:?}");
                let hours = bench.live(after + MINUTE, after + 4 * HOUR);
                assert_eq!(hours.len(), PROJECTS, "{what}: somebody never ran: {hours:?}");
                assert!(hours.values().all(|runs| *runs <= 4 * per_hour + 1), "{what}: {hours:?}");
                assert!(hours.values().all(|runs| *runs >= (2 * per_hour).min(3)), "{what}: {hours:?}");
            }
        }
    }
}

#[test]
fn a_suspended_machine_catches_up_by_the_policy_and_not_by_the_number_of_times() {
    for (catch_up, runs) in
        [(CatchUp::Once, 1), (CatchUp::None, 0), (CatchUp::Within(Duration::from_hours(1)), 0)]
    {
        let daily = schedule(Rule::Cron(CronText::parse("0 3 * * *", "p").unwrap()));
        let mut bench = Bench::new();
        bench.create(Project { schedule: Schedule { catch_up, ..daily }, ..project("p", "h", "/d/p") });
        bench.at(2 * HOUR);
        bench.at(10 * HOUR);
        assert_eq!(bench.started.len(), runs, "{catch_up}");
        assert_eq!(bench.standing("p").skipped, u64::from(runs == 0));
        assert_eq!(bench.standing("p").fired, Some(at(3 * HOUR)));
    }
}

#[test]
fn a_wait_that_began_under_a_wrong_clock_ends_within_its_longest_time() {
    for restart in [false, true] {
        let mut bench = Bench::new();
        bench.at(YEAR);
        bench.create(project("p", "h", "/d/p"));
        let run = bench.sync("p");
        bench.end(run, Verdict::RetryLater, 0);
        bench.now = at(0);
        if restart {
            bench.crash();
        }
        bench.started.clear();
        bench.at(0);
        bench.at(10 * MINUTE);
        assert_eq!(bench.started, [run], "restart: {restart}");
    }
}

#[test]
fn who_waited_under_a_wrong_clock_is_not_passed_over_for_ever() {
    let mut bench = Bench::new();
    bench.at(YEAR);
    for id in ["a", "b", "patient"] {
        bench.create(project(id, id, &format!("/d/{id}")));
    }
    let (first, _) = (bench.sync("a"), bench.sync("b"));
    let patient = bench.sync("patient");
    bench.at(0);
    bench.create(project("newcomer", "n", "/d/n"));
    bench.sync("newcomer");
    bench.end(first, Verdict::Done, 0);
    assert_eq!(bench.started.last(), Some(&patient));
}

#[test]
fn no_schedule_rests_until_a_clock_that_was_ahead_is_there_again_and_people_are_told() {
    let start = 40 * YEAR;
    for (schedule, _) in schedules() {
        for restart in [false, true] {
            let mut bench = Bench::new();
            bench.now = at(start);
            bench.create(Project { schedule: schedule.clone(), ..project("p", "h", "/d/p") });
            bench.live(start, start + 3 * HOUR);
            assert_eq!(bench.core.clock_step(), None);

            // Less than an hour, which was believed before.
            let after = start + 3 * HOUR - 50 * MINUTE;
            bench.now = at(after);
            if restart {
                bench.crash();
            }
            let first = (0..120).find(|minute| {
                let now = after + minute * MINUTE;
                !bench.live(now, now).is_empty()
            });
            let what = format!("{}, restart: {restart}", schedule.describe());
            let longest = match schedule.rule {
                Rule::Every(_) => 36,
                _ if schedule.jitter > Duration::from_mins(5) => 81,
                _ => 15,
            };
            assert!(first.is_some_and(|minute| minute <= longest), "{what}: {first:?}");
            let told = bench.core.clock_step().unwrap();
            assert!(told.is_current(at(after)) && !told.is_current(at(after + HOUR)), "{what}");
            assert!(told.to_string().starts_with("the clock went back by "), "{told}");
        }
    }
}

#[test]
fn a_wait_and_an_age_go_back_with_the_clock() {
    let mut bench = Bench::new();
    bench.at(HOUR);
    bench.create(project("p", "h", "/d/p"));
    let run = bench.sync("p");
    bench.end(run, Verdict::Done, 1);
    let run = bench.sync("p");
    bench.end(run, Verdict::RetrySoon, 0);
    let RunState::BackingOff { until, .. } = bench.runs[&run].state else { panic!("it waits") };
    let wait = until - bench.now;
    bench.at(HOUR - 20 * MINUTE);
    let RunState::BackingOff { until, .. } = bench.runs[&run].state else { panic!("it waits") };
    assert_eq!(until - bench.now, wait, "the wait is as long as it was");
    // What is counted from the last good run would have no age for as long as the clock is behind.
    assert_eq!(bench.standing("p").last_success, Some(bench.now));
}
