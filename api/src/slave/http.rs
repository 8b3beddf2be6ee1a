//! How a slave makes requests to its master: whom it trusts, and what a failed one is called.

use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client};

use super::SlaveError;
use crate::config;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// What is wrong with the certificate that `openssl req -x509` makes unless it is told otherwise.
const AUTHORITY_AS_SERVER: &str = "its certificate is one of an authority (CA:TRUE), which no server may show: make it \
    anew with `-addext basicConstraints=critical,CA:FALSE` (docs/slaves.md, \"Whom it trusts\")";

/// A client that trusts whom the configuration says: with `ca`, the certificates in that file and no others.
pub(super) fn client(config: &config::Slave) -> Result<Client, SlaveError> {
    let builder = Client::builder().connect_timeout(CONNECT).no_proxy();
    let builder = builder.redirect(reqwest::redirect::Policy::none());
    let builder = match &config.ca {
        Some(path) => builder.tls_certs_only(certificates(path)?),
        None => builder,
    };
    builder.build().map_err(SlaveError::Http)
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, SlaveError> {
    let wrong = |why: String| SlaveError::Ca { path: path.to_owned(), why };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
    match certificates.is_empty() {
        true => Err(wrong("it holds no certificate".to_owned())),
        false => Ok(certificates),
    }
}

/// The innermost cause of a failed request: what a person needs to know.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let cause = std::iter::successors(std::error::Error::source(error), |cause| cause.source()).last();
    let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
    // In rustls's own words nobody finds the way out.
    match cause.contains("CaUsedAsEndEntity") {
        true => AUTHORITY_AS_SERVER.to_owned(),
        false => cause,
    }
}
