//! HTTPS: the certificate from the configuration, read again with it, so that a renewal needs no restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;

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
    config: ArcSwap<ServerConfig>,
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// When they cannot be read, or do not go together.
    pub fn load(tls: &Tls) -> Result<Self, TlsError> {
        Ok(Self { config: ArcSwap::from(read(tls)?) })
    }

    /// Reads the files again; connections from now on see the new certificate.
    ///
    /// # Errors
    /// As [`Certificate::load`]; the old certificate stays in force then.
    pub fn reload(&self, tls: &Tls) -> Result<(), TlsError> {
        self.config.store(read(tls)?);
        Ok(())
    }

    /// What accepts a connection.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }
}

/// Chooses the cryptography for the whole program. Called once, before anything speaks TLS.
pub fn install() {
    // A second call finds it installed, which is what was wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn read(tls: &Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { path, source }
    };
    let chain = CertificateDer::pem_file_iter(&tls.cert).map_err(failed(&tls.cert))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(failed(&tls.cert))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(tls.cert.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(failed(&tls.key))?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let mut config =
        config.map_err(|source| TlsError::Pair { cert: tls.cert.clone(), key: tls.key.clone(), source })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
