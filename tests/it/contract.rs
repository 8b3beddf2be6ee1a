//! What the `OpenAPI` document says is what the server does: Schemathesis, an independent program, asks every route thousands of
//! odd things and compares each answer with the document.
//!
//! It comes from `PyPI` when the test runs. Where that cannot be reached the test is left out, and says so; with
//! `HELIOSTAT_REQUIRE_ORACLE` set it fails instead.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::kit::{Server, Upstream};

/// Installs it once, and gives its folder.
fn schemathesis() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis-4.32");
    if !folder.join("complete").exists() {
        let installed = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--upgrade", "--root-user-action=ignore", "--target"])
            .arg(&folder)
            .arg("schemathesis==4.32.5")
            .output();
        if !installed.is_ok_and(|output| output.status.success()) {
            assert!(
                std::env::var_os("HELIOSTAT_REQUIRE_ORACLE").is_none(),
                "schemathesis cannot be installed"
            );
            println!("left out: schemathesis cannot be installed here");
            return None;
        }
        fs::write(folder.join("complete"), "").unwrap();
    }
    Some(folder)
}

#[test]
fn no_answer_is_outside_the_document_and_none_is_an_error_of_ours() {
    let Some(folder) = schemathesis() else { return };
    // Whatever is made up as a destination stays below one folder.
    let mut server = Server::start_with("allowed_roots: [\"ROOT\"], ", |text, folder| {
        fs::create_dir_all(folder.join("mirrors")).unwrap();
        text.replace("ROOT", &folder.join("mirrors").display().to_string())
    });
    server.ready();
    let upstream = Upstream::start(3);
    server.project("p", &upstream.url("data"), &json!({}));
    let run = server.sync("p");
    server.ended(&run);
    // Made-up logins soon hold off every password from this address, and no token.
    let token = server.post("/api/v1/tokens", &json!({"name": "schemathesis"})).json();
    let token = token["token"].as_str().unwrap();
    // Without these it would only ever ask for what is not there.
    let config = server.path("schemathesis.toml");
    fs::write(&config, format!("[parameters]\n\"path.id\" = \"p\"\n\"path.run\" = \"{run}\"\n")).unwrap();
    let output = Command::new("python3")
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(&config)
        .arg("run")
        .arg(server.url("/openapi.json"))
        .args([
            "--header",
            &format!("Authorization: Bearer {token}"),
            "--seed",
            "1",
            "--max-examples",
            "15",
            "--request-timeout",
            "20",
        ])
        .args(["--phases", "coverage,fuzzing", "--no-color"])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ])
        // A stream that never ends, text, and what writes wherever it is told to.
        .args(["--exclude-path", "/api/v1/events", "--exclude-path", "/api/v1/store/backup"])
        .args(["--exclude-path", "/api/v1/runs/{run}/log"])
        .env("PYTHONPATH", &folder)
        .current_dir(server.path("mirrors"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}
