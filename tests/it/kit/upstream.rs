//! An upstream: rsync's own daemon, serving one tree.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{free_port, wait_for};

/// A daemon that ends with the test.
pub(crate) struct Upstream {
    folder: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Upstream {
    /// Serves a tree of `files` files as module `data`, and as `secret` to user `mirror` with password `hunter2`.
    pub(crate) fn start(files: usize) -> Self {
        Self::start_with(files, |_| String::new())
    }

    /// The same with more lines for module `data`, made for the folder that holds `tree`.
    pub(crate) fn start_with(files: usize, lines: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        super::grow(&folder.path().join("tree"), files);
        let port = free_port();
        let (path, lines) = (folder.path().display(), lines(folder.path()));
        let config = format!(
            "use chroot = no\nread only = yes\nsocket options = TCP_NODELAY\n\
             [data]\npath = {path}/tree\n{lines}\n\
             [secret]\npath = {path}/tree\nauth users = mirror\nsecrets file = {path}/secrets\n\
             [full]\npath = {path}/tree\nmax connections = 1\nlock file = {path}/full.lock\n"
        );
        fs::write(folder.path().join("rsyncd.conf"), config).unwrap();
        fs::write(folder.path().join("secrets"), "mirror:hunter2\n").unwrap();
        fs::set_permissions(folder.path().join("secrets"), fs::Permissions::from_mode(0o600)).unwrap();
        let child = daemon(folder.path(), port);
        let upstream = Self { folder, child, port };
        upstream.wait();
        upstream
    }

    fn wait(&self) {
        // A connection alone may be to itself: the port is one that clients are given too.
        wait_for("the upstream to greet", || {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
            stream.set_read_timeout(Some(std::time::Duration::from_secs(1))).ok()?;
            let mut start = [0; 8];
            std::io::Read::read_exact(&mut stream, &mut start).ok()?;
            (start == *b"@RSYNCD:").then_some(())
        });
    }

    /// Where a module is.
    pub(crate) fn url(&self, module: &str) -> String {
        format!("rsync://127.0.0.1:{}/{module}", self.port)
    }

    /// Ends the daemon; what is served stays.
    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was.
    pub(crate) fn start_again(&mut self) {
        self.child = daemon(self.folder.path(), self.port);
        self.wait();
    }

    /// The daemon's port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The tree that is served.
    pub(crate) fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }
}

fn daemon(folder: &Path, port: u16) -> Child {
    Command::new("rsync")
        .args(["--daemon", "--no-detach", "--address=127.0.0.1"])
        .arg(format!("--port={port}"))
        .arg(format!("--config={}", folder.join("rsyncd.conf").display()))
        .arg(format!("--log-file={}", folder.join("log").display()))
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
