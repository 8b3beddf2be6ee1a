//! Who is told, when, and in which words.

use heliostat_plugin::http;
use heliostat_plugin::testing::{HeaderValue, Host, run_context, run_outcome};
use serde_json::{Value, json};

use super::*;

fn host() -> Host {
    Host::new().setting("url", "https://hooks.example.org/x")
}

fn failed() -> RunOutcome {
    RunOutcome {
        status: Status::Failed(10),
        class: "network".to_owned(),
        reason: "the upstream does not answer".to_owned(),
        ..run_outcome()
    }
}

/// One run after the other; what was sent for each.
fn story(mut host: Host, outcomes: &[RunOutcome]) -> Vec<usize> {
    outcomes
        .iter()
        .map(|outcome| {
            host = std::mem::take(&mut host).response(200, "ok");
            host.requests.clear();
            let (verdict, after_it) = std::mem::take(&mut host).run(|| after(&run_context(), outcome));
            assert_eq!(verdict.unwrap(), Verdict::Accept);
            host = after_it;
            host.requests.len()
        })
        .collect()
}

#[test]
fn a_break_is_told_once_and_the_repair_is() {
    let story_of_a_night = [run_outcome(), failed(), failed(), failed(), run_outcome(), run_outcome()];
    assert_eq!(story(host(), &story_of_a_night), [0, 1, 0, 0, 1, 0]);
    assert_eq!(story(host().setting("when", "failure"), &story_of_a_night), [0, 1, 1, 1, 1, 0]);
    assert_eq!(story(host().setting("when", "every"), &story_of_a_night), [1, 1, 1, 1, 1, 1]);
}

#[test]
fn what_is_not_an_end_or_was_wanted_is_not_told() {
    let retried = RunOutcome { will_retry: true, ..failed() };
    let cancelled = RunOutcome { status: Status::Cancelled, ..run_outcome() };
    let interrupted = RunOutcome { status: Status::Interrupted, ..run_outcome() };
    assert_eq!(story(host().setting("when", "every"), &[retried, cancelled, interrupted]), [0, 0, 0]);
}

#[test]
fn a_message_that_got_lost_is_sent_with_the_next_run() {
    let (first, host) = host().response(503, "busy").run(|| after(&run_context(), &failed()));
    let error = first.unwrap_err();
    assert!(error.is_retryable());
    assert_eq!(error.to_string(), "the URL answered 503: busy");
    let (second, host) = host.response(404, "gone").run(|| after(&run_context(), &failed()));
    assert!(!second.unwrap_err().is_retryable());
    let (third, host) = host.response(200, "").run(|| after(&run_context(), &failed()));
    assert_eq!(third.unwrap(), Verdict::Accept);
    assert_eq!(host.requests.len(), 3);
    assert_eq!(host.text(TOLD), Some("failed"));
}

#[test]
fn a_broken_connection_is_worth_another_try() {
    let mut host = host();
    host.responses.push(Err(http::Error::Timeout));
    let (answer, _) = host.run(|| after(&run_context(), &failed()));
    assert!(answer.unwrap_err().is_retryable());
}

#[test]
fn programs_are_told_everything() {
    let (_, host) =
        host().setting("site", "ftp.example.net").response(204, "").run(|| after(&run_context(), &failed()));
    let request = &host.requests[0];
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://hooks.example.org/x"));
    let body: Value = serde_json::from_slice(request.body.as_ref().unwrap()).unwrap();
    assert_eq!(body["project"], "debian");
    assert_eq!(body["state"], "failed");
    assert_eq!(body["previous_state"], Value::Null);
    assert_eq!(body["class"], "network");
    assert_eq!(body["changes"], json!({ "created": 7, "updated": 4, "deleted": 1 }));
    assert_eq!(
        body["text"],
        "[ftp.example.net] debian failed (rsync code 10): the upstream does not answer \
         (it was in sync 1h ago)"
    );
}

#[test]
fn slack_matrix_and_healthchecks_get_what_they_read() {
    let send = |shape: &str, outcome: &RunOutcome| {
        let host = host().setting("shape", shape).setting("when", "every").response(200, "");
        let (_, mut host) = host.run(|| after(&run_context(), outcome).unwrap());
        host.requests.remove(0)
    };
    let slack = send("slack", &run_outcome());
    assert_eq!(slack.body.unwrap(), br#"{"text":"debian is in sync with ftp.example.org"}"#);
    let matrix = send("matrix", &run_outcome());
    assert_eq!(matrix.method, "PUT");
    assert_eq!(matrix.url, "https://hooks.example.org/x/01KAY0G5QZX3T9V4S8M2J7C6BD-1");
    assert_eq!(send("healthchecks", &run_outcome()).url, "https://hooks.example.org/x");
    let fail = send("healthchecks", &failed());
    assert_eq!(fail.url, "https://hooks.example.org/x/fail");
    assert!(String::from_utf8(fail.body.unwrap()).unwrap().contains("does not answer"));
}

#[test]
fn the_secret_is_a_name_and_goes_into_its_header() {
    let host = host().setting("secret", "token").setting("secret_header", "X-Token").response(200, "");
    let (_, host) = host.run(|| after(&run_context(), &failed()).unwrap());
    assert!(
        host.requests[0].headers.contains(&("X-Token".to_owned(), HeaderValue::Secret("token".to_owned())))
    );
}
