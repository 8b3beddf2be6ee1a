//! What can be configured. Each type ends with the declaration of its keys and their defaults.
//!
//! Limits between values are not here but in `check`.

use super::alerts::Alerts;
use super::commands::Commands;
use super::duration::Size;
use super::hosts::Host;
use super::plugins::Plugins;
use super::proxies::ProxyNetwork;
use super::roots::AllowedRoot;
use super::secret::SecretSource;
use super::share::Share;
use super::value::{record, variants, words};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The whole file.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Folder of the store, the logs, the plugin cache and the state of rsyncd.
    pub data_dir: PathBuf,
    /// Address of the HTTP server. Without the key: 127.0.0.1:5000, for a slave 127.0.0.1:7000.
    pub listen: SocketAddr,
    /// Certificate and key; `None` serves plain HTTP.
    pub tls: Option<Tls>,
    /// Allows a master to listen on a public address without TLS.
    pub insecure: bool,
    /// What is logged, and how.
    pub log: Log,
    /// Bounds of the HTTP server, and what it shows without a login.
    pub http: Http,
    /// What the site says of itself in documents for other machines.
    pub site: Site,
    /// The rsync program and how much of it runs at once.
    pub rsync: Rsync,
    /// Folders below which projects may land; empty: anywhere below no other project.
    pub allowed_roots: Vec<AllowedRoot>,
    /// How full file systems may become.
    pub disk: Disk,
    /// How long runs and their logs are kept.
    pub history: History,
    /// Telling people.
    pub alerts: Alerts,
    /// Plugins: what is asked before and after a sync, and what runs next.
    pub plugins: Plugins,
    /// How long a child may take to end after TERM, before KILL; at most 15 seconds.
    pub stop_grace: Duration,
    /// What this machine is.
    pub role: Role,
}

record!(Config {
    data_dir = PathBuf::from("./heliostat-data"),
    listen = local(5000),
    tls = None,
    insecure = false,
    log = Log::default(),
    http = Http::default(),
    site = Site::default(),
    rsync = Rsync::default(),
    allowed_roots = Vec::new(),
    disk = Disk::default(),
    history = History::default(),
    alerts = Alerts::default(),
    plugins = Plugins::default(),
    stop_grace = Duration::from_secs(5);
    role = Role::default(),
});

/// `listen` of a slave that does not say it.
pub(super) const fn slave_listen() -> SocketAddr {
    local(7000)
}

const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// The embedded default: a master on loopback.
impl Default for Config {
    fn default() -> Self {
        Self::unset()
    }
}

/// PEM files of the HTTPS server.
#[derive(Debug, Clone, PartialEq)]
pub struct Tls {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

record!(Tls {; cert = PathBuf::new(), key = PathBuf::new() });

/// The server's own log, on standard output.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// Text for people, JSON for machines.
    pub format: LogFormat,
    /// `info`, or with exceptions: `info,engine=debug`.
    pub level: String,
}

record!(default Log { format = LogFormat::Text, level = "info".to_owned(); });

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

words!(LogFormat { Text, Json });

/// The HTTP server.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// Largest request body.
    pub max_body: Size,
    /// Most connections at once.
    pub max_connections: usize,
    /// Proxies whose word on their clients is taken.
    pub trusted_proxies: Vec<ProxyNetwork>,
    /// `/metrics` answers without a login.
    pub public_metrics: bool,
    /// The status documents answer without a login.
    pub public_status: bool,
}

record!(default Http {
    max_body = Size(1 << 20),
    max_connections = 4096,
    trusted_proxies = Vec::new(),
    public_metrics = true,
    public_status = true;
});

/// What the site says of itself in documents for other machines; empty: nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Address below which the trees are served to people.
    pub url: String,
    /// Short name.
    pub abbr: String,
    /// Name.
    pub name: String,
    /// Page about the site.
    pub homepage: String,
    /// Address of the people who run it.
    pub email: String,
}

record!(default Site {
    url = String::new(),
    abbr = String::new(),
    name = String::new(),
    homepage = String::new(),
    email = String::new();
});

/// The rsync program and how much of it runs at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Rsync {
    /// Name or path of the program.
    pub program: PathBuf,
    /// Most rsyncs at once.
    pub concurrent: u32,
    /// Most rsyncs at once against one upstream host.
    pub per_host: u32,
    /// Most rsyncs at once among the projects with a label, as `"array=1": 2`.
    pub per_label: BTreeMap<String, u32>,
    /// What single upstream hosts are to be spared, as `"ftp.example.org": (connections: 2)`.
    pub hosts: BTreeMap<String, Host>,
    /// Bandwidth of each rsync in KiB/s; `None`: no limit.
    pub bwlimit: Option<u64>,
    /// Most memory that each process of an rsync, a command or the daemon for slaves may have.
    pub memory_max: Size,
    /// Accepts an rsync older than the oldest one known to be safe.
    pub allow_old: bool,
}

record!(default Rsync {
    program = PathBuf::from("rsync"),
    concurrent = 8,
    per_host = 2,
    per_label = BTreeMap::new(),
    hosts = BTreeMap::new(),
    bwlimit = None,
    memory_max = Size(2 << 30),
    allow_old = false;
});

/// How full file systems may become.
#[derive(Debug, Clone, PartialEq)]
pub struct Disk {
    /// Nothing starts on a file system with less free than this.
    pub reserve: Share,
    /// It goes on when so much is free again.
    pub resume: Share,
    /// How often is looked.
    pub every: Duration,
}

record!(default Disk {
    reserve = Share::Percent(1),
    resume = Share::Percent(2),
    every = Duration::from_secs(10);
});

/// How long runs and their logs are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// Runs older than this are forgotten.
    pub max_age: Duration,
    /// Most runs kept per project.
    pub max_runs: u32,
    /// Largest log of one run.
    pub max_log: Size,
    /// Most bytes of all logs and change lists together; the oldest go first.
    pub max_bytes: Size,
}

record!(default History {
    max_age = Duration::from_hours(30 * 24),
    max_runs = 100,
    max_log = Size(64 << 20),
    max_bytes = Size(4 << 30);
});

/// What this machine is.
#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    /// Pulls from upstreams and feeds slaves.
    Master(Master),
    /// Pulls from a master.
    Slave(Slave),
}

variants!(Role { Master(Master), Slave(Slave) });

impl Default for Role {
    fn default() -> Self {
        Self::Master(Master::default())
    }
}

/// A master.
#[derive(Debug, Clone, PartialEq)]
pub struct Master {
    /// The rsync daemon that slaves pull from.
    pub rsyncd: Rsyncd,
    /// The secret that a slave must present to join; `None`: no slave can join.
    pub enrolment: Option<SecretSource>,
    /// How far a slave may be behind before watchers are told.
    pub lag: Lag,
    /// Programs that projects can name in rsync's place.
    pub commands: Commands,
    /// What a project has when it does not say otherwise.
    pub defaults: Defaults,
}

record!(default Master {
    rsyncd = Rsyncd::default(),
    enrolment = None,
    lag = Lag::default(),
    commands = Commands::default(),
    defaults = Defaults::default();
});

/// How far a slave may be behind with a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// Most generations that it may miss; `None`: any number.
    pub generations: Option<u64>,
    /// Longest time since the first generation that it misses; `None`: any time.
    pub time: Option<Duration>,
}

record!(default Lag { generations = None, time = Some(Duration::from_hours(24)); });

/// The rsync daemon that slaves pull from.
#[derive(Debug, Clone, PartialEq)]
pub enum Rsyncd {
    /// Heliostat starts and configures it.
    Managed(RsyncdManaged),
    /// Somebody else runs it.
    External(RsyncdExternal),
}

variants!(Rsyncd { Managed(RsyncdManaged), External(RsyncdExternal) });

impl Default for Rsyncd {
    fn default() -> Self {
        Self::Managed(RsyncdManaged::default())
    }
}

/// The daemon that Heliostat runs.
#[derive(Debug, Clone, PartialEq)]
pub struct RsyncdManaged {
    /// Address that it listens on.
    pub listen: SocketAddr,
    /// Name of its one module.
    pub module: String,
    /// `host` or `host:port` that slaves are told; `None`: the host by which they reached the master.
    pub address: Option<String>,
    /// Most connections at once.
    pub max_connections: u32,
    /// Addresses and networks that may connect; empty: all.
    pub hosts_allow: Vec<String>,
}

record!(default RsyncdManaged {
    listen = local(8730),
    module = "mirror".to_owned(),
    address = None,
    max_connections = 32,
    hosts_allow = Vec::new();
});

/// A daemon that somebody else runs.
#[derive(Debug, Clone, PartialEq)]
pub struct RsyncdExternal {
    /// `rsync://host:port/module` over the projects' common root.
    pub url: String,
    /// User that slaves log in as.
    pub user: Option<String>,
    /// That user's password.
    pub password: Option<SecretSource>,
}

record!(RsyncdExternal { user = None, password = None; url = String::new() });

/// What a project has when it does not say otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    /// rsync's options.
    pub options: Vec<String>,
    /// How rsync deletes, in its own spelling; empty: not at all.
    pub delete: String,
    /// Attempts of one run.
    pub retry: Retry,
    /// Longest time of one attempt.
    pub timeout: Duration,
    /// Longest time without any progress.
    pub stall: Duration,
    /// When a run is held for a person.
    pub guard: Guard,
}

record!(default Defaults {
    options = vec!["-avH".to_owned()],
    delete = "--delete".to_owned(),
    retry = Retry::default(),
    timeout = Duration::from_hours(24),
    stall = Duration::from_mins(15),
    guard = Guard::default();
});

/// Attempts of one run, with growing pauses.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Most attempts, the first one included.
    pub attempts: u32,
    /// Pause after the first failed attempt.
    pub base: Duration,
    /// Longest pause.
    pub cap: Duration,
}

record!(default Retry {
    attempts = 3,
    base = Duration::from_secs(30),
    cap = Duration::from_mins(30);
});

/// A run that would delete more than this is held for a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    /// Percent of the project's files.
    pub max_delete_percent: u8,
    /// Number of files.
    pub max_delete: u64,
}

record!(default Guard { max_delete_percent = 20, max_delete = 40_000; });

/// A slave.
#[derive(Debug, Clone, PartialEq)]
pub struct Slave {
    /// URL of the master.
    pub master: String,
    /// Name under which the master knows this node.
    pub name: String,
    /// Folder below which the projects land.
    pub public_dir: PathBuf,
    /// How often every path is looked at, and not only what has changed.
    pub whole_every: Duration,
    /// How often some places of each tree are compared with the master's; zero: never.
    pub sample_every: Duration,
    /// Longest time of one attempt here; `None`: as long as the project's on the master.
    pub timeout: Option<Duration>,
    /// Longest time without any progress here; `None`: as long as the project's on the master.
    pub stall: Option<Duration>,
    /// PEM file of the certificates that the master's must come from; `None`: those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The secret that lets this node join; needed unless the master is one of 2014.
    pub enrolment: Option<SecretSource>,
    /// How to pull from a master of 2014, which tells this node when to.
    pub of_2014: Option<MasterOf2014>,
}

record!(Slave {
    whole_every = Duration::from_hours(24),
    sample_every = Duration::from_hours(1),
    timeout = None,
    stall = None,
    ca = None,
    enrolment = None,
    of_2014 = None;
    master = String::new(),
    name = String::new(),
    public_dir = PathBuf::new(),
});

/// The rsync daemon of a master of 2014: what was called `SLAVE_USER` and `MASTER_RSYNCD_MODULE` then.
#[derive(Debug, Clone, PartialEq)]
pub struct MasterOf2014 {
    /// User that this node logs in as.
    pub user: String,
    /// Module in which each project is a folder.
    pub module: String,
    /// Port of the daemon; a message that names another one is refused.
    pub port: u16,
}

record!(MasterOf2014 { port = 873; user = String::new(), module = String::new() });
