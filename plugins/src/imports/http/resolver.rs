//! From a name to the addresses that may be connected to.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::is_private;

/// Asks the system; leaves out private addresses unless they are granted.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) private: bool,
}

/// A name that leads to private addresses only.
#[derive(Debug, thiserror::Error)]
#[error(
    "it leads to an address of this machine or of a private network, and `private_addresses` is not granted"
)]
pub(super) struct PrivateAddress;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let any = !found.is_empty();
            let good: Vec<_> = found.into_iter().filter(|at| private || !is_private(at.ip())).collect();
            if any && good.is_empty() {
                return Err(PrivateAddress.into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}
