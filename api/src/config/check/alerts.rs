//! What cannot work in `alerts` and `disk`.

use super::Checker;
use crate::config::alerts::{Alerts, Channel, Digest, Encryption, Mail, Ping, Program, Webhook};
use crate::config::duration::Size;
use crate::config::secret::SecretSource;
use crate::config::share::Share;
use crate::config::types::Disk;
use std::time::Duration;

/// The most channels: each has a queue of its own.
const MOST_CHANNELS: usize = 32;
/// A message waits no longer than this for others.
const LONGEST_SETTLE: Duration = Duration::from_hours(1);
/// How long one delivery may take.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(5);
/// Sooner than this, a sign of life says nothing more.
const SHORTEST_PING: Duration = Duration::from_secs(1);

impl Checker<'_, '_> {
    pub(super) fn disk(&mut self, disk: &Disk) {
        let apart = match (disk.reserve, disk.resume) {
            (Share::Percent(reserve), Share::Percent(resume)) => reserve <= resume,
            (Share::Bytes(Size(reserve)), Share::Bytes(Size(resume))) => reserve <= resume,
            // How large the file system is, is not known here; the larger of both holds.
            _ => true,
        };
        self.need(apart, &["disk.resume", "disk.reserve"], || {
            "disk.resume: must be at least `reserve`, or what was stopped would start at once".to_owned()
        });
        let right = (Duration::from_secs(1)..=Duration::from_hours(1)).contains(&disk.every);
        self.need(right, &["disk.every"], || "disk.every: must be one second to an hour".to_owned());
    }

    pub(super) fn alerts(&mut self, alerts: &Alerts) {
        let settle = alerts.settle <= LONGEST_SETTLE;
        self.need(settle, &["alerts.settle"], || "alerts.settle: must be at most 1h".to_owned());
        let channels = &alerts.channels;
        self.need(channels.len() <= MOST_CHANNELS, &["alerts.channels"], || {
            format!("alerts.channels: must be at most {MOST_CHANNELS}")
        });
        for (index, channel) in channels.iter().enumerate() {
            let path = format!("alerts.channels[{index}]");
            self.channel(&path, channel);
            let twin = channels.iter().take(index).any(|earlier| earlier.name() == channel.name());
            let name = format!("{path}.name");
            self.need(!twin, &[&name], || format!("{name}: another channel is named \"{}\"", channel.name()));
        }
        if let Some(ping) = &alerts.ping {
            self.ping(ping);
        }
        if let Some(digest) = &alerts.digest {
            self.digest(digest, channels);
        }
    }

    fn channel(&mut self, path: &str, channel: &Channel) {
        self.name(&format!("{path}.name"), channel.name());
        let timeout = match channel {
            Channel::Webhook(webhook) => self.webhook(path, webhook),
            Channel::Mail(mail) => self.mail(path, mail),
            Channel::Program(program) => self.program(path, program),
        };
        let right = (Duration::from_secs(1)..=LONGEST_TIMEOUT).contains(&timeout);
        let key = format!("{path}.timeout");
        self.need(right, &[&key], || format!("{key}: must be one second to five minutes"));
    }

    fn webhook(&mut self, path: &str, webhook: &Webhook) -> Duration {
        self.address(&format!("{path}.url"), &webhook.url);
        webhook.timeout
    }

    fn mail(&mut self, path: &str, mail: &Mail) -> Duration {
        let (to, password, user) = (format!("{path}.to"), format!("{path}.password"), format!("{path}.user"));
        self.need(!mail.to.is_empty(), &[&to], || format!("{to}: must name at least one receiver"));
        for (key, address) in std::iter::once((format!("{path}.from"), &mail.from))
            .chain(mail.to.iter().enumerate().map(|(index, address)| (format!("{to}[{index}]"), address)))
        {
            let right = address.parse::<lettre::message::Mailbox>().is_ok();
            self.need(right, &[&key], || {
                format!(
                    "{key}: expected an address such as \"mirrors@example.org\" or \"Mirrors <m@example.org>\""
                )
            });
        }
        let server = format!("{path}.server");
        self.need(crate::alerts::server(&mail.server).is_some(), &[&server], || {
            format!("{server}: expected a host or host:port, such as \"smtp.example.org:587\"")
        });
        let pair = mail.user.is_some() == mail.password.is_some();
        self.need(pair, &[&password, &user], || {
            format!("{path}: `user` and `password` come together or not at all")
        });
        let clear = mail.encryption == Encryption::None && mail.user.is_some();
        let local = crate::alerts::server(&mail.server)
            .is_some_and(|(host, _)| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
        let encryption = format!("{path}.encryption");
        self.need(!clear || local, &[&encryption], || {
            format!("{encryption}: a password must not travel in the clear; use StartTls or Tls")
        });
        mail.timeout
    }

    fn program(&mut self, path: &str, program: &Program) -> Duration {
        let command = format!("{path}.command");
        let absolute = program.command.first().is_some_and(|program| program.starts_with('/'));
        let plain = program.command.iter().all(|word| !word.contains('\0'));
        self.need(absolute && plain, &[&command], || {
            format!(
                "{command}: expected the program's absolute path and its arguments, such as [\"/usr/local/bin/page\"]"
            )
        });
        program.timeout
    }

    fn ping(&mut self, ping: &Ping) {
        let often = ping.every >= SHORTEST_PING && ping.every <= Duration::from_hours(24);
        self.need(often, &["alerts.ping.every"], || {
            "alerts.ping.every: must be one second to a day".to_owned()
        });
        if let Some(url) = &ping.url {
            self.address("alerts.ping.url", url);
        }
        for (index, project) in ping.projects.iter().enumerate() {
            let path = format!("alerts.ping.projects[{index}]");
            self.address(&format!("{path}.url"), &project.url);
            let id = format!("{path}.id");
            let known = project.id.parse::<scheduler::ProjectId>();
            self.need(known.is_ok(), &[&id], || format!("{id}: expected the name of a project"));
        }
    }

    fn digest(&mut self, digest: &Digest, channels: &[Channel]) {
        let right = chrono::NaiveTime::parse_from_str(&digest.at, "%H:%M").is_ok();
        self.need(right, &["alerts.digest.at"], || {
            format!("alerts.digest.at: expected a time of day such as \"08:00\", found \"{}\"", digest.at)
        });
        for (index, name) in digest.channels.iter().enumerate() {
            let path = format!("alerts.digest.channels[{index}]");
            let known = channels.iter().any(|channel| channel.name() == name);
            self.need(known, &[&path], || format!("{path}: there is no channel \"{name}\""));
        }
    }

    /// An address that stands in the configuration itself.
    fn address(&mut self, path: &str, url: &SecretSource) {
        let SecretSource::Inline(text) = url else { return };
        let right = reqwest::Url::parse(text.expose())
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        self.need(right, &[path], || {
            format!("{path}: expected an address that begins with https:// or http://")
        });
    }
}
