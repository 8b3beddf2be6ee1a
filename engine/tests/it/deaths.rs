//! Supervisors and guardians that die, however they die: no rsync outlives them, or it is found again.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use engine::{Exit, Verdict};
use rustix::process::Signal;
use tokio_util::sync::CancellationToken;

use crate::kit::{Process, Recorder, Running, SLOWLY_KIB, Site};

/// A process of its own that runs one slow attempt.
struct Supervisor {
    child: Child,
    process: Process,
}

impl Supervisor {
    fn start(site: &Site) -> Self {
        let program = env!("CARGO_BIN_EXE_engine-supervisor");
        Self::spawn(site, &[program.into()], env!("CARGO_BIN_EXE_engine-guardian").into())
    }

    fn start_unprivileged(site: &Site) -> Self {
        let program = site.unprivileged(env!("CARGO_BIN_EXE_engine-supervisor"));
        Self::spawn(site, &program, site.copied(env!("CARGO_BIN_EXE_engine-guardian")))
    }

    fn spawn(site: &Site, program: &[OsString], guardian: OsString) -> Self {
        let child = Command::new(&program[0])
            .args(&program[1..])
            .arg(guardian)
            .args([site.path("state"), site.path("dest")])
            .args([site.source(None, "big").to_string(), SLOWLY_KIB.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let process = Process::open(child.id()).unwrap();
        Self { child, process }
    }

    /// Waits until its rsync is in the middle of a transfer.
    fn flowing(&mut self) -> Running {
        let mut lines = BufReader::new(self.child.stdout.take().unwrap()).lines();
        let main = said(&mut lines, "rsync ");
        said(&mut lines, "flowing ");
        Running::below(main)
    }
}

/// The number behind a word, in the next line that begins with it.
fn said(lines: &mut std::io::Lines<BufReader<ChildStdout>>, word: &str) -> u32 {
    lines.find_map(|line| line.unwrap().strip_prefix(word)?.parse().ok()).unwrap()
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn an_attempt_that_is_dropped_ends_its_rsync() {
    let site = Site::new().await;
    let (attempt, recorder, cancel) = (site.slow(), Recorder::default(), CancellationToken::new());
    let running = tokio::select! {
        report = site.engine.attempt(&attempt, &recorder, &cancel) => panic!("it ended by itself: {report:?}"),
        running = recorder.flowing() => running,
    };
    running.assert_rsync_ends();
    assert!(running.guardian.ends(), "the guardian runs on");
}

#[tokio::test]
async fn a_supervisor_that_is_killed_leaves_no_rsync() {
    let site = Site::new().await;
    let mut supervisor = Supervisor::start(&site);
    let running = supervisor.flowing();
    supervisor.process.signal(Signal::KILL);
    running.assert_rsync_ends();
    assert!(running.guardian.ends(), "the guardian runs on");
    // Nothing holds the destination any more.
    let (report, _) = site.run(&site.attempt("small")).await;
    assert_eq!(report.judgement.verdict, Verdict::Done, "{report:?}");
}

#[tokio::test]
async fn without_privileges_a_supervisor_that_is_killed_leaves_no_rsync() {
    let site = Site::new().await;
    let mut supervisor = Supervisor::start_unprivileged(&site);
    let running = supervisor.flowing();
    supervisor.process.signal(Signal::KILL);
    running.assert_rsync_ends();
    assert!(running.guardian.ends(), "the guardian runs on");
}

#[tokio::test]
async fn a_guardian_that_is_killed_is_noticed_and_its_rsync_ended() {
    let site = Site::new().await;
    let (attempt, recorder, cancel) = (site.slow(), Recorder::default(), CancellationToken::new());
    let (report, running) = tokio::join!(site.engine.attempt(&attempt, &recorder, &cancel), async {
        let running = recorder.flowing().await;
        running.guardian.signal(Signal::KILL);
        running
    });
    assert_eq!((&report.exit, report.judgement.verdict), (&Exit::Lost, Verdict::RetrySoon), "{report:?}");
    assert!(!report.clean);
    running.assert_all_ended();
}

#[tokio::test]
async fn a_guardian_and_a_supervisor_that_are_killed_at_once_leave_nothing() {
    // Root in a container may lack the privileges; then the kernel refuses this tool too.
    let allowed = Command::new("unshare").args(["--pid", "--fork", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("left out: PID namespaces are not allowed here");
        return;
    }
    let site = Site::new().await;
    let mut supervisor = Supervisor::start(&site);
    let running = supervisor.flowing();
    // Stopped, it cannot notice that the guardian dies first.
    supervisor.process.signal(Signal::STOP);
    running.guardian.signal(Signal::KILL);
    supervisor.process.signal(Signal::KILL);
    running.assert_rsync_ends();
    let (report, _) = site.run(&site.attempt("small")).await;
    assert_eq!(report.judgement.verdict, Verdict::Done, "{report:?}");
}

#[tokio::test]
async fn without_privileges_an_rsync_that_lost_both_is_found_and_ended() {
    let site = Site::new().await;
    let mut supervisor = Supervisor::start_unprivileged(&site);
    let running = supervisor.flowing();
    // Stopped, it cannot notice that the guardian dies first.
    supervisor.process.signal(Signal::STOP);
    running.guardian.signal(Signal::KILL);
    supervisor.process.signal(Signal::KILL);
    assert!(running.guardian.ends() && supervisor.process.ends());
    assert!(running.main.runs() && running.receiver.runs(), "there is no orphan to be found");
    let (report, _) = site.run(&site.attempt("small")).await;
    assert_eq!(report.exit, Exit::Busy, "an orphan does not hold the destination: {report:?}");

    let ended = site.engine.end_orphans(Duration::from_secs(5)).unwrap();
    assert!(ended.contains(&running.main.pid) && ended.contains(&running.receiver.pid), "{ended:?}");
    assert!(!running.main.runs() && !running.receiver.runs());
    assert_eq!(site.engine.end_orphans(Duration::from_secs(5)).unwrap(), [0; 0]);
    let (report, _) = site.run(&site.attempt("small")).await;
    assert_eq!(report.judgement.verdict, Verdict::Done, "{report:?}");
}
