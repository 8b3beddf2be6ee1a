//! What one user can take: tokens, sessions, streams, probes and projects have a number for each, so that nobody takes them
//! from others.

use std::net::TcpListener;
use std::thread;

use reqwest::Method;
use reqwest::blocking::Response;
use serde_json::{Value, json};

use super::{Person, answer};
use crate::kit::{Server, wait_for};

#[test]
fn a_user_has_a_hundred_tokens_and_takes_none_of_others_or_of_slaves() {
    let server = crate::slaves::master_beside(|_| String::new());
    let (vic, jane) = (Person::new(&server, "vic", "viewer"), Person::new(&server, "jane", "viewer"));
    let make = |person: &Person<'_>| person.ask(Method::POST, "/api/v1/tokens", &json!({"name": "t"}));
    let first = make(&vic).1;
    for number in 1..100 {
        assert_eq!(make(&vic).0, 201, "{number}");
    }
    let (status, problem) = make(&vic);
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("token revoke"), "{problem}");
    assert_eq!(vic.ask(Method::GET, "/get_token", &json!({})).0, 409);

    assert_eq!(make(&jane).0, 201);
    assert_eq!(server.post("/api/v1/nodes", &json!({"name": "cron"})).status, 201);
    assert_eq!(server.post("/add_slave", &json!({"hostname": "127.0.0.1", "port": "1"})).status, 200);
    let path = format!("/api/v1/tokens/{}", first["id"].as_str().unwrap());
    assert_eq!(vic.ask(Method::DELETE, &path, &json!({})).0, 204);
    assert_eq!(make(&vic).0, 201);
}

#[test]
fn a_user_has_twenty_sessions_and_signs_nobody_else_out() {
    let server = Server::start("");
    let (vic, jane) = (Person::new(&server, "vic", "viewer"), Person::new(&server, "jane", "viewer"));
    let sign_in = |person: &Person<'_>| {
        let request = person.client.post(server.url("/api/v1/session")).header("X-Heliostat", "1");
        let signed_in =
            request.json(&json!({"user": person.name, "password": person.password})).send().unwrap();
        assert_eq!(signed_in.status(), 201);
        signed_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
    };
    let is_in = |cookie: &String| {
        answer(vic.client.get(server.url("/api/v1/session")).header("Cookie", cookie)).0 == 200
    };
    let of_jane = sign_in(&jane);
    let of_vic: Vec<String> = (0..30).map(|_| sign_in(&vic)).collect();
    assert_eq!(of_vic.iter().filter(|cookie| is_in(cookie)).count(), 20);
    assert!(is_in(&of_jane) && is_in(&of_vic[29]) && !is_in(&of_vic[9]) && is_in(&of_vic[10]));
}

#[test]
fn a_user_follows_so_many_streams_and_leaves_others_theirs() {
    let server = Server::start("");
    let (vic, jane) = (Person::new(&server, "vic", "viewer"), Person::new(&server, "jane", "viewer"));
    let follow = |person: &Person<'_>| -> Response {
        let request = person.client.get(server.url("/api/v1/events"));
        request.basic_auth(&person.name, Some(&person.password)).send().unwrap()
    };
    let mut open = Vec::new();
    let refused = loop {
        let stream = follow(&vic);
        if stream.status() != 200 {
            break stream.status().as_u16();
        }
        open.push(stream);
        assert!(open.len() <= 256, "no bound");
    };
    assert_eq!((refused, open.len()), (429, 256));
    assert_eq!(follow(&jane).status(), 200);
    assert_eq!(vic.ask(Method::GET, "/api/v1/projects", &json!({})).0, 200);

    drop(open);
    wait_for("the places to be free again", || (follow(&vic).status() == 200).then_some(()));
}

#[test]
fn a_user_asks_half_of_the_upstreams_that_are_asked_at_once() {
    let server = Server::start("");
    let (vic, jane) =
        (Person::new(&server, "vic", "upstreamuser"), Person::new(&server, "jane", "upstreamuser"));
    // It takes connections, and says nothing.
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let source = json!({"source": format!("rsync://{}/m", upstream.local_addr().unwrap())});
    let probe = |person: &Person<'_>| person.ask(Method::POST, "/api/v1/probe", &source);
    let statuses: Vec<(u16, Value)> = thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| probe(&vic))).collect();
        // Four are going: the others were refused at once.
        let held: Vec<_> = (0..4).map(|_| upstream.accept().unwrap()).collect();
        assert_eq!(probe(&jane).0, 200);
        drop(held);
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let refused: Vec<&str> = statuses
        .iter()
        .filter(|(status, _)| *status == 503)
        .filter_map(|(_, it)| it["detail"].as_str())
        .collect();
    assert_eq!(refused.len(), 4, "{statuses:?}");
    assert!(refused.iter().all(|why| why.contains("`vic` asks as many")), "{refused:?}");
}

#[test]
fn an_upstreamuser_has_a_thousand_projects_and_root_any_number() {
    let server = crate::old_api::quiet();
    let jane = Person::new(&server, "jane", "upstreamuser");
    let create = |person: Option<&Person<'_>>, id: &str| {
        let body = json!({"id": id, "source": "rsync://h/m", "dest": server.path("mirrors").join(id)});
        match person {
            Some(person) => person.ask(Method::POST, "/api/v1/projects", &body),
            None => answer(server.request(Method::POST, "/api/v1/projects").json(&body)),
        }
    };
    thread::scope(|scope| {
        for part in 0..10 {
            let (jane, create) = (&jane, &create);
            scope.spawn(move || {
                for number in 0..100 {
                    assert_eq!(create(Some(jane), &format!("p-{part}-{number}")).0, 201);
                }
            });
        }
    });
    let (status, problem) = create(Some(&jane), "one-more");
    assert_eq!(status, 403);
    assert!(problem["detail"].as_str().unwrap().contains("1000 projects"), "{problem}");
    assert_eq!(create(None, "roots").0, 201);
    assert_eq!(jane.ask(Method::PATCH, "/api/v1/projects/p-0-0", &json!({"priority": 1})).0, 200);
    assert_eq!(jane.ask(Method::DELETE, "/api/v1/projects/p-0-0", &json!({})).0, 204);
    assert_eq!(create(Some(&jane), "one-more").0, 201);
}
