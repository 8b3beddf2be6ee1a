//! Answers without an end, from every machine that this program asks: each client gives up within its bound.

use serde_json::json;

use crate::kit::{Endless, Server, Upstream, client, heliostat, said, wait_for};
use crate::slaves::slave;

/// Bytes that a short answer may have, and those that wait in the sockets' buffers.
const SHORT: usize = 32 << 20;
/// The same for an answer that lists a whole site.
const LONG: usize = 128 << 20;

#[test]
fn a_slave_reads_little_of_whoever_answers_at_its_masters_address() {
    for status in [200, 403] {
        let endless = Endless::start(status);
        let slave = slave(&endless.url(), "one");
        let most = endless.given_up(2);
        assert!(most < SHORT, "{status}: {most} bytes");
        let word = if status == 200 { "longer than 65536 bytes" } else { "the master refused" };
        wait_for("the slave to say why", || slave.log().contains(word).then_some(()));
    }
}

#[test]
fn a_command_gives_up_on_a_server_whose_answer_has_no_end() {
    for (status, bound, word) in [(200, LONG, "longer than"), (500, SHORT, "500")] {
        let endless = Endless::start(status);
        let output = std::process::Command::new(heliostat())
            .args(["status", "--server", &endless.url(), "--user", "root:x"])
            .output()
            .unwrap();
        let text = said(&output);
        assert!(!output.status.success() && text.contains(word), "{text}");
        let most = endless.given_up(1);
        assert!(most < bound, "{status}: {most} bytes");
    }
}

#[test]
fn a_master_reads_little_of_a_node_of_2014_and_of_a_webhook() {
    let (node, hook) = (Endless::start(200), Endless::start(500));
    let upstream = Upstream::start(3);
    let url = hook.url();
    let server = Server::start_from(|folder, port| {
        let data = folder.join("data");
        format!(
            "(data_dir: {data:?}, listen: \"127.0.0.1:{port}\", alerts: (channels: [\
             Webhook(name: \"hook\", url: {url:?})]), role: Master())"
        )
    });
    let added =
        server.post("/add_slave/", &json!({"hostname": "127.0.0.1", "port": node.port().to_string()}));
    assert_eq!(added.status, 200, "{}", added.text);
    server.project("p", &upstream.url("data"), &json!({}));
    let run = server.sync("p");
    assert_eq!(server.ended(&run)["state"], "succeeded");
    assert!(node.given_up(1) < SHORT);

    let told = server.post("/api/v1/alerts/test", &json!({}));
    assert!(told.text.contains("500"), "{}", told.text);
    assert!(hook.given_up(1) < SHORT);
    assert_eq!(client().get(server.url("/healthz")).send().unwrap().status(), 200);
}
