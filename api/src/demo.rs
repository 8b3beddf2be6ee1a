//! `heliostat demo`: the main job on real rsync, on this machine only, in a folder that is removed at the end.
//!
//! It starts an upstream rsync daemon with a real tree and a real master as a process of its own, and then types the
//! commands that a person would type. What scrolls by is what these commands print.

mod upstream;

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use engine::rsyncd::Rsyncd;

use upstream::Tree;

/// How long the master may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// The password of a user who lives for some seconds.
const PASSWORD: &str = "demo";

/// `heliostat demo`: 0 when everything went as told, 1 otherwise. `keep` leaves the folder, `seconds` leaves the
/// master running for so long at the end.
#[must_use]
pub fn main(keep: bool, seconds: Option<u64>) -> ExitCode {
    match Demo::start(keep).and_then(|demo| demo.play(seconds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("heliostat demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The stage. Dropping it ends both servers and removes the folder.
struct Demo {
    folder: tempfile::TempDir,
    tree: Tree,
    upstream: Rsyncd,
    master: Master,
    runtime: tokio::runtime::Runtime,
}

impl Demo {
    fn start(keep: bool) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut folder = tempfile::Builder::new().prefix("heliostat-demo-").tempdir()?;
        folder.disable_cleanup(keep);
        say("An upstream: rsync's own daemon, with a small distribution to mirror");
        let tree = Tree::grow(&folder.path().join("upstream"))?;
        println!("  {} files, {} MB", Tree::FILES, Tree::BYTES / 1_000_000);
        let itself = std::env::current_exe().context("cannot find this program's own file")?;
        let upstream = runtime.block_on(upstream::daemon(&itself, folder.path(), tree.path()))?;
        say("A master: `heliostat serve`, with its data in a temporary folder");
        let master = Master::start(&itself, folder.path())?;
        println!("  listening on {}", master.url);
        Ok(Self { folder, tree, upstream, master, runtime })
    }

    fn play(self, seconds: Option<u64>) -> anyhow::Result<()> {
        let source = format!("rsync://127.0.0.1:{}/distro", self.upstream.port());
        let dest = self.folder.path().join("mirror");
        say("A project: what to mirror, and where it lands");
        let dest_text = dest.display().to_string();
        self.master.heliostat(&[
            "project", "add", "distro", &source, &dest_text, "--option=--bwlimit=8000", "--cron", "0 * * * *",
        ])?;
        say("The first sync, live");
        self.master.heliostat(&["sync", "distro", "--follow"])?;
        self.compare(&dest)?;
        say("The upstream changes: one new file, one changed, one gone");
        for line in self.tree.change()? {
            println!("  {line}");
        }
        say("The second sync moves only the change");
        self.master.heliostat(&["sync", "distro", "--follow"])?;
        self.compare(&dest)?;
        say("The third finds nothing");
        self.master.heliostat(&["sync", "distro", "--follow"])?;
        say("What the master remembers");
        self.master.heliostat(&["runs", "distro"])?;
        self.master.heliostat(&["status"])?;
        if let Some(seconds) = seconds {
            say(&format!("The master stays for {seconds} seconds: user root, password {PASSWORD}, {}", self.master.url));
            std::thread::park_timeout(Duration::from_secs(seconds));
        }
        self.end()
    }

    /// The mirror is the upstream, name by name and byte by byte.
    fn compare(&self, mirror: &Path) -> anyhow::Result<()> {
        let (ours, theirs) = (upstream::fingerprint(mirror)?, upstream::fingerprint(self.tree.path())?);
        ensure!(ours == theirs, "the mirror differs from the upstream");
        println!("  mirror and upstream are the same, byte for byte ({} files)", theirs.len());
        Ok(())
    }

    fn end(self) -> anyhow::Result<()> {
        let Self { folder, tree: _, upstream, mut master, runtime } = self;
        master.stop()?;
        runtime.block_on(upstream.stop());
        let path = folder.path().to_owned();
        drop(folder);
        match path.exists() {
            true => say(&format!("Everything is left in {}", path.display())),
            false => say("Everything is gone again: nothing runs, nothing is left"),
        }
        Ok(())
    }
}

/// The master's process.
struct Master {
    itself: PathBuf,
    child: Child,
    url: String,
}

impl Master {
    fn start(itself: &Path, folder: &Path) -> anyhow::Result<Self> {
        // A port that is free now; nobody else asks for it in the next moment.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = folder.join("heliostat.ron");
        let data = folder.join("data");
        std::fs::write(
            &config,
            format!("(data_dir: {data:?}, listen: \"{address}\", log: (level: \"warn\"), role: Master())\n"),
        )?;
        let child = Command::new(itself)
            .arg("serve")
            .arg("--config")
            .arg(config)
            .env("HELIOSTAT_ROOT_PASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start the master")?;
        let mut master = Self { itself: itself.to_owned(), child, url: format!("http://{address}") };
        master.wait_until_ready(address)?;
        Ok(master)
    }

    fn wait_until_ready(&mut self, address: std::net::SocketAddr) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while std::net::TcpStream::connect(address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the master ended at once ({status}); what it said stands above");
            }
            ensure!(Instant::now() < deadline, "the master is not ready after {READY_WITHIN:?}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Types a command, and lets it speak for itself.
    fn heliostat(&self, words: &[&str]) -> anyhow::Result<()> {
        println!("  $ heliostat {}", words.join(" "));
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let status = Command::new(&self.itself)
            .args(words)
            .env("HELIOSTAT_SERVER", &self.url)
            .env("HELIOSTAT_USER", format!("root:{PASSWORD}"))
            .status()?;
        ensure!(status.success(), "this command failed ({status})");
        Ok(())
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        let status = self.child.wait()?;
        ensure!(status.success(), "the master did not end well ({status})");
        Ok(())
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        // After a good end there is nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(line: &str) {
    println!("\n▸ {line}");
}
