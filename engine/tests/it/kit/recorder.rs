//! A monitor that keeps what it hears, and that a test can wait for.

use engine::{Change, ChangeKind, Monitor, Phase, Progress};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{PATIENCE, Process, children, is_first_of_namespace, parent};

/// What an attempt has told so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// rsync's main process.
    pub(crate) pid: Option<u32>,
    pub(crate) phases: Vec<Phase>,
    pub(crate) progress: Progress,
    pub(crate) changes: Vec<(ChangeKind, String)>,
    pub(crate) stderr: Vec<String>,
}

/// Keeps what it hears.
pub(crate) struct Recorder(watch::Sender<Seen>);

impl Default for Recorder {
    fn default() -> Self {
        Self(watch::Sender::new(Seen::default()))
    }
}

impl Recorder {
    pub(crate) fn seen(&self) -> Seen {
        self.0.borrow().clone()
    }

    async fn wait(&self, what: &str, condition: impl FnMut(&Seen) -> bool) -> Seen {
        let mut receiver = self.0.subscribe();
        let waited = timeout(PATIENCE, receiver.wait_for(condition)).await;
        waited.unwrap_or_else(|_| panic!("gave up waiting for {what}")).unwrap().clone()
    }

    /// Waits until rsync has been started; gives its main process.
    pub(crate) async fn started(&self) -> u32 {
        self.wait("rsync's start", |seen| seen.pid.is_some()).await.pid.unwrap()
    }

    /// Waits until data flows, so that both of rsync's processes are there; gives the guardian and them.
    pub(crate) async fn flowing(&self) -> Running {
        let pid = self.data().await.pid.unwrap();
        Running::below(pid)
    }

    /// Waits until data flows.
    pub(crate) async fn data(&self) -> Seen {
        self.wait("data", |seen| seen.progress.bytes > 0).await
    }
}

/// The processes of an attempt in the middle of a transfer.
pub(crate) struct Running {
    pub(crate) guardian: Process,
    /// The first process of its PID namespace, with the privileges for one.
    pub(crate) init: Option<Process>,
    pub(crate) main: Process,
    pub(crate) receiver: Process,
}

impl Running {
    /// Finds them from rsync's main process.
    pub(crate) fn below(main: u32) -> Self {
        let [receiver] = children(main)[..] else { panic!("rsync has {} children", children(main).len()) };
        let open = |pid| Process::open(pid).unwrap();
        let above = parent(main).unwrap();
        let is_init = is_first_of_namespace(above);
        let guardian = if is_init { parent(above).unwrap() } else { above };
        Self {
            guardian: open(guardian),
            init: is_init.then(|| open(above)),
            main: open(main),
            receiver: open(receiver),
        }
    }

    pub(crate) fn assert_rsync_ends(&self) {
        assert!(self.main.ends(), "rsync's main process runs on");
        assert!(self.receiver.ends(), "rsync's receiver runs on");
    }

    pub(crate) fn assert_all_ended(&self) {
        for (name, process) in
            [("guardian", &self.guardian), ("main", &self.main), ("receiver", &self.receiver)]
        {
            assert!(!process.runs(), "the {name} process runs on");
        }
    }
}

impl Monitor for Recorder {
    fn phase(&self, phase: Phase) {
        self.0.send_modify(|seen| {
            if let Phase::Started { pid } = phase {
                seen.pid = Some(pid);
            }
            seen.phases.push(phase);
        });
    }

    fn progress(&self, progress: &Progress) {
        self.0.send_modify(|seen| seen.progress = *progress);
    }

    fn change(&self, change: &Change<'_>, raw: &[u8]) {
        assert_eq!(Change::parse(raw), Some(*change));
        let name = String::from_utf8(change.path()).unwrap();
        self.0.send_modify(|seen| seen.changes.push((change.kind, name)));
    }

    fn stdout(&self, _: &[u8]) {}

    fn stderr(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line).into_owned();
        self.0.send_modify(|seen| seen.stderr.push(line));
    }
}
