//! HTTPS: a certificate from the configuration, a renewal without a restart, and no public address without one.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::kit::{PASSWORD, Server, free_port, heliostat, openssl, said, wait_for, write_private};

/// Writes a certificate for this machine that signs itself.
fn certificate(cert: &Path, key: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    fs::write(cert, made.cert.pem()).unwrap();
    write_private(key, &made.signing_key.serialize_pem());
}

#[test]
fn a_certificate_is_served_and_renewed_without_a_restart() {
    let server = Server::start_with("tls: (cert: \"CERT\", key: \"KEY\"), ", |text, folder| {
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        certificate(&cert, &key);
        text.replace("CERT", &cert.display().to_string()).replace("KEY", &key.display().to_string())
    });
    let (cert, key) = (server.path("cert.pem"), server.path("key.pem"));
    let list = |ca: &Path| {
        let address = format!("https://localhost:{}", server.port());
        Command::new(heliostat())
            .args(["project", "list", "--server", &address, "--ca", &ca.display().to_string()])
            .env("HELIOSTAT_USER", format!("root:{PASSWORD}"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let old = server.path("old.pem");
    fs::copy(&cert, &old).unwrap();
    let first =
        wait_for("the server to answer", || Some(list(&old)).filter(|output| output.status.success()));
    assert!(String::from_utf8_lossy(&first.stdout).contains("PROJECT"));
    certificate(&cert, &key);
    assert_eq!(list(&cert).status.code(), Some(5), "the new certificate is not in force yet");
    crate::kit::signal(server.pid(), rustix::process::Signal::HUP);
    wait_for("the new certificate", || list(&cert).status.success().then_some(()));
    assert_eq!(list(&old).status.code(), Some(5));
    // A broken file changes nothing.
    fs::write(&key, "nonsense").unwrap();
    crate::kit::signal(server.pid(), rustix::process::Signal::HUP);
    wait_for("the refusal", || server.log().contains("key.pem").then_some(()));
    assert!(list(&cert).status.success());
}

/// Writes a certificate for this machine that signs itself, with settings of its own.
fn certificate_with(cert: &Path, key: &Path, set: impl FnOnce(&mut rcgen::CertificateParams)) {
    let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    set(&mut parameters);
    let pair = rcgen::KeyPair::generate().unwrap();
    fs::write(cert, parameters.self_signed(&pair).unwrap().pem()).unwrap();
    write_private(key, &pair.serialize_pem());
}

#[test]
fn a_certificate_that_ends_soon_is_said_wherever_people_look_until_it_is_renewed() {
    let days = |days: u64| SystemTime::now() + Duration::from_secs(days * 86_400);
    let keys = "alerts: (settle: \"100ms\"), tls: (cert: \"CERT\", key: \"KEY\"), ";
    let server = Server::start_with(keys, |text, folder| {
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        certificate_with(&cert, &key, |parameters| parameters.not_after = days(3).into());
        text.replace("CERT", &cert.display().to_string()).replace("KEY", &key.display().to_string())
    });
    let (cert, key) = (server.path("cert.pem"), server.path("key.pem"));
    let said_by = |words: &[&str]| {
        let address = format!("https://localhost:{}", server.port());
        let command = Command::new(heliostat())
            .args(words)
            .args(["--server", &address, "--ca", &cert.display().to_string()])
            .env("HELIOSTAT_USER", format!("root:{PASSWORD}"))
            .stdin(Stdio::null())
            .output();
        said(&command.unwrap())
    };
    wait_for("the alert", || said_by(&["alert", "list"]).contains("the certificate expires").then_some(()));
    assert!(server.log().contains("the certificate expires at"), "{}", server.log());
    let status = said_by(&["status", "--output", "json"]);
    assert!(status.contains("\"tls_not_after\": \"20"), "{status}");
    let config = server.config();
    let checked = Command::new(heliostat()).args(["config", "check"]).arg("--config").arg(config).output();
    let checked = checked.unwrap();
    assert!(checked.status.success() && said(&checked).contains("tls.cert: the certificate expires"));

    certificate_with(&cert, &key, |parameters| parameters.not_after = days(90).into());
    crate::kit::signal(server.pid(), rustix::process::Signal::HUP);
    wait_for("the end of the alert", || {
        let list = said_by(&["alert", "list", "--output", "json"]);
        (list.contains("items") && !list.contains("the certificate expires")).then_some(())
    });
}

/// A master with this certificate, and what `project list` says of it with another in `--ca`.
struct JudgedServer {
    server: Server,
}

impl JudgedServer {
    fn start(make: impl Fn(&Path, &Path)) -> Self {
        let server = Server::start_with("tls: (cert: \"CERT\", key: \"KEY\"), ", |text, folder| {
            let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
            make(&cert, &key);
            text.replace("CERT", &cert.display().to_string()).replace("KEY", &key.display().to_string())
        });
        wait_for("the server", || TcpStream::connect(("127.0.0.1", server.port())).ok());
        Self { server }
    }

    fn by(&self, ca: &str) -> (bool, String) {
        let address = format!("https://localhost:{}", self.server.port());
        let output = Command::new(heliostat())
            .args(["project", "list", "--server", &address, "--ca"])
            .arg(self.server.path(ca))
            .env("HELIOSTAT_USER", format!("root:{PASSWORD}"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.success(), said(&output))
    }
}

#[test]
fn a_certificate_of_plain_openssl_is_trusted_where_it_is_given_and_only_there() {
    let made = |names: &'static [&'static str]| {
        move |cert: &Path, key: &Path| {
            openssl(cert, key, &[&["-subj", "/CN=localhost", "-days", "2"], names].concat());
            openssl(
                &cert.with_file_name("other.pem"),
                &key.with_file_name("other.key"),
                &["-subj", "/CN=localhost"],
            );
        }
    };
    let probe = tempfile::tempdir().unwrap();
    if !openssl(&probe.path().join("c"), &probe.path().join("k"), &["-subj", "/CN=x"]) {
        return;
    }
    for names in [&["-addext", "subjectAltName=DNS:localhost"][..], &[]] {
        let judged = JudgedServer::start(made(names));
        let (right, said) = judged.by("cert.pem");
        assert!(right, "{names:?}: {said}");
        let (right, said) = judged.by("other.pem");
        assert!(!right && said.contains("certificate"), "{names:?}: {said}");
    }
    // Given or not, it must be of this machine.
    let elsewhere = JudgedServer::start(made(&["-addext", "subjectAltName=DNS:elsewhere.example"]));
    let (right, said) = elsewhere.by("cert.pem");
    assert!(!right && said.contains("not valid for name"), "{said}");
}

#[test]
fn a_certificate_that_is_given_is_trusted_only_while_it_is_valid() {
    let now = SystemTime::now();
    let hours = Duration::from_hours(48);
    for (begin, end, expected) in
        [(now - 2 * hours, now - hours, "expired"), (now + hours, now + 2 * hours, "not valid yet")]
    {
        let judged = JudgedServer::start(|cert, key| {
            certificate_with(cert, key, |parameters| {
                parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
                (parameters.not_before, parameters.not_after) = (begin.into(), end.into());
            });
        });
        let (right, said) = judged.by("cert.pem");
        assert!(!right && said.contains(expected), "{said}");
    }
}

#[test]
fn a_private_key_that_others_can_read_is_refused_with_the_command_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("c"), folder.path().join("k"));
    certificate(&cert, &key);
    let (data, file) = (folder.path().join("data"), folder.path().join("heliostat.ron"));
    let config = format!(
        "(data_dir: {data:?}, listen: \"127.0.0.1:0\", tls: (cert: {cert:?}, key: {key:?}), role: Master())"
    );
    fs::write(&file, config).unwrap();
    for mode in [0o644, 0o604, 0o602] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        for words in [&["serve"][..], &["config", "check"]] {
            let output = Command::new(heliostat()).args(words).arg("--config").arg(&file).output().unwrap();
            let said = said(&output);
            let way_out = format!("chmod o= {}", key.display());
            assert!(
                !output.status.success() && said.contains("tls.key") && said.contains(&way_out),
                "{said}"
            );
        }
    }
}

#[test]
fn a_public_address_needs_a_certificate_and_the_files_must_fit() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("c"), folder.path().join("k"));
    certificate(&cert, &key);
    certificate(&folder.path().join("c2"), &key);
    let data = folder.path().join("data");
    let cases = [
        (format!("listen: \"0.0.0.0:{}\"", free_port()), "insecure: true"),
        (format!("listen: \"127.0.0.1:0\", tls: (cert: {cert:?}, key: {key:?})"), "cannot be used together"),
        ("listen: \"127.0.0.1:0\", tls: (cert: \"/nowhere\", key: \"/nowhere\")".to_owned(), "/nowhere"),
    ];
    for (keys, expected) in cases {
        let file = folder.path().join("heliostat.ron");
        fs::write(&file, format!("(data_dir: {data:?}, {keys}, role: Master())")).unwrap();
        let output = Command::new(heliostat())
            .args(["serve", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = said(&output);
        assert!(!output.status.success() && said.contains(expected), "{said}");
    }
}
