//! `heliostat demo`: the main job on real rsync, on this machine only, in a folder that is removed at the end.
//!
//! It starts an upstream rsync daemon with a real tree, a real master and two slaves, each as a process of its own, and
//! then types the commands that a person would type. What scrolls by is what these commands print.

mod server;
mod upstream;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use engine::rsyncd::Rsyncd;

use server::Server;
use upstream::Tree;

/// How long the slaves may take until they hold what the master has.
const CURRENT_WITHIN: Duration = Duration::from_secs(30);
/// How often the master is asked whether they do.
const LOOK: Duration = Duration::from_millis(100);

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

/// The stage. Dropping it ends every server and removes the folder.
struct Demo {
    folder: tempfile::TempDir,
    tree: Tree,
    upstream: Rsyncd,
    master: Server,
    slaves: [Server; 2],
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
        let upstream = runtime.block_on(upstream::daemon(folder.path(), tree.path()))?;
        say("A master and two slaves: `heliostat serve` three times, with one secret between them");
        let master = Server::master(&itself, folder.path())?;
        println!("  the master listens on {}", master.url);
        let slaves = [
            Server::slave(&itself, folder.path(), "north", &master.url)?,
            Server::slave(&itself, folder.path(), "south", &master.url)?,
        ];
        for slave in &slaves {
            println!("  slave {} listens on {}", slave.name, slave.url);
        }
        Ok(Self { folder, tree, upstream, master, slaves, runtime })
    }

    fn play(mut self, seconds: Option<u64>) -> anyhow::Result<()> {
        let source = format!("rsync://127.0.0.1:{}/distro", self.upstream.port());
        let dest = self.folder.path().join("mirror");
        say("A project: what to mirror, and where it lands");
        let dest_text = dest.display().to_string();
        self.master.heliostat(&[
            "project",
            "add",
            "distro",
            &source,
            &dest_text,
            "--option=--bwlimit=8000",
            "--cron",
            "0 * * * *",
        ])?;
        say("The first sync, live");
        self.master.heliostat(&["sync", "distro", "--follow"])?;
        self.compare(&dest)?;
        say("The slaves were told at once, and pull from the master");
        self.until_current(&["north", "south"])?;
        self.master.heliostat(&["node", "list"])?;
        say("One slave is stopped, and nobody waits for it");
        let [north, south] = &mut self.slaves;
        let (north, south) = (north.public(), (south.stop()?, south.public()).1);
        say("The upstream changes: one new file, one changed, one gone");
        for line in self.tree.change()? {
            println!("  {line}");
        }
        say("The second sync moves only the change");
        self.master.heliostat(&["sync", "distro", "--follow"])?;
        self.compare(&dest)?;
        self.until_current(&["north"])?;
        self.compare(&north)?;
        self.master.heliostat(&["node", "list"])?;
        say("The stopped slave comes back, and heals by itself");
        self.slaves[1].start()?;
        self.until_current(&["north", "south"])?;
        self.compare(&south)?;
        self.master.heliostat(&["node", "list"])?;
        say("The third sync finds nothing");
        self.master.heliostat(&["sync", "distro", "--follow"])?;
        say("What the master remembers");
        self.master.heliostat(&["runs", "distro"])?;
        self.master.heliostat(&["status"])?;
        if let Some(seconds) = seconds {
            say(&format!(
                "The master stays for {seconds} seconds: user root, password {}, {}",
                server::PASSWORD,
                self.master.url
            ));
            std::thread::park_timeout(Duration::from_secs(seconds));
        }
        self.end()
    }

    /// Waits until these slaves hold what the master has.
    fn until_current(&self, names: &[&str]) -> anyhow::Result<()> {
        let deadline = Instant::now() + CURRENT_WITHIN;
        loop {
            let page = self.master.json(&["node", "list"])?;
            let nodes = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            let current = |name: &&str| {
                nodes.iter().any(|node| {
                    node["id"] == **name && node["current"] == true && node["projects"][0]["lag"] == 0
                })
            };
            if names.iter().all(current) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the slaves are not current after {CURRENT_WITHIN:?}");
            std::thread::park_timeout(LOOK);
        }
    }

    /// The mirror is the upstream, name by name and byte by byte.
    fn compare(&self, mirror: &Path) -> anyhow::Result<()> {
        let (ours, theirs) = (upstream::fingerprint(mirror)?, upstream::fingerprint(self.tree.path())?);
        ensure!(ours == theirs, "the mirror differs from the upstream");
        println!("  mirror and upstream are the same, byte for byte ({} files)", theirs.len());
        Ok(())
    }

    fn end(self) -> anyhow::Result<()> {
        let Self { folder, tree: _, upstream, mut master, slaves, runtime } = self;
        for mut slave in slaves {
            slave.stop()?;
        }
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

fn say(line: &str) {
    println!("\n▸ {line}");
}
