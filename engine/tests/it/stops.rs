//! Attempts that are stopped in the middle: by whom, and that nothing of them is left.

use std::time::Duration;

use engine::{Attempt, Class, Engine, Exit, Phase, Stages, Verdict};
use rustix::process::Signal;
use tokio_util::sync::CancellationToken;

use crate::kit::{Recorder, Site, guardian, list};

/// Long enough that a busy machine is not taken for a stalled rsync.
const STALL: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_cancelled_attempt_leaves_no_process_and_no_unfinished_name() {
    let site = Site::new().await;
    let (attempt, recorder, cancel) = (site.slow(), Recorder::default(), CancellationToken::new());
    let (report, running) = tokio::join!(site.engine.attempt(&attempt, &recorder, &cancel), async {
        let running = recorder.flowing().await;
        cancel.cancel();
        running
    });
    assert_eq!(
        (&report.exit, report.judgement.verdict),
        (&Exit::Cancelled, Verdict::Cancelled),
        "{report:?}"
    );
    running.assert_all_ended();
    let pid = running.main.pid;
    assert_eq!(recorder.seen().phases, [Phase::Started { pid }, Phase::Stopping]);
    // What came so far is kept for the next attempt, out of sight.
    assert_eq!(list(&attempt.dest), [".~tmp~"]);
}

#[tokio::test]
async fn an_attempt_that_was_cancelled_before_it_began_ends_at_once() {
    let site = Site::new().await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let report = site.engine.attempt(&site.slow(), &Recorder::default(), &cancel).await;
    assert_eq!(report.exit, Exit::Cancelled, "{report:?}");
}

#[tokio::test]
async fn an_rsync_that_does_not_obey_in_its_grace_is_killed_and_swept_up() {
    let site = Site::new().await;
    // rsync itself takes 0.4 seconds to end in order.
    let engine =
        Engine::new("rsync".into(), guardian(), &site.path("state")).unwrap().with_grace(Duration::ZERO);
    let (attempt, recorder, cancel) = (site.slow(), Recorder::default(), CancellationToken::new());
    let (report, running) = tokio::join!(engine.attempt(&attempt, &recorder, &cancel), async {
        let running = recorder.flowing().await;
        cancel.cancel();
        running
    });
    assert_eq!(report.exit, Exit::Cancelled, "{report:?}");
    running.assert_all_ended();
    assert_eq!(recorder.seen().phases.last(), Some(&Phase::Killed));
    let left = list(&attempt.dest);
    assert!(left.iter().all(|name| !name.starts_with(".big.bin.")), "{left:?}");
}

#[tokio::test]
async fn an_rsync_that_was_stopped_is_ended_as_stalled() {
    let site = Site::new().await;
    let attempt = Attempt { stall: Some(STALL), ..site.slow() };
    let (recorder, cancel) = (Recorder::default(), CancellationToken::new());
    let (report, running) = tokio::join!(site.engine.attempt(&attempt, &recorder, &cancel), async {
        let running = recorder.flowing().await;
        running.main.signal(Signal::STOP);
        running.receiver.signal(Signal::STOP);
        running
    });
    assert_eq!((&report.exit, report.judgement.class), (&Exit::Stalled, Class::Stalled), "{report:?}");
    assert_eq!(report.judgement.verdict, Verdict::RetrySoon);
    running.assert_all_ended();
}

#[tokio::test]
async fn an_upstream_that_hangs_in_the_middle_is_a_stall_too() {
    let site = Site::new().await;
    let attempt = Attempt { stall: Some(STALL), ..site.slow() };
    let (recorder, cancel) = (Recorder::default(), CancellationToken::new());
    let (report, running) = tokio::join!(site.engine.attempt(&attempt, &recorder, &cancel), async {
        let running = recorder.flowing().await;
        let serving = site.serving();
        assert_eq!(serving.len(), 1);
        serving[0].signal(Signal::STOP);
        running
    });
    assert_eq!(report.exit, Exit::Stalled, "{report:?}");
    running.assert_all_ended();
}

#[tokio::test]
async fn what_moves_is_no_stall_however_slow_it_is() {
    let site = Site::new().await;
    let attempt = Attempt { stall: Some(STALL), time_limit: Some(STALL * 2), ..site.slow() };
    let (report, seen) = site.run(&attempt).await;
    assert_eq!((&report.exit, report.judgement.class), (&Exit::TimedOut, Class::Timeout), "{report:?}");
    assert!(seen.progress.bytes > 0 && report.duration >= STALL * 2);
}

#[tokio::test]
async fn a_strangers_kill_of_the_main_process_does_not_leave_the_receiver() {
    let site = Site::new().await;
    let (attempt, recorder, cancel) = (site.slow(), Recorder::default(), CancellationToken::new());
    let (report, running) = tokio::join!(site.engine.attempt(&attempt, &recorder, &cancel), async {
        let running = recorder.flowing().await;
        running.main.signal(Signal::KILL);
        running
    });
    assert_eq!(report.exit, Exit::Signal(Signal::KILL.as_raw()), "{report:?}");
    assert_eq!((report.judgement.class, report.clean), (Class::Killed, false));
    running.assert_all_ended();
    let left = list(&attempt.dest);
    assert!(left.iter().all(|name| !name.starts_with(".big.bin.")), "{left:?}");
}

#[tokio::test]
async fn an_attempt_that_is_cancelled_in_its_first_stage_begins_no_second_one() {
    let site = Site::new().await;
    let stages = Stages::new(vec!["*.index".to_owned()]).unwrap();
    let attempt = Attempt { stages: Some(stages), ..site.slow() };
    let (recorder, cancel) = (Recorder::default(), CancellationToken::new());
    let (report, running) = tokio::join!(site.engine.attempt(&attempt, &recorder, &cancel), async {
        let running = recorder.flowing().await;
        cancel.cancel();
        running
    });
    assert_eq!((&report.exit, report.stage), (&Exit::Cancelled, Some(1)), "{report:?}");
    running.assert_all_ended();
    let pid = running.main.pid;
    assert_eq!(recorder.seen().phases, [Phase::Started { pid }, Phase::Stopping]);
}

#[tokio::test]
async fn both_stages_run_under_one_guardian_and_their_statistics_add_up() {
    let site = Site::new().await;
    let stages = Stages::new(vec!["*".to_owned()]).unwrap();
    // The first stage leaves everything out, so what the second brings is the whole tree.
    let (whole, _) = site.run(&Attempt { dest: site.path("whole"), ..site.attempt("small") }).await;
    let (report, seen) = site.run(&Attempt { stages: Some(stages), ..site.attempt("small") }).await;
    assert_eq!((report.judgement.class, report.stage), (Class::Done, Some(2)), "{report:?}");
    let started = seen.phases.iter().filter(|phase| matches!(phase, Phase::Started { .. })).count();
    assert_eq!(started, 2);
    let transferred = |report: &engine::AttemptReport| report.stats.map(|stats| stats.transferred);
    assert_eq!(transferred(&report), transferred(&whole));
    assert!(report.stats.unwrap().received > whole.stats.unwrap().received, "the first one counts too");
}
