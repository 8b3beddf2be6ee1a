//! The dispatcher on a real store and real folders: trees that are still to move when it starts.

use std::fs;

use chrono::Duration as Span;

use super::*;
use crate::core::tests::{at, project};
use crate::core::{Tool, Write};
use crate::project::{Project, Standing};
use crate::relocation::Relocation;
use crate::run::{Run, RunState};

/// A store that a server left right after it had renamed `old` to `new`, and a folder with its tree.
async fn killed_before_the_move(folder: &Path) -> Settings {
    let (old, new) = (folder.join("old"), folder.join("new"));
    fs::create_dir(&old).unwrap();
    fs::write(old.join("file"), "precious").unwrap();
    let project = Project { place: new.clone(), dest: new.clone(), ..project("new", "h", "/d/new") };
    let standing = Standing { moving: Some(Relocation { from: old, to: new }), ..Standing::default() };
    let data_dir = folder.join("data");
    let store = Store::open(&data_dir.join("store")).unwrap();
    let id = project.id.clone();
    store
        .commit(vec![Write::Project(Arc::new(project)), Write::Standing(id, Box::new(standing))])
        .await
        .unwrap();
    store.close();
    Settings {
        landing: Landing { data_dir: data_dir.clone(), ..Landing::default() },
        data_dir,
        bounds: Bounds::default(),
        tool: Tool {
            program: "/bin/false".into(),
            limits: engine::Limits::default(),
            commands: std::sync::Arc::default(),
        },
        retention: Retention::default(),
        max_log: 1 << 20,
        reserve: crate::disk::Reserve::default(),
        hooks: None,
        policy: None,
        trace: None,
    }
}

async fn start(settings: Settings) -> Scheduler {
    let engine = Engine::new("/bin/false".into(), vec!["/bin/false".into()], &settings.data_dir).unwrap();
    Scheduler::start(settings, engine).await.unwrap()
}

/// Waits for something that is to come by itself.
async fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = at(0) + Span::seconds(20);
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    let mut passed = at(0);
    while !condition() {
        ticks.tick().await;
        passed += Span::milliseconds(5);
        assert!(passed < deadline, "gave up waiting for {what}");
    }
}

fn is_moving(scheduler: &Scheduler) -> bool {
    let entry = scheduler.board().project(&"new".parse().unwrap()).unwrap();
    entry.standing.moving.is_some()
}

async fn synced(scheduler: &Scheduler) -> Run {
    let command = Command::Sync { id: "new".parse().unwrap(), by: "ann".to_owned(), whole: false };
    let Ok(Answer::Run(run)) = scheduler.ask(command).await else { panic!("the sync was refused") };
    let stored = || scheduler.store().run(run.id).unwrap().unwrap();
    wait_for("the first attempt to end", || stored().attempts.iter().any(|attempt| attempt.end.is_some()))
        .await;
    stored()
}

#[tokio::test]
async fn a_start_makes_the_move_that_a_killed_server_had_promised() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let scheduler = start(killed_before_the_move(&root).await).await;
    wait_for("the note to go", || !is_moving(&scheduler)).await;
    assert_eq!(fs::read_to_string(root.join("new/file")).unwrap(), "precious");
    assert!(!root.join("old").exists());
    scheduler.stop().await;
}

#[tokio::test]
async fn nothing_is_fetched_while_a_tree_cannot_move() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let settings = killed_before_the_move(&root).await;
    fs::create_dir(root.join("new")).unwrap();
    fs::write(root.join("new/stranger"), "").unwrap();
    let scheduler = start(settings).await;
    let run = synced(&scheduler).await;
    let RunState::Ended { reason: Some(reason), .. } = &run.state else { panic!("{run:?}") };
    assert!(reason.contains("could not move") && reason.contains("is there besides"), "{reason}");
    assert!(root.join("old/file").exists() && root.join("new/stranger").exists() && is_moving(&scheduler));
    // Once the way is free, the next sync moves it first.
    fs::remove_dir_all(root.join("new")).unwrap();
    synced(&scheduler).await;
    wait_for("the note to go", || !is_moving(&scheduler)).await;
    assert!(root.join("new/file").exists() && !root.join("old").exists());
    scheduler.stop().await;
}

#[tokio::test]
async fn a_password_from_before_the_rule_ends_the_run_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let settings = killed_before_the_move(&root).await;
    let store = Store::open(&settings.data_dir.join("store")).unwrap();
    let (stored, _) = store.load().unwrap().projects.remove(0);
    let password = Some(engine::Secret::new("hunter2\nits second line"));
    store.commit(vec![Write::Project(Arc::new(Project { password, ..stored }))]).await.unwrap();
    store.close();
    drop(store);

    let scheduler = start(settings).await;
    let run = synced(&scheduler).await;
    let RunState::Ended { reason: Some(reason), .. } = &run.state else { panic!("{run:?}") };
    assert!(reason.contains("password contains a line break") && !reason.contains("hunter2"), "{reason}");
    let end = run.attempts[0].end.as_ref().unwrap();
    assert_eq!(end.class, "config", "{end:?}");
    scheduler.stop().await;
}

#[tokio::test]
async fn the_queue_is_made_for_those_who_read_it_and_not_by_each_step() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let mut settings = killed_before_the_move(&root).await;
    settings.bounds.concurrent = 0;
    let scheduler = start(settings).await;
    let board = scheduler.board();
    for number in 0..20 {
        let id = format!("p{number}");
        let place = root.join(&id);
        let project = Project { place: place.clone(), dest: place, ..project(&id, "h", "/d") };
        scheduler.ask(Command::Create(Box::new(project))).await.unwrap();
        scheduler
            .ask(Command::Sync { id: id.parse().unwrap(), by: "ann".to_owned(), whole: false })
            .await
            .unwrap();
        assert!(board.queue().is_empty() && board.is_queue_old(), "a step has made the queue");
    }

    scheduler.refresh_queue().await;
    assert_eq!(board.queue().len(), 20);
    // Nothing has changed since, so nothing is made again.
    let made = board.queue();
    scheduler.refresh_queue().await;
    assert!(Arc::ptr_eq(&made, &board.queue()));
    scheduler.stop().await;
    // A clockwork that is gone keeps no reader waiting.
    scheduler.refresh_queue().await;
    assert_eq!(board.queue().len(), 20);
}
