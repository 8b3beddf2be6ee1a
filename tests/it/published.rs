//! The documents that mirror sites read, in every state that a project can be in, judged by the rules of those who read
//! them: `mirror-web` and `mirrorz-parser` for tunasync's, the README of `MirrorZ` for its own.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::kit::{Server, Upstream, wait_for};

/// The words that mirror-web knows.
const WORDS: [&str; 7] = ["none", "failed", "success", "syncing", "pre-syncing", "paused", "disabled"];
/// Unix seconds of the year 1, which is how Go writes that something never was.
const NEVER: i64 = -62_135_596_800;

/// A document as somebody without a login gets it.
fn open(server: &Server, path: &str) -> Value {
    let answer = crate::kit::client().get(server.url(path)).send().unwrap();
    assert_eq!(answer.status().as_u16(), 200, "{path}");
    assert_eq!(answer.headers()["content-type"], "application/json", "{path}");
    answer.json().unwrap()
}

fn named<'a>(list: &'a Value, key: &str, name: &str) -> &'a Value {
    let found = list.as_array().unwrap().iter().find(|one| one[key] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list}"))
}

/// A time as text and as seconds must be the same time, or both never.
fn assert_same_time(job: &Value, key: &str) {
    let text = job[key].as_str().unwrap_or_else(|| panic!("{key} in {job}"));
    let at =
        DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S %z").unwrap_or_else(|_| panic!("{key}: {text}"));
    assert_eq!(job[format!("{key}_ts")], at.timestamp(), "{key} in {job}");
    let near = (at.to_utc() - Utc::now()).abs() < TimeDelta::days(1);
    assert!(near || at.timestamp() == NEVER, "{key} is {text}");
}

/// What mirrorz-parser makes of one of tunasync's jobs. It knows no word for one that waits, which is pending here.
fn letters(job: &Value) -> String {
    let seconds = |key: &str| job[key].as_i64().unwrap();
    let since = |letter: char, key: &str| match seconds(key) {
        NEVER => String::new(),
        at => format!("{letter}{at}"),
    };
    let main = |letter: char, key: &str| match since(letter, key) {
        never if never.is_empty() => letter.to_string(),
        at => at,
    };
    let good = since('O', "last_update_ts");
    let status = match job["status"].as_str().unwrap() {
        "success" => main('S', "last_update_ts"),
        "paused" => main('P', "last_update_ts"),
        "syncing" => format!("{}{good}", main('Y', "last_started_ts")),
        "failed" => format!("{}{good}", main('F', "last_ended_ts")),
        "pre-syncing" => format!("D{good}"),
        _ => "U".to_owned(),
    };
    format!("{status}{}", since('X', "next_schedule_ts"))
}

/// A server with a project in each state, by its state's name.
fn site(upstream: &Upstream) -> Server {
    std::fs::write(upstream.tree().join("large"), vec![7; 3_000_000]).unwrap();
    let server = Server::start("concurrent: 1");
    let later = json!({"schedule": {"cron": "0 0 * * *"}});
    let slow = json!({"options": {"basic": ["--bwlimit=100"]}});
    server.project("none", &upstream.url("data"), &later);
    server.project("success", &upstream.url("data"), &later);
    server.project("off", &upstream.url("data"), &json!({}));
    server.project("failed", &upstream.url("nowhere"), &json!({}));
    server.project("syncing", &upstream.url("data"), &slow);
    server.project("waiting", &upstream.url("data"), &json!({}));
    for id in ["success", "off", "failed"] {
        server.ended(&server.sync(id));
    }
    assert_eq!(server.post("/api/v1/projects/off/disable", &json!({})).status, 200);
    let run = server.sync("syncing");
    server.moving(&run);
    server.sync("waiting");
    server
}

#[test]
fn every_state_is_written_as_its_readers_know_it() {
    let upstream = Upstream::start(3);
    let server = site(&upstream);
    let expected = [
        ("none", "none", 'U'),
        ("success", "success", 'S'),
        ("off", "paused", 'P'),
        ("failed", "failed", 'F'),
        ("syncing", "syncing", 'Y'),
        ("waiting", "pre-syncing", 'D'),
    ];
    // The picture that they are made of follows a moment later.
    let jobs = wait_for("every project to be in its state", || {
        let jobs = open(&server, "/status/tunasync.json");
        let there = expected.iter().all(|(id, word, _)| named(&jobs, "name", id)["status"] == *word);
        there.then_some(jobs)
    });
    let mirrorz = open(&server, "/status/mirrorz.json");
    assert_eq!(jobs.as_array().unwrap().len(), expected.len(), "{jobs}");
    assert_eq!(mirrorz["mirrors"].as_array().unwrap().len(), expected.len(), "{mirrorz}");
    for (id, _, letter) in expected {
        let job = named(&jobs, "name", id);
        assert!(WORDS.contains(&job["status"].as_str().unwrap()) && job["is_master"] == true, "{job}");
        for key in ["last_update", "last_started", "last_ended", "next_schedule"] {
            assert_same_time(job, key);
        }
        assert_eq!(job["upstream"], upstream.url(if id == "failed" { "nowhere" } else { "data" }));
        let mirror = named(&mirrorz["mirrors"], "cname", id);
        assert_eq!(mirror["url"], format!("/{id}"));
        let status = mirror["status"].as_str().unwrap();
        assert!(status.starts_with(letter), "{mirror}");
        assert_eq!(status, letters(job), "what mirrorz-parser makes of {job}");
        assert_eq!(mirror["size"], job["size"]);
    }
    let seconds = |id: &str, key: &str| named(&jobs, "name", id)[key].as_i64().unwrap();
    assert_eq!(named(&jobs, "name", "success")["size"], "2.9M");
    assert_eq!(named(&jobs, "name", "none")["size"], "unknown");
    assert!(seconds("success", "next_schedule_ts") > seconds("success", "last_update_ts"));
    assert_eq!(seconds("failed", "last_update_ts"), NEVER, "only a success is an update");
    assert!(seconds("failed", "last_ended_ts") > 0, "an end is an end however it ended");
    assert_eq!(seconds("off", "next_schedule_ts"), NEVER);
}

#[test]
fn the_site_is_named_as_mirrorz_wants_it() {
    let mut server = Server::start_with(
        "site: (url: \"https://mirror.example.edu\", abbr: \"EX\", name: \"Example\", homepage: \"https://example.edu\", \
         email: \"mirror@example.edu\"), ",
        |config, _| config,
    );
    server.ready();
    let document = open(&server, "/status/mirrorz.json");
    assert_eq!(document["version"], 1.7);
    let site = json!({
        "url": "https://mirror.example.edu", "abbr": "EX", "name": "Example", "homepage": "https://example.edu",
        "email": "mirror@example.edu",
    });
    assert_eq!((&document["site"], &document["info"], &document["mirrors"]), (&site, &json!([]), &json!([])));
    assert_eq!(open(&server, "/status.json")["projects"], json!([]));
}
