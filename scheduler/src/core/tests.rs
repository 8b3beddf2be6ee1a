//! The clockwork driven by hand: no clock, no process, no store.

mod catch_up;
mod clock;
mod crowd;
mod hosts;
mod permits;
mod picks;
mod renames;
mod upstreams;
mod wishes;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::TimeZone;
use engine::{Options, RetryPolicy, Verdict};

use super::*;
use crate::destination::DestinationError;
use crate::project::{Guard, SettingsVersion};
use crate::run::{AttemptEnd, AttemptExit, Counts, Ending, Outcome, RunState, Told, Trigger};
use crate::schedule::{CatchUp, Rule, Schedule};
use crate::store::Loaded;

/// A time on the first morning of 2026, so many seconds after midnight.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap() + chrono::Duration::seconds(seconds)
}

/// A project that is started by hand.
pub(crate) fn project(id: &str, host: &str, dest: &str) -> Project {
    Project {
        id: id.parse().unwrap(),
        name: id.to_owned(),
        enabled: true,
        labels: BTreeMap::new(),
        owner: "root".to_owned(),
        owner_since: None,
        source: format!("rsync://{host}/module").parse().unwrap(),
        password: None,
        upstreams: Vec::new(),
        stages: None,
        hooks: Vec::new(),
        dest: dest.into(),
        place: dest.into(),
        options: Options::default(),
        schedule: manual(),
        retry: RetryPolicy { attempts: 3, base: Duration::from_secs(30), cap: Duration::from_mins(10) },
        timeout: Duration::from_hours(1),
        stall: Duration::from_mins(10),
        guard: Guard::default(),
        priority: 0,
        expected: None,
        fan_out: true,
        expect_mount: false,
        publish: crate::publish::Publish::Each,
        freshness: crate::freshness::Freshness::default(),
        given_dest: None,
        created: at(0),
        updated: at(0),
        version: 1,
    }
}

fn manual() -> Schedule {
    schedule(Rule::Manual)
}

fn schedule(rule: Rule) -> Schedule {
    Schedule {
        rule,
        timezone: chrono_tz::UTC,
        start: None,
        end: None,
        jitter: Duration::ZERO,
        catch_up: CatchUp::Once,
    }
}

fn every_five_minutes() -> Schedule {
    let fields = BTreeMap::from([("minute".to_owned(), "*/5".to_owned())]);
    schedule(Rule::Fields(crate::cron::CronFields::parse(&fields, "p").unwrap()))
}

/// A clockwork, what it has stored, and what it has asked for.
struct Bench {
    core: Core,
    now: DateTime<Utc>,
    stored: BTreeMap<ProjectId, (Project, Standing)>,
    runs: BTreeMap<RunId, Run>,
    started: Vec<RunId>,
    newest: Option<Start>,
    cancelled: Vec<RunId>,
    moves: Vec<(ProjectId, Relocation)>,
    questions: Vec<(u64, Question)>,
    plans: Vec<Plan>,
    answers: Vec<Result<Answer, Refusal>>,
}

impl Bench {
    fn new() -> Self {
        Self {
            core: clockwork(),
            now: at(0),
            stored: BTreeMap::new(),
            runs: BTreeMap::new(),
            started: Vec::new(),
            newest: None,
            cancelled: Vec::new(),
            moves: Vec::new(),
            questions: Vec::new(),
            plans: Vec::new(),
            answers: Vec::new(),
        }
    }

    fn apply(&mut self, step: Step) {
        for write in step.writes {
            match write {
                Write::Project(project) => {
                    let project = Project::clone(&project);
                    let standing =
                        self.stored.remove(&project.id).map(|(_, standing)| standing).unwrap_or_default();
                    self.stored.insert(project.id.clone(), (project, standing));
                }
                Write::Standing(id, standing) => self.stored.get_mut(&id).unwrap().1 = *standing,
                Write::ForgetProject(id) => {
                    self.stored.remove(&id);
                }
                Write::Run(run) => {
                    self.runs.insert(run.id, Run::clone(&run));
                }
                Write::RenameRuns { from, to } => self.rename_runs(&from, &to),
                Write::Audit(_) | Write::Count(..) => {}
            }
        }
        for effect in step.effects {
            match effect {
                Effect::Start(start) => {
                    self.started.push(start.run);
                    self.newest = Some(*start);
                }
                Effect::Pick(number, question) => self.questions.push((number, *question)),
                Effect::Plan(plan) => self.plans.push(*plan),
                Effect::Cancel(run) => self.cancelled.push(run),
                Effect::Answer(_, answer) => self.answers.push(*answer),
                Effect::Move(id, relocation) => self.moves.push((id, relocation)),
                Effect::Publish(..) | Effect::Announce(_) => {}
            }
        }
    }

    fn input(&mut self, input: Input) {
        let mut step = Step::default();
        self.core.handle(self.now, input, &mut step);
        self.core.settle(self.now, &mut step);
        self.apply(step);
    }

    fn ask(&mut self, command: Command) -> Result<Answer, Refusal> {
        self.input(Input::Command { ticket: 0, command });
        self.answers.pop().unwrap()
    }

    fn sync(&mut self, id: &str) -> RunId {
        match self.ask(Command::Sync { id: id.parse().unwrap(), by: "ann".to_owned(), whole: false }) {
            Ok(Answer::Run(run)) => run.id,
            other => panic!("{other:?}"),
        }
    }

    fn create(&mut self, project: Project) {
        self.ask(Command::Create(Box::new(project))).unwrap();
    }

    fn at(&mut self, seconds: i64) {
        self.now = at(seconds);
        let mut step = Step::default();
        self.core.settle(self.now, &mut step);
        self.apply(step);
    }

    fn end(&mut self, run: RunId, verdict: Verdict, changed: u64) {
        let end = AttemptEnd {
            duration: Duration::from_secs(1),
            exit: AttemptExit::Code(0),
            class: "test".to_owned(),
            verdict,
            reason: "because".to_owned(),
            stats: None,
            changes: Counts { created: changed, ..Counts::default() },
            all_told: true,
            whole: true,
            stderr: Vec::new(),
            stage: None,
        };
        self.input(Input::AttemptEnded {
            run,
            told: Box::new(Told { clean: verdict == Verdict::Done, ..Told::new(Ending::ran(end)) }),
        });
    }

    /// The process dies, and another one starts from what was stored.
    fn crash(&mut self) {
        self.core = clockwork();
        self.started.clear();
        let live = self.runs.values().filter(|run| !run.state.is_ended()).cloned().collect();
        let newest = self.runs.keys().last().copied();
        let loaded = Loaded { projects: self.stored.values().cloned().collect(), live, newest };
        let mut step = Step::default();
        self.core.recover(self.now, loaded, &HashSet::new(), &mut step);
        self.core.settle(self.now, &mut step);
        self.apply(step);
    }

    fn outcome(&self, run: RunId) -> Option<Outcome> {
        match self.runs[&run].state {
            RunState::Ended { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    fn standing(&self, id: &str) -> &Standing {
        &self.stored[id].1
    }
}

fn clockwork() -> Core {
    let bounds = Bounds { concurrent: 2, ..Bounds::default() };
    Core::new(
        bounds,
        Tool { program: "rsync".into(), limits: Limits::default(), commands: std::sync::Arc::default() },
        1,
    )
}

#[test]
fn a_generation_grows_only_when_something_changed() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    for (changed, outcome, generation) in
        [(3, Outcome::Succeeded, 1), (0, Outcome::Unchanged, 1), (1, Outcome::Succeeded, 2)]
    {
        let run = bench.sync("p");
        bench.end(run, Verdict::Done, changed);
        assert_eq!(bench.outcome(run), Some(outcome));
        assert_eq!(bench.standing("p").generation, generation);
    }
}

#[test]
fn what_a_failed_run_changed_is_published_by_the_next_good_one() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    let run = bench.sync("p");
    bench.end(run, Verdict::Partial, 5);
    assert_eq!((bench.outcome(run), bench.standing("p").generation), (Some(Outcome::Partial), 0));
    let run = bench.sync("p");
    bench.end(run, Verdict::Done, 0);
    assert_eq!((bench.outcome(run), bench.standing("p").generation), (Some(Outcome::Succeeded), 1));
}

#[test]
fn while_one_runs_one_more_waits_and_no_third() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    let first = bench.sync("p");
    let second = bench.sync("p");
    assert_ne!(first, second);
    assert_eq!(bench.sync("p"), second);
    assert_eq!(bench.started, [first]);
    bench.end(first, Verdict::Done, 0);
    assert_eq!(bench.started, [first, second]);
}

#[test]
fn a_failed_attempt_backs_off_without_a_slot_and_is_tried_as_often_as_allowed() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    let run = bench.sync("p");
    for _ in 0..2 {
        bench.end(run, Verdict::RetrySoon, 0);
        assert!(matches!(bench.runs[&run].state, RunState::BackingOff { .. }));
        assert_eq!(bench.core.queue.going(), 0);
        let due = bench.core.next_wake().unwrap();
        assert!(due > bench.now);
        bench.at((due - at(0)).num_seconds() + 1);
        assert_eq!(bench.runs[&run].state, RunState::Running);
    }
    bench.end(run, Verdict::RetrySoon, 0);
    assert_eq!(bench.outcome(run), Some(Outcome::Failed));
    assert_eq!(bench.runs[&run].attempts.len(), 3);
    assert_eq!(bench.standing("p").failures, 1);
}

#[test]
fn a_sync_by_hand_ends_the_wait_of_a_run_that_backs_off() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    let run = bench.sync("p");
    bench.end(run, Verdict::RetryLater, 0);
    assert_eq!(bench.sync("p"), run);
    assert_eq!(bench.started, [run, run]);
}

#[test]
fn a_schedule_fires_at_its_times_and_passes_over_those_in_which_a_run_is_going() {
    let mut bench = Bench::new();
    bench.create(Project { schedule: every_five_minutes(), ..project("p", "h", "/d/p") });
    bench.at(299);
    assert!(bench.started.is_empty());
    bench.at(300);
    let run = bench.started[0];
    assert_eq!(bench.runs[&run].trigger, Trigger::Schedule);
    assert_eq!(bench.runs[&run].scheduled, Some(at(300)));
    bench.at(600);
    assert_eq!(bench.standing("p").skipped, 1);
    bench.end(run, Verdict::Done, 0);
    bench.at(900);
    assert_eq!(bench.started.len(), 2);
}

#[test]
fn a_pause_counts_from_the_end_of_the_last_run() {
    let mut bench = Bench::new();
    let pause = schedule(Rule::Every(Duration::from_mins(1)));
    bench.create(Project { schedule: pause, ..project("p", "h", "/d/p") });
    assert_eq!(bench.started.len(), 1, "a project that never ran is due at once");
    bench.at(100);
    bench.end(bench.started[0], Verdict::Done, 0);
    bench.at(159);
    assert_eq!(bench.started.len(), 1);
    bench.at(160);
    assert_eq!(bench.started.len(), 2);
}

#[test]
fn a_crash_interrupts_what_was_going_and_queues_it_once() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    bench.create(project("q", "h", "/d/q"));
    let (p, q) = (bench.sync("p"), bench.sync("q"));
    let behind = bench.sync("q");
    bench.crash();
    assert_eq!([bench.outcome(p), bench.outcome(q)], [Some(Outcome::Interrupted); 2]);
    assert_eq!(bench.started.len(), 2, "one recovery run for p, and the waiting one for q");
    assert!(bench.started.contains(&behind));
    assert!(bench.started.iter().any(|run| bench.runs[run].trigger == Trigger::Recovery));
    let live = bench.runs.values().filter(|run| !run.state.is_ended()).count();
    assert_eq!(live, 2);
}

#[test]
fn a_long_downtime_is_caught_up_with_exactly_one_run() {
    let mut bench = Bench::new();
    bench.create(Project { schedule: every_five_minutes(), ..project("p", "h", "/d/p") });
    bench.now = at(40 * 86_400 + 77);
    bench.crash();
    assert_eq!(bench.started.len(), 1);
    let run = &bench.runs[&bench.started[0]];
    assert_eq!((run.trigger, run.scheduled), (Trigger::CatchUp, Some(at(40 * 86_400))));
    bench.end(bench.started[0], Verdict::Done, 0);
    bench.crash();
    assert!(bench.started.is_empty(), "a second crash doubles nothing");
}

#[test]
fn a_stop_ends_what_runs_and_the_next_start_goes_on() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    let run = bench.sync("p");
    bench.input(Input::Stop);
    assert_eq!(bench.cancelled, [run]);
    assert!(!bench.core.is_still());
    bench.end(run, Verdict::Cancelled, 0);
    assert!(bench.core.is_still());
    assert_eq!(bench.outcome(run), Some(Outcome::Interrupted));
    assert_eq!(bench.started.len(), 1, "nothing starts any more");
    assert!(matches!(
        bench.ask(Command::Sync { id: "p".parse().unwrap(), by: String::new(), whole: false }),
        Err(Refusal::Stopping)
    ));
    bench.crash();
    assert_eq!(bench.started.len(), 1);
}

#[test]
fn a_cancelled_run_ends_as_cancelled_and_is_not_tried_again() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    let run = bench.sync("p");
    let behind = bench.sync("p");
    bench.ask(Command::Cancel { run: behind, by: "ann".to_owned() }).unwrap();
    assert_eq!(bench.outcome(behind), Some(Outcome::Cancelled));
    bench.ask(Command::Cancel { run, by: "ann".to_owned() }).unwrap();
    assert_eq!(bench.cancelled, [run]);
    bench.end(run, Verdict::RetrySoon, 0);
    assert_eq!(bench.outcome(run), Some(Outcome::Cancelled));
    assert!(matches!(bench.ask(Command::Cancel { run, by: "ann".to_owned() }), Err(Refusal::NoRun(_))));
}

#[test]
fn a_removed_project_keeps_its_place_until_its_rsync_has_ended() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    let run = bench.sync("p");
    bench.ask(Command::Delete { id: "p".parse().unwrap(), if_version: None }).unwrap();
    let inside = || Box::new(project("q", "h", "/d/p/inside"));
    assert!(matches!(bench.ask(Command::Create(inside())), Err(Refusal::Destination(_))));
    bench.end(run, Verdict::Cancelled, 0);
    assert_eq!(bench.outcome(run), Some(Outcome::Cancelled));
    bench.ask(Command::Create(inside())).unwrap();
    assert!(!bench.stored.contains_key("p"));
}

#[test]
fn a_lost_update_and_a_taken_id_are_refused_and_change_nothing() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    let again = Box::new(project("p", "h", "/d/other"));
    assert!(matches!(bench.ask(Command::Create(again.clone())), Err(Refusal::Exists(_))));
    let if_version = Some(SettingsVersion { number: 1, life: None });
    bench.ask(Command::Replace { project: again.clone(), if_version }).unwrap();
    let stale = bench.ask(Command::Replace { project: again, if_version });
    assert!(matches!(stale, Err(Refusal::Stale { current: 2, .. })));
    assert_eq!(bench.stored["p"].0.dest, std::path::Path::new("/d/other"));
}

#[test]
fn the_destination_of_a_running_project_cannot_be_moved_away() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    bench.sync("p");
    let moved = Box::new(project("p", "h", "/d/elsewhere"));
    assert!(matches!(
        bench.ask(Command::Replace { project: moved, if_version: None }),
        Err(Refusal::Busy(_))
    ));
}
