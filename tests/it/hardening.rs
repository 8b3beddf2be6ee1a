//! The server's own process is closed to the others of its user, and what it starts is not.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::kit::{PASSWORD, client, free_port, heliostat, processes_with, said, wait_for};

/// User and group without any right.
const NOBODY: u32 = 65_534;

/// A server of an unprivileged user, which ends with the test.
struct UnprivilegedServer {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl UnprivilegedServer {
    /// Starts it with one command, `wait`, which runs until it is ended.
    fn start() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let (data, config) = (folder.path().join("data"), folder.path().join("heliostat.ron"));
        let commands = r#"{"wait": (run: ["/bin/sleep", "1004"])}"#;
        let mirrors = folder.path().join("mirrors");
        let text = format!(
            "(data_dir: {data:?}, listen: \"127.0.0.1:{port}\", allowed_roots: [{mirrors:?}], \
             role: Master(commands: {commands}))"
        );
        fs::write(&config, text).unwrap();
        fs::create_dir(&mirrors).unwrap();
        // Where every user can reach it.
        let program = folder.path().join("heliostat");
        fs::copy(heliostat(), &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        for path in [folder.path(), &mirrors] {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }

        let child = Command::new(&program)
            .args(["serve", "--config"])
            .arg(&config)
            .env("HELIOSTAT_ROOT_PASSWORD", PASSWORD)
            .uid(NOBODY)
            .gid(NOBODY)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, port, folder };
        let ready = || client().get(server.url("/readyz")).send().ok().filter(|it| it.status().is_success());
        wait_for("the server to be ready", ready);
        server
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn post(&self, path: &str, body: &serde_json::Value) {
        let request = client().post(self.url(path)).basic_auth("root", Some(PASSWORD)).json(body);
        let answer = request.send().unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().unwrap());
    }
}

impl Drop for UnprivilegedServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lists the open files of a process as another process of the same user.
fn open_files(pid: u32) -> std::process::Output {
    Command::new("ls").arg(format!("/proc/{pid}/fd")).uid(NOBODY).gid(NOBODY).output().unwrap()
}

#[test]
fn the_server_is_closed_to_its_own_user_and_what_it_starts_is_not() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("left out: only root can start a server as another user");
        return;
    }
    let server = UnprivilegedServer::start();
    let dest = server.folder.path().join("mirrors/p");
    let body = json!({"id": "p", "source": {"command": "wait"}, "dest": dest, "schedule": "manual"});
    server.post("/api/v1/projects", &body);
    server.post("/api/v1/projects/p/sync", &json!({}));
    let command = wait_for("the command to run", || {
        let running = processes_with("sleep 1004");
        running.iter().find(|(pid, _)| open_files(*pid).status.success()).map(|(pid, _)| *pid)
    });
    let guardian = fs::read_to_string(format!("/proc/{command}/status")).unwrap();
    let guardian = guardian.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();

    let closed = open_files(server.child.id());
    assert!(said(&closed).contains("Permission denied"), "{}", said(&closed));
    let open = open_files(guardian.trim().parse().unwrap());
    assert!(open.status.success(), "the sweep could not find a guardian: {}", said(&open));
}

#[test]
fn under_systemd_the_memory_of_attempts_is_bounded_as_a_whole() {
    if !Path::new("/run/systemd/system").exists() || !rustix::process::geteuid().is_root() {
        eprintln!("left out: no systemd runs here, or this is not root");
        return;
    }
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let config = folder.path().join("heliostat.ron");
    let data = folder.path().join("data");
    fs::write(&config, format!("(data_dir: {data:?}, listen: \"127.0.0.1:{port}\", role: Master())"))
        .unwrap();
    let unit = format!("heliostat-test-{}", std::process::id());
    let run = |program: &str, words: &[&str]| said(&Command::new(program).args(words).output().unwrap());
    let (program, config) = (heliostat(), config.display().to_string());
    let program = program.to_str().unwrap();
    run("systemd-run", &["-u", &unit, "-p", "Delegate=memory", program, "serve", "--config", &config]);

    let url = format!("http://127.0.0.1:{port}/readyz");
    wait_for("the server to be ready", || {
        client().get(&url).send().ok().filter(|it| it.status().is_success())
    });
    let pid = run("systemctl", &["show", "-p", "MainPID", "--value", &unit]);
    let group = fs::read_to_string(format!("/proc/{}/cgroup", pid.trim())).unwrap();
    let unified = group.lines().find(|line| line.starts_with("0::")).unwrap_or_default().to_owned();
    run("systemctl", &["stop", &unit]);
    assert!(unified.ends_with(&format!("{unit}.service/server")), "{group}");
}
