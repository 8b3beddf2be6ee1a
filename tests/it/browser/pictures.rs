//! The pictures in `docs/images/`: a site with projects in all states, and each page of it as a person sees it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::sign_in;
use crate::kit::{Browser, Server, Upstream, guest, wait_for};
use crate::slaves::{current, master_beside, slave};

/// Where the pictures go instead of `docs/images/`.
const FOLDER: &str = "HELIOSTAT_PICTURES";
/// How often the projects with a history have been synced.
const PAST: usize = 26;
/// What makes a transfer last as long as the pictures take.
const SLOWLY: &str = "--bwlimit=600";

/// What the site mirrors: an id, a name, and how many megabytes.
const MIRRORS: [(&str, &str, usize); 12] = [
    ("alpine", "Alpine Linux", 3),
    ("archlinux", "Arch Linux", 2),
    ("centos-stream", "CentOS Stream", 2),
    ("cpan", "CPAN", 1),
    ("cran", "CRAN", 1),
    ("debian", "Debian", 2),
    ("debian-cd", "Debian images", 2),
    ("debian-security", "Debian security", 1),
    ("fedora", "Fedora", 2),
    ("gnu", "GNU", 1),
    ("ubuntu", "Ubuntu", 2),
    ("ubuntu-releases", "Ubuntu releases", 40),
];

#[test]
#[ignore = "writes the pictures of the documents: make screenshots"]
fn pages_of_a_site_with_projects_in_all_states() {
    let Some(browser) = Browser::start() else { return };
    let site = Site::start();
    let folder = std::env::var_os(FOLDER).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/images"),
        PathBuf::from,
    );
    fs::create_dir_all(&folder).unwrap();
    browser.hold_in_hand(false);
    browser.prefer_dark(false);
    browser.open(&site.master.url("/"));
    browser.see("Password");
    browser.picture(&folder.join("sign-in.png"));
    sign_in(&browser, &site.master);
    for (name, page, sight) in &site.pages {
        browser.open(&site.master.url(&format!("/#/{page}")));
        browser.see(sight);
        for (kind, phone, dark) in [("", false, false), ("-dark", false, true), ("-phone", true, false)] {
            browser.hold_in_hand(phone);
            browser.prefer_dark(dark);
            browser.rest();
            browser.picture(&folder.join(format!("{name}{kind}.png")));
        }
        browser.hold_in_hand(false);
        browser.prefer_dark(false);
    }
    browser.assert_quiet();
}

/// A master with two slaves, one of them gone, and what it mirrors from.
struct Site {
    master: Server,
    _slaves: [Server; 2],
    _upstream: Upstream,
    /// Names of pictures, addresses of pages, and what shows that they are drawn.
    pages: Vec<(&'static str, String, String)>,
}

/// The plugins of the site; one of them was built for a world of its own.
const PLUGINS: &str = r#"
    (id: "freshness-guard", path: "freshness-guard.wasm", projects: ["debian", "ubuntu"], config: {"max_age": "2d"},
        grants: (dest_read: ["project/trace/master"])),
    (id: "quiet-hours", path: "quiet-hours.wasm", projects: ["fedora"], config: {"quiet": "sat 02:00-02:05"}),
    (id: "trace-file", path: "trace-file.wasm", projects: ["debian*"], config: {"name": "ftp.example.net"},
        grants: (dest_read: ["project/trace/master"], dest_write: ["project/trace/*"])),
    (id: "weekend", path: "weekend.wasm", projects: ["cpan"])"#;

/// A master with these plugins, as far as they have been compiled.
fn master() -> Server {
    master_beside(|folder| {
        fs::write(folder.join("weekend.wasm"), b"\0asm\x01\0\0\0").unwrap();
        for name in ["freshness-guard", "quiet-hours", "trace-file"] {
            guest(name).map(|file| fs::copy(file, folder.join(format!("{name}.wasm"))).unwrap());
        }
        format!("plugins: (folder: {folder:?}, load: [{PLUGINS}]), ")
    })
}

impl Site {
    fn start() -> Self {
        let (master, upstream) = (master(), Upstream::start(1));
        for (id, name, megabytes) in MIRRORS {
            add(&master, &upstream, id, name, megabytes);
        }
        let slaves = [slave(&master.url(""), "ftp-berlin"), slave(&master.url(""), "ftp-nyc")];
        for id in ["debian", "fedora", "alpine"] {
            past(&master, &upstream, id);
        }
        for id in ["archlinux", "cran", "debian-cd", "gnu", "ubuntu"] {
            master.ended(&master.sync(id));
        }
        current(&master, "ftp-nyc", "debian");
        let [berlin, mut nyc] = slaves;
        nyc.terminate();
        for round in 0..3 {
            change(&upstream, "debian", PAST + round);
            master.ended(&master.sync("debian"));
        }
        let failed = master.sync("cpan");
        master.ended(&failed);
        for id in ["ubuntu-releases", "centos-stream", "debian-security"] {
            master.sync(id);
        }
        wait_for("something to run", || {
            let status = master.get("/api/v1/status").json();
            (!status["running"].as_array().unwrap().is_empty()).then_some(())
        });
        current(&master, "ftp-berlin", "debian");
        let runs = master.get("/api/v1/projects/debian/runs?limit=1").json();
        let run = runs["items"][0]["id"].as_str().unwrap().to_owned();
        let page = |name: &'static str, page: &str, sight: &str| (name, page.to_owned(), sight.to_owned());
        let pages = vec![
            page("overview", "", "All projects"),
            page("project", "project/debian", "duration"),
            page("project-failing", "project/cpan", "Why it fails"),
            page("run", &format!("run/{run}"), "Attempt 1"),
            page("add", "add", "From where to where"),
            page("nodes", "nodes", "Projects by node"),
            page("schedule", "schedule", "The next 24 hours"),
            page("plugins", "plugins", "trace-file"),
            page("people", "people", "Users"),
        ];
        Self { master, _slaves: [berlin, nyc], _upstream: upstream, pages }
    }
}

fn add(master: &Server, upstream: &Upstream, id: &str, name: &str, megabytes: usize) {
    let folder = upstream.tree().join(id);
    fs::create_dir_all(folder.join("pool")).unwrap();
    for number in 0..megabytes * 4 {
        fs::write(folder.join(format!("pool/package-{number}.tar")), vec![b'.'; 250_000]).unwrap();
    }
    let slow = megabytes > 10;
    let source = match id {
        "cpan" => upstream.url("CPAN"),
        _ => upstream.url(&format!("data/{id}")),
    };
    let more = json!({
        "name": name,
        "schedule": schedule(id),
        "enabled": id != "gnu",
        "retry": {"attempts": 1},
        "labels": {"array": if id.starts_with('d') { "1" } else { "2" }},
        "options": {"basic": if slow { vec![SLOWLY] } else { Vec::new() }},
    });
    master.project(id, &source, &more);
}

fn schedule(id: &str) -> Value {
    match id.len() % 4 {
        0 => json!({"cron": "H */2 * * *", "timezone": "Europe/Berlin"}),
        1 => json!({"cron": "H * * * *"}),
        2 => json!({"cron": "H */6 * * *", "timezone": "Europe/Berlin"}),
        _ => json!({"cron": "H H * * *"}),
    }
}

/// Runs of a tree that changes now and then.
fn past(master: &Server, upstream: &Upstream, id: &str) {
    for round in 0..PAST {
        change(upstream, id, round);
        master.ended(&master.sync(id));
    }
}

fn change(upstream: &Upstream, id: &str, round: usize) {
    let size = [90_000, 310_000, 0, 140_000, 520_000, 60_000, 230_000][round % 7];
    let folder = upstream.tree().join(id).join(format!("dists/{}", ["sid", "stable", "testing"][round % 3]));
    fs::create_dir_all(&folder).unwrap();
    if size > 0 {
        // Bytes that are not in the tree yet, so that they have to come.
        let bytes: Vec<u8> = (0..size).map(|byte| (byte * (round + 7) / 13 % 251).to_le_bytes()[0]).collect();
        fs::write(folder.join("Packages"), bytes).unwrap();
    }
    let old = upstream.tree().join(id).join(format!("pool/package-{round}.tar"));
    if round % 5 == 4 && old.exists() {
        fs::remove_file(old).unwrap();
    }
}
