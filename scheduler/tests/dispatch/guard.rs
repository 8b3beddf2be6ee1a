//! The guard against a real rsync daemon: what upstreams do to mirrors, and what a person can do about it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use engine::Options;
use scheduler::run::Plan;
use scheduler::{
    Answer, Command, EventKind, Guard, Outcome, Project, Refusal, Rule, Run, RunId, RunState, journal,
};

use crate::kit::{Site, wait_for, write};

/// A mirror of 40 files in four folders, which is in step with its upstream.
async fn mirrored(change: impl FnOnce(&mut Project)) -> Site {
    let site = Site::new(None).await;
    for number in 0..40 {
        write(&site.served(&format!("pool/{}/file-{number}", number % 4)), &format!("content {number}"));
    }
    let mut project = site.project();
    change(&mut project);
    site.create(project).await;
    let run = site.synced().await;
    assert!(matches!(run.state, RunState::Ended { outcome: Outcome::Succeeded, .. }), "{run:?}");
    site
}

impl Site {
    /// Syncs `p` until it is held.
    async fn held(&self) -> Run {
        let run = self.sync().await;
        self.stored(run, |run| run.state == RunState::Held).await
    }

    async fn approve(&self, run: RunId, plan: Option<&str>) -> Result<Answer, Refusal> {
        let plan = plan.map(str::to_owned);
        self.scheduler.ask(Command::Approve { run, by: "ann".to_owned(), plan }).await
    }

    fn files(&self) -> usize {
        (0..4)
            .map(|n| self.local(&format!("pool/{n}")))
            .filter_map(|path| fs::read_dir(path).ok())
            .map(Iterator::count)
            .sum()
    }

    /// Waits until the held run has looked at its upstream once more.
    async fn looked_again(&self, run: RunId, before: &Plan) -> Run {
        let later = before.at;
        self.stored(run, |run| {
            run.state == RunState::Held && run.open_hold().is_some_and(|hold| hold.plan.at > later)
        })
        .await
    }

    fn planned(&self, run: &Run) -> Vec<String> {
        let plan = &run.hold.as_ref().unwrap().plan;
        let (items, _) = journal::changes(&self.scheduler.journals().plan(plan.listed_by), 0, 1000).unwrap();
        items.into_iter().map(|item| item.path).collect()
    }
}

fn plan(run: &Run) -> &Plan {
    &run.hold.as_ref().unwrap().plan
}

fn ended(run: &Run) -> Option<Outcome> {
    match run.state {
        RunState::Ended { outcome, .. } => Some(outcome),
        _ => None,
    }
}

#[tokio::test]
async fn an_upstream_that_became_empty_is_held_and_nothing_was_deleted() {
    let site =
        mirrored(|project| project.guard = Guard { max_delete_percent: 100, max_delete: 1_000_000 }).await;
    for name in ["a", "b", "pool"] {
        let path = site.served(name);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    let run = site.held().await;
    assert!(plan(&run).reason.contains("no files any more"), "{run:?}");
    assert_eq!(site.files(), 40);
    assert!(run.attempts.is_empty(), "what started no rsync is no attempt: {run:?}");
    assert_eq!(site.planned(&run).len() as u64, plan(&run).deletions.entries);
    // A small one too.
    let entry = site.scheduler.board().project(&run.project).unwrap();
    assert_eq!((entry.standing.failures, entry.active), (0, Some(run.id)));
}

#[tokio::test]
async fn an_upstream_that_was_halved_or_renamed_is_held_until_its_plan_is_approved() {
    let site = mirrored(|_| {}).await;
    fs::rename(site.served("pool"), site.served("pools")).unwrap();
    write(&site.served("new"), "new");
    let mut events = site.scheduler.events().subscribe(None);
    let run = site.held().await;
    assert_eq!(site.files(), 40);
    assert!(
        !site.local("new").exists() && !site.local("pools").exists(),
        "nothing may change while it is held"
    );
    let plan = plan(&run).clone();
    assert!(plan.reason.contains("guard.max_delete_percent"), "{plan:?}");
    assert!(plan.deletions.bytes > 0 && plan.created > 40 && plan.tree.entries > 40, "{plan:?}");
    assert!(site.planned(&run).contains(&"pool/3/file-39".to_owned()));
    // Approving another plan than the one that was seen is refused.
    let refused = site.approve(run.id, Some("0123")).await.unwrap_err();
    assert!(matches!(refused, Refusal::OtherPlan(_)), "{refused}");
    site.approve(run.id, Some(&plan.digest)).await.unwrap();
    let done = site.stored(run.id, |run| run.state.is_ended()).await;
    assert_eq!((ended(&done), site.files()), (Some(Outcome::Succeeded), 0));
    assert_eq!(done.hold.as_ref().unwrap().approved_by(), Some("ann"));
    assert!(site.local("pools/3/file-39").exists() && site.local("new").exists());
    let exact = format!("--max-delete={}", plan.deletions.entries);
    assert!(site.log(run.id).contains(&exact), "{}", site.log(run.id));
    let again = site.approve(run.id, None).await.unwrap_err();
    assert!(matches!(again, Refusal::NoRun(_)), "{again}");
    let mut kinds = Vec::new();
    while let Ok(event) = events.live.try_recv() {
        if matches!(&event.kind, EventKind::RunHeld(_) | EventKind::RunReleased(_) | EventKind::RunEnded(_)) {
            kinds.push(event.kind.as_str());
        }
    }
    assert_eq!(kinds, ["run.held", "run.released", "run.ended"]);
}

#[tokio::test]
async fn what_heals_goes_through_and_what_stays_the_same_says_nothing_again() {
    let site = mirrored(|_| {}).await;
    fs::rename(site.served("pool"), site.served("aside")).unwrap();
    let mut events = site.scheduler.events().subscribe(None);
    let run = site.held().await;
    assert_eq!(site.sync().await, run.id, "the same run looks again");
    let same = site.looked_again(run.id, plan(&run)).await;
    assert_eq!(plan(&same).digest, plan(&run).digest);
    assert_eq!(same.hold.as_ref().unwrap().since, run.hold.as_ref().unwrap().since);
    // More goes: another plan, and another word.
    fs::remove_file(site.served("a")).unwrap();
    site.sync().await;
    let other = site.looked_again(run.id, plan(&same)).await;
    assert_ne!(plan(&other).digest, plan(&run).digest);
    // The upstream is whole again.
    fs::rename(site.served("aside"), site.served("pool")).unwrap();
    site.sync().await;
    let healed = site.stored(run.id, |run| run.state.is_ended()).await;
    assert_eq!((ended(&healed), site.files()), (Some(Outcome::Succeeded), 40));
    let release = healed.hold.as_ref().unwrap().released.clone().unwrap();
    assert_eq!(release.by, None);
    let mut kinds = Vec::new();
    while let Ok(event) = events.live.try_recv() {
        if matches!(&event.kind, EventKind::RunHeld(_) | EventKind::RunReleased(_)) {
            kinds.push(event.kind.as_str());
        }
    }
    assert_eq!(kinds, ["run.held", "run.held", "run.released"]);
}

#[tokio::test]
async fn a_plan_that_changed_after_the_approval_is_held_again_and_says_so() {
    let site = mirrored(|_| {}).await;
    fs::rename(site.served("pool"), site.folder().join("aside")).unwrap();
    let run = site.held().await;
    // The upstream changes before the approved run looks.
    fs::remove_file(site.served("b")).unwrap();
    site.approve(run.id, Some(&plan(&run).digest)).await.unwrap();
    let again = site.looked_again(run.id, plan(&run)).await;
    assert!(plan(&again).reason.contains("not the one that ann approved"), "{again:?}");
    assert!(site.files() == 40 && site.local("b").exists());
    // Less than what was approved is part of it.
    fs::rename(site.folder().join("aside/3"), site.served("pool-3")).unwrap();
    site.approve(run.id, None).await.unwrap();
    let done = site.stored(run.id, |run| run.state.is_ended()).await;
    assert_eq!((ended(&done), site.files()), (Some(Outcome::Succeeded), 0));
}

#[tokio::test]
async fn a_rejected_run_ends_and_deletes_nothing() {
    let site = mirrored(|_| {}).await;
    fs::rename(site.served("pool"), site.served("pools")).unwrap();
    let run = site.held().await;
    let reject = Command::Reject { run: run.id, by: "ann".to_owned() };
    site.scheduler.ask(reject).await.unwrap();
    let run = site.stored(run.id, |run| run.state.is_ended()).await;
    assert_eq!((ended(&run), site.files()), (Some(Outcome::Cancelled), 40));
    assert!(matches!(site.approve(run.id, None).await, Err(Refusal::NoRun(_))));
}

#[tokio::test]
async fn a_destination_that_holds_something_else_is_not_emptied_by_the_first_sync() {
    let site = Site::new(None).await;
    for number in 0..30 {
        write(&site.local(&format!("precious/{number}")), "somebody else's");
    }
    site.create(site.project()).await;
    let run = site.held().await;
    assert_eq!((plan(&run).deletions.entries, plan(&run).tree.entries), (31, 31), "{run:?}");
    assert!(site.local("precious/29").exists() && !site.local("a").exists());
}

#[tokio::test]
async fn a_wrong_module_is_held() {
    let site = mirrored(|_| {}).await;
    let mut project = site.project();
    project.source = site.other_module();
    site.scheduler.ask(Command::Replace { project: Box::new(project), if_version: None }).await.unwrap();
    let run = site.held().await;
    assert!(site.files() == 40 && !site.local("something-else").exists(), "{run:?}");
}

#[tokio::test]
async fn few_deletions_go_through_and_an_unchanged_upstream_is_looked_at_once() {
    let site = mirrored(|_| {}).await;
    fs::remove_dir_all(site.served("pool/0")).unwrap();
    fs::create_dir(site.served("pool/0")).unwrap();
    for number in (0..40).step_by(4) {
        if number < 36 {
            write(&site.served(&format!("pool/0/file-{number}")), &format!("content {number}"));
        }
    }
    let run = site.synced().await;
    assert_eq!((ended(&run), site.files()), (Some(Outcome::Succeeded), 39), "{run:?}");
    let idle = site.synced().await;
    assert_eq!(ended(&idle), Some(Outcome::Unchanged));
    let log = site.log(idle.id);
    assert_eq!(log.matches("rsync started as process").count(), 1, "{log}");
    assert!(idle.stats().is_some_and(|stats| stats.files > 40));
}

#[tokio::test]
async fn an_upstream_that_cannot_read_a_folder_deletes_nothing() {
    let site = mirrored(|_| {}).await;
    // The daemon serves as nobody where it was started by root.
    fs::set_permissions(site.served("pool"), fs::Permissions::from_mode(0o0)).unwrap();
    let run = site.synced().await;
    fs::set_permissions(site.served("pool"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!((ended(&run), site.files()), (Some(Outcome::Partial), 40), "{run:?}");
}

#[tokio::test]
async fn a_schedule_has_a_held_run_look_again() {
    let site = mirrored(|_| {}).await;
    fs::rename(site.served("pool"), site.served("pools")).unwrap();
    let mut project = site.project();
    project.schedule.rule = Rule::Every(Duration::from_millis(300));
    site.scheduler.ask(Command::Replace { project: Box::new(project), if_version: None }).await.unwrap();
    let held = || site.scheduler.board().runs().into_iter().find(|run| run.state == RunState::Held);
    let run = wait_for(held, || "nothing is held".to_owned()).await;
    let again = site.looked_again(run.id, plan(&run)).await;
    assert_eq!(plan(&again).digest, plan(&run).digest);
    fs::rename(site.served("pools"), site.served("pool")).unwrap();
    let healed = site.stored(run.id, |run| run.state.is_ended()).await;
    assert!(matches!(ended(&healed), Some(Outcome::Unchanged | Outcome::Succeeded)), "{healed:?}");
    assert_eq!(site.files(), 40);
}

#[tokio::test]
async fn a_project_that_deletes_nothing_is_never_held() {
    let site = mirrored(|project| {
        project.options = Options::new(&["-avH".to_owned()], &[], "").unwrap();
    })
    .await;
    fs::rename(site.served("pool"), site.served("pools")).unwrap();
    let run = site.synced().await;
    assert_eq!((ended(&run), site.files()), (Some(Outcome::Succeeded), 40));
    assert!(!site.log(run.id).contains("--dry-run"));
}
