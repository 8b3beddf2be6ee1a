//! Mail by STARTTLS: to a server that proves who it is, and to no other.

use crate::kit::{Server, Smtp, Upstream, authority, wait_for};

use super::{broken, config, mend};

/// A channel with a login, by STARTTLS unless more is said.
fn channel(name: &str, server: &Smtp) -> String {
    format!(
        "Mail(name: {name:?}, server: \"localhost:{}\", user: \"u\", password: \"hush-mail\", \
         from: \"Mirrors <m@example.org>\", to: [\"ops@example.org\"])",
        server.port()
    )
}

/// A master on a machine that trusts one authority.
fn master(ca: std::path::PathBuf, alerts: &str) -> Server {
    Server::start_trusting(Some(ca), |folder, port| config(folder, port, alerts))
}

#[test]
fn a_failure_and_its_end_come_by_starttls_and_nothing_of_them_in_the_clear() {
    let (folder, upstream) = (tempfile::tempdir().unwrap(), Upstream::start(2));
    authority(folder.path(), "site");
    let file = |what: &str| folder.path().join(format!("site.{what}"));
    let smtp = Smtp::with_tls(&file("cert"), &file("key"));
    let server = master(file("ca"), &format!("settle: \"100ms\", channels: [{}]", channel("mail", &smtp)));
    broken(&server, "p", &upstream);
    server.ended(&server.sync("p"));
    let failed = smtp.wait(1).remove(0);
    mend(&server, "p", &upstream);
    let mails = smtp.wait(2);
    for (mail, words) in [(&failed, "p fails"), (&mails[1], "p works again")] {
        for part in ["AUTH PLAIN ", "MAIL FROM:<m@example.org>", "RCPT TO:<ops@example.org>", words] {
            assert!(mail.contains(part), "{part} is missing in {mail}");
        }
    }
    let id = |mail: &str| mail.lines().find(|line| line.starts_with("Message-ID: ")).unwrap().to_owned();
    assert_ne!(id(&failed), id(&mails[1]), "two messages, and not one of them twice");
    let clear = smtp.in_the_clear();
    let said: Vec<&str> = clear.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert!(said.chunks(2).all(|two| two == ["EHLO", "STARTTLS"]), "{clear}");
}

#[test]
fn a_mail_server_without_tls_or_with_a_strangers_certificate_hears_neither_login_nor_mail() {
    let folder = tempfile::tempdir().unwrap();
    authority(folder.path(), "site");
    authority(folder.path(), "stranger");
    let file = |name: &str| folder.path().join(name);
    let right = Smtp::with_tls(&file("site.cert"), &file("site.key"));
    let stranger = Smtp::with_tls(&file("stranger.cert"), &file("stranger.key"));
    let plain = Smtp::start();
    let channels = [("right", &right), ("stranger", &stranger), ("plain", &plain)];
    let channels = channels.map(|(name, smtp)| channel(name, smtp)).join(", ");
    let server = master(file("site.ca"), &format!("channels: [{channels}]"));
    let answer = server.post("/api/v1/alerts/test", &serde_json::json!({}));
    let tried = answer.json();
    let of =
        |number: usize| (tried["items"][number]["delivered"].as_bool(), &tried["items"][number]["error"]);
    assert_eq!(of(0).0, Some(true), "{tried}");
    assert_eq!(right.mails().len(), 1);
    for (number, smtp, why) in [(1, &stranger, "certificate"), (2, &plain, "STARTTLS")] {
        let (delivered, error) = of(number);
        assert_eq!(delivered, Some(false), "{tried}");
        assert!(error.as_str().unwrap().contains(why), "{why} is missing in {tried}");
        assert!(!tried.to_string().contains("hush"), "{tried}");
        wait_for("its greeting", || smtp.in_the_clear().contains("EHLO").then_some(()));
        let heard = smtp.in_the_clear();
        assert!(smtp.mails().is_empty() && !heard.contains("AUTH") && !heard.contains("MAIL"), "{heard}");
    }
}
