//! How a slave makes requests to its master: whom it trusts, and what a failed one is called.

use std::path::Path;
use std::time::Duration;

use reqwest::Client;
use rustls::ClientConfig;

use super::SlaveError;
use crate::config;
use crate::tls::trust;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// Way out where a server shows a certificate that signs itself, as `openssl req -x509` makes it.
const AUTHORITY_AS_SERVER: &str = "its certificate signs itself, and is none of those in `ca` (`--ca` of a command): \
    give it there (docs/slaves.md, \"Whom it trusts\")";

/// A client that trusts whom the configuration says: with `ca`, the certificates in that file and no others.
pub(super) fn client(config: &config::Slave) -> Result<Client, SlaveError> {
    let builder = Client::builder().connect_timeout(CONNECT).no_proxy();
    let builder = builder.redirect(reqwest::redirect::Policy::none());
    let builder = match &config.ca {
        Some(path) => builder.tls_backend_preconfigured(trust_in(path)?),
        None => builder,
    };
    builder.build().map_err(SlaveError::Http)
}

fn trust_in(path: &Path) -> Result<ClientConfig, SlaveError> {
    let wrong = |why: String| SlaveError::Ca { path: path.to_owned(), why };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    trust::in_certificates(&pem).map_err(wrong)
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
