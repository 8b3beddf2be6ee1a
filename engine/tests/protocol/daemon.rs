//! A real rsync daemon for one test.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use engine::Source;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

const READY_WITHIN: Duration = Duration::from_secs(20);

/// The user and the password of modules made with [`Config::closed`].
pub(crate) const LOGIN: (&str, &str) = ("mirror", "correct horse battery");

/// A running daemon; it is killed when it is dropped.
pub(crate) struct Daemon {
    _child: Child,
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
}

/// What a daemon is to serve.
pub(crate) struct Config {
    text: String,
    folder: tempfile::TempDir,
}

impl Config {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A daemon that runs as root serves its modules as nobody.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let text = "use chroot = no\nread only = yes\nreverse lookup = no\n".to_owned();
        Self { text, folder }
    }

    pub(crate) fn with_motd(mut self, motd: &str) -> Self {
        let path = self.folder.path().join("motd");
        fs::write(&path, motd).unwrap();
        let _ = writeln!(self.text, "motd file = {}", path.display());
        self
    }

    /// A module with a folder of its own, and lines of configuration.
    pub(crate) fn module(mut self, name: &str, lines: &str) -> Self {
        let path = self.folder.path().join(name);
        fs::create_dir(&path).unwrap();
        let _ = writeln!(self.text, "[{name}]\npath = {}\n{lines}", path.display());
        self
    }

    /// A module that asks for [`LOGIN`].
    pub(crate) fn closed(self, name: &str) -> Self {
        let secrets = self.folder.path().join(format!("{name}.secrets"));
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&secrets).unwrap();
        std::io::Write::write_all(&mut file, format!("{}:{}\n", LOGIN.0, LOGIN.1).as_bytes()).unwrap();
        self.module(name, &format!("auth users = {}\nsecrets file = {}", LOGIN.0, secrets.display()))
    }

    pub(crate) async fn start(self) -> Daemon {
        self.start_on(Ipv4Addr::LOCALHOST.into()).await
    }

    pub(crate) async fn start_on(self, ip: IpAddr) -> Daemon {
        let config = self.folder.path().join("rsyncd.conf");
        let log = self.folder.path().join("log");
        fs::write(&config, format!("log file = {}\n{}", log.display(), self.text)).unwrap();
        fs::write(&log, "").unwrap();
        fs::set_permissions(&log, Permissions::from_mode(0o666)).unwrap();
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let address = SocketAddr::new(ip, fixtures::ports::free(ip));
            let mut child = spawn(&config, address);
            loop {
                if let Ok(stream) = TcpStream::connect(address).await {
                    // A connection that is closed with its greeting unread is an error in the daemon's log.
                    BufReader::new(stream).read_line(&mut String::new()).await.unwrap();
                    return Daemon { _child: child, address, folder: self.folder };
                }
                assert!(Instant::now() < deadline, "the daemon does not answer");
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

fn spawn(config: &Path, address: SocketAddr) -> Child {
    Command::new("rsync")
        .args(["--daemon", "--no-detach"])
        .arg(format!("--address={}", address.ip()))
        .arg(format!("--port={}", address.port()))
        .arg(format!("--config={}", config.display()))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

impl Daemon {
    /// The folder of a module, or another file of the daemon.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn source(&self, module: &str) -> Source {
        source(self.address, None, module, "")
    }

    /// Waits until the log has these words.
    pub(crate) async fn said(&self, words: &str) {
        let deadline = Instant::now() + READY_WITHIN;
        while !self.log().contains(words) {
            assert!(Instant::now() < deadline, "{}", self.log());
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }
}

pub(crate) fn source(address: SocketAddr, user: Option<&str>, module: &str, path: &str) -> Source {
    Source::new(user, &address.ip().to_string(), address.port(), module, path).unwrap()
}
