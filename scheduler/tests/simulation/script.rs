//! What chance lets people, the upstreams and the clock do.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use engine::{Options, RetryPolicy, Verdict};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use scheduler::core::Input;
use scheduler::cron::CronText;
use scheduler::guard::Amount;
use scheduler::policy::Suggestion;
use scheduler::run::{AttemptEnd, AttemptExit, Ending, Plan, Told};
use scheduler::{Bounds, CatchUp, Command, Counts, Guard, Project, ProjectId, Rule, RunId, Schedule};

/// How many projects there can be.
const PROJECTS: usize = 6;

/// The calendars: a cron text, its period and the offset of its first time of the day, in seconds.
const CALENDARS: [(&str, i64, i64); 4] = [
    ("*/5 * * * *", 300, 0),
    ("*/10 * * * *", 600, 0),
    ("0 * * * *", 3600, 0),
    ("0 3 * * *", 86_400, 10_800),
];

/// The calendars, read once: chance asks for one of them very often.
static READ: LazyLock<Vec<CronText>> =
    LazyLock::new(|| CALENDARS.iter().map(|(text, ..)| CronText::parse(text, "p").unwrap()).collect());

/// The bounds that a scenario may choose from.
pub(crate) fn bounds(random: &mut SmallRng) -> Bounds {
    Bounds {
        concurrent: random.random_range(1..=4),
        per_host: random.random_range(1..=2),
        per_label: BTreeMap::from([("array=1".to_owned(), random.random_range(1..=2))]),
        ..Bounds::default()
    }
}

/// Something that a person asks for.
pub(crate) fn command(random: &mut SmallRng, live: &[RunId]) -> Command {
    let by = || "ann".to_owned();
    match random.random_range(0..100) {
        0..25 => Command::Create(Box::new(project(random))),
        25..40 => Command::Replace { project: Box::new(project(random)), if_version: None },
        40..48 => Command::Enable { id: id(random), enabled: random.random_bool(0.7) },
        48..56 => Command::Delete { id: id(random), if_version: None },
        56..85 => Command::Sync { id: id(random), by: by(), whole: false },
        85..91 => match live.choose(random) {
            Some(run) => Command::Approve { run: *run, by: by(), plan: None },
            None => Command::Sync { id: id(random), by: by(), whole: false },
        },
        91..93 => match live.choose(random) {
            Some(run) => Command::Reject { run: *run, by: by() },
            None => Command::Sync { id: id(random), by: by(), whole: false },
        },
        _ => match live.choose(random) {
            Some(run) => Command::Cancel { run: *run, by: by() },
            None => Command::Sync { id: id(random), by: by(), whole: false },
        },
    }
}

fn id(random: &mut SmallRng) -> ProjectId {
    format!("p{}", random.random_range(0..PROJECTS)).parse().unwrap()
}

fn project(random: &mut SmallRng) -> Project {
    let id = id(random);
    let host = random.random_range(0..3);
    // Some try to land inside of another one.
    let dest = match random.random_range(0..10) {
        0 => format!("/d/p{}/in", random.random_range(0..PROJECTS)),
        1 => format!("/d/{id}-{}", random.random_range(0..2)),
        _ => format!("/d/{id}"),
    };
    let array = random.random_range(0..3);
    Project {
        name: format!("{:08x}", random.random::<u32>()),
        enabled: random.random_bool(0.9),
        labels: BTreeMap::from([("array".to_owned(), array.to_string())]),
        owner: "root".to_owned(),
        owner_since: None,
        source: format!("rsync://h{host}/module").parse().unwrap(),
        password: None,
        upstreams: Vec::new(),
        stages: None,
        hooks: Vec::new(),
        place: dest.clone().into(),
        dest: dest.into(),
        options: Options::default(),
        schedule: schedule(random),
        retry: RetryPolicy {
            attempts: random.random_range(1..=3),
            base: Duration::from_secs(30),
            cap: Duration::from_mins(10),
        },
        timeout: Duration::from_hours(1),
        stall: Duration::from_mins(10),
        guard: Guard::default(),
        priority: random.random_range(-2..=2),
        expected: None,
        fan_out: true,
        expect_mount: false,
        publish: scheduler::publish::Publish::Each,
        freshness: scheduler::freshness::Freshness::default(),
        given_dest: None,
        created: DateTime::default(),
        updated: DateTime::default(),
        version: 0,
        id,
    }
}

fn schedule(random: &mut SmallRng) -> Schedule {
    let rule = match random.random_range(0..10) {
        0 => Rule::Manual,
        1..3 => Rule::Every(Duration::from_mins(30)),
        _ => Rule::Cron(READ.choose(random).unwrap().clone()),
    };
    let jitter = *[0, 0, 240, 1200].choose(random).unwrap();
    let catch_up = match random.random_range(0..4) {
        0 => CatchUp::None,
        1 => CatchUp::Within(Duration::from_hours(6)),
        _ => CatchUp::Once,
    };
    let jitter = Duration::from_secs(jitter);
    Schedule { rule, timezone: chrono_tz::UTC, start: None, end: None, jitter, catch_up }
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Ran(Verdict),
    Unchanged,
    Skipped,
    Delayed,
    /// By one of few plans, so that the same one comes again.
    Held(u8),
}

/// How an rsync ends; one that was asked to stop mostly does.
pub(crate) fn end(random: &mut SmallRng, run: RunId, stopped: bool) -> (RunId, How, u64) {
    let obeys = stopped && random.random_bool(0.7);
    let verdict = match random.random_range(0..10) {
        _ if obeys => How::Ran(Verdict::Cancelled),
        0..5 => How::Ran(Verdict::Done),
        5 => How::Ran(Verdict::Partial),
        6 => How::Ran(Verdict::RetrySoon),
        7 => match random.random_range(0..3) {
            0 => How::Unchanged,
            1 => How::Skipped,
            _ => How::Delayed,
        },
        8 => How::Ran(Verdict::RetryLater),
        9 if random.random_bool(0.3) => How::Ran(Verdict::GiveUp),
        _ => How::Held(random.random_range(0..2)),
    };
    (run, verdict, random.random_range(0..2))
}

/// The end of an attempt.
pub(crate) fn ended(run: RunId, how: How, created: u64, now: DateTime<Utc>) -> Input {
    let reason = "because".to_owned();
    let ending = match how {
        How::Ran(verdict) => Ending::ran(AttemptEnd {
            duration: Duration::from_secs(1),
            exit: AttemptExit::Code(0),
            class: "test".to_owned(),
            verdict,
            reason,
            stats: None,
            changes: Counts { created, ..Counts::default() },
            all_told: true,
            whole: true,
            stderr: Vec::new(),
            stage: None,
        }),
        How::Unchanged => Ending::Unchanged { reason },
        How::Skipped => Ending::Skipped { reason },
        How::Delayed => Ending::Delayed { wait: Duration::from_mins(7), reason },
        How::Held(plan) => Ending::Held(Box::new(Plan {
            digest: plan.to_string(),
            at: now,
            deletions: Amount { entries: 1000, bytes: 0 },
            tree: Amount::default(),
            created: 0,
            updated: 0,
            reason,
            listed_by: run,
        })),
    };
    let clean = !matches!(how, How::Ran(verdict) if verdict != Verdict::Done);
    Input::AttemptEnded { run, told: Box::new(Told { clean, ..Told::new(ending) }) }
}

/// How far the clock moves until something is done next; `wake` is when there is something to do.
pub(crate) fn pass(random: &mut SmallRng, now: DateTime<Utc>, wake: Option<DateTime<Utc>>) -> TimeDelta {
    let seconds = match random.random_range(0..100) {
        0..55 => {
            let wait = wake.map_or(60, |wake| (wake - now).num_seconds() + 1);
            wait.clamp(0, 86_400)
        }
        55..75 => random.random_range(0..60),
        75..88 => random.random_range(0..7200),
        88..93 => 8 * 3600,
        93..95 => 365 * 86_400,
        95..97 => -random.random_range(0..3600),
        97..99 => -random.random_range(3600..5 * 86_400),
        _ => -365 * 86_400,
    };
    TimeDelta::seconds(seconds)
}

/// What a policy that means no good says: anything, some of it twice, or nothing.
pub(crate) fn picks(random: &mut SmallRng, runs: &[RunId]) -> Option<Vec<RunId>> {
    let some = |random: &mut SmallRng| runs[random.random_range(0..runs.len())];
    let count = random.random_range(0..=runs.len());
    random.random_bool(0.9).then(|| (0..count).map(|_| some(random)).collect())
}

/// When a project is due again, as such a policy has it.
pub(crate) fn suggestion(random: &mut SmallRng) -> Suggestion {
    Suggestion { by: "policy".to_owned(), delay: Duration::from_secs(random.random_range(0..2_000_000)) }
}

/// The period and offset of a calendar.
pub(crate) fn calendar(rule: &Rule) -> Option<(i64, i64)> {
    let Rule::Cron(cron) = rule else { return None };
    CALENDARS.iter().find(|(text, ..)| *text == cron.text()).map(|(_, period, offset)| (*period, *offset))
}
