//! The plugins that ship, in the real host: each does what its page says.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use chrono::TimeDelta;
use engine::{Edit, Secret};
use plugins::{Answer, Candidate, Entry, PluginSettings, Question, Trial, View};
use scheduler::hooks::{Decision, Hooks, RunOutcome, Status, Verdict};
use scheduler::policy::Policy;
use serde_json::{Value, json};

use crate::kit::{Place, outcome};
use crate::real::guest;

/// A compiled plugin with these settings; none where nobody has compiled it.
fn example(place: &Place, name: &str, settings: &[(&str, &str)]) -> Option<PluginSettings> {
    let mut plugin = place.plugin(name, &std::fs::read(guest(name)?).unwrap());
    plugin.config = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Some(plugin)
}

#[tokio::test]
async fn a_dead_upstream_is_skipped_and_an_old_copy_is_not_called_good() {
    let place = Place::new();
    let settings = [("max_age", "2d"), ("marker", "lastupdate")];
    let Some(mut plugin) = example(&place, "freshness-guard", &settings) else { return };
    plugin.grants.dest_read = vec!["lastupdate".parse().unwrap()];
    let plugins = place.load(vec![plugin]).await;
    let mut context = place.context();
    context.upstream_marker = Some(context.now - TimeDelta::days(3));
    let votes = plugins.pre_sync(&context).await;
    let reason = "the upstream's marker is 3days old, more than 2days";
    assert_eq!((&votes[0].word, &votes[0].failure), (&Decision::Skip(reason.to_owned()), &None));

    std::fs::create_dir(place.path("tree")).unwrap();
    let old = (context.now - TimeDelta::days(3)).timestamp();
    std::fs::write(place.path("tree/lastupdate"), format!("{old}\n")).unwrap();
    let votes = plugins.post_sync(&context, &outcome()).await;
    let reason = "the copy's marker is 3days old, more than 2days";
    assert_eq!((&votes[0].word, &votes[0].failure), (&Verdict::Degrade(reason.to_owned()), &None));
}

/// A server for one request: its address, and the request as it came.
fn one_request() -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            let mut part = [0; 4096];
            let read = stream.read(&mut part).unwrap();
            assert!(read > 0, "the request ended early: {}", String::from_utf8_lossy(&request));
            request.extend_from_slice(&part[..read]);
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, server)
}

#[tokio::test]
async fn a_break_is_told_once_with_the_secret_in_its_header() {
    let place = Place::new();
    let (url, server) = one_request();
    let settings =
        [("url", url.as_str()), ("shape", "slack"), ("secret", "token"), ("secret_header", "X-Token")];
    let Some(mut plugin) = example(&place, "webhook", &settings) else { return };
    plugin.grants.http = vec![url.parse().unwrap()];
    plugin.grants.private_addresses = true;
    plugin.grants.kv_kib = 1;
    plugin.grants.secrets.insert("token".to_owned(), Secret::new("open-sesame"));
    let plugins = place.load(vec![plugin]).await;
    let failed = RunOutcome { status: Status::Failed(10), reason: "no answer".to_owned(), ..outcome() };
    // Nobody listens any more the second time: had it been told again, that would be a failure.
    for _ in 0..2 {
        let votes = plugins.post_sync(&place.context(), &failed).await;
        assert_eq!((&votes[0].word, &votes[0].failure), (&Verdict::Accept, &None));
    }
    let request = server.join().unwrap();
    assert!(request.to_lowercase().contains("x-token: open-sesame"), "{request}");
    let body: Value = serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["text"], "debian failed (rsync code 10): no answer (it has never been in sync)");
}

/// It is Wednesday 13:00 at the project.
#[tokio::test]
async fn in_quiet_hours_runs_wait_or_are_slow_and_others_are_picked() {
    let place = Place::new();
    let settings = [("quiet", "wed 12:00-14:30")];
    let Some(plugin) = example(&place, "quiet-hours", &settings) else { return };
    let plugins = place.load(vec![plugin]).await;
    let votes = plugins.pre_sync(&place.context()).await;
    let wait = Decision::Delay(Duration::from_mins(90), "quiet hours".to_owned());
    assert_eq!((&votes[0].word, &votes[0].failure), (&wait, &None));

    let candidate = |project: &str, utc_offset_minutes| Candidate {
        project: project.to_owned(),
        host: "example.org".to_owned(),
        labels: [].into(),
        trigger: "schedule".to_owned(),
        queued_at_ms: 1,
        due_at_ms: 1,
        last_duration_ms: None,
        last_success_ms: None,
        consecutive_failures: 0,
        priority: 0,
        utc_offset_minutes,
    };
    let now_ms = u64::try_from(place.context().now.timestamp_millis()).unwrap();
    let queue = vec![candidate("here", 60), candidate("india", 330)];
    let view = View { now_ms, free_slots: 1, running: vec![], queue };
    assert_eq!(plugins.pick(&view, &Place::projects(&["here", "india"])).await, Some(vec![1]));

    let slow = [("quiet", "wed 12:00-14:30"), ("bwlimit_kib", "500")];
    let plugins = place.load(vec![example(&place, "quiet-hours", &slow).unwrap()]).await;
    let votes = plugins.pre_sync(&place.context()).await;
    assert_eq!(votes[0].word, Decision::ProceedWith(vec![Edit::BwlimitKib(500)]));
}

#[tokio::test]
async fn an_upstream_with_a_habit_is_looked_at_when_it_has_news() {
    const HOUR: u64 = 3_600_000;
    let place = Place::new();
    let Some(mut plugin) = example(&place, "adaptive-schedule", &[("longest", "20h")]) else { return };
    plugin.path = place.path("adaptive-schedule.wasm");
    // News of ten days, each found at noon UTC, after a look an hour before; the schedule says every six hours.
    let noon = u64::try_from(place.context().now.timestamp_millis()).unwrap();
    let news: Vec<Value> = (0..10)
        .map(|day| noon - day * 24 * HOUR)
        .map(|found| json!({"unseen_ms": found - HOUR, "found_ms": found, "changes": 1}))
        .collect();
    let question = |now_ms: u64| -> Question {
        let run = json!({"project": "a", "now_ms": now_ms, "utc_offset_minutes": 0, "status": "unchanged",
            "duration_ms": 1, "consecutive_failures": 0, "default_delay_ms": 6 * HOUR, "min_delay_ms": 1,
            "max_delay_ms": 48 * HOUR, "last_new_ms": noon, "recent": [], "news": news});
        serde_json::from_value(json!({ "next-delay": run })).unwrap()
    };
    let entry = |now_ms| Entry {
        plugin: "adaptive-schedule".to_owned(),
        digest: String::new(),
        question: question(now_ms),
        answer: Err("not asked yet".to_owned()),
    };
    let asked = [entry(noon), entry(noon + 22 * HOUR + HOUR / 2)];
    let answers = Trial::load(plugin).await.unwrap().replay(&asked).await;
    let delay = |index: usize| match &answers[index].1 {
        Ok(Answer::DelayMs(ms)) => *ms,
        other => panic!("{other:?}"),
    };
    assert!(delay(0) > 6 * HOUR, "after the news it looks later than by schedule: {} ms", delay(0));
    assert!(delay(1) < 3 * HOUR, "before the hour of news it looks soon: {} ms", delay(1));
}
