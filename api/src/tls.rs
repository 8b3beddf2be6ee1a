//! HTTPS: the certificate from the configuration, read again with it, so that a renewal needs no restart.

pub(crate) mod trust;
pub(crate) mod validity;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::{SecretError, Tls, read_private};

/// Why HTTPS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("tls: {path} cannot be read: {source}. It must be a PEM file that this user can read")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// The private key is not one that only we can read.
    #[error("tls.key: {0}")]
    Key(#[from] SecretError),
    /// The chain is empty.
    #[error("tls: {0} holds no certificate")]
    Empty(PathBuf),
    /// The certificate and the key do not go together, or are of a kind that is not supported.
    #[error("tls: {cert} and {key} cannot be used together: {source}")]
    Pair {
        /// The chain.
        cert: PathBuf,
        /// The private key.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
}

/// The certificate in force.
pub struct Certificate {
    config: ArcSwap<CertificateInForce>,
}

/// What the files held when they were read.
struct CertificateInForce {
    config: Arc<ServerConfig>,
    /// The first end of a certificate in the chain; none where none can be read.
    not_after: Option<DateTime<Utc>>,
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// When they cannot be read, or do not go together.
    pub fn load(tls: &Tls) -> Result<Self, TlsError> {
        Ok(Self { config: ArcSwap::from_pointee(read(tls)?) })
    }

    /// Reads the files again; connections from now on see the new certificate.
    ///
    /// # Errors
    /// As [`Certificate::load`]; the old certificate stays in force then.
    pub fn reload(&self, tls: &Tls) -> Result<(), TlsError> {
        self.config.store(Arc::new(read(tls)?));
        Ok(())
    }

    /// What accepts a connection.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config.load().config))
    }

    /// The time after which no client accepts it; none where that cannot be read.
    #[must_use]
    pub fn not_after(&self) -> Option<DateTime<Utc>> {
        self.config.load().not_after
    }
}

/// Chooses the cryptography for the whole program. Called once, before anything speaks TLS.
pub fn install() {
    // A second call finds it installed, which is what was wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Returns the time after which the chain in a file is not accepted; none where it cannot be read.
pub(crate) fn not_after(chain: &Path) -> Option<DateTime<Utc>> {
    let chain = CertificateDer::pem_file_iter(chain).ok()?;
    chain.flatten().filter_map(|certificate| validity::not_after(&certificate)).min()
}

fn read(tls: &Tls) -> Result<CertificateInForce, TlsError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { path, source }
    };
    let chain = CertificateDer::pem_file_iter(&tls.cert).map_err(failed(&tls.cert))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(failed(&tls.cert))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(tls.cert.clone()));
    }
    let not_after = chain.iter().filter_map(|certificate| validity::not_after(certificate)).min();
    let key = PrivateKeyDer::from_pem_slice(&read_private(&tls.key)?).map_err(failed(&tls.key))?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let mut config =
        config.map_err(|source| TlsError::Pair { cert: tls.cert.clone(), key: tls.key.clone(), source })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if let Some(warning) = not_after.and_then(|end| validity::warning(end, Utc::now())) {
        tracing::warn!(cert = %tls.cert.display(), "tls: {warning}");
    }
    Ok(CertificateInForce { config: Arc::new(config), not_after })
}
