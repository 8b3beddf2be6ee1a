//! What these tests stand on: a daemon with trees, an engine, a monitor that can be waited for, and processes that can
//! be watched until they end.

mod process;
mod recorder;

pub(crate) use process::{Process, children, holding, is_first_of_namespace, parent};
pub(crate) use recorder::{Recorder, Running, Seen};

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::rsyncd::{Module, Rsyncd};
use engine::{Attempt, AttemptReport, Engine, Limits, Options, Secret, Source};
use tokio_util::sync::CancellationToken;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// The user and the password of the module `closed`.
pub(crate) const LOGIN: (&str, &str) = ("mirror", "correct-horse-battery");
/// The size of the one file of `big` and `closed`.
pub(crate) const BIG_BYTES: u64 = 64 << 20;
/// A rate at which that file takes half a minute.
pub(crate) const SLOWLY_KIB: u64 = 2048;

/// A daemon, an engine, and a folder for all of their files, which goes with them.
pub(crate) struct Site {
    pub(crate) engine: Engine,
    upstream: Rsyncd,
    folder: tempfile::TempDir,
}

impl Site {
    /// Serves `small`, `big`, and `big` again as `closed`, for [`LOGIN`] only.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (small, big) = (folder.path().join("small"), folder.path().join("big"));
        grow_small(&small);
        fs::create_dir(&big).unwrap();
        File::create(big.join("big.bin")).unwrap().set_len(BIG_BYTES).unwrap();
        let modules = [
            Module::new("small", &small),
            Module::new("big", &big),
            Module::new("closed", &big).with_login(LOGIN.0, Secret::new(LOGIN.1)),
        ];
        let upstream =
            Rsyncd::start(Path::new("rsync"), &guardian(), &folder.path().join("rsyncd"), &modules)
                .await
                .unwrap();
        let engine = Engine::new("rsync".into(), guardian(), &folder.path().join("state")).unwrap();
        let engine = engine.with_nursery();
        Self { engine, upstream, folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn source(&self, user: Option<&str>, module: &str) -> Source {
        Source::new(user, "127.0.0.1", self.upstream.port(), module, "").unwrap()
    }

    /// Brings a module to `dest`, as fast as it can.
    pub(crate) fn attempt(&self, module: &str) -> Attempt {
        Attempt {
            source: self.source(None, module),
            command: None,
            password: None,
            dest: self.path("dest"),
            folder: None,
            options: Options::default(),
            limits: Limits::default(),
            time_limit: None,
            stall: None,
            unclean_since: None,
            stages: None,
        }
    }

    /// Brings the one large file, so slowly that there is time for something to happen.
    pub(crate) fn slow(&self) -> Attempt {
        let limits = Limits { bwlimit_kib: Some(SLOWLY_KIB), ..Limits::default() };
        Attempt { limits, ..self.attempt("big") }
    }

    /// Runs an attempt that nobody disturbs.
    pub(crate) async fn run(&self, attempt: &Attempt) -> (AttemptReport, Seen) {
        let recorder = Recorder::default();
        let report = self.engine.attempt(attempt, &recorder, &CancellationToken::new()).await;
        (report, recorder.seen())
    }

    /// The daemon's processes that serve a connection now.
    pub(crate) fn serving(&self) -> Vec<Process> {
        let daemon = holding("cmdline", &self.path("rsyncd").display().to_string());
        let serves = |pid: &u32| parent(*pid).is_some_and(|parent| daemon.contains(&parent));
        daemon.iter().copied().filter(serves).filter_map(Process::open).collect()
    }
}

/// What starts a guardian.
pub(crate) fn guardian() -> Vec<OsString> {
    vec![env!("CARGO_BIN_EXE_engine-guardian").into()]
}

/// User and group without any right.
const NOBODY: u32 = 65_534;

impl Site {
    /// Starts a program of these tests without the privileges for a PID namespace, as a package's service user runs it.
    pub(crate) fn unprivileged(&self, program: &str) -> Vec<OsString> {
        if !rustix::process::geteuid().is_root() {
            return vec![program.into()];
        }
        for folder in ["", "state", "state/locks", "state/home"] {
            chown(self.path(folder), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".to_owned()];
        // By its path: who starts a guardian has no `PATH`.
        let words = ["/usr/bin/setpriv".into()].into_iter().chain(ids.map(OsString::from));
        words.chain([self.copied(program)]).collect()
    }

    /// Copies a program to where every user can reach it.
    pub(crate) fn copied(&self, program: &str) -> OsString {
        let copy = self.path(&Path::new(program).file_name().unwrap().to_string_lossy());
        if !copy.exists() {
            fs::copy(program, &copy).unwrap();
        }
        copy.into()
    }
}

/// Three files, two folders, one link.
fn grow_small(path: &Path) {
    fs::create_dir_all(path.join("pool")).unwrap();
    fs::create_dir_all(path.join("empty")).unwrap();
    fs::write(path.join("pool/first"), "first\n").unwrap();
    fs::write(path.join("pool/second"), "second\n").unwrap();
    fs::write(path.join("a => b -> c"), "arrows\n").unwrap();
    std::os::unix::fs::symlink("pool/first", path.join("link")).unwrap();
}

/// The names in a folder, sorted.
pub(crate) fn list(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort_unstable();
    names
}
