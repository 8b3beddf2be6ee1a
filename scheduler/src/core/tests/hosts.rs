//! What upstream hosts are spared: one that is full or down, gaps, quiet hours, connections, bandwidth.

use engine::Class;

use super::*;
use crate::queue::{HostBudget, Patience, Waits};

/// A bench with this budget for host `h`; waits are a minute, growing to eight.
fn bench(budget: HostBudget) -> Bench {
    let mut bench = Bench::new();
    let bounds = Bounds {
        concurrent: 50,
        per_host: 5,
        hosts: BTreeMap::from([("h".to_owned(), budget)]),
        patience: Patience { base: Duration::from_mins(1), cap: Duration::from_mins(8) },
        ..Bounds::default()
    };
    bench.input(Input::Site(bounds, tool()));
    bench
}

fn tool() -> Tool {
    Tool { program: "rsync".into(), limits: Limits::default(), commands: std::sync::Arc::default() }
}

fn crowd(bench: &mut Bench, count: usize) -> Vec<RunId> {
    (0..count)
        .map(|number| {
            let (name, host) = (format!("p{number}"), if number % 2 == 0 { "h" } else { "H" });
            let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
            bench.create(Project { retry, ..project(&name, host, &format!("/d/{name}")) });
            bench.sync(&name)
        })
        .collect()
}

impl Bench {
    pub(super) fn ends(&mut self, run: RunId, class: Class) {
        let end = AttemptEnd {
            duration: Duration::from_secs(1),
            exit: AttemptExit::Code(i32::from(class != Class::Done)),
            class: class.as_str().to_owned(),
            verdict: class.verdict(),
            reason: "because".to_owned(),
            stats: None,
            changes: Counts::default(),
            all_told: true,
            whole: true,
            stderr: Vec::new(),
            stage: None,
        };
        self.input(Input::AttemptEnded { run, told: Box::new(Told::new(Ending::ran(end))) });
    }

    fn going(&self) -> Vec<RunId> {
        let going = self.runs.values().filter(|run| run.state == RunState::Running);
        going.map(|run| run.id).collect()
    }

    fn reason(&self) -> String {
        self.core.queue(1)[0].waits.to_string()
    }
}

#[test]
fn a_full_upstream_is_left_alone_by_everyone_and_tried_by_one() {
    let mut bench = bench(HostBudget::default());
    let runs = crowd(&mut bench, 8);
    assert_eq!(bench.going(), runs[..5]);
    bench.ends(runs[0], Class::UpstreamBusy);
    assert_eq!(bench.going(), runs[1..5], "nobody takes the place of the one that was turned away");
    let reason = bench.reason();
    let until = reason.strip_prefix("waits for h, which is busy, until ").unwrap();
    let wait = (until.parse::<DateTime<Utc>>().unwrap() - bench.now).num_seconds();
    assert!((15..=60).contains(&wait), "{wait}");
    // What started before says nothing new.
    bench.ends(runs[1], Class::UpstreamBusy);
    assert_eq!(bench.reason(), reason);
    for run in &runs[2..5] {
        bench.ends(*run, Class::Killed);
    }
    assert_eq!(bench.core.next_wake().map(|wake| (wake - bench.now).num_seconds()), Some(wait));
    bench.at(wait + 1);
    assert_eq!(bench.going(), [runs[5]], "one tries it");
    assert_eq!(bench.core.queue(1)[0].waits, Waits::ForTrial { host: "h".to_owned() });
    bench.ends(runs[5], Class::Done);
    assert_eq!(bench.going(), runs[6..], "and all follow");
}

#[test]
fn a_host_that_several_projects_cannot_reach_is_tried_once_in_each_growing_wait() {
    let mut bench = bench(HostBudget::default());
    let runs = crowd(&mut bench, 1000);
    let mut tries = Vec::new();
    while bench.now < at(3600) {
        let going = bench.going();
        assert!(going.len() <= 5);
        match going.first() {
            Some(run) => {
                tries.push(bench.now);
                bench.ends(*run, Class::Network);
            }
            None => bench.at((bench.core.next_wake().unwrap() - at(0)).num_seconds() + 1),
        }
    }
    if let Some(run) = bench.going().first() {
        tries.push(bench.now);
        bench.ends(*run, Class::Network);
    }
    assert!(bench.reason().starts_with("waits for h, which cannot be reached, until "));
    // Five that were going already, then one in each wait: of at least 15, 30, 60 and 120 seconds.
    let tries = tries.len();
    assert!((12..=5 + 3 + 3600 / 120).contains(&tries), "{tries}");
    bench.ends_well_from_now_on();
    assert!(runs.iter().skip(tries).all(|run| bench.outcome(*run) == Some(Outcome::Unchanged)));
}

impl Bench {
    fn ends_well_from_now_on(&mut self) {
        loop {
            if let Some(run) = self.going().first() {
                self.ends(*run, Class::Done);
            } else if self.core.queue(1).is_empty() {
                return;
            } else {
                self.at((self.core.next_wake().unwrap() - at(0)).num_seconds() + 1);
            }
        }
    }
}

#[test]
fn one_project_that_fails_alone_closes_no_host() {
    let mut bench = bench(HostBudget { connections: Some(1), ..HostBudget::default() });
    let runs = crowd(&mut bench, 3);
    bench.ends(runs[0], Class::Network);
    assert_eq!(bench.going(), [runs[1]]);
    bench.ends(runs[1], Class::Auth);
    assert_eq!(bench.going(), [runs[2]], "a refused login means that somebody was there");
    bench.ends(runs[2], Class::Network);
    let again = bench.sync("p0");
    bench.ends(again, Class::Network);
    bench.sync("p1");
    assert_eq!(bench.going(), [], "two of them, with nobody served in between");
}

#[test]
fn starts_from_a_host_keep_their_gap_even_over_a_restart_and_under_a_clock_that_goes_back() {
    let gap = HostBudget { gap: Duration::from_mins(10), ..HostBudget::default() };
    let mut bench = bench(gap.clone());
    let runs = crowd(&mut bench, 3);
    assert_eq!(bench.going(), [runs[0]]);
    assert_eq!(bench.reason(), "waits for the gap between starts from h, until 2026-01-01T00:10:00Z");
    bench.ends(runs[0], Class::Done);
    bench.at(599);
    assert!(bench.going().is_empty());
    bench.at(600);
    assert_eq!(bench.going(), [runs[1]]);
    bench.ends(runs[1], Class::Done);
    bench.crash_with(Bounds { hosts: BTreeMap::from([("h".to_owned(), gap)]), ..Bounds::default() });
    assert!(bench.going().is_empty(), "the last start is remembered");
    bench.at(60);
    assert!(bench.going().is_empty());
    bench.at(660);
    assert_eq!(bench.going(), [runs[2]], "ten minutes after the clock went back");
}

impl Bench {
    fn crash_with(&mut self, bounds: Bounds) {
        self.core = Core::new(bounds, tool(), 1);
        let live = self.runs.values().filter(|run| !run.state.is_ended()).cloned().collect();
        let newest = self.runs.keys().last().copied();
        let loaded = Loaded { projects: self.stored.values().cloned().collect(), live, newest };
        let mut step = Step::default();
        self.core.recover(self.now, loaded, &HashSet::new(), &mut step);
        self.core.settle(self.now, &mut step);
        self.apply(step);
    }
}

#[test]
fn nothing_starts_in_quiet_hours_and_a_changed_budget_holds_at_once() {
    let night = |hours: &str| HostBudget { quiet: vec![hours.parse().unwrap()], ..HostBudget::default() };
    let mut bench = bench(night("22:00-06:00"));
    let runs = crowd(&mut bench, 1);
    assert_eq!(bench.reason(), "waits for the end of the quiet hours of h, until 2026-01-01T06:00:00Z");
    assert_eq!(bench.core.next_wake(), Some(at(6 * 3600)));
    let hosts = BTreeMap::from([("h".to_owned(), night("22:00-23:00"))]);
    bench.input(Input::Site(Bounds { hosts, ..Bounds::default() }, tool()));
    assert_eq!(bench.going(), runs);
}

#[test]
fn the_attempts_that_go_at_once_share_what_a_host_is_to_be_spared() {
    let budget = HostBudget { bwlimit_kib: Some(900), connections: Some(3), ..HostBudget::default() };
    let mut bench = bench(budget);
    let runs = crowd(&mut bench, 4);
    assert_eq!(bench.going(), runs[..3]);
    let rate = |run: &RunId| {
        let command = &bench.runs[run].attempts[0].command;
        command.split(' ').find_map(|word| word.strip_prefix("--bwlimit=")).unwrap().to_owned()
    };
    assert_eq!(runs[..3].iter().map(rate).collect::<Vec<_>>(), ["900", "450", "300"]);
}
