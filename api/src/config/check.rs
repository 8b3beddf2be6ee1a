//! Values that are well written and still cannot work: limits of one value, and contradictions between two.
//!
//! Each check names the key or keys that it judges, so that it is silent about what could not be read anyway.

mod alerts;

use super::problems::hint;
use super::reader::Reader;
use super::secret::{SecretSource, exposed};
use super::tree::Node;
use super::types::{Config, Defaults, Master, Role, Rsync, Rsyncd, RsyncdExternal, RsyncdManaged, Slave};
use crate::tls::validity::warning;
use std::path::{Component, Path};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The most attempts of a run.
const MOST_ATTEMPTS: u32 = 100;
/// The shortest and the longest duration that a project takes.
const SHORTEST: std::time::Duration = std::time::Duration::from_secs(1);
const LONGEST: std::time::Duration = std::time::Duration::from_hours(365 * 24);
/// Least memory of a process that is of use, in bytes.
const LEAST_MEMORY: u64 = 64 << 20;
/// The longest time that a child gets to end: the server's own stop must be over within 20 seconds.
const LONGEST_GRACE: std::time::Duration = std::time::Duration::from_secs(15);

/// The tree that the values came from, and where problems go.
struct Checker<'a, 't> {
    tree: &'a Node,
    reader: &'a mut Reader<'t>,
}

/// Notes everything that cannot work.
pub(super) fn check(config: &Config, tree: &Node, reader: &mut Reader<'_>) {
    let mut checker = Checker { tree, reader };
    checker.server(config);
    checker.rsync(&config.rsync);
    checker.disk(&config.disk);
    checker.alerts(&config.alerts);
    for (index, root) in config.allowed_roots.iter().enumerate() {
        checker.absolute(&format!("allowed_roots[{index}]"), &root.path);
    }
    for (place, problem) in config.plugins.problems() {
        checker.need(false, &[&place], || format!("{place}: {problem}"));
    }
    for (place, problem) in config.plugins.misread() {
        checker.reader.warn_at(checker.tree, &[&place], &format!("{place}: {problem}"));
    }
    match &config.role {
        Role::Master(master) => checker.master(master),
        Role::Slave(slave) => checker.slave(slave),
    }
}

impl Checker<'_, '_> {
    /// Notes a problem at the first of `paths`, unless `holds`.
    fn need(&mut self, holds: bool, paths: &[&str], message: impl FnOnce() -> String) {
        if !holds {
            self.reader.note_at(self.tree, paths, message());
        }
    }

    fn positive(&mut self, path: &str, value: u64) {
        self.need(value >= 1, &[path], || format!("{path}: must be 1 or more"));
    }

    /// Keeps an address with a password in it out of the report.
    fn hide_login(&mut self, path: &str, address: &str) {
        if let Some(node) = self.tree.find(path).filter(|_| address.contains('@')) {
            self.reader.hide(node);
        }
    }

    fn absolute(&mut self, path: &str, folder: &Path) {
        let plain = folder.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        self.need(folder.is_absolute() && plain, &[path], || {
            format!("{path}: must be an absolute path without `..`, found \"{}\"", folder.display())
        });
    }

    /// A name that goes into addresses, files and rsync's configuration as it stands.
    fn name(&mut self, path: &str, name: &str) {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let right = name.chars().all(plain) && name.starts_with(|c: char| c.is_ascii_alphanumeric());
        self.need(right, &[path], || {
            format!("{path}: must begin with a letter or digit and hold only letters, digits and `.` `_` `-`")
        });
    }

    fn server(&mut self, config: &Config) {
        self.level(&config.log.level);
        self.positive("http.max_body", config.http.max_body.0);
        self.positive("http.max_connections", config.http.max_connections as u64);
        self.positive("history.max_runs", config.history.max_runs.into());
        self.positive("history.max_log", config.history.max_log.0);
        self.positive("history.max_bytes", config.history.max_bytes.0);
        let short = config.stop_grace <= LONGEST_GRACE;
        self.need(short, &["stop_grace"], || {
            "stop_grace: must be at most 15s: a stop takes 20 seconds in all".to_owned()
        });
        let exposed = config.tls.as_ref().and_then(|tls| exposed(&tls.key));
        if let Some(error) = exposed {
            self.need(false, &["tls.key", "tls"], || format!("tls.key: {error}"));
        }
        let expiry = config.tls.as_ref().and_then(|tls| crate::tls::not_after(&tls.cert));
        if let Some(warning) = expiry.and_then(|end| warning(end, chrono::Utc::now())) {
            self.reader.warn_at(self.tree, &["tls.cert", "tls"], &format!("tls.cert: {warning}"));
        }
        let kept = !config.history.max_age.is_zero();
        self.need(kept, &["history.max_age"], || "history.max_age: must be more than 0".to_owned());
        if config.listen.ip().is_loopback() || config.tls.is_some() || config.insecure {
            return;
        }
        let paths = ["listen", "tls", "insecure"];
        let danger = format!("listen: other machines can reach {}, and without tls", config.listen);
        match config.role {
            Role::Master(_) => self.need(false, &paths, || {
                format!(
                    "{danger} passwords travel in the clear; give tls: (cert: .., key: ..), listen on 127.0.0.1 \
                     behind a proxy, or say insecure: true"
                )
            }),
            // A slave is called by its master only, and has no people's passwords.
            Role::Slave(_) => self.reader.warn_at(
                self.tree,
                &paths,
                &format!("{danger} its node token travels in the clear; give tls or say insecure: true"),
            ),
        }
    }

    fn level(&mut self, level: &str) {
        for directive in level.split(',').map(str::trim) {
            let (target, level) = directive.split_once('=').unwrap_or(("heliostat", directive));
            let target_is_path =
                target.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-'));
            let known = LEVELS.iter().any(|known| level.eq_ignore_ascii_case(known));
            self.need(known && target_is_path && !target.is_empty(), &["log.level"], || {
                let hint = hint(level, &LEVELS);
                format!(
                    "log.level: expected a level or `part=level` divided by commas, found `{directive}`{hint}"
                )
            });
        }
    }

    fn rsync(&mut self, rsync: &Rsync) {
        self.positive("rsync.concurrent", rsync.concurrent.into());
        self.positive("rsync.per_host", rsync.per_host.into());
        self.need(rsync.bwlimit != Some(0), &["rsync.bwlimit"], || {
            "rsync.bwlimit: 0 would stand still; use None for no limit".to_owned()
        });
        self.need(rsync.memory_max.0 >= LEAST_MEMORY, &["rsync.memory_max"], || {
            "rsync.memory_max: must be 64MiB or more; rsync needs about 100 bytes for each file".to_owned()
        });
    }

    fn master(&mut self, master: &Master) {
        match &master.rsyncd {
            Rsyncd::Managed(managed) => self.managed(managed),
            Rsyncd::External(external) => self.external(external),
        }
        for (name, command) in &master.commands.0 {
            for (key, problem) in command.problems(name) {
                let place = format!("role.commands[{name:?}]");
                self.need(false, &[&place, "role.commands"], || format!("{place}.{key}: {problem}"));
            }
        }
        self.defaults(&master.defaults);
    }

    fn managed(&mut self, managed: &RsyncdManaged) {
        self.name("role.rsyncd.module", &managed.module);
        self.positive("role.rsyncd.max_connections", managed.max_connections.into());
        for (index, host) in managed.hosts_allow.iter().enumerate() {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '/' | '-' | '_' | '*');
            let path = format!("role.rsyncd.hosts_allow[{index}]");
            self.need(!host.is_empty() && host.chars().all(plain), &[&path], || {
                format!("{path}: expected an address, a network such as 10.0.0.0/8, or a host name")
            });
        }
        if let Some(address) = &managed.address {
            let right = !address.is_empty() && !address.contains(|c: char| c.is_whitespace() || c == '/');
            self.need(right, &["role.rsyncd.address"], || {
                "role.rsyncd.address: expected a host or host:port that slaves can reach, without rsync://"
                    .to_owned()
            });
        }
    }

    fn external(&mut self, external: &RsyncdExternal) {
        let rest = external.url.strip_prefix("rsync://").unwrap_or_default();
        let module = rest.split_once('/').filter(|(host, module)| !host.is_empty() && !module.is_empty());
        let right = module.is_some() && !rest.contains(char::is_whitespace);
        self.need(right, &["role.rsyncd.url"], || {
            "role.rsyncd.url: expected rsync://host/module or rsync://host:port/module".to_owned()
        });
        self.hide_login("role.rsyncd.url", &external.url);
        self.need(!rest.contains('@'), &["role.rsyncd.url"], || {
            "role.rsyncd.url: give the user as `user` and the password as `password`, not in the url"
                .to_owned()
        });
        let alone = external.password.is_some() && external.user.is_none();
        self.need(!alone, &["role.rsyncd.password", "role.rsyncd.user"], || {
            "role.rsyncd.password: a password needs a `user`".to_owned()
        });
    }

    fn defaults(&mut self, defaults: &Defaults) {
        let retry = &defaults.retry;
        let attempts = (1..=MOST_ATTEMPTS).contains(&retry.attempts);
        self.need(attempts, &["role.defaults.retry.attempts"], || {
            format!("role.defaults.retry.attempts: must be 1 to {MOST_ATTEMPTS}")
        });
        self.need(retry.base <= retry.cap, &["role.defaults.retry.cap", "role.defaults.retry.base"], || {
            "role.defaults.retry: the first pause `base` must not be longer than the longest one, `cap`"
                .to_owned()
        });
        // As for each project: less than a second asks a failing upstream without a pause, and ends what has not begun.
        for (path, value) in [
            ("role.defaults.retry.base", retry.base),
            ("role.defaults.retry.cap", retry.cap),
            ("role.defaults.timeout", defaults.timeout),
            ("role.defaults.stall", defaults.stall),
        ] {
            let right = (SHORTEST..=LONGEST).contains(&value);
            self.need(right, &[path], || format!("{path}: must be one second to a year"));
        }
        let shorter = defaults.stall < defaults.timeout || defaults.timeout.is_zero();
        self.need(shorter, &["role.defaults.stall", "role.defaults.timeout"], || {
            "role.defaults.stall: must be shorter than timeout, or it never takes effect".to_owned()
        });
        let percent = "role.defaults.guard.max_delete_percent";
        self.need(defaults.guard.max_delete_percent <= 100, &[percent], || {
            format!("{percent}: must be between 0 and 100")
        });
        self.options(defaults);
    }

    fn options(&mut self, defaults: &Defaults) {
        for problem in
            engine::Options::new(&defaults.options, &[], &defaults.delete).err().into_iter().flatten()
        {
            // The engine names a project's fields; here the default options stand one level higher.
            let path = match problem.field.strip_prefix("options.defaults") {
                Some(index) => format!("role.defaults.options{index}"),
                None => "role.defaults.delete".to_owned(),
            };
            let message = format!("{path}: {}", problem.message);
            self.need(false, &[&path], || message);
        }
    }

    fn slave(&mut self, slave: &Slave) {
        let host = ["http://", "https://"].iter().find_map(|scheme| slave.master.strip_prefix(scheme));
        let right = host.is_some_and(|host| {
            !host.is_empty() && !host.starts_with(['/', ':']) && !host.contains(|c: char| c.is_whitespace())
        });
        self.need(right, &["role.master"], || {
            "role.master: expected the master's address, such as https://master.example.org:5000".to_owned()
        });
        self.hide_login("role.master", &slave.master);
        let clean = !host.is_some_and(|host| host.contains(['@', '?', '#']));
        self.need(clean, &["role.master"], || {
            "role.master: expected an address only, without a login, a query or a fragment".to_owned()
        });
        self.name("role.name", &slave.name);
        self.absolute("role.public_dir", &slave.public_dir);
        if let Some(ca) = &slave.ca {
            self.absolute("role.ca", ca);
        }
        self.need(slave.enrolment.is_some() || slave.of_2014.is_some(), &["role"], || {
            "role: a slave needs `enrolment`, the secret that lets it join its master (or `of_2014`, for a master \
             of 2014)"
                .to_owned()
        });
        for (path, bound) in [("role.timeout", slave.timeout), ("role.stall", slave.stall)] {
            let right = bound.is_none_or(|bound| (SHORTEST..=LONGEST).contains(&bound));
            self.need(right, &[path], || format!("{path}: must be one second to a year"));
        }
        if let Some(master) = &slave.of_2014 {
            self.positive("role.of_2014.port", master.port.into());
            let source = engine::Source::new(Some(&master.user), "localhost", 873, &master.module, "project");
            for error in source.err().into_iter().flatten() {
                let key =
                    if error.field.ends_with("user") { "role.of_2014.user" } else { "role.of_2014.module" };
                self.need(false, &[key], || format!("{key}: {}", error.message));
            }
        }
        let inline = matches!(slave.enrolment, Some(SecretSource::Inline(_)));
        if inline {
            self.reader.warn_at(
                self.tree,
                &["role.enrolment"],
                "role.enrolment: a secret in the configuration is seen by everybody who reads the file; \
                 File(\"path\") is safer",
            );
        }
    }
}
