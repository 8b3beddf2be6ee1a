//! The project form: what a person types is read as it is meant, or refused at its field.

use serde_json::{Value, json};

use super::sign_in;
use crate::kit::{Browser, Server};

/// A server with a project whose guard is far stricter than the default.
fn strict() -> Server {
    let server = Server::start("");
    let settings = json!({
        "guard": {"max_delete": 100, "max_delete_percent": 5}, "priority": 3,
        "schedule": {"cron": "0 3 * * *", "timezone": "Europe/Berlin"}, "labels": {"array": "1"},
    });
    server.project("p", "rsync://127.0.0.1:1/data", &settings);
    server
}

/// Opens the form of the project, with all of its fields in sight.
fn change(browser: &Browser, server: &Server) {
    browser.open(&server.url("/#/change/p"));
    unfold(browser);
}

fn unfold(browser: &Browser) {
    browser.click("details summary", "Login, deletions");
    browser.until("the fields below", "return document.querySelector('details').open", "");
}

/// Empties a field and types into it.
fn retype(browser: &Browser, field: &str, text: &str) {
    browser.fill(&format!("[name={field}]"), "\u{e017}");
    browser.keys(text);
}

/// Waits until this field, and no other, is marked, with these words below it.
fn refused(browser: &Browser, field: &str, words: &str) {
    let script = "const wrong = [...document.querySelectorAll('[aria-invalid=true]')]; \
                  const [name, words] = arguments[0].split('|'); \
                  return wrong.length === 1 && wrong[0].name === name && \
                  wrong[0].closest('label').querySelector('.wrong')?.innerText.includes(words) === true";
    browser.until(&format!("{field} to be refused"), script, &format!("{field}|{words}"));
}

fn settings(server: &Server) -> Value {
    let project = server.get("/api/v1/projects/p").json();
    json!([project["guard"], project["priority"], project["schedule"], project["labels"], project["name"]])
}

#[test]
fn what_cannot_be_read_is_refused_at_its_field_and_changes_nothing() {
    let Some(browser) = Browser::start() else { return };
    let server = strict();
    let before = settings(&server);
    sign_in(&browser, &server);
    for (field, text, words) in [
        ("max_delete", "1,000", "`1,000` is not a whole number"),
        ("max_delete", " ", "is empty"),
        ("max_delete", "100%", "is not a whole number"),
        ("max_delete_percent", "three", "`three` is not a whole number"),
        ("max_delete_percent", "300", "from 0 to 100"),
        ("priority", "high", "`high` is not a whole number"),
        ("labels", "array=1, array=2", "gives `array` twice"),
        ("labels", "array", "has no value"),
    ] {
        change(&browser, &server);
        retype(&browser, field, text);
        browser.click("button", "Change");
        refused(&browser, field, words);
        assert_eq!(settings(&server), before, "{field}: {text:?}");
        browser.open("about:blank");
    }
    browser.assert_quiet_but(&["status of 422"]);
}

#[test]
fn numbers_are_read_as_they_are_meant() {
    let Some(browser) = Browser::start() else { return };
    let server = strict();
    sign_in(&browser, &server);
    change(&browser, &server);
    retype(&browser, "max_delete", "1 000");
    retype(&browser, "max_delete_percent", "3 %");
    retype(&browser, "timezone", "");
    browser.click("button", "Change");
    browser.see("Changed.");
    let project = server.get("/api/v1/projects/p").json();
    assert_eq!(project["guard"], json!({"max_delete": 1000, "max_delete_percent": 3}));
    assert_eq!((&project["priority"], &project["schedule"]["timezone"]), (&json!(3), &json!("UTC")));
    browser.assert_quiet();
}

#[test]
fn a_pause_without_a_unit_is_refused_and_one_with_a_unit_is_taken() {
    let Some(browser) = Browser::start() else { return };
    let server = strict();
    let before = settings(&server);
    sign_in(&browser, &server);
    change(&browser, &server);
    let choice = "const list = document.querySelector('select[name=schedule]'); list.value = 'every'; \
                  list.dispatchEvent(new Event('change', { bubbles: true }))";
    browser.script(choice, Vec::new());
    browser.fill("input[name=every]", "6");
    browser.click("button", "Change");
    refused(&browser, "every", "with its unit");
    assert_eq!(settings(&server), before);
    retype(&browser, "every", "90m");
    browser.click("button", "Change");
    browser.see("Changed.");
    assert_eq!(server.get("/api/v1/projects/p").json()["schedule"]["every"], "1h 30m");
    browser.assert_quiet_but(&["status of 422"]);
}

#[test]
fn a_new_project_has_the_guard_that_was_typed() {
    let Some(browser) = Browser::start() else { return };
    let server = Server::start("");
    sign_in(&browser, &server);
    browser.open(&server.url("/#/add"));
    unfold(&browser);
    browser.fill("input[name=source]", "rsync://127.0.0.1:1/data");
    browser.fill("input[name=id]", "p");
    browser.fill("input[name=dest]", server.path("mirrors/p").to_str().unwrap());
    retype(&browser, "max_delete", "1.000");
    browser.click("button", "Add the project");
    refused(&browser, "max_delete", "`1.000` is not a whole number");
    assert_eq!(server.get("/api/v1/projects/p").status, 404);
    retype(&browser, "max_delete", "1 000");
    retype(&browser, "max_delete_percent", "5%");
    browser.click("button", "Add the project");
    browser.see("Added.");
    let guard = server.get("/api/v1/projects/p").json()["guard"].clone();
    assert_eq!(guard, json!({"max_delete": 1000, "max_delete_percent": 5}));
    browser.assert_quiet();
}
