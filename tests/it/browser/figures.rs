//! The figures of the page in `docs/performance.md`: what goes over the wire, and how long a large site takes to show.

use serde_json::{Value, json};

use super::sign_in;
use crate::kit::{Browser, Server};
use crate::slaves::master;

const PROJECTS: usize = 1000;
const NODES: usize = 100;

/// Notes when what is wanted is there, and every task that would hold a click up; before anything of the page runs.
const WATCH: &str = "window.tasks = []; new PerformanceObserver((list) => { for (const one of list.getEntries()) tasks.push(Math.round(one.duration)); })\
                     .observe({ type: 'longtask', buffered: true });\
                     window.shown = (css, many) => { const at = performance.getEntriesByName(css)[0]; if (at) return Math.round(at.startTime);\
                     if (document.querySelectorAll(css).length < many) return null; performance.mark(css); return shown(css, many); };\
                     const look = () => { shown('tbody tr', 1); shown('table.projects tbody tr', 1000); requestAnimationFrame(look); }; look();";

#[test]
#[ignore = "measures; see docs/performance.md"]
fn a_large_site_shows_at_once() {
    let Some(browser) = Browser::start() else { return };
    let server = master();
    fill(&server);
    browser.protocol("Page.addScriptToEvaluateOnNewDocument", json!({"source": WATCH}));
    sign_in(&browser, &server);
    browser.protocol("Network.clearBrowserCache", json!({}));
    for name in ["first visit", "later visit"] {
        browser.open("about:blank");
        browser.open(&server.url("/"));
        browser.until("every project to show", "return shown('table.projects tbody tr', 1000) !== null", "");
        println!("{name}: {}", figures(&browser));
    }
    browser.open("about:blank");
    browser.open(&server.url("/#/nodes"));
    browser.until(
        "the matrix to show",
        "return document.querySelectorAll('.matrix td.node').length > 1000",
        "",
    );
    println!("nodes: {}", figures(&browser));
    browser.script("tasks.length = 0; document.querySelector('.matrix').scrollTop = 15000", Vec::new());
    browser.until(
        "the matrix to follow",
        "return document.querySelector('.matrix').innerText.includes('project-500')",
        "",
    );
    println!("a jump in the matrix: long tasks of {} ms", browser.script("return tasks", Vec::new()));
    // The page reads all nodes again and again, since no event tells that time passes.
    browser.script("tasks.length = 0; performance.clearResourceTimings()", Vec::new());
    browser.until("the nodes to be read again", &format!("return !!{READ}"), "");
    browser.rest();
    let read = browser.script(
        &format!("const one = {READ}; return [one.transferSize, Math.round(one.duration), tasks]"),
        Vec::new(),
    );
    println!("the matrix read again: bytes, ms, and long tasks: {read}");
    browser.open("about:blank");
    browser.open(&server.url("/#/schedule"));
    browser.until("the schedule to show", "return shown('.heat button', 144) !== null", "");
    println!(
        "schedule: {} ms, {}",
        browser.script("return shown('.heat button', 144)", Vec::new()),
        figures(&browser)
    );
}

/// The newest reading of all nodes.
const READ: &str =
    "performance.getEntriesByType('resource').findLast((one) => one.name.includes('/api/v1/nodes?'))";

fn fill(server: &Server) {
    for number in 0..PROJECTS {
        let schedule = json!({"cron": {"month": "1-6", "hour": "4"}});
        let source = format!("rsync://mirror-{}.example.org/project-{number:03}", number % 40);
        server.project(
            &format!("project-{number:03}"),
            &source,
            &json!({"schedule": schedule, "labels": {"array": "1"}}),
        );
    }
    for number in 0..NODES {
        let answer = server.post("/api/v1/nodes", &json!({"name": format!("node-{number:02}")}));
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
}

/// Bytes over the wire, requests, and milliseconds since the visit began.
fn figures(browser: &Browser) -> Value {
    browser.script(
        "const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];\
         const sum = (list) => list.reduce((total, one) => total + one.transferSize, 0);\
         const own = all.filter((one) => !one.name.includes('/api/'));\
         return { page_bytes: sum(own), page_requests: own.length, api_bytes: sum(all) - sum(own),\
         first_rows_ms: shown('tbody tr', 1), all_rows_ms: shown('table.projects tbody tr', 1000), long_tasks_ms: tasks,\
         slowest: all.sort((a, b) => b.duration - a.duration).slice(0, 3).map((one) => one.name.split('/').slice(3).join('/') + ' ' + Math.round(one.duration) + ' ms') }",
        Vec::new(),
    )
}
