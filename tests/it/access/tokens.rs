//! Tokens with less power than their owner, and tokens that were made with tokens.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Person, answer};
use crate::kit::Server;

/// What a bearer of a token is answered.
fn bear(server: &Server, token: &str, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let request = crate::kit::client().request(method, server.url(path)).bearer_auth(token);
    answer(request.json(body))
}

/// Makes a token as root, or with another token.
fn made(server: &Server, with: Option<&str>, body: &Value) -> Value {
    let (status, token) = match with {
        Some(token) => bear(server, token, Method::POST, "/api/v1/tokens", body),
        None => answer(server.request(Method::POST, "/api/v1/tokens").json(body)),
    };
    assert_eq!(status, 201, "{token}");
    token
}

fn text<'a>(token: &'a Value, key: &str) -> &'a str {
    token[key].as_str().unwrap()
}

#[test]
fn a_weaker_token_touches_neither_accounts_nor_tokens_of_its_owner() {
    let server = crate::slaves::master_beside(|_| String::new());
    assert_eq!(server.post("/api/v1/nodes", &json!({"name": "cron"})).status, 201);
    let jane = Person::new(&server, "jane", "viewer");
    let (_, janes) = jane.ask(Method::POST, "/api/v1/tokens", &json!({"name": "jane's"}));
    let strong = made(&server, None, &json!({"name": "strong"}));
    let all = server.get("/api/v1/tokens").json();
    let of_node = all["items"].as_array().unwrap().iter().find(|token| token["scope"]["node"].is_string());
    let of_node = of_node.unwrap().clone();

    for role in ["viewer", "upstreamuser"] {
        let weak = made(&server, None, &json!({"name": "weak", "role": role}));
        let ask = |method: Method, path: &str, body: &Value| {
            bear(&server, text(&weak, "token"), method, path, body)
        };
        for name in ["root", "jane"] {
            let path = format!("/api/v1/users/{name}/password");
            assert_eq!(
                ask(Method::PUT, &path, &json!({"password": "an attacker's"})).0,
                403,
                "{role}, {name}"
            );
        }
        for (token, status) in [(&of_node, 403), (&strong, 403), (&janes, 404)] {
            let path = format!("/api/v1/tokens/{}", text(token, "id"));
            assert_eq!(ask(Method::DELETE, &path, &json!({})).0, status, "{role}: {token}");
        }

        // It sees itself and what was made with it, and can end both.
        let child = ask(Method::POST, "/api/v1/tokens", &json!({"name": "child"})).1;
        let (_, seen) = ask(Method::GET, "/api/v1/tokens", &json!({}));
        let seen: Vec<&str> =
            seen["items"].as_array().unwrap().iter().map(|token| text(token, "id")).collect();
        assert_eq!(seen, [text(&weak, "id"), text(&child, "id")]);
        for token in [&child, &weak] {
            let path = format!("/api/v1/tokens/{}", text(token, "id"));
            assert_eq!(ask(Method::DELETE, &path, &json!({})).0, 204, "{role}");
        }
    }

    // With a user's whole power it reaches that user's tokens, and no passwords.
    let ask = |method: Method, path: &str| {
        bear(&server, text(&strong, "token"), method, path, &json!({"password": "another one"}))
    };
    assert_eq!(ask(Method::PUT, "/api/v1/users/jane/password").0, 403);
    for token in [&janes, &of_node] {
        assert_eq!(ask(Method::DELETE, &format!("/api/v1/tokens/{}", text(token, "id"))).0, 204);
    }
}

#[test]
fn a_token_ends_no_later_than_the_one_with_which_it_was_made() {
    let mut server = Server::start("");
    let parent = made(&server, None, &json!({"name": "parent", "expires_in": "30m"}));
    let with_parent = Some(text(&parent, "token"));
    let child = made(&server, with_parent, &json!({"name": "child"}));
    let longer = made(&server, with_parent, &json!({"name": "longer", "expires_in": "2h"}));
    let shorter = made(&server, with_parent, &json!({"name": "shorter", "expires_in": "1m"}));
    assert_eq!((&child["expires"], &longer["expires"]), (&parent["expires"], &parent["expires"]));
    assert!(text(&shorter, "expires") < text(&parent, "expires"));
    assert_eq!(child["parent"], parent["id"]);

    let grandchild = made(&server, Some(text(&child, "token")), &json!({"name": "grandchild"}));
    let (status, of_2014) = bear(&server, text(&grandchild, "token"), Method::GET, "/get_token", &json!({}));
    assert_eq!((status, of_2014.as_object().unwrap().len()), (200, 1), "{of_2014}");
    let family = [&parent, &child, &longer, &shorter, &grandchild, &of_2014];
    let let_in = |server: &Server| {
        let status = |token: &&Value| bear(server, text(token, "token"), Method::GET, "/test", &json!({})).0;
        family.iter().map(status).collect::<Vec<_>>()
    };
    let listed = server.get("/api/v1/tokens").json();
    let by_old_door = listed["items"].as_array().unwrap().iter().find(|token| token["name"] == "get_token");
    assert_eq!(by_old_door.unwrap()["expires"], parent["expires"]);

    // What ends with what is known after a crash too.
    server.kill();
    server.launch();
    assert_eq!(let_in(&server), [200; 6]);
    let path = format!("/api/v1/tokens/{}", text(&parent, "id"));
    assert_eq!(server.send(server.request(Method::DELETE, &path)).status, 204);
    assert_eq!(let_in(&server), [401; 6]);
    assert_eq!(server.get("/api/v1/tokens").json()["items"], json!([]));
}
