//! Origin of a request: the address of its client, the scheme and the host that the client used.
//!
//! They are the connection's own, unless a proxy that the configuration trusts says otherwise. Nobody else is believed.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, Uri};
use ipnet::IpNet;

/// Headers of proxies.
const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";
const FORWARDED_HOST: &str = "x-forwarded-host";
/// Header of clients.
const HOST: &str = "host";

/// Origin of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestOrigin {
    /// Address of the client, for limits, records and the log.
    pub address: IpAddr,
    /// Set if the client speaks HTTPS, with this server or with the proxy.
    pub is_https: bool,
    /// Host and port by which the client calls this server, as a browser names it; none: it does not say.
    pub host: Option<String>,
}

/// Proxies whose word on their clients is taken, and the scheme of this server itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies {
    networks: Vec<IpNet>,
    is_https: bool,
}

impl TrustedProxies {
    /// These networks, before a server that speaks HTTPS itself or not.
    pub(crate) fn new(networks: Vec<IpNet>, is_https: bool) -> Self {
        Self { networks, is_https }
    }

    /// Returns the origin of a request that came from this address.
    pub(crate) fn origin(&self, peer: IpAddr, uri: &Uri, headers: &HeaderMap) -> RequestOrigin {
        let peer = peer.to_canonical();
        let named = uri.authority().map(ToString::to_string).or_else(|| last(headers, HOST));
        if !self.trusts(peer) {
            return RequestOrigin { address: peer, is_https: self.is_https, host: named };
        }

        let scheme = last(headers, FORWARDED_PROTO);
        RequestOrigin {
            address: self.client(peer, headers),
            is_https: scheme.map_or(self.is_https, |scheme| scheme.eq_ignore_ascii_case("https")),
            host: last(headers, FORWARDED_HOST).or(named),
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// The nearest address in the chain that no trusted proxy has. What stands before it can be anybody's invention.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let chain: Vec<&str> = items(headers, FORWARDED_FOR).collect();
        let mut nearest = peer;
        for item in chain.into_iter().rev() {
            let Some(address) = parse(item) else { break };
            nearest = address;
            if !self.trusts(nearest) {
                break;
            }
        }
        nearest
    }
}

/// The items of a list that may stand in several headers of one name.
fn items<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// The last item of such a list: what the nearest proxy has said.
fn last(headers: &HeaderMap, name: &str) -> Option<String> {
    items(headers, name).last().filter(|item| !item.is_empty()).map(str::to_owned)
}

/// An address, which some proxies write with a port or in brackets.
fn parse(item: &str) -> Option<IpAddr> {
    let bare = item.strip_prefix('[').and_then(|item| item.strip_suffix(']')).unwrap_or(item);
    let address = bare.parse().ok().or_else(|| item.parse().ok().map(|address: SocketAddr| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(peer: &str, trusted: &[&str], headers: &[(&'static str, &str)]) -> RequestOrigin {
        let networks = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        TrustedProxies::new(networks, false).origin(peer.parse().unwrap(), &Uri::from_static("/"), &map)
    }

    #[test]
    fn the_word_of_a_stranger_is_not_taken() {
        let claims = [
            (FORWARDED_FOR, "203.0.113.9"),
            (FORWARDED_PROTO, "https"),
            (FORWARDED_HOST, "evil.example"),
            (HOST, "mirror.example:5000"),
        ];
        for trusted in [&[][..], &["198.51.100.0/24"]] {
            let seen = origin("192.0.2.1", trusted, &claims);
            let address = "192.0.2.1".parse().unwrap();
            let host = Some("mirror.example:5000".to_owned());
            assert_eq!(seen, RequestOrigin { address, is_https: false, host });
        }
    }

    #[test]
    fn the_client_is_the_nearest_address_that_is_no_trusted_proxy() {
        let trusted = ["192.0.2.0/24", "2001:db8::/32"];
        for (peer, chain, client) in [
            ("192.0.2.1", &["203.0.113.9"][..], "203.0.113.9"),
            // What a client wrote itself stands before what the proxy saw.
            ("192.0.2.1", &["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
            ("192.0.2.1", &["198.51.100.7", "203.0.113.9, 192.0.2.8"], "203.0.113.9"),
            ("::ffff:192.0.2.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("2001:db8::1", &["[2001:db9::5]:4711, 2001:db8::2"], "2001:db9::5"),
            ("192.0.2.1", &["[2001:db9::5]"], "2001:db9::5"),
            ("192.0.2.1", &["192.0.2.7, 192.0.2.8"], "192.0.2.7"),
            // What cannot be read ends the chain: the proxy before it counts.
            ("192.0.2.1", &["203.0.113.9, unknown, 192.0.2.8"], "192.0.2.8"),
            ("192.0.2.1", &[""], "192.0.2.1"),
            ("192.0.2.1", &[], "192.0.2.1"),
        ] {
            let headers: Vec<_> = chain.iter().map(|value| (FORWARDED_FOR, *value)).collect();
            assert_eq!(
                origin(peer, &trusted, &headers).address,
                client.parse::<IpAddr>().unwrap(),
                "{chain:?}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_headers_hold_a_stranger_is_who_it_is_and_a_proxy_is_read(
            values in proptest::collection::vec("[ -~]{0,60}|([0-9a-f:.]{1,20}, ?){0,4}", 0..5),
        ) {
            let headers: Vec<_> = values.iter().map(|value| (FORWARDED_FOR, value.as_str())).collect();
            let peer: IpAddr = "192.0.2.1".parse().unwrap();
            proptest::prop_assert_eq!(origin("192.0.2.1", &[], &headers).address, peer);
            // Nobody is taken for a client who does not stand in the list.
            let client = origin("192.0.2.1", &["192.0.2.0/24"], &headers).address;
            let mut named = values.iter().flat_map(|value| value.split(',')).filter_map(|item| parse(item.trim()));
            proptest::prop_assert!(client == peer || named.any(|address| address == client));
        }
    }

    #[test]
    fn a_trusted_proxy_says_scheme_and_host() {
        let said = [(FORWARDED_PROTO, "http, HTTPS"), (FORWARDED_HOST, "m.example"), (HOST, "inner")];
        let seen = origin("192.0.2.1", &["192.0.2.1/32"], &said);
        assert_eq!((seen.is_https, seen.host.as_deref()), (true, Some("m.example")));
        let seen = origin("192.0.2.1", &["192.0.2.1/32"], &said[2..]);
        assert_eq!((seen.is_https, seen.host.as_deref()), (false, Some("inner")));
    }
}
