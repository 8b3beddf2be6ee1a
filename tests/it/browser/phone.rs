//! Every page on a phone, with names that no narrow screen has room for.

use std::fs;

use serde_json::json;

use super::sign_in;
use crate::kit::{Browser, Server, Upstream};
use crate::slaves::{current, master_beside, slave};

/// A master on which everything has a name that no narrow screen has room for: a project with a run, a slave, a plugin that
/// was refused, a user; and a held run, whose id it gives.
fn site_of_long_names(upstream: &Upstream, long: &str) -> (Server, Server, String) {
    let id = &long[..64];
    let master = master_beside(|folder| {
        fs::write(folder.join("core.wasm"), b"\0asm\x01\0\0\0").unwrap();
        format!(
            "plugins: (folder: {folder:?}, load: [(id: {id:?}, path: \"core.wasm\", projects: [{id:?}], \
             grants: (dest_read: [{long:?}]))]), "
        )
    });
    master.project(id, &upstream.url("data"), &json!({"name": long.repeat(3)}));
    master.ended(&master.sync(id));
    let slave = slave(&master.url(""), id);
    current(&master, id, id);
    let user = json!({"name": &long[..32], "password": "a long password", "role": "viewer"});
    let answer = master.post("/api/v1/users", &user);
    assert_eq!(answer.status, 201, "{}", answer.text);
    let (_, run) = crate::holds::held(&master, upstream);
    (master, slave, run)
}

#[test]
fn pages_fit_a_phone_and_follow_the_system_into_the_dark() {
    let Some(browser) = Browser::start() else { return };
    let upstream = Upstream::start(60);
    let long = "a-name-that-goes-on-and-on-until-no-narrow-screen-has-room-for-it";
    let (master, slave, held) = site_of_long_names(&upstream, long);
    let of_project = format!("project/{}", &long[..64]);
    let run = master.get(&format!("/api/v1/projects/{}/runs", &long[..64])).json();
    let run = format!("run/{}", run["items"][0]["id"].as_str().unwrap());
    browser.hold_in_hand(true);
    let fits = |server: &Server, page: &str| {
        browser.open(&server.url(&format!("/#/{page}")));
        browser.until(
            "the page to be drawn",
            "return document.querySelector('main h1, main h2') !== null && !document.querySelector('[aria-busy=true]')",
            "",
        );
        browser.rest();
        let wide = browser.script("return document.documentElement.scrollWidth", Vec::new());
        assert!(wide.as_u64().unwrap() <= 390, "{page} is {wide} wide");
    };
    sign_in(&browser, &master);
    let held = format!("run/{held}");
    for page in ["", &of_project, &run, &held, "add", "nodes", "schedule", "plugins", "people"] {
        fits(&master, page);
    }
    let ground = || browser.script("return getComputedStyle(document.body).backgroundColor", Vec::new());
    browser.prefer_dark(false);
    let light = ground();
    browser.prefer_dark(true);
    assert_ne!(light, ground());
    sign_in(&browser, &slave);
    for page in ["", &of_project] {
        fits(&slave, page);
    }
    browser.assert_quiet();
}
