//! Commented starting files, as `heliostat config init` prints them.
//!
//! A key that is commented out without a space behind `//` stands there with its default; the tests remove these
//! marks and compare, so the files cannot go stale.

/// Which starting file is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleKind {
    /// [`MASTER`].
    Master,
    /// [`SLAVE`].
    Slave,
}

/// The starting file of a role.
#[must_use]
pub const fn template(role: RoleKind) -> &'static str {
    match role {
        RoleKind::Master => MASTER,
        RoleKind::Slave => SLAVE,
    }
}

/// Starting file of a master.
pub const MASTER: &str = r#"// A master of Heliostat. Lines without a space behind // show a key with its default: remove the // to change it.
// Durations: "30s", "15m", "24h", "30d". Sizes: "64MiB", or a number of bytes.
// Secrets: File("path"), Env("NAME"), or the secret itself in double quotes.
(
    // Folder of the store, the logs, the plugin cache and the state of rsyncd. Default: "./heliostat-data".
    data_dir: "/var/lib/heliostat",

    // Address of the HTTP server. A public address needs tls, or insecure: true.
    //listen: "127.0.0.1:5000",

    // HTTPS: (cert: "/etc/heliostat/cert.pem", key: "/etc/heliostat/key.pem"). cert is the chain and key the private
    // key, both in PEM.
    //tls: None,

    // Lets a master listen on a public address without tls: passwords then travel in the clear.
    //insecure: false,

    // The server's own log, on standard output.
    log: (
        // Text for people, Json for machines.
        //format: Text,
        // off, error, warn, info, debug or trace; with exceptions: "info,engine=debug".
        //level: "info",
    ),

    // The HTTP server.
    http: (
        // Largest request body.
        //max_body: "1MiB",
        // Most connections at once.
        //max_connections: 4096,
        // Proxies whose X-Forwarded-For, -Proto and -Host are believed: ["127.0.0.1", "10.0.0.0/8"].
        //trusted_proxies: [],
        // Whether /metrics answers without a login.
        //public_metrics: true,
        // Whether the status documents answer without a login.
        //public_status: true,
    ),

    // What the site says of itself in /status/mirrorz.json; empty: nothing.
    site: (
        // Address below which the trees are served to people: "https://mirror.example.org".
        //url: "",
        // Short name, and the whole one.
        //abbr: "",
        //name: "",
        // Page about the site, and the address of the people who run it.
        //homepage: "",
        //email: "",
    ),

    // The rsync program and how much of it runs at once.
    rsync: (
        // Name or path.
        //program: "rsync",
        // Most rsyncs at once, in all and against one upstream host.
        //concurrent: 8,
        //per_host: 2,
        // Most rsyncs at once among the projects with a label, for example two on each of two disk arrays:
        // {"array=1": 2, "array=2": 2}
        //per_label: {},
        // What single upstream hosts are to be spared: connections at once, the least time between two starts, KiB/s of
        // all rsyncs together, and hours in which nothing starts:
        // {"ftp.example.org": (connections: 2, gap: "10m", bwlimit: 5000, quiet: ["22:00-06:00"],
        //                      timezone: "Europe/Berlin")}
        //hosts: {},
        // Bandwidth of each rsync in KiB/s; None: no limit.
        //bwlimit: None,
        // Most memory of each process of an rsync, a command or the daemon for slaves.
        //memory_max: "2GiB",
        // Accepts an rsync with known security holes.
        //allow_old: false,
    ),

    // Folders below which projects may land; empty: anywhere below no other project, and only root says where.
    // Example: ["/data/ftp"].
    // With (path: "/data/ftp", expect_mount: true) nothing runs there while nothing is mounted on it.
    //allowed_roots: [],

    // How full the file systems of the projects may become; shares ("5%") or sizes ("20GiB").
    disk: (
        // Nothing starts on a file system with less free than this.
        //reserve: "1%",
        // It goes on when so much is free again.
        //resume: "2%",
        // How often is looked.
        //every: "10s",
    ),

    // How long runs and their logs are kept.
    history: (
        // Runs older than this are forgotten.
        //max_age: "30d",
        // Most runs kept per project.
        //max_runs: 100,
        // Largest log of one run.
        //max_log: "64MiB",
        // Most bytes of all logs and change lists together; the oldest go first.
        //max_bytes: "4GiB",
    ),

    // Telling people, on changes only: docs/alerts.md has examples.
    alerts: (
        // How long changes are gathered: what fails together is told together.
        //settle: "1m",
        // A project without a good run for so long, and past two of its schedule times, is stale.
        //stale: "2d",
        // Where messages go. Webhook(name: "chat", url: File("/etc/heliostat/chat.url"), form: Slack, secret: None),
        // Mail(name: "mail", server: "smtp.example.org:587", encryption: StartTls, user: "u", password: Env("SMTP"),
        // from: "mirrors@example.org", to: ["ops@example.org"]), Program(name: "pager", command: ["/usr/local/bin/page"]).
        //channels: [],
        // A sign of life to a dead-man's switch: (url: "https://hc-ping.com/..", every: "1m",
        // projects: [(id: "debian", url: "https://hc-ping.com/..")]).
        //ping: None,
        // A weekly message, in UTC, through these channels or, when empty, all: (day: Monday, at: "08:00", channels: []).
        //digest: None,
    ),

    // Plugins: components that are asked before and after a sync, and what runs next; see docs/plugins.md.
    plugins: (
        // Folder of the components; None: plugins in the data folder.
        //folder: None,
        // Writes what policies are asked and say into decisions.jsonl in the data folder.
        //record: false,
        // Those that are used, for example
        // [(id: "trace-file", path: "trace-file.wasm", projects: ["debian*"],
        //   grants: (dest_read: ["project/trace/master"], dest_write: ["project/trace/*"]),
        //   config: {"name": "ftp.example.net"})]
        //load: [],
    ),

    // How long a child may take to end after TERM, before KILL; at most 15s.
    //stop_grace: "5s",

    role: Master(
        // The rsync daemon that slaves pull from, run by Heliostat. One that somebody else runs over the projects'
        // common root: External(url: "rsync://master.example.org/all", user: "slaves", password: Env("RSYNC_PASSWORD")),
        // where user and password may be left out.
        rsyncd: Managed(
            // Address that it listens on.
            //listen: "127.0.0.1:8730",
            // What the names of its modules begin with; each project is one of them.
            //module: "mirror",
            // The "host" or "host:port" that slaves are told; None: the host by which they reached this master.
            //address: None,
            // Most connections at once.
            //max_connections: 32,
            // Addresses and networks that may connect, such as ["10.0.0.0/8"]; empty: all, with their password.
            //hosts_allow: [],
        ),

        // The secret that a slave must present to join, such as File("/etc/heliostat/enrolment.secret").
        // None: no slave can join.
        //enrolment: None,

        // How far a slave may be behind with a project before watchers are told: generations that it misses, and how long
        // the first of them is there. None: no limit.
        lag: (
            //generations: None,
            //time: "24h",
        ),

        // Programs that bring trees in rsync's place, by the name that projects give as their source: such as
        // {"pypi": (run: ["/usr/local/bin/bandersnatch", "mirror"], fail_on: "ERROR")}.
        //commands: {},

        // What a project has when it does not say otherwise.
        defaults: (
            // rsync's options.
            //options: ["-avH"],
            // How rsync deletes, in its own spelling; "": not at all.
            //delete: "--delete",
            // Attempts of one run, and the pauses between them: base, growing up to cap.
            retry: (
                //attempts: 3,
                //base: "30s",
                //cap: "30m",
            ),
            // Longest time of one attempt.
            //timeout: "24h",
            // Longest time without any progress; shorter than timeout.
            //stall: "15m",
            // A run that would delete more than this is held until a person approves it.
            guard: (
                // Percent of the project's files, 0 to 100.
                //max_delete_percent: 20,
                // Number of files.
                //max_delete: 40000,
            ),
        ),
    ),
)
"#;

/// Starting file of a slave.
pub const SLAVE: &str = r#"// A slave of Heliostat. Lines without a space behind // show a key with its default: remove the // to change it.
// Durations: "30s", "15m", "24h", "30d". Sizes: "64MiB", or a number of bytes.
// Secrets: File("path"), Env("NAME"), or the secret itself in double quotes.
(
    // Folder of the store, the logs, the plugin cache and the state of rsyncd. Default: "./heliostat-data".
    data_dir: "/var/lib/heliostat",

    // Address of the HTTP server. A public address needs tls, or insecure: true.
    //listen: "127.0.0.1:7000",

    // HTTPS: (cert: "/etc/heliostat/cert.pem", key: "/etc/heliostat/key.pem"). cert is the chain and key the private
    // key, both in PEM.
    //tls: None,

    // Lets a master listen on a public address without tls: passwords then travel in the clear.
    //insecure: false,

    // The server's own log, on standard output.
    log: (
        // Text for people, Json for machines.
        //format: Text,
        // off, error, warn, info, debug or trace; with exceptions: "info,engine=debug".
        //level: "info",
    ),

    // The HTTP server.
    http: (
        // Largest request body.
        //max_body: "1MiB",
        // Most connections at once.
        //max_connections: 4096,
        // Proxies whose X-Forwarded-For, -Proto and -Host are believed: ["127.0.0.1", "10.0.0.0/8"].
        //trusted_proxies: [],
        // Whether /metrics answers without a login.
        //public_metrics: true,
        // Whether the status documents answer without a login.
        //public_status: true,
    ),

    // What the site says of itself in /status/mirrorz.json; empty: nothing.
    site: (
        // Address below which the trees are served to people: "https://mirror.example.org".
        //url: "",
        // Short name, and the whole one.
        //abbr: "",
        //name: "",
        // Page about the site, and the address of the people who run it.
        //homepage: "",
        //email: "",
    ),

    // The rsync program and how much of it runs at once.
    rsync: (
        // Name or path.
        //program: "rsync",
        // Most rsyncs at once, in all and against one upstream host.
        //concurrent: 8,
        //per_host: 2,
        // Most rsyncs at once among the projects with a label, for example two on each of two disk arrays:
        // {"array=1": 2, "array=2": 2}
        //per_label: {},
        // What single upstream hosts are to be spared: connections at once, the least time between two starts, KiB/s of
        // all rsyncs together, and hours in which nothing starts:
        // {"ftp.example.org": (connections: 2, gap: "10m", bwlimit: 5000, quiet: ["22:00-06:00"],
        //                      timezone: "Europe/Berlin")}
        //hosts: {},
        // Bandwidth of each rsync in KiB/s; None: no limit.
        //bwlimit: None,
        // Most memory of each process of an rsync, a command or the daemon for slaves.
        //memory_max: "2GiB",
        // Accepts an rsync with known security holes.
        //allow_old: false,
    ),

    // Folders below which projects may land; empty: anywhere below no other project, and only root says where.
    // Example: ["/data/ftp"].
    // With (path: "/data/ftp", expect_mount: true) nothing runs there while nothing is mounted on it.
    //allowed_roots: [],

    // How full the file systems of the projects may become; shares ("5%") or sizes ("20GiB").
    disk: (
        // Nothing starts on a file system with less free than this.
        //reserve: "1%",
        // It goes on when so much is free again.
        //resume: "2%",
        // How often is looked.
        //every: "10s",
    ),

    // How long runs and their logs are kept.
    history: (
        // Runs older than this are forgotten.
        //max_age: "30d",
        // Most runs kept per project.
        //max_runs: 100,
        // Largest log of one run.
        //max_log: "64MiB",
        // Most bytes of all logs and change lists together; the oldest go first.
        //max_bytes: "4GiB",
    ),

    // Telling people, on changes only: docs/alerts.md has examples.
    alerts: (
        // How long changes are gathered: what fails together is told together.
        //settle: "1m",
        // A project without a good run for so long, and past two of its schedule times, is stale.
        //stale: "2d",
        // Where messages go. Webhook(name: "chat", url: File("/etc/heliostat/chat.url"), form: Slack, secret: None),
        // Mail(name: "mail", server: "smtp.example.org:587", encryption: StartTls, user: "u", password: Env("SMTP"),
        // from: "mirrors@example.org", to: ["ops@example.org"]), Program(name: "pager", command: ["/usr/local/bin/page"]).
        //channels: [],
        // A sign of life to a dead-man's switch: (url: "https://hc-ping.com/..", every: "1m",
        // projects: [(id: "debian", url: "https://hc-ping.com/..")]).
        //ping: None,
        // A weekly message, in UTC, through these channels or, when empty, all: (day: Monday, at: "08:00", channels: []).
        //digest: None,
    ),

    // Plugins: components that are asked before and after a sync, and what runs next; see docs/plugins.md.
    plugins: (
        // Folder of the components; None: plugins in the data folder.
        //folder: None,
        // Writes what policies are asked and say into decisions.jsonl in the data folder.
        //record: false,
        // Those that are used, for example
        // [(id: "trace-file", path: "trace-file.wasm", projects: ["debian*"],
        //   grants: (dest_read: ["project/trace/master"], dest_write: ["project/trace/*"]),
        //   config: {"name": "ftp.example.net"})]
        //load: [],
    ),

    // How long a child may take to end after TERM, before KILL; at most 15s.
    //stop_grace: "5s",

    // Those without // have no default.
    role: Slave(
        // Address of the master.
        master: "https://master.example.org:5000",
        // Name under which the master knows this node.
        name: "mirror-1",
        // Folder below which the projects land.
        public_dir: "/data/ftp",
        // How often every path is looked at, and not only what has changed.
        //whole_every: "24h",
        // How often some places of each tree are compared with the master's; "0s": never.
        //sample_every: "1h",
        // Longest time of one attempt, and longest time without any progress, such as "6h" and "5m"; None: those of the
        // project on the master.
        //timeout: None,
        //stall: None,
        // PEM file of the certificates that the master's must come from; None: those that the system trusts.
        //ca: None,
        // For a master of mirror-sync-api (2014), its rsync daemon: (user: "slave", module: "all", port: 873). No
        // enrolment then.
        //of_2014: None,
        // The secret that lets this node join; the master has the same one.
        enrolment: File("/etc/heliostat/enrolment.secret"),
    ),
)
"#;

#[cfg(test)]
mod tests {
    use super::{MASTER, RoleKind, SLAVE, template};
    use crate::config::value::{Shown, Value};
    use crate::config::{Config, Loaded, MasterOf2014, Role, RsyncdExternal, Tls};

    /// The text with every default switched on.
    fn with_defaults(text: &str) -> String {
        text.lines()
            .map(|line| match line.trim_start().strip_prefix("//") {
                Some(key) if !key.starts_with(' ') => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .collect()
    }

    fn keys(shown: &Shown) -> Vec<&'static str> {
        let Shown::Group(_, fields) = shown else { return Vec::new() };
        fields.iter().flat_map(|(key, value)| std::iter::once(*key).chain(keys(value))).collect()
    }

    #[test]
    fn both_starting_files_pass_the_check() {
        for role in [RoleKind::Master, RoleKind::Slave] {
            let Loaded { warnings, .. } = Config::parse("template", template(role)).unwrap();
            assert_eq!(warnings, Vec::<String>::new());
        }
    }

    #[test]
    fn the_defaults_in_the_comments_are_the_defaults() {
        for text in [MASTER, SLAVE] {
            let full = with_defaults(text);
            assert!(full.len() < text.len() - 20, "some lines were switched on");
            assert_eq!(Config::parse("full", &full).unwrap(), Config::parse("template", text).unwrap());
        }
        let master = Config { data_dir: "/var/lib/heliostat".into(), ..Config::default() };
        assert_eq!(Config::parse("master", MASTER).unwrap().config, master);
    }

    #[test]
    fn every_key_of_the_types_stands_in_the_starting_file() {
        let external = RsyncdExternal { url: String::new(), user: None, password: None }.shown();
        let tls = Tls { cert: "/c".into(), key: "/k".into() }.shown();
        let of_2014 = MasterOf2014 { user: "u".to_owned(), module: "m".to_owned(), port: 1 }.shown();
        for (text, name) in [(MASTER, "master"), (SLAVE, "slave")] {
            let config = Config::parse(name, text).unwrap().config;
            let mut expected = keys(&config.shown());
            expected.extend(keys(&tls));
            expected.extend(match config.role {
                Role::Master(_) => keys(&external),
                Role::Slave(_) => keys(&of_2014),
            });
            assert!(expected.len() > 25, "{expected:?}");
            for key in expected {
                assert!(text.contains(&format!("{key}: ")), "{key} is missing in the {name} file");
            }
        }
    }
}
