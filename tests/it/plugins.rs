//! Plugins in a server: what is refused and shown, and one that is asked before a sync.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::kit::{Server, Upstream, guest, heliostat, said, wait_for};

#[test]
fn a_plugin_that_is_refused_is_shown_with_its_reason_and_the_server_starts() {
    let load = r#"plugins: (folder: "FOLDER", load: [(id: "broken", path: "core.wasm")]), "#;
    let mut server = Server::start_with(load, |text, folder| {
        fs::write(folder.join("core.wasm"), b"\0asm\x01\0\0\0").unwrap();
        text.replace("FOLDER", &folder.display().to_string())
    });
    server.ready();
    let plugin: Value = server.get("/api/v1/plugins/broken").json();
    assert_eq!((&plugin["state"], &plugin["calls"]), (&json!("refused"), &json!(0)));
    assert!(plugin["refused"].as_str().unwrap().starts_with("it is a core module"), "{plugin}");
    assert_eq!(server.get("/api/v1/plugins").json()["items"].as_array().unwrap().len(), 1);
}

#[test]
fn projects_that_are_not_understood_cost_the_plugin_and_not_the_server() {
    let Some(guest) = guest("c-hold-file") else { return };
    let load = r#"plugins: (load: [
        (id: "typo", path: "GUEST", projects: ["p", "tag:x"], failure: (pre: Closed), grants: (dest_read: ["hold"])),
        (id: "good", path: "GUEST", projects: ["p*", "nobody*", "label:none"], grants: (dest_read: ["hold"]),
         config: {"file": "hold"})]), "#;
    let mut server = Server::start_with(load, |text, _| text.replace("GUEST", &guest.display().to_string()));
    server.ready();
    let typo = server.get("/api/v1/plugins/typo").json();
    assert_eq!((&typo["state"], &typo["unmatched"]), (&json!("refused"), &json!(["p"])), "{typo}");
    assert!(typo["refused"].as_str().unwrap().starts_with("`projects`: `tag:x` holds `:`"), "{typo}");
    let upstream = Upstream::start(3);
    server.project("p", &upstream.url("data"), &json!({}));
    let good = server.get("/api/v1/plugins/good").json();
    assert_eq!((&good["state"], &good["unmatched"]), (&json!("loaded"), &json!(["nobody*", "label:none"])));
    let list = said(&server.command(&["plugin", "list"]));
    assert!(list.contains("good: `nobody*` fits no project") && list.contains("typo: `projects`:"), "{list}");
    // It must agree, and nobody knows about what: so it may be about this.
    let ended = server.ended(&server.sync("p"));
    assert_eq!(
        (&ended["state"], &ended["hooks"][1]["plugin"]),
        (&json!("failed"), &json!("typo")),
        "{ended}"
    );
}

#[test]
fn a_plugin_holds_a_run_says_so_in_its_record_and_is_counted() {
    let Some(guest) = guest("c-hold-file") else { return };
    let load = r#"plugins: (folder: "FOLDER", load: [(id: "hold", path: "GUEST", failure: (pre: Closed),
        grants: (dest_read: ["hold"]), config: {"file": "missing-setting"})]), "#;
    let mut server = Server::start_with(load, |text, folder| {
        text.replace("FOLDER", &folder.display().to_string()).replace("GUEST", &guest.display().to_string())
    });
    server.ready();
    let upstream = Upstream::start(3);
    server.project("p", &upstream.url("data"), &json!({}));
    // Its file is not granted, and it must agree: the run fails, and says why.
    let run = server.sync("p");
    let ended = server.ended(&run);
    assert_eq!(ended["state"], "failed", "{ended}");
    assert_eq!(ended["hooks"][0]["plugin"], "hold", "{ended}");
    assert_eq!(ended["hooks"][0]["decision"], "veto", "{ended}");
    let plugin: Value = server.get("/api/v1/plugins/hold").json();
    assert_eq!(
        (&plugin["state"], &plugin["calls"], &plugin["failures"]),
        (&json!("loaded"), &json!(1), &json!(1))
    );
    let of = |hook: &str| {
        let by_hook = plugin["by_hook"].as_array().unwrap();
        by_hook.iter().find(|calls| calls["hook"] == hook).cloned()
    };
    assert_eq!(of("pre-sync").unwrap()["failures"], 1);
    assert!(of("post-sync").is_none() && of("pick").is_none(), "it has no such part: {plugin}");
    let metrics = server.get("/metrics").text;
    let line = "heliostat_plugin_failures_total{plugin=\"hold\",hook=\"pre-sync\"} 1";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn a_project_names_a_plugin_that_is_configured_for_others_and_must_have_its_answer() {
    let Some(guest) = guest("c-hold-file") else { return };
    let load = r#"plugins: (folder: "FOLDER", load: [(id: "hold", path: "GUEST", projects: ["other"],
        grants: (dest_read: ["hold"]), config: {"file": "hold"})]), "#;
    let mut server = Server::start_with(load, |text, folder| {
        text.replace("FOLDER", &folder.display().to_string()).replace("GUEST", &guest.display().to_string())
    });
    server.ready();
    let upstream = Upstream::start(3);
    let wrong = json!({"id": "q", "source": upstream.url("data"), "dest": server.path("q"), "hooks": [{"plugin": "x"}]});
    let wrong = server.post("/api/v1/projects", &wrong);
    assert!(wrong.status == 422 && wrong.text.contains("it names hold"), "{}", wrong.text);
    server.project("p", &upstream.url("data"), &json!({}));
    // Who owns a project could else use the plugin's rights, or do without one that is to watch over it.
    let user = json!({"name": "ann", "password": "a long password", "role": "upstreamuser"});
    assert_eq!(server.post("/api/v1/users", &user).status, 201);
    let own = json!({"id": "a", "source": upstream.url("data"), "dest": server.path("a"), "hooks": [{"plugin": "hold"}]});
    let asked =
        crate::kit::client().post(server.url("/api/v1/projects")).basic_auth("ann", Some("a long password"));
    let refused = asked.json(&own).send().unwrap();
    assert_eq!(refused.status(), 403);
    assert!(refused.text().unwrap().contains("hooks: only root"));
    assert_eq!(server.ended(&server.sync("p"))["hooks"], json!([]));
    // Its file is not granted under that name, and here it must agree.
    let hooks = json!({"hooks": [{"plugin": "hold", "failure": "closed", "config": {"file": "elsewhere"}}]});
    let patch = |server: &Server, body: &Value| {
        server.send(server.request(reqwest::Method::PATCH, "/api/v1/projects/p").json(body))
    };
    let changed = patch(&server, &hooks);
    assert_eq!(changed.json()["hooks"][0]["config"], json!({"file": "elsewhere"}), "{}", changed.text);
    server.kill();
    server.launch();
    let ended = server.ended(&server.sync("p"));
    assert_eq!(
        (&ended["state"], &ended["hooks"][0]["decision"]),
        (&json!("failed"), &json!("veto")),
        "{ended}"
    );
    let update = |hook: &str| server.command(&["project", "update", "p", "--hook", hook]);
    let (known, unknown) = (update("hold:post-sync"), update("x"));
    assert!(known.status.success(), "{known:?}");
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("it names hold"), "{unknown:?}");
    let named = |server: &Server| server.get("/api/v1/projects/p").json()["hooks"].clone();
    assert_eq!(
        (&named(&server)[0]["plugin"], &named(&server)[0]["on"]),
        (&json!("hold"), &json!(["post-sync"]))
    );
    assert_eq!(server.ended(&server.sync("p"))["hooks"], json!([]));
    assert!(update("").status.success());
    assert_eq!(named(&server), json!([]));
}

/// A policy that leaves everything out but what people ask for.
#[test]
fn a_policy_picks_what_starts_and_its_decisions_can_be_asked_again() {
    let Some(guest) = guest("quiet-hours") else { return };
    let load = r#"plugins: (folder: "FOLDER", record: true, load: [(id: "quiet", path: "GUEST", hooks: [Policy],
        config: {"quiet": "00:00-24:00"})]), "#;
    let mut server = Server::start_with(load, |text, folder| {
        text.replace("FOLDER", &folder.display().to_string()).replace("GUEST", &guest.display().to_string())
    });
    server.ready();
    let upstream = Upstream::start(3);
    server.project("night", &upstream.url("data"), &json!({"schedule": {"every": "1h"}}));
    server.project("hand", &upstream.url("data"), &json!({}));
    assert_eq!(server.ended(&server.sync("hand"))["state"], "succeeded");
    let waits = wait_for("the scheduled run to be left out", || {
        let queue = server.get("/api/v1/queue").json();
        queue["items"].as_array()?.iter().find(|item| item["project"] == "night").cloned()
    });
    assert!(waits["waits"].as_str().unwrap().contains("a policy"), "{waits}");
    let plugin: Value = server.get("/api/v1/plugins/quiet").json();
    assert!(plugin["calls"].as_u64().unwrap() >= 2 && plugin["failures"] == 0, "{plugin}");
    let listed = server.command(&["plugin", "list"]);
    assert!(said(&listed).contains("quiet") && said(&listed).contains("loaded"), "{}", said(&listed));
    let metrics = server.get("/metrics").text;
    assert!(metrics.contains(r#"heliostat_plugin_loaded{plugin="quiet"} 1"#), "{metrics}");
    let run = server.get("/api/v1/projects/hand/runs").json()["items"][0]["id"].as_str().unwrap().to_owned();
    let file = guest.to_str().unwrap();
    let set = ["--set", "quiet=00:00-24:00"];
    let tried =
        server.command(&[&["plugin", "test", file, "--hook", "pre-sync", "--run", &run][..], &set].concat());
    // It was started by hand, which counts at any hour.
    assert!(tried.status.success() && said(&tried).contains("proceed"), "{}", said(&tried));
    let recording = wait_for("the decisions to be recorded", || {
        walkdir::WalkDir::new(server.data())
            .into_iter()
            .flatten()
            .map(walkdir::DirEntry::into_path)
            .find(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
    });
    let replayed = Command::new(heliostat())
        .args(["plugin", "replay"])
        .arg(&guest)
        .arg(&recording)
        .args(["--set", "quiet=00:00-24:00"])
        .output()
        .unwrap();
    assert!(replayed.status.success(), "{}", said(&replayed));
}
