//! Projects over HTTP: good input, wrong input, lost updates, and destinations that would meet.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::Server;

fn wrong_fields(answer: &Value) -> Vec<String> {
    answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_project_shows_every_default_filled_in_and_survives_being_put_back() {
    let server = Server::start("");
    let dest = server.project("debian", "rsync://mirror@ftp.example.org:8730/debian/dists", &json!({}));
    let answer = server.get("/api/v1/projects/debian");
    let project = answer.json();
    assert_eq!(project["name"], "debian");
    assert_eq!(project["enabled"], true);
    assert_eq!(project["owner"], "root");
    assert_eq!(project["dest"], dest.display().to_string());
    assert_eq!(
        project["source"],
        json!({"host": "ftp.example.org", "port": 8730, "module": "debian", "path": "dists", "user": "mirror",
               "has_password": false})
    );
    assert_eq!(project["options"], json!({"defaults": ["-avH"], "basic": [], "delete": "--delete"}));
    assert_eq!(project["retry"], json!({"attempts": 3, "base": 30.0, "cap": 1800.0}));
    assert_eq!((&project["timeout"], &project["stall"]), (&json!(86400.0), &json!(900.0)));
    assert_eq!(project["guard"], json!({"max_delete_percent": 20, "max_delete": 40000}));
    assert_eq!((&project["generation"], &project["last_run"]), (&json!(0), &Value::Null));
    assert!(project["command"].as_str().unwrap().contains("--max-delete="));
    let put = server.send(server.request(Method::PUT, "/api/v1/projects/debian").json(&project));
    assert_eq!(put.status, 200, "{}", put.text);
    assert_eq!(put.json()["source"], project["source"]);
    assert_ne!(put.header("etag"), answer.header("etag"));
}

#[test]
fn every_wrong_field_is_named_at_once_and_nothing_is_stored() {
    let server = Server::start("");
    let body = json!({
        "id": "x", "source": {"host": "-oProxyCommand", "module": "", "port": 99999, "colour": "red"},
        "dest": "relative/path", "enabled": "yes", "priority": 1.5, "timeout": "soon",
        "options": {"basic": ["-e", "--rsync-path=sh"], "delete": "--delete-everything"},
        "schedule": {"cron": {"minute": "61"}, "timezone": "Mars/Olympus"},
        "retry": {"attempts": 0}, "guard": {"max_delete_percent": 101}, "labels": {"a": 1}, "prioritty": 3,
    });
    let answer = server.post("/api/v1/projects", &body);
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let fields = wrong_fields(&answer.json());
    for field in [
        "source.module",
        "source.port",
        "source.colour",
        "dest",
        "enabled",
        "priority",
        "timeout",
        "options.basic[0]",
        "options.basic[1]",
        "options.delete",
        "schedule.cron.minute",
        "schedule.timezone",
        "retry.attempts",
        "guard.max_delete_percent",
        "labels.a",
        "prioritty",
    ] {
        assert!(fields.iter().any(|found| found == field), "{field} is not among {fields:?}");
    }
    assert!(answer.text.contains("did you mean `priority`?"));
    assert_eq!(server.get("/api/v1/projects/x").status, 404);
}

#[test]
fn missing_fields_are_all_named() {
    let server = Server::start("");
    let answer = server.post("/api/v1/projects", &json!({}));
    assert_eq!(answer.status, 422);
    assert_eq!(wrong_fields(&answer.json()), ["id", "source", "dest"]);
}

#[test]
fn destinations_that_are_the_same_nested_or_linked_are_refused() {
    let server = Server::start("");
    let dest = server.project("a", "rsync://h/m", &json!({}));
    fs::create_dir_all(&dest).unwrap();
    std::os::unix::fs::symlink(&dest, server.path("alias")).unwrap();
    let places = [
        dest.clone(),
        dest.join("inside"),
        dest.parent().unwrap().to_owned(),
        server.path("alias"),
        server.path("alias/deep/inside"),
        server.data().join("x"),
        server.path("data"),
    ];
    for place in places {
        let answer =
            server.post("/api/v1/projects", &json!({"id": "b", "source": "rsync://h/m", "dest": place}));
        assert_eq!(answer.status, 422, "{}: {}", place.display(), answer.text);
        assert_eq!(wrong_fields(&answer.json()), ["dest"]);
    }
    assert_eq!(server.get("/api/v1/projects").json()["items"].as_array().unwrap().len(), 1);
}

#[test]
fn a_taken_id_is_a_conflict_and_a_lost_update_fails_its_precondition() {
    let server = Server::start("");
    server.project("a", "rsync://h/m", &json!({}));
    let again = json!({"id": "a", "source": "rsync://h/m", "dest": server.path("other")});
    assert_eq!(server.post("/api/v1/projects", &again).status, 409);
    let tag = server.get("/api/v1/projects/a").header("etag").to_owned();
    let patch = |tag: &str, body: &Value| {
        let request = server.request(Method::PATCH, "/api/v1/projects/a").header("If-Match", tag);
        server.send(request.json(body))
    };
    let first = patch(&tag, &json!({"priority": 5}));
    assert_eq!((first.status, first.json()["priority"].clone()), (200, json!(5)));
    assert_eq!(patch(&tag, &json!({"priority": 6})).status, 412);
    assert_eq!(server.get("/api/v1/projects/a").json()["priority"], 5);
    let stale = server.request(Method::DELETE, "/api/v1/projects/a").header("If-Match", &tag);
    assert_eq!(server.send(stale).status, 412);
    assert_eq!(server.send(server.request(Method::DELETE, "/api/v1/projects/a")).status, 204);
    assert_eq!(server.get("/api/v1/projects/a").status, 404);
}

#[test]
fn removing_a_project_never_touches_its_files() {
    let server = Server::start("");
    let dest = server.project("a", "rsync://h/m", &json!({}));
    fs::create_dir_all(&dest).unwrap();
    fs::write(dest.join("file"), "precious").unwrap();
    assert_eq!(server.send(server.request(Method::DELETE, "/api/v1/projects/a")).status, 204);
    assert_eq!(fs::read_to_string(dest.join("file")).unwrap(), "precious");
}

#[test]
fn the_list_filters_pages_and_answers_a_known_tag_with_304() {
    let server = Server::start("");
    for number in 0..5 {
        let more = json!({"labels": {"array": (number % 2).to_string()}, "enabled": number != 4});
        server.project(&format!("p{number}"), "rsync://h/m", &more);
    }
    let ids = |path: &str| -> Vec<String> {
        let list = server.get(path).json();
        list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("/api/v1/projects?label=array=1"), ["p1", "p3"]);
    assert_eq!(ids("/api/v1/projects?state=disabled"), ["p4"]);
    assert_eq!(ids("/api/v1/projects?q=p2"), ["p2"]);
    let first = server.get("/api/v1/projects?limit=3").json();
    assert_eq!(first["next"], "p2");
    assert_eq!(ids("/api/v1/projects?limit=3&cursor=p2"), ["p3", "p4"]);
    let tag = server.get("/api/v1/projects").header("etag").to_owned();
    let again = server.request(Method::GET, "/api/v1/projects").header("If-None-Match", &tag);
    assert_eq!(server.send(again).status, 304);
    server.post("/api/v1/projects/p1/disable", &json!({}));
    let again = server.request(Method::GET, "/api/v1/projects").header("If-None-Match", &tag);
    assert_eq!(server.send(again).status, 200);
    assert_eq!(server.get("/api/v1/projects?limit=0").status, 400);
    assert_eq!(server.get("/api/v1/projects?colour=red").status, 400);
}

#[test]
fn a_schedule_says_its_next_times_and_one_that_never_fires_is_refused() {
    let server = Server::start("");
    server.project("a", "rsync://h/m", &json!({"schedule": {"cron": {"minute": "*/5"}}}));
    let project = server.get("/api/v1/projects/a").json();
    assert_eq!(project["next_runs"].as_array().unwrap().len(), 10);
    assert_eq!(project["next_runs"][0], project["next_run"]);
    assert_eq!(project["schedule_text"], "every 5 minutes");
    let times = server.get("/api/v1/schedule").json();
    assert_eq!(times["items"].as_array().unwrap().len(), 100);
    let never = json!({"id": "b", "source": "rsync://h/m", "dest": server.path("b"),
        "schedule": {"cron": {"month": "2", "day": "31"}}});
    let answer = server.post("/api/v1/projects", &never);
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("never"), "{}", answer.text);
}

#[test]
fn starts_are_listed_by_name_within_a_time_however_often_or_seldom_they_come() {
    let server = Server::start("");
    let project = |id: &str, schedule: Value| {
        server.project(id, "rsync://h/m", &json!({"schedule": schedule}));
    };
    project("late", json!({"cron": {"minute": "30", "hour": "4"}, "jitter": "20m"}));
    project("often", json!({"cron": {"second": "*"}}));
    project("seldom", json!({"cron": {"month": "2", "day": "29", "hour": "4", "minute": "40"}}));
    project("hand", json!({"manual": true}));
    let asked = |query: &str| {
        let answer = server.get(&format!("/api/v1/schedule?{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["items"].as_array().unwrap().clone()
    };
    // Of what never ends, only what was asked for is worked out.
    assert_eq!(asked("until=9999-12-31T00:00:00Z&limit=1000").len(), 1000);
    let leap = asked("from=2096-02-29T04:30:00Z&until=2096-02-29T04:50:00Z&limit=500");
    assert!(leap.iter().all(|one| one["project"] != "seldom"), "the seconds of ten minutes come first");
    server.post("/api/v1/projects/often/disable", &json!({}));
    let leap = asked("from=2096-02-29T04:00:00Z&until=2096-02-29T05:00:00Z");
    let names: Vec<_> = leap.iter().map(|one| one["project"].as_str().unwrap()).collect();
    assert_eq!(names, ["late", "seldom"], "{leap:?}");
    let begins = leap[0]["begins"].as_str().unwrap();
    assert!(("2096-02-29T04:30:00Z".."2096-02-29T04:50:00Z").contains(&begins), "{begins}");
    assert_eq!((&leap[1]["at"], &leap[1]["begins"]), (&leap[1]["begins"], &json!("2096-02-29T04:40:00Z")));
    // It is found where it begins, and not where its schedule alone has it.
    assert_eq!(asked(&format!("from={begins}&until={begins}"))[0]["project"], "late");
    let before = asked("from=2096-02-29T04:29:00Z&until=2096-02-29T04:30:00Z");
    assert_eq!(before.len(), usize::from(begins == "2096-02-29T04:30:00Z"), "{before:?}");
    assert_eq!(asked("from=2096-02-29T05:00:00Z&until=2096-02-29T04:00:00Z").len(), 0);
    for wrong in ["from=tomorrow", "until=1", "limit=0", "at=1"] {
        assert_eq!(server.get(&format!("/api/v1/schedule?{wrong}")).status, 400, "{wrong}");
    }
    assert_eq!(server.get("/api/v1/schedule?from=%2B262142-12-31T23:59:59Z").status, 200);
}
