//! The guest that was compiled when version 0.1 of the contract was frozen: it loads and works, for ever.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use engine::{Edit, Secret};
use plugins::{Part, PluginSettings, check};
use scheduler::hooks::{Decision, Hooks, Verdict, Vote};

use crate::kit::{Place, outcome, vote};

/// The plugin, with every grant, that answers so.
fn frozen(place: &Place, answer: &str) -> PluginSettings {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/plugins/v0.1/every-import.wasm");
    let mut plugin = place.plugin("frozen", &std::fs::read(file).unwrap());
    plugin.grants.kv_kib = 1;
    plugin.grants.http = vec!["http://127.0.0.1:1/*".parse().unwrap()];
    plugin.grants.dest_read = vec!["trace".parse().unwrap(), "trace/*".parse().unwrap()];
    plugin.grants.dest_write = vec!["trace/*".parse().unwrap()];
    plugin.config.insert("answer".to_owned(), answer.to_owned());
    plugin
}

async fn verdict(place: &Place, plugin: PluginSettings) -> Vote<Verdict> {
    let plugins = place.load(vec![plugin]).await;
    assert_eq!(plugins.list()[0].refused, None);
    plugins.post_sync(&place.context(), &outcome()).await.remove(0)
}

#[tokio::test]
async fn it_is_what_it_was_on_its_first_day() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/plugins/v0.1/every-import.wasm");
    let shape = check(&file).await.unwrap();
    assert_eq!(
        (shape.version.as_str(), shape.parts.as_slice()),
        ("0.1.0", &[Part::PreSync, Part::PostSync][..])
    );
    let needs: Vec<_> = shape.needs.iter().map(|need| need.as_str()).collect();
    assert_eq!(needs, ["http", "dest", "kv"]);
}

#[tokio::test]
async fn every_decision_of_it_is_understood() {
    let place = Place::new();
    let run = place.context().run;
    let edits = vec![
        Edit::Exclude("/a".to_owned()),
        Edit::Include("/b".to_owned()),
        Edit::BwlimitKib(1),
        Edit::TimeoutSecs(2),
        Edit::MaxDelete(3),
        Edit::NoDelete,
        Edit::DeleteAfter,
    ];
    for (answer, expected) in [
        ("", Decision::Proceed),
        ("edits", Decision::ProceedWith(edits)),
        ("skip", Decision::Skip(format!("{run} of debian"))),
        ("delay", Decision::Delay(Duration::from_secs(90), "later".to_owned())),
        ("veto", Decision::Veto("no".to_owned())),
    ] {
        let vote = vote(&place, frozen(&place, answer)).await;
        assert_eq!((vote.word, vote.failure), (expected, None), "{answer}");
    }
    assert!(place.lines.all().iter().any(|line| line.contains("asked about attempt 1")));
}

#[tokio::test]
async fn its_errors_and_its_panic_say_why() {
    let place = Place::new();
    for (answer, told) in [("fail", "on purpose"), ("retryable", "on purpose, once more")] {
        let vote = vote(&place, frozen(&place, answer)).await;
        assert!(vote.failure.unwrap().ends_with(told), "{answer}");
    }
    assert!(vote(&place, frozen(&place, "panic")).await.failure.is_some());
    let panic = place.lines.all().into_iter().find(|line| line.starts_with("error")).unwrap();
    assert!(panic.contains("panicked at") && panic.contains("on purpose"), "{panic}");
}

#[tokio::test]
async fn it_reads_and_writes_the_tree_and_tells_the_time() {
    let place = Place::new();
    std::fs::create_dir(place.path("tree")).unwrap();
    let run = place.context().run;
    let seen = format!("{run} succeeded");
    let files = verdict(&place, frozen(&place, "files")).await;
    let expected = Verdict::Degrade(format!("{} seen {seen}", seen.len()));
    assert_eq!((files.word, files.failure), (expected, None));
    assert_eq!(std::fs::read_to_string(place.path("tree/trace/seen")).unwrap(), seen);
    let clocks = verdict(&place, frozen(&place, "clocks")).await;
    assert_eq!((clocks.word, clocks.failure), (Verdict::Degrade("16 true true".to_owned()), None));
}

#[tokio::test]
async fn its_request_arrives_with_the_secret_that_it_does_not_know() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"hello") {
            let mut part = [0; 1024];
            let read = stream.read(&mut part).unwrap();
            assert!(read > 0, "the request ended early: {}", String::from_utf8_lossy(&request));
            request.extend_from_slice(&part[..read]);
        }
        stream
            .write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            .unwrap();
        String::from_utf8(request).unwrap().to_lowercase()
    });
    let mut plugin = frozen(&place, "request");
    plugin.grants.http = vec![url.parse().unwrap()];
    plugin.grants.private_addresses = true;
    plugin.grants.secrets.insert("token".to_owned(), Secret::new("open-sesame"));
    plugin.config.insert("url".to_owned(), url);
    let vote = verdict(&place, plugin).await;
    assert_eq!((vote.word, vote.failure), (Verdict::Reject("201 ok".to_owned()), None));
    let request = server.join().unwrap();
    assert!(request.starts_with("post /hook ") && request.contains("x-secret: open-sesame"), "{request}");
}
