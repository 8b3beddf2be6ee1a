//! The API of 2014, as its clients use it: what they were recorded to send, what they must be answered, and what went
//! wrong then.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::kit::{Answer, PASSWORD, Server, Upstream, fingerprint, wait_for};

mod accounts;
mod renames;

/// A client of then: its headers, its login, and a body as a text of bytes.
pub(crate) fn old(server: &Server, method: Method, path: &str, body: &str) -> Answer {
    let request = Client::new().request(method, server.url(path));
    let login = STANDARD.encode(format!("root:{PASSWORD}"));
    let request = request
        .header("Accept", "text/plain")
        .header("Content-type", "application/json")
        .header("Authorization", format!("Basic {login}"));
    server.send(if body.is_empty() { request } else { request.body(body.to_owned()) })
}

pub(crate) fn post(server: &Server, path: &str, body: &Value) -> Answer {
    old(server, Method::POST, path, &body.to_string())
}

pub(crate) fn get(server: &Server, path: &str) -> Answer {
    old(server, Method::GET, path, "")
}

/// An rsync that says its version and fails: what the schedules of these tests start goes nowhere.
static NO_RSYNC: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-rsync");
    let script = "#!/bin/sh\n[ \"$1\" = --version ] && exec rsync --version\nexit 5\n";
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
});

/// The path of that rsync.
pub(crate) fn no_rsync() -> String {
    NO_RSYNC.display().to_string()
}

/// A server that mirrors nothing.
pub(crate) fn quiet() -> Server {
    Server::start(&format!("program: {:?}", no_rsync()))
}

fn failed(answer: &Answer, status: u16, method: &str, note: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/json", "{}", answer.text);
    let body = answer.json();
    assert_eq!((&body["method"], &body["success"]), (&json!(method), &json!(false)), "{body}");
    assert!(body["note"].as_str().unwrap().contains(note), "{note:?} is not in {body}");
    assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
}

#[test]
fn what_the_old_command_line_was_recorded_to_send_is_answered_as_then() {
    let server = quiet();
    let add = r#"{"project":"ubuntu","rsync_module":"up/p1","rsync_host":"H","dest":"/d","rsync_password":"pw","cron_options":{"minute":"*/5","start_date":"2026-01-01 10:00:00"}}"#;
    let update = r#"{"id":"ubuntu","rsync_host":"h2","rsync_module":"m2","rsync_password":"p2","dest":"/d2","rsync_options":{"basic":["-z"]}}"#;
    let shown = |host: &str, module: &str, dest: &str, basic: Value, minute: &str| {
        json!([{
            "id": "ubuntu", "project": "ubuntu", "rsync_host": host, "rsync_module": module, "dest": dest, "enabled": true,
            "rsync_options": {"basic": basic, "defaults": ["-avH"], "delete": "--delete"},
            "cron_options": {"year": "*", "month": "*", "day": "*", "week": "*", "day_of_week": "*", "hour": "*",
                             "minute": minute, "second": "0"},
        }])
    };
    let updated = json!({"method": "update_project", "success": true, "id": "ubuntu"});
    let first = shown("H", "up/p1", "/d", json!([]), "*/5");
    let requests = [
        (
            "POST",
            "/add_project/",
            add,
            json!({"method": "add_project", "success": true, "project": "ubuntu"}),
        ),
        ("GET", "/list_projects/", "{}", first),
        ("POST", "/update_project/basic/", update, updated.clone()),
        ("GET", "/list_projects/", "{}", shown("h2", "m2", "/d2", json!(["-z"]), "*/5")),
        (
            "POST",
            "/update_project/schedule/",
            r#"{"id":"ubuntu","minute":"*/3","start_date":"2026-01-01 10:00:00"}"#,
            updated,
        ),
        ("GET", "/list_projects/", "{}", shown("h2", "m2", "/d2", json!(["-z"]), "*/3")),
        (
            "POST",
            "/remove_project/",
            r#"{"id":"ubuntu"}"#,
            json!({"method": "remove_project", "success": true, "id": "ubuntu"}),
        ),
        ("GET", "/list_projects/", "{}", json!([])),
        (
            "POST",
            "/add_slave/",
            r#"{"hostname":"127.0.0.1","port":"7001"}"#,
            json!({"method": "add_slave", "success": true, "hostname": "127.0.0.1", "details": "Added to cluster"}),
        ),
        (
            "POST",
            "/remove_slave/",
            r#"{"hostname":"127.0.0.1"}"#,
            json!({"method": "remove_slave", "success": true, "details": "Found and deleted"}),
        ),
    ];
    for (method, path, body, expected) in requests {
        let answer = old(&server, method.parse().unwrap(), path, body);
        assert_eq!((answer.status, answer.json()), (200, expected), "{method} {path} {body}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
}

#[test]
fn a_project_added_by_the_old_door_is_the_same_at_the_new_one() {
    let (server, upstream) = (Server::start(""), Upstream::start(30));
    let folder = format!("{}/", server.path("mirrors").display());
    let body = json!({
        "project": "mirror", "id": "first", "rsync_host": format!("127.0.0.1:{}", upstream.port()),
        "rsync_module": "secret", "dest": folder, "rsync_password": "hunter2",
    });
    assert_eq!(post(&server, "/add_project/", &body).status, 200);
    let project = server.get("/api/v1/projects/first").json();
    let dest = server.path("mirrors/mirror");
    assert_eq!(project["dest"], dest.display().to_string());
    assert_eq!(project["name"], "mirror");
    let source = json!({"host": "127.0.0.1", "port": upstream.port(), "module": "secret", "path": "", "user": "mirror",
        "has_password": true});
    assert_eq!(project["source"], source);
    let list = get(&server, "/list_projects");
    assert_eq!(list.json()[0]["dest"], folder, "the folder comes back as it was given");
    assert_eq!(list.json()[0]["cron_options"], json!({}), "it has no cron fields");
    assert!(!list.text.contains("password") && !list.text.contains("hunter2"));

    // By its name and by its id, and the tree arrives with the project's name as its login.
    let started = get(&server, "/syncup/?project=mirror");
    let expected =
        json!({"method": "syncup_project", "success": true, "project_id": "first", "note": "sync initiated"});
    assert_eq!((started.status, started.json()), (200, expected.clone()));
    assert_eq!(get(&server, "/syncup/?id=first").json(), expected);
    let runs = wait_for("the sync to end", || {
        let runs = server.get("/api/v1/projects/first/runs").json()["items"].clone();
        runs.as_array().unwrap().iter().all(|run| !run["ended"].is_null()).then_some(runs)
    });
    assert!(runs.as_array().unwrap().iter().any(|run| run["state"] == "succeeded"), "{runs}");
    assert_eq!(runs[0]["requested_by"], "root");
    assert_eq!(fingerprint(&dest), fingerprint(&upstream.tree()));

    assert_eq!(get(&server, "/disable_project/?id=first").status, 200);
    assert_eq!(server.get("/api/v1/projects/first").json()["enabled"], false);
    let trail = server.get("/api/v1/audit").json();
    let actions: Vec<&str> = trail["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|line| line["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["project.create", "project.sync", "project.sync", "project.disable"]);
    assert!(!trail.to_string().contains("hunter2"));
    // Where the new door puts it elsewhere, the old one says so.
    let elsewhere = json!({"dest": server.path("other/place")});
    let patch = server.request(Method::PATCH, "/api/v1/projects/first").json(&elsewhere);
    assert_eq!(server.send(patch).status, 200);
    assert_eq!(get(&server, "/list_projects").json()[0]["dest"], server.path("other").display().to_string());
}

#[test]
fn a_project_of_the_new_door_is_listed_by_the_old_one_as_far_as_2014_can_tell() {
    let server = quiet();
    let dest = server.project("a", "rsync://h:8873/m/sub", &json!({"schedule": {"cron": {"hour": 3}}}));
    server.project("b", "rsync://[::1]:8873/m", &json!({"schedule": {"every": "1h"}}));
    let list = get(&server, "/list_projects/").json();
    assert_eq!((&list[0]["rsync_host"], &list[0]["rsync_module"]), (&json!("h:8873"), &json!("m/sub")));
    assert_eq!(list[0]["dest"], dest.parent().unwrap().display().to_string());
    assert_eq!(list[0]["cron_options"]["hour"], "3");
    assert_eq!(list[0]["cron_options"].as_object().unwrap().len(), 8);
    assert_eq!((&list[1]["rsync_host"], &list[1]["cron_options"]), (&json!("[::1]:8873"), &json!({})));
}

#[test]
fn both_spellings_switch_a_project_with_and_without_a_slash() {
    let server = quiet();
    server.project("ubuntu", "rsync://h/m", &json!({}));
    for (method, enabled) in [("disable_project", false), ("enable_project", true)] {
        for path in ["?id=ubuntu", "/?id=ubuntu", "/id=ubuntu", "/id=ubuntu/"] {
            server.post(
                &format!("/api/v1/projects/ubuntu/{}", if enabled { "disable" } else { "enable" }),
                &json!({}),
            );
            let answer = get(&server, &format!("/{method}{path}"));
            assert_eq!(
                (answer.status, answer.json()),
                (200, json!({"method": method, "success": true})),
                "{path}"
            );
            assert_eq!(get(&server, "/list_projects").json()[0]["enabled"], enabled, "{path}");
        }
        for path in ["", "/", "/?id=", "/?project=ubuntu", "/id=", "/ubuntu"] {
            failed(&get(&server, &format!("/{method}{path}")), 400, method, "No project id provided");
        }
        failed(&get(&server, &format!("/{method}/?id=nobody")), 404, method, "`nobody`");
    }
}

#[test]
fn values_come_as_texts_or_numbers_and_a_port_in_either_place() {
    let server = quiet();
    let base = |name: &str, more: Value| {
        let mut body =
            json!({"project": name, "rsync_host": "h", "rsync_module": "m", "dest": server.path("mirrors")});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        post(&server, "/add_project", &body)
    };
    let added = base("a", json!({"rsync_host": "h:8873", "cron_options": {"hour": 3, "day_of_week": "mon"}}));
    assert_eq!(added.status, 200, "{}", added.text);
    let more =
        json!({"rsync_options": {"basic": ["-z", "--port=8873"], "delete": ""}, "cron_options": {"day": 1}});
    assert_eq!(base("b", more).status, 200);
    let list = get(&server, "/list_projects").json();
    assert_eq!((&list[0]["rsync_host"], &list[1]["rsync_host"]), (&json!("h:8873"), &json!("h:8873")));
    assert_eq!(list[1]["rsync_options"], json!({"basic": ["-z"], "defaults": ["-avH"], "delete": ""}));
    assert_eq!(
        (&list[0]["cron_options"]["hour"], &list[0]["cron_options"]["minute"]),
        (&json!("3"), &json!("0"))
    );
    let both = json!({"rsync_host": "h:1", "rsync_options": {"basic": ["--port=2"]}});
    failed(&base("c", both), 400, "add_project", "another port");
    // What an update does not name stays, the port too; another host is at the usual one.
    let update = |more: Value| post(&server, "/update_project/basic/", &more).status;
    assert_eq!(update(json!({"id": "b", "rsync_options": {"delete": "--delete-after"}})), 200);
    let list = get(&server, "/list_projects").json();
    assert_eq!(
        list[1]["rsync_options"],
        json!({"basic": ["-z"], "defaults": ["-avH"], "delete": "--delete-after"})
    );
    assert_eq!(list[1]["rsync_host"], "h:8873");
    assert_eq!(update(json!({"id": "b", "rsync_host": "h2"})), 200);
    assert_eq!(get(&server, "/list_projects").json()[1]["rsync_host"], "h2");
    // The whole schedule is replaced, and nothing else.
    let schedule = json!({"id": "a", "second": 30, "week": "1-10", "start_date": "15th August 2014"});
    assert_eq!(post(&server, "/update_project/schedule/", &schedule).status, 200);
    let list = get(&server, "/list_projects").json();
    let cron = json!({"year": "*", "month": "*", "day": "*", "week": "1-10", "day_of_week": "*", "hour": "*",
        "minute": "*", "second": "30"});
    assert_eq!((&list[0]["cron_options"], &list[0]["rsync_host"]), (&cron, &json!("h:8873")));
    let start = &server.get("/api/v1/projects/a").json()["schedule"]["start_date"];
    assert!(start.as_str().unwrap().starts_with("2014-08-15"), "{start}");
}

#[test]
fn what_is_wrong_is_said_in_the_old_form_with_a_true_status() {
    let server = quiet();
    server.project("taken", "rsync://h/m", &json!({}));
    let add = |body: &str| old(&server, Method::POST, "/add_project/", body);
    for body in ["", "{", "[]", "\"x\"", "nonsense"] {
        assert_eq!(add(body).status, 400, "{body}");
        assert_eq!(add(body).json()["success"], false, "{body}");
    }
    failed(
        &add("{}"),
        400,
        "add_project",
        "project: is missing; rsync_host: is missing; rsync_module: is missing",
    );
    failed(&add("{}"), 400, "add_project", "dest: is missing");
    let with = |more: Value| {
        let mut body = json!({"project": "p", "rsync_host": "h", "rsync_module": "m", "dest": "/nowhere/d"});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        post(&server, "/add_project/", &body)
    };
    for (more, note) in [
        (json!({"project": "../p"}), "project: "),
        (json!({"project": ".."}), "project: "),
        (json!({"id": "a b"}), "id: "),
        (json!({"dest": "d"}), "dest: is relative"),
        (json!({"rsync_host": "-oProxyCommand=x"}), "rsync_host: "),
        (json!({"rsync_host": "h:x"}), "rsync_host: "),
        (json!({"rsync_module": "a/../b"}), "rsync_module: "),
        (json!({"rsync_options": {"basic": ["-e sh"]}}), "rsync_options.basic[0]: "),
        (json!({"rsync_options": {"delete": "--delete-all"}}), "rsync_options.delete: "),
        (json!({"rsync_options": "-z"}), "rsync_options: "),
        (json!({"cron_options": {"minute": "61"}}), "cron_options.minute: "),
        (json!({"cron_options": {"minutes": "1"}}), "cron_options.minutes: "),
        (json!({"cron_options": {"start_date": "2014-05-7 18:00"}}), "every second"),
        (json!({"cron_options": {"minute": "1", "start_date": "soon"}}), "2014-05-07 18:00"),
        (json!({"cron_option": {"minute": "1"}}), "cron_option: "),
    ] {
        failed(&with(more.clone()), 400, "add_project", note);
    }
    failed(&with(json!({"id": "taken"})), 409, "add_project", "exists already");
    for (path, method) in [
        ("/remove_project/", "remove_project"),
        ("/update_project/basic/", "update_project"),
        ("/update_project/schedule/", "update_project"),
    ] {
        failed(
            &post(&server, path, &json!({"id": "nobody", "minute": "1"})),
            404,
            method,
            "no project `nobody`",
        );
        failed(&post(&server, path, &json!({})), 400, method, "id: is missing");
        failed(&old(&server, Method::POST, path, "{"), 400, method, "not JSON");
    }
    failed(&get(&server, "/syncup/?project=nobody"), 404, "syncup_project", "no project `nobody`");
    failed(&get(&server, "/syncup/"), 400, "syncup_project", "No project id provided");
    failed(
        &post(&server, "/update_project/schedule/", &json!({"id": "taken"})),
        400,
        "update_project",
        "every second",
    );
    failed(&get(&server, "/add_project/"), 405, "add_project", "method");
    let large = old(&server, Method::POST, "/add_project/", &format!("\"{}\"", "x".repeat(2 << 20)));
    failed(&large, 413, "add_project", "larger");
    assert_eq!(get(&server, "/list_projects").json().as_array().unwrap().len(), 1, "none of this was taken");
}

/// Reproduced in 2014: a missing login and an unknown id gave a debugger's page, and five routes asked for no login.
#[test]
fn nothing_answers_without_a_login_and_nothing_answers_with_a_page() {
    let server = quiet();
    for route in api::routes::table()
        .into_iter()
        .filter(|route| route.old.is_some() && route.access != api::routes::Access::Master)
    {
        let method = Method::from_bytes(route.method.to_uppercase().as_bytes()).unwrap();
        let url = server.url(&format!("{}/", route.path.replace("{asked}", "id=x")));
        let bare = server.send(Client::new().request(method.clone(), &url));
        failed(&bare, 401, route.old.unwrap(), "nobody is signed in");
        assert!(bare.header("www-authenticate").starts_with("Basic"));
        let path = route.path.replace("{asked}", "id=x");
        let odd =
            json!({"id": "x", "hostname": null, "slave_id": 9, "project": "x", "username": {}}).to_string();
        for answer in [
            old(&server, method.clone(), &path, &odd),
            old(&server, method, &format!("{path}?id=x&project=x"), "[1]"),
        ] {
            assert!(
                answer.status < 500 && !answer.text.contains('<'),
                "{path}: {} {}",
                answer.status,
                answer.text
            );
        }
    }
    // Last, since too many of them hold off the right ones too.
    for route in api::routes::table().into_iter().filter(|route| route.old.is_some()) {
        let method = Method::from_bytes(route.method.to_uppercase().as_bytes()).unwrap();
        let url = server.url(&format!("{}/", route.path.replace("{asked}", "id=x")));
        let wrong = server.send(Client::new().request(method, &url).basic_auth("root", Some("toor")));
        let is_masters = route.access == api::routes::Access::Master;
        assert!(matches!(wrong.status, 401 | 429) || is_masters, "{}: {}", route.path, wrong.status);
    }
}

/// Reproduced in 2014: `dest` went through a shell, output beyond 64 KiB hung rsync for ever, three runs of one project
/// ran over each other, and an exit code was no news to anybody.
#[test]
fn a_sync_by_the_old_door_has_none_of_the_old_faults() {
    let (server, upstream) = (Server::start(""), Upstream::start(2000));
    let folder = server.path("mirrors/$(touch owned); `touch owned` 'x");
    let add = |name: &str, module: &str| {
        let body = json!({"project": name, "rsync_host": format!("127.0.0.1:{}", upstream.port()), "rsync_module": module,
            "dest": folder, "rsync_options": {"defaults": ["-avvH"]}});
        let answer = post(&server, "/add_project/", &body);
        assert_eq!(answer.status, 200, "{}", answer.text);
    };
    add("good", "data");
    add("bad", "no-such-module");
    for _ in 0..3 {
        assert_eq!(get(&server, "/syncup/?id=good").status, 200);
    }
    let all_of = |id: &str| {
        server.get(&format!("/api/v1/projects/{id}/runs")).json()["items"].as_array().unwrap().clone()
    };
    assert!(all_of("good").len() <= 3);
    let ended = |id: &str| {
        wait_for("its runs to end", || {
            Some(all_of(id)).filter(|runs| runs.iter().all(|run| !run["ended"].is_null()))
        })
    };
    let mut runs = ended("good");
    runs.sort_by_key(|run| run["started"].as_str().unwrap().to_owned());
    for pair in runs.windows(2) {
        assert!(pair[0]["ended"].as_str() <= pair[1]["started"].as_str(), "{pair:?}");
    }
    assert!(
        runs[0]["log_bytes"].as_u64().unwrap_or(u64::MAX) > 1 << 16 && runs[0]["state"] == "succeeded",
        "{}",
        runs[0]
    );
    assert_eq!(fingerprint(&folder.join("good")), fingerprint(&upstream.tree()));
    assert!(!Path::new("owned").exists() && !server.path("owned").exists());
    get(&server, "/syncup/?id=bad");
    assert_eq!(ended("bad")[0]["state"], "failed");
}
