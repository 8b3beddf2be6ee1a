//! Hooks in plain Rust, through the real dispatcher: each word that they can say, and what follows from it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::Edit;
use scheduler::hooks::{Answering, Decision, Hooks, RunContext, RunOutcome, Status, Verdict, Vote, When};
use scheduler::project::ProjectHook;
use scheduler::{Command, EventKind, Outcome, Project, Run, RunPhase, RunState};

use crate::kit::{Site, write};

/// A plugin that says what it was told to say, one word for each time it is asked.
#[derive(Debug, Default)]
struct Scripted {
    before: Mutex<Vec<Decision>>,
    after: Mutex<Vec<Verdict>>,
    heard: Mutex<Vec<(RunContext, RunOutcome)>>,
    asked: AtomicUsize,
}

impl Scripted {
    fn new(before: Vec<Decision>, after: Vec<Verdict>) -> Arc<Self> {
        Arc::new(Self { before: Mutex::new(before), after: Mutex::new(after), ..Self::default() })
    }

    fn outcomes(&self) -> Vec<Status> {
        self.heard.lock().unwrap().iter().map(|(_, outcome)| outcome.status.clone()).collect()
    }
}

fn vote<T>(word: T) -> Vec<Vote<T>> {
    vec![Vote { plugin: "scripted".to_owned(), word, failure: None, took: Duration::from_millis(3) }]
}

fn next<T>(words: &Mutex<Vec<T>>) -> Option<T> {
    let mut words = words.lock().unwrap();
    (!words.is_empty()).then(|| words.remove(0))
}

impl Hooks for Scripted {
    fn concerns(&self, project: &Project, _: When) -> bool {
        project.id.as_str() == "p"
    }

    fn knows(&self, plugin: &str) -> bool {
        plugin == "scripted"
    }

    fn pre_sync<'a>(&'a self, context: &'a RunContext) -> Answering<'a, Vec<Vote<Decision>>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            assert!(context.rsync_args.iter().any(|argument| argument == "--delete"));
            vote(next(&self.before).unwrap_or(Decision::Proceed))
        })
    }

    fn post_sync<'a>(
        &'a self,
        context: &'a RunContext,
        outcome: &'a RunOutcome,
    ) -> Answering<'a, Vec<Vote<Verdict>>> {
        Box::pin(async move {
            self.heard.lock().unwrap().push((context.clone(), outcome.clone()));
            vote(next(&self.after).unwrap_or(Verdict::Accept))
        })
    }
}

fn outcome(run: &Run) -> (Outcome, &str) {
    match &run.state {
        RunState::Ended { outcome, reason, .. } => (*outcome, reason.as_deref().unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

fn because(text: &str) -> String {
    text.to_owned()
}

#[tokio::test]
async fn a_run_with_hooks_passes_through_its_phases_and_keeps_what_they_said() {
    let plugin = Scripted::new(Vec::new(), Vec::new());
    let site = Site::new(Some(plugin.clone())).await;
    site.create(site.project()).await;
    let mut events = site.scheduler.events().subscribe(None);
    let run = site.synced().await;
    assert_eq!(outcome(&run), (Outcome::Succeeded, ""));
    assert!(site.local("pool/c").exists());
    let said: Vec<_> = run.decisions.iter().map(|said| (said.when, said.decision.as_str())).collect();
    assert_eq!(said, [(When::PreSync, "proceed"), (When::PostSync, "accept")]);
    assert_eq!(run.decisions[0].took, Duration::from_millis(3));
    assert!(site.log(run.id).contains("pre-sync by scripted: proceed"), "{}", site.log(run.id));
    let mut phases = Vec::new();
    while let Ok(event) = events.live.try_recv() {
        phases.extend(match &event.kind {
            EventKind::RunPhase(_, phase) => Some(*phase),
            _ => None,
        });
    }
    assert_eq!(phases, [RunPhase::Running, RunPhase::Finishing]);
    assert_eq!(plugin.outcomes(), [Status::Succeeded]);
    // The next one knows of this one.
    site.synced().await;
    let heard = plugin.heard.lock().unwrap();
    let (context, told) = &heard[1];
    assert_eq!(told.previous, Some(Status::Succeeded));
    assert_eq!((context.recent.len(), context.recent[0].found_new, context.attempt), (1, true, 1));
    assert_eq!(told.status, Status::Unchanged);
}

#[tokio::test]
async fn a_run_that_is_skipped_starts_no_rsync_and_is_no_failure() {
    let plugin = Scripted::new(vec![Decision::Skip(because("a holiday"))], Vec::new());
    let site = Site::new(Some(plugin.clone())).await;
    site.create(site.project()).await;
    let run = site.synced().await;
    assert_eq!(outcome(&run), (Outcome::Skipped, "a holiday"));
    assert!(run.attempts.is_empty() && run.started().is_some(), "{run:?}");
    assert!(!site.local("a").exists());
    let entry = site.scheduler.board().project(&run.project).unwrap();
    assert_eq!((entry.standing.failures, entry.standing.last_success), (0, None));
    assert_eq!(plugin.outcomes(), [Status::Skipped]);
}

#[tokio::test]
async fn a_veto_fails_the_run_and_nothing_is_tried_again() {
    let plugin = Scripted::new(vec![Decision::Veto(because("not signed"))], Vec::new());
    let site = Site::new(Some(plugin.clone())).await;
    site.create(site.project()).await;
    let run = site.synced().await;
    assert_eq!(outcome(&run), (Outcome::Failed, "not signed"));
    assert_eq!(plugin.asked.load(Ordering::Relaxed), 1);
    assert!(run.attempts.is_empty() && !site.local("a").exists());
}

#[tokio::test]
async fn a_delay_uses_up_no_attempt_and_the_hook_is_asked_again() {
    let delay = Decision::Delay(Duration::ZERO, because("the upstream is being updated"));
    let plugin = Scripted::new(vec![delay], Vec::new());
    let site = Site::new(Some(plugin.clone())).await;
    site.create(site.project()).await;
    let run = site.sync().await;
    let waits = site.stored(run, |run| matches!(run.state, RunState::BackingOff { .. })).await;
    assert!(waits.attempts.is_empty() && waits.delays == 1, "{waits:?}");
    let run = site.stored(run, |run| run.state.is_ended()).await;
    assert_eq!(outcome(&run).0, Outcome::Succeeded);
    assert_eq!((run.attempts.len(), plugin.asked.load(Ordering::Relaxed)), (1, 2));
    assert_eq!(plugin.outcomes(), [Status::Succeeded], "a wait is no end");
}

#[tokio::test]
async fn edits_reach_rsync_and_bad_ones_stop_the_attempt() {
    let edits = vec![Edit::Exclude("/b".to_owned()), Edit::NoDelete];
    let bad = Decision::ProceedWith(vec![Edit::Exclude("x\ny".to_owned())]);
    let plugin = Scripted::new(vec![Decision::ProceedWith(edits), bad], Vec::new());
    let site = Site::new(Some(plugin)).await;
    site.create(site.project()).await;
    write(&site.local("stranger"), "is not upstream");
    let run = site.synced().await;
    assert_eq!(outcome(&run).0, Outcome::Succeeded);
    assert!(site.local("a").exists() && !site.local("b").exists() && site.local("stranger").exists());
    let run = site.synced().await;
    let (ended, reason) = outcome(&run);
    assert!(ended == Outcome::Failed && reason.contains("control character"), "{reason}");
    assert_eq!(run.attempts.len(), 1);
}

#[tokio::test]
async fn a_judgement_makes_a_good_end_worse_and_never_a_bad_one_better() {
    let after = vec![
        Verdict::Degrade(because("the index is older")),
        Verdict::Reject(because("a signature is wrong")),
        Verdict::RetryAfter(Duration::ZERO, because("not there yet")),
        Verdict::RetryAfter(Duration::ZERO, because("still not there")),
    ];
    let plugin = Scripted::new(Vec::new(), after);
    let site = Site::new(Some(plugin.clone())).await;
    site.create(site.project()).await;
    let degraded = site.synced().await;
    assert_eq!(outcome(&degraded), (Outcome::Partial, "a hook says: the index is older"));
    let rejected = site.synced().await;
    assert_eq!(outcome(&rejected), (Outcome::Failed, "a hook says: a signature is wrong"));
    assert_eq!(rejected.attempts.len(), 1);
    // Two attempts are all that the project has.
    let again = site.synced().await;
    assert_eq!(outcome(&again), (Outcome::Failed, "a hook says: still not there"));
    assert_eq!(again.attempts.len(), 2);
    let entry = site.scheduler.board().project(&again.project).unwrap();
    assert_eq!((entry.standing.failures, entry.standing.generation), (3, 0));
    // What came before is published by the next good run.
    let good = site.synced().await;
    assert_eq!(outcome(&good).0, Outcome::Succeeded);
    let heard = plugin.heard.lock().unwrap();
    assert!(heard.iter().all(|(_, outcome)| !outcome.will_retry));
}

#[tokio::test]
async fn a_hook_that_takes_its_time_does_not_keep_a_run_from_being_cancelled() {
    #[derive(Debug)]
    struct Silent;
    impl Hooks for Silent {
        fn concerns(&self, _: &Project, when: When) -> bool {
            when == When::PreSync
        }
        fn knows(&self, _: &str) -> bool {
            true
        }

        fn pre_sync<'a>(&'a self, _: &'a RunContext) -> Answering<'a, Vec<Vote<Decision>>> {
            Box::pin(std::future::pending())
        }
        fn post_sync<'a>(
            &'a self,
            _: &'a RunContext,
            _: &'a RunOutcome,
        ) -> Answering<'a, Vec<Vote<Verdict>>> {
            Box::pin(std::future::pending())
        }
    }
    let site = Site::new(Some(Arc::new(Silent))).await;
    site.create(site.project()).await;
    let run = site.sync().await;
    site.stored(run, |run| run.state == RunState::Running).await;
    let record = site.scheduler.board().run(run).unwrap();
    assert_eq!(site.scheduler.board().state(&record), "preparing");
    let cancel = scheduler::Command::Cancel { run, by: "ann".to_owned() };
    site.scheduler.ask(cancel).await.unwrap();
    let run = site.stored(run, |run| run.state.is_ended()).await;
    assert_eq!(outcome(&run), (Outcome::Cancelled, "cancelled by ann"));
}

#[tokio::test]
async fn a_plugin_that_a_project_names_and_nobody_knows_any_more_vetoes_where_it_must_agree() {
    let site = Site::new(None).await;
    let hook = |closed| ProjectHook {
        plugin: "gone".to_owned(),
        on: Vec::new(),
        order: None,
        closed,
        config: std::collections::BTreeMap::new(),
    };
    site.create(Project { hooks: vec![hook(Some(true))], ..site.project() }).await;
    let run = site.synced().await;
    assert_eq!(outcome(&run).0, Outcome::Failed);
    assert!(outcome(&run).1.contains("no plugin gone any more") && !site.local("a").exists(), "{run:?}");
    let open = Project { hooks: vec![hook(None)], ..site.project() };
    let replace = Command::Replace { project: Box::new(open), if_version: None };
    site.scheduler.ask(replace).await.unwrap();
    let run = site.synced().await;
    assert_eq!(outcome(&run).0, Outcome::Succeeded);
    assert!(site.log(run.id).contains("no plugin gone any more"));
}
