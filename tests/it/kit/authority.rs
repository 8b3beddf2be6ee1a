//! A certificate authority of our own, and a certificate for this machine that comes from it.

use std::fs;
use std::path::Path;

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
    write("key", own.serialize_pem());
}
