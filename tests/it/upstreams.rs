//! Several upstreams of one project: the next one when one fails, and back again.

use serde_json::{Value, json};

use crate::kit::{Server, Upstream, fingerprint};

fn used(run: &Value) -> Vec<String> {
    let attempts = run["attempts"].as_array().unwrap();
    attempts.iter().map(|attempt| attempt["upstream"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_run_goes_on_with_the_next_upstream_at_once_and_a_later_one_comes_back_to_the_first() {
    let (server, mut first, second) = (Server::start(""), Upstream::start(20), Upstream::start(20));
    let with_login = json!({"host": "127.0.0.1", "port": second.port(), "module": "secret", "user": "mirror",
                            "password": "hunter2"});
    let address = format!("rsync://mirror@127.0.0.1:{}/secret", second.port());
    server.project("p", &first.url("data"), &json!({"upstreams": [with_login], "retry": {"base": "10m"}}));
    first.stop();
    let run = server.ended(&server.sync("p"));
    assert_eq!(
        (&run["state"], &run["attempts"][0]["class"]),
        (&json!("succeeded"), &json!("network")),
        "{run}"
    );
    assert_eq!(used(&run), [first.url("data"), address.clone()]);
    assert_eq!(fingerprint(&server.path("mirrors").join("p")), fingerprint(&second.tree()));
    let project = server.get("/api/v1/projects/p").json();
    assert_eq!(project["failed_upstreams"][0]["upstream"], first.url("data"));
    assert_eq!(project["upstreams"][0]["has_password"], true, "{project}");

    let run = server.ended(&server.sync("p"));
    assert_eq!(used(&run), [address], "one that is still away is not waited for");
    let log = server.get(&format!("/api/v1/runs/{}/log", run["id"].as_str().unwrap())).text;
    assert!(log.contains(&format!("{} is still not used: ", first.url("data"))), "{log}");
    let shown = String::from_utf8(server.command(&["run", run["id"].as_str().unwrap()]).stdout).unwrap();
    assert!(shown.contains("  from rsync://mirror@127.0.0.1:"), "{shown}");

    first.start_again();
    let run = server.ended(&server.sync("p"));
    assert_eq!(used(&run), [first.url("data")]);
    assert_eq!(server.get("/api/v1/projects/p").json()["failed_upstreams"], json!([]));
}

#[test]
fn upstreams_are_given_on_the_command_line_and_a_full_disk_is_no_reason_to_change() {
    let (server, upstream) = (Server::start(""), Upstream::start(1));
    let dest = server.path("mirrors").join("p");
    let (source, other) = (upstream.url("missing"), upstream.url("data"));
    let words = ["project", "add", "p", &source, dest.to_str().unwrap(), "--manual", "--no-probe"];
    let added = server.command(&[&words[..], &["--upstream", &other]].concat());
    assert!(added.status.success(), "{added:?}");
    let run = server.ended(&server.sync("p"));
    assert_eq!(used(&run), [source, other], "{run}");
    assert_eq!(run["attempts"][0]["class"], "upstream-config");
    let shown = String::from_utf8(server.command(&["project", "show", "p"]).stdout).unwrap();
    assert!(shown.contains("/missing (upstream-config)"), "{shown}");
    assert!(server.command(&["project", "update", "p", "--upstream", ""]).status.success());
    let project = server.get("/api/v1/projects/p").json();
    assert_eq!((&project["upstreams"], &project["failed_upstreams"]), (&json!([]), &json!([])));
    // What stands in the way here stands in the way of every upstream.
    let both = json!({"source": upstream.url("data"), "upstreams": [upstream.url("full")]});
    let patch = server.request(reqwest::Method::PATCH, "/api/v1/projects/p").json(&both);
    assert_eq!(server.send(patch).status, 200);
    std::fs::remove_dir_all(&dest).unwrap();
    std::fs::write(&dest, "no folder").unwrap();
    let run = server.ended(&server.sync("p"));
    assert_eq!((run["state"].as_str(), used(&run).len()), (Some("failed"), 1), "{run}");
}
