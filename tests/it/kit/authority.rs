//! A certificate authority of our own, and a certificate for this machine that comes from it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Writes `NAME.ca`, `NAME.cert` and `NAME.key` into a folder.
pub(crate) fn authority(folder: &Path, name: &str) {
    let write = |what: &str, text: String| fs::write(folder.join(format!("{name}.{what}")), text).unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    write("ca", parameters.self_signed(&key).unwrap().pem());
    let issuer = rcgen::Issuer::new(parameters, key);
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let own = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(names).unwrap().signed_by(&own, &issuer).unwrap();
    write("cert", certificate.pem());
    write_private(&folder.join(format!("{name}.key")), &own.serialize_pem());
}

/// Writes a file that only its owner can read, as a private key must be.
pub(crate) fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Makes a key and a certificate that signs itself, with openssl and nothing but these words; `false` where there is no
/// openssl.
pub(crate) fn openssl(cert: &Path, key: &Path, words: &[&str]) -> bool {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(words)
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(cert)
        .output();
    match made {
        Ok(made) => {
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            true
        }
        Err(error) => {
            println!("left out: openssl cannot be started ({error})");
            false
        }
    }
}
