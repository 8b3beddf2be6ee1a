//! Answers that go on: they end with the login that opened them.

use std::io::Read;

use reqwest::Method;
use reqwest::blocking::{RequestBuilder, Response};
use serde_json::{Value, json};

use super::Person;
use crate::kit::{PASSWORD, Server, Upstream};

/// Opens a stream, and waits until it has begun.
fn open(request: RequestBuilder) -> Response {
    let opened = request.send().unwrap();
    assert_eq!(opened.status(), 200);
    opened
}

/// Reads to the end of a stream, which has one: the client's time-out would fail here.
fn to_its_end(mut stream: Response) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn text(token: &Value, key: &str) -> String {
    token[key].as_str().unwrap().to_owned()
}

#[test]
fn a_stream_of_events_ends_with_the_login_that_opened_it() {
    let (server, client) = (Server::start(""), crate::kit::client());
    server.project("p", "rsync://h/m", &json!({}));
    let events = || client.get(server.url("/api/v1/events"));
    let remove = |path: &str| {
        assert_eq!(server.send(server.request(Method::DELETE, path)).status, 204, "{path}");
    };
    let made = |body: &Value| server.post("/api/v1/tokens", body).json();

    let jane = Person::new(&server, "jane", "viewer");
    let by_password = open(events().basic_auth("jane", Some(&jane.password)));
    let body = json!({"password": "another one", "old_password": jane.password});
    assert_eq!(jane.ask(Method::PUT, "/api/v1/users/jane/password", &body).0, 204);
    to_its_end(by_password);

    let of_user = open(events().basic_auth("jane", Some("another one")));
    let (_, token) = Person { password: "another one".to_owned(), ..jane }.ask(
        Method::POST,
        "/api/v1/tokens",
        &json!({"name": "t"}),
    );
    let of_users_token = open(events().bearer_auth(text(&token, "token")));
    remove("/api/v1/users/jane");
    to_its_end(of_user);
    to_its_end(of_users_token);

    let parent = made(&json!({"name": "parent"}));
    let child = client.post(server.url("/api/v1/tokens")).bearer_auth(text(&parent, "token"));
    let child: Value = child.json(&json!({"name": "child"})).send().unwrap().json().unwrap();
    let of_child = open(events().bearer_auth(text(&child, "token")));
    remove(&format!("/api/v1/tokens/{}", text(&parent, "id")));
    to_its_end(of_child);

    let short = made(&json!({"name": "short", "expires_in": "2s"}));
    to_its_end(open(events().bearer_auth(text(&short, "token"))));

    let sign_in = client.post(server.url("/api/v1/session")).header("X-Heliostat", "1");
    let sign_in = sign_in.json(&json!({"user": "root", "password": PASSWORD})).send().unwrap();
    let cookie = sign_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let of_session = open(events().header("Cookie", &cookie));
    let mut of_root = open(events().basic_auth("root", Some(PASSWORD)));
    let sign_out = client.delete(server.url("/api/v1/session")).header("X-Heliostat", "1");
    assert_eq!(sign_out.header("Cookie", &cookie).send().unwrap().status(), 204);
    to_its_end(of_session);

    // What ends for others goes on for those whose login holds.
    server.post("/api/v1/projects/p/disable", &json!({}));
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("project.updated") {
        let mut piece = [0; 1024];
        let read = of_root.read(&mut piece).unwrap();
        assert_ne!(read, 0, "root's stream ended");
        heard.extend_from_slice(&piece[..read]);
    }
}

#[test]
fn a_followed_log_and_a_waiting_slave_end_with_their_login() {
    let server = crate::slaves::master_beside(|_| "rsync: (bwlimit: 1), ".to_owned());
    let upstream = Upstream::start(300);
    server.project("p", &upstream.url("data"), &json!({}));
    let run = server.sync("p");
    let jane = Person::new(&server, "jane", "viewer");
    let log = jane.client.get(server.url(&format!("/api/v1/runs/{run}/log?follow=true")));
    let followed = open(log.basic_auth("jane", Some(&jane.password)));
    server.in_state(&run, "running");
    assert_eq!(server.send(server.request(Method::DELETE, "/api/v1/users/jane")).status, 204);
    to_its_end(followed);
    assert_eq!(server.run(&run)["state"], "running", "the log ended with its run");
    server.post(&format!("/api/v1/runs/{run}/cancel"), &json!({}));

    let node = server.post("/api/v1/nodes", &json!({"name": "cron"})).json();
    let token = text(&node, "token");
    let ask = |query: &str| {
        let path = format!("/api/v1/nodes/self/generations?{query}");
        crate::kit::client().get(server.url(&path)).bearer_auth(&token).send().unwrap()
    };
    server.ended(&run);
    let tag = text(&ask("wait=0").json().unwrap(), "tag");
    let status = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(&format!("wait=55&since={tag}")).status().as_u16());
        let tokens = server.get("/api/v1/tokens").json();
        let of_node =
            tokens["items"].as_array().unwrap().iter().find(|token| token["scope"]["node"] == "cron");
        let path = format!("/api/v1/tokens/{}", text(of_node.unwrap(), "id"));
        assert_eq!(server.send(server.request(Method::DELETE, &path)).status, 204);
        waiting.join().unwrap()
    });
    assert_eq!(status, 401);
}
