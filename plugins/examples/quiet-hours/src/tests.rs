//! Runs by night and by day, by schedule and by hand.

use heliostat_plugin::Candidate;
use heliostat_plugin::testing::{Host, NOW_MS, run_context};

use super::*;

/// It is Wednesday 19:16 UTC in these tests.
fn evenings() -> Host {
    Host::new().setting("quiet", "19:00-23:00")
}

fn decide(host: Host, run: &RunContext) -> Decision {
    host.run(|| before(run)).0.unwrap()
}

fn candidate(project: &str, trigger: Trigger, utc_offset_minutes: i32) -> Candidate {
    Candidate {
        project: project.to_owned(),
        host: "ftp.example.org".to_owned(),
        labels: Vec::new(),
        trigger,
        queued_at_ms: NOW_MS,
        due_at_ms: NOW_MS,
        last_duration_ms: None,
        last_success_ms: None,
        consecutive_failures: 0,
        priority: 0,
        utc_offset_minutes,
    }
}

#[test]
fn a_scheduled_run_waits_until_the_quiet_hours_are_over() {
    let Decision::Delay((ms, reason)) = decide(evenings(), &run_context()) else { panic!("not delayed") };
    assert_eq!((ms, reason.as_str()), ((4 * 60 - 16) * 60_000, "quiet hours"));
    assert_eq!(decide(Host::new().setting("quiet", "20:00-23:00"), &run_context()), Decision::Proceed);
}

#[test]
fn hours_are_those_of_the_projects_time_zone() {
    let run = RunContext { utc_offset_minutes: 330, ..run_context() };
    assert_eq!(decide(evenings(), &run), Decision::Proceed);
    let Decision::Delay(_) = decide(Host::new().setting("quiet", "00:00-06:00"), &run) else {
        panic!("not delayed")
    };
}

#[test]
fn what_somebody_asked_for_starts_at_any_time() {
    for trigger in [Trigger::Manual, Trigger::Push] {
        assert_eq!(decide(evenings(), &RunContext { trigger, ..run_context() }), Decision::Proceed);
    }
}

#[test]
fn a_bandwidth_lets_runs_start_slowly() {
    let slow = evenings().setting("bwlimit_kib", "2048");
    assert_eq!(decide(slow.clone(), &run_context()), Decision::with([RsyncEdit::BwlimitKib(2048)]));
    let manual = RunContext { trigger: Trigger::Manual, ..run_context() };
    assert_eq!(decide(slow.clone(), &manual), Decision::with([RsyncEdit::BwlimitKib(2048)]));
    let held = slow.clone().setting("starts", "hold");
    assert!(matches!(decide(held, &run_context()), Decision::Delay(_)));
    let by_day = slow.setting("quiet", "08:00-12:00");
    assert_eq!(decide(by_day, &run_context()), Decision::Proceed);
}

#[test]
fn others_are_picked_while_some_are_in_their_quiet_hours() {
    let queue = vec![
        candidate("here", Trigger::Schedule, 0),
        candidate("india", Trigger::Schedule, 330),
        candidate("asked-for", Trigger::Manual, 0),
        candidate("here-too", Trigger::CatchUp, 0),
    ];
    let view = View { now_ms: NOW_MS, free_slots: 2, running: Vec::new(), queue };
    assert_eq!(evenings().run(|| pick(&view)).0.unwrap(), [1, 2]);
    let slow = evenings().setting("bwlimit_kib", "100");
    assert_eq!(slow.run(|| pick(&view)).0.unwrap(), [0, 1, 2, 3]);
}

#[test]
fn a_missing_or_wrong_setting_is_named() {
    let (answer, _) = Host::new().run(|| before(&run_context()));
    assert_eq!(answer.unwrap_err().to_string(), "the setting `quiet` is missing");
    let (answer, _) = evenings().setting("bwlimit_kib", "2M").run(|| before(&run_context()));
    assert!(answer.unwrap_err().to_string().starts_with("the setting `bwlimit_kib` is `2M`"));
}
