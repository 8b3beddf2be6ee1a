//! Which changes of the configuration can be taken over while running.

use super::types::{Config, Role};
use super::value::{Shown, Value};

/// Keys, and everything below them, that a running server takes over. Every other key needs a restart.
const LIVE: [&str; 15] = [
    "insecure",
    "tls.cert",
    "tls.key",
    "log.level",
    "rsync.concurrent",
    "rsync.per_host",
    "rsync.per_label",
    "rsync.hosts",
    "rsync.bwlimit",
    "allowed_roots",
    "disk",
    "history",
    "alerts",
    "role.commands",
    "role.defaults",
];

/// The changed keys between two configurations, as dotted paths in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reload {
    /// Can be taken over now.
    pub live: Vec<String>,
    /// Take effect after a restart.
    pub needs_restart: Vec<String>,
}

impl Config {
    /// What changes when `new` replaces `self`. Secrets that live outside the file are not compared.
    #[must_use]
    pub fn diff_reload(&self, new: &Self) -> Reload {
        let mut changed = Vec::new();
        compare(&self.shown(), &new.shown(), String::new(), &mut changed);
        let (live, needs_restart) = changed.into_iter().partition(|key| is_live(key));
        Reload { live, needs_restart }
    }

    /// What runs after `new` has been taken over: this configuration, with the live keys of the new one.
    #[must_use]
    pub fn with_live_keys(&self, new: &Self) -> Self {
        let mut next = self.clone();
        next.insecure = new.insecure;
        if let (Some(tls), Some(new)) = (&mut next.tls, &new.tls) {
            *tls = new.clone();
        }
        next.log.level = new.log.level.clone();

        next.rsync.concurrent = new.rsync.concurrent;
        next.rsync.per_host = new.rsync.per_host;
        next.rsync.per_label = new.rsync.per_label.clone();
        next.rsync.hosts = new.rsync.hosts.clone();
        next.rsync.bwlimit = new.rsync.bwlimit;

        next.allowed_roots = new.allowed_roots.clone();
        next.disk = new.disk.clone();
        next.history = new.history.clone();
        next.alerts = new.alerts.clone();
        if let (Role::Master(role), Role::Master(new)) = (&mut next.role, &new.role) {
            role.commands = new.commands.clone();
            role.defaults = new.defaults.clone();
        }
        next
    }
}

impl Reload {
    /// Nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.needs_restart.is_empty()
    }
}

fn is_live(key: &str) -> bool {
    LIVE.iter()
        .any(|live| key.strip_prefix(live).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

fn compare(old: &Shown, new: &Shown, path: String, changed: &mut Vec<String>) {
    match (old, new) {
        (Shown::Group(old_name, old_fields), Shown::Group(new_name, new_fields)) if old_name == new_name => {
            for ((key, old), (_, new)) in old_fields.iter().zip(new_fields) {
                let path = if path.is_empty() { (*key).to_owned() } else { format!("{path}.{key}") };
                compare(old, new, path, changed);
            }
        }
        _ if old == new => {}
        _ => changed.push(path),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Role, RoleKind, Tls, template};
    use super::{LIVE, Reload, is_live};
    use std::time::Duration;

    fn master(text: &str) -> Config {
        Config::parse("test.ron", text).unwrap().config
    }

    #[test]
    fn changed_keys_are_split_into_live_and_restart() {
        let old = Config::default();
        let mut new = old.clone();
        new.log.level = "debug".into();
        new.rsync.per_label.insert("array=1".into(), 2);
        new.rsync.program = "/opt/rsync".into();
        new.listen.set_port(1);
        let Role::Master(role) = &mut new.role else { panic!("the default is a master") };
        role.defaults.retry.base = Duration::from_secs(1);
        let expected = Reload {
            live: vec!["log.level".into(), "rsync.per_label".into(), "role.defaults.retry.base".into()],
            needs_restart: vec!["listen".into(), "rsync.program".into()],
        };
        assert_eq!(old.diff_reload(&new), expected);
        assert!(old.diff_reload(&old).is_empty() && !expected.is_empty());
    }

    /// A configuration in which each live key has another value than by default, and others have too.
    const OTHER: &str = r#"(
        listen: "127.0.0.1:1",
        tls: (cert: "/b/cert", key: "/b/key"),
        insecure: true,
        log: (format: Json, level: "debug"),
        site: (name: "b"),
        rsync: (concurrent: 1, per_host: 1, per_label: {"b=1": 1}, hosts: {"b.org": ()}, bwlimit: 1),
        allowed_roots: ["/b"],
        disk: (every: "17s"),
        history: (max_runs: 17),
        alerts: (channels: [Webhook(name: "b", url: "https://b.org/")]),
        role: Master(commands: {"b": (run: ["/b"])}, defaults: (timeout: "17m")),
    )"#;

    #[test]
    fn what_runs_after_a_reload_has_every_live_key_and_no_other_one() {
        let tls = Tls { cert: "/a/cert".into(), key: "/a/key".into() };
        let running = Config { tls: Some(tls), ..Config::default() };
        let new = master(OTHER);
        let diff = running.diff_reload(&new);
        for key in LIVE {
            let is_changed = diff.live.iter().any(|changed| changed.starts_with(key));
            assert!(is_changed, "{key} is not tried here: {diff:?}");
        }
        assert!(!diff.needs_restart.is_empty());

        let next = running.with_live_keys(&new);
        let left = next.diff_reload(&new);
        assert_eq!(left.live, Vec::<String>::new(), "not taken over");
        assert_eq!(left.needs_restart, diff.needs_restart, "named until the restart");
        assert_eq!(running.diff_reload(&next).needs_restart, Vec::<String>::new(), "taken over");
        assert!(next.diff_reload(&next.with_live_keys(&running)).needs_restart.is_empty());
    }

    #[test]
    fn another_role_needs_a_restart() {
        let slave = Config::parse("slave.ron", template(RoleKind::Slave)).unwrap().config;
        assert!(Config::default().diff_reload(&slave).needs_restart.contains(&"role".to_owned()));
    }

    #[test]
    fn a_changed_inline_secret_is_a_change() {
        let change = master("(role: Master(enrolment: \"a\"))")
            .diff_reload(&master("(role: Master(enrolment: \"b\"))"));
        assert_eq!(change.needs_restart, ["role.enrolment"]);
    }

    #[test]
    fn a_key_that_only_begins_like_a_live_one_is_not_live() {
        assert!(LIVE.iter().all(|key| is_live(key)) && is_live("history.max_age"));
        assert!(!is_live("log.levels") && !is_live("history_max") && !is_live("rsync"));
    }
}
