//! Files and folders by which a server is ruled. No tree may land on them: an upstream would rule
//! the server then.

use std::path::{Path, PathBuf};

use scheduler::destination::ReservedPlace;

use super::secret::SecretSource;
use super::{Alerts, Channel, Config, Plugins, Role, Rsyncd};

/// Collects places, each by its absolute path.
#[derive(Default)]
struct PowerList(Vec<ReservedPlace>);

impl Config {
    /// Everything by which this server is ruled beside its data folder; `file` is the configuration's.
    #[must_use]
    pub fn places_of_power(&self, file: Option<&Path>, data_dir: &Path) -> Vec<ReservedPlace> {
        let mut list = PowerList::default();
        let folder = file.and_then(|file| std::path::absolute(file).ok()?.parent().map(Path::to_owned));
        list.add("the folder of the configuration", folder.iter());
        list.add("this program", std::env::current_exe().iter());
        list.add("the program `rsync.program`", Some(crate::serve::found(&self.rsync.program)).iter());
        list.add(
            "the key or the certificate of `tls`",
            self.tls.iter().flat_map(|tls| [&tls.cert, &tls.key]),
        );
        list.plugins(&self.plugins, data_dir, folder.as_deref());
        list.alerts(&self.alerts);
        list.role(&self.role);
        list.0
    }
}

impl PowerList {
    fn add<'a>(&mut self, what: &'static str, paths: impl Iterator<Item = &'a PathBuf>) {
        let absolute = paths.filter_map(|path| std::path::absolute(path).ok());
        self.0.extend(absolute.map(|path| ReservedPlace { what, path, whole: false }));
    }

    fn secrets<'a>(&mut self, sources: impl Iterator<Item = &'a SecretSource>) {
        let files = sources.filter_map(|source| match source {
            SecretSource::File(path) => Some(path),
            SecretSource::Env(_) | SecretSource::Inline(_) => None,
        });
        self.add("a file with a secret", files);
    }

    fn programs<'a>(&mut self, lines: impl Iterator<Item = &'a Vec<String>>) {
        let programs: Vec<_> = lines.filter_map(|line| line.first()).map(PathBuf::from).collect();
        self.add("a program that the configuration names", programs.iter());
    }

    fn plugins(&mut self, plugins: &Plugins, data_dir: &Path, own: Option<&Path>) {
        let folder = plugins.folder(data_dir);
        let files: Vec<_> = plugins.load.iter().map(|plugin| folder.join(&plugin.path)).collect();
        self.add("a plugin", files.iter());
        self.secrets(plugins.load.iter().flat_map(|plugin| plugin.grants.secrets.0.values()));
        if let Ok(path) = std::path::absolute(folder) {
            // One that holds the configuration too is not for plugins alone: trees may be below it.
            let whole = !own.is_some_and(|own| own.starts_with(&path));
            self.0.push(ReservedPlace { what: "the folder of plugins", path, whole });
        }
    }

    fn alerts(&mut self, alerts: &Alerts) {
        for channel in &alerts.channels {
            match channel {
                Channel::Webhook(webhook) => {
                    self.secrets(webhook.secret.iter().chain(std::iter::once(&webhook.url)));
                }
                Channel::Mail(mail) => self.secrets(mail.password.iter()),
                Channel::Program(program) => self.programs(std::iter::once(&program.command)),
            }
        }
        if let Some(ping) = &alerts.ping {
            self.secrets(ping.url.iter().chain(ping.projects.iter().map(|project| &project.url)));
        }
    }

    fn role(&mut self, role: &Role) {
        match role {
            Role::Master(master) => {
                self.secrets(master.enrolment.iter());
                if let Rsyncd::External(external) = &master.rsyncd {
                    self.secrets(external.password.iter());
                }
                let commands = master.commands.0.values();
                self.programs(commands.clone().map(|command| &command.run));
                self.secrets(commands.flat_map(|command| command.environment.0.values()));
            }
            Role::Slave(slave) => {
                self.secrets(slave.enrolment.iter());
                self.add("the certificates of `ca`", slave.ca.iter());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every file that a configuration can name as a secret, a key, a program or a plugin.
    const EVERYTHING: [&str; 2] = [
        r#"(
        data_dir: "/d",
        tls: (cert: "/k/cert", key: "/k/key"),
        rsync: (program: "/k/rsync"),
        plugins: (folder: Some("/k/plugins"), load: [
            (id: "p", path: "/k/own/p.wasm", grants: (http: ["https://h/"], secrets: {"s": File("/k/plugin-secret")})),
        ]),
        alerts: (
            channels: [
                Webhook(name: "w", url: File("/k/hook"), secret: File("/k/hook-secret")),
                Mail(name: "m", server: "h", from: "a@h", to: ["b@h"], user: "u", password: File("/k/mail")),
                Program(name: "x", command: ["/k/tell"]),
            ],
            ping: (url: File("/k/ping"), projects: [(id: "p", url: File("/k/ping-p"))]),
        ),
        role: Master(
            enrolment: File("/k/enrolment"),
            rsyncd: External(url: "rsync://h/m", user: "u", password: File("/k/rsyncd")),
            commands: {"git": (run: ["/k/git"], environment: {"A": File("/k/git-secret")})},
        ),
    )"#,
        r#"(data_dir: "/d", role: Slave(master: "https://m", name: "n", public_dir: "/p", ca: "/k/ca",
            enrolment: File("/k/enrolment")))"#,
    ];

    #[test]
    fn every_file_that_a_configuration_names_is_a_place_of_power() {
        for text in EVERYTHING {
            let config =
                Config::parse("heliostat.ron", text).unwrap_or_else(|errors| panic!("{errors}")).config;
            let places = config.places_of_power(Some(Path::new("/k/etc/heliostat.ron")), Path::new("/d"));
            let has = |path: &str| places.iter().any(|place| place.path == Path::new(path));
            let named = text.split('"').filter(|word| word.starts_with("/k/"));
            for path in named.chain(["/k/etc"]) {
                assert!(has(path), "{path}: {places:?}");
            }
            assert!(has(std::env::current_exe().unwrap().to_str().unwrap()));
        }
    }
}
