//! How a slave makes requests to its master: whom it trusts, and what a failed one is called.

use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client};

use super::SlaveError;
use crate::config;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

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
pub(super) fn cause(error: &reqwest::Error) -> String {
    let cause = std::iter::successors(std::error::Error::source(error), |cause| cause.source()).last();
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}
