//! Names have lives: who owned a project, was a user, or had a token of one life has nothing of the next.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Person, answer};
use crate::kit::Server;

/// A request whose head was sent, and of whose body a part.
struct SlowRequest {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl SlowRequest {
    fn begin(person: &Person<'_>, method: &str, path: &str, more: &str, body: &Value) -> Self {
        let login = STANDARD.encode(format!("{}:{}", person.name, person.password));
        let body = body.to_string().into_bytes();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic {login}\r\n{more}\
             Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", person.server.port())).unwrap();
        stream.set_read_timeout(Some(crate::kit::PATIENCE)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();

        // The server asks for the body once it has looked at the login.
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&byte);
        }
        assert!(seen.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&seen));
        Self { stream, rest: body }
    }

    /// Sends the body, and gives the status.
    fn end(mut self) -> u16 {
        self.stream.write_all(&self.rest).unwrap();
        let mut text = String::new();
        self.stream.read_to_string(&mut text).unwrap();
        text.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

fn create(person: &Person<'_>, id: &str) {
    let dest = person.server.path("mirrors").join(id);
    let body = json!({"id": id, "source": "rsync://127.0.0.1:1/m", "dest": dest});
    let (status, project) = person.ask(Method::POST, "/api/v1/projects", &body);
    assert_eq!(status, 201, "{project}");
}

fn remove(server: &Server, path: &str) {
    let removed = server.send(server.request(Method::DELETE, path));
    assert_eq!(removed.status, 204, "{path}: {}", removed.text);
}

fn push(server: &Server, token: &str, id: &str) -> u16 {
    let path = format!("/api/v1/projects/{id}/sync");
    answer(crate::kit::client().post(server.url(&path)).bearer_auth(token)).0
}

fn start_token(person: &Person<'_>, id: &str) -> String {
    let (status, token) = person.ask(Method::POST, "/api/v1/tokens", &json!({"name": "push", "start": id}));
    assert_eq!(status, 201, "{token}");
    token["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_body_that_comes_late_changes_nothing_of_the_next_project_or_for_the_last_user() {
    let server = crate::old_api::quiet();
    let (jane, bob) =
        (Person::new(&server, "jane", "upstreamuser"), Person::new(&server, "bob", "upstreamuser"));
    let root = Person {
        server: &server,
        client: crate::kit::client(),
        name: "root".to_owned(),
        password: crate::kit::PASSWORD.to_owned(),
    };
    create(&jane, "p");
    let tag = server.get("/api/v1/projects/p").header("etag").to_owned();
    let body = json!({"id": "p", "name": "JANE", "source": "rsync://127.0.0.1:1/m", "dest": server.path("mirrors/p")});
    let put = SlowRequest::begin(&jane, "PUT", "/api/v1/projects/p", "", &body);
    let patch = SlowRequest::begin(&jane, "PATCH", "/api/v1/projects/p", "", &json!({"name": "JANE"}));
    let of_2014 = json!({"id": "p", "project": "jane"});
    let of_2014 = SlowRequest::begin(&jane, "POST", "/update_project/basic", "", &of_2014);
    let gone = SlowRequest::begin(&jane, "POST", "/remove_project", "", &json!({"id": "p"}));
    let match_tag = format!("If-Match: {tag}\r\n");
    let of_root =
        SlowRequest::begin(&root, "PATCH", "/api/v1/projects/p", &match_tag, &json!({"name": "ROOT"}));

    remove(&server, "/api/v1/projects/p");
    create(&bob, "p");
    assert_eq!([put, patch, of_2014, gone].map(SlowRequest::end), [403; 4]);
    // Root may change it, and the version that was asked for is that of another project.
    assert_eq!(of_root.end(), 412);
    let after = server.get("/api/v1/projects/p");
    assert!(after.header("etag").starts_with("\"1-"), "{}", after.header("etag"));
    assert_eq!((&after.json()["owner"], &after.json()["name"]), (&json!("bob"), &json!("p")));

    let token = SlowRequest::begin(&jane, "POST", "/api/v1/tokens", "", &json!({"name": "late"}));
    let body = json!({"id": "late", "source": "rsync://h/m", "dest": server.path("mirrors/late")});
    let project = SlowRequest::begin(&jane, "POST", "/api/v1/projects", "", &body);
    remove(&server, "/api/v1/users/jane");
    Person::new(&server, "jane", "upstreamuser");
    assert_eq!([token, project].map(SlowRequest::end), [401; 2]);
    assert_eq!(server.get("/api/v1/projects/late").status, 404);
    assert_eq!(server.get("/api/v1/tokens").json()["items"], json!([]));
}

#[test]
fn a_token_that_starts_a_project_ends_with_it_and_goes_along_to_its_new_name() {
    let mut server = crate::old_api::quiet();
    let (first, renamed, other) = {
        let (jane, bob) =
            (Person::new(&server, "jane", "upstreamuser"), Person::new(&server, "bob", "upstreamuser"));
        create(&jane, "p");
        create(&jane, "q");
        let (first, renamed) = (start_token(&jane, "p"), start_token(&jane, "q"));
        assert_eq!(push(&server, &first, "p"), 202);
        remove(&server, "/api/v1/projects/p");
        create(&bob, "p");
        assert_eq!(push(&server, &first, "p"), 401);

        let rename = json!({"id": "q", "project": "r"});
        let (status, answer) = jane.ask(Method::POST, "/update_project/basic", &rename);
        assert_eq!(status, 200, "{answer}");
        create(&bob, "q");
        assert_eq!((push(&server, &renamed, "r"), push(&server, &renamed, "q")), (202, 403));
        let names: Vec<_> = {
            let list = server.get("/api/v1/tokens").json();
            list["items"].as_array().unwrap().iter().map(|token| token["scope"].clone()).collect()
        };
        assert_eq!(names, [json!({"start": "r"})], "the other one has ended");
        (first, renamed, start_token(&bob, "p"))
    };

    server.kill();
    server.launch();
    let answers = [push(&server, &first, "p"), push(&server, &renamed, "r"), push(&server, &other, "p")];
    assert_eq!(answers, [401, 202, 202]);
}

#[test]
fn a_user_who_was_added_again_owns_nothing_of_the_one_before() {
    let mut server = crate::old_api::quiet();
    let again = {
        let jane = Person::new(&server, "jane", "upstreamuser");
        create(&jane, "p");
        assert_eq!(jane.ask(Method::PATCH, "/api/v1/projects/p", &json!({"priority": 1})).0, 200);
        remove(&server, "/api/v1/users/jane");
        let jane = Person::new(&server, "jane", "upstreamuser");
        create(&jane, "q");
        (jane.name, jane.password)
    };
    for is_restarted in [false, true] {
        if is_restarted {
            server.kill();
            server.launch();
        }
        let (name, password) = again.clone();
        let jane = Person { server: &server, client: crate::kit::client(), name, password };
        let (status, problem) = jane.ask(Method::PATCH, "/api/v1/projects/p", &json!({"priority": 2}));
        let why = problem["detail"].as_str().unwrap().to_owned();
        assert_eq!(status, 403);
        assert!(why.contains("belongs to a user of this name who was removed"), "{why}");
        for path in ["/api/v1/projects/p/sync", "/api/v1/projects/p/disable"] {
            assert_eq!(jane.ask(Method::POST, path, &json!({})).0, 403, "{path}");
        }
        assert_eq!(jane.ask(Method::GET, "/disable_project?id=p", &json!({})).0, 403);
        assert_eq!(jane.ask(Method::POST, "/api/v1/tokens", &json!({"start": "p"})).0, 403);
        assert_eq!(jane.ask(Method::PATCH, "/api/v1/projects/q", &json!({"priority": 2})).0, 200);
    }
    assert_eq!(server.get("/api/v1/projects/p").json()["priority"], 1);
    let root = server.request(Method::PATCH, "/api/v1/projects/p").json(&json!({"priority": 3}));
    assert_eq!(server.send(root).status, 200);
}
