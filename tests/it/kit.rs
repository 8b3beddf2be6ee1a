//! What the tests stand on: a server as a process, an upstream daemon, trees, and waiting for a condition.

mod authority;
mod browser;
mod endless;
mod history;
mod middlebox;
mod receiver;
mod server;
mod smtp;
mod tree;
mod upstream;

pub(crate) use authority::{authority, openssl, write_private};
pub(crate) use browser::Browser;
pub(crate) use endless::Endless;
pub(crate) use history::{Dice, change, missing};
pub(crate) use middlebox::Middlebox;
pub(crate) use receiver::{Receiver, Taken};
pub(crate) use server::{Answer, PASSWORD, Server};
pub(crate) use smtp::Smtp;
pub(crate) use tree::{fingerprint, grow};
pub(crate) use upstream::Upstream;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: long, as machines that run tests stand still for a minute at times.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);

/// The program under test.
pub(crate) fn heliostat() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_heliostat-under-test"))
}

/// A plugin that `scripts/build-guests` has compiled; none, where it was not run, which CI does not allow.
pub(crate) fn guest(name: &str) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/guests/{name}.wasm"));
    if file.exists() {
        return Some(file);
    }
    assert!(std::env::var_os("HELIOSTAT_REQUIRE_GUESTS").is_none(), "{} is not there", file.display());
    eprintln!("left out: {name}, since scripts/build-guests was not run");
    None
}

/// Waits until `condition` gives something, and fails with what it was waiting for.
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "gave up waiting for {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// All that a command said.
pub(crate) fn said(output: &std::process::Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).concat()
}

/// A client for requests.
pub(crate) fn client() -> reqwest::blocking::Client {
    api::tls::install();
    reqwest::blocking::Client::builder().timeout(PATIENCE).build().unwrap()
}

/// A client that calls from this address of the loopback network.
pub(crate) fn client_at(address: [u8; 4]) -> reqwest::blocking::Client {
    api::tls::install();
    let address = std::net::IpAddr::from(address);
    reqwest::blocking::Client::builder()
        .no_proxy()
        .local_address(address)
        .pool_max_idle_per_host(0)
        .timeout(None)
        .build()
        .unwrap()
}

/// A connection to a port of this machine, from this address of the loopback network.
pub(crate) fn connect_from(address: [u8; 4], port: u16) -> std::net::TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    use std::net::SocketAddr;

    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from((address, 0))).unwrap();
    connect(&socket, &SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    socket.into()
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    fixtures::ports::free(std::net::Ipv4Addr::LOCALHOST.into())
}

/// The command lines of all processes that mention `text` there or work in a folder whose path does, with their pids:
/// an rsync names its destination by its working directory only.
pub(crate) fn processes_with(text: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let folder = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let is_meant = line.contains(text) || folder.to_string_lossy().contains(text);
        if is_meant && pid != std::process::id() {
            found.push((pid, line));
        }
    }
    found
}

/// Sends a signal to a process that a test started.
pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}
