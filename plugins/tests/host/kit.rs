//! A folder with plugins, the host that loads them, and what they are asked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use plugins::{LogLine, LogSink, MemoryKv, PluginSettings, Plugins, Services, Settings};
use scheduler::hooks::{Decision, Hooks, ProjectFacts, RunContext, RunOutcome, Status, Vote};
use scheduler::{Counts, Project, RunId, Trigger};
use tempfile::TempDir;

/// The lines of all plugins.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<Vec<String>>);

impl LogSink for Lines {
    fn line(&self, line: &LogLine<'_>) {
        let text = format!("{} {}: {}", line.level.as_str(), line.plugin, line.message);
        self.0.lock().unwrap().push(text);
    }
}

impl Lines {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A place for files, and the lines that were written.
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) lines: Arc<Lines>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), lines: Arc::default() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A plugin in a file of its own, under the name of the plugin.
    pub(crate) fn plugin(&self, id: &str, bytes: &[u8]) -> PluginSettings {
        let file = format!("{id}.wasm");
        std::fs::write(self.path(&file), bytes).unwrap();
        PluginSettings::new(id, file)
    }

    pub(crate) fn settings(&self, plugins: Vec<PluginSettings>) -> Settings {
        Settings { folder: self.folder.path().to_owned(), plugins, ..Settings::default() }
    }

    pub(crate) async fn load(&self, plugins: Vec<PluginSettings>) -> Plugins {
        self.load_all(self.settings(plugins)).await
    }

    pub(crate) async fn load_all(&self, settings: Settings) -> Plugins {
        let services = Services { kv: Arc::new(MemoryKv::default()), log: self.lines.clone() };
        Plugins::load(settings, services).await.unwrap()
    }

    /// Why this file is refused.
    pub(crate) async fn refusal(&self, plugin: PluginSettings) -> String {
        let plugins = self.load(vec![plugin]).await;
        let report = plugins.list().remove(0);
        assert!(report.shape.is_none(), "it was loaded");
        report.refused.unwrap()
    }

    pub(crate) fn context(&self) -> RunContext {
        let now: DateTime<Utc> = "2026-11-25T12:00:00Z".parse().unwrap();
        RunContext {
            run: RunId::after(None, now, 7),
            attempt: 1,
            trigger: Trigger::Schedule,
            now,
            utc_offset_minutes: 60,
            queued: now,
            scheduled: Some(now),
            last_success: None,
            failures: 0,
            delays: 0,
            upstream_marker: None,
            local_marker: None,
            project: ProjectFacts {
                id: "debian".parse().unwrap(),
                name: "Debian".to_owned(),
                source: "rsync://example.org/debian".to_owned(),
                host: "example.org".to_owned(),
                dest: self.path("tree"),
                labels: BTreeMap::from([("tier".to_owned(), "1".to_owned())]),
                hooks: Vec::new(),
                generation: 1,
                size_bytes: 2,
                files: 3,
            },
            rsync_args: vec!["-a".to_owned()],
            recent: Vec::new(),
        }
    }

    /// Projects of these names.
    pub(crate) fn projects(names: &[&str]) -> Vec<Arc<Project>> {
        let stored = include_bytes!("../../../scheduler/tests/old/1/records/project-fields");
        let like = scheduler::record::decode_project(stored).unwrap();
        let named = |name: &&str| Arc::new(Project { id: name.parse().unwrap(), ..like.clone() });
        names.iter().map(named).collect()
    }
}

pub(crate) fn outcome() -> RunOutcome {
    let now: DateTime<Utc> = "2026-11-25T12:00:00Z".parse().unwrap();
    RunOutcome {
        status: Status::Succeeded,
        class: "done".to_owned(),
        reason: "done".to_owned(),
        started: now,
        finished: now,
        stats: None,
        changes: Counts::default(),
        stderr_tail: vec!["a".repeat(20_000)],
        will_retry: false,
        previous: None,
    }
}

/// The one vote of the one plugin.
pub(crate) async fn vote(place: &Place, plugin: PluginSettings) -> Vote<Decision> {
    let plugins = place.load(vec![plugin]).await;
    assert_eq!(plugins.list()[0].refused, None);
    let mut votes = plugins.pre_sync(&place.context()).await;
    assert_eq!(votes.len(), 1);
    votes.remove(0)
}
