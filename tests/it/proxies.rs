//! Clients behind a proxy: whose word is taken, and what is counted, remembered and logged by it.

use reqwest::blocking::Client;
use serde_json::json;

use crate::kit::{PASSWORD, Server, client_at, wait_for};

fn server() -> Server {
    Server::start_from(|folder, port| {
        let data = folder.join("data");
        format!(
            "(data_dir: {data:?}, listen: \"127.0.0.1:{port}\", http: (trusted_proxies: [\"127.0.0.5\"]), \
             role: Master())"
        )
    })
}

/// The status of a login that a proxy passes on for this client.
fn log_in(server: &Server, proxy: &Client, client: &str, name: &str, password: &str) -> u16 {
    let request = proxy.get(server.url("/test")).header("x-forwarded-for", client);
    request.basic_auth(name, Some(password)).send().unwrap().status().as_u16()
}

#[test]
fn behind_a_trusted_proxy_each_client_has_its_own_limit_record_and_scheme() {
    let server = server();
    let proxy = client_at([127, 0, 0, 5]);
    for number in 0..20 {
        // What a client makes up stands before what the proxy adds.
        let chain = format!("198.51.100.{number}, 203.0.113.7");
        assert_eq!(log_in(&server, &proxy, &chain, "jane", "guess"), 401);
    }
    assert_eq!(log_in(&server, &proxy, "203.0.113.7", "root", PASSWORD), 429);
    assert_eq!(log_in(&server, &proxy, "203.0.113.8", "root", PASSWORD), 200);

    let made = proxy.post(server.url("/api/v1/users")).header("x-forwarded-for", "203.0.113.8");
    let made = made.basic_auth("root", Some(PASSWORD));
    let made = made.json(&json!({"name": "jane", "role": "viewer", "password": "jane's password"}));
    assert_eq!(made.send().unwrap().status(), 201);
    let trail = server.get("/api/v1/audit?limit=1").json();
    assert_eq!(trail["items"][0]["from"], "203.0.113.8");

    assert!(cookie(&server, &proxy, "https").contains("; Secure"));
    assert!(!cookie(&server, &proxy, "http").contains("; Secure"));
}

/// The cookie of a session that begins behind a proxy which says that its client speaks this.
fn cookie(server: &Server, proxy: &Client, scheme: &str) -> String {
    let request = proxy.post(server.url("/api/v1/session")).header("x-heliostat", "1");
    let request = request.header("x-forwarded-proto", scheme);
    let answer = request.json(&json!({"user": "root", "password": PASSWORD})).send().unwrap();
    assert_eq!(answer.status(), 201);
    answer.headers()["set-cookie"].to_str().unwrap().to_owned()
}

#[test]
fn nobody_but_a_trusted_proxy_is_believed() {
    let server = server();
    let stranger = client_at([127, 0, 0, 6]);
    for number in 0..20 {
        let client = format!("203.0.113.{number}");
        assert_eq!(log_in(&server, &stranger, &client, "jane", "guess"), 401);
    }
    assert_eq!(log_in(&server, &stranger, "203.0.113.99", "root", PASSWORD), 429);
    let elsewhere = client_at([127, 0, 0, 7]);
    assert_eq!(log_in(&server, &elsewhere, "127.0.0.6", "root", PASSWORD), 200);
    assert!(!cookie(&server, &elsewhere, "https").contains("; Secure"));
}

#[test]
fn a_failed_login_leaves_a_line_that_the_documented_filter_reads() {
    let server = server();
    let proxy = client_at([127, 0, 0, 5]);
    let name = "eve\u{1b}[2J\u{9b}\"\n address=192.0.2.1";
    assert_eq!(log_in(&server, &proxy, "203.0.113.7", name, "guess"), 401);
    let bearer = proxy.get(server.url("/test")).header("x-forwarded-for", "2001:db8::7").bearer_auth("guess");
    assert_eq!(bearer.send().unwrap().status(), 401);
    assert_eq!(log_in(&server, &proxy, "203.0.113.8", "root", PASSWORD), 200);

    let text = include_str!("../../docs/security.md");
    let rule = text.lines().find_map(|line| line.strip_prefix("failregex = ")).unwrap();
    let rule = regex::Regex::new(&rule.replace("<HOST>", "(?<host>[0-9a-f:.]+)")).unwrap();
    let log = wait_for("the lines", || {
        let log = server.log();
        (log.matches("login failed").count() >= 2).then_some(log)
    });
    let hosts: Vec<&str> =
        log.lines().filter_map(|line| Some(rule.captures(line)?.name("host")?.as_str())).collect();
    assert_eq!(hosts, ["203.0.113.7", "2001:db8::7"], "{log}");
    assert!(
        log.contains(r#"name="eve\u{1b}[2J\u{9b}\"\n address=192.0.2.1" why="wrong name or password""#),
        "{log}"
    );
    assert!(!log.contains("guess"), "a password is in the log");
}
