//! Guardians whose supervisor dies early, whose system calls fail, or which do not listen: no rsync is left.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use engine::{Attempt, Engine, Exit, Secret};
use rustix::process::Signal;
use tokio_util::sync::CancellationToken;

use crate::kit::{LOGIN, PATIENCE, Process, Recorder, Site, guardian, holding};

/// Seconds that a program of these tests runs if nobody ends it: longer than any of them waits.
const LONG: &str = "600";
/// Time after which an attempt without data is held up by its fault.
const HELD_UP: Duration = Duration::from_secs(5);
/// Attempts with a fault that run at the same time.
const AT_ONCE: usize = 8;
/// Bytes that a socket takes without a reader.
const FITS: usize = 64 << 10;
/// System calls that are not made to fail: an exit cannot, and `close(2)` releases its descriptor even when it fails,
/// while an injected failure would leave it open.
const LEFT_OUT: [&str; 2] = ["close", "exit_group"];
/// System calls that are not made to fail without a PID namespace: memory that runs out ends the process (`abort(3)`), and
/// then only the kernel could end its rsync.
const MEMORY: [&str; 5] = ["brk", "mmap", "mprotect", "munmap", "sigaltstack"];

/// A guardian with a raw socket in its supervisor's place, and a program that would run for long.
struct RawGuardian {
    child: std::process::Child,
    control: UnixStream,
    dest: String,
}

impl RawGuardian {
    /// Starts a guardian that has its whole specification already, and hears nothing else yet.
    fn start(site: &Site, input: Option<&str>) -> Self {
        let dest = site.path("dest").display().to_string();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let args: Vec<Vec<u8>> = vec![LONG.into(), dest.clone().into()];
        let script = site.path("long");
        fs::write(&script, "#!/bin/sh\nsleep \"$1\" & wait\n").unwrap();
        fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let spec = serde_json::json!({
            "program": script, "args": args, "then": null, "environment": [], "ask_group": false,
            "folder": null, "home": "/", "input": input, "locks": site.path("state/locks"),
            "dest": dest, "grace_ms": 100,
        });
        let line = format!("{spec}\n");
        // A long line does not fit into the socket: the guardian reads while the rest is written.
        let early = line.len().min(FITS);
        (&ours).write_all(&line.as_bytes()[..early]).unwrap();
        let child = Command::new(&guardian()[0])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        (&ours).write_all(&line.as_bytes()[early..]).unwrap();
        Self { child, control: ours, dest }
    }

    /// Waits for the guardian's end, and looks for what it left.
    fn assert_leaves_nothing(mut self) {
        let process = Process::open(self.child.id());
        drop(self.control);
        assert!(process.is_none_or(|process| process.ends()), "the guardian runs on");
        self.child.wait().unwrap();
        assert_nothing_holds(&self.dest, "a program outlived its guardian");
    }
}

/// Waits until no process names a path in its command line or works there: what was killed may take a moment to be gone.
fn assert_nothing_holds(path: &str, what: &str) {
    let own = std::process::id();
    let deadline = Instant::now() + PATIENCE;
    let named = |file| holding(file, path).into_iter().filter(|pid| *pid != own);
    let left = || named("cmdline").chain(named("cwd")).collect::<Vec<_>>();
    while !left().is_empty() {
        assert!(Instant::now() < deadline, "{what}: {:?}", left());
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn a_supervisor_that_died_before_its_guardian_began_leaves_nothing() {
    let site = Site::new().await;
    let raw = RawGuardian::start(&site, None);
    raw.assert_leaves_nothing();
}

#[tokio::test]
async fn a_supervisor_that_hears_nothing_more_leaves_nothing() {
    let site = Site::new().await;
    let raw = RawGuardian::start(&site, None);
    // Each report now fails with EPIPE, while the socket itself is still open for orders.
    raw.control.shutdown(std::net::Shutdown::Read).unwrap();
    let program = site.path("long").display().to_string();
    let deadline = Instant::now() + PATIENCE;
    while holding("cmdline", &program).is_empty() {
        assert!(Instant::now() < deadline, "the program was not started");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    raw.assert_leaves_nothing();
}

#[tokio::test]
async fn a_password_that_nobody_reads_does_not_hold_up_the_guardian() {
    let site = Site::new().await;
    let raw = RawGuardian::start(&site, Some(&"x".repeat(900_000)));
    raw.assert_leaves_nothing();
}

#[tokio::test]
async fn an_init_that_was_stopped_is_killed_with_its_rsync() {
    let site = Site::new().await;
    let (attempt, recorder, cancel) = (site.slow(), Recorder::default(), CancellationToken::new());
    let (report, running) = tokio::join!(site.engine.attempt(&attempt, &recorder, &cancel), async {
        let running = recorder.flowing().await;
        if let Some(init) = &running.init {
            init.signal(Signal::STOP);
        }
        cancel.cancel();
        running
    });
    assert_eq!(report.exit, Exit::Cancelled, "{report:?}");
    running.assert_all_ended();
}

#[tokio::test]
async fn a_guardian_that_was_stopped_is_killed_with_its_rsync() {
    let site = Site::new().await;
    let (attempt, recorder, cancel) = (site.slow(), Recorder::default(), CancellationToken::new());
    let (report, running) = tokio::join!(site.engine.attempt(&attempt, &recorder, &cancel), async {
        let running = recorder.flowing().await;
        running.guardian.signal(Signal::STOP);
        cancel.cancel();
        running
    });
    assert_eq!(report.exit, Exit::Cancelled, "{report:?}");
    running.assert_all_ended();
}

/// The system calls of a guardian, by name: the number of each in all, and of those before its rsync was started.
fn calls_of(log: &Path) -> BTreeMap<String, (usize, usize)> {
    let text = fs::read_to_string(log).unwrap();
    let (mut calls, mut started) = (BTreeMap::<String, (usize, usize)>::new(), false);
    for line in text.lines() {
        let Some((name, _)) = line.split_once('(') else { continue };
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let (all, before) = calls.entry(name.to_owned()).or_default();
        *all += 1;
        if !started {
            *before += 1;
        }
        started |= ["clone", "clone3", "vfork", "fork"].contains(&name);
    }
    assert!(started, "no start of a process in {text}");
    calls
}

/// Runs a slow attempt to `dest` with a guardian under strace, and cancels it once data flows. An attempt that a fault
/// ends is over before that; one that a fault holds up is cancelled all the same.
async fn cancelled(site: &Site, guardian: &[OsString], dest: &Path, options: &[String]) -> Exit {
    // With `-D` the guardian itself is the child, as it is without strace.
    let words = ["strace", "-D", "-qq", "-o"].map(OsString::from).into_iter();
    let words = words.chain([dest.with_extension("calls").into()]);
    let argv = words.chain(options.iter().map(OsString::from)).chain(guardian.iter().cloned()).collect();
    let engine = Engine::new("rsync".into(), argv, &site.path("state")).unwrap();
    let attempt = Attempt {
        source: site.source(Some(LOGIN.0), "closed"),
        password: Some(Secret::new(LOGIN.1)),
        dest: dest.to_owned(),
        ..site.slow()
    };

    let (recorder, cancel) = (Recorder::default(), CancellationToken::new());
    let mut running = std::pin::pin!(engine.attempt(&attempt, &recorder, &cancel));
    tokio::select! {
        report = &mut running => return report.exit,
        _ = recorder.data() => {}
        () = tokio::time::sleep(HELD_UP) => {}
    }
    cancel.cancel();
    running.await.exit
}

/// Makes each system call behind the start of rsync fail in turn.
async fn fail_each_call(site: &Site, guardian: &[OsString], left_out: &[&str]) {
    let dest = site.path("whole");
    assert_eq!(cancelled(site, guardian, &dest, &[]).await, Exit::Cancelled);
    let calls = calls_of(&dest.with_extension("calls"));
    let faults = calls.into_iter().filter(|(name, _)| !left_out.contains(&name.as_str()));
    let faults: Vec<(String, usize)> = faults
        .flat_map(|(name, (all, before))| (before + 1..=all).map(move |number| (name.clone(), number)))
        .collect();
    assert!(faults.len() > 20, "only {faults:?} were seen behind the start");

    // Several at once: most of the time goes into waiting for rsync.
    for several in faults.chunks(AT_ONCE) {
        let all = several.iter().map(|(name, number)| async move {
            let dest = site.path(&format!("{name}-{number}"));
            let inject = ["-e".to_owned(), format!("inject={name}:error=EIO:when={number}")];
            let exit = cancelled(site, guardian, &dest, &inject).await;
            let dest = dest.display().to_string();
            assert_nothing_holds(&dest, &format!("{name} number {number} failed ({exit:?})"));
        });
        futures_util::future::join_all(all).await;
    }
}

#[tokio::test]
async fn each_system_call_of_a_guardian_that_fails_leaves_no_rsync() {
    let site = Site::new().await;
    fail_each_call(&site, &guardian(), &LEFT_OUT).await;
}

#[tokio::test]
async fn without_privileges_each_system_call_that_fails_leaves_no_rsync() {
    let site = Site::new().await;
    let guardian = site.unprivileged(env!("CARGO_BIN_EXE_engine-guardian"));
    fail_each_call(&site, &guardian, &[&LEFT_OUT[..], &MEMORY].concat()).await;
}
