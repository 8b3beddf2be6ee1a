//! The page that people look at and its session, and that the documents for everybody are open.

use reqwest::Method;
use serde_json::json;

use crate::kit::{PASSWORD, Server};

#[test]
fn a_session_signs_in_changes_things_only_from_the_page_and_ends() {
    let (server, client) = (Server::start(""), crate::kit::client());
    server.project("p", "rsync://h/m", &json!({}));
    let sign = |password: &str| {
        let request = client.post(server.url("/api/v1/session")).header("X-Heliostat", "1");
        request.json(&json!({"user": "root", "password": password})).send().unwrap()
    };
    let wrong = sign("wrong");
    assert_eq!(wrong.status(), 401);
    assert!(!wrong.headers().contains_key("www-authenticate"), "the browser would ask too");
    let right = sign(PASSWORD);
    assert_eq!(right.status(), 201);
    let cookie = right.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let ask = |method: Method, path: &str| client.request(method, server.url(path)).header("Cookie", cookie);
    let status = |request: reqwest::blocking::RequestBuilder| request.send().unwrap().status().as_u16();
    assert_eq!(status(ask(Method::GET, "/api/v1/session")), 200);
    assert_eq!(status(ask(Method::POST, "/api/v1/projects/p/disable")), 403);
    assert_eq!(status(ask(Method::POST, "/api/v1/projects/p/disable").header("X-Heliostat", "1")), 200);
    assert_eq!(status(ask(Method::DELETE, "/api/v1/session").header("X-Heliostat", "1")), 204);
    assert_eq!(status(ask(Method::GET, "/api/v1/session")), 401);
}

#[test]
fn the_page_is_open_strict_kept_and_small_and_the_status_documents_are_for_everybody() {
    let (server, client) = (Server::start(""), crate::kit::client());
    server.project("p", "rsync://h/m", &json!({}));
    let get = |path: &str| client.get(server.url(path)).send().unwrap();
    let page = get("/");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let folder = page.text().unwrap().split_once("/assets/").unwrap().1.split_once('/').unwrap().0.to_owned();
    let packed = |path: &str| {
        let answer = client.get(server.url(path)).header("Accept-Encoding", "gzip").send().unwrap();
        assert_eq!(answer.headers()["content-encoding"], "gzip", "{path}");
        (answer.headers().clone(), answer.bytes().unwrap().len())
    };
    let mut size = packed("/").1;
    for file in api::dashboard::FILES {
        let (headers, length) = packed(&format!("/assets/{folder}/{}", file.name));
        assert_eq!(headers["content-type"].to_str().unwrap(), file.kind);
        assert!(headers["cache-control"].to_str().unwrap().contains("immutable"));
        size += length;
    }
    assert!(size < 78_000, "the dashboard has grown to {size} bytes on the wire");
    assert_eq!(get(&format!("/assets/{folder}/none.js")).status(), 404);
    assert_eq!(get("/assets/another/main.js").status(), 404);
    let tag = get("/").headers()["etag"].clone();
    let kept = client.get(server.url("/")).header("If-None-Match", tag).send().unwrap();
    assert_eq!(
        (kept.status().as_u16(), kept.headers()["content-security-policy"].to_str().unwrap()),
        (304, &*policy)
    );
    let jobs: serde_json::Value = get("/status/tunasync.json").json().unwrap();
    assert_eq!((&jobs[0]["name"], &jobs[0]["last_update_ts"]), (&json!("p"), &json!(-62_135_596_800_i64)));
    let mirrors: serde_json::Value = get("/status/mirrorz.json").json().unwrap();
    assert_eq!(mirrors["mirrors"][0]["url"], "/p");
    assert_eq!(get("/status.json").json::<serde_json::Value>().unwrap()["projects"][0]["status"], "none");
    assert!(get("/status/badge/p").text().unwrap().contains("not yet"));
    assert_eq!(get("/status/badge/none").status(), 404);
}
