//! The demo's servers: processes of their own, in the demo's folder.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// How long a server may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// The password of a user who lives for some seconds.
pub(super) const PASSWORD: &str = "demo";
/// What the master and its slaves know for as long.
const SECRET: &str = "known to the demo only";

/// A server. Dropping it ends it.
pub(super) struct Server {
    itself: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
    pub(super) name: String,
    pub(super) url: String,
}

impl Server {
    /// The master.
    pub(super) fn master(itself: &Path, folder: &Path) -> anyhow::Result<Self> {
        let rsyncd = free_address()?;
        let role = format!("Master(enrolment: {SECRET:?}, rsyncd: Managed(listen: \"{rsyncd}\"))");
        Self::new(itself, &folder.join("master"), "master", &role)
    }

    /// A slave of a master.
    pub(super) fn slave(itself: &Path, folder: &Path, name: &str, master: &str) -> anyhow::Result<Self> {
        let folder = folder.join(name);
        let public = folder.join("public");
        let role = format!(
            "Slave(master: {master:?}, name: {name:?}, public_dir: {public:?}, enrolment: {SECRET:?})"
        );
        Self::new(itself, &folder, name, &role)
    }

    fn new(itself: &Path, folder: &Path, name: &str, role: &str) -> anyhow::Result<Self> {
        let address = free_address()?;
        let data = folder.join("data");
        std::fs::create_dir_all(folder)?;
        let config =
            format!("(data_dir: {data:?}, listen: \"{address}\", log: (level: \"error\"), role: {role})\n");
        std::fs::write(folder.join("heliostat.ron"), config)?;
        let mut server = Self {
            itself: itself.to_owned(),
            folder: folder.to_owned(),
            address,
            child: None,
            name: name.to_owned(),
            url: format!("http://{address}"),
        };
        server.start()?;
        Ok(server)
    }

    /// Where a slave keeps the demo's project.
    pub(super) fn public(&self) -> PathBuf {
        self.folder.join("public/distro")
    }

    /// Starts it, and waits until it answers.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        let child = Command::new(&self.itself)
            .arg("serve")
            .arg("--config")
            .arg(self.folder.join("heliostat.ron"))
            .env("HELIOSTAT_ROOT_PASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .spawn();
        let child = self.child.insert(child.with_context(|| format!("cannot start {}", self.name))?);
        let deadline = Instant::now() + READY_WITHIN;
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("{} ended at once ({status}); what it said stands above", self.name);
            }
            ensure!(Instant::now() < deadline, "{} is not ready after {READY_WITHIN:?}", self.name);
            std::thread::park_timeout(LOOK);
        }
        Ok(())
    }

    /// Types a command, and lets it speak for itself.
    pub(super) fn heliostat(&self, words: &[&str]) -> anyhow::Result<()> {
        println!("  $ heliostat {}", typed(words));
        let status = self.command(words).status()?;
        ensure!(status.success(), "this command failed ({status})");
        Ok(())
    }

    /// What a command answers to a program.
    pub(super) fn json(&self, words: &[&str]) -> anyhow::Result<Value> {
        let output = self.command(words).args(["--output", "json"]).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "heliostat {} failed ({})", words.join(" "), output.status);
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn command(&self, words: &[&str]) -> Command {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let mut command = Command::new(&self.itself);
        command
            .args(words)
            .env("HELIOSTAT_SERVER", &self.url)
            .env("HELIOSTAT_USER", format!("root:{PASSWORD}"));
        command
    }

    /// Ends it, and waits until it has ended well.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        let status = child.wait()?;
        ensure!(status.success(), "{} did not end well ({status})", self.name);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // After a good end there is nothing left to end.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port that is free now; nobody else asks for it in the next moment.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The words as a person would type them.
fn typed(words: &[&str]) -> String {
    let quoted = |word: &&str| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}
