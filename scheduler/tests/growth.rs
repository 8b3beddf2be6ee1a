//! What is left of runs: neither the store, nor its journals, nor the files of runs, nor memory grow with their number.
//!
//! Runs go through the core, the store and the files of runs as the dispatcher takes them there, without an rsync.
//! `HELIOSTAT_RUNS` says how many (100,000 take minutes); the test prints what there is at each fifth.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is how a failure is told")]

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use engine::{Limits, Options, RetryPolicy, Verdict};
use scheduler::core::{Core, Effect, Input, Step, Tool};
use scheduler::journal::{Journal, Journals};
use scheduler::retention::{Retention, sweep};
use scheduler::run::{AttemptEnd, AttemptExit};
use scheduler::store::Loaded;
use scheduler::{
    Bounds, CatchUp, Command, Counts, Ending, Guard, Project, ProjectId, Rule, RunId, Schedule, Store, Told,
};
use tokio_util::sync::CancellationToken;

/// Projects, each of which runs again and again.
const PROJECTS: usize = 100;
/// Runs that are kept of each project.
const KEPT: usize = 20;
/// Runs without `HELIOSTAT_RUNS`.
const RUNS: usize = 3000;
/// Runs between two sweeps.
const SWEEP: usize = 500;
/// Readings of what there is.
const READINGS: usize = 5;
/// Most bytes of tables: what is kept several times over, and what is not compacted yet.
const MOST_TABLES: u64 = 40 << 20;
/// Most bytes of journals: the newest, one before it, and one whose tables are written at this moment.
const MOST_JOURNALS: u64 = 192 << 20;
/// Most bytes of memory beyond those of the first reading: the cache of the store, and what is not written out yet.
const MOST_MEMORY: u64 = 80 << 20;

fn runs() -> usize {
    std::env::var("HELIOSTAT_RUNS").map_or(RUNS, |text| text.parse().unwrap())
}

fn project(number: usize, now: DateTime<Utc>) -> Project {
    let id = format!("project-{number:03}");
    Project {
        name: id.clone(),
        enabled: true,
        labels: BTreeMap::new(),
        owner: "root".to_owned(),
        owner_since: None,
        source: format!("rsync://host-{number}.example.org/module/").parse().unwrap(),
        password: None,
        upstreams: Vec::new(),
        stages: None,
        hooks: Vec::new(),
        dest: format!("/d/{id}").into(),
        place: format!("/d/{id}").into(),
        options: Options::default(),
        schedule: Schedule {
            rule: Rule::Manual,
            timezone: chrono_tz::UTC,
            start: None,
            end: None,
            jitter: Duration::ZERO,
            catch_up: CatchUp::Once,
        },
        retry: RetryPolicy::default(),
        timeout: Duration::from_hours(1),
        stall: Duration::from_mins(10),
        guard: Guard::default(),
        priority: 0,
        expected: None,
        fan_out: true,
        expect_mount: false,
        publish: scheduler::publish::Publish::Each,
        freshness: scheduler::freshness::Freshness::default(),
        given_dest: None,
        created: now,
        updated: now,
        version: 1,
        id: id.parse().unwrap(),
    }
}

fn end() -> AttemptEnd {
    AttemptEnd {
        duration: Duration::from_secs(1),
        exit: AttemptExit::Code(0),
        class: "success".to_owned(),
        verdict: Verdict::Done,
        reason: "all files are there".to_owned(),
        stats: None,
        changes: Counts { created: 3, ..Counts::default() },
        all_told: true,
        whole: true,
        stderr: vec!["a line that rsync said of this run on its standard error".to_owned()],
        stage: None,
    }
}

/// A scheduler without a clock and without rsyncs.
struct Site {
    core: Core,
    store: Store,
    journals: Journals,
    now: DateTime<Utc>,
    projects: Vec<ProjectId>,
    going: Vec<RunId>,
}

impl Site {
    async fn new(folder: &Path) -> Self {
        let tool = Tool { program: "rsync".into(), limits: Limits::default(), commands: Arc::default() };
        let bounds = Bounds { concurrent: PROJECTS, ..Bounds::default() };
        let mut core = Core::new(bounds, tool, 1);
        core.recover(DateTime::UNIX_EPOCH, Loaded::default(), &HashSet::new(), &mut Step::default());
        let store = Store::open(&folder.join("store")).unwrap();
        let journals = Journals::new(&folder.join("runs"), 1 << 20).unwrap();
        let now = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
        let mut site = Self { core, store, journals, now, projects: Vec::new(), going: Vec::new() };
        for number in 0..PROJECTS {
            let project = project(number, now);
            site.projects.push(project.id.clone());
            let command = Command::Create(Box::new(project));
            site.take([Input::Command { ticket: 0, command }]).await;
        }
        site
    }

    /// Decides on inputs, and stores what follows with one commit.
    async fn take(&mut self, inputs: impl IntoIterator<Item = Input>) {
        let mut step = Step::default();
        for input in inputs {
            self.core.handle(self.now, input, &mut step);
        }
        self.core.settle(self.now, &mut step);
        self.store.commit(std::mem::take(&mut step.writes)).await.unwrap();
        for effect in step.effects {
            if let Effect::Start(start) = effect {
                Journal::open(&self.journals, start.run).say("rsync started");
                self.going.push(start.run);
            }
        }
    }

    /// Runs so many projects once.
    async fn run(&mut self, count: usize) {
        self.now += TimeDelta::minutes(1);
        let sync = |id: &ProjectId| Command::Sync { id: id.clone(), by: "ann".to_owned(), whole: false };
        let asked: Vec<_> = self.projects.iter().take(count).map(sync).collect();
        self.take(asked.into_iter().map(|command| Input::Command { ticket: 0, command })).await;
        assert_eq!(self.going.len(), count);
        self.now += TimeDelta::seconds(1);
        let ended = std::mem::take(&mut self.going);
        let told = || Box::new(Told::new(Ending::ran(end())));
        self.take(ended.into_iter().map(|run| Input::AttemptEnded { run, told: told() })).await;
    }

    async fn sweep(&self) {
        let retention = Retention { max_runs: KEPT, ..Retention::default() };
        let projects = self.projects.iter().cloned().collect();
        let live = self.core.live_runs().map(|run| run.id).collect();
        sweep(&self.store, &self.journals, &retention, projects, live, self.now, &CancellationToken::new())
            .await
            .unwrap();
    }
}

/// What there is at one moment.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// Bytes on the disk.
    tables: u64,
    journals: u64,
    /// Files of runs.
    files: usize,
    /// Bytes in memory.
    memory: u64,
}

impl Reading {
    fn of(folder: &Path) -> Self {
        let store = folder.join("store");
        let journal = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().path();
        let is_journal = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "jnl");
        let journals = std::fs::read_dir(&store).unwrap().map(journal).filter(is_journal);
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            tables: on_disk(&store.join("keyspaces")),
            journals: journals.map(|path| on_disk(&path)).sum(),
            files: std::fs::read_dir(folder.join("runs")).unwrap().count(),
            memory: pages * 4096,
        }
    }
}

/// Bytes that a file, or all files of a folder, take on the disk.
fn on_disk(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    // What is compacted goes while it is looked at.
    let Ok(meta) = std::fs::symlink_metadata(path) else { return 0 };
    let own = meta.blocks() * 512;
    let below = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| on_disk(&entry.path()));
    if meta.is_dir() { below.sum() } else { own }
}

#[test]
fn nothing_grows_with_the_number_of_runs() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let readings = runtime.block_on(live(folder.path(), runs()));
    for reading in &readings {
        assert!(reading.files <= PROJECTS * (KEPT + 1) + SWEEP, "{reading:?}");
        assert!(reading.tables <= MOST_TABLES, "{reading:?}");
        assert!(reading.journals <= MOST_JOURNALS, "{reading:?}");
        assert!(reading.memory <= readings[0].memory + MOST_MEMORY, "{reading:?}");
    }

    // The next start reads what is kept, and nothing of what was.
    let closed = Reading::of(folder.path());
    assert_eq!(closed.journals, 0, "{closed:?}");
    let begun = Instant::now();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let loaded = store.load().unwrap();
    println!("opened and loaded in {:?}", begun.elapsed());
    assert_eq!((loaded.projects.len(), loaded.live.len()), (PROJECTS, 0));
    assert_eq!(store.run_ids(None, None, usize::MAX).unwrap().len(), PROJECTS * KEPT);
}

/// Lives through so many runs, and closes the store.
async fn live(folder: &Path, wanted: usize) -> Vec<Reading> {
    let mut site = Site::new(folder).await;
    let begun = Instant::now();
    let (mut done, mut swept, mut readings) = (0, 0, Vec::new());
    while done < wanted {
        site.run(PROJECTS).await;
        done += PROJECTS;
        if done - swept >= SWEEP {
            site.sweep().await;
            swept = done;
        }
        if done >= wanted * (readings.len() + 1) / READINGS {
            let reading = Reading::of(folder);
            println!(
                "{done} runs in {:?}: tables {} KiB, journals {} KiB, {} files of runs, {} KiB of memory",
                begun.elapsed(),
                reading.tables >> 10,
                reading.journals >> 10,
                reading.files,
                reading.memory >> 10
            );
            readings.push(reading);
        }
    }
    site.sweep().await;
    site.store.close();
    readings
}
