//! What stands in `deploy/`: the unit stays as closed as the documents say, and the container starts with a good
//! configuration. The package is installed by `scripts/test-package`, which changes the system and is for CI.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kit::heliostat;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy").join(name)
}

#[test]
fn the_unit_exposes_as_little_as_the_documents_say() {
    let analyze = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--no-pager", "--threshold=20"])
        .arg(deploy("systemd/heliostat.service"))
        .output();
    let Ok(output) = analyze else {
        eprintln!("left out: there is no systemd-analyze here");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("unrecognized option") || text.is_empty() {
        eprintln!(
            "left out: this systemd-analyze cannot look at a file: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }
    assert!(output.status.success(), "{text}");
}

#[test]
fn the_container_starts_with_a_good_configuration() {
    let output = Command::new(heliostat())
        .args(["config", "check", "--config"])
        .arg(deploy("docker/heliostat.ron"))
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
