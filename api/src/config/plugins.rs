//! Plugins in the configuration: `plugins`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use engine::Secret;
use plugins::{
    CompilerProcess, Digest, FailurePolicy, Failures, Part, PathGrant, PluginSettings, ProjectPattern,
    UrlGrant,
};
use scheduler::ProjectId;

use super::reader::Reader;
use super::secret::{SecretError, SecretSource};
use super::tree::{Kind, Node};
use super::value::{Shown, Value, record, words};

/// All plugins.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugins {
    /// Folder of the components; `None`: `plugins` in the data folder.
    pub folder: Option<PathBuf>,
    /// Writes what policies are asked and say into the data folder.
    pub record: bool,
    /// The plugins that are used.
    pub load: Vec<Plugin>,
}

record!(default Plugins { folder = None, record = false, load = Vec::new(); });

/// One plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    /// Its name.
    pub id: String,
    /// Its file, in the folder unless absolute.
    pub path: PathBuf,
    /// What the file must be.
    pub sha256: Option<Written<Digest>>,
    /// What of it is used; empty: all that it has.
    pub hooks: Vec<Hook>,
    /// The projects that it is asked about; empty: all.
    pub projects: Vec<String>,
    /// Smaller ones are asked first.
    pub order: i32,
    /// What its failure means.
    pub failure: Failure,
    /// What one call may use.
    pub limits: Limits,
    /// What it may reach.
    pub grants: Grants,
    /// Its settings.
    pub config: Named<String>,
    /// Settings that differ for one project.
    pub project_config: Named<Named<String>>,
    /// The server does not start without it.
    pub required: bool,
}

record!(default Plugin {
    sha256 = None,
    hooks = Vec::new(),
    projects = Vec::new(),
    order = 0,
    failure = Failure::default(),
    limits = Limits::default(),
    grants = Grants::default(),
    config = Named::default(),
    project_config = Named::default(),
    required = false;
    id = String::new(),
    path = PathBuf::new(),
});

/// What a plugin can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hook {
    /// A vote before each attempt.
    #[default]
    PreSync,
    /// A judgement after it.
    PostSync,
    /// What runs next.
    Policy,
}

words!(Hook { PreSync, PostSync, Policy });

/// What it means that a hook failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Before an attempt.
    pub pre: OpenOrClosed,
    /// After it.
    pub post: OpenOrClosed,
}

record!(default Failure { pre = OpenOrClosed::Open, post = OpenOrClosed::Open; });

/// As if it had not been asked, or as if it had said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenOrClosed {
    /// As if it had not been asked.
    Open,
    /// As if it had said no.
    Closed,
}

words!(OpenOrClosed { Open, Closed });

/// What one call may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Processor time.
    pub cpu: Duration,
    /// Time altogether.
    pub wall: Duration,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Lines in the log.
    pub log_lines: u32,
    /// Calls at once.
    pub concurrency: u32,
}

record!(default Limits {
    cpu = plugins::Limits::default().cpu,
    wall = plugins::Limits::default().wall,
    memory_mib = plugins::Limits::default().memory_mib,
    log_lines = plugins::Limits::default().log_lines,
    concurrency = plugins::Limits::default().concurrency;
});

/// What a plugin may reach.
#[derive(Debug, Clone, PartialEq)]
pub struct Grants {
    /// Addresses that it may send requests to.
    pub http: Several<UrlGrant>,
    /// Those may lead to this machine and to private networks.
    pub private_addresses: bool,
    /// Paths below the destination that it may read.
    pub dest_read: Several<PathGrant>,
    /// Paths there that it may write.
    pub dest_write: Several<PathGrant>,
    /// How much it may keep for each project, in KiB.
    pub kv_kib: u32,
    /// Secrets for its requests.
    pub secrets: Named<SecretSource>,
}

record!(default Grants {
    http = Several::default(),
    private_addresses = false,
    dest_read = Several::default(),
    dest_write = Several::default(),
    kv_kib = 0,
    secrets = Named::default();
});

/// A value that is written as a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Written<T>(pub T);

/// A list of values that are written as texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Several<T>(pub Vec<T>);

/// Values by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Named<T>(pub BTreeMap<String, T>);

impl<T> Default for Several<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl Plugins {
    /// The same for the host, secrets included.
    ///
    /// # Errors
    /// The plugin and why one of its secrets cannot be fetched.
    pub fn settings(&self, data_dir: &Path) -> Result<plugins::Settings, (String, SecretError)> {
        let load = self.load.iter().map(|plugin| {
            let secrets = plugin.grants.secrets.0.iter();
            let secrets = secrets.map(|(name, source)| Ok((name.clone(), source.resolve()?)));
            let secrets = secrets.collect::<Result<_, _>>().map_err(|error| (plugin.id.clone(), error))?;
            Ok(plugin.settings(secrets))
        });
        Ok(plugins::Settings {
            folder: self.folder(data_dir),
            cache: Some(data_dir.join("compiled-plugins")),
            compiler: Some(CompilerProcess::new(
                ["/proc/self/exe", "plugin", "compile"].map(Into::into).into(),
            )),
            recording: self.record.then(|| data_dir.join("decisions.jsonl")),
            plugins: load.collect::<Result<_, _>>()?,
        })
    }

    /// The same for a look at the plugins themselves: nothing is fetched, kept or recorded.
    #[must_use]
    pub fn settings_to_check(&self, data_dir: &Path) -> plugins::Settings {
        plugins::Settings {
            folder: self.folder(data_dir),
            plugins: self.load.iter().map(Plugin::without_secrets).collect(),
            ..plugins::Settings::default()
        }
    }

    /// The folder of those that are named by a relative path.
    pub(super) fn folder(&self, data_dir: &Path) -> PathBuf {
        self.folder.clone().unwrap_or_else(|| data_dir.join("plugins"))
    }

    /// Projects that cannot be understood, for which a plugin will be refused: the key below `plugins`, and a sentence.
    pub(super) fn misread(&self) -> Vec<(String, String)> {
        let mut misread = Vec::new();
        for (index, plugin) in self.load.iter().enumerate() {
            for (number, text) in plugin.projects.iter().enumerate() {
                if let Err(error) = text.parse::<ProjectPattern>() {
                    let place = format!("plugins.load[{index}].projects[{number}]");
                    misread.push((place, format!("{error}; until then the plugin is refused")));
                }
            }
        }
        misread
    }

    /// What cannot be meant: the key below `plugins`, and a sentence.
    pub(super) fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (index, plugin) in self.load.iter().enumerate() {
            let place = |key: &str| format!("plugins.load[{index}].{key}");
            if self.load[..index].iter().any(|other| other.id == plugin.id) {
                problems.push((place("id"), format!("\"{}\" is given twice", plugin.id)));
            }
            let settings = plugin.without_secrets();
            problems.extend(settings.problems().into_iter().map(|(key, why)| (place(key), why)));
            for project in plugin.project_config.0.keys() {
                if let Err(error) = project.parse::<ProjectId>() {
                    problems.push((place("project_config"), error.to_string()));
                }
            }
        }
        problems
    }
}

impl Plugin {
    fn without_secrets(&self) -> PluginSettings {
        let secrets = self.grants.secrets.0.keys();
        self.settings(secrets.map(|name| (name.clone(), Secret::new(""))).collect())
    }

    fn settings(&self, secrets: BTreeMap<String, Secret>) -> PluginSettings {
        let word = |word| match word {
            OpenOrClosed::Open => FailurePolicy::Open,
            OpenOrClosed::Closed => FailurePolicy::Closed,
        };
        let part = |hook: &Hook| match hook {
            Hook::PreSync => Part::PreSync,
            Hook::PostSync => Part::PostSync,
            Hook::Policy => Part::Policy,
        };
        let Limits { cpu, wall, memory_mib, log_lines, concurrency } = self.limits;
        let of_projects = self.project_config.0.iter();
        let patterns: Vec<_> = self.projects.iter().map(|text| text.parse::<ProjectPattern>()).collect();
        PluginSettings {
            sha256: self.sha256.as_ref().map(|digest| digest.0),
            parts: self.hooks.iter().map(part).collect(),
            projects: patterns.iter().filter_map(|pattern| pattern.as_ref().ok().cloned()).collect(),
            misread: patterns.into_iter().filter_map(Result::err).collect(),
            order: self.order,
            failure: Failures { pre: word(self.failure.pre), post: word(self.failure.post) },
            limits: plugins::Limits { cpu, wall, memory_mib, log_lines, concurrency },
            grants: plugins::Grants {
                http: self.grants.http.0.clone(),
                private_addresses: self.grants.private_addresses,
                dest_read: self.grants.dest_read.0.clone(),
                dest_write: self.grants.dest_write.0.clone(),
                kv_kib: self.grants.kv_kib,
                secrets,
            },
            config: self.config.0.clone(),
            project_config: of_projects
                .filter_map(|(project, config)| Some((project.parse().ok()?, config.0.clone())))
                .collect(),
            required: self.required,
            ..PluginSettings::new(self.id.clone(), self.path.clone())
        }
    }
}

impl Value for i32 {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.scalar(node, "a whole number")
    }

    fn shown(&self) -> Shown {
        Shown::Scalar(self.to_string())
    }
}

impl<T: FromStr<Err: Display> + Display> Value for Written<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let text = String::read(node, reader)?;
        match text.parse() {
            Ok(value) => Some(Self(value)),
            Err(error) => reader.refuse(node, error.to_string()),
        }
    }

    fn shown(&self) -> Shown {
        Shown::text(&self.0.to_string())
    }
}

impl<T: FromStr<Err: Display> + Display> Value for Several<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Kind::List(items) = &node.kind else { return reader.wrong(node, "a list in [ ]") };
        let read = items.iter().enumerate().filter_map(|(index, item)| {
            reader.within(format!("[{index}]"), |reader| Written::<T>::read(item, reader))
        });
        Some(Self(read.map(|written| written.0).collect()))
    }

    fn shown(&self) -> Shown {
        Shown::List(self.0.iter().map(|value| Shown::text(&value.to_string())).collect())
    }
}

impl<T: Value> Value for Named<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            return reader.wrong(node, "a map such as {\"name\": \"value\"}");
        };
        let mut map = BTreeMap::new();
        for (key, value) in entries {
            let name = String::read(key, reader);
            let step = format!("[{:?}]", name.as_deref().unwrap_or("?"));
            let value = reader.within(step, |reader| T::read(value, reader));
            let (Some(name), Some(value)) = (name, value) else { continue };
            if map.contains_key(&name) {
                reader.note(key.span.clone(), format!("\"{name}\" is given twice"));
            }
            map.insert(name, value);
        }
        Some(Self(map))
    }

    fn shown(&self) -> Shown {
        let text = |key: &String| match Shown::text(key) {
            Shown::Scalar(text) => text,
            _ => String::new(),
        };
        Shown::Map(self.0.iter().map(|(key, value)| (text(key), value.shown())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, show};

    fn config(load: &str) -> Result<Config, String> {
        let text = format!("(plugins: (load: [{load}]), role: Master())");
        Config::parse("test.ron", &text).map(|loaded| loaded.config).map_err(|errors| errors.to_string())
    }

    #[test]
    fn a_plugin_is_read_with_all_its_keys_and_shown_without_its_secrets() {
        let given = r#"(id: "webhook", path: "webhook.wasm", hooks: [PostSync], projects: ["debian*", "label:tier=1"],
            sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", order: -1,
            failure: (post: Closed), limits: (cpu: "100ms", memory_mib: 16), required: true,
            grants: (http: ["https://hooks.example.org/mirror/*"], kv_kib: 1, dest_read: ["project/**"],
                     secrets: {"token": Env("WEBHOOK_TOKEN"), "inline": "hunter2"}),
            config: {"url": "https://hooks.example.org/mirror/x"},
            project_config: {"debian": {"when": "every"}})"#;
        let read = config(given).unwrap();
        let settings = read.plugins.load[0].settings(std::collections::BTreeMap::new());
        assert_eq!((settings.order, settings.limits.memory_mib, settings.required), (-1, 16, true));
        assert_eq!(settings.project_config.len(), 1);
        let shown = show(&read);
        assert!(!shown.contains("hunter2") && shown.contains("Env(\"WEBHOOK_TOKEN\")"), "{shown}");
        let again = Config::parse("shown", &shown.replace("\"***\"", "\"hunter2\"")).unwrap().config;
        assert_eq!(again, read);
    }

    #[test]
    fn projects_that_are_not_understood_are_a_warning_and_cost_the_plugin_only() {
        let text =
            r#"(plugins: (load: [(id: "a", path: "a.wasm", projects: ["b", "tag:x"])]), role: Master())"#;
        let loaded = Config::parse("test.ron", text).unwrap();
        let [warning] = &loaded.warnings[..] else { panic!("{:?}", loaded.warnings) };
        assert!(warning.contains("plugins.load[0].projects[1]: `tag:x` holds `:`"), "{warning}");
        let settings = loaded.config.plugins.load[0].without_secrets();
        assert_eq!((settings.projects.len(), settings.misread.len()), (1, 1));
        let any = "anything".parse().unwrap();
        assert!(settings.means(&any, &std::collections::BTreeMap::new()), "it may have been meant");
    }

    #[test]
    fn what_cannot_be_meant_is_said_with_its_place() {
        let plugin = |more: &str| format!(r#"(id: "a", path: "a.wasm", {more})"#);
        for (load, wanted) in [
            (plugin(r#"sha256: "abc""#), "is no SHA-256"),
            (plugin("hooks: [Before]"), "expected PreSync or PostSync or Policy"),
            (plugin(r#"grants: (http: ["ftp://x/"])"#), "is neither http nor https"),
            (plugin(r#"grants: (dest_write: ["/etc/*"])"#), "begins with `/`"),
            (plugin(r#"grants: (secrets: {"t": Env("T")})"#), "secrets are only ever sent with requests"),
            (plugin(r#"limits: (cpu: "0s")"#), "1 ms to 1 minute"),
            (plugin("").replace("\"a\"", "\"a b\""), "`a b` is no name"),
            (format!("{}, {}", plugin(""), plugin("")), "\"a\" is given twice"),
            (r#"(id: "a")"#.to_owned(), "missing key `plugins.load[0].path`"),
        ] {
            let report = config(&load).expect_err(&load);
            assert!(report.contains(wanted), "{load}: {report}");
        }
    }
}
