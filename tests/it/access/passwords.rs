//! Passwords that are changed, and passwords that are none.

use std::io::Write;
use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};

use super::{Person, answer};
use crate::kit::{Server, heliostat, said};

#[test]
fn the_own_password_is_changed_by_whoever_knows_the_old_one() {
    let server = Server::start("");
    let (jane, admin) = (Person::new(&server, "jane", "viewer"), Person::new(&server, "admin", "root"));
    let change = |person: &Person<'_>, name: &str, body: &Value| {
        person.ask(Method::PUT, &format!("/api/v1/users/{name}/password"), body)
    };
    for person in [&jane, &admin] {
        for old in [json!(null), json!(""), json!("guess")] {
            let (status, problem) =
                change(person, &person.name, &json!({"password": "another one", "old_password": old}));
            assert_eq!((status, &problem["errors"][0]["field"]), (403, &json!("old_password")), "{problem}");
        }
        assert_eq!(person.ask(Method::GET, "/test", &json!({})).0, 200, "nothing was changed");
    }
    let right = json!({"password": "another one", "old_password": jane.password});
    assert_eq!(change(&jane, "admin", &right).0, 403);
    assert_eq!(change(&jane, "jane", &right).0, 204);
    assert_eq!(jane.ask(Method::GET, "/test", &json!({})).0, 401);
    // Root, signed in by password, needs nobody's old one but root's own.
    assert_eq!(change(&admin, "jane", &json!({"password": jane.password})).0, 204);
    assert_eq!(jane.ask(Method::GET, "/test", &json!({})).0, 200);

    // A session is a login by password, and knows the old one no more than a screen that was left open.
    let client = crate::kit::client();
    let signed_in = client.post(server.url("/api/v1/session")).header("x-heliostat", "1");
    let signed_in = signed_in.json(&json!({"user": "jane", "password": jane.password})).send().unwrap();
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let by_session = |body: &Value| {
        let request = client.put(server.url("/api/v1/users/jane/password")).header("x-heliostat", "1");
        answer(request.header("cookie", &cookie).json(body)).0
    };
    assert_eq!(by_session(&json!({"password": "another one"})), 403);
    assert_eq!(by_session(&json!({"password": "another one", "old_password": jane.password})), 204);
}

#[test]
fn guesses_of_the_old_password_are_guesses() {
    let server = Server::start("");
    let jane = Person::new(&server, "jane", "viewer");
    // Guesses of root's password cost no hash here: these are quick.
    for number in 0..19 {
        let guess = jane.client.get(server.url("/test")).basic_auth("root", Some(format!("guess {number}")));
        assert_eq!(guess.send().unwrap().status(), 401);
    }
    let body = json!({"password": "another one", "old_password": "guess"});
    let statuses = [0, 1].map(|_| jane.ask(Method::PUT, "/api/v1/users/jane/password", &body).0);
    assert_eq!(statuses, [403, 429]);
}

#[test]
fn the_command_line_sends_the_old_password_with_a_new_one_of_oneself() {
    let server = Server::start("");
    let jane = Person::new(&server, "jane", "viewer");
    let (file, password) = (server.path("new"), &jane.password);
    std::fs::write(&file, "another one\n").unwrap();
    let passwd = |user: &str, file: &std::path::Path| {
        let mut command = Command::new(heliostat());
        command.args(["user", "passwd", "jane", "--password-file"]).arg(file);
        command.env("HELIOSTAT_SERVER", server.url("")).env("HELIOSTAT_USER", user).output().unwrap()
    };
    let output = passwd(&format!("jane:{password}"), &file);
    assert!(output.status.success(), "{}", said(&output));
    assert!(!passwd(&format!("jane:{password}"), &file).status.success(), "that password is gone");
    assert!(passwd("jane:another one", &file).status.success());

    let body = json!({"name": "t"});
    let (_, token) =
        Person { password: "another one".to_owned(), ..jane }.ask(Method::POST, "/api/v1/tokens", &body);
    let mut command = Command::new(heliostat());
    command
        .args(["user", "passwd", "jane", "--password-file"])
        .arg(&file)
        .env("HELIOSTAT_SERVER", server.url(""));
    let output = command.env("HELIOSTAT_TOKEN", token["token"].as_str().unwrap()).output().unwrap();
    assert!(said(&output).contains("a token changes no password"), "{}", said(&output));
}

/// Texts that are no passwords, with a word of the reason.
fn wrong() -> [(String, &'static str); 5] {
    [
        ("line one\nline two".to_owned(), "control character"),
        ("a\0bcdefgh".to_owned(), "control character"),
        ("\u{1b}[2Jabcdefgh".to_owned(), "control character"),
        ("\u{9b}31mabcdefgh".to_owned(), "control character"),
        ("x".repeat(1025), "1024"),
    ]
}

#[test]
fn what_is_no_password_is_refused_at_its_field() {
    let server = Server::start("");
    let source = |password: &str| json!({"host": "h", "module": "m", "user": "u", "password": password});
    let refused = |answer: &crate::kit::Answer, field: &str, word: &str| {
        assert_eq!(answer.status, 422, "{}", answer.text);
        let errors = &answer.json()["errors"];
        let right =
            |error: &Value| error["field"] == field && error["message"].as_str().unwrap().contains(word);
        assert!(errors.as_array().unwrap().iter().any(right), "{field}, {word}: {errors}");
    };
    server.project("p", "rsync://h/m", &json!({}));
    for (password, word) in wrong() {
        let body = json!({"id": "q", "source": source(&password), "dest": server.path("mirrors/q"),
                          "upstreams": [source(&password)]});
        let answer = server.post("/api/v1/projects", &body);
        refused(&answer, "source.password", word);
        refused(&answer, "upstreams[0].password", word);
        let patch =
            server.request(Method::PATCH, "/api/v1/projects/p").json(&json!({"source": source(&password)}));
        refused(&server.send(patch), "source.password", word);
        let probe = json!({"source": "rsync://u@127.0.0.1:1/m", "password": password});
        refused(&server.post("/api/v1/probe", &probe), "password", word);
        let user = json!({"name": "jane", "role": "viewer", "password": password});
        refused(&server.post("/api/v1/users", &user), "password", word);

        let old = json!({"project": "q", "rsync_host": "h", "rsync_module": "m", "dest": server.path("mirrors"),
                         "rsync_password": password});
        let answer = server.post("/add_project/", &old);
        assert!(
            matches!(answer.status, 400 | 422) && answer.text.contains("rsync_password"),
            "{}",
            answer.text
        );
        let old = json!({"username": "jane", "password": password});
        let answer = server.post("/create_api_user/", &old);
        assert!(matches!(answer.status, 400 | 422) && answer.text.contains("password"), "{}", answer.text);
    }
    assert_eq!(server.get("/api/v1/projects").json()["items"].as_array().unwrap().len(), 1);
    let longest = server.post(
        "/api/v1/projects",
        &json!({"id": "q", "source": source(&"x".repeat(1024)),
                                                          "dest": server.path("mirrors/q")}),
    );
    assert_eq!(longest.status, 201, "{}", longest.text);
}

#[test]
fn what_is_no_password_is_refused_on_the_command_line() {
    let server = Server::start("");
    let run = |words: &[&str], input: &str| {
        let mut child = Command::new(heliostat())
            .args(words)
            .env("HELIOSTAT_SERVER", server.url(""))
            .env("HELIOSTAT_USER", "root:correct horse")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The command may have seen enough before all is written.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    };
    let long = "x".repeat(100_000);
    for (input, word) in [("a\u{1b}bcdefgh\n", "control character"), (long.as_str(), "1024"), ("\n", "empty")]
    {
        for words in [
            vec!["user", "add", "jane", "--role", "viewer", "--password-file", "-"],
            vec!["probe", "rsync://u@127.0.0.1:1/m", "--password-file", "-"],
        ] {
            let output = run(&words, input);
            let said = said(&output);
            assert!(
                !output.status.success() && said.contains("--password-file") && said.contains(word),
                "{said}"
            );
        }
    }
    let file = server.path("projects.ron");
    let dest = server.path("mirrors/q");
    let text = format!(
        "[(id: \"q\", source: (host: \"h\", module: \"m\", user: \"u\", password: \"a\\nb\"), dest: {dest:?})]"
    );
    std::fs::write(&file, text).unwrap();
    let output = server.command(&["project", "apply", "--file", file.to_str().unwrap()]);
    let said = said(&output);
    assert!(!output.status.success() && said.contains("source.password"), "{said}");
}
