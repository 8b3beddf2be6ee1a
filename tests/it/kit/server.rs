//! A master as a process, in a folder of its own, and requests to it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::{free_port, heliostat, wait_for};

/// Root's password in every test.
pub(crate) const PASSWORD: &str = "correct horse";

/// A server that ends with the test.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    child: Option<Child>,
    port: u16,
    client: Client,
    /// The authorities that it trusts; none: those of the system.
    trusts: Option<PathBuf>,
}

/// What a request was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

impl Server {
    /// A master with these bounds, on which everybody may say where trees land.
    pub(crate) fn start(rsync: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self::start_in(folder, rsync, &data)
    }

    /// A master with more keys in its configuration, which `change` completes. It is not waited for.
    pub(crate) fn start_with(keys: &str, change: impl FnOnce(String, &Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let data = folder.path().join("data");
        let config = format!("({keys}data_dir: {data:?}, listen: \"127.0.0.1:{port}\", role: Master())");
        let config = change(config, folder.path());
        fs::write(folder.path().join("heliostat.ron"), config).unwrap();
        let client = super::client();
        let mut server = Self { folder, child: None, port, client, trusts: None };
        server.spawn();
        server
    }

    /// A server whose configuration is made of its folder and its port.
    pub(crate) fn start_from(config: impl FnOnce(&Path, u16) -> String) -> Self {
        Self::start_trusting(None, config)
    }

    /// One on a system that trusts these authorities only.
    pub(crate) fn start_trusting(trusts: Option<PathBuf>, config: impl FnOnce(&Path, u16) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        fs::write(folder.path().join("heliostat.ron"), config(folder.path(), port)).unwrap();
        let mut server = Self { folder, child: None, port, client: super::client(), trusts };
        server.launch();
        server
    }

    /// A master with its data in this folder.
    pub(crate) fn start_with_data(rsync: &str, data: &Path) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), rsync, data)
    }

    fn start_in(folder: tempfile::TempDir, rsync: &str, data: &Path) -> Self {
        let port = free_port();
        let config = format!(
            "(data_dir: {data:?}, listen: \"127.0.0.1:{port}\", log: (level: \"debug\"), rsync: ({rsync}), \
             allowed_roots: [\"/\"], role: Master())"
        );
        fs::write(folder.path().join("heliostat.ron"), config).unwrap();
        let client = super::client();
        let mut server = Self { folder, child: None, port, client, trusts: None };
        server.launch();
        server
    }

    /// Starts the process, and waits until it is ready.
    pub(crate) fn launch(&mut self) {
        self.spawn();
        self.ready();
    }

    /// Waits until it is ready.
    pub(crate) fn ready(&mut self) {
        wait_for("the server to be ready", || {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("the server ended: {status}\n{}", self.log());
            }
            self.client.get(self.url("/readyz")).send().ok().filter(|answer| answer.status().is_success())
        });
    }

    /// Starts the process, and does not wait for it.
    pub(crate) fn spawn(&mut self) {
        let log = fs::OpenOptions::new().append(true).create(true).open(self.log_path()).unwrap();
        let mut command = Command::new(heliostat());
        if let Some(authorities) = &self.trusts {
            command.env("SSL_CERT_FILE", authorities).env_remove("SSL_CERT_DIR");
        }
        let child = command
            .arg("serve")
            .arg("--config")
            .arg(self.folder.path().join("heliostat.ron"))
            .env("HELIOSTAT_ROOT_PASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// The server's own log so far.
    pub(crate) fn log(&self) -> String {
        let mut text = String::new();
        fs::File::open(self.log_path()).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// A folder that lives as long as the server.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The process's port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to end, and gives its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        super::signal(self.pid(), rustix::process::Signal::TERM);
        let mut child = self.child.take().unwrap();
        wait_for("the server to end", || child.try_wait().unwrap()).code()
    }

    /// An address of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// A request as root.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path)).basic_auth("root", Some(PASSWORD))
    }

    /// Sends a request.
    pub(crate) fn send(&self, request: RequestBuilder) -> Answer {
        let answer = request.send().unwrap_or_else(|error| panic!("{error:?}\n{}", self.log()));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Answer { status, headers, text: answer.text().unwrap() }
    }

    /// GET as root.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path))
    }

    /// GET as root, of a server that may not answer yet.
    pub(crate) fn try_get(&self, path: &str) -> Option<Answer> {
        let answer = self.request(Method::GET, path).send().ok()?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Some(Answer { status, headers, text: answer.text().ok()? })
    }

    /// POST as root.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body))
    }

    /// Creates a project that is started by hand, and gives its destination.
    pub(crate) fn project(&self, id: &str, source: &str, more: &Value) -> PathBuf {
        let dest = self.path("mirrors").join(id);
        let mut body = json!({"id": id, "source": source, "dest": dest});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let answer = self.post("/api/v1/projects", &body);
        assert_eq!(answer.status, 201, "{}", answer.text);
        dest
    }

    /// Asks for a sync, and gives the run's id.
    pub(crate) fn sync(&self, id: &str) -> String {
        let answer = self.post(&format!("/api/v1/projects/{id}/sync"), &json!({}));
        assert_eq!(answer.status, 202, "{}", answer.text);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// A run as it is now.
    pub(crate) fn run(&self, run: &str) -> Value {
        let answer = self.get(&format!("/api/v1/runs/{run}"));
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Waits until a run has ended, and gives it.
    pub(crate) fn ended(&self, run: &str) -> Value {
        wait_for("a run to end", || Some(self.run(run)).filter(|run| !run["ended"].is_null()))
    }

    /// Waits until a run is in this state, and gives it.
    pub(crate) fn in_state(&self, run: &str, state: &str) -> Value {
        wait_for(&format!("run {run} to be {state}"), || {
            Some(self.run(run)).filter(|run| run["state"] == state)
        })
    }

    /// Waits until a run has moved some bytes.
    pub(crate) fn moving(&self, run: &str) {
        wait_for("a run to move bytes", || {
            Some(self.run(run)).filter(|run| run["progress"]["bytes"].as_u64().is_some_and(|bytes| bytes > 0))
        });
    }

    /// Runs a client command against it.
    pub(crate) fn command(&self, words: &[&str]) -> std::process::Output {
        Command::new(heliostat())
            .args(words)
            .env("HELIOSTAT_SERVER", self.url(""))
            .env("HELIOSTAT_USER", format!("root:{PASSWORD}"))
            .env_remove("HELIOSTAT_ROOT_PASSWORD")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.path("heliostat.ron")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the server's log\n{}", self.log());
        }
    }
}
