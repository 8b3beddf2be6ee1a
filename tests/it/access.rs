//! Who gets in, and what they may do: users, roles, tokens, owners, and what is remembered of it.

mod bounds;
mod foreign;
mod guesses;
mod lives;
mod matrix;
mod passwords;
mod streams;
mod tokens;

use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::kit::{Server, Upstream};

/// A user of the server, in these tests.
struct Person<'a> {
    server: &'a Server,
    client: Client,
    name: String,
    password: String,
}

impl<'a> Person<'a> {
    /// Adds a user.
    fn new(server: &'a Server, name: &str, role: &str) -> Self {
        let password = format!("{name}'s password");
        let answer = server.post("/api/v1/users", &json!({"name": name, "role": role, "password": password}));
        assert_eq!(answer.status, 201, "{}", answer.text);
        Self { server, client: crate::kit::client(), name: name.to_owned(), password }
    }

    fn ask(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request =
            self.client.request(method, self.server.url(path)).basic_auth(&self.name, Some(&self.password));
        answer(request.json(body))
    }
}

fn answer(request: reqwest::blocking::RequestBuilder) -> (u16, Value) {
    let answer = request.send().unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().unwrap()).unwrap_or_default())
}

#[test]
fn owners_change_their_own_projects_and_a_token_starts_just_one() {
    let (server, upstream) = (Server::start(""), Upstream::start(3));
    let jane = Person::new(&server, "jane", "upstreamuser");
    let body = json!({"id": "janes", "source": upstream.url("data"), "dest": server.path("mirrors/janes")});
    let (status, project) = jane.ask(Method::POST, "/api/v1/projects", &body);
    assert_eq!((status, project["owner"].as_str()), (201, Some("jane")), "{project}");
    server.project("roots", &upstream.url("data"), &json!({}));
    assert_eq!(jane.ask(Method::PATCH, "/api/v1/projects/janes", &json!({"priority": 1})).0, 200);
    assert_eq!(jane.ask(Method::PATCH, "/api/v1/projects/roots", &json!({"priority": 1})).0, 403);
    assert_eq!(jane.ask(Method::GET, "/api/v1/projects/roots", &json!({})).0, 200);
    assert_eq!(jane.ask(Method::POST, "/api/v1/projects/roots/sync", &json!({})).0, 403);
    // Ownership cannot be taken.
    let (_, kept) = jane.ask(Method::PATCH, "/api/v1/projects/janes", &json!({"owner": "root"}));
    assert_eq!(kept["owner"], "jane");

    let (_, token) = jane.ask(Method::POST, "/api/v1/tokens", &json!({"name": "push", "start": "janes"}));
    let text = token["token"].as_str().unwrap();
    assert!(text.len() >= 43, "256 bits");
    let client = crate::kit::client();
    let sync = |id: &str| client.post(server.url(&format!("/api/v1/projects/{id}/sync"))).bearer_auth(text);
    let (status, run) = answer(sync("janes"));
    assert_eq!((status, run["requested_by"].as_str()), (202, Some("jane")), "{run}");
    assert_eq!(answer(sync("roots")).0, 403);
    assert_eq!(answer(client.get(server.url("/api/v1/projects")).bearer_auth(text)).0, 403);
    // As the user name of Basic too, as in 2014.
    let basic = client.post(server.url("/api/v1/projects/janes/sync")).basic_auth(text, Some("anything"));
    assert_eq!(answer(basic).0, 202);
    // Nobody gives what they do not have.
    assert_eq!(jane.ask(Method::POST, "/api/v1/tokens", &json!({"role": "root"})).0, 403);
    assert_eq!(jane.ask(Method::POST, "/api/v1/tokens", &json!({"start": "roots"})).0, 403);
    // The text is shown once, and ended tokens end.
    let list = server.get("/api/v1/tokens").json();
    assert!(!list.to_string().contains(text) && !list["items"][0]["last_used"].is_null(), "{list}");
    let path = format!("/api/v1/tokens/{}", token["id"].as_str().unwrap());
    assert_eq!(jane.ask(Method::DELETE, &path, &json!({})).0, 204);
    assert_eq!(answer(sync("janes")).0, 401);
}

#[test]
fn accounts_outlive_a_kill_and_a_removed_user_is_out_at_once() {
    let mut server = Server::start("");
    let (token, password) = {
        let jane = Person::new(&server, "jane", "upstreamuser");
        let (_, token) = jane.ask(Method::POST, "/api/v1/tokens", &json!({"name": "t", "expires_in": "1h"}));
        (token["token"].as_str().unwrap().to_owned(), jane.password)
    };
    server.kill();
    server.launch();
    let client = crate::kit::client();
    let list =
        |request: fn(reqwest::blocking::RequestBuilder, &str) -> reqwest::blocking::RequestBuilder,
         secret: &str| { answer(request(client.get(server.url("/api/v1/projects")), secret)).0 };
    let by_password =
        |request: reqwest::blocking::RequestBuilder, secret: &str| request.basic_auth("jane", Some(secret));
    let by_token = |request: reqwest::blocking::RequestBuilder, secret: &str| request.bearer_auth(secret);
    assert_eq!((list(by_password, &password), list(by_token, &token)), (200, 200));
    let change =
        server.request(Method::PUT, "/api/v1/users/jane/password").json(&json!({"password": "another one"}));
    assert_eq!(server.send(change).status, 204);
    assert_eq!((list(by_password, &password), list(by_password, "another one")), (401, 200));
    assert_eq!(server.send(server.request(Method::DELETE, "/api/v1/users/jane")).status, 204);
    assert_eq!((list(by_password, "another one"), list(by_token, &token)), (401, 401));
    for file in
        walkdir::WalkDir::new(server.data()).into_iter().flatten().filter(|entry| entry.file_type().is_file())
    {
        let bytes = std::fs::read(file.path()).unwrap();
        for secret in [token.as_bytes(), password.as_bytes()] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret), "{}", file.path().display());
        }
    }
}

#[test]
fn wrong_accounts_are_refused_field_by_field() {
    let server = Server::start("");
    let wrong = server.post("/api/v1/users", &json!({"name": "a b", "role": "king", "passwort": "x"}));
    assert_eq!(wrong.status, 422);
    for field in ["name", "role", "password", "passwort"] {
        assert!(
            wrong.json()["errors"].as_array().unwrap().iter().any(|error| error["field"] == field),
            "{}",
            wrong.text
        );
    }
    let short = json!({"name": "jane", "role": "viewer", "password": "short"});
    assert!(server.post("/api/v1/users", &short).text.contains("8 to 1024"));
    Person::new(&server, "jane", "viewer");
    let again = json!({"name": "jane", "role": "viewer", "password": "long enough"});
    assert_eq!(server.post("/api/v1/users", &again).status, 409);
    assert_eq!(server.send(server.request(Method::DELETE, "/api/v1/users/root")).status, 409);
    assert_eq!(server.send(server.request(Method::DELETE, "/api/v1/users/none")).status, 404);
    assert_eq!(server.post("/api/v1/tokens", &json!({"start": "none"})).status, 422);
    assert_eq!(server.send(server.request(Method::DELETE, "/api/v1/tokens/none")).status, 404);
}

#[test]
fn what_was_done_stands_in_the_audit_trail_without_secrets() {
    let server = Server::start("");
    let source = json!({"host": "h", "module": "m", "user": "u", "password": "hunter2"});
    let body = json!({"id": "p", "source": source, "dest": server.path("mirrors/p")});
    assert_eq!(server.post("/api/v1/projects", &body).status, 201);
    server.send(server.request(Method::PATCH, "/api/v1/projects/p").json(&json!({"priority": 7})));
    Person::new(&server, "jane", "viewer");
    server.post("/api/v1/projects/p/disable", &json!({}));
    server.sync("p");
    server.send(server.request(Method::DELETE, "/api/v1/projects/p"));
    let trail = server.get("/api/v1/audit").json();
    let lines = trail["items"].as_array().unwrap();
    let actions: Vec<&str> = lines.iter().rev().map(|line| line["action"].as_str().unwrap()).collect();
    let expected = [
        "project.create",
        "project.update",
        "user.create",
        "project.disable",
        "project.sync",
        "project.delete",
    ];
    assert_eq!(actions, expected);
    let update = &lines[lines.len() - 2];
    assert_eq!((&update["before"]["priority"], &update["after"]["priority"]), (&json!(0), &json!(7)));
    assert_eq!((&update["by"], &update["from"]), (&json!("root"), &json!("127.0.0.1")));
    assert!(!trail.to_string().contains("hunter2") && !trail.to_string().contains("jane's password"));
    let first = server.get("/api/v1/audit?limit=2").json();
    let next =
        server.get(&format!("/api/v1/audit?limit=2&cursor={}", first["next"].as_str().unwrap())).json();
    assert_eq!(next["items"][0]["action"], "project.disable");
}

#[test]
fn people_and_machines_are_kept_on_the_command_line() {
    let server = Server::start("");
    let file = server.path("password");
    std::fs::write(&file, "a long password\n").unwrap();
    let file = file.display().to_string();
    let run = |words: &[&str]| {
        let output = server.command(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(
        run(&["user", "add", "jane", "--role", "upstreamuser", "--password-file", &file]).contains("added")
    );
    assert!(run(&["user", "list"]).contains("jane"));
    let token = run(&["token", "create", "for a test", "--role", "viewer", "--expires-in", "1h"]);
    let by_token = std::process::Command::new(crate::kit::heliostat())
        .args(["project", "list", "--server", &server.url("")])
        .env("HELIOSTAT_TOKEN", token.trim())
        .output()
        .unwrap();
    assert!(by_token.status.success(), "{}", String::from_utf8_lossy(&by_token.stderr));
    let list = run(&["token", "list"]);
    assert!(list.contains("for a test"), "{list}");
    let id = list.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(run(&["token", "revoke", id]).contains("ended"));
    assert!(run(&["user", "passwd", "jane", "--password-file", &file]).contains("changed"));
    assert!(run(&["user", "remove", "jane"]).contains("removed"));
    let twice = server.command(&["user", "remove", "jane"]);
    assert_eq!(twice.status.code(), Some(3));
}
