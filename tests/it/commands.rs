//! Trees that a program brings in rsync's place: the same supervision, the same lock, and what its end means.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::kit::{Server, Upstream, processes_with, wait_for};

/// A master whose commands are this script, told what to do by its first argument.
fn master(script: &str, commands: &str) -> Server {
    Server::start_from(|folder, port| {
        let (data, program) = (folder.join("data"), folder.join("bring"));
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let commands = commands.replace("PROGRAM", program.to_str().unwrap());
        format!(
            "(data_dir: {data:?}, listen: \"127.0.0.1:{port}\", allowed_roots: [\"/\"], \
             role: Master(commands: {{{commands}}}))"
        )
    })
}

fn project(server: &Server, id: &str, command: &str, more: &Value) -> Value {
    let mut body = json!({
        "id": id, "source": {"command": command}, "dest": server.path("mirrors").join(id),
        "schedule": "manual", "retry": {"attempts": 1},
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = server.post("/api/v1/projects", &body);
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()
}

const SCRIPT: &str = r#"
case $1 in
good) echo "$HELIOSTAT_PROJECT" > "$HELIOSTAT_DESTINATION/who"; pwd > where; echo "$TOKEN" > token
      echo "Total size: 12 KiB" ;;
bad) echo "no such branch" >&2; exit 7 ;;
liar) echo "some files FAILED" ;;
polite) trap 'exit 0' TERM; sleep 1003 & wait ;;
early) setsid sh -c 'sleep 0.3; echo late > late' & ;;
slow) setsid sleep 1000 & (trap '' TERM; sleep 1001) & sleep 1002 ;;
esac"#;

#[test]
fn a_command_brings_a_tree_and_its_end_is_judged_by_the_configuration() {
    let commands = r#"
        "good": (run: ["PROGRAM", "good"], environment: {"TOKEN": "hunter2"}, size: "Total size: (.*)"),
        "bad": (run: ["PROGRAM", "bad"]),
        "fine": (run: ["PROGRAM", "bad"], success: [0, 7]),
        "liar": (run: ["PROGRAM", "liar"], fail_on: "FAILED"),"#;
    let server = master(SCRIPT, commands);
    let made = project(&server, "p", "good", &json!({}));
    assert_eq!(made["source"], json!({"command": "good"}));
    assert!(made["command"].as_str().unwrap().ends_with("/bring good"), "{made}");
    let run = server.ended(&server.sync("p"));
    assert_eq!(run["state"], "succeeded", "{run}");
    let dest = server.path("mirrors/p");
    let text = |name: &str| fs::read_to_string(dest.join(name)).unwrap().trim().to_owned();
    assert_eq!(
        (text("who"), text("where"), text("token")),
        ("p".into(), dest.display().to_string(), "hunter2".into())
    );
    let shown = server.get("/api/v1/projects/p").json();
    assert_eq!((&shown["size_bytes"], &shown["generation"]), (&json!(12288), &json!(1)));
    // What it changes is not known, so every good end is a new generation.
    assert_eq!(server.ended(&server.sync("p"))["generation"], 2);
    let log = server.get(&format!("/api/v1/runs/{}/log", run["id"].as_str().unwrap())).text;
    assert!(log.contains("Total size: 12 KiB") && !log.contains("hunter2"), "{log}");
    assert!(!server.get("/api/v1/projects/p").text.contains("hunter2"));
    for (command, state, class, reason) in [
        ("bad", "failed", "command", "[exit 7] (it said: no such branch)"),
        ("fine", "succeeded", "done", ""),
        ("liar", "failed", "command", "some files FAILED"),
    ] {
        project(&server, command, command, &json!({}));
        let run = server.ended(&server.sync(command));
        assert_eq!((&run["state"], &run["attempts"][0]["class"]), (&json!(state), &json!(class)), "{run}");
        assert!(run["attempts"][0]["reason"].as_str().unwrap().contains(reason), "{run}");
    }
}

#[test]
fn nothing_of_a_command_outlives_a_cancel_or_a_kill_whichever_group_it_went_to() {
    let mut server = master(SCRIPT, r#""slow": (run: ["PROGRAM", "slow"])"#);
    project(&server, "p", "slow", &json!({}));
    let ours = |server: &Server| {
        let dest = server.path("mirrors/p");
        processes_with("sleep")
            .into_iter()
            .filter(|(pid, _)| {
                fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|place| place == Path::new(&dest))
            })
            .count()
    };
    let run = server.sync("p");
    wait_for("all three to go", || (ours(&server) == 3).then_some(()));
    let body = json!({"id": "q", "source": {"command": "slow"}, "dest": server.path("mirrors/p")});
    assert_eq!(server.post("/api/v1/projects", &body).status, 422);
    assert_eq!(server.post(&format!("/api/v1/runs/{run}/cancel"), &json!({})).status, 200);
    assert_eq!(server.ended(&run)["state"], "cancelled");
    assert_eq!(ours(&server), 0);
    server.sync("p");
    wait_for("all three to go again", || (ours(&server) == 3).then_some(()));
    server.kill();
    wait_for("everything to end", || (ours(&server) == 0).then_some(()));
    server.launch();
    let runs = server.get("/api/v1/projects/p/runs").json();
    assert!(runs["items"].as_array().unwrap().iter().any(|run| run["state"] == "interrupted"), "{runs}");
    wait_for("the run to be repeated", || (ours(&server) == 3).then_some(()));
}

#[test]
fn a_command_that_ends_well_because_it_was_asked_to_has_not_ended_well() {
    let server =
        master(SCRIPT, r#""polite": (run: ["PROGRAM", "polite"]), "early": (run: ["PROGRAM", "early"])"#);
    project(&server, "p", "polite", &json!({"timeout": "1h", "stall": "1s"}));
    let run = server.ended(&server.sync("p"));
    assert_eq!((&run["state"], &run["generation"]), (&json!("failed"), &Value::Null), "{run}");
    // Nothing that it has left writes on once the run has ended.
    project(&server, "e", "early", &json!({}));
    assert_eq!(server.ended(&server.sync("e"))["state"], "succeeded");
    assert!(crate::kit::processes_with("sleep 0.3").is_empty());
}

#[test]
fn only_root_names_a_command_and_only_one_of_the_configuration() {
    let server = master(SCRIPT, r#""good": (run: ["PROGRAM", "good"])"#);
    let upstream = Upstream::start(2);
    let user = json!({"name": "ann", "password": "a long password", "role": "upstreamuser"});
    assert_eq!(server.post("/api/v1/users", &user).status, 201);
    let asked = |method: reqwest::Method, path: &str, body: &Value| {
        let request = crate::kit::client().request(method, server.url(path));
        let answer = request.basic_auth("ann", Some("a long password")).json(body).send().unwrap();
        (answer.status().as_u16(), answer.text().unwrap())
    };
    let dest = server.path("mirrors/a");
    let body = json!({"id": "a", "source": "command:good", "dest": dest});
    let (status, text) = asked(reqwest::Method::POST, "/api/v1/projects", &body);
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("source.command") && text.contains("only root"), "{text}");
    let body = json!({"id": "a", "source": upstream.url("data"), "dest": dest});
    assert_eq!(asked(reqwest::Method::POST, "/api/v1/projects", &body).0, 201);
    let change = json!({"source": {"command": "good"}});
    let (status, text) = asked(reqwest::Method::PATCH, "/api/v1/projects/a", &change);
    assert_eq!(status, 403, "{text}");
    // Root may have a command bring what is hers; she has it land nowhere else then, in no version of the API.
    let given = server.send(server.request(reqwest::Method::PATCH, "/api/v1/projects/a").json(&change));
    assert_eq!((given.status, &given.json()["owner"]), (200, &json!("ann")), "{}", given.text);
    assert_eq!(asked(reqwest::Method::PATCH, "/api/v1/projects/a", &json!({"priority": 3})).0, 200);
    let elsewhere = json!({"dest": server.path("mirrors/b")});
    assert_eq!(asked(reqwest::Method::PATCH, "/api/v1/projects/a", &elsewhere).0, 403);
    let old = json!({"id": "a", "dest": server.path("elsewhere")});
    let (status, text) = asked(reqwest::Method::POST, "/update_project/basic", &old);
    assert_eq!(status, 403, "{text}");
    let unknown =
        server.post("/api/v1/projects", &json!({"id": "b", "source": "command:evil", "dest": "/x/b"}));
    assert_eq!(unknown.status, 422);
    assert!(
        unknown.text.contains("source.command") && unknown.text.contains("it names good"),
        "{}",
        unknown.text
    );
    let probe = server.post("/api/v1/probe", &json!({"source": "command:good"}));
    assert_eq!(probe.status, 422, "{}", probe.text);
}
