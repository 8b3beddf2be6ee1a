//! Guessing: one after the other, all at once, from many addresses; and who is not held up by it.

use std::thread;

use reqwest::blocking::Client;

use super::Person;
use crate::kit::{PASSWORD, Server, client_at, wait_for};

fn log_in(server: &Server, client: &Client, name: &str, password: &str) -> u16 {
    client.get(server.url("/test")).basic_auth(name, Some(password)).send().unwrap().status().as_u16()
}

#[test]
fn while_an_address_is_held_off_a_right_guess_looks_like_a_wrong_one() {
    let server = Server::start("");
    let jane = Person::new(&server, "jane", "viewer");
    let client = crate::kit::client();
    let (_, token) = jane.ask(reqwest::Method::POST, "/api/v1/tokens", &serde_json::json!({"name": "t"}));
    let session = client.post(server.url("/api/v1/session")).header("x-heliostat", "1");
    let session =
        session.json(&serde_json::json!({"user": "jane", "password": jane.password})).send().unwrap();
    let cookie = session.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();

    let mut wrong = 0;
    let refused = wait_for("the guesses to be too many", || {
        let guess = client.get(server.url("/test")).basic_auth("root", Some(format!("guess {wrong}")));
        wrong += 1;
        Some(guess.send().unwrap()).filter(|answer| answer.status() == 429)
    });
    assert_eq!(wrong, 21);
    assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 61);
    assert_eq!(log_in(&server, &client, "root", PASSWORD), 429);
    assert_eq!(
        log_in(&server, &client, "jane", &jane.password),
        429,
        "what was proved before is no way round"
    );

    // Elsewhere, and by what cannot be guessed, everybody comes in.
    assert_eq!(log_in(&server, &client_at([127, 0, 0, 2]), "jane", &jane.password), 200);
    let by_token = client.get(server.url("/test")).bearer_auth(token["token"].as_str().unwrap());
    assert_eq!(by_token.send().unwrap().status(), 200);
    assert_eq!(client.get(server.url("/test")).header("cookie", cookie).send().unwrap().status(), 200);
}

#[test]
fn a_name_that_is_guessed_at_is_held_off_but_where_it_was_proved() {
    let server = Server::start("");
    let home = client_at([127, 0, 1, 1]);
    assert_eq!(log_in(&server, &home, "root", PASSWORD), 200);
    // Root's password is not hashed here, so that all guesses fall into one minute on a slow machine too.
    for attacker in [1, 2, 3, 4].map(|last| client_at([127, 0, 2, last])) {
        for number in 0..15 {
            assert_eq!(log_in(&server, &attacker, "root", &format!("guess {number}")), 401);
        }
    }
    assert_eq!(log_in(&server, &client_at([127, 0, 3, 1]), "root", "guess"), 429);
    assert_eq!(log_in(&server, &client_at([127, 0, 3, 2]), "root", PASSWORD), 429);
    assert_eq!(log_in(&server, &home, "root", PASSWORD), 200);
    assert_eq!(log_in(&server, &home, "root", "guess"), 429);
}

#[test]
fn guesses_at_once_are_as_few_as_guesses_in_turn_and_a_right_login_is_proved_once() {
    let server = Server::start("");
    let jane = Person::new(&server, "jane", "viewer");
    let at_once = |address: [u8; 4], password: &(dyn Fn(usize) -> String + Sync)| -> Vec<u16> {
        let server = &server;
        thread::scope(|scope| {
            let login = |number| move || log_in(server, &client_at(address), "jane", &password(number));
            let logins: Vec<_> = (0..60).map(|number| scope.spawn(login(number))).collect();
            logins.into_iter().map(|login| login.join().unwrap()).collect()
        })
    };
    let right = at_once([127, 0, 0, 1], &|_| jane.password.clone());
    assert_eq!(right, [200; 60], "a client of 2014 sends its password with every request");
    let statuses = at_once([127, 0, 0, 2], &|number| format!("guess {number}"));
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(401), count(429)), (20, 40), "{statuses:?}");
}

#[test]
fn a_flood_of_logins_takes_little_memory_and_gives_it_back() {
    let server = Server::start("");
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
    };
    // Once, so that what every login needs is there.
    log_in(&server, &crate::kit::client(), "nobody", "guess");
    let before = memory();
    for round in 0..3_u8 {
        thread::scope(|scope| {
            for number in 0..60_u8 {
                let client = client_at([127, 0, 10 + round, 1 + number]);
                scope.spawn({
                    let server = &server;
                    move || log_in(server, &client, &format!("user-{number}"), "guess")
                });
            }
        });
        assert!(memory() < before + 60, "{before} MiB, then {} MiB", memory());
    }
    wait_for("the memory to be given back", || (memory() < before + 20).then_some(()));
}
