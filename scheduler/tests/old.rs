//! What earlier versions wrote is read as it was meant, and what a newer version wrote is refused in clear words.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is how a failure is told")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use engine::Verdict;
use scheduler::record::{self, RecordError};
use scheduler::run::AttemptExit;
use scheduler::store::StoreError;
use scheduler::{CatchUp, Counts, Outcome, Project, Rule, Run, RunState, Standing, Store, Trigger};

/// The versions of records that there have been.
const VERSIONS: [&str; 1] = ["1"];

fn old(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/old").join(version)
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(old("1").join("records").join(name)).unwrap()
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600 + seconds, 0).unwrap()
}

/// A store to work with, so that the old one stays as it is.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn every_old_version_is_tested() {
    let folder = old("1").parent().unwrap().to_owned();
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir());
    let found: BTreeSet<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert_eq!(found, VERSIONS.map(str::to_owned).into());
}

#[test]
fn a_project_of_version_1_has_what_it_had() {
    let project = record::decode_project(&bytes("project-fields")).unwrap();
    is_the_full_project(&project);
    let rule = |name: &str| record::decode_project(&bytes(name)).unwrap().schedule.rule;
    assert!(matches!(rule("project-cron"), Rule::Cron(cron) if cron.text() == "*/5 * * * *"));
    assert_eq!(rule("project-every"), Rule::Every(Duration::from_mins(30)));
    assert_eq!(rule("project-manual"), Rule::Manual);
    assert!(!record::decode_project(&bytes("project-every")).unwrap().enabled);
}

fn is_the_full_project(project: &Project) {
    assert_eq!(project.source.to_string(), "rsync://mirror@ftp.example.org:8730/debian/dists");
    assert_eq!(project.password.as_ref().unwrap().expose(), "hunter2");
    assert_eq!((project.place.to_str(), project.priority), (Some("/data/ftp/debian"), -3));
    assert_eq!((project.labels["array"].as_str(), project.version), ("1", 4));
    let schedule = &project.schedule;
    assert!(matches!(&schedule.rule, Rule::Fields(fields) if fields.given()["hour"] == "3"));
    assert_eq!((schedule.timezone, schedule.jitter), (chrono_tz::Europe::Berlin, Duration::from_mins(5)));
    assert_eq!((schedule.start, schedule.end), (Some(at(0)), Some(at(0) + TimeDelta::days(3650))));
    assert_eq!(schedule.catch_up, CatchUp::Once, "it could not be chosen yet");
}

#[test]
fn a_standing_of_version_1_has_what_it_had() {
    is_the_full_standing(&record::decode_standing(&bytes("standing")).unwrap());
}

fn is_the_full_standing(standing: &Standing) {
    assert_eq!((standing.generation, standing.fired), (7, Some(at(10_800))));
    assert_eq!((standing.failures, standing.unpublished, standing.skipped), (2, 5, 3));
    assert_eq!((standing.size_bytes, standing.files), (4096, 12));
    assert_eq!((standing.last_success, standing.unclean_since), (Some(at(10_900)), Some(at(10_000))));
    let last = standing.last_run.as_ref().unwrap();
    assert_eq!((last.outcome, last.started, last.ended), (Outcome::Succeeded, Some(at(10_800)), at(10_900)));
}

#[test]
fn a_run_of_version_1_has_what_it_had() {
    is_the_full_run(&record::decode_run(&bytes("run-ended")).unwrap());
    let state = |name: &str| record::decode_run(&bytes(name)).unwrap().state;
    assert_eq!(state("run-queued"), RunState::Queued);
    assert_eq!(state("run-running"), RunState::Running);
    let waits = RunState::BackingOff { until: at(11_000), reason: "busy".to_owned() };
    assert_eq!(state("run-backing-off"), waits);
}

fn is_the_full_run(run: &Run) {
    assert_eq!((run.trigger, run.scheduled, run.queued), (Trigger::Schedule, Some(at(10_800)), at(10_801)));
    assert_eq!((run.requested_by.as_deref(), run.cancelled_by.as_deref()), (Some("ann"), None));
    let reason = Some("because".to_owned());
    let state = RunState::Ended { at: at(10_900), outcome: Outcome::Succeeded, reason, generation: Some(7) };
    assert_eq!(run.state, state);
    let end = run.attempts[0].end.as_ref().unwrap();
    assert_eq!((end.verdict, &end.exit), (Verdict::RetrySoon, &AttemptExit::Signal(9)));
    assert_eq!((end.duration, end.class.as_str()), (Duration::from_millis(1500), "network"));
    assert_eq!(end.changes, Counts { created: 3, updated: 2, deleted: 1 });
    assert_eq!((end.stats.as_ref().unwrap().total_size, end.stderr[0].as_str()), (4096, "rsync: read error"));
    assert_eq!(run.attempts[1].end.as_ref().unwrap().exit, AttemptExit::Code(0));
}

#[test]
fn what_was_read_is_written_so_that_it_is_read_again() {
    for name in ["project-fields", "project-cron", "project-every", "project-manual"] {
        let first = record::decode_project(&bytes(name)).unwrap();
        let second = record::decode_project(&record::encode_project(&first)).unwrap();
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
    }
    let mut project = record::decode_project(&bytes("project-cron")).unwrap();
    for way in [CatchUp::None, CatchUp::Within(Duration::from_hours(6))] {
        project.schedule.catch_up = way;
        let again = record::decode_project(&record::encode_project(&project)).unwrap();
        assert_eq!(again.schedule.catch_up, way);
    }
    let mut run = record::decode_run(&bytes("run-running")).unwrap();
    run.cancelled_by = Some("ann".to_owned());
    assert_eq!(record::decode_run(&record::encode_run(&run)).unwrap().cancelled_by, run.cancelled_by);
}

#[test]
fn a_record_of_a_newer_version_is_refused_with_what_helps() {
    let mut record = bytes("project-cron");
    record[0] = 9;
    let error = record::decode_project(&record).unwrap_err();
    assert!(matches!(error, RecordError::Version { found: 9 }));
    assert!(error.to_string().contains("use the newer heliostat that wrote it"), "{error}");
    assert!(matches!(record::decode_run(&[]), Err(RecordError::Version { found: 0 })));
    assert!(matches!(record::decode_run(b"\x01{\"id\":"), Err(RecordError::Damaged(_))));
}

#[tokio::test]
async fn a_store_of_version_1_is_opened_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    copy(&old("1").join("store"), folder.path());
    {
        let store = Store::open(folder.path()).unwrap();
        let loaded = store.load().unwrap();
        let names: Vec<_> = loaded.projects.iter().map(|(project, _)| project.id.to_string()).collect();
        assert_eq!(names, ["debian", "gnu", "kernel", "manual"]);
        is_the_full_project(&loaded.projects[0].0);
        is_the_full_standing(&loaded.projects[0].1);
        let live: Vec<_> = loaded.live.iter().map(|run| run.state.as_str()).collect();
        assert_eq!(live, ["running", "queued", "backing-off"]);
        let runs = store.runs(Some(&loaded.projects[0].0.id), None, 10).unwrap();
        is_the_full_run(&runs[0]);
        store.forget_runs(&[(runs[0].project.clone(), runs[0].id)]).await.unwrap();
        store.close();
    }
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.load().unwrap().projects.len(), 4);
    assert_eq!(store.runs(None, None, 10).unwrap().len(), 3);
}

#[test]
fn a_store_of_a_newer_layout_is_refused_with_what_helps_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    copy(&old("1").join("store"), folder.path());
    {
        let database = fjall::Database::builder(folder.path()).open().unwrap();
        let meta = database.keyspace("meta", fjall::KeyspaceCreateOptions::default).unwrap();
        meta.insert("schema", 99_u64.to_be_bytes()).unwrap();
        database.persist(fjall::PersistMode::SyncAll).unwrap();
    }
    for _ in 0..2 {
        let error = Store::open(folder.path()).unwrap_err();
        assert!(matches!(error, StoreError::Schema { found: 99, .. }), "{error:?}");
        assert!(error.to_string().contains("use the heliostat that wrote it"), "{error}");
    }
}
