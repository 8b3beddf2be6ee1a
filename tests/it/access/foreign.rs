//! Requests that another site makes a browser send change nothing; `matrix` asks every route so.

use reqwest::Method;
use serde_json::json;

use super::answer;
use crate::kit::{PASSWORD, Server};

#[test]
fn another_site_changes_nothing_by_a_cookie_or_a_password_that_the_browser_kept() {
    let (server, client) = (Server::start(""), crate::kit::client());
    server.project("p", "rsync://h/m", &json!({}));
    let sign_in = client.post(server.url("/api/v1/session")).header("X-Heliostat", "1");
    let sign_in = sign_in.json(&json!({"user": "root", "password": PASSWORD})).send().unwrap();
    let cookie = sign_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let of_other_port = |method: Method, path: &str| {
        let request = client.request(method, server.url(path)).header("Cookie", &cookie);
        request.header("Sec-Fetch-Site", "same-site").header("Origin", "http://127.0.0.1:8080")
    };
    for (method, path) in [
        (Method::GET, "/disable_project?id=p"),
        (Method::HEAD, "/disable_project?id=p"),
        (Method::GET, "/disable_project/id=p"),
        (Method::GET, "/syncup?id=p"),
        (Method::GET, "/get_token"),
    ] {
        assert_eq!(answer(of_other_port(method.clone(), path)).0, 403, "{method} {path}");
        // Where an old browser says nothing, the cookie alone is not enough.
        let silent = client.request(method.clone(), server.url(path)).header("Cookie", &cookie);
        assert_eq!(answer(silent).0, 403, "{method} {path}");
    }
    let form = server.request(Method::POST, "/create_api_user").header("Origin", "https://evil.example");
    let form = form.header("Content-Type", "text/plain");
    let form = form.body(r#"{"username":"evil","password":"password1","role":"root","x":"="}"#);
    assert_eq!(answer(form).0, 403);

    assert_eq!(server.get("/api/v1/projects/p").json()["enabled"], true);
    assert_eq!(server.get("/api/v1/projects/p/runs").json()["items"], json!([]));
    assert_eq!(server.get("/api/v1/tokens").json()["items"], json!([]));
    assert_eq!(server.get("/api/v1/users").json()["items"].as_array().unwrap().len(), 1);
}

#[test]
fn the_origin_of_the_site_is_not_another_one() {
    let mut server = Server::start_with(
        "site: (url: \"https://mirror.example/\"), http: (trusted_proxies: [\"127.0.0.1\"]), ",
        |text, _| text,
    );
    server.ready();
    server.project("p", "rsync://h/m", &json!({}));
    let disable = |origin: &str, host: &str| {
        let request = server.request(Method::POST, "/api/v1/projects/p/disable").header("Origin", origin);
        answer(request.header("Host", host)).0
    };
    let here = format!("127.0.0.1:{}", server.port());
    assert_eq!(disable("https://mirror.example", &here), 200);
    assert_eq!(disable(&format!("http://{here}"), &here), 200);
    assert_eq!(disable("http://mirror.example", &here), 403);
    // A proxy says by which scheme it was reached.
    let request = server.request(Method::POST, "/api/v1/projects/p/enable").header("Host", "other.example");
    let request = request.header("X-Forwarded-Proto", "https").header("Origin", "https://other.example");
    assert_eq!(answer(request).0, 200);
}
