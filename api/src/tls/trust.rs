//! Trust of a client that was given certificates, by `ca` or `--ca`: in what these have signed, and
//! in these themselves.
//!
//! A server may show the very certificate that its client was given, whatever that is otherwise
//! allowed to sign: what `openssl req -x509` makes is an authority, and rustls refuses one that
//! stands for a server.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::validity;

/// Makes the TLS side of a client that trusts the certificates in a PEM text and no others.
///
/// # Errors
/// The reason why they cannot be used.
pub(crate) fn in_certificates(pem: &[u8]) -> Result<ClientConfig, String> {
    let given = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let given = given.map_err(|error| error.to_string())?;
    if given.is_empty() {
        return Err("it holds no certificate".to_owned());
    }

    let mut roots = RootCertStore::empty();
    for certificate in &given {
        roots.add(certificate.clone()).map_err(|error| error.to_string())?;
    }
    let signed = WebPkiServerVerifier::builder(Arc::new(roots)).build();
    let signed = signed.map_err(|error| error.to_string())?;
    let verifier = Arc::new(GivenCertificates { given, signed });
    Ok(ClientConfig::builder().dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Judge of a server's certificate by those that the client was given.
#[derive(Debug)]
struct GivenCertificates {
    given: Vec<CertificateDer<'static>>,
    /// The usual judge, for whom each of them is an authority.
    signed: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for GivenCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let signed =
            self.signed.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match signed {
            Err(_) if self.given.contains(end_entity) => {
                check_time(end_entity, now)?;
                check_name(end_entity, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}

fn check_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let unreadable = || Error::from(CertificateError::BadEncoding);
    let (begin, end) = validity::period(certificate).ok_or_else(unreadable)?;
    let at = i64::try_from(now.as_secs()).ok().and_then(|now| DateTime::<Utc>::from_timestamp(now, 0));
    let at = at.ok_or_else(unreadable)?;
    if at < begin {
        return Err(CertificateError::NotValidYetContext { time: now, not_before: moment(begin) }.into());
    }
    if at > end {
        return Err(CertificateError::ExpiredContext { time: now, not_after: moment(end) }.into());
    }
    Ok(())
}

fn moment(time: DateTime<Utc>) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or_default()))
}

/// A certificate that names nobody was made for one server, and only that server has its key.
fn check_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    match verify_server_name(&parsed, name) {
        Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }))
            if presented.is_empty() =>
        {
            Ok(())
        }
        judged => judged,
    }
}
