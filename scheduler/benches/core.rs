//! What one decision costs when ten thousand projects wait for their turn. The promise is a millisecond at most.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use divan::{Bencher, black_box};
use engine::{Limits, Options, RetryPolicy, Verdict};
use scheduler::core::{Core, Effect, Input, Step, Tool};
use scheduler::cron::CronText;
use scheduler::run::{AttemptEnd, AttemptExit, Ending, Told};
use scheduler::store::Loaded;
use scheduler::{
    Bounds, CatchUp, Command, Counts, Guard, Project, ProjectId, Rule, RunId, Schedule, Standing,
};

/// How many projects wait.
const CROWD: usize = 10_000;

fn main() {
    divan::main();
}

/// What the waiting projects have in common.
#[derive(Debug, Clone, Copy)]
enum Crowd {
    /// Nothing: each has its own upstream host.
    Apart,
    /// All come from one upstream host.
    OneHost,
    /// Each has its own host, and all carry one label with a bound.
    OneLabel,
    /// All come from one host and carry one label, and others use up either bound in turn.
    HostAndLabel,
}

const CROWDS: [Crowd; 4] = [Crowd::Apart, Crowd::OneHost, Crowd::OneLabel, Crowd::HostAndLabel];

/// An attempt ends, the next run starts, and the project that ended queues again.
#[divan::bench(args = CROWDS)]
fn end_start_and_queue(bencher: Bencher<'_, '_>, crowd: Crowd) {
    let mut clockwork = Clockwork::waiting(crowd);
    bencher.bench_local(|| clockwork.turn());
}

/// A time has come: the schedule decides, and works out the next time.
#[divan::bench(sample_count = 20)]
fn fire_a_step_of_those_that_are_due(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(|| Clockwork::due(now())).bench_local_values(|mut clockwork| {
        let mut step = Step::default();
        clockwork.core.settle(clockwork.now, &mut step);
        assert!(step.writes.len() >= 512);
        (clockwork, step)
    });
}

/// A server starts after a year of downtime: everything before the first decision.
#[divan::bench(sample_count = 10)]
fn recover_from_a_year_of_downtime(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(|| (empty(), loaded(now() - TimeDelta::days(365)))).bench_local_values(
        |(mut core, loaded)| {
            let mut step = Step::default();
            core.recover(now(), loaded, &HashSet::new(), &mut step);
            (core, step)
        },
    );
}

/// A person looks at the queue.
#[divan::bench(args = CROWDS)]
fn look_at_the_queue(bencher: Bencher<'_, '_>, crowd: Crowd) {
    let clockwork = Clockwork::waiting(crowd);
    bencher.bench_local(|| black_box(clockwork.core.queue(1000)));
}

struct Clockwork {
    core: Core,
    now: DateTime<Utc>,
    going: Vec<(RunId, ProjectId)>,
}

impl Clockwork {
    /// Everyone waits, and as many go as may.
    fn waiting(crowd: Crowd) -> Self {
        let mut clockwork = Self { core: empty(), now: now(), going: Vec::new() };
        for number in 0..CROWD {
            let project = project(number, crowd);
            let id = project.id.clone();
            clockwork.ask(Command::Create(Box::new(project)));
            clockwork.ask(Command::Sync { id, by: "ann".to_owned(), whole: false });
        }
        clockwork
    }

    /// Everyone has waited for the schedule since then.
    fn due(since: DateTime<Utc>) -> Self {
        let mut core = empty();
        core.recover(since, loaded(since), &HashSet::new(), &mut Step::default());
        Self { core, now: now() + TimeDelta::minutes(5), going: Vec::new() }
    }

    fn ask(&mut self, command: Command) {
        self.input(Input::Command { ticket: 0, command });
    }

    fn turn(&mut self) {
        self.now += TimeDelta::milliseconds(1);
        let (run, id) = self.going.swap_remove(0);
        self.input(Input::AttemptEnded { run, told: Box::new(Told::new(Ending::ran(end()))) });
        self.ask(Command::Sync { id, by: "ann".to_owned(), whole: false });
    }

    fn input(&mut self, input: Input) {
        let mut step = Step::default();
        self.core.handle(self.now, input, &mut step);
        self.core.settle(self.now, &mut step);
        for effect in step.effects {
            if let Effect::Start(start) = effect {
                self.going.push((start.run, start.project.id.clone()));
            }
        }
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default()
}

fn empty() -> Core {
    let per_label = BTreeMap::from([("array=1".to_owned(), 4)]);
    let tool =
        Tool { program: "rsync".into(), limits: Limits::default(), commands: std::sync::Arc::default() };
    Core::new(Bounds { concurrent: 8, per_host: 4, per_label, ..Bounds::default() }, tool, 1)
}

fn loaded(since: DateTime<Utc>) -> Loaded {
    let standing = || Standing { fired: Some(since), ..Standing::default() };
    let projects = (0..CROWD).map(|number| (project(number, Crowd::Apart), standing())).collect();
    Loaded { projects, live: Vec::new(), newest: None }
}

fn project(number: usize, crowd: Crowd) -> Project {
    let remainder = number % 20;
    let (host, array) = match crowd {
        Crowd::Apart => (number, 0),
        Crowd::OneHost => (0, 0),
        Crowd::HostAndLabel if remainder == 0 => (0, 0),
        Crowd::HostAndLabel if remainder != 10 => (0, 1),
        Crowd::OneLabel | Crowd::HostAndLabel => (number, 1),
    };
    let id = format!("p{number:05}");
    Project {
        name: id.clone(),
        enabled: true,
        labels: BTreeMap::from([("array".to_owned(), array.to_string())]),
        owner: "root".to_owned(),
        owner_since: None,
        source: format!("rsync://h{host}/module").parse().expect("a source"),
        password: None,
        upstreams: Vec::new(),
        stages: None,
        hooks: Vec::new(),
        dest: format!("/d/{id}").into(),
        place: format!("/d/{id}").into(),
        options: Options::default(),
        schedule: Schedule {
            rule: Rule::Cron(CronText::parse("*/5 * * * *", &id).expect("a calendar")),
            timezone: chrono_tz::Europe::Berlin,
            start: None,
            end: None,
            jitter: Duration::ZERO,
            catch_up: CatchUp::Once,
        },
        retry: RetryPolicy::default(),
        timeout: Duration::from_hours(1),
        stall: Duration::from_mins(10),
        guard: Guard::default(),
        priority: i32::try_from(number % 3).unwrap_or_default(),
        expected: None,
        fan_out: true,
        expect_mount: false,
        publish: scheduler::publish::Publish::Each,
        freshness: scheduler::freshness::Freshness::default(),
        given_dest: None,
        created: now(),
        updated: now(),
        version: 1,
        id: id.parse().expect("a name"),
    }
}

fn end() -> AttemptEnd {
    AttemptEnd {
        duration: Duration::from_secs(1),
        exit: AttemptExit::Code(0),
        class: "success".to_owned(),
        verdict: Verdict::Done,
        reason: "all files are there".to_owned(),
        stats: None,
        changes: Counts::default(),
        all_told: true,
        whole: true,
        stderr: Vec::new(),
        stage: None,
    }
}
