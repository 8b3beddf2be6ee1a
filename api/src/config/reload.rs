//! Which changes of the configuration can be taken over while running.

use super::types::Config;
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
    use super::super::{Config, Role, RoleKind, template};
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
