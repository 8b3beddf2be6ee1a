//! Requests to a real server on this machine, and those that must not be sent.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

fn get(url: &str) -> Request {
    let timeout = Duration::from_secs(30);
    Request { method: "GET".to_owned(), url: url.to_owned(), headers: Vec::new(), body: None, timeout }
}

fn grants(urls: &[&str]) -> Grants {
    let http = urls.iter().map(|url| url.parse().unwrap()).collect();
    let secrets = BTreeMap::from([("token".to_owned(), Secret::new("hunter2"))]);
    Grants { http, private_addresses: true, secrets, ..Grants::default() }
}

/// Answers one request with this head and with what it was sent; returns its port.
async fn echo(head: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::task::spawn_local(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 64 * 1024];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&request[..length]).await.unwrap();
    });
    port
}

async fn here<T>(work: impl Future<Output = T>) -> T {
    tokio::task::LocalSet::new().run_until(work).await
}

#[tokio::test]
async fn a_granted_request_arrives_with_the_hosts_own_host_and_the_secret_stays_hidden() {
    here(async {
        let port = echo("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
        let mut request = get(&format!("http://127.0.0.1:{port}/a/b?c=d"));
        request.method = "POST".to_owned();
        request.headers = vec![
            ("x-kind".to_owned(), Value::Literal("test".to_owned())),
            ("authorization".to_owned(), Value::Secret("token".to_owned())),
        ];
        request.body = Some(b"{}".to_vec());
        let granted = grants(&[&format!("http://127.0.0.1:{port}/a/*")]);
        let response = Client::default().send(&granted, request).await.unwrap();
        let sent = String::from_utf8(response.body).unwrap();
        assert_eq!(response.status, 200);
        assert!(sent.starts_with("POST /a/b?c=d HTTP/1.1\r\n"), "{sent}");
        assert!(
            sent.contains(&format!("host: 127.0.0.1:{port}\r\n")) && sent.contains("x-kind: test"),
            "{sent}"
        );
        assert!(sent.contains("authorization: ***\r\n") && sent.ends_with("\r\n\r\n{}"), "{sent}");
    })
    .await;
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    here(async {
        let port =
            echo("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
        let granted = grants(&[&format!("http://127.0.0.1:{port}/")]);
        let response =
            Client::default().send(&granted, get(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
        assert_eq!(response.status, 302);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_granted_is_not_sent() {
    let granted = grants(&["https://hooks.example.org/mirror/*"]);
    let denied = [
        "https://hooks.example.org/admin",
        "https://hooks.example.org/mirror/..%2fadmin",
        "https://hooks.example.org@evil.example/mirror/",
        "https://user:pw@hooks.example.org/mirror/",
        "http://hooks.example.org/mirror/",
        "file:///etc/passwd",
        "//hooks.example.org/mirror/",
        "/mirror/",
        "",
    ];
    for url in denied {
        let answer = Client::default().send(&granted, get(url)).await;
        assert!(matches!(answer, Err(Failure::Denied(_))), "{url}: {answer:?}");
    }
}

#[tokio::test]
async fn headers_and_methods_that_are_the_hosts_are_refused() {
    let granted = grants(&["http://127.0.0.1:1/"]);
    for (name, value) in [
        ("Host", Value::Literal("evil.example".to_owned())),
        ("content-length", Value::Literal("0".to_owned())),
        ("x y", Value::Literal(String::new())),
        ("x", Value::Literal("a\r\nb: c".to_owned())),
        ("x", Value::Secret("other".to_owned())),
    ] {
        let mut request = get("http://127.0.0.1:1/");
        request.headers = vec![(name.to_owned(), value)];
        let answer = Client::default().send(&granted, request).await;
        assert!(matches!(answer, Err(Failure::Denied(_))), "{name}: {answer:?}");
    }
    for method in ["CONNECT", "TRACE", "get", "GET /x", ""] {
        let request = Request { method: method.to_owned(), ..get("http://127.0.0.1:1/") };
        let answer = Client::default().send(&granted, request).await;
        assert!(matches!(answer, Err(Failure::Denied(_))), "{method}: {answer:?}");
    }
}

#[tokio::test]
async fn private_addresses_need_their_own_grant_by_number_and_by_name() {
    let urls = [
        "http://127.0.0.1:1/",
        "http://[::ffff:127.0.0.1]:1/",
        "http://localhost:1/",
        "http://2130706433:1/",
    ];
    let mut granted = grants(&urls);
    granted.private_addresses = false;
    for url in urls {
        let answer = Client::default().send(&granted, get(url)).await;
        assert_eq!(answer, Err(Failure::Denied(PrivateAddress.to_string())), "{url}");
    }
    granted.private_addresses = true;
    let answer = Client::default().send(&granted, get(urls[0])).await;
    assert!(matches!(answer, Err(Failure::Transport(_))), "{answer:?}");
}

#[tokio::test]
async fn bodies_have_a_bound_in_both_directions() {
    let granted = grants(&["http://127.0.0.1:1/"]);
    let request = Request { body: Some(vec![0; BODY + 1]), ..get("http://127.0.0.1:1/") };
    assert_eq!(Client::default().send(&granted, request).await, Err(Failure::TooLarge));
    here(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert_ne!(stream.read(&mut [0; 1024]).await.unwrap(), 0);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
            while stream.write_all(&[b'x'; 8 * 1024]).await.is_ok() {}
        });
        let url = format!("http://127.0.0.1:{port}/");
        let answer = Client::default().send(&grants(&[&url]), get(&url)).await;
        assert_eq!(answer, Err(Failure::TooLarge));
    })
    .await;
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let request = Request { timeout: Duration::from_millis(50), ..get(&url) };
    assert_eq!(Client::default().send(&grants(&[&url]), request).await, Err(Failure::Timeout));
}
