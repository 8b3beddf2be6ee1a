//! A master behind a private certificate authority: its slaves trust that one and nobody else.

use std::fs;
use std::process::{Command, Stdio};

use super::SECRET;
use crate::kit::{PASSWORD, Server, authority, free_port, heliostat, wait_for};

fn slave(master: &str, name: &str, ca: &str) -> Server {
    Server::start_from(|folder, port| {
        let (data, public) = (folder.join("data"), folder.join("public"));
        format!(
            "(data_dir: {data:?}, listen: \"127.0.0.1:{port}\", role: Slave(\
             master: {master:?}, name: {name:?}, public_dir: {public:?}, enrolment: {SECRET:?}{ca}))"
        )
    })
}

#[test]
fn a_slave_with_a_private_authority_trusts_that_one_and_one_without_it_does_not() {
    let rsyncd = free_port();
    let master = Server::start_with("tls: (cert: \"CERT\", key: \"KEY\"), ", |text, folder| {
        authority(folder, "right");
        authority(folder, "wrong");
        let role = format!("Master(enrolment: {SECRET:?}, rsyncd: Managed(listen: \"127.0.0.1:{rsyncd}\"))");
        text.replace("CERT", &folder.join("right.cert").display().to_string())
            .replace("KEY", &folder.join("right.key").display().to_string())
            .replace("Master()", &role)
    });
    let address = format!("https://localhost:{}", master.port());
    let ca = |name: &str| format!(", ca: {:?}", master.path(name));
    let strangers = [slave(&address, "without", ""), slave(&address, "wrong", &ca("wrong.ca"))];
    let right = slave(&address, "right", &ca("right.ca"));
    wait_for("the slave to join", || right.log().contains("joined the master").then_some(()));
    for stranger in &strangers {
        wait_for("the refusal", || stranger.log().contains("certificate").then_some(()));
        assert!(!stranger.log().contains("joined"), "{}", stranger.log());
    }
    let list = Command::new(heliostat())
        .args(["node", "list", "--server", &address, "--ca"])
        .arg(master.path("right.ca"))
        .env("HELIOSTAT_USER", format!("root:{PASSWORD}"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.contains("right") && !list.contains("wrong") && !list.contains("without"), "{list}");
}

#[test]
fn an_authority_that_cannot_be_read_is_said_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("heliostat.ron"));
    fs::write(folder.path().join("empty.pem"), "nothing").unwrap();
    for (name, expected) in [("nowhere.pem", "nowhere.pem"), ("empty.pem", "holds no certificate")] {
        let ca = folder.path().join(name);
        let text = format!(
            "(data_dir: {data:?}, listen: \"127.0.0.1:0\", role: Slave(master: \"https://m\", name: \"n\",\
             public_dir: \"/p\", enrolment: {SECRET:?}, ca: {ca:?}))"
        );
        fs::write(&file, text).unwrap();
        let output = Command::new(heliostat()).args(["serve", "--config"]).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("role.ca") && said.contains(expected), "{said}");
    }
}
