//! Greeting, modules and logins of a real daemon.

use std::net::{Ipv4Addr, Ipv6Addr};

use engine::Secret;
use engine::protocol::{
    Connection, Digest, Login, LoginState, ModuleState, ProtocolError, Refusal, RefusalKind, Timeouts, probe,
};
use tokio::net::TcpSocket;

use crate::PATIENT;
use crate::daemon::{Config, Daemon, LOGIN, source};
use crate::servers::{Rewrite, between};

fn password() -> Secret {
    Secret::new(LOGIN.1)
}

async fn refused(daemon: &Daemon, user: Option<&str>, module: &str, password: Option<&Secret>) -> Refusal {
    let source = source(daemon.address, user, module, "");
    let entered = Connection::open(&source, &PATIENT).await.unwrap().enter(&source, password).await;
    match entered {
        Err(ProtocolError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_daemon_greets_and_lists_its_modules_with_their_comments() {
    let daemon = Config::new()
        .with_motd("Welcome\tto the \x1b[31mmirror\n\nBe kind.\n")
        .module("debian", "comment = Debian \u{e9}")
        .module("a-module-with-a-long-name", "")
        .module("hidden", "list = no")
        .start()
        .await;
    let connection = Connection::open(&daemon.source("debian"), &PATIENT).await.unwrap();
    assert_eq!(connection.address(), daemon.address);
    assert!(connection.greeting().protocol >= 31, "{:?}", connection.greeting());
    assert!(connection.greeting().digests.contains(&"md5".to_owned()));
    let listed = connection.modules().await.unwrap();
    assert_eq!(listed.motd, "Welcome\tto the \\u{1b}[31mmirror\n\nBe kind.");
    let lines: Vec<_> =
        listed.modules.iter().map(|line| (line.name.as_str(), line.comment.as_str())).collect();
    assert_eq!(lines, [("debian", "Debian \u{e9}"), ("a-module-with-a-long-name", "")]);
}

#[tokio::test]
async fn an_open_module_is_entered_without_a_login() {
    let daemon = Config::new().with_motd("Hello\n").module("open", "").start().await;
    let source = daemon.source("open");
    let session = Connection::open(&source, &PATIENT).await.unwrap().enter(&source, None).await.unwrap();
    assert_eq!((session.login, session.motd.as_str()), (Login::NotNeeded, "Hello"));
}

/// A greeting with other digests.
fn with(line: &str, digests: &str) -> String {
    let version = line.split_ascii_whitespace().nth(1).unwrap();
    format!("@RSYNCD: {version} {digests}\n")
}

#[tokio::test]
async fn every_digest_that_a_daemon_may_offer_logs_in() {
    let daemon = Config::new().closed("closed").start().await;
    let cases: [(Rewrite, Digest); 7] = [
        (|line| line.to_owned(), Digest::Sha512),
        (|line| with(line, "md4 sha1 sha256 blake3"), Digest::Sha256),
        (|line| with(line, "sha1 md5"), Digest::Sha1),
        (|line| with(line, "md5 md4"), Digest::Md5),
        (|line| with(line, "md4"), Digest::Md4),
        // What daemons and clients before 3.2.7 say, and before 3.0.0.
        (|_| "@RSYNCD: 31.0\n".into(), Digest::Md5),
        (|_| "@RSYNCD: 29\n".into(), Digest::OldMd4),
    ];
    for (greeting, digest) in cases {
        let (server, _) = between(daemon.address, greeting).await;
        let source = source(server.address, Some(LOGIN.0), "closed", "");
        let connection = Connection::open(&source, &PATIENT).await.unwrap();
        let session = connection.enter(&source, Some(&password())).await.unwrap();
        assert_eq!(session.login, Login::Accepted(digest));
    }
}

#[tokio::test]
async fn a_wrong_login_is_refused_and_so_is_none() {
    let daemon = Config::new().closed("closed").start().await;
    for (user, password, kind) in [
        (Some(LOGIN.0), Some(Secret::new("wrong")), RefusalKind::LoginFailed),
        (Some("stranger"), Some(password()), RefusalKind::LoginFailed),
        (None, Some(password()), RefusalKind::LoginFailed),
        (Some(LOGIN.0), None, RefusalKind::LoginNeeded),
    ] {
        assert_eq!(refused(&daemon, user, "closed", password.as_ref()).await.kind, kind, "{user:?}");
    }
}

#[tokio::test]
async fn a_daemon_whose_secrets_file_is_missing_refuses_every_login() {
    let lines = format!("auth users = {}\nsecrets file = /nonexistent/secrets", LOGIN.0);
    let daemon = Config::new().module("broken", &lines).start().await;
    let refusal = refused(&daemon, Some(LOGIN.0), "broken", Some(&password())).await;
    assert_eq!(refusal.kind, RefusalKind::LoginFailed);
    assert!(refusal.text.contains("auth failed on module broken"), "{refusal}");
}

#[tokio::test]
async fn refusals_have_a_kind_each() {
    let daemon = Config::new()
        .module("denied", "hosts deny = *")
        .module("gone", "path = /nonexistent/folder")
        .start()
        .await;
    for (module, kind) in [
        ("nothing", RefusalKind::UnknownModule),
        ("denied", RefusalKind::AccessDenied),
        ("gone", RefusalKind::Other),
    ] {
        let refusal = refused(&daemon, None, module, None).await;
        assert_eq!(refusal.kind, kind, "{refusal}");
    }
}

#[tokio::test]
async fn a_module_that_is_full_says_so() {
    let daemon = Config::new();
    let lock = tempfile::NamedTempFile::new().unwrap();
    let lines = format!("max connections = 1\nlock file = {}", lock.path().display());
    let daemon = daemon.module("narrow", &lines).start().await;
    let source = daemon.source("narrow");
    let first = Connection::open(&source, &PATIENT).await.unwrap().enter(&source, None).await.unwrap();
    assert_eq!(refused(&daemon, None, "narrow", None).await.kind, RefusalKind::TooManyConnections);
    let probed = probe(&source, None, &PATIENT).await.unwrap();
    assert!(
        matches!(probed.module, ModuleState::Refused(refusal) if refusal.text.contains("max connections (1)"))
    );
    drop(first);
}

#[tokio::test]
async fn a_probe_tells_everything_about_an_upstream() {
    let daemon =
        Config::new().with_motd("Hello\n").module("open", "comment = All").closed("closed").start().await;
    let probed = probe(&daemon.source("open"), None, &PATIENT).await.unwrap();
    assert_eq!((probed.address, probed.motd.as_str()), (daemon.address, "Hello"));
    assert_eq!(probed.modules.unwrap().len(), 2);
    assert_eq!((probed.module, probed.login), (ModuleState::Found, LoginState::NotNeeded));

    let closed = source(daemon.address, Some(LOGIN.0), "closed", "");
    let probed = probe(&closed, Some(&password()), &PATIENT).await.unwrap();
    assert_eq!((probed.module, probed.login), (ModuleState::Found, LoginState::Accepted(Digest::Sha512)));

    let probed = probe(&closed, Some(&Secret::new("wrong")), &PATIENT).await.unwrap();
    assert_eq!(probed.module, ModuleState::Found);
    assert!(matches!(probed.login, LoginState::Refused(refusal) if refusal.kind == RefusalKind::LoginFailed));

    let probed = probe(&daemon.source("colsed"), None, &PATIENT).await.unwrap();
    assert_eq!(probed.module, ModuleState::Missing { nearest: Some("closed".into()) });
    assert_eq!((probed.login, probed.motd.as_str()), (LoginState::NotAsked, "Hello"));
}

#[tokio::test]
async fn a_host_with_several_addresses_is_reached_on_the_one_that_answers() {
    let daemon = Config::new().module("open", "").start().await;
    let source = engine::Source::new(None, "localhost", daemon.address.port(), "open", "").unwrap();
    assert_eq!(probe(&source, None, &PATIENT).await.unwrap().module, ModuleState::Found);
}

#[tokio::test]
async fn a_daemon_on_ipv6_is_reached() {
    if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return;
    }
    let daemon = Config::new().module("open", "").start_on(Ipv6Addr::LOCALHOST.into()).await;
    let probed = probe(&daemon.source("open"), None, &PATIENT).await.unwrap();
    assert_eq!((probed.address, probed.module), (daemon.address, ModuleState::Found));
}

#[tokio::test]
async fn nobody_there_and_no_such_host_are_told_apart() {
    // A port that is taken, and where nobody listens.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let gone = socket.local_addr().unwrap();
    let closed = source(gone, None, "open", "");
    let failed = probe(&closed, None, &PATIENT).await;
    assert!(
        matches!(&failed, Err(ProtocolError::Connect { failures, .. }) if failures.len() == 1),
        "{failed:?}"
    );
    let nowhere = engine::Source::new(None, "no-such-host.invalid", 873, "open", "").unwrap();
    let timeouts = Timeouts { connect: std::time::Duration::from_secs(5), ..PATIENT };
    let failed = probe(&nowhere, None, &timeouts).await;
    assert!(
        matches!(failed, Err(ProtocolError::Resolve { .. } | ProtocolError::Timeout { .. })),
        "{failed:?}"
    );
}
