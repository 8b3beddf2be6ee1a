//! What Prometheus itself says of our metrics and of the rules that come with them.
//!
//! `promtool` is used where it is installed; otherwise it is taken out of Debian's package (19 MB), without installing
//! that, since it brings a service. Where neither works the tests are left out and say so; with
//! `HELIOSTAT_REQUIRE_ORACLE` set they fail instead.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::json;

use crate::kit::{Server, Upstream, guest};

fn promtool() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| installed().or_else(unpacked)).as_deref();
    if found.is_none() {
        assert!(std::env::var_os("HELIOSTAT_REQUIRE_ORACLE").is_none(), "promtool cannot be had");
        println!("left out: promtool cannot be had here");
    }
    found
}

fn works(path: &Path) -> bool {
    Command::new(path).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn installed() -> Option<PathBuf> {
    Some(PathBuf::from("promtool")).filter(|path| works(path))
}

fn unpacked() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("promtool");
    let path = folder.join("usr/bin/promtool");
    if !works(&path) {
        std::fs::create_dir_all(&folder).ok()?;
        let fetch =
            "apt-get -q download prometheus && dpkg-deb -x prometheus_*.deb . && rm -f prometheus_*.deb";
        let _ = Command::new("sh").args(["-c", fetch]).current_dir(&folder).output();
    }
    Some(path).filter(|path| works(path))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &*String::from_utf8_lossy(&output.stderr)
}

#[test]
fn prometheus_has_nothing_to_say_against_our_metrics() {
    let Some(promtool) = promtool() else { return };
    let hook = guest("c-hold-file").map(|guest| {
        let guest = guest.display();
        format!(r#"plugins: (load: [(id: "hold", path: "{guest}", grants: (dest_read: ["hold"]), config: {{"file": "hold"}})]), "#)
    });
    let mut server = Server::start_with(&hook.clone().unwrap_or_default(), |text, _| text);
    server.ready();
    let upstream = Upstream::start(3);
    server.project("p", &upstream.url("data"), &json!({"schedule": {"every": 3600}}));
    server.project("q", "rsync://127.0.0.1:9/m", &json!({"retry": {"attempts": 1, "base": 1, "cap": 1}}));
    server.ended(&server.sync("p"));
    server.ended(&server.sync("q"));
    let text = server.get("/metrics").text;
    let counted = "heliostat_plugin_calls_total{plugin=\"hold\",hook=\"pre-sync\"} 3";
    assert!(hook.is_none() || text.contains(counted), "{text}");
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{text}", said(&output));
}

#[test]
fn every_rule_fires_where_it_should_and_is_silent_on_a_good_day() {
    let Some(promtool) = promtool() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/prometheus");
    for words in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let output = Command::new(promtool).args(words).current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (rules, tests) = (read("alerts.yml"), read("alerts_test.yml"));
    for rule in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("alertname: {rule}\n")), "alerts_test.yml does not try {rule}");
    }
}
