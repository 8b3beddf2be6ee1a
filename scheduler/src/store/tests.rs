//! The store opened, written, closed or torn, and opened again.

mod bounds;
mod damage;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::*;
use crate::core::tests::{at, project};
use crate::project::ProjectLife;
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
        cancelled_by: None,
        began: None,
        attempts: Vec::new(),
        decisions: Vec::new(),
        delays: 0,
        hold: None,
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
            Write::Standing(project.id.clone(), Box::new(standing.clone())),
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

/// A store with one project and two runs.
async fn filled(folder: &Path) -> Store {
    let store = Store::open(folder).unwrap();
    let project = Arc::new(project("p", "h", "/d/p"));
    let standing = Standing { generation: 3, ..Standing::default() };
    let writes = vec![
        Write::Standing(project.id.clone(), Box::new(standing)),
        Write::Project(project),
        Write::Run(run(1, "p", ended())),
        Write::Run(run(2, "p", RunState::Queued)),
    ];
    store.commit(writes).await.unwrap();
    store
}

#[tokio::test]
async fn a_sound_store_is_called_sound_and_a_damaged_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path()).await;
    let expected = Checked { commit: 1, projects: 1, runs: 2, live: 1, problems: Vec::new() };
    assert_eq!(store.check().unwrap(), expected);
    let id = run(2, "p", ended()).id;
    let damage = vec![
        (Table::Projects, b"p".to_vec(), Some(b"\x01{".to_vec())),
        (Table::Standings, b"q".to_vec(), Some(record::encode_standing(&Standing::default()))),
        (Table::Live, id.to_bytes().to_vec(), None),
        (Table::ByProject, keys::of_project(&"q".parse().unwrap(), id), Some(Vec::new())),
    ];
    store.writer.commit(damage).await.unwrap();
    let problems = store.check().unwrap().problems;
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(problems[0].contains("project p") && problems[1].contains("standing of q"), "{problems:?}");
    assert!(problems[2].contains("names") && problems[3].contains("lacks"), "{problems:?}");
}

#[tokio::test]
async fn a_backup_is_put_back_whole_and_the_store_before_it_is_set_aside() {
    let (folder, backups) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("store");
    let store = filled(&path).await;
    let made = store.backup(backups.path(), at(100)).unwrap();
    assert_eq!((made.records, made.commit), (7, 1));
    assert_eq!(std::fs::metadata(&made.path).unwrap().permissions().mode() & 0o777, 0o600);
    store.commit(vec![Write::ForgetProject("p".parse().unwrap())]).await.unwrap();
    assert!(matches!(restore(&made.path, &path, at(101)), Err(BackupError::Store(StoreError::Locked(_)))));
    store.close();
    drop(store);
    let restored = restore(backups.path(), &path, at(102)).unwrap();
    assert_eq!((restored.records, restored.made), (7, at(100)));
    assert!(restored.set_aside.unwrap().exists());
    let store = Store::open(&path).unwrap();
    assert_eq!(
        store.check().unwrap(),
        Checked { commit: 1, projects: 1, runs: 2, live: 1, problems: Vec::new() }
    );
    assert_eq!(store.load().unwrap().projects[0].1.generation, 3);
}

#[tokio::test]
async fn a_backup_that_is_not_whole_changes_nothing() {
    let (folder, backups) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("store");
    let store = filled(&path).await;
    let made = store.backup(backups.path(), at(100)).unwrap();
    store.close();
    drop(store);
    let whole = std::fs::read_to_string(&made.path).unwrap();
    let last = whole.trim_end().rfind('\n').unwrap();
    let flipped = whole.replacen("runs", "runz", 1);
    for damaged in
        [&whole[..=last], &whole[..whole.len() / 2], &flipped, "", "{}\n", &whole[..whole.len() - 20]]
    {
        std::fs::write(&made.path, damaged).unwrap();
        let refused = restore(&made.path, &path, at(101)).unwrap_err();
        assert!(matches!(refused, BackupError::NotWhole { .. }), "{refused}");
    }
    assert!(matches!(restore(&path, &path, at(101)), Err(BackupError::None(_))));
    assert_eq!(Store::open(&path).unwrap().load().unwrap().projects.len(), 1);
    let mut beside: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    beside.sort();
    assert_eq!(beside, ["store", "store.lock"]);
}

#[test]
fn keyspaces_stand_in_the_order_of_their_names() {
    assert!(Table::ALL.into_iter().enumerate().all(|(index, table)| table as usize == index));
}

#[tokio::test]
async fn accounts_and_the_audit_trail_outlive_a_restart() {
    use crate::account::{AccountWrite, AuditEntry, Node, Role, Scope, Token, User};
    let folder = tempfile::tempdir().unwrap();
    let user = User {
        name: "jane".parse().unwrap(),
        role: Role::Viewer,
        hash: engine::Secret::new("$argon2id$x"),
        created: at(1),
    };
    let token = Token {
        id: "t1".into(),
        name: "push".into(),
        digest: [7; 32],
        scope: Scope::Start("debian".parse().unwrap(), ProjectLife::Created(at(1))),
        owner: "jane".parse().unwrap(),
        parent: Some("t0".into()),
        created: at(2),
        expires: Some(at(9)),
        last_used: None,
    };
    let node = Node {
        id: 1,
        hostname: "ftp-nyc".into(),
        port: "7000".into(),
        member: Some("ftp-nyc".parse().unwrap()),
        created: at(3),
    };
    let line = |id: u128| AuditEntry {
        id,
        at: at(4),
        by: "jane".into(),
        from: Some("127.0.0.1".into()),
        action: "project.update".into(),
        target: "debian".into(),
        before: Some(serde_json::json!({"a": 1})),
        after: None,
    };
    {
        let store = Store::open(folder.path()).unwrap();
        let mut writes = vec![
            AccountWrite::User(user.clone()),
            AccountWrite::Token(token.clone()),
            AccountWrite::Node(node.clone()),
        ];
        writes.extend([1, 2, 3].map(|id| AccountWrite::Audit(line(id))));
        store.commit_accounts(writes).await.unwrap();
        store.close();
    }
    let store = Store::open(folder.path()).unwrap();
    let accounts = store.accounts().unwrap();
    assert_eq!(
        (accounts.users, accounts.tokens, accounts.nodes),
        (vec![user.clone()], vec![token], vec![node])
    );
    assert_eq!(store.audit(None, 2).unwrap(), [line(3), line(2)]);
    assert_eq!(store.audit(Some(2), 9).unwrap(), [line(1)]);
    assert!(!format!("{user:?}").contains("argon2id"));
    store.commit_accounts(vec![AccountWrite::ForgetUser(user.name)]).await.unwrap();
    assert!(store.accounts().unwrap().users.is_empty());
}

#[tokio::test]
async fn the_ended_runs_of_a_renamed_project_are_found_under_its_new_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to): (ProjectId, ProjectId) = ("old".parse().unwrap(), "new".parse().unwrap());
    let store = Store::open(folder.path()).unwrap();
    let first = run(1, "old", ended());
    store.commit(vec![Write::Run(Arc::clone(&first)), Write::Run(run(2, "older", ended()))]).await.unwrap();
    // One that ends in the same batch goes along; one of a removed project of that name goes on alone.
    let writes = vec![
        Write::Run(run(3, "old", ended())),
        Write::Run(run(4, "old", RunState::Running)),
        Write::RenameRuns { from: from.clone(), to: to.clone() },
        Write::RenameRuns { from: to, to: "newest".parse().unwrap() },
    ];
    store.commit(writes).await.unwrap();
    // What was to be forgotten under the old name stays.
    assert!(store.forget_runs(&[(from.clone(), first.id)]).await.unwrap().is_empty());
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    let count = |name: &str| store.runs(Some(&name.parse().unwrap()), None, 10).unwrap().len();
    assert_eq!((count("old"), count("new"), count("newest"), count("older")), (1, 0, 2, 1));
    assert_eq!(store.run(first.id).unwrap().unwrap().project.as_str(), "newest");
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
}

#[tokio::test]
async fn each_restore_and_each_mark_that_is_given_up_begins_another_history() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backups) = (folder.path().join("store"), folder.path().join("backups"));
    let store = Store::open(&path).unwrap();
    assert_eq!(store.history(), None);
    store.commit(vec![Write::Run(run(1, "p", ended()))]).await.unwrap();
    let made = store.backup(&backups, at(100)).unwrap();
    store.close();
    drop(store);
    let history = || Store::open(&path).unwrap().history().map(str::to_owned);
    assert_eq!(history(), None, "a restart changes nothing");

    let mut known = vec![None];
    for second in [101, 102] {
        restore(&made.path, &path, at(second)).unwrap();
        known.push(history());
        assert_eq!(history(), known[known.len() - 1], "and neither does one later");
    }
    std::fs::remove_file(path.join("high-water")).unwrap();
    known.push(history());
    assert_eq!(history(), known[known.len() - 1]);
    let distinct: std::collections::BTreeSet<_> = known.iter().collect();
    assert_eq!(distinct.len(), known.len(), "{known:?}");
}

/// The journals of a store, with their sizes.
fn journal_sizes(store: &Path) -> Vec<(String, u64)> {
    let files = inspection::journals(&inspection::entries(store).unwrap().unwrap());
    let size =
        |path: PathBuf| (text(path.file_name().unwrap().as_encoded_bytes()), path.metadata().unwrap().len());
    files.into_values().map(size).collect()
}

#[tokio::test]
async fn a_store_that_was_closed_is_opened_without_its_old_journal() {
    let folder = tempfile::tempdir().unwrap();
    for number in 1..5 {
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.runs(None, None, 10).unwrap().len(), usize::try_from(number).unwrap() - 1);
        store.commit(vec![Write::Run(run(number, "p", ended()))]).await.unwrap();
        store.close();
        assert_eq!(journal_sizes(folder.path()), [(format!("{number}.jnl"), 0)]);
    }

    // Without anything new there is nothing to renew.
    Store::open(folder.path()).unwrap().close();
    assert_eq!(journal_sizes(folder.path()), [("4.jnl".to_owned(), 0)]);
    let checked = check(folder.path()).unwrap();
    assert_eq!((checked.commit, checked.runs, checked.problems), (4, 4, Vec::new()));
}

#[tokio::test]
async fn a_close_that_is_cut_off_before_the_old_journal_goes_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.commit(vec![Write::Run(run(1, "p", RunState::Running))]).await.unwrap();
    store.commit(vec![Write::Run(run(1, "p", ended())), Write::Run(run(2, "p", ended()))]).await.unwrap();
    std::fs::copy(folder.path().join("0.jnl"), folder.path().join("old")).unwrap();
    store.close();
    drop(store);
    std::fs::rename(folder.path().join("old"), folder.path().join("0.jnl")).unwrap();

    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.runs(None, None, 10).unwrap().len(), 2);
    store.commit(vec![Write::Run(run(3, "p", ended()))]).await.unwrap();
    store.close();
    drop(store);
    assert_eq!(journal_sizes(folder.path()), [("2.jnl".to_owned(), 0)]);
    let checked = check(folder.path()).unwrap();
    assert_eq!((checked.commit, checked.runs, checked.live, checked.problems), (3, 3, 0, Vec::new()));
}
