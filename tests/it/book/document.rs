//! A document of the book as a list of commands, and of what they need around them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A document, its commands, and the upstreams that it names.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Its path below `docs/`.
    pub(super) name: String,
    /// All of it.
    pub(super) text: String,
    /// Its commands, from top to bottom.
    pub(super) steps: Vec<Step>,
    /// Every host of an address in it.
    pub(super) hosts: BTreeSet<String>,
    /// Every port of an rsync address in it, 873 included.
    pub(super) ports: BTreeSet<u16>,
    /// Every module.
    pub(super) modules: BTreeSet<String>,
    /// Every module, and every path below one.
    pub(super) paths: BTreeSet<String>,
}

/// One command.
#[derive(Debug)]
pub(super) struct Step {
    /// Its first line in the document, from 1.
    pub(super) line: usize,
    /// As it stands there, with its continuation lines.
    pub(super) text: String,
}

impl Document {
    /// Every document with commands, the README included.
    pub(super) fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut documents: Vec<Self> = walkdir::WalkDir::new(root.join("docs"))
            .sort_by_file_name()
            .into_iter()
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "md"))
            .map(|entry| {
                let name = entry.path().strip_prefix(root.join("docs")).unwrap().display().to_string();
                Self::read(&name, &fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        documents.retain(|document| !document.steps.is_empty());
        assert!(documents.len() > 5, "the book has lost its commands");
        documents
    }

    /// Reads one.
    pub(super) fn read(name: &str, text: &str) -> Self {
        let mut document =
            Self { name: name.to_owned(), text: text.to_owned(), steps: steps(text), ..Self::default() };
        document.ports.insert(873);
        for rest in text.split("rsync://").skip(1) {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "@:/._+-".contains(c)));
            document.upstream(rest[..end.unwrap_or(rest.len())].trim_end_matches(['.', ':', '/']));
        }
        for rest in text.split("http://").chain(text.split("https://")).skip(1) {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".-".contains(c)));
            document.host(&rest[..end.unwrap_or(rest.len())]);
        }
        document
    }

    /// Notes `[user@]host[:port]/module[/path]`.
    fn upstream(&mut self, address: &str) {
        let Some((authority, tree)) = address.split_once('/') else { return };
        let host = authority.split_once('@').map_or(authority, |(_, host)| host);
        let (host, port) =
            host.split_once(':').map_or((host, None), |(host, port)| (host, port.parse::<u16>().ok()));
        self.host(host);
        // The master's own daemon is not another's.
        self.ports.extend(port.filter(|port| *port != 8730));
        let module = tree.split('/').next().unwrap_or_default();
        // These words stand for something.
        if ["", "MODULE", "NAME", "HOST"].contains(&module) {
            return;
        }
        self.modules.insert(module.to_owned());
        self.paths.insert(module.to_owned());
        self.paths.insert(tree.to_owned());
    }

    fn host(&mut self, host: &str) {
        if host.contains('.') && host.parse::<std::net::IpAddr>().is_err() {
            self.hosts.insert(host.to_owned());
        }
    }
}

/// The commands of every `sh` and `console` block.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut block: Option<&str> = None;
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        let bare = line.trim_start();
        if let Some(kind) = bare.strip_prefix("```") {
            block = if block.is_some() { None } else { Some(kind) };
            open = false;
            continue;
        }
        let command = match block {
            Some("sh") => Some(bare),
            Some("console") if open => Some(line),
            Some("console") => bare.strip_prefix("$ "),
            _ => None,
        };
        let Some(command) = command else { continue };
        if open {
            let step = steps.last_mut().unwrap();
            step.text.push('\n');
            step.text.push_str(line);
        } else if !command.is_empty() && !command.starts_with('#') {
            steps.push(Step { line: number + 1, text: command.to_owned() });
        } else {
            continue;
        }
        open = is_open(&steps.last().unwrap().text);
    }
    steps
}

/// Whether a command goes on in the next line.
fn is_open(text: &str) -> bool {
    let single = text.chars().filter(|c| *c == '\'').count() % 2 == 1;
    single || text.ends_with('\\') || text.ends_with('|')
}
