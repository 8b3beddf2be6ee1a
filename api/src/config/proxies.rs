//! Addresses and networks of proxies: `http.trusted_proxies`.

use ipnet::IpNet;
use std::net::IpAddr;

use super::reader::Reader;
use super::tree::Node;
use super::value::{Shown, Value};

/// An address, or a network such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProxyNetwork(pub IpNet);

impl Value for ProxyNetwork {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let expected = "an IP address, or a network such as \"10.0.0.0/8\"";
        let text: String = reader.scalar(node, expected)?;
        let network = text.parse().or_else(|_| text.parse().map(|address: IpAddr| IpNet::from(address)));
        match network {
            Ok(network) => Some(Self(network.trunc())),
            Err(_) => reader.refuse(node, format!("expected {expected}, found \"{text}\"")),
        }
    }

    fn shown(&self) -> Shown {
        Shown::text(&self.0.to_string())
    }
}
