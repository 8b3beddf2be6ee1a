//! A plugin tried without a server.

use plugins::{Answer, Entry, Question, Trial, Trying};
use serde_json::json;

use crate::guests::{LOG, log, policy, pre};
use crate::kit::Place;

#[tokio::test]
async fn a_try_shows_the_word_and_the_lines() {
    let place = Place::new();
    let body = format!("{} (call $say (i32.const 2))", log("not today"));
    let mut plugin = place.plugin("p", &pre(LOG, "not today", &body));
    plugin.path = place.path("p.wasm");
    let trial = Trial::load(plugin).await.unwrap();
    let tried = trial.ask(&Trying::pre_sync("{}").unwrap()).await;
    assert_eq!(tried.answer, Ok(json!({"decision": "skip", "reason": "not today"})));
    assert_eq!(tried.lines, ["info not today"]);
    assert!(Trying::pre_sync(r#"{"projekt": 1}"#).unwrap_err().to_string().contains("projekt"));
    let tried = trial.ask(&Trying::post_sync("{}").unwrap()).await;
    assert!(tried.answer.unwrap_err().contains("no such hook"));
}

#[tokio::test]
async fn a_replay_shows_where_a_policy_decides_otherwise_now() {
    let place = Place::new();
    // Always 5 ms.
    let five = "(i64.store (i32.const 72) (i64.const 5)) (i32.const 64)";
    let mut plugin = place.plugin("p", &policy("", "(i32.const 64)", five));
    plugin.path = place.path("p.wasm");
    let run = json!({"project": "a", "now_ms": 0, "utc_offset_minutes": 0, "status": "succeeded", "duration_ms": 0,
        "consecutive_failures": 0, "default_delay_ms": 1, "min_delay_ms": 0, "max_delay_ms": 9, "last_new_ms": null,
        "recent": [], "news": []});
    let question: Question = serde_json::from_value(json!({ "next-delay": run })).unwrap();
    let entry =
        |answer| Entry { plugin: "p".to_owned(), digest: String::new(), question: question.clone(), answer };
    let entries =
        [entry(Ok(Answer::DelayMs(5))), entry(Ok(Answer::DelayMs(7))), entry(Err("broken".to_owned()))];
    let others = Trial::load(plugin).await.unwrap().replay(&entries).await;
    assert_eq!(others, [(1, Ok(Answer::DelayMs(5))), (2, Ok(Answer::DelayMs(5)))]);
}
