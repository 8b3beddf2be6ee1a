//! The dashboard in a real browser, driven as a person would.

mod figures;
mod form;
mod phone;
mod pictures;

use std::fs;

use serde_json::json;

use crate::kit::{Browser, PASSWORD, Server, Upstream, fingerprint, guest, wait_for};
use crate::slaves::{current, master, slave};

/// Keys as the driver's protocol writes them.
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// Signs in at the page of this server.
fn sign_in(browser: &Browser, server: &Server) {
    browser.open(&server.url("/"));
    browser.fill("input[name=user]", "root");
    browser.fill("input[name=password]", PASSWORD);
    browser.click("button", "Sign in");
    browser.see("Overview");
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
    browser.see("Overview");
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
    browser.click("td a", "p");
    browser.click("button", "Sync now");
    browser.click("dialog button", "Sync now");
    browser.see("succeeded");
    assert_eq!(browser.script("return window.same", Vec::new()), true, "the page was loaded anew");
    browser.assert_quiet();
}

#[test]
fn a_project_is_added_with_what_is_wrong_said_at_its_field() {
    let Some(browser) = Browser::start() else { return };
    let (server, upstream) = (Server::start(""), Upstream::start(3));
    sign_in(&browser, &server);
    browser.see("No project yet");
    browser.click("a", "Add a project");
    browser.fill("input[name=source]", &upstream.url("dat"));
    browser.click("button", "Ask the upstream");
    browser.see("did you mean `data`");
    browser.fill("input[name=source]", &upstream.url("data"));
    browser.click("button", "Ask the upstream");
    browser.see("it is there");
    browser.fill("input[name=id]", "pkg");
    browser.fill("input[name=dest]", "not/absolute");
    browser.click("button", "Add the project");
    browser.until(
        "the destination to be marked",
        "return document.querySelector('input[name=dest]').ariaInvalid === arguments[0]",
        "true",
    );
    browser.fill("input[name=dest]", server.path("mirrors/pkg").to_str().unwrap());
    browser.click("button", "Add the project");
    browser.see("No run has ended yet");
    assert_eq!(server.get("/api/v1/projects/pkg").json()["schedule"]["cron"], "H */6 * * *");
    browser.click("a", "Change");
    browser.fill("input[name=name]", "Packages");
    browser.click("button", "Change");
    browser.see("Packages");
    browser.click("button", "Remove");
    browser.see("to go on");
    assert_eq!(server.get("/api/v1/projects/pkg").json()["name"], "Packages");
    browser.confirm("pkg");
    browser.see("No project yet");
    assert_eq!(server.get("/api/v1/projects/pkg").status, 404);
    // The browser tells of each answer that is no success, and that is what was asked for here.
    browser.assert_quiet_but(&[
        "status of 422",
        "pkg - Failed to load resource: the server responded with a status of 404",
    ]);
}

#[test]
fn a_disk_on_which_nothing_starts_needs_a_person_however_much_is_free() {
    let Some(browser) = Browser::start() else { return };
    let mut server =
        Server::start_with("disk: (reserve: \"99%\", resume: \"100%\", every: \"1s\"), ", |text, _| text);
    server.ready();
    server.project("p", "rsync://127.0.0.1:1/data", &json!({}));
    wait_for("the disk to be below its reserve", || {
        let disks = server.get("/api/v1/disks").json();
        disks["items"].as_array()?.iter().any(|disk| disk["stopped"] == true).then_some(())
    });
    sign_in(&browser, &server);
    browser.until(
        "what the disk's tag says",
        "return [...document.querySelectorAll('section li .tag')].some((tag) => tag.innerText.trim() === 'nothing starts')",
        "",
    );
    browser.assert_quiet();
}

#[test]
fn an_upstream_that_went_back_needs_a_person_though_nothing_fails() {
    let Some(browser) = Browser::start() else { return };
    let (server, upstream) = (Server::start(""), Upstream::start(3));
    let marker = upstream.tree().join("lastupdate");
    let show = |text: &str, seconds: u64| {
        fs::write(&marker, text).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        fs::File::options().write(true).open(&marker).unwrap().set_modified(time).unwrap();
    };
    show("1", 1_700_000_000);
    server.project("p", &upstream.url("data"), &json!({"schedule": {"every": "1s"}}));
    sign_in(&browser, &server);
    browser.see("all is well");
    show("0", 1_600_000_000);
    browser.see("has an upstream that went back");
    browser.see("needs you");
    browser.open(&server.url("/#/project/p"));
    browser.see("Our copy is from");
    browser.see("went back");
    browser.assert_quiet();
}

#[test]
fn a_held_run_shows_what_would_go_and_is_let_through_only_by_its_name() {
    let Some(browser) = Browser::start() else { return };
    let (server, upstream) = (Server::start(""), Upstream::start(60));
    let (dest, run) = crate::holds::held(&server, &upstream);
    let before = fingerprint(&dest);
    sign_in(&browser, &server);
    browser.see("needs you");
    browser.open(&server.url(&format!("/#/run/{run}")));
    browser.see("A person has to decide");
    browser.see("80 entries");
    // Folded by folder, and drawn once somebody looks.
    browser.see("d03/");
    assert!(!browser.text().contains("file-43"), "{}", browser.text());
    browser.click(".fold summary", "d03/");
    browser.see("file-43");
    browser.click("button", "Approve");
    browser.see("Exactly this plan is let through");
    let refused = "return document.querySelector('dialog .danger').disabled";
    browser.until("a dialog that wants the name first", refused, "");
    assert_eq!((server.run(&run)["state"].clone(), fingerprint(&dest)), (json!("held"), before));
    browser.confirm("p");
    browser.see("Approved: the run goes on.");
    let ended = server.ended(&run);
    assert_eq!((&ended["state"], &ended["changes"]["deleted"]), (&json!("succeeded"), &json!(80)), "{ended}");
    browser.see("succeeded");
    browser.assert_quiet();
}

#[test]
fn a_plugin_shows_what_it_may_and_why_it_is_refused() {
    let Some(browser) = Browser::start() else { return };
    let Some(good) = guest("trace-file") else { return };
    let load = r#"plugins: (folder: "FOLDER", load: [
        (id: "a-good-one", path: "good.wasm", projects: ["other"], failure: (post: Closed), grants: (dest_write: ["project/trace/a"]), config: {"hostname": "a"}),
        (id: "broken", path: "core.wasm", projects: ["p"], failure: (pre: Closed), grants: (dest_read: ["hold"]))]), "#;
    let mut server = Server::start_with(load, |text, folder| {
        fs::copy(good, folder.join("good.wasm")).unwrap();
        fs::write(folder.join("core.wasm"), b"\0asm\x01\0\0\0").unwrap();
        text.replace("FOLDER", &folder.display().to_string())
    });
    server.ready();
    sign_in(&browser, &server);
    browser.click("nav a", "Plugins");
    browser.see("it is a core module");
    browser.see("refused");
    browser.see("dest_read hold");
    browser.see("no sync starts, results stand");
    browser.see("results are rejected");
    let names = "return [...document.querySelectorAll('main h2')].map((node) => node.innerText.trim()).join() === arguments[0]";
    browser.until("the one that needs a person to come first", names, "broken,a-good-one");
    server.project("p", "rsync://127.0.0.1:1/data", &json!({}));
    browser.open(&server.url("/#/project/p"));
    browser.until(
        "the hook with its state",
        "const rows = [...document.querySelectorAll('.hooks li')].map((row) => row.innerText.replace(/\\s+/g, ' ')); \
         return rows.length === 2 && rows.every((row) => row.startsWith('broken') && row.endsWith('refused'))",
        "",
    );
    browser.assert_quiet();
}

#[test]
fn a_project_shows_who_is_asked_about_it_and_which_slave_holds_which_generation() {
    let Some(browser) = Browser::start() else { return };
    let (master, upstream) = (master(), Upstream::start(3));
    master.project("p", &upstream.url("data"), &json!({}));
    let mut slave = slave(&master.url(""), "far");
    master.ended(&master.sync("p"));
    current(&master, "far", "p");
    slave.terminate();
    fs::write(upstream.tree().join("new"), "new").unwrap();
    sign_in(&browser, &master);
    browser.open(&master.url("/#/project/p"));
    browser.see("No plugin is asked about it.");
    let rows = |text: &str| {
        let script = "return [...document.querySelectorAll('.generations tbody tr')].map((row) => \
                      row.firstElementChild.innerText + ' ' + row.lastElementChild.innerText).join() === arguments[0]";
        browser.until("the generations", script, text);
    };
    rows("1 far");
    // It follows by itself, and so does the matrix, though no event tells that a slave has caught up.
    master.ended(&master.sync("p"));
    rows("2 –,1 far");
    slave.launch();
    rows("2 far,1 –");
    slave.terminate();
    browser.open(&master.url("/#/nodes"));
    browser.see("all 1 current");
    fs::write(upstream.tree().join("newer"), "newer").unwrap();
    master.ended(&master.sync("p"));
    browser.see("1 of 1 behind");
    slave.launch();
    browser.see("all 1 current");
    browser.assert_quiet();
}

#[test]
fn a_node_is_seen_behind_and_removed() {
    let Some(browser) = Browser::start() else { return };
    let (master, upstream) = (master(), Upstream::start(3));
    master.project("p", &upstream.url("data"), &json!({}));
    let slave = slave(&master.url(""), "far");
    master.ended(&master.sync("p"));
    current(&master, "far", "p");
    sign_in(&browser, &master);
    browser.click("a", "Nodes");
    browser.see("all 1 current");
    drop(slave);
    fs::write(upstream.tree().join("new"), "new").unwrap();
    master.ended(&master.sync("p"));
    browser.see("1 of 1 behind");
    browser.click("button", "Remove far");
    browser.confirm("far");
    browser.see("No node has joined");
    assert_eq!(master.get("/api/v1/nodes/far").status, 404);
    browser.assert_quiet();
}

#[test]
fn a_slave_shows_what_it_holds_and_nothing_that_only_a_master_does() {
    let Some(browser) = Browser::start() else { return };
    let (master, upstream) = (master(), Upstream::start(3));
    master.project("p", &upstream.url("data"), &json!({}));
    let slave = slave(&master.url(""), "far");
    master.ended(&master.sync("p"));
    current(&master, "far", "p");
    sign_in(&browser, &slave);
    browser.click("td a", "p");
    browser.see("How it stands");
    for word in ["Nodes", "Add a project", "Sync now", "Remove"] {
        assert!(!browser.text().contains(word), "a slave shows {word:?}: {}", browser.text());
    }
    browser.assert_quiet();
}

#[test]
fn a_page_outlives_the_server_and_comes_back_with_it() {
    let Some(browser) = Browser::start() else { return };
    let mut server = Server::start("");
    sign_in(&browser, &server);
    browser.see("live");
    server.kill();
    browser.see("connecting again");
    server.launch();
    // Sessions are in memory alone, so the server knows nobody now.
    browser.see("Password");
    browser.fill("input[name=password]", &format!("{PASSWORD}{ENTER}"));
    browser.see("live");
    browser.assert_quiet_but(&["/api/v1/events", "/api/v1/status"]);
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
    browser.see("\\#033[31mred");
    browser.see("\\u{202e}gnp.exe");
    let hurt = "return window.hurt || document.querySelector('main img, main script') !== null";
    assert_eq!(browser.script(hurt, Vec::new()), false);
    browser.assert_quiet();
}

#[test]
fn every_text_of_the_page_is_visible_whoever_said_it() {
    let Some(browser) = Browser::start() else { return };
    let server = Server::start("");
    sign_in(&browser, &server);
    let text = "a\u{1b}\u{7f}\u{9b}\u{61c}\u{200f}\u{202e}\u{2066}\u{2028}b";
    let script = "const text = arguments[0];
        return import(document.querySelector('script[type=module]').src.replace('main.js', 'html.js'))
            .then(({ html, render }) => {
                const place = document.createElement('div');
                render(html`<p title=${text}>${text}<b>${[text, [text]]}</b></p>`, place);
                return place.innerHTML;
            });";
    let shown = browser.script(script, vec![json!(text)]);
    let spelt = "a\\u{1b}\\u{7f}\\u{9b}\\u{61c}\\u{200f}\\u{202e}\\u{2066}\\u{2028}b";
    assert_eq!(shown, format!("<p title=\"{spelt}\">{spelt}<b>{spelt}{spelt}</b></p>"));
    browser.assert_quiet();
}

#[test]
fn a_time_of_the_schedule_says_what_starts_then() {
    let Some(browser) = Browser::start() else { return };
    let server = Server::start("");
    for (id, minute) in [("at-five", "5"), ("at-fifty", "50")] {
        server.project(id, "rsync://h/m", &json!({"schedule": {"cron": {"minute": minute}}}));
    }
    sign_in(&browser, &server);
    browser.click("nav a", "Schedule");
    browser.see("48 starts");
    browser.see("at-five");
    // One of its ten minutes has the one, and not the other.
    browser.script(
        "[...document.querySelectorAll('.heat button')].find((cell) => cell.innerText === '1').click()",
        Vec::new(),
    );
    browser.until(
        "the starts of a time",
        "const names = [...document.querySelectorAll('main table.rows tr td:first-child')].map((cell) => cell.innerText); \
         return document.body.innerText.includes('Starts from') && names.length === 1",
        "",
    );
    browser.click("button", "Show the next ones");
    browser.until(
        "all that comes next",
        "return document.querySelectorAll('main table.rows tr').length === 40",
        "",
    );
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
    browser.see("Overview");
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

/// Presses the tabulator until something of this name has the focus, once there is such a thing.
fn tab_to(browser: &Browser, name: &str) {
    browser.until(
        &format!("{name:?} to be there"),
        "return [...document.querySelectorAll('a, button')].some((node) => seen(node) && node.innerText.trim() === arguments[0])",
        name,
    );
    let mut passed = Vec::new();
    while browser.focused() != name {
        assert!(passed.len() < 60, "no way to {name:?}, only to {passed:?}");
        browser.keys(TAB);
        passed.push(browser.focused());
    }
}
