//! Slaves, users and tokens by the old door, and who may change what.

use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::{Value, json};

use super::{failed, get, post, quiet};
use crate::kit::Server;

#[test]
fn slaves_are_added_once_listed_removed_and_heard() {
    let mut server = quiet();
    server.project("fedora", "rsync://h/m", &json!({}));
    let add = |server: &Server, port: Value| {
        post(server, "/add_slave/", &json!({"hostname": "localhost", "port": port})).json()["details"].clone()
    };
    assert_eq!(
        (add(&server, json!(7000)), add(&server, json!("7000"))),
        (json!("Added to cluster"), json!("Already added"))
    );
    post(&server, "/add_slave/", &json!({"hostname": "mirror2.example.org", "port": "7001"}));
    let expected = json!([{"id": 1, "hostname": "localhost", "port": "7000"},
        {"id": 2, "hostname": "mirror2.example.org", "port": "7001"}]);
    assert_eq!(get(&server, "/list_slaves/").json(), expected);
    server.kill();
    server.launch();
    assert_eq!(get(&server, "/list_slaves/").json(), expected, "they outlive a kill");
    for slave in [json!(1), json!("1")] {
        let heard = post(&server, "/slave_rsync_complete/", &json!({"slave_id": slave, "project": "fedora"}));
        assert_eq!(
            (heard.status, heard.json()),
            (200, json!({"method": "slave_rsync_complete", "success": true}))
        );
    }
    assert_eq!(server.get("/api/v1/audit?limit=1").json()["items"][0]["action"], "node.synced");
    assert!(server.log().contains("a slave reports"));
    let report = |slave: u32, project: &str| {
        post(&server, "/slave_rsync_complete/", &json!({"slave_id": slave, "project": project}))
    };
    failed(&report(3, "fedora"), 404, "slave_rsync_complete", "no slave 3");
    failed(&report(1, "nobody"), 404, "slave_rsync_complete", "no project `nobody`");
    let remove = |hostname: &str| post(&server, "/remove_slave/", &json!({"hostname": hostname})).json();
    assert_eq!(remove("localhost")["details"], "Found and deleted");
    assert_eq!(remove("localhost"), json!({"method": "remove_slave", "success": true, "details": ""}));
    for (host, port) in
        [("", json!("1")), ("a b", json!("1")), ("h", json!("x")), ("h", json!(0)), ("h", json!(70_000))]
    {
        let answer = post(&server, "/add_slave/", &json!({"hostname": host, "port": port}));
        failed(&answer, 400, "add_slave", if host == "h" { "port: " } else { "hostname: " });
    }
}

#[test]
fn users_and_tokens_work_as_they_should_have_in_2014() {
    let server = quiet();
    let add = |body: Value| post(&server, "/create_api_user/", &body);
    let jane = add(json!({"username": "jane", "password": "jane's password"}));
    assert_eq!((jane.status, jane.json()), (200, json!({"username": "jane"})));
    assert_eq!(add(json!({"username": "joe", "password": "joe's password", "role": "viewer"})).status, 200);
    failed(
        &add(json!({"username": "jane", "password": "another one"})),
        400,
        "create_api_user",
        "exists already",
    );
    failed(&add(json!({"username": "x", "password": "short"})), 400, "create_api_user", "password: ");
    failed(&add(json!({"username": "x"})), 400, "create_api_user", "password: is missing");
    failed(
        &add(json!({"username": "x", "password": "long enough", "role": "king"})),
        400,
        "create_api_user",
        "role: ",
    );
    let users = json!([{"username": "root", "role": "root"}, {"username": "jane", "role": "upstreamuser"},
        {"username": "joe", "role": "viewer"}]);
    assert_eq!(get(&server, "/list_users/").json(), users);
    assert_eq!(get(&server, "/test/").json(), json!({"success": true}));

    let client = Client::new();
    let as_jane = |path: &str| client.get(server.url(path)).basic_auth("jane", Some("jane's password"));
    let token = server.send(as_jane("/get_token/")).json()["token"].as_str().unwrap().to_owned();
    let basic = client.get(server.url("/test/")).basic_auth(&token, Some("whatever"));
    assert_eq!(server.send(basic).json(), json!({"success": true}));
    assert_eq!(server.send(client.get(server.url("/test/")).bearer_auth(&token)).status, 200);
    let tokens = server.get("/api/v1/tokens").json();
    assert_eq!(
        (&tokens["items"][0]["owner"], &tokens["items"][0]["scope"]),
        (&json!("jane"), &json!({"role": "upstreamuser"}))
    );
    assert!(!tokens["items"][0]["expires"].is_null());

    // Each may change what is their own.
    server.project("roots", "rsync://h/m", &json!({}));
    let own =
        json!({"project": "janes", "rsync_host": "h", "rsync_module": "m", "dest": server.path("mirrors")});
    let ask = |method: Method, path: &str, body: &Value| {
        let request = client.request(method, server.url(path)).bearer_auth(&token);
        server.send(request.body(body.to_string()))
    };
    assert_eq!(ask(Method::POST, "/add_project/", &own).status, 200);
    for (path, method) in [
        ("/remove_project/", "remove_project"),
        ("/update_project/basic/", "update_project"),
        ("/update_project/schedule/", "update_project"),
    ] {
        let body = json!({"id": "roots", "minute": "1"});
        failed(&ask(Method::POST, path, &body), 403, method, "owner");
    }
    for (path, method) in [
        ("/enable_project/id=roots", "enable_project"),
        ("/disable_project/?id=roots", "disable_project"),
        ("/syncup/?id=roots", "syncup_project"),
    ] {
        failed(&ask(Method::GET, path, &json!({})), 403, method, "owner");
    }
    failed(&ask(Method::GET, "/list_users/", &json!({})), 403, "list_users", "root");
    failed(&ask(Method::POST, "/add_slave/", &json!({"hostname": "h", "port": 1})), 403, "add_slave", "root");
    assert_eq!(ask(Method::POST, "/remove_project/", &json!({"id": "janes"})).status, 200);
    let viewer =
        client.get(server.url("/disable_project/?id=roots")).basic_auth("joe", Some("joe's password"));
    failed(&server.send(viewer), 403, "disable_project", "root and upstreamusers");
}
