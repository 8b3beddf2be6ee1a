//! Whole files: the documented examples, every key once, and every kind of mistake.

use super::value::{Shown, Value};
use super::{
    AllowedRoot, Config, ConfigErrors, RoleKind, Rsyncd, SecretSource, Size, check_report, show, template,
};
use super::{LogFormat, Role};
use std::collections::BTreeSet;
use std::time::Duration;

const MASTER_EXAMPLE: &str = r#"(
    data_dir: "/var/lib/heliostat",           // store, logs, plugin cache, rsyncd state
    listen: "127.0.0.1:5000",                 // HTTP; the default of a slave is 127.0.0.1:7000
    tls: None,                                 // or (cert: "…", key: "…")
    log: (format: Text, level: "info"),       // Text | Json
    rsync: (program: "rsync", concurrent: 8, per_host: 2, bwlimit: None),
    allowed_roots: ["/data/ftp"],             // where projects may land; empty: anywhere below no other project
    role: Master(
        rsyncd: Managed(listen: "127.0.0.1:8730", module: "mirror", address: None, max_connections: 32),
        // or External(url: "rsync://master.example.org:873/all", user: "slaves", password: Env("…"))
        enrolment: File("/etc/heliostat/enrolment.secret"),   // shared by master and slaves
        defaults: (options: ["-avH"], delete: "--delete", retry: (attempts: 3, base: "30s", cap: "30m"),
                   timeout: "24h", stall: "15m", guard: (max_delete_percent: 20, max_delete: 40000)),
    ),
)
"#;

const SLAVE_EXAMPLE: &str = r#"(
    data_dir: "/var/lib/heliostat",
    listen: "0.0.0.0:7000",
    rsync: (program: "rsync", concurrent: 4),
    role: Slave(
        master: "https://master.example.org:5000",
        name: "ftp-nyc",
        public_dir: "/data/ftp",
        enrolment: File("/etc/heliostat/enrolment.secret"),
    ),
)
"#;

const SLAVE_ROLE: &str =
    r#"role: Slave(master: "https://m", name: "n", public_dir: "/p", enrolment: Env("E"))"#;

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse("heliostat.ron", text).map(|loaded| loaded.config)
}

fn right(text: &str) -> Config {
    parse(text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// `line:column key` of every problem.
fn problems(text: &str) -> Vec<String> {
    let errors = parse(text).expect_err(text);
    let place = |problem: &super::Problem| {
        problem.position.map_or_else(String::new, |at| format!("{}:{} {}", at.line, at.column, problem.key))
    };
    errors.problems.iter().map(place).collect()
}

fn message(text: &str) -> String {
    let errors = parse(text).expect_err(text);
    assert_eq!(errors.problems.len(), 1, "{errors}");
    errors.problems[0].message.clone()
}

#[test]
fn the_documented_master_is_read_and_adds_nothing_to_the_defaults() {
    let config = right(MASTER_EXAMPLE);
    let mut expected = Config {
        data_dir: "/var/lib/heliostat".into(),
        allowed_roots: vec![AllowedRoot { path: "/data/ftp".into(), expect_mount: false }],
        ..Config::default()
    };
    let Role::Master(master) = &mut expected.role else { panic!("the default is a master") };
    master.enrolment = Some(SecretSource::File("/etc/heliostat/enrolment.secret".into()));
    assert_eq!(config, expected);
}

#[test]
fn the_documented_slave_is_read_with_a_warning_about_its_address() {
    let loaded = Config::parse("heliostat.ron", SLAVE_EXAMPLE).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].starts_with("heliostat.ron:3:13: warning: listen:"), "{:?}", loaded.warnings);
    let Role::Slave(slave) = &loaded.config.role else { panic!("a slave") };
    assert_eq!((slave.master.as_str(), slave.name.as_str()), ("https://master.example.org:5000", "ftp-nyc"));
    assert_eq!((loaded.config.rsync.concurrent, loaded.config.rsync.per_host), (4, 2));
}

#[test]
fn every_default_is_the_documented_one() {
    let config = right("(role: Master())");
    assert_eq!(config, Config::default());
    assert_eq!(config.data_dir.to_str(), Some("./heliostat-data"));
    assert_eq!(config.listen.to_string(), "127.0.0.1:5000");
    assert_eq!((config.tls, config.insecure), (None, false));
    assert_eq!((config.log.format, config.log.level.as_str()), (LogFormat::Text, "info"));
    assert_eq!((config.http.max_body, config.http.max_connections), (Size(1 << 20), 4096));
    assert!(config.http.public_metrics && config.http.public_status);
    assert_eq!(config.http.trusted_proxies.len(), 0);
    assert_eq!((config.rsync.program.to_str(), config.rsync.concurrent), (Some("rsync"), 8));
    assert_eq!((config.rsync.per_host, config.rsync.per_label.len()), (2, 0));
    assert_eq!((config.rsync.bwlimit, config.rsync.allow_old), (None, false));
    assert_eq!(config.rsync.memory_max, Size(2 << 30));
    assert_eq!(config.allowed_roots.len(), 0);
    assert_eq!((config.history.max_age, config.history.max_runs), (Duration::from_hours(720), 100));
    assert_eq!((config.history.max_log, config.history.max_bytes), (Size(64 << 20), Size(4 << 30)));
    assert_eq!(config.stop_grace, Duration::from_secs(5));
    let Role::Master(master) = config.role else { panic!("a master") };
    assert_eq!(master.enrolment, None);
    let Rsyncd::Managed(rsyncd) = master.rsyncd else { panic!("managed") };
    assert_eq!((rsyncd.listen.to_string().as_str(), rsyncd.module.as_str()), ("127.0.0.1:8730", "mirror"));
    assert_eq!((rsyncd.address, rsyncd.max_connections), (None, 32));
    let defaults = master.defaults;
    assert_eq!((defaults.options, defaults.delete.as_str()), (vec!["-avH".to_owned()], "--delete"));
    assert_eq!((defaults.retry.attempts, defaults.retry.base), (3, Duration::from_secs(30)));
    assert_eq!((defaults.retry.cap, defaults.timeout), (Duration::from_mins(30), Duration::from_hours(24)));
    assert_eq!(defaults.stall, Duration::from_mins(15));
    assert_eq!((defaults.guard.max_delete_percent, defaults.guard.max_delete), (20, 40_000));
    assert_eq!(right(&format!("({SLAVE_ROLE})")).listen.to_string(), "127.0.0.1:7000");
    assert_eq!(right(&format!("(listen: \"127.0.0.1:5000\", {SLAVE_ROLE})")).listen.port(), 5000);
}

/// Every key of a master with a value that is not its default.
const EVERY_KEY: &str = r#"(
    data_dir: "/d", listen: "[::]:1", tls: (cert: "/c", key: "/k"), insecure: true,
    log: (format: Json, level: "warn,engine=debug"),
    http: (max_body: "2MiB", max_connections: 7, trusted_proxies: ["::1", "10.1.0.0/16"], public_metrics: false, public_status: false),
    site: (url: "https://m.example", abbr: "M", name: "Mirror", homepage: "https://example", email: "a@example"),
    rsync: (program: "/r", concurrent: 3, per_host: 1, per_label: {"array=1": 2}, hosts: {"h": ()}, bwlimit: 9, memory_max: "3GiB", allow_old: true),
    allowed_roots: ["/a", (path: "/b", expect_mount: true)],
    disk: (reserve: "5%", resume: "20GiB", every: "1m"),
    alerts: (
        settle: "5m", stale: "3d",
        channels: [
            Webhook(name: "a", url: Env("U"), secret: File("/s"), form: Slack, timeout: "3s"),
            Mail(name: "b", server: "h:25", from: "a@b.c", to: ["d@e.f"], encryption: Tls, user: "u", password: Env("P")),
            Program(name: "c", command: ["/p", "x"], timeout: "1m"),
        ],
        ping: (url: Env("U"), every: "2m", projects: [(id: "p", url: Env("U"))]),
        digest: (day: Friday, at: "09:30", channels: ["b"]),
    ),
    plugins: (folder: "/p", record: true, load: [(id: "a", path: "a.wasm")]),
    history: (max_age: "1d", max_runs: 5, max_log: "1KiB", max_bytes: "1GiB"),
    stop_grace: "3s",
    role: Master(
        rsyncd: Managed(listen: "0.0.0.0:2", module: "x", address: "h:1", max_connections: 4, hosts_allow: ["10.0.0.0/8"]),
        enrolment: "hunter2", lag: (generations: 5, time: None),
        commands: {"c": (run: ["/p"], environment: {"A": Env("B")}, success: [1], fail_on: "x", size: "y")},
        defaults: (options: ["-a"], delete: "--delete-after", retry: (attempts: 9, base: "2s", cap: "3s"),
                   timeout: "2h", stall: "1h", guard: (max_delete_percent: 1, max_delete: 2)),
    ),
)"#;

fn leaves(shown: &Shown, path: &str, into: &mut BTreeSet<(String, String)>) {
    match shown {
        Shown::Group(_, fields) => {
            for (key, value) in fields {
                leaves(value, &format!("{path}.{key}"), into);
            }
        }
        value => drop(into.insert((path.to_owned(), format!("{value:?}")))),
    }
}

#[test]
fn every_key_can_be_set_and_is_shown() {
    let (mut set, mut default) = (BTreeSet::new(), BTreeSet::new());
    let config = right(EVERY_KEY);
    leaves(&config.shown(), "", &mut set);
    leaves(&Config::default().shown(), "", &mut default);
    let unchanged: Vec<_> = set.intersection(&default).collect();
    assert!(unchanged.is_empty() && set.len() > 30, "not covered: {unchanged:?}");
    let external = r#"(role: Master(rsyncd: External(url: "rsync://h:1/m", user: "u", password: Env("P"))))"#;
    let text = show(&right(external));
    for line in ["url: \"rsync://h:1/m\",", "user: \"u\",", "password: Env(\"P\"),"] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn what_is_shown_parses_again_and_hides_secrets() {
    let config = right(EVERY_KEY);
    let text = show(&config);
    assert!(!text.contains("hunter2") && !format!("{config:?}").contains("hunter2"));
    assert_eq!(show(&right(&text)), text);
    for text in [MASTER_EXAMPLE, SLAVE_EXAMPLE, template(RoleKind::Master), template(RoleKind::Slave)] {
        let config = right(text);
        assert_eq!(right(&show(&config)), config);
    }
    let odd = right(r#"(data_dir: "/a\"b\\c\u{1}ä", role: Master())"#);
    assert_eq!(right(&show(&odd)), odd);
}

#[test]
fn ron_is_read_as_generously_as_its_extensions_say() {
    let plain = right(r#"(tls: (cert: "/c", key: "/k"), role: Master(enrolment: "s"))"#);
    for text in [
        r#"(tls: Some((cert: "/c", key: "/k")), role: Master(enrolment: Some("s")))"#,
        r#"Config(tls: Tls(cert: "/c", key: "/k",), role: Master((enrolment: r"s")),)"#,
        "#![enable(implicit_some)]\n(r#tls: (cert: r#\"/c\"#, key: \"/k\"), /* */ role: Master(enrolment: \"\\u{73}\"))",
    ] {
        assert_eq!(right(text), plain, "{text}");
    }
    assert_eq!(right("(http: (max_body: 512), role: Master())").http.max_body, Size(512));
}

#[test]
fn every_problem_is_reported_with_its_place_and_key() {
    let text = r#"(
    data_dir: 5,
    datadir: "x",
    rsync: (
        bwlimt: 3,
        concurrent: "many",
        per_host: 0,
        per_host: 1,
        per_label: {"array": 1, "a=1": 0, "a=1": 2},
    ),
    allowed_roots: ["/ok", "relative", 3, (expect_mount: true), (path: "/x", expect: true)],
    log: (format: Xml, level: "inof"),
    role: Master(
        rsyncd: Manged(),
        defaults: (retry: (base: "1h"), timeout: "10", guard: (max_delete_percent: 101)),
    ),
)"#;
    let expected = [
        "2:15 data_dir",
        "3:5 datadir",
        "5:9 rsync.bwlimt",
        "6:21 rsync.concurrent",
        "7:19 rsync.per_host",
        "8:9 rsync.per_host",
        "9:21 rsync.per_label",
        "9:40 rsync.per_label",
        "9:43 rsync.per_label",
        "11:28 allowed_roots[1]",
        "11:40 allowed_roots[2]",
        "11:43 allowed_roots[3].path",
        "11:78 allowed_roots[4].expect",
        "12:19 log.format",
        "12:31 log.level",
        "14:17 role.rsyncd",
        "15:34 role.defaults.retry.base",
        "15:50 role.defaults.timeout",
        "15:84 role.defaults.guard.max_delete_percent",
    ];
    assert_eq!(problems(text), expected);
}

#[test]
fn the_report_reads_well() {
    let report = check_report(&parse("(\n    rsync: (bwlimt: 3),\n    role: Master(),\n)").unwrap_err());
    let expected = "heliostat.ron:2:13: unknown key `bwlimt` in rsync; did you mean `bwlimit`?\n   \
                    2 |     rsync: (bwlimt: *),\n     |             ^^^^^^\n";
    // The value is hidden: under a misspelt key it may be a secret.
    assert_eq!(report, expected);
}

#[test]
fn a_report_never_shows_a_secret() {
    for text in [
        r#"(x: 1, role: Master(enrolment: "hunter2"))"#,
        r#"(x: 1, role: Master(enrolment: Some("hunter2")))"#,
        r#"(role: Master(enrolmnt: "hunter2"))"#,
        r#"(role: Master(enrolment: Fiel("hunter2")))"#,
        r#"(role: Master(enrolment: File("/x", "hunter2")))"#,
        r#"(role: Master(enrolment: "hunter2" x: 1))"#,
        "(role: Master(enrolment: hunter2))",
        "(role: Master(enrolment: r#\"hunter2\"#, x: 1))",
        "(role: Master(enrolment: [\"hunter2\"]))",
        r#"(role: Master(rsyncd: External(url: "rsync://u:hunter2@h/m")))"#,
        r#"(role: Slave(master: "https://u:hunter2@m", name: "n", public_dir: "/p", enrolment: Env("E")))"#,
        r#"(role: Master(enrolment: "hunter2))"#,
        r#"(role: Master(rsyncd: External(url: "x", password: "hunter2")))"#,
    ] {
        let report = parse(text).expect_err(text).to_string();
        assert!(!report.contains("hunter2"), "{report}");
        assert!(report.contains(" | "), "the excerpt is there: {report}");
    }
}

#[test]
fn syntax_errors_and_empty_files_have_a_place() {
    assert_eq!(problems("(\n  role: Master()\n  listen: \"x\",\n)"), ["3:3 "]);
    assert_eq!(problems(""), ["1:1 "]);
    assert_eq!(problems("()"), ["1:1 role"]);
    assert_eq!(problems("(role: Master)"), ["1:8 role"]);
    assert_eq!(problems("[1]"), ["1:1 "]);
    assert_eq!(problems("(role: Slave())").len(), 3);
}

#[test]
fn impossible_values_are_refused_with_what_to_do() {
    let master = |text: &str| format!("({text}, role: Master())");
    let role = |text: &str| format!("(role: Master({text}))");
    let slave = |from: &str, to: &str| format!("({})", SLAVE_ROLE.replace(from, to));
    for (text, wanted) in [
        (slave("enrolment: Env(\"E\")", ""), "a slave needs `enrolment`"),
        (
            slave("enrolment: Env(\"E\")", "ca: \"x\", enrolment: Env(\"E\")"),
            "role.ca: must be an absolute path",
        ),
        (slave("enrolment: Env(\"E\")", "of_2014: (user: \"a b\", module: \"m\")"), "role.of_2014.user: "),
        (slave("enrolment: Env(\"E\")", "of_2014: (user: \"a\", module: \"\")"), "role.of_2014.module: "),
        (
            slave("enrolment: Env(\"E\")", "of_2014: (user: \"a\", module: \"m\", port: 0)"),
            "role.of_2014.port: must be 1 or more",
        ),
        (master("listen: \"localhost\""), "expected an IP address with a port"),
        (master("listen: \"0.0.0.0:5000\""), "insecure: true"),
        (master("rsync: (concurrent: 0)"), "rsync.concurrent: must be 1 or more"),
        (master("rsync: (concurrent: -1)"), "from 0 to 4294967295, found the number -1"),
        (master("rsync: (bwlimit: 0)"), "use None for no limit"),
        (master("rsync: (memory_max: 1000)"), "must be 64MiB or more"),
        (master("rsync: (per_label: [])"), "a map such as"),
        (master("allowed_roots: [\"/a/../b\"]"), "allowed_roots[0]: must be an absolute path"),
        (master("http: (max_connections: 0)"), "must be 1 or more"),
        (master("http: (max_body: \"1 potato\")"), "one of B, KiB"),
        (
            master("http: (trusted_proxies: [\"10.0.0.1\", \"10.0.0.0/33\"])"),
            "http.trusted_proxies[1]: expected an IP address, or a network",
        ),
        (master("history: (max_age: \"0s\")"), "must be more than 0"),
        (master("history: (max_runs: 0)"), "must be 1 or more"),
        (master("stop_grace: \"16s\""), "at most 15s"),
        (master("stop_grace: 15"), "with a unit, such as \"30s\", found the number 15"),
        (master("log: (level: \"info,engine=loud\")"), "found `engine=loud`"),
        (master("insecure: yes"), "expected true or false, found `yes`"),
        (master("data_dir: \"\""), "must not be empty"),
        (master("tls: (cert: \"/c\")"), "missing key `tls.key`"),
        (master("tls: None, tls: None"), "key `tls` is given twice, first in line 1"),
        (role("defaults: (retry: (base: \"2m\", cap: \"1m\"))"), "must not be longer than the longest one"),
        (role("defaults: (retry: (attempts: 0))"), "must be 1 to 100"),
        (role("defaults: (stall: \"25h\")"), "must be shorter than timeout"),
        (role("defaults: (timeout: \"0s\")"), "role.defaults.timeout: must be one second to a year"),
        (role("defaults: (options: [\"-a\", \"--daemon\"])"), "role.defaults.options[1]: "),
        (role("defaults: (delete: \"--gone\")"), "role.defaults.delete: "),
        (role("rsyncd: Managed(module: \"a/b\")"), "letters, digits"),
        (role("rsyncd: Managed(address: \"rsync://x\")"), "without rsync://"),
        (role("rsyncd: Managed(max_connections: 0)"), "must be 1 or more"),
        (role("rsyncd: External(url: \"http://h/m\")"), "expected rsync://host/module"),
        (role("rsyncd: External(url: \"rsync://u@h/m\")"), "give the user as `user`"),
        (role("rsyncd: External(url: \"rsync://h/m\", password: \"p\")"), "needs a `user`"),
        (role("enrolment: \"\""), "the secret is empty"),
        (role("enrolment: Env(\"A=B\")"), "name of a variable"),
        (slave("https://m", "master:5000"), "expected the master's address"),
        (slave("https://m", "https://u:p@m"), "without a login"),
        (slave("\"n\"", "\"-n\""), "must begin with a letter"),
        (slave("\"/p\"", "\"p\""), "must be an absolute path"),
        ("(role: Save())".to_owned(), "did you mean `Slave`?"),
    ] {
        let message = message(&text);
        assert!(message.contains(wanted), "{text}: {message}");
    }
}

#[test]
fn a_public_master_is_accepted_with_tls_or_on_demand() {
    right(r#"(listen: "0.0.0.0:5000", insecure: true, role: Master())"#);
    right(r#"(listen: "0.0.0.0:5000", tls: (cert: "/c", key: "/k"), role: Master())"#);
    right(r#"(listen: "[::1]:5000", role: Master())"#);
}

#[test]
fn a_problem_between_values_is_silent_about_one_that_could_not_be_read() {
    assert_eq!(
        problems(r#"(role: Master(defaults: (retry: (base: "2h", cap: "soon"))))"#),
        ["1:51 role.defaults.retry.cap"]
    );
    assert_eq!(problems(r#"(listen: "0.0.0.0:1", tls: 3, role: Master())"#), ["1:28 tls"]);
}
