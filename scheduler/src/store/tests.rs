//! The store opened, written, closed or torn, and opened again.

use std::sync::Arc;

use super::*;
use crate::core::tests::{at, project};
use crate::run::{Outcome, RunState, Trigger};

fn run(number: u128, name: &str, state: RunState) -> Arc<Run> {
    Arc::new(Run {
        id: RunId::after(None, at(i64::try_from(number).unwrap()), number),
        project: name.parse().unwrap(),
        trigger: Trigger::Manual,
        requested_by: None,
        scheduled: None,
        queued: at(0),
        state,
        attempts: Vec::new(),
    })
}

fn ended() -> RunState {
    RunState::Ended { at: at(9), outcome: Outcome::Failed, reason: None, generation: None }
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let project = Arc::new(project("debian", "h", "/d/debian"));
    let standing = Standing { generation: 7, fired: Some(at(3)), ..Standing::default() };
    let (first, second) = (run(1, "debian", ended()), run(2, "debian", RunState::Running));
    {
        let store = Store::open(folder.path()).unwrap();
        let writes = vec![
            Write::Project(Arc::clone(&project)),
            Write::Standing(project.id.clone(), standing.clone()),
            Write::Run(Arc::clone(&first)),
            Write::Run(Arc::clone(&second)),
            Write::Run(run(3, "debian-cd", ended())),
        ];
        store.commit(writes).await.unwrap();
        store.close();
    }
    let store = Store::open(folder.path()).unwrap();
    let loaded = store.load().unwrap();
    assert_eq!(loaded.projects.len(), 1);
    assert_eq!(format!("{:?}", loaded.projects[0]), format!("{:?}", (Project::clone(&project), standing)));
    assert_eq!(loaded.live.iter().map(|run| run.id).collect::<Vec<_>>(), [second.id]);
    let runs = store.runs(Some(&project.id), None, 10).unwrap();
    assert_eq!(runs.iter().map(|run| run.id).collect::<Vec<_>>(), [second.id, first.id]);
    assert_eq!(store.runs(None, Some(second.id), 10).unwrap().len(), 1);
    let names: Vec<_> = store.projects_with_runs().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["debian", "debian-cd"]);
}

#[tokio::test]
async fn a_forgotten_run_is_gone_from_every_list() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let run = run(1, "p", ended());
    store.commit(vec![Write::Run(Arc::clone(&run))]).await.unwrap();
    store.forget_runs(&[(run.project.clone(), run.id)]).await.unwrap();
    assert!(store.run(run.id).unwrap().is_none());
    assert!(store.projects_with_runs().unwrap().is_empty());
}

#[test]
fn a_second_opener_is_told_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Store::open(folder.path()).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Locked(_))));
}

#[tokio::test]
async fn a_store_that_has_lost_commits_is_refused_and_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let old = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.commit(vec![Write::Run(run(1, "p", ended()))]).await.unwrap();
    store.close();
    drop(store);
    copy(folder.path(), old.path());
    let store = Store::open(folder.path()).unwrap();
    store.commit(vec![Write::Run(run(2, "p", ended()))]).await.unwrap();
    store.close();
    drop(store);
    // An old copy is put back, beside the mark of the newer one.
    std::fs::copy(folder.path().join("high-water"), old.path().join("high-water")).unwrap();
    assert!(matches!(Store::open(old.path()), Err(StoreError::Lost { found: 1, expected: 2, .. })));
    std::fs::remove_file(old.path().join("high-water")).unwrap();
    Store::open(old.path()).unwrap();
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
