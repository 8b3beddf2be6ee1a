//! Who is asked, in which order, and what the answers are.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::Edit;
use plugins::{Candidate, Finished, Question, Settings, View, read_recording};
use scheduler::hooks::{Decision, Hooks, Status, Verdict};
use scheduler::policy::Policy;

use crate::guests::{LOG, log, policy, post, pre, proceed};
use crate::kit::{Place, outcome, vote};

#[tokio::test]
async fn every_decision_comes_as_the_guest_meant_it() {
    let place = Place::new();
    let delay = "(i32.store8 (i32.const 72) (i32.const 3)) (i64.store (i32.const 80) (i64.const 5000))
        (i32.store (i32.const 88) (i32.const 1024)) (i32.store (i32.const 92) (i32.const 3)) (i32.const 64)";
    // Two edits, each of 12 bytes: a bandwidth of 9, and no deletion.
    let edits = "(i32.store8 (i32.const 72) (i32.const 1)) (i32.store (i32.const 80) (i32.const 2048))
        (i32.store (i32.const 84) (i32.const 2)) (i32.store8 (i32.const 2048) (i32.const 2))
        (i32.store (i32.const 2052) (i32.const 9)) (i32.store8 (i32.const 2060) (i32.const 5)) (i32.const 64)";
    let why = || "why".to_owned();
    let cases = [
        ("proceed", "(i32.const 64)", Decision::Proceed),
        ("edits", edits, Decision::ProceedWith(vec![Edit::BwlimitKib(9), Edit::NoDelete])),
        ("skip", "(call $say (i32.const 2))", Decision::Skip(why())),
        ("delay", delay, Decision::Delay(Duration::from_secs(5), why())),
        ("veto", "(call $say (i32.const 4))", Decision::Veto(why())),
    ];
    for (id, body, expected) in cases {
        let vote = vote(&place, place.plugin(id, &pre("", "why", body))).await;
        assert_eq!((vote.word, vote.failure), (expected, None), "{id}");
    }
}

#[tokio::test]
async fn the_first_vote_against_ends_the_asking() {
    let place = Place::new();
    let mut last = place.plugin("a-last", &proceed());
    let mut skip = place.plugin("b-skip", &pre("", "no", "(call $say (i32.const 2))"));
    let first = place.plugin("c-first", &proceed());
    (last.order, skip.order) = (9, 5);
    let plugins = place.load(vec![last, skip, first]).await;
    let votes = plugins.pre_sync(&place.context()).await;
    assert_eq!(votes.iter().map(|vote| vote.plugin.as_str()).collect::<Vec<_>>(), ["c-first", "b-skip"]);
}

#[tokio::test]
async fn everybody_judges_after_a_run() {
    let place = Place::new();
    let reject = place.plugin("a", &post("bad", "(call $say (i32.const 2))"));
    let accept = place.plugin("b", &post("", "(i32.const 64)"));
    let plugins = place.load(vec![reject, accept]).await;
    let votes = plugins.post_sync(&place.context(), &outcome()).await;
    let words: Vec<_> = votes.iter().map(|vote| vote.word.clone()).collect();
    assert_eq!(words, [Verdict::Reject("bad".to_owned()), Verdict::Accept]);
}

#[tokio::test]
async fn only_those_are_asked_who_are_meant_for_the_project() {
    let place = Place::new();
    let meant = ["debian", "deb*", "label:tier=1"];
    let others = ["ubuntu", "label:tier=2"];
    let plugins = meant.iter().chain(&others).enumerate().map(|(number, pattern)| {
        let mut plugin = place.plugin(&format!("p{number}"), &proceed());
        plugin.projects = vec![pattern.parse().unwrap()];
        plugin
    });
    let plugins = place.load(plugins.collect()).await;
    let votes = plugins.pre_sync(&place.context()).await;
    assert_eq!(votes.iter().map(|vote| vote.plugin.as_str()).collect::<Vec<_>>(), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn a_retryable_error_is_asked_once_more_and_a_failure_is_not() {
    let place = Place::new();
    for (id, variant, asked) in [("failed", 0, 1), ("retryable", 1, 2)] {
        let body = format!("{} (call $fail (i32.const {variant}))", log("sorry"));
        let vote = vote(&place, place.plugin(id, &pre(LOG, "sorry", &body))).await;
        assert!(vote.failure.unwrap().ends_with("sorry"));
        let line = format!("info {id}: sorry");
        assert_eq!(place.lines.all().iter().filter(|said| **said == line).count(), asked, "{id}");
    }
}

fn view() -> View {
    let candidate = |project: &str| Candidate {
        project: project.to_owned(),
        host: "example.org".to_owned(),
        labels: BTreeMap::new(),
        trigger: "schedule".to_owned(),
        queued_at_ms: 1,
        due_at_ms: 1,
        last_duration_ms: None,
        last_success_ms: None,
        consecutive_failures: 0,
        priority: 0,
        utc_offset_minutes: 0,
    };
    View { now_ms: 5, free_slots: 1, running: vec![], queue: vec![candidate("a"), candidate("b")] }
}

#[tokio::test]
async fn a_policys_picks_are_used_as_far_as_they_can_be_and_recorded() {
    let place = Place::new();
    // The list 7, 1, 1, 0 at 2048.
    let pick = "(i32.store (i32.const 2048) (i32.const 7)) (i32.store (i32.const 2052) (i32.const 1))
        (i32.store (i32.const 2056) (i32.const 1)) (i32.store (i32.const 68) (i32.const 2048))
        (i32.store (i32.const 72) (i32.const 2)) (i32.const 64)";
    let plugin = place.plugin("policy", &policy("", pick, "(i32.const 64)"));
    let recording = Some(place.path("decisions.jsonl"));
    let plugins = place.load_all(Settings { recording, ..place.settings(vec![plugin]) }).await;
    assert!(plugins.picks());
    assert_eq!(plugins.pick(&view(), &Place::projects(&["a", "b"])).await, Some(vec![1]));
    let entries = read_recording(&place.path("decisions.jsonl")).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].question, Question::Pick(view()));
}

#[tokio::test]
async fn a_policy_that_fails_five_times_is_left_alone() {
    let place = Place::new();
    let plugin = place.plugin("policy", &policy("", "(unreachable)", "(i32.const 64)"));
    let plugins = place.load(vec![plugin]).await;
    for asked in 1..=5 {
        let picked = plugins.pick(&view(), &Place::projects(&["a", "b"])).await;
        assert_eq!(picked, Some(vec![0, 1]), "the built-in order");
        assert_eq!(plugins.list()[0].calls.calls, asked);
    }
    assert!(plugins.list()[0].resting);
    assert_eq!(plugins.pick(&view(), &Place::projects(&["a", "b"])).await, None);
    assert_eq!(plugins.list()[0].calls.calls, 5, "it was asked while it rests");
}

#[tokio::test]
async fn policies_are_asked_in_turn_about_their_own_projects() {
    let place = Place::new();
    // The list 1, 0; and the list 0.
    let list = |picks: &[u32]| {
        let stores = picks
            .iter()
            .enumerate()
            .map(|(at, pick)| format!("(i32.store (i32.const {}) (i32.const {pick}))", 2048 + 4 * at));
        let stores: String = stores.collect();
        let count = picks.len();
        format!(
            "{stores} (i32.store (i32.const 68) (i32.const 2048)) (i32.store (i32.const 72) (i32.const {count})) (i32.const 64)"
        )
    };
    let mut turns = place.plugin("turns", &policy("", &list(&[1, 0]), "(i32.const 64)"));
    turns.projects = vec!["a".parse().unwrap(), "b".parse().unwrap()];
    turns.order = 1;
    let mut first = place.plugin("first", &policy("", &list(&[0]), "(i32.const 64)"));
    first.order = 2;
    let plugins = place.load(vec![turns, first]).await;
    let projects = Place::projects(&["c", "a", "b"]);
    let candidate = |project: &str| Candidate { project: project.to_owned(), ..view().queue[0].clone() };
    let three = View { queue: ["c", "a", "b"].map(candidate).to_vec(), ..view() };
    assert_eq!(plugins.pick(&three, &projects).await, Some(vec![0]));
    let calls = plugins.list();
    assert_eq!((calls[0].calls.calls, calls[1].calls.calls), (1, 1));
}

#[test]
fn a_delay_beyond_its_bounds_is_the_nearer_bound() {
    let run = Finished {
        project: "a".to_owned(),
        now_ms: 0,
        utc_offset_minutes: 0,
        status: Status::Failed(12),
        duration_ms: 0,
        consecutive_failures: 0,
        default_delay_ms: 100,
        min_delay_ms: 10,
        max_delay_ms: 1000,
        last_new_ms: None,
        recent: vec![],
        news: vec![],
    };
    assert_eq!([0, 10, 500, u64::MAX].map(|delay| run.usable(delay)), [10, 10, 500, 1000]);
    let json = serde_json::to_string(&run).unwrap();
    assert!(json.contains(r#""status":"failed 12""#), "{json}");
    assert_eq!(serde_json::from_str::<Finished>(&json).unwrap(), run);
}
