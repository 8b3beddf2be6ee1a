//! What single upstream hosts are to be spared: `rsync.hosts`.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono_tz::Tz;
use scheduler::queue::{HostBudget, QuietHours, leave_time};

use super::reader::Reader;
use super::tree::{Kind, Node};
use super::value::{Shown, Value, record};

/// The longest time between two starts.
const LONGEST_GAP: Duration = Duration::from_hours(24);

/// What is to be spared of one upstream host.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Most rsyncs at once against it, instead of `per_host`.
    pub connections: Option<u32>,
    /// Least time between two starts against it.
    pub gap: Duration,
    /// Bandwidth in KiB/s of all rsyncs against it together; `None`: no limit.
    pub bwlimit: Option<u64>,
    /// Hours of the day in which nothing starts against it.
    pub quiet: Quiet,
    /// Time zone of `quiet`.
    pub timezone: Tz,
}

record!(Host {
    connections = None,
    gap = Duration::ZERO,
    bwlimit = None,
    quiet = Quiet::default(),
    timezone = Tz::UTC;
});

impl Host {
    /// The same for the scheduler.
    #[must_use]
    pub fn budget(&self) -> HostBudget {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        HostBudget {
            connections: self.connections.map(count),
            gap: self.gap,
            bwlimit_kib: self.bwlimit,
            quiet: self.quiet.0.clone(),
            timezone: self.timezone,
        }
    }

    /// What cannot work, each named.
    fn problems(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.connections == Some(0), "connections: 0 would never start a run; use 1 or more, or None"),
            (self.bwlimit == Some(0), "bwlimit: 0 would stand still; use None for no limit"),
            (self.gap > LONGEST_GAP, "gap: must be at most 24h"),
            (!leave_time(&self.quiet.0), "quiet: these hours leave no time of the day"),
        ]
        .into_iter()
        .filter_map(|(wrong, message)| wrong.then_some(message))
    }
}

/// Hours of the day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quiet(pub Vec<QuietHours>);

impl Value for Quiet {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let texts = Vec::<String>::read(node, reader)?;
        let mut hours = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match text.parse() {
                Ok(parsed) => hours.push(parsed),
                Err(error) => reader.note(node.span.clone(), format!("[{index}]: {error}, found \"{text}\"")),
            }
        }
        Some(Self(hours))
    }

    fn shown(&self) -> Shown {
        Shown::List(self.0.iter().map(|hours| Shown::text(&hours.to_string())).collect())
    }
}

impl Value for Tz {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let expected = "an IANA time zone such as \"Europe/Berlin\"";
        let text: String = reader.scalar(node, expected)?;
        text.parse().ok().or_else(|| reader.refuse(node, format!("expected {expected}, found \"{text}\"")))
    }

    fn shown(&self) -> Shown {
        Shown::text(self.name())
    }
}

/// Budgets by host: `"ftp.example.org": (connections: 2)`.
impl Value for BTreeMap<String, Host> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            return reader.wrong(node, "a map such as {\"ftp.example.org\": (connections: 2)}");
        };
        let mut map = Self::new();
        for (key, value) in entries {
            let name = host(key, reader);
            let step = format!("[{:?}]", name.as_deref().unwrap_or("?"));
            let budget = reader.within(step, |reader| {
                let budget = Host::read(value, reader)?;
                for problem in budget.problems() {
                    reader.note(value.span.clone(), problem.to_owned());
                }
                Some(budget)
            });
            let (Some(name), Some(budget)) = (name, budget) else { continue };
            if map.contains_key(&name) {
                reader.note(key.span.clone(), format!("host \"{name}\" is given twice"));
            }
            map.insert(name, budget);
        }
        Some(map)
    }

    fn shown(&self) -> Shown {
        let text = |key: &String| match Shown::text(key) {
            Shown::Scalar(text) => text,
            _ => String::new(),
        };
        Shown::Map(self.iter().map(|(key, budget)| (text(key), budget.shown())).collect())
    }
}

/// A host as sources name it, in lower case.
fn host(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let text: String = reader.scalar(node, "a host in double quotes, such as \"ftp.example.org\"")?;
    match engine::Source::new(None, &text, 873, "module", "") {
        Ok(source) => Some(source.host().to_ascii_lowercase()),
        Err(_) => reader.refuse(
            node,
            format!("expected the name or address of a host, without a port or rsync://, found \"{text}\""),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, show};

    fn config(hosts: &str) -> Result<Config, String> {
        let text = format!("(rsync: (hosts: {hosts}), role: Master())");
        Config::parse("test.ron", &text).map(|loaded| loaded.config).map_err(|errors| errors.to_string())
    }

    #[test]
    fn a_host_is_known_by_any_spelling_and_shown_with_all_its_keys() {
        let given = r#"{"FTP.example.org": (connections: 2, gap: "10m", bwlimit: 5000, quiet: ["22:00-06:00"],
                        timezone: "Europe/Berlin"), "[2001:db8::1]": ()}"#;
        let read = config(given).unwrap();
        assert_eq!(read.rsync.hosts.keys().collect::<Vec<_>>(), ["2001:db8::1", "ftp.example.org"]);
        let budget = read.rsync.hosts["ftp.example.org"].budget();
        assert_eq!(
            (budget.connections, budget.bwlimit_kib, budget.gap.as_secs()),
            (Some(2), Some(5000), 600)
        );
        assert_eq!(Config::parse("shown", &show(&read)).unwrap().config, read);
        assert_eq!(config("{}").unwrap().diff_reload(&read).live, ["rsync.hosts"]);
    }

    #[test]
    fn what_cannot_work_is_said_with_the_host() {
        for (hosts, wanted) in [
            ("[]", "a map such as"),
            (r#"{"rsync://h/": ()}"#, "without a port or rsync://"),
            (r#"{"h:873": ()}"#, "without a port"),
            (r#"{"h": (), "H": ()}"#, "host \"h\" is given twice"),
            (r#"{"h": (connections: 0)}"#, "rsync.hosts[\"h\"]: connections: 0 would never start a run"),
            (r#"{"h": (bwlimit: 0)}"#, "use None for no limit"),
            (r#"{"h": (gap: "25h")}"#, "must be at most 24h"),
            (r#"{"h": (quiet: ["night"])}"#, "expected two times of the day such as \"22:00-06:00\""),
            (r#"{"h": (quiet: ["00:00-12:00", "12:00-00:00"])}"#, "leave no time of the day"),
            (r#"{"h": (timezone: "Berlin")}"#, "an IANA time zone such as"),
            (r#"{"h": (conections: 1)}"#, "did you mean `connections`?"),
        ] {
            let report = config(hosts).expect_err(hosts);
            assert!(report.contains(wanted), "{hosts}: {report}");
        }
    }
}
