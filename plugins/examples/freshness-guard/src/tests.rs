//! Upstreams that are dead, busy, unchanged and well.

use heliostat_plugin::Status;
use heliostat_plugin::testing::{Host, NOW_MS, run_context, run_outcome};

use super::*;

const HOUR: u64 = 3_600_000;

fn aged(upstream: u64, ours: u64) -> RunContext {
    RunContext {
        upstream_marker_ms: Some(NOW_MS - upstream),
        local_marker_ms: Some(NOW_MS - ours),
        ..run_context()
    }
}

fn decide(host: Host, run: &RunContext) -> Decision {
    host.run(|| before(run)).0.unwrap()
}

#[test]
fn a_dead_upstream_is_skipped_or_vetoed() {
    let host = Host::new().setting("max_age", "2d");
    let reason = "the upstream's marker is 2days 2h old, more than 2days";
    assert_eq!(decide(host.clone(), &aged(50 * HOUR, 0)), Decision::skip(reason));
    assert_eq!(decide(host.clone().setting("on_stale", "veto"), &aged(50 * HOUR, 0)), Decision::veto(reason));
    assert_eq!(decide(host.clone(), &aged(48 * HOUR, 0)), Decision::Proceed);
    assert_eq!(
        decide(host, &run_context()),
        Decision::Proceed,
        "an upstream without a marker is not known to be dead"
    );
}

#[test]
fn a_person_is_never_held_up() {
    let run = RunContext { trigger: Trigger::Manual, ..aged(50 * HOUR, 0) };
    assert_eq!(
        decide(Host::new().setting("max_age", "2d").setting("on_stale", "veto"), &run),
        Decision::Proceed
    );
}

#[test]
fn an_upstream_in_the_middle_of_its_update_is_waited_for() {
    let host = Host::new().setting("settle", "10m");
    let Decision::Delay((ms, _)) = decide(host.clone(), &aged(60_000, HOUR)) else { panic!("not delayed") };
    assert_eq!(ms, 9 * 60_000);
    assert_eq!(decide(host, &aged(600_000, HOUR)), Decision::Proceed);
}

#[test]
fn an_unchanged_upstream_is_skipped_only_after_a_good_sync() {
    let host = Host::new().setting("unchanged", "skip");
    let same = aged(HOUR, HOUR);
    assert_eq!(decide(host.clone(), &same), Decision::skip("the upstream's marker is the same as ours"));
    let failed = RunContext { consecutive_failures: 1, ..same.clone() };
    assert_eq!(decide(host.clone(), &failed), Decision::Proceed);
    assert_eq!(decide(host, &aged(HOUR, 2 * HOUR)), Decision::Proceed);
    assert_eq!(decide(Host::new(), &same), Decision::Proceed);
}

#[test]
fn a_copy_that_is_fresh_by_its_file_is_left_as_it_is() {
    let host = Host::new().setting("fresh", "1h").setting("marker", "lastupdate");
    let young = host.clone().file("lastupdate", &format!("{}\n", NOW_MS / 1000 - 600));
    assert_eq!(decide(young, &run_context()), Decision::skip("our copy is 10m old, and 1h is fresh enough"));
    let old = host.clone().file("lastupdate", &format!("{}\n", NOW_MS / 1000 - 7200));
    assert_eq!(decide(old, &run_context()), Decision::Proceed);
    let (decision, host) = host.run(|| before(&run_context()));
    assert_eq!(decision.unwrap(), Decision::Proceed);
    assert_eq!(host.log, ["warn: lastupdate is not there, or holds no time"]);
}

#[test]
fn an_old_copy_is_not_called_good() {
    let host = Host::new()
        .setting("max_age", "1d")
        .setting("marker", "project/trace/master")
        .file("project/trace/master", "Mon Nov 23 19:16:44 UTC 2026\n");
    let judge = |host: Host, outcome: &RunOutcome| host.run(|| after(&run_context(), outcome)).0.unwrap();
    let reason = "the copy's marker is 2days old, more than 1day";
    assert_eq!(judge(host.clone(), &run_outcome()), Verdict::degrade(reason));
    assert_eq!(judge(host.clone().setting("on_old_copy", "reject"), &run_outcome()), Verdict::reject(reason));
    assert_eq!(judge(host.clone().setting("on_old_copy", "accept"), &run_outcome()), Verdict::Accept);
    let failed = RunOutcome { status: Status::Failed(10), ..run_outcome() };
    assert_eq!(judge(host, &failed), Verdict::Accept);
}

#[test]
fn a_setting_that_is_not_understood_is_an_error() {
    let (decision, _) = Host::new().setting("max_age", "old").run(|| before(&run_context()));
    assert!(decision.unwrap_err().to_string().starts_with("the setting `max_age` is `old`"));
}
