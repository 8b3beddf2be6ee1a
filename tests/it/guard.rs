//! Knowing before acting: an upstream is asked what it has before a project depends on it.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Server, Upstream, free_port, processes_with, said};

fn probe(server: &Server, body: &Value) -> Value {
    let answer = server.post("/api/v1/probe", body);
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

#[test]
fn a_probe_says_what_is_there_and_whether_the_login_works() {
    let (server, upstream) = (Server::start(""), Upstream::start(3));
    let open = probe(&server, &json!({"source": upstream.url("data")}));
    assert_eq!(
        (&open["reachable"], &open["module"], &open["login"]),
        (&json!(true), &json!("found"), &json!("not-needed"))
    );
    assert!(open["problem"].is_null() && open["connect_ms"].is_number(), "{open}");

    assert!(open["marker"].is_null(), "{open}");
    let marker = upstream.tree().join("lastupdate");
    std::fs::write(&marker, "1\n").unwrap();
    let time = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    std::fs::File::options().write(true).open(&marker).unwrap().set_modified(time).unwrap();
    let old = probe(&server, &json!({"source": upstream.url("data")}));
    let expected = json!({"path": "lastupdate", "size": 2, "modified": "2023-11-14T22:13:20Z"});
    assert_eq!(old["marker"], expected, "{old}");

    let missing = probe(&server, &json!({"source": upstream.url("dta")}));
    assert_eq!((&missing["module"], &missing["nearest"]), (&json!("missing"), &json!("data")), "{missing}");
    assert!(missing["problem"].as_str().unwrap().contains("did you mean `data`?"), "{missing}");
    let strange = probe(&server, &json!({"source": upstream.url("nothing-like-it")}));
    assert!(strange["problem"].as_str().unwrap().contains("it lists data, secret, full"), "{strange}");

    let secret = upstream.url("secret").replace("rsync://", "rsync://mirror@");
    let login = |body: &Value| probe(&server, body)["login"].clone();
    assert_eq!(login(&json!({"source": secret, "password": "hunter2"})), "accepted");
    assert_eq!(login(&json!({"source": secret, "password": "wrong"})), "refused");
    assert_eq!(login(&json!({"source": upstream.url("secret")})), "refused");

    let host = upstream.url("").trim_end_matches('/').to_owned();
    let modules = probe(&server, &json!({"source": host}));
    let names: Vec<&str> =
        modules["modules"].as_array().unwrap().iter().filter_map(|module| module["name"].as_str()).collect();
    assert_eq!((names, &modules["module"]), (vec!["data", "secret", "full"], &json!("not-asked")));
    // All of this without an rsync of ours.
    let ours = processes_with(&upstream.url("")).into_iter().filter(|(_, line)| line.starts_with("rsync"));
    assert_eq!(ours.count(), 0);
}

#[test]
fn a_probe_of_a_dead_and_of_a_silent_server_ends_with_the_reason() {
    let server = Server::start("");
    let dead = probe(&server, &json!({"source": format!("rsync://127.0.0.1:{}/m", free_port())}));
    assert_eq!((&dead["reachable"], &dead["module"]), (&json!(false), &json!("not-asked")));
    assert!(dead["problem"].as_str().unwrap().contains("refused"), "{dead}");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let started = Instant::now();
    let answer = probe(&server, &json!({"source": format!("rsync://{}/m", silent.local_addr().unwrap())}));
    assert_eq!(answer["reachable"], false, "{answer}");
    assert!(answer["problem"].as_str().unwrap().contains("no answer within"), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn wrong_requests_for_a_probe_are_refused_field_by_field() {
    let server = Server::start("");
    for (body, field) in [
        (json!({}), "source"),
        (json!({"source": "http://x/y"}), "source"),
        (json!({"source": "rsync://h/m", "pasword": "x"}), "pasword"),
        (json!({"source": "rsync://h", "password": 1}), "password"),
        (json!({"source": "rsync://-h"}), "source"),
    ] {
        let answer = server.post("/api/v1/probe", &body);
        assert_eq!(answer.status, 422, "{body}: {}", answer.text);
        assert_eq!(answer.json()["errors"][0]["field"], field, "{}", answer.text);
    }
}

#[test]
fn a_project_is_probed_when_asked_and_refused_at_its_source() {
    let (server, upstream) = (Server::start(""), Upstream::start(3));
    let body =
        |module: &str| json!({"id": "p", "source": upstream.url(module), "dest": server.path("mirrors/p")});
    let refused = server.post("/api/v1/projects?probe=true", &body("dta"));
    assert_eq!(
        (refused.status, &refused.json()["errors"][0]["field"]),
        (422, &json!("source")),
        "{}",
        refused.text
    );
    assert!(refused.text.contains("did you mean `data`?"), "{}", refused.text);
    assert_eq!(server.get("/api/v1/projects/p").status, 404);
    assert_eq!(server.post("/api/v1/projects?probe=true", &body("data")).status, 201);
    for (method, change) in
        [(Method::PUT, body("dat")), (Method::PATCH, json!({"source": upstream.url("dat")}))]
    {
        let request = server.request(method, "/api/v1/projects/p?probe=true").json(&change);
        assert_eq!(server.send(request).status, 422);
    }
    assert_eq!(server.get("/api/v1/projects/p").json()["source"]["module"], "data");
    // Without being asked, nobody is.
    assert_eq!(server.send(server.request(Method::PUT, "/api/v1/projects/p").json(&body("dat"))).status, 200);
}

#[test]
fn the_command_line_probes_by_default_and_only_notes_what_does_not_answer() {
    let (server, upstream) = (Server::start(""), Upstream::start(3));
    let place = server.path("m").display().to_string();
    let run = |words: &[&str]| {
        let output = server.command(words);
        let said = said(&output);
        (output.status.code().unwrap(), said)
    };
    let (code, said) = run(&["project", "add", "p", &upstream.url("dta"), &place]);
    assert!(code == 2 && said.contains("did you mean `data`?"), "{code}: {said}");
    let dead = format!("rsync://127.0.0.1:{}/m", free_port());
    let (code, said) = run(&["project", "add", "p", &dead, &place]);
    assert!(code == 0 && said.contains("note: the upstream could not be asked"), "{code}: {said}");
    let (code, said) = run(&["project", "update", "p", "--source", &upstream.url("secret")]);
    assert!(code == 0 && !said.contains("note:"), "{code}: {said}");
    let (code, said) = run(&["project", "update", "p", "--source", &upstream.url("dta"), "--no-probe"]);
    assert_eq!(code, 0, "{said}");

    let (code, said) = run(&["probe", &upstream.url("data")]);
    assert!(code == 0 && said.contains("module    found"), "{code}: {said}");
    assert!(said.contains("is from   unknown"), "{said}");
    std::fs::write(upstream.tree().join("lastupdate"), "1\n").unwrap();
    let (_, said) = run(&["probe", &upstream.url("data")]);
    assert!(said.contains(" ago, by lastupdate"), "{said}");
    let (code, said) = run(&["probe", upstream.url("").trim_end_matches('/')]);
    assert!(code == 0 && said.contains("secret"), "{code}: {said}");
    let file = server.path("password");
    std::fs::write(&file, "wrong\n").unwrap();
    let secret = upstream.url("secret").replace("rsync://", "rsync://mirror@");
    let (code, said) = run(&["probe", &secret, "--password-file", &file.display().to_string()]);
    assert!(code == 1 && said.contains("login     refused"), "{code}: {said}");
}
