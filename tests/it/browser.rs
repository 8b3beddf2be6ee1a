//! The dashboard in a real browser, driven as a person would.

use std::fs;

use serde_json::json;

use crate::kit::{Browser, PASSWORD, Server, Upstream};

/// Keys as the driver's protocol writes them.
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// Signs in at the page of this server.
fn sign_in(browser: &Browser, server: &Server) {
    browser.open(&server.url("/"));
    browser.fill("input[name=user]", "root");
    browser.fill("input[name=password]", PASSWORD);
    browser.click("button", "Sign in");
    browser.see("All projects");
}

#[test]
fn a_wrong_password_is_said_and_the_right_one_opens_the_page() {
    let Some(browser) = Browser::start() else { return };
    let server = Server::start("");
    browser.open(&server.url("/"));
    browser.fill("input[name=user]", "root");
    browser.fill("input[name=password]", &format!("wrong{ENTER}"));
    browser.see("This user and password do not go together.");
    browser.fill("input[name=password]", &format!("{PASSWORD}{ENTER}"));
    browser.see("All projects");
    browser.click("button", "Sign out");
    browser.see("Password");
    browser.assert_quiet();
}

#[test]
fn a_sync_is_started_and_seen_to_its_end_without_a_reload() {
    let Some(browser) = Browser::start() else { return };
    let (server, upstream) = (Server::start(""), Upstream::start(40));
    server.project("p", &upstream.url("data"), &json!({"name": "A tree"}));
    sign_in(&browser, &server);
    browser.script("window.same = true", Vec::new());
    browser.click("a", "p");
    browser.click("button", "Sync now");
    browser.click("dialog button", "Sync now");
    browser.see("succeeded");
    assert_eq!(browser.script("return window.same", Vec::new()), true, "the page was loaded anew");
    browser.assert_quiet();
}

#[test]
fn names_from_an_upstream_stay_names() {
    let Some(browser) = Browser::start() else { return };
    let (server, upstream) = (Server::start(""), Upstream::start(1));
    let names = [
        "<img src=x onerror=window.hurt=1>",
        "\"><script>window.hurt=1<",
        "\u{1b}[31mred",
        "' onmouseover='window.hurt=1",
        "\u{202e}gnp.exe",
    ];
    for name in names {
        fs::write(upstream.tree().join(name), "x").unwrap();
    }
    server.project("p", &upstream.url("data"), &json!({"name": names[0]}));
    let run = server.sync("p");
    server.ended(&run);
    sign_in(&browser, &server);
    browser.see(names[0]);
    browser.open(&server.url(&format!("/#/run/{run}")));
    browser.see(names[1]);
    browser.see(names[3]);
    assert!(browser.text().contains("[31mred"));
    let hurt = "return window.hurt || document.querySelector('main img, main script') !== null";
    assert_eq!(browser.script(hurt, Vec::new()), false);
    browser.assert_quiet();
}

#[test]
fn every_page_can_be_reached_and_used_without_a_mouse() {
    let Some(browser) = Browser::start() else { return };
    let (server, upstream) = (Server::start(""), Upstream::start(3));
    server.project("p", &upstream.url("data"), &json!({}));
    browser.open(&server.url("/"));
    browser.until(
        "the password to wait for its text",
        "return document.activeElement.name === arguments[0]",
        "password",
    );
    browser.keys(&format!("{PASSWORD}{ENTER}"));
    browser.see("All projects");
    tab_to(&browser, "p");
    browser.keys(ENTER);
    browser.see("No run has ended yet");
    tab_to(&browser, "Sync now");
    browser.keys(ENTER);
    browser.see("Leave it");
    tab_to(&browser, "Sync now");
    browser.keys(ENTER);
    browser.see("succeeded");
    browser.assert_quiet();
}

/// Presses the tabulator until something of this name has the focus.
fn tab_to(browser: &Browser, name: &str) {
    let mut passed = Vec::new();
    while browser.focused() != name {
        assert!(passed.len() < 60, "no way to {name:?}, only to {passed:?}");
        browser.keys(TAB);
        passed.push(browser.focused());
    }
}

#[test]
fn pages_fit_a_phone_and_follow_the_system_into_the_dark() {
    let Some(browser) = Browser::start() else { return };
    let (server, upstream) = (Server::start(""), Upstream::start(3));
    let long = "a-name-that-goes-on-and-on-until-no-narrow-screen-has-room-for-it";
    server.project(&long[..64], &upstream.url("data"), &json!({"name": long.repeat(3)}));
    let run = server.sync(&long[..64]);
    server.ended(&run);
    browser.hold_in_hand(true);
    sign_in(&browser, &server);
    for page in ["", &format!("project/{}", &long[..64]), &format!("run/{run}"), "schedule", "people"] {
        browser.open(&server.url(&format!("/#/{page}")));
        browser.until(
            "the page to be drawn",
            "return document.querySelector('main h1, main h2') !== null && !document.querySelector('[aria-busy=true]')",
            "",
        );
        let wide = browser.script("return document.documentElement.scrollWidth", Vec::new());
        assert!(wide.as_u64().unwrap() <= 390, "{page} is {wide} wide");
    }
    let ground = || browser.script("return getComputedStyle(document.body).backgroundColor", Vec::new());
    browser.prefer_dark(false);
    let light = ground();
    browser.prefer_dark(true);
    assert_ne!(light, ground());
    browser.assert_quiet();
}
