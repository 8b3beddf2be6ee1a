//! Guests that misbehave: each is stopped, says why, and the next call finds a host as if nothing had been.

use std::time::Duration;

use plugins::{FailurePolicy, PluginSettings};
use scheduler::hooks::{Decision, Hooks};

use crate::guests::{HTTP, LOG, TEXT, component, log, module, pre, proceed};
use crate::kit::{Place, vote};

/// What the vote says of the failure, and that it did not count.
async fn failure(place: &Place, plugin: PluginSettings) -> String {
    let vote = vote(place, plugin).await;
    assert_eq!(vote.word, Decision::Proceed);
    vote.failure.unwrap()
}

#[tokio::test]
async fn a_loop_ends_when_its_processor_time_is_used_up() {
    let place = Place::new();
    let mut plugin = place.plugin("loop", &pre("", "", "(loop (br 0)) (unreachable)"));
    plugin.limits.wall = Duration::from_mins(5);
    assert_eq!(failure(&place, plugin).await, "it was stopped when it had used its 200 ms of processor time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_loop_lets_others_run_meanwhile() {
    let place = Place::new();
    let mut slow = place.plugin("loop", &pre("", "", "(loop (br 0)) (unreachable)"));
    slow.limits.cpu = Duration::from_mins(1);
    slow.limits.wall = Duration::from_mins(5);
    let slow = place.load(vec![slow]).await;
    let good = place.load(vec![place.plugin("good", &proceed())]).await;
    let context = place.context();
    tokio::select! {
        _ = slow.pre_sync(&context) => panic!("the loop ended first"),
        votes = good.pre_sync(&context) => assert_eq!(votes[0].failure, None),
    }
}

#[tokio::test]
async fn a_trap_is_named() {
    let place = Place::new();
    let plugin = place.plugin("trap", &pre("", "", "(unreachable)"));
    let failure = failure(&place, plugin).await;
    assert!(failure.starts_with("it trapped: ") && failure.contains("unreachable"), "{failure}");
}

#[tokio::test]
async fn a_recursion_without_end_is_stopped() {
    let place = Place::new();
    let hook = r#"(func $deep (result i32) (i32.add (call $deep) (i32.const 1)))
        (func (export "heliostat:plugin/pre-hook@0.1.0#pre-sync") (param i32) (result i32) (call $deep))"#;
    let plugin = place.plugin("deep", &component("pre", &module("", "", hook)));
    assert_eq!(failure(&place, plugin).await, "it was stopped when its calls went too deep");
}

#[tokio::test]
async fn a_memory_hog_is_stopped_at_its_limit() {
    let place = Place::new();
    let plugin =
        place.plugin("hog", &pre("", "", "(loop (drop (memory.grow (i32.const 16))) (br 0)) (unreachable)"));
    assert_eq!(failure(&place, plugin).await, "it was stopped when it wanted more than its 32 MiB of memory");
}

#[tokio::test]
async fn memory_beyond_what_is_reserved_can_be_used_up_to_its_limit() {
    let place = Place::new();
    let last = "(i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 4))";
    let body = format!(
        "(loop (drop (memory.grow (i32.const 16))) (i32.store {last} (i32.const 1)) (br 0)) (unreachable)"
    );
    let mut plugin = place.plugin("large", &pre("", "", &body));
    plugin.limits.memory_mib = 200;
    plugin.limits.cpu = Duration::from_mins(1);
    plugin.limits.wall = Duration::from_mins(5);
    assert_eq!(
        failure(&place, plugin).await,
        "it was stopped when it wanted more than its 200 MiB of memory"
    );
}

#[tokio::test]
async fn a_flood_of_lines_is_cut_and_ends_with_the_time() {
    let place = Place::new();
    let body = format!("(loop {} (br 0)) (unreachable)", log("hello"));
    let mut plugin = place.plugin("flood", &pre(LOG, "hello", &body));
    plugin.limits.log_lines = 3;
    plugin.limits.wall = Duration::from_mins(5);
    assert!(failure(&place, plugin).await.contains("200 ms of processor time"));
    let lines = place.lines.all();
    assert_eq!(lines[..3], vec!["info flood: hello"; 3]);
    assert!(lines[3].ends_with(" more lines of this call were left out") && lines.len() == 4, "{lines:?}");
}

#[tokio::test]
async fn waiting_in_a_host_call_ends_with_the_wall_time() {
    let place = Place::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let text = format!("GET{url}");
    let (at, length) = (TEXT + 3, url.len());
    let body = format!(
        "(call $send (i32.const {TEXT}) (i32.const 3) (i32.const {at}) (i32.const {length}) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 60000) (i32.const 128)) (i32.const 64)"
    );
    let mut plugin = place.plugin("sleeper", &pre(HTTP, &text, &body));
    plugin.grants.http = vec![url.parse().unwrap()];
    plugin.grants.private_addresses = true;
    plugin.limits.wall = Duration::from_millis(300);
    plugin.limits.cpu = Duration::from_mins(1);
    assert_eq!(failure(&place, plugin).await, "it was stopped after 300 ms");
}

#[tokio::test]
async fn memory_that_is_not_there_breaks_the_contract() {
    let place = Place::new();
    let module = r#"(module (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0x7ffffff0))
        (func (export "heliostat:plugin/pre-hook@0.1.0#pre-sync") (param i32) (result i32) (i32.const 64)))"#;
    let plugin = place.plugin("liar", &component("pre", module));
    assert!(failure(&place, plugin).await.starts_with("it broke the contract: "));
}

#[tokio::test]
async fn an_answer_that_is_larger_than_memory_or_has_no_end_is_refused() {
    let place = Place::new();
    let edits = "(i32.store8 (i32.const 72) (i32.const 1))
        (i32.store (i32.const 80) (i32.const 131072)) (i32.store (i32.const 84) (i32.const COUNT)) (i32.const 64)";
    let far = pre("", "", &edits.replace("COUNT", "0x0fffffff"));
    assert!(failure(&place, place.plugin("far", &far)).await.starts_with("it broke the contract: "));
    let many = pre("", "", &edits.replace("COUNT", "1000"));
    let expected = "it answered with 1000 edits, and 256 are the most";
    assert_eq!(failure(&place, place.plugin("many", &many)).await, expected);
    // A thousand edits of which each is the same text: little in the guest, and 200 MB here.
    let fill = "(local $at i32) (local.set $at (i32.const 131072))
        (loop
            (i32.store (i32.add (local.get $at) (i32.const 8)) (i32.const 200000))
            (local.set $at (i32.add (local.get $at) (i32.const 12)))
            (br_if 0 (i32.lt_u (local.get $at) (i32.const 143072))))";
    let wide = pre("", "", &format!("{fill} {}", edits.replace("COUNT", "1000")));
    assert!(failure(&place, place.plugin("wide", &wide)).await.starts_with("it broke the contract: "));
}

#[tokio::test]
async fn a_failure_counts_as_a_veto_where_the_operator_wants_it() {
    let place = Place::new();
    let mut plugin = place.plugin("gate", &pre("", "", "(unreachable)"));
    plugin.failure.pre = FailurePolicy::Closed;
    let plugins = place.load(vec![plugin.clone()]).await;
    let votes = plugins.pre_sync(&place.context()).await;
    let Decision::Veto(why) = &votes[0].word else { panic!("{votes:?}") };
    assert!(why.starts_with("plugin gate must agree, and has no answer: it trapped"), "{why}");
    let report = plugins.list().remove(0);
    assert_eq!((report.calls.calls, report.calls.failures, report.calls.traps), (1, 1, 1));
    assert!(report.last_error.unwrap().starts_with("it trapped"));
    // A gate that is not there does not stand open.
    std::fs::write(place.path("gate.wasm"), b"").unwrap();
    let votes = place.load(vec![plugin]).await.pre_sync(&place.context()).await;
    assert!(
        matches!(&votes[0].word, Decision::Veto(why) if why.contains("it is not loaded: it is no WebAssembly"))
    );
}

#[tokio::test]
async fn calls_beyond_the_bound_wait_and_then_give_up() {
    let place = Place::new();
    let mut plugin = place.plugin("busy", &pre("", "", "(loop (br 0)) (unreachable)"));
    plugin.limits.concurrency = 1;
    plugin.limits.cpu = Duration::from_mins(1);
    plugin.limits.wall = Duration::from_millis(500);
    let plugins = place.load(vec![plugin]).await;
    let context = place.context();
    let (one, two) = tokio::join!(plugins.pre_sync(&context), plugins.pre_sync(&context));
    let failures = [one, two].map(|votes| votes[0].failure.clone().unwrap());
    assert!(failures.contains(&"it was stopped after 500 ms".to_owned()), "{failures:?}");
    assert_eq!(plugins.list()[0].calls.failures, 2);
}
