//! Supervisors and guardians that die, however they die: no rsync outlives them, or it is found again.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use engine::{Attempt, Exit, Verdict};
use rustix::process::Signal;
use tokio_util::sync::CancellationToken;

use crate::kit::{Process, Recorder, Running, SLOWLY_KIB, Site, parent};

/// A process of its own that runs one slow attempt.
struct Supervisor {
    child: Child,
    process: Process,
}

impl Supervisor {
    fn start(site: &Site) -> Self {
        let program = env!("CARGO_BIN_EXE_engine-supervisor");
        Self::spawn(site, &[program.into()], env!("CARGO_BIN_EXE_engine-guardian").into(), "rsync".as_ref())
    }

    fn start_unprivileged(site: &Site, rsync: &Path) -> Self {
        let program = site.unprivileged(env!("CARGO_BIN_EXE_engine-supervisor"));
        Self::spawn(site, &program, site.copied(env!("CARGO_BIN_EXE_engine-guardian")), rsync)
    }

    fn spawn(site: &Site, program: &[OsString], guardian: OsString, rsync: &Path) -> Self {
        let child = Command::new(&program[0])
            .args(&program[1..])
            .arg(guardian)
            .args([site.path("state"), site.path("dest")])
            .args([site.source(None, "big").to_string(), SLOWLY_KIB.to_string()])
            .arg(rsync)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let process = Process::open(child.id()).unwrap();
        Self { child, process }
    }

    /// Kills it and its guardian in the same moment.
    fn kill_with(&self, guardian: &Process) {
        // Stopped, it cannot notice that the guardian dies first.
        self.process.signal(Signal::STOP);
        guardian.signal(Signal::KILL);
        self.process.signal(Signal::KILL);
        assert!(guardian.ends() && self.process.ends());
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
    let nursery = Process::open(parent(running.guardian.pid).unwrap()).unwrap();
    supervisor.process.signal(Signal::KILL);
    running.assert_rsync_ends();
    assert!(running.guardian.ends(), "the guardian runs on");
    assert!(nursery.ends(), "the nursery runs on");
    // Nothing holds the destination any more.
    let (report, _) = site.run(&site.attempt("small")).await;
    assert_eq!(report.judgement.verdict, Verdict::Done, "{report:?}");
}

#[tokio::test]
async fn without_privileges_a_supervisor_that_is_killed_leaves_no_rsync() {
    let site = Site::new().await;
    let mut supervisor = Supervisor::start_unprivileged(&site, "rsync".as_ref());
    let running = supervisor.flowing();
    supervisor.process.signal(Signal::KILL);
    running.assert_rsync_ends();
    assert!(running.guardian.ends(), "the guardian runs on");
}

#[tokio::test]
async fn a_nursery_that_is_killed_takes_no_guardian_with_it_and_another_follows() {
    let site = Site::new().await;
    let (attempt, recorder, cancel) = (site.slow(), Recorder::default(), CancellationToken::new());
    let (report, running) = tokio::join!(site.engine.attempt(&attempt, &recorder, &cancel), async {
        let running = recorder.flowing().await;
        let nursery = Process::open(parent(running.guardian.pid).unwrap()).unwrap();
        nursery.signal(Signal::KILL);
        assert!(nursery.ends(), "the nursery runs on");

        let beside = Attempt { dest: site.path("beside"), ..site.attempt("small") };
        let (report, _) = site.run(&beside).await;
        assert_eq!(report.judgement.verdict, Verdict::Done, "{report:?}");
        assert!(running.main.runs() && running.guardian.runs(), "it took a guardian with it");
        cancel.cancel();
        running
    });
    assert_eq!(report.exit, Exit::Cancelled, "{report:?}");
    running.assert_all_ended();
}

#[tokio::test]
async fn a_nursery_that_does_not_answer_gives_way_to_another() {
    let site = Site::new().await;
    let (attempt, recorder, cancel) = (site.slow(), Recorder::default(), CancellationToken::new());
    let (_, nursery) = tokio::join!(site.engine.attempt(&attempt, &recorder, &cancel), async {
        let running = recorder.flowing().await;
        let nursery = Process::open(parent(running.guardian.pid).unwrap()).unwrap();
        nursery.signal(Signal::STOP);
        cancel.cancel();
        nursery
    });

    let (report, _) = site.run(&site.attempt("small")).await;
    assert_eq!(report.judgement.verdict, Verdict::Done, "{report:?}");
    assert!(nursery.ends(), "the nursery stands still for ever");
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
    supervisor.kill_with(&running.guardian);
    running.assert_rsync_ends();
    let (report, _) = site.run(&site.attempt("small")).await;
    assert_eq!(report.judgement.verdict, Verdict::Done, "{report:?}");
}

#[tokio::test]
async fn without_privileges_an_rsync_that_lost_both_is_found_and_ended() {
    let site = Site::new().await;
    let mut supervisor = Supervisor::start_unprivileged(&site, "rsync".as_ref());
    let running = supervisor.flowing();
    supervisor.kill_with(&running.guardian);
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

/// Sweeps up what is left as a server without privileges does.
fn sweep_unprivileged(site: &Site) -> Output {
    let program = site.unprivileged(env!("CARGO_BIN_EXE_engine-supervisor"));
    Command::new(&program[0]).args(&program[1..]).arg("sweep").arg(site.path("state")).output().unwrap()
}

#[tokio::test]
async fn without_privileges_a_sweep_ends_what_lost_both() {
    let site = Site::new().await;
    let mut supervisor = Supervisor::start_unprivileged(&site, "rsync".as_ref());
    let running = supervisor.flowing();
    supervisor.kill_with(&running.guardian);

    let output = sweep_unprivileged(&site);
    assert!(output.status.success(), "{output:?}");
    let ended = String::from_utf8(output.stdout).unwrap();
    for orphan in [&running.main, &running.receiver] {
        assert!(ended.lines().any(|line| line == format!("ended {}", orphan.pid)), "{ended}");
    }
    running.assert_rsync_ends();
}

#[tokio::test]
async fn an_orphan_that_cannot_be_examined_stops_a_start_with_its_pid() {
    let site = Site::new().await;
    // The kernel hides what a program does that its user cannot read.
    let rsync = site.path("hidden-rsync");
    let program =
        ["/usr/local/bin/rsync", "/usr/bin/rsync"].into_iter().find(|path| Path::new(path).exists());
    fs::copy(program.unwrap(), &rsync).unwrap();
    fs::set_permissions(&rsync, fs::Permissions::from_mode(0o111)).unwrap();
    let mut supervisor = Supervisor::start_unprivileged(&site, &rsync);
    let running = supervisor.flowing();
    supervisor.kill_with(&running.guardian);

    let output = sweep_unprivileged(&site);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "a lock is held, and the sweep said nothing");
    assert!(said.contains(&format!("pid {} (hidden-rsync)", running.main.pid)), "{said}");

    for orphan in [&running.main, &running.receiver] {
        orphan.signal(Signal::KILL);
    }
    running.assert_rsync_ends();
    let output = sweep_unprivileged(&site);
    assert!(output.status.success(), "{output:?}");
}
