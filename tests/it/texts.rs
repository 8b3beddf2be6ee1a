//! Text from outside: what people may type, what machines may say, and what of it reaches a reader.

mod fields;
mod names;

use std::process::Output;

use reqwest::Method;
use serde_json::Value;

use crate::kit::Server;

/// Texts that steer a terminal, end a line or turn the direction of reading: each of C0 (as far as a text can be one line
/// and still hold it), DEL, C1, the bidirectional controls, and the separators of lines.
fn hostile() -> Vec<char> {
    let controls = (0..0x20_u32).chain(0x7f..0xa0).filter(|code| ![0x09, 0x0a].contains(code));
    let others = [0x61c, 0x200e, 0x200f, 0x2028, 0x2029].into_iter().chain(0x202a..=0x202e);
    controls.chain(others).chain(0x2066..=0x2069).filter_map(char::from_u32).collect()
}

/// Fails where a reader could meet a character that does more than show itself.
fn assert_plain(place: &str, bytes: &[u8]) {
    let text = std::str::from_utf8(bytes)
        .unwrap_or_else(|error| panic!("{place} is not UTF-8: {error}: {}", String::from_utf8_lossy(bytes)));
    let found = text.char_indices().find(|(_, c)| hostile().contains(c));
    if let Some((at, c)) = found {
        let around = &text[text.floor_char_boundary(at.saturating_sub(80))..at];
        panic!("{place} holds {c:?} behind {around:?}");
    }
}

fn assert_output_is_plain(words: &[&str], output: &Output) {
    assert_plain(&format!("the output of {words:?}"), &output.stdout);
    assert_plain(&format!("what {words:?} says beside it"), &output.stderr);
}

/// The routes that the server documents, with what stands in their address filled in; those whose parts are not known here
/// are left out.
fn routes(server: &Server, parts: &[(&str, &str)]) -> Vec<(Method, String, Value)> {
    let document = server.get("/openapi.json").json();
    let mut routes = Vec::new();

    for (path, methods) in document["paths"].as_object().unwrap() {
        let filled = parts
            .iter()
            .fold(path.clone(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
        if filled.contains('{') {
            continue;
        }
        for (method, operation) in methods.as_object().unwrap() {
            if let Ok(method) = method.to_uppercase().parse() {
                routes.push((method, filled.clone(), operation.clone()));
            }
        }
    }
    assert!(routes.len() > 40, "{}", routes.len());
    routes
}

/// Looks at every document that can be had, the stream of events and the files of runs included.
fn assert_every_document_is_plain(server: &Server, parts: &[(&str, &str)]) {
    for (method, path, operation) in routes(server, parts) {
        let kinds = &operation["responses"]["200"]["content"];
        if method != Method::GET || path.starts_with("/assets/") || kinds["text/event-stream"].is_object() {
            continue;
        }
        let answer = server.request(method, &path).send().unwrap();
        let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        let body = answer.bytes().unwrap();
        if kind.as_deref() != Some("application/octet-stream") {
            assert_plain(&path, &body);
        }
    }
    assert_plain("the stream of events", &events(server));
    for entry in std::fs::read_dir(server.data().join("runs")).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            assert_plain(&path.display().to_string(), &std::fs::read(&path).unwrap());
        }
    }
    assert_plain("the server's log", server.log().as_bytes());
}

/// All events since the start, as far as they are there.
fn events(server: &Server) -> Vec<u8> {
    use std::io::{Read, Write};

    let mut stream = std::net::TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
    let token = server.post("/api/v1/tokens", &serde_json::json!({"name": "events"})).json();
    let token = token["token"].as_str().unwrap();
    write!(
        stream,
        "GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nLast-Event-ID: 0\r\n\r\n"
    )
    .unwrap();

    let (mut bytes, mut piece) = (Vec::new(), vec![0; 65_536]);
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        bytes.extend_from_slice(&piece[..read]);
    }
    // The head of the answer and the sizes of its pieces end their lines as HTTP does.
    bytes.retain(|byte| *byte != b'\r');
    assert!(bytes.windows(9).any(|part| part == b"run.ended"), "{}", String::from_utf8_lossy(&bytes));
    bytes
}
