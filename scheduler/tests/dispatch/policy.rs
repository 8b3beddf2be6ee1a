//! A policy beside the real clockwork and store: what it is told of the past, and that what it says lasts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use scheduler::hooks::Answering;
use scheduler::policy::{Finished, Policy, Suggestion, View};
use scheduler::{Project, Rule, Schedule};

use crate::kit::{Site, wait_for};

/// Lets everything start in the reverse of its order, and says that projects are due again in 42 minutes.
#[derive(Debug, Default)]
struct Reverse {
    views: Mutex<Vec<View>>,
    told: Mutex<Vec<Finished>>,
}

impl Policy for Reverse {
    fn names(&self) -> Vec<String> {
        vec!["reverse".to_owned()]
    }

    fn picks(&self) -> bool {
        true
    }

    fn concerns(&self, _: &Project) -> bool {
        true
    }

    fn pick<'a>(&'a self, view: &'a View, _: &'a [Arc<Project>]) -> Answering<'a, Option<Vec<usize>>> {
        self.views.lock().unwrap().push(view.clone());
        Box::pin(std::future::ready(Some((0..view.queue.len()).rev().collect())))
    }

    fn next_delay<'a>(&'a self, _: &'a Project, run: &'a Finished) -> Answering<'a, Option<Suggestion>> {
        self.told.lock().unwrap().push(run.clone());
        let said = Suggestion { by: "reverse".to_owned(), delay: Duration::from_mins(42) };
        Box::pin(std::future::ready(Some(said)))
    }
}

#[tokio::test]
async fn it_learns_from_real_runs_and_what_it_says_outlives_a_restart_that_still_has_it() {
    let policy = Arc::new(Reverse::default());
    let site = Site::with(None, Some(policy.clone())).await;
    let project = site.project();
    let schedule = Schedule { rule: Rule::Every(Duration::from_hours(6)), ..project.schedule.clone() };
    // Its first run is due at once.
    site.create(Project { schedule, ..project }).await;
    let planned =
        |site: &Site| site.scheduler.board().project(&"p".parse().unwrap())?.standing.planned.clone();
    let first = wait_for(|| planned(&site), || "the policy is not heard".to_owned()).await;
    assert_eq!(first.by, "reverse");
    site.synced().await;
    let second =
        wait_for(|| planned(&site).filter(|it| it.at > first.at), || "it is not heard again".to_owned())
            .await;
    {
        let told = policy.told.lock().unwrap();
        let [first, second] = &told[..] else { panic!("{told:?}") };
        assert_eq!((first.recent.len(), second.recent.len()), (1, 2));
        assert!(first.recent[0].found_new && !second.recent[0].found_new);
        assert_eq!((first.news.len(), second.news.len(), second.last_new_ms), (1, 1, first.last_new_ms));
        assert!(first.default_delay_ms > 5 * 3_600_000, "{first:?}");
        assert!(policy.views.lock().unwrap().iter().all(|view| view.queue.len() == 1 && view.free_slots > 0));
    }
    let next = |site: &Site| site.scheduler.board().project(&"p".parse().unwrap()).unwrap().next;
    let site = site.restart(Some(policy)).await;
    assert_eq!((planned(&site).as_ref(), next(&site)), (Some(&second), Some(second.at)));
    // Without it, the project's own schedule holds again.
    let site = site.restart(None).await;
    assert_eq!(planned(&site), None);
    assert!(next(&site).unwrap() > second.at + Duration::from_hours(4));
}
